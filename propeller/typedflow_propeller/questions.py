"""Questions to the cache: each unit's is put once, and again for as long as another makes what it asks for.

Asking changes nothing that can't be changed back, so it is done before the event that leads to it is committed. What
waits for another is asked again on beats that all executions have in common, so that those who wait go up together.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections import deque
from collections.abc import Callable

from typedflow import errors
from typedflow.pb import catalog_pb2, events_pb2, propeller_pb2
from typedflow_propeller import attempt_specs, backoff, doors, errands

_log = logging.getLogger(__name__)

# Keys that are worked out before anything else is looked after.
_TOGETHER = 64
_BEAT_S = 0.2
_SHORTEST_WAIT_S = 0.1
_LONGEST_WAIT_S = 2.0
_DOUBLINGS = 10


class Questions:
    """Of one execution.

    Args:
        path: a unit's name.
        is_open: whether the unit still wants to know.
        happened: is told of the answers.
        failed: is told of what must not be, and ends the drive.
    """

    def __init__(
        self,
        behind: doors.Doors,
        specs: attempt_specs.AttemptSpecs,
        slow: errands.Errands,
        *,
        path: Callable[[int], str],
        is_open: Callable[[int], bool],
        happened: Callable[[events_pb2.Event], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._doors = behind
        self._specs = specs
        self._errands = slow
        self._path = path
        self._is_open = is_open
        self._happened = happened
        self._failed = failed
        self._unasked: deque[int] = deque()
        self._asking: asyncio.Task[None] | None = None
        self._open: set[asyncio.Future[propeller_pb2.CacheAnswer]] = set()
        self._later: set[asyncio.TimerHandle] = set()
        self._loop = asyncio.get_running_loop()

    def ask(self, unit: int) -> None:
        """What the cache has for the unit comes as `CacheChecked`."""
        self._unasked.append(unit)
        if self._asking is None or self._asking.done():
            self._asking = self._loop.create_task(self._ask())
            self._asking.add_done_callback(self._asked)

    def close(self) -> None:
        """Asks nothing more."""
        if self._asking is not None:
            self._asking.cancel()
        for handle in self._later:
            handle.cancel()
        for question in self._open:
            question.cancel()

    async def _ask(self) -> None:
        while self._unasked:
            for _ in range(min(_TOGETHER, len(self._unasked))):
                self._put(self._unasked.popleft())
            await asyncio.sleep(0)

    def _asked(self, asking: asyncio.Task[None]) -> None:
        if not asking.cancelled() and (error := asking.exception()) is not None:
            self._failed(error)

    def _put(self, unit: int) -> None:
        try:
            question = self._specs.question(unit, at_once=True)
        except attempt_specs.TakesLong:
            made = self._errands.do(functools.partial(self._specs.question, unit))
            made.add_done_callback(functools.partial(self._made, unit))
        except errors.TypedflowError as error:
            self._can_not_be_put(unit, error.code)
        else:
            self._send(unit, question)

    def _made(self, unit: int, made: asyncio.Future[propeller_pb2.CacheQuestion]) -> None:
        match made.exception():
            case None:
                self._send(unit, made.result())
            case errors.TypedflowError() as error:
                self._can_not_be_put(unit, error.code)
            case OSError():
                self._can_not_be_put(unit, "StorageError")
            case error:
                self._failed(error)

    def _can_not_be_put(self, unit: int, code: str) -> None:
        """The attempt will fail for the same reason, and say more."""
        missed = events_pb2.CacheChecked(
            node=self._path(unit), status=catalog_pb2.CACHE_STATUS_MISS, reason=f"inputs: {code}"
        )
        self._happened(events_pb2.Event(cache_checked=missed))

    def _send(self, unit: int, question: propeller_pb2.CacheQuestion, waits: int = 0, tries: int = 0) -> None:
        """`waits`: how often the answer was that another makes it; `tries`: how often there was none."""
        if not self._is_open(unit):
            return
        asked = self._doors.check_cache(question)
        self._open.add(asked)
        asked.add_done_callback(functools.partial(self._answered, unit, question, waits, tries))

    def _answered(
        self,
        unit: int,
        question: propeller_pb2.CacheQuestion,
        waits: int,
        tries: int,
        asked: asyncio.Future[propeller_pb2.CacheAnswer],
    ) -> None:
        self._open.discard(asked)
        if asked.cancelled():
            return
        match asked.exception():
            case None if asked.result().wait:
                self._later_on(_to_the_beat(self._loop.time(), waits), unit, question, waits + 1, 0)
            case None:
                self._happened(events_pb2.Event(cache_checked=_checked(question, asked.result())))
            case errors.TypedflowError() as error:
                _log.warning("the cache can't be asked, will try again: %s", error)
                self._later_on(backoff.pause(tries), unit, question, waits, tries + 1)
            case error:
                self._failed(error)

    def _later_on(
        self, seconds: float, unit: int, question: propeller_pb2.CacheQuestion, waits: int, tries: int
    ) -> None:
        def send() -> None:
            self._later.discard(handle)
            self._send(unit, question, waits, tries)

        handle = self._loop.call_later(seconds, send)
        self._later.add(handle)


def _to_the_beat(now: float, waits: int) -> float:
    """Seconds until it is asked again: longer each time, and to a moment at which others ask, too."""
    wait = min(_SHORTEST_WAIT_S * 2.0 ** min(waits, _DOUBLINGS), _LONGEST_WAIT_S)
    return math.ceil((now + wait) / _BEAT_S) * _BEAT_S - now


def _checked(
    question: propeller_pb2.CacheQuestion, answer: propeller_pb2.CacheAnswer
) -> events_pb2.CacheChecked:
    checked = events_pb2.CacheChecked(
        node=question.node, status=catalog_pb2.CACHE_STATUS_MISS, key=question.key, reason=answer.reason
    )
    if answer.HasField("entry"):
        entry = answer.entry
        checked.status = catalog_pb2.CACHE_STATUS_HIT
        checked.outputs.CopyFrom(entry.outputs)
        checked.saved.CopyFrom(entry.usage)
        checked.producer_execution_id = entry.execution_id
        checked.producer_node = entry.node
        checked.producer_attempt = entry.attempt
        checked.recovered = answer.recovered
        if entry.HasField("deck"):
            checked.deck.CopyFrom(entry.deck)
    elif not question.cached:
        checked.status = catalog_pb2.CACHE_STATUS_DISABLED
    return checked
