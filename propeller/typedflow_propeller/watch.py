"""A look at all running attempts, a few times a second: how much memory they hold, and how long their logs are.

One loop for all of them, which ends when there are none. An attempt that ends before the first look costs nothing. What
looking costs decides how often it is done, so it never takes more than a small part of a CPU.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from typedflow.run_task import log_file, processes

_log = logging.getLogger(__name__)

_PAUSE_S = 0.25
_NEAR_PAUSE_S = 0.05
_NEAR = 0.7
"""Of the limit: from there on it is looked at more often."""
_DUTY = 20
"""A pause is at least so many times what the look before it took."""


@dataclass(slots=True)
class _Watched:
    pid: int
    log: Path
    limit: int
    over: Callable[[int], None]
    trimmed: int = 0


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look has found: who holds more than it may, and whether somebody is near to that."""

    over: Sequence[tuple[_Watched, int]]
    is_near: bool


class Watch:
    """For one event loop. `log_limit`: bytes of a log that are kept; what is written last is the caller's to trim."""

    def __init__(self, log_limit: int) -> None:
        self._log_limit = log_limit
        self._watched: dict[int, _Watched] = {}
        self._loop: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def on(self, pid: int, log: Path, limit: int, over: Callable[[int], None]) -> Iterator[None]:
        """Watches the attempt of this process while it is open.

        Args:
            limit: bytes of memory that it and all below it may hold; 0 is no limit.
            over: is told once how much they hold when it is more; nothing of them has been stopped yet.
        """
        self._watched[pid] = _Watched(pid, log, limit, over)
        if self._loop is None or self._loop.done():
            self._loop = asyncio.create_task(self._look_on())
        try:
            yield
        finally:
            del self._watched[pid]

    def close(self) -> None:
        """Looks no more."""
        if self._loop is not None:
            self._loop.cancel()

    async def _look_on(self) -> None:
        pause = _PAUSE_S
        while self._watched:
            await asyncio.sleep(pause)
            began = time.monotonic()
            try:
                look = await asyncio.to_thread(self._look, list(self._watched.values()))
            except Exception:  # noqa: BLE001 - whatever /proc may do: attempts go on
                _log.exception("running attempts could not be looked at")
                continue
            for watched, used in look.over:
                if self._watched.get(watched.pid) is watched:
                    watched.limit = 0  # it is told once
                    watched.over(used)
            usual = _NEAR_PAUSE_S if look.is_near else _PAUSE_S
            pause = max(usual, _DUTY * (time.monotonic() - began))

    def _look(self, all_watched: Sequence[_Watched]) -> _Look:
        for watched in all_watched:
            watched.trimmed = log_file.trim(watched.log, self._log_limit, watched.trimmed)
        limited = [each for each in all_watched if each.limit]
        found = processes.running() if limited else {}
        over = []
        is_near = False
        for watched in limited:
            pids = processes.below(watched.pid, found)
            # What processes share is in each one's resident memory, so this is too much, and cheap.
            held = sum(found[pid].resident for pid in pids)
            if held > watched.limit:
                held = processes.memory(pids)
            if held > watched.limit:
                over.append((watched, held))
            is_near = is_near or held > _NEAR * watched.limit
        return _Look(over, is_near)
