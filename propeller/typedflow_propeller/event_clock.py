"""The time that one execution's events are told by: the machine's clock, and never behind the journal.

A clock that was set forward leaves events in the journal whose time is still to come when it is set right, and another
propeller's may just be behind. Then time goes on from the latest event as fast as the event loop's, so that what is to
happen a second later does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class EventClock:
    """See the module.

    Args:
        clock_us: the machine's clock, in microseconds since 1970.
    """

    def __init__(self, clock_us: Callable[[], int]) -> None:
        self._clock_us = clock_us
        self._loop = asyncio.get_running_loop()
        self._latest_us = 0
        self._since = self._loop.time()

    def now_us(self) -> int:
        """The time."""
        passed_us = int((self._loop.time() - self._since) * 1e6)
        return max(self._clock_us(), self._latest_us + passed_us)

    def happened(self, at_us: int) -> None:
        """An event has this time; it is not before any other's."""
        self._latest_us, self._since = at_us, self._loop.time()
