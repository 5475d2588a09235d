"""Drives an execution from one load of its journal to the next, or to its end.

    step      whatever has come (inbox rows, timers, answers) is applied to the state
    persist   the events are committed with the length of the journal that they follow
    perform   what they lead to is done; never before

Only what changes nothing is done before its event is persisted: asking the cache, and reading values. The loop is
everybody's: what needs the store is done in a thread, and only that, for a thread costs more than a small value.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections import deque
from typing import TYPE_CHECKING, Protocol, assert_never

from typedflow import engine, errors
from typedflow.engine import stages
from typedflow.pb import attempt_pb2, errors_pb2, events_pb2, propeller_pb2
from typedflow_propeller import (
    attempt_specs,
    backoff,
    children,
    commits,
    errands,
    event_clock,
    questions,
    steps,
    timers,
)

if TYPE_CHECKING:
    from typedflow_propeller import doors

_log = logging.getLogger(__name__)

# How long progress that there is nothing to do about may stay unwritten.
_HOLD_S = 0.05
# Of a large execution, what is done before others have a turn on the loop.
_TOGETHER = 1_000
# What a row takes in a commit, besides its outputs and its error: its names, mostly.
_ROW_BYTES = 1024

_FENCED, _CONFLICT = propeller_pb2.COMMIT_STATUS_FENCED, propeller_pb2.COMMIT_STATUS_CONFLICT


class Reload(Exception):
    """The journal is not what we thought."""


class _Part(Protocol):
    def close(self) -> None: ...


class Drive:
    """`inbox` has the rows that no commit has consumed, by number; `wake` is set when there are more."""

    def __init__(
        self,
        claim: propeller_pb2.Claim,
        behind: doors.Doors,
        inbox: dict[int, events_pb2.Event],
        wake: asyncio.Event,
    ) -> None:
        self.consumed_to = 0
        self._claim = claim
        self._doors = behind
        self._inbox = inbox
        self._wake = wake
        self._taken_to = 0
        self._fired: deque[events_pb2.Event] = deque()  # what we have to say ourselves
        self._unmade: set[tuple[int, int]] = set()  # attempts whose specs take a thread
        self._trouble: BaseException | None = None  # what must not be
        self._step = steps.Step()
        self._committing: asyncio.Task[None] | None = None
        self._finished = False
        self._clock = event_clock.EventClock(behind.now_us)
        self._version = 0
        self._loop = asyncio.get_running_loop()
        self._slow = errands.Errands(behind.in_thread)
        self._storing = errands.Errands(behind.in_thread)
        self._timers = timers.Timers(self._clock.now_us, self._happened)
        self._parts: list[_Part] = [self._slow, self._storing, self._timers]

    async def load(self) -> None:
        """Replays the journal, and sees that all is under way that should be."""
        compiled, journal = await backoff.until_reached(
            lambda: self._doors.load(self._claim.execution_id), spread_by=self._claim.execution_id
        )
        if len(compiled.workflow.nodes) > _TOGETHER:
            self._graph = await self._doors.in_thread(functools.partial(engine.Graph, compiled))
        else:
            self._graph = engine.Graph(compiled)
        self._state = engine.State(self._graph)
        self._specs = attempt_specs.AttemptSpecs(self._claim, self._graph, self._state, self._doors.store)
        self._questions = questions.Questions(
            self._doors,
            self._specs,
            self._slow,
            path=self._state.path,
            is_open=lambda unit: self._state.stages[unit] == stages.CHECKING,
            happened=self._happened,
            failed=self._failed,
        )
        self._children = children.Children(
            self._claim,
            self._doors,
            self._slow,
            inputs=self._specs.inputs,
            path=self._state.path,
            happened=self._happened,
            failed=self._failed,
        )
        self._parts += self._questions, self._children
        await self._replay(journal)

    async def _replay(self, journal: list[events_pb2.Event]) -> None:
        size = 0
        for count, event in enumerate(journal, 1):
            self._note_start(event)
            engine.step(self._graph, self._state, event)
            size += event.ByteSize()
            if count % _TOGETHER == 0:
                await asyncio.sleep(0)
        self._version = len(journal)
        if journal:
            self._clock.happened(journal[-1].time_us)
        changed = self._state.take_changed()
        # Of a commit in parts only the first may have been written. None is missing where all fits in one.
        if size + sum(map(self._row_bytes, changed)) > steps.COMMIT_BYTES:
            self._step.units.update(dict.fromkeys(changed))
        self._step.status_changed = bool(journal)
        for action in engine.pending(self._graph, self._state):
            self._plan(action)

    def _row_bytes(self, unit: int) -> int:
        """What a unit's row takes in a commit, or a little more."""
        outputs, error = self._state.outputs[unit], self._state.errors.get(unit)
        return (
            _ROW_BYTES
            + (outputs.ByteSize() if outputs is not None else 0)
            + (error.ByteSize() if error is not None else 0)
        )

    async def go(self) -> None:
        """Until the execution has ended; raises Reload on a conflict. Returns too when it is fenced."""
        while not self._finished:
            if self._trouble is not None:
                raise self._trouble
            self._take()
            if self._committing is not None and self._committing.done():
                self._committing.result()
                self._committing = None
            if self._committing is None and self._is_due():
                self._committing = self._loop.create_task(self._persist_and_perform())
                self._committing.add_done_callback(lambda _: self._wake.set())
            await self._wake.wait()
            self._wake.clear()

    def close(self) -> None:
        """Stops all that is under way here; attempts and children go on."""
        for part in self._parts:
            part.close()
        if self._committing is not None:
            self._committing.cancel()

    # Step.

    def _take(self) -> None:
        """Applies what has come, as much as fits in a commit."""
        for sequence in sorted(number for number in self._inbox if number > self._taken_to):
            if not self._step.has_room(self._inbox[sequence]):
                return
            self._taken_to = sequence
            self._step.consumed.append(sequence)
            event = events_pb2.Event()
            event.CopyFrom(self._inbox[sequence])
            self._apply(event)
        while self._fired and self._step.has_room(self._fired[0]):
            self._apply(self._fired.popleft())

    def _apply(self, event: events_pb2.Event) -> None:
        """One event; it is kept for the journal if it changed anything."""
        event.schema = 1
        event.time_us = self._clock.now_us()
        self._clock.happened(event.time_us)
        self._note_start(event)
        actions = engine.step(self._graph, self._state, event)
        changed = self._state.take_changed()
        self._begin_step()
        if actions or changed or self._state.execution_changed:
            self._step.add(event)
        self._step.units.update(dict.fromkeys(changed))
        self._step.status_changed |= self._state.execution_changed
        for action in actions:
            self._plan(action)

    def _note_start(self, event: events_pb2.Event) -> None:
        if event.HasField("execution_started"):
            self._specs.recover_from = event.execution_started.recover_from

    def _begin_step(self) -> None:
        if not self._step.since:
            self._step.since = self._loop.time()
            self._loop.call_later(_HOLD_S, self._wake.set)

    def _plan(self, action: engine.Action) -> None:
        """Puts an action into the step, or performs it when it changes nothing."""
        match action:
            case engine.CheckCache(unit):
                self._questions.ask(unit)
            case engine.Resolve(unit):
                resolved = self._slow.do(functools.partial(self._specs.resolve, unit))
                resolved.add_done_callback(functools.partial(self._resolved, unit))
            case engine.RequestPlace(unit, attempt):
                self._step.places.append(
                    propeller_pb2.PlaceRequest(node=self._state.path(unit), attempt=attempt)
                )
            case engine.StartAttempt(unit, attempt):
                self._plan_attempt(unit, attempt)
            case engine.StopAttempt(unit, attempt):
                self._unmade.discard((unit, attempt))
                # It may have no row: its spec takes long, it waits for a place, or the commit was cut short. Without
                # one nobody can say that it has stopped; where there is one, this changes nothing.
                self._step.attempts.setdefault((unit, attempt), self._specs.reference(unit, attempt))
                self._step.actions.append(action)
            case _:
                self._step.actions.append(action)

    def _plan_attempt(self, unit: int, attempt: int) -> None:
        try:
            spec = self._specs.spec(unit, attempt, at_once=True)
        except attempt_specs.TakesLong:
            self._unmade.add((unit, attempt))
            made = self._slow.do(functools.partial(self._specs.spec, unit, attempt))
            made.add_done_callback(functools.partial(self._made, unit, attempt))
        except errors.TypedflowError as error:
            self._not_made(unit, attempt, error)
        else:
            self._step.attempts[unit, attempt] = spec
            self._step.actions.append(engine.StartAttempt(unit, attempt))

    def _made(self, unit: int, attempt: int, made: asyncio.Future[attempt_pb2.AttemptSpec]) -> None:
        """A thread has made the spec: if it is still wanted it goes with what is committed next."""
        error = None if made.cancelled() else made.exception()
        if made.cancelled() or (unit, attempt) not in self._unmade:
            return
        self._unmade.discard((unit, attempt))
        if error is None:
            self._begin_step()
            self._step.attempts[unit, attempt] = made.result()
            self._step.actions.append(engine.StartAttempt(unit, attempt))
            self._wake.set()
        else:
            self._not_made(unit, attempt, error)

    def _not_made(self, unit: int, attempt: int, error: BaseException) -> None:
        failure = _failure(self._state.path(unit), error)
        if failure is None:
            self._failed(error)
            return
        failed = events_pb2.AttemptFailed(node=failure.node, attempt=attempt, error=failure)
        self._happened(events_pb2.Event(attempt_failed=failed))

    def _resolved(self, unit: int, done: asyncio.Future[events_pb2.NodeResolved]) -> None:
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            resolved = done.result()
        else:
            path = self._state.path(unit) if unit >= 0 else ""
            failure = _failure(path, error)
            if failure is None:
                self._failed(error)
                return
            resolved = events_pb2.NodeResolved(node=path, error=failure)
        self._happened(events_pb2.Event(node_resolved=resolved))

    def _happened(self, event: events_pb2.Event) -> None:
        self._fired.append(event)
        self._wake.set()

    def _failed(self, error: BaseException) -> None:
        self._trouble = self._trouble or error
        self._wake.set()

    # Persist.

    def _is_due(self) -> bool:
        """Whether to commit now.

        Progress that leads to nothing but questions to the cache is held back a little: a chain of hits is one
        commit, not many, and a short attempt's start is told with its end.
        """
        step = self._step
        return step.is_urgent or (not step.is_empty and self._loop.time() >= step.since + _HOLD_S)

    async def _persist_and_perform(self) -> None:
        step, self._step = self._step, steps.Step()
        written = commits.written(self._graph, self._state, step)
        if written.large:
            await self._storing.do(commits.offloading(written, self._doors.store))
        for commit in list(commits.parts(self._claim, step, written)):
            commit.expected_version = self._version
            answer = await self._doors.commit(commit)
            if answer == _FENCED:
                _log.info("execution %s is another propeller's", self._claim.execution_id)
                self._finished = True
                return
            if answer == _CONFLICT:
                raise Reload
            self._version += len(commit.events)
            for sequence in commit.consumed:
                self._inbox.pop(sequence, None)
                self.consumed_to = max(self.consumed_to, sequence)
        for action in step.actions:
            await self._perform(step, action)

    # Perform.

    async def _perform(self, step: steps.Step, action: engine.Action) -> None:
        await self._doors.lease.held()
        match action:
            case engine.StartAttempt(unit, attempt):
                token = self._specs.token(unit, attempt)
                await self._doors.executor.start(step.attempts[unit, attempt], token)
            case engine.StopAttempt(unit, attempt):
                reference, token = self._specs.reference(unit, attempt), self._specs.token(unit, attempt)
                await self._doors.executor.stop(reference, token)
            case engine.SetTimer(unit, attempt, timer, at_us):
                fired = events_pb2.TimerFired(node=self._state.path(unit), attempt=attempt, timer=timer)
                self._timers.set(events_pb2.Event(timer_fired=fired), at_us)
            case engine.LaunchChild(unit):
                graph, number = self._state.place(unit)
                self._children.launch(unit, graph.workflow.nodes[number].launch_plan.launch_plan)
            case engine.StopChild(unit, reason):
                self._children.stop(unit, reason)
            case engine.FinishExecution():
                self._finished = True
                self._wake.set()
            case engine.CheckCache() | engine.Resolve() | engine.RequestPlace():
                raise AssertionError(f"{action} is not performed after a commit")
            case _:
                assert_never(action)


def _failure(path: str, error: BaseException) -> errors_pb2.ExecutionError | None:
    """Why what a unit is given is not to be had; None for a defect of ours."""
    match error:
        case errors.TypedflowError():
            user = isinstance(error, errors.ConversionError)
            return errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_USER if user else errors_pb2.ERROR_KIND_SYSTEM,
                code=error.code,
                message=f"inputs.{error}",
                node=path,
                non_recoverable=user,
            )
        case OSError():
            return errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_SYSTEM,
                code="StorageError",
                message=f"a value could not be stored or fetched: {error}",
                node=path,
            )
        case _:
            return None
