"""CPU slots: how many attempts run at once on this machine, first come, first served.

An attempt takes a slot per CPU that it asks for. One that asks for more than the machine has gets all of it, and waits
until it is free: nobody overtakes, so it never starves.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from typedflow.pb import tasks_pb2


class CpuSlots:
    """`total` slots."""

    def __init__(self, total: int) -> None:
        self.total = max(1, total)
        self._free = self.total
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def wanted(self, options: tasks_pb2.TaskOptions) -> int:
        """How many an attempt with these options takes."""
        resources = options.resources
        return min(self.total, max(1, math.ceil(cpus(resources.requests.cpu or resources.limits.cpu))))

    @asynccontextmanager
    async def taken(self, count: int, *, at_once: bool = False) -> AsyncIterator[None]:
        """While it is open, `count` slots are taken. `at_once`: does not wait, for what runs already."""
        if not at_once and (self._waiting or self._free < count):
            await self._turn(count)
        else:
            self._free -= count
        try:
            yield
        finally:
            self._free += count
            self._wake()

    async def _turn(self, count: int) -> None:
        """Returns once it is our turn, with the slots taken."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (count, turn)
        self._waiting.append(entry)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._free += count
            elif entry in self._waiting:
                self._waiting.remove(entry)
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and (self._waiting[0][1].cancelled() or self._free >= self._waiting[0][0]):
            count, turn = self._waiting.popleft()
            if not turn.cancelled():
                self._free -= count
                turn.set_result(None)


def cpus(quantity: str) -> float:
    """A Kubernetes quantity of CPUs as a number, `500m` as 0.5; 0 when it is empty or none."""
    try:
        return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity or 0)
    except ValueError:
        return 0.0
