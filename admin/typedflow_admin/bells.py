"""Bells: how one part of the server tells another, in memory, that there is something to read.

What there is to read is in the database, and whoever waits for a bell also looks by himself every so often. So a ring
that is lost, or rung by another server on the same database, only delays. An inbox row that was just written may come
with a ring; who can't tell that it is the next one reads.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from typedflow.pb.propeller_pb2 import InboxRow

_SOON_S = 0.03


class Take(Protocol):
    """Takes a row of an execution's inbox, to be told `soon` or at once with all that is kept; None is only that.

    Gives whether nothing need be read.
    """

    def __call__(self, execution_id: str, row: InboxRow | None, *, soon: bool) -> bool: ...


class Listener:
    """One who waits for a bell. `take`: takes what comes with a ring."""

    __slots__ = ("_event", "_topics", "take")

    def __init__(self, take: Take | None = None) -> None:
        self.take = take
        self._event = asyncio.Event()
        self._topics: set[str] = set()

    def hear(self, topic: str) -> None:
        """Wakes the listener."""
        self._topics.add(topic)
        self._event.set()

    async def wait(self, seconds: float) -> set[str]:
        """The topics rung since last asked; empty when `seconds` passed in silence."""
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            pass
        self._event.clear()
        topics, self._topics = self._topics, set()
        return topics


class Bell:
    """Rung about topics; heard by those who listen to the topic, and by those who listen to all."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str | None, set[Listener]] = defaultdict(set)
        self._soon: dict[str, asyncio.TimerHandle] = {}
        self._kept: dict[str, asyncio.TimerHandle] = {}  # of rows that were taken to be sent soon

    def ring_soon(self, topic: str) -> None:
        """As `ring`, in a moment: for what nobody waits for, and more of which may come. Then it is read together."""
        if topic not in self._soon and (topic in self._listeners or None in self._listeners):
            self._soon[topic] = asyncio.get_running_loop().call_later(_SOON_S, self.ring, topic)

    def ring(self, topic: str) -> None:
        """Wakes the listeners. Only from the event loop's thread."""
        self._forget(topic)
        for listener in self._listening(topic):
            listener.hear(topic)

    def tell(self, execution_id: str, row: InboxRow, *, soon: bool = False) -> None:
        """As `ring`, or `ring_soon`, with what there is to read."""
        if not self._taken(execution_id, row, soon=soon):
            (self.ring_soon if soon else self.ring)(execution_id)
        elif not soon:
            self._forget(execution_id)
        elif execution_id not in self._kept:
            self._kept[execution_id] = asyncio.get_running_loop().call_later(
                _SOON_S, self._bring, execution_id
            )

    def _bring(self, execution_id: str) -> None:
        """What is kept is taken now."""
        self._kept.pop(execution_id, None)
        if not self._taken(execution_id, None, soon=False):
            self.ring(execution_id)

    def _taken(self, execution_id: str, row: InboxRow | None, *, soon: bool) -> bool:
        """Whether nobody has to read."""
        told = [
            each.take is not None and each.take(execution_id, row, soon=soon)
            for each in self._listening(execution_id)
        ]
        return all(told)

    def _listening(self, topic: str) -> tuple[Listener, ...]:
        return (*self._listeners.get(topic, ()), *self._listeners.get(None, ()))

    def _forget(self, topic: str) -> None:
        for waiting in (self._soon, self._kept):
            soon = waiting.pop(topic, None)
            if soon is not None:
                soon.cancel()

    @contextmanager
    def listen(self, topic: str | None = None, take: Take | None = None) -> Iterator[Listener]:
        """A listener to one topic, or to all."""
        listener = Listener(take)
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
