"""CPU slots: how many attempts run at once on this machine, one of each execution in turn.

An attempt takes a slot per CPU that it asks for. One that asks for more than the machine has gets all of it, and waits
until it is free: whose turn it is nobody overtakes, so it never starves. Within an execution it is first come, first
served.
"""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from typedflow.pb import tasks_pb2


@dataclass(frozen=True, slots=True)
class _Turn:
    count: int
    came: asyncio.Future[None]


class CpuSlots:
    """`total` slots."""

    def __init__(self, total: int) -> None:
        self.total = max(1, total)
        self._free = self.total
        # By execution: the first is the one whose turn it is, and goes to the end when it has had it. None is empty.
        self._waiting: OrderedDict[str, deque[_Turn]] = OrderedDict()

    def wanted(self, options: tasks_pb2.TaskOptions) -> int:
        """How many an attempt with these options takes."""
        resources = options.resources
        return min(self.total, max(1, math.ceil(cpus(resources.requests.cpu or resources.limits.cpu))))

    @asynccontextmanager
    async def taken(self, count: int, execution_id: str, *, at_once: bool = False) -> AsyncIterator[None]:
        """While it is open, the execution has `count` more slots. `at_once`: does not wait, for what runs already."""
        if not at_once and (self._waiting or self._free < count):
            await self._turn(count, execution_id)
        else:
            self._free -= count
        try:
            yield
        finally:
            self._free += count
            self._wake()

    async def _turn(self, count: int, execution_id: str) -> None:
        """Returns once it is our turn, with the slots taken."""
        turn = _Turn(count, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(execution_id, deque()).append(turn)
        try:
            await turn.came
        except asyncio.CancelledError:
            if not turn.came.cancelled():
                self._free += count
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting:
            execution_id, turns = next(iter(self._waiting.items()))
            cancelled = turns[0].came.cancelled()
            if not cancelled and self._free < turns[0].count:
                return
            turn = turns.popleft()
            if not turns:
                del self._waiting[execution_id]
            elif not cancelled:
                self._waiting.move_to_end(execution_id)
            if not cancelled:
                self._free -= turn.count
                turn.came.set_result(None)


def cpus(quantity: str) -> float:
    """A Kubernetes quantity of CPUs as a number, `500m` as 0.5; 0 when it is empty or none."""
    try:
        return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity or 0)
    except ValueError:
        return 0.0
