"""Bells: how one part of the server tells another, in memory, that there is something to read.

What there is to read is in the database: a bell carries no data, and whoever waits for one also looks by himself every
so often. So a ring that is lost, or rung by another server on the same database, only delays.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

_SOON_S = 0.03


class Listener:
    """One who waits for a bell."""

    __slots__ = ("_event", "_topics")

    def __init__(self) -> None:
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

    def ring_soon(self, topic: str) -> None:
        """As `ring`, in a moment: for what nobody waits for, and more of which may come. Then it is read together."""
        if topic not in self._soon and (topic in self._listeners or None in self._listeners):
            self._soon[topic] = asyncio.get_running_loop().call_later(_SOON_S, self.ring, topic)

    def ring(self, topic: str) -> None:
        """Wakes the listeners. Only from the event loop's thread."""
        soon = self._soon.pop(topic, None)
        if soon is not None:
            soon.cancel()
        for listener in (*self._listeners.get(topic, ()), *self._listeners.get(None, ())):
            listener.hear(topic)

    @contextmanager
    def listen(self, topic: str | None = None) -> Iterator[Listener]:
        """A listener to one topic, or to all."""
        listener = Listener()
        self._listeners[topic].add(listener)
        try:
            yield listener
        finally:
            self._listeners[topic].discard(listener)
            if not self._listeners[topic]:
                del self._listeners[topic]
