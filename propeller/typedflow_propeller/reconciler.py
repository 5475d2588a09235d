"""Drives one execution: load, then events in, one commit, actions out, until it has ended or is somebody else's.

    step      whatever has come (inbox rows, timers, answers of the catalog) is applied to the state
    persist   the events are committed with the length of the journal that they follow
    perform   what they lead to is done; never before

Only looking in the catalog is done before its event is persisted, for it changes nothing. Level-triggered: what came
is kept until a commit consumed it, and after a conflict everything begins again from the journal. The loop is
everybody's: what needs the store is done in a thread, and only that, for a thread costs more than a small value.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from typedflow import engine, errors
from typedflow.dataplane import objects, offload
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    propeller_pb2,
    workflows_pb2,
)
from typedflow_propeller import attempt_specs, backoff, executor, lease

_log = logging.getLogger(__name__)

# How long progress that there is nothing to do about may stay unwritten.
_HOLD_S = 0.05
# A commit takes no more than this, or one thing that is larger; gRPC messages end at 16 MiB.
_COMMIT_BYTES = 4 * 1024 * 1024
# What a node takes in a commit, besides what is in its events: its names, mostly.
_NODE_BYTES = 1024

_FENCED, _CONFLICT = propeller_pb2.COMMIT_STATUS_FENCED, propeller_pb2.COMMIT_STATUS_CONFLICT
_Loaded = tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]


class Doors(Protocol):
    """What a reconciler asks of the propeller that it is in."""

    executor: executor.Executor
    store: objects.ObjectStore
    lease: lease.Lease

    def now_us(self) -> int:
        """The time, in microseconds since 1970."""

    async def load(self, execution_id: str) -> _Loaded:
        """The compiled workflow and the journal."""

    def look_up(self, key: str) -> asyncio.Future[catalog_pb2.LookupResult]:
        """What the catalog has under the key."""

    def commit(
        self, commit: propeller_pb2.ExecutionCommit
    ) -> asyncio.Future[propeller_pb2.CommitStatus.ValueType]:
        """Commits, together with others that are ready."""


@dataclass(slots=True)
class _Step:
    """What is not committed yet: events, the rows that they answer, and what is to be done once they are committed."""

    events: list[events_pb2.Event] = field(default_factory=list)
    consumed: list[int] = field(default_factory=list)
    nodes: dict[int, None] = field(default_factory=dict)
    attempts: list[attempt_pb2.AttemptSpec] = field(default_factory=list)
    # Attempts, by node and number, whose specs take a thread, and those that it has made.
    unmade: list[tuple[int, int]] = field(default_factory=list)
    made: dict[tuple[int, int], attempt_pb2.AttemptSpec] = field(default_factory=dict)
    actions: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    status_changed: bool = False
    size: int = 0
    since: float = 0.0

    @property
    def is_empty(self) -> bool:
        return not self.events and not self.consumed

    def has_room(self, event: events_pb2.Event) -> bool:
        """Whether the event may be taken too; the first always may."""
        return not self.size or self.size + event.ByteSize() <= _COMMIT_BYTES


class _Reload(Exception):
    """The journal is not what we thought."""


class Reconciler:
    """One execution, for as long as the claim holds."""

    def __init__(self, claim: propeller_pb2.Claim, doors: Doors) -> None:
        self.claim = claim
        self._doors = doors
        self._inbox: dict[int, events_pb2.Event] = {}  # rows that no commit has consumed, in order
        self._consumed_to = 0
        self._wake = asyncio.Event()

    def deliver(self, rows: Sequence[propeller_pb2.InboxRow]) -> None:
        """Rows of the inbox; they may come again and again."""
        for row in rows:
            if row.sequence > self._consumed_to:
                self._inbox.setdefault(row.sequence, row.event)
        self._wake.set()

    async def run(self) -> None:
        """Returns when the execution has ended or is not ours any more."""
        while True:
            drive = _Drive(self.claim, self._doors, self._inbox, self._wake)
            try:
                await drive.load()
                await drive.go()
                return
            except _Reload:
                _log.info("execution %s: the journal has moved on; loading it again", self.claim.execution_id)
            finally:
                drive.close()
                self._consumed_to = max(self._consumed_to, drive.consumed_to)


class _Drive:
    """From one load of the journal to the next, or to the end."""

    def __init__(
        self,
        claim: propeller_pb2.Claim,
        doors: Doors,
        inbox: dict[int, events_pb2.Event],
        wake: asyncio.Event,
    ) -> None:
        self.consumed_to = 0
        self._claim = claim
        self._doors = doors
        self._inbox = inbox
        self._wake = wake
        self._taken_to = 0
        self._fired: deque[events_pb2.Event] = deque()  # timers and answers of the catalog
        self._questions: set[asyncio.Task[None]] = set()
        self._trouble: BaseException | None = None  # what a question ended with, and must not have
        self._timers: list[asyncio.TimerHandle] = []
        self._step = _Step()
        self._committing: asyncio.Task[None] | None = None
        self._finished = False
        self._last_us = 0
        self._version = 0
        self._loop = asyncio.get_running_loop()

    async def load(self) -> None:
        """Replays the journal, and sees that all is under way that should be."""
        compiled, journal = await backoff.until_reached(lambda: self._doors.load(self._claim.execution_id))
        self._graph = engine.Graph(compiled)
        self._state = engine.State(self._graph)
        self._specs = attempt_specs.AttemptSpecs(self._claim, self._graph, self._state, self._doors.store)
        size = 0
        for event in journal:
            engine.step(self._graph, self._state, event)
            self._last_us = event.time_us
            size += event.ByteSize()
        self._version = len(journal)
        changed = self._state.take_changed()
        # Of a commit in parts only the first may have been written. None is missing where all fits in one.
        if size + _NODE_BYTES * len(changed) > _COMMIT_BYTES:
            self._step.nodes.update(dict.fromkeys(changed))
        self._step.status_changed = bool(journal)
        for action in engine.pending(self._graph, self._state):
            self._plan(action)

    async def go(self) -> None:
        """Until the execution has ended; raises _Reload on a conflict. Returns too when it is fenced."""
        while not self._finished:
            if self._trouble is not None:
                raise self._trouble
            self._take()
            if self._committing is not None and self._committing.done():
                self._committing.result()
                self._committing = None
            if self._committing is None and self._is_due():
                self._committing = asyncio.create_task(self._persist_and_perform())
                self._committing.add_done_callback(lambda _: self._wake.set())
            await self._wake.wait()
            self._wake.clear()

    def close(self) -> None:
        """Stops all that is under way here; attempts go on."""
        for timer in self._timers:
            timer.cancel()
        for task in (*self._questions, self._committing):
            if task is not None:
                task.cancel()

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
        self._last_us = max(self._last_us, self._doors.now_us())
        event.schema = 1
        event.time_us = self._last_us
        actions = engine.step(self._graph, self._state, event)
        changed = self._state.take_changed()
        if not self._step.since:
            self._step.since = self._loop.time()
            self._loop.call_later(_HOLD_S, self._wake.set)
        if actions or changed or self._state.execution_changed:
            self._step.events.append(event)
            self._step.size += event.ByteSize()
        self._step.nodes.update(dict.fromkeys(changed))
        self._step.status_changed |= self._state.execution_changed
        for action in actions:
            self._plan(action)

    def _plan(self, action: engine.Action) -> None:
        """Puts an action into the step, or performs it when it only reads."""
        match action:
            case engine.CheckCache(node):
                self._ask(node)
            case engine.StartAttempt(node, attempt):
                self._plan_attempt(node, attempt)
            case engine.StopAttempt(node, attempt):
                self._step.actions.append(lambda: self._stop(node, attempt))
            case engine.SetTimer():
                self._step.actions.append(lambda: self._set_timer(action))
            case engine.FinishExecution():
                self._step.actions.append(self._finish)
            case _:
                assert_never(action)

    def _plan_attempt(self, node: int, attempt: int) -> None:
        step = self._step
        try:
            made = self._spec(node, attempt, at_once=True)
        except attempt_specs.TakesLong:
            step.unmade.append((node, attempt))
            step.actions.append(lambda: self._start_made(step, node, attempt))
            return
        if isinstance(made, attempt_pb2.AttemptSpec):
            step.attempts.append(made)
            step.actions.append(lambda: self._start(made, node))
        else:
            self._attempt_failed(attempt, made)

    def _spec(
        self, node: int, attempt: int, *, at_once: bool = False
    ) -> attempt_pb2.AttemptSpec | errors_pb2.ExecutionError:
        """The attempt's spec; a failure when an input is not to be had."""
        try:
            return self._specs.spec(node, attempt, at_once=at_once)
        except errors.TypedflowError as error:
            user = isinstance(error, errors.ConversionError)
            return errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_USER if user else errors_pb2.ERROR_KIND_SYSTEM,
                code=error.code,
                message=f"inputs.{error}",
                node=self._graph.ids[node],
                non_recoverable=user,
            )
        except OSError as error:
            return errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_SYSTEM,
                code="StorageError",
                message=f"an input could not be stored or fetched: {error}",
                node=self._graph.ids[node],
            )

    def _attempt_failed(self, attempt: int, error: errors_pb2.ExecutionError) -> None:
        failed = events_pb2.AttemptFailed(node=error.node, attempt=attempt, error=error)
        self._happened(events_pb2.Event(attempt_failed=failed))

    def _happened(self, event: events_pb2.Event) -> None:
        self._fired.append(event)
        self._wake.set()

    # Persist.

    def _is_due(self) -> bool:
        """Whether to commit now.

        Progress that leads to nothing but questions to the catalog is held back a little: a chain of hits is one
        commit, not many, and a short attempt's start is told with its end.
        """
        step = self._step
        return bool(step.actions) or (not step.is_empty and self._loop.time() >= step.since + _HOLD_S)

    async def _persist_and_perform(self) -> None:
        step, self._step = self._step, _Step()
        # As they are now: while a thread is busy the state goes on.
        nodes = [engine.node_execution(self._graph, self._state, node) for node in step.nodes]
        status = engine.execution_status(self._graph, self._state) if step.status_changed else None
        await self._store_values(step, status)
        for commit in list(self._commits(step, nodes, status)):
            commit.expected_version = self._version
            answer = await self._doors.commit(commit)
            if answer == _FENCED:
                _log.info("execution %s is another propeller's", self._claim.execution_id)
                self._finished = True
                return
            if answer == _CONFLICT:
                raise _Reload
            self._version += len(commit.events)
            for sequence in commit.consumed:
                self._inbox.pop(sequence, None)
                self.consumed_to = max(self.consumed_to, sequence)
        for perform in step.actions:
            await perform()

    async def _store_values(self, step: _Step, status: propeller_pb2.ExecutionStatus | None) -> None:
        """Makes the specs that are left to make, and sees that the execution's outputs fit in a message."""
        if step.unmade:
            made = await asyncio.to_thread(lambda: [self._spec(*attempt) for attempt in step.unmade])
            for (node, attempt), each in zip(step.unmade, made, strict=True):
                if isinstance(each, attempt_pb2.AttemptSpec):
                    step.attempts.append(each)
                    step.made[node, attempt] = each
                else:
                    self._attempt_failed(attempt, each)
        if status is not None and status.outputs.ByteSize() > offload.LIMIT:
            await asyncio.to_thread(offload.offload_all, status.outputs, self._doors.store)

    def _commits(
        self,
        step: _Step,
        nodes: Sequence[executions_pb2.NodeExecution],
        status: propeller_pb2.ExecutionStatus | None,
    ) -> Iterator[propeller_pb2.ExecutionCommit]:
        """What the step writes: one commit, or more where it is too large for one.

        The events are in the first and the status is in the last, for nothing can be written once it says that the
        execution has ended. Whoever takes over in between writes the others, as they follow from the journal.
        """
        commit = self._commit(events=step.events, consumed=step.consumed)
        size = sum(event.ByteSize() for event in step.events)
        for told in nodes:
            size += told.ByteSize()
            if size > _COMMIT_BYTES and (commit.events or commit.nodes):
                yield commit
                commit, size = self._commit(), told.ByteSize()
            commit.nodes.append(told)
        for spec in step.attempts:
            size += spec.ByteSize()
            if size > _COMMIT_BYTES:
                yield commit
                commit, size = self._commit(), spec.ByteSize()
            commit.attempts.append(spec)
        if status is not None:
            if size + status.ByteSize() > _COMMIT_BYTES:
                yield commit
                commit = self._commit()
            commit.status.CopyFrom(status)
        yield commit

    def _commit(
        self, events: Sequence[events_pb2.Event] = (), consumed: Sequence[int] = ()
    ) -> propeller_pb2.ExecutionCommit:
        return propeller_pb2.ExecutionCommit(
            execution_id=self._claim.execution_id, epoch=self._claim.epoch, events=events, consumed=consumed
        )

    # Perform.

    async def _start(self, spec: attempt_pb2.AttemptSpec, node: int) -> None:
        await self._doors.lease.held()
        await self._doors.executor.start(spec, self._specs.token(node, spec.id.attempt))

    async def _start_made(self, step: _Step, node: int, attempt: int) -> None:
        """Where a thread has made the spec, that is: else its failure is on the way."""
        spec = step.made.get((node, attempt))
        if spec is not None:
            await self._start(spec, node)

    async def _stop(self, node: int, attempt: int) -> None:
        await self._doors.lease.held()
        await self._doors.executor.stop(
            self._specs.reference(node, attempt), self._specs.token(node, attempt)
        )

    async def _set_timer(self, action: engine.SetTimer) -> None:
        fired = events_pb2.TimerFired(
            node=self._graph.ids[action.node], attempt=action.attempt, timer=action.timer
        )
        event = events_pb2.Event(timer_fired=fired)
        seconds = max(0.0, (action.at_us - self._doors.now_us()) / 1e6)
        self._timers.append(self._loop.call_later(seconds, self._happened, event))

    async def _finish(self) -> None:
        self._finished = True
        self._wake.set()

    def _ask(self, node: int) -> None:
        """Looks the node up in the catalog."""
        question = asyncio.create_task(self._check_cache(node))
        self._questions.add(question)
        question.add_done_callback(self._answered)

    def _answered(self, question: asyncio.Task[None]) -> None:
        self._questions.discard(question)
        if not question.cancelled():
            self._trouble = self._trouble or question.exception()
        self._wake.set()

    async def _check_cache(self, node: int) -> None:
        checked = events_pb2.CacheChecked(node=self._graph.ids[node], status=catalog_pb2.CACHE_STATUS_MISS)
        try:
            try:
                key = self._specs.cache_key(node, at_once=True)
            except attempt_specs.TakesLong:
                key = await asyncio.to_thread(self._specs.cache_key, node)
        except errors.TypedflowError as error:
            # The attempt will fail for the same reason, and say more.
            checked.reason = f"inputs: {error.code}"
        except OSError:
            checked.reason = "inputs: StorageError"
        else:
            checked.key = key
            _answer(checked, await self._look_up(key))
        self._happened(events_pb2.Event(cache_checked=checked))

    async def _look_up(self, key: str) -> catalog_pb2.LookupResult:
        for pause in backoff.pauses():
            try:
                return await self._doors.look_up(key)
            except errors.TypedflowError as error:
                _log.warning("the catalog can't be asked, will try again: %s", error)
                await asyncio.sleep(pause)
        raise AssertionError("pauses() does not end")


def _answer(checked: events_pb2.CacheChecked, found: catalog_pb2.LookupResult) -> None:
    """Fills in what the catalog said."""
    if not found.HasField("entry"):
        checked.reason = found.reason
        return
    entry = found.entry
    checked.status = catalog_pb2.CACHE_STATUS_HIT
    checked.outputs.CopyFrom(entry.outputs)
    checked.saved.CopyFrom(entry.usage)
    checked.producer_execution_id = entry.execution_id
    checked.producer_node = entry.node
    checked.producer_attempt = entry.attempt
