"""Timers of one execution, by the clock that its events are told by.

An event loop's own timers run on a clock of their own, which stands still while a machine sleeps and knows nothing of a
clock that is set. So one of them is armed for the next timer, for a minute at most, and then the clock is looked at.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from typedflow.pb import events_pb2

_LOOK_S = 60.0


class Timers:
    """`happened` is told of each event at its time, or soon after when that has passed."""

    def __init__(self, now_us: Callable[[], int], happened: Callable[[events_pb2.Event], None]) -> None:
        self._now_us = now_us
        self._happened = happened
        self._waiting: list[tuple[int, int, events_pb2.Event]] = []
        self._count = 0  # those of one moment fire in the order in which they were set
        self._armed: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def set(self, event: events_pb2.Event, at_us: int) -> None:
        """Tells of the event at that time, in microseconds since 1970."""
        self._count += 1
        heapq.heappush(self._waiting, (at_us, self._count, event))
        if self._waiting[0][1] == self._count:
            self._arm()

    def close(self) -> None:
        """Tells of nothing more."""
        self._waiting.clear()
        if self._armed is not None:
            self._armed.cancel()

    def _arm(self) -> None:
        if self._armed is not None:
            self._armed.cancel()
        seconds = (self._waiting[0][0] - self._now_us()) / 1e6
        self._armed = self._loop.call_later(min(max(0.0, seconds), _LOOK_S), self._look)

    def _look(self) -> None:
        now = self._now_us()
        while self._waiting and self._waiting[0][0] <= now:
            self._happened(heapq.heappop(self._waiting)[2])
        if self._waiting:
            self._arm()
