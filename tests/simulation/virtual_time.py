"""An event loop without a clock, sockets or threads: time jumps to the next timer, and chance is the seed's.

Callbacks that are ready at one time run in an order that the seed shuffles (or first come, first served, as asyncio's
own loop has it). Each belongs to a process, told by its context: one that was killed never runs again, not even its
`finally`, and one that is paused runs later. So between any two callbacks a process can be killed.
"""

import asyncio
import contextvars
import heapq
import itertools
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any


class Process:
    """What is killed as a whole. `callbacks_left`: it is killed after so many more; None is never."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.paused_until = 0.0
        self.callbacks_left: int | None = None
        self.when_killed: list[Callable[[], None]] = []

    def kill(self) -> None:
        if self.alive:
            self.alive = False
            for tell in self.when_killed:
                tell()


_PROCESS: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


def current() -> Process | None:
    """The process whose callback runs."""
    return _PROCESS.get()


class Handle:
    """A callback that is to run; as asyncio's own, as far as that is used."""

    __slots__ = ("arguments", "callback", "context", "is_cancelled", "process", "time")

    def __init__(
        self, callback: Callable[..., object], arguments: tuple[Any, ...], context: Any, time: float
    ) -> None:
        self.callback = callback
        self.arguments = arguments
        self.context = context
        self.process = context.get(_PROCESS)
        self.is_cancelled = False
        self.time = time

    def cancel(self) -> None:
        self.is_cancelled = True

    def cancelled(self) -> bool:
        return self.is_cancelled

    def when(self) -> float:
        return self.time


class Stuck(Exception):
    """More happened than can: something goes round in circles."""


class VirtualLoop:
    """See the module. It has what tasks, futures and the reconciler ask of a loop, and nothing else."""

    def __init__(self, chance: random.Random, *, shuffled: bool, most_callbacks: int = 400_000) -> None:
        self.chance = chance
        self.trouble: list[str] = []
        self.look = True  # whether it may be over
        self._shuffled = shuffled
        self._left = most_callbacks
        self._now = 0.0
        self._ready: deque[Handle] | list[Handle] = [] if shuffled else deque()
        self._timers: list[tuple[float, float, int, Handle]] = []
        self._count = itertools.count()
        self._tasks: list[asyncio.Task[Any]] = []
        self._over = False

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args, context or contextvars.copy_context(), self._now)
        process = handle.process
        if not self._over and (process is None or process.alive):
            self._ready.append(handle)
        return handle

    call_soon_threadsafe = call_soon

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args, context or contextvars.copy_context(), when)
        tie = self.chance.random() if self._shuffled else 0.0
        heapq.heappush(self._timers, (when, tie, next(self._count), handle))
        return handle

    def create_future(self) -> Any:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task: asyncio.Task[Any] = asyncio.Task(
            coro,
            loop=self,  # type: ignore[arg-type]
            name=name,
            context=context,
        )
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.append(task)  # kept, for what is collected must not depend on memory
        return task

    def run_in_executor(self, _executor: Any, func: Any, *args: Any) -> Any:
        """A thread: its work is done at once, some time from now."""
        result = self.create_future()

        def work() -> None:
            if result.done():
                return
            try:
                result.set_result(func(*args))
            except Exception as error:  # noqa: BLE001 - it is for whoever waits
                result.set_exception(error)

        self.call_later(self.chance.expovariate(200.0), work)
        return result

    def call_exception_handler(self, context: Any) -> None:
        """What nobody took: a finding, unless its process is gone."""
        self.look = True
        self.trouble.append(f"{context.get('message')}: {context.get('exception')!r}")

    def default_exception_handler(self, context: Any) -> None:
        self.call_exception_handler(context)

    # The simulation's side.

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """A task of a process."""
        task: asyncio.Task[Any] = self.inside(process).run(self.create_task, coroutine)
        return task

    def inside(self, process: Process) -> contextvars.Context:
        """The context of what belongs to the process."""
        context = contextvars.Context()
        context.run(_PROCESS.set, process)
        return context

    def run_until(self, is_over: Callable[[], bool], latest: float) -> bool:
        """Runs until it is over, which is asked once `look` is set; gives whether it came before the time `latest`."""
        asyncio._set_running_loop(self)  # type: ignore[arg-type]
        try:
            while True:
                if self.look:
                    self.look = False
                    if is_over():
                        return True
                if not self._ready and not self._wait(latest):
                    return False
                self._run_one()
        finally:
            asyncio._set_running_loop(None)

    def close(self) -> None:
        """Lets go of everything; what is still under way ends, and can do nothing any more."""
        self._over = True
        for task in self._tasks:
            if not task.done():
                _end(task.get_coro())
            elif not task.cancelled():
                task.exception()  # it was seen
        self._tasks.clear()
        self._ready.clear()
        self._timers.clear()

    def _wait(self, latest: float) -> bool:
        """Time goes on to the next timer; whether there is one in time."""
        timers = self._timers
        while timers:
            when, _, _, handle = timers[0]
            if when > latest:
                return False
            heapq.heappop(timers)
            if handle.is_cancelled or (handle.process is not None and not handle.process.alive):
                continue
            self._now = max(self._now, when)
            self._ready.append(handle)
            # Others that are due now are ready with it.
            while timers and timers[0][0] <= self._now:
                self._ready.append(heapq.heappop(timers)[3])
            return True
        return False

    def _run_one(self) -> None:
        ready = self._ready
        if self._shuffled:
            place = int(self.chance.random() * len(ready))
            handle, last = ready[place], ready.pop()
            if handle is not last:
                ready[place] = last
        else:
            handle = ready.popleft()  # type: ignore[union-attr]
        if handle.is_cancelled:
            return
        process = handle.process
        if process is not None:
            if not process.alive:
                return
            if process.paused_until > self._now:
                heapq.heappush(self._timers, (process.paused_until, 0.0, next(self._count), handle))
                return
            if process.callbacks_left is not None:
                process.callbacks_left -= 1
                if process.callbacks_left < 0:
                    process.kill()
                    return
        self._left -= 1
        if self._left < 0:
            raise Stuck
        handle.context.run(handle.callback, *handle.arguments)


def _end(coroutine: Any) -> None:
    """Closes it, however often it waits again on its way out."""
    for _ in range(20):
        try:
            coroutine.close()
        except RuntimeError:
            continue  # it has waited again, or found no loop to do so
        return
