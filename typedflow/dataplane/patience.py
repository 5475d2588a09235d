"""How long a store that does not answer is waited for, and how often it is asked meanwhile.

A store is away for a minute now and then: a restart, a failover, a network that flaps. Nobody should lose hours of work
to that, and nobody should wait for ever either.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from typedflow import errors

_SHORTEST_S = 0.1
_LONGEST_S = 10.0


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one operation may go without progress. `clock` and `pause` are there for tests."""

    total_s: float = 180.0
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = _pause

    def begin(self, where: str) -> Trials:
        """The trials of one operation at an address."""
        return Trials(self, where)


class Trials:
    """What one operation has gone through."""

    def __init__(self, patience: Patience, where: str) -> None:
        self._patience = patience
        self._where = where
        self.progressed()

    def progressed(self) -> None:
        """Something arrived: the time that is left is all of it again."""
        self._since = self._patience.clock()
        self._next_s = _SHORTEST_S

    def failed(self, error: Exception) -> None:
        """Waits before the next trial; the pauses double. Raises StorageError when the time is over."""
        gone = self._patience.clock() - self._since
        if gone + self._next_s > self._patience.total_s:
            raise errors.StorageError(
                f"the store does not answer, after {gone:.0f} s of trying: {error}",
                where=self._where,
                hint="see that it runs and can be reached from here; AWS_ENDPOINT_URL says where it is, if not at AWS",
            ) from error
        self._patience.pause(self._next_s * random.uniform(0.5, 1.0))  # noqa: S311 - so that not all come back at once
        self._next_s = min(2 * self._next_s, _LONGEST_S)
