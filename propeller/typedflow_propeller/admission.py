"""Admission: which attempts run at once on this machine, and which waits for what another has.

Executions take turns. Within what is free the next that fits goes first, so that one which waits for a GPU holds up
nobody who wants none; but who was overtaken often enough is overtaken no more: what it needs and is not free yet is
kept for it, and the rest goes on serving others. So nothing starves, and nothing stands idle that somebody could use.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from typedflow_propeller import machine

MOST_OVERTAKEN = 8
"""How many may go before one that came first."""


@dataclass(slots=True)
class _Turn:
    execution_id: str
    share: machine.Share
    came: asyncio.Future[tuple[str, ...]]
    overtaken: int = 0


@dataclass(slots=True)
class _Free:
    cpus: int
    memory: int
    gpus: list[str]

    def holds(self, share: machine.Share, kept: machine.Share | None) -> bool:
        """Whether the share is free. `kept`: what is kept for another, which is not whole yet."""
        free = (self.cpus, self.memory, len(self.gpus))
        wanted = (share.cpus, share.memory, share.gpus)
        reserved = (kept.cpus, kept.memory, kept.gpus) if kept else (0, 0, 0)
        return all(
            not want or want <= have - keep for want, have, keep in zip(wanted, free, reserved, strict=True)
        )


class Admission:
    """Of one machine's attempts."""

    def __init__(self, shared: machine.Machine) -> None:
        self._gpus = shared.gpus
        self._free = _Free(shared.cpus, shared.memory, list(shared.gpus))
        # By execution, and in it by what is asked for: the first execution is the one whose turn it is, and goes to the
        # end when it has had it. Only the first of each share is looked at. Nothing in here is empty.
        self._waiting: OrderedDict[str, dict[machine.Share, deque[_Turn]]] = OrderedDict()
        self._kept: _Turn | None = None

    @asynccontextmanager
    async def taken(
        self, share: machine.Share, execution_id: str, *, at_once: tuple[str, ...] | None = None
    ) -> AsyncIterator[tuple[str, ...]]:
        """While it is open, the execution has this share more; gives the GPUs.

        `at_once`: does not wait, for what runs already and has these GPUs.
        """
        gpus = at_once
        if gpus is None:
            gpus = await self._turn(share, execution_id)
        else:
            self._take(share, gpus)
        try:
            yield gpus
        finally:
            self._give_back(share, gpus)

    async def _turn(self, share: machine.Share, execution_id: str) -> tuple[str, ...]:
        """Returns once it is our turn, with the share taken."""
        turn = _Turn(execution_id, share, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(execution_id, {}).setdefault(share, deque()).append(turn)
        self._wake()
        try:
            return await turn.came
        except asyncio.CancelledError:
            if turn.came.cancelled():
                if self._kept is turn:
                    self._kept = None
                self._wake()
            else:
                self._give_back(share, turn.came.result())
            raise

    def _take(self, share: machine.Share, gpus: tuple[str, ...]) -> None:
        self._free.cpus -= share.cpus
        self._free.memory -= share.memory
        self._free.gpus = [each for each in self._free.gpus if each not in gpus]

    def _give_back(self, share: machine.Share, gpus: tuple[str, ...]) -> None:
        self._free.cpus += share.cpus
        self._free.memory += share.memory
        self._free.gpus += [each for each in gpus if each in self._gpus]
        self._wake()

    def _wake(self) -> None:
        while self._free.cpus > 0:  # every share has a CPU
            turn = self._next()
            if turn is None:
                return
            gpus = tuple(self._free.gpus[: turn.share.gpus])
            self._take(turn.share, gpus)
            if self._waiting.get(turn.execution_id):
                self._waiting.move_to_end(turn.execution_id)
            turn.came.set_result(gpus)

    def _next(self) -> _Turn | None:
        """The next that fits, out of the queue; those before it were overtaken."""
        if self._kept is not None and self._kept.came.cancelled():
            self._kept = None
        kept = self._kept
        if kept is not None and self._free.holds(kept.share, None):
            self._kept = None
            return self._removed(kept.execution_id, kept.share)
        overtaken: list[_Turn] = []
        for execution_id in list(self._waiting):
            for share in list(self._waiting[execution_id]):
                turn = self._first(execution_id, share)
                if turn is None or turn is kept:
                    continue
                if self._free.holds(share, kept.share if kept else None):
                    self._count(overtaken)
                    return self._removed(execution_id, share)
                overtaken.append(turn)
        return None

    def _count(self, overtaken: list[_Turn]) -> None:
        for turn in overtaken:
            turn.overtaken += 1
            if self._kept is None and turn.overtaken >= MOST_OVERTAKEN:
                self._kept = turn

    def _first(self, execution_id: str, share: machine.Share) -> _Turn | None:
        """Who is next of those that ask for this; clears away those who have given up."""
        turns = self._waiting[execution_id][share]
        while turns and turns[0].came.cancelled():
            turns.popleft()
        if not turns:
            self._drop(execution_id, share)
            return None
        return turns[0]

    def _removed(self, execution_id: str, share: machine.Share) -> _Turn:
        turns = self._waiting[execution_id][share]
        turn = turns.popleft()
        if not turns:
            self._drop(execution_id, share)
        return turn

    def _drop(self, execution_id: str, share: machine.Share) -> None:
        del self._waiting[execution_id][share]
        if not self._waiting[execution_id]:
            del self._waiting[execution_id]
