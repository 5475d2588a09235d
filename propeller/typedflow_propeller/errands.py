"""Work that takes a thread: one piece after the other, and tried again while the store can't be reached.

One thread at a time for each execution, so that one of them leaves threads to the others. A disk that is full for a
minute costs the minute, and nobody's retries.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, cast

from typedflow import errors
from typedflow_propeller import backoff

T = TypeVar("T")

PATIENCE_S = 120.0
"""For how long work is tried again that the store, or the disk, refuses."""

# What is done before the loop hears of any of it.
_TOGETHER = 32


class _InThread(Protocol):
    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(slots=True)
class _Errand(Generic[T]):
    work: Callable[[], T]
    result: asyncio.Future[T]
    tries: int = 0
    until: float = 0.0


class Errands:
    """Of one execution."""

    def __init__(self, in_thread: _InThread) -> None:
        self._in_thread = in_thread
        self._waiting: deque[_Errand[object]] = deque()
        self._doing: asyncio.Task[None] | None = None
        self._closed = False
        self._loop = asyncio.get_running_loop()

    def do(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """The work's result, or what it raised; what a store raises only when patience has ended."""
        result: asyncio.Future[T] = self._loop.create_future()
        errand = _Errand(work, result, until=self._loop.time() + PATIENCE_S)
        self._put(cast("_Errand[object]", errand))
        return result

    def close(self) -> None:
        """Gives no more results."""
        self._closed = True
        if self._doing is not None:
            self._doing.cancel()
        self._waiting.clear()

    def _put(self, errand: _Errand[object]) -> None:
        if self._closed:
            return
        self._waiting.append(errand)
        if self._doing is None or self._doing.done():
            self._doing = self._loop.create_task(self._do())

    async def _do(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(_TOGETHER, len(self._waiting)))]
            done = await self._in_thread(lambda: [_done(each.work) for each in some])  # noqa: B023 - awaited here
            for errand, (value, error) in zip(some, done, strict=True):
                self._ended(errand, value, error)

    def _ended(self, errand: _Errand[object], value: object, error: Exception | None) -> None:
        if errand.result.done():
            return
        if error is None:
            errand.result.set_result(value)
        elif isinstance(error, OSError | errors.StorageError) and self._loop.time() < errand.until:
            self._loop.call_later(backoff.pause(errand.tries), self._put, errand)
            errand.tries += 1
        else:
            errand.result.set_exception(error)


def _done(work: Callable[[], object]) -> tuple[object, Exception | None]:
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - it is for whoever asked
        return None, error
