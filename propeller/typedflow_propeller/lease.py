"""The propeller's leases on its own clock: how long it may go on without having heard from admin.

Admin's leases run on the database's clock. Here, half a lease after the last heartbeat that was answered, counted from
when it was sent, nothing is performed any more: by then the leases have half of their time left, so nobody else drives.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable


class Lease:
    """All leases of one stream; they are renewed together. `now`: a monotonic clock, in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.length_s = 0.0
        self.begun = asyncio.Event()
        self._now = now
        self._sent: deque[float] = deque()
        self._confirmed_at = now()
        self._confirmed = asyncio.Event()

    def begin(self, length_s: float) -> None:
        """Admin says how long a lease lasts; none was granted before the stream was asked for."""
        self.length_s = length_s
        self.begun.set()
        self._confirmed.set()

    @property
    def is_held(self) -> bool:
        """Whether actions may be performed."""
        return self._now() < self._confirmed_at + self.length_s / 2

    def sent(self) -> None:
        """A heartbeat is on its way."""
        self._sent.append(self._now())

    def answered(self) -> None:
        """The oldest heartbeat under way was answered."""
        if self._sent:
            self._confirmed_at = self._sent.popleft()
            self._confirmed.set()

    async def held(self) -> None:
        """Waits until actions may be performed."""
        while not self.is_held:
            self._confirmed.clear()
            await self._confirmed.wait()
