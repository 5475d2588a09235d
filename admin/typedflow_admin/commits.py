"""Commits of propellers: what waits is written in one transaction, and each execution succeeds or fails alone.

An execution's part is checked against its lease, as it is inside that transaction: an older epoch is FENCED, another
length of the journal a CONFLICT, and neither touches what the others wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from typedflow import errors
from typedflow.pb.attempt_pb2 import AttemptSpec, Outcome
from typedflow.pb.executions_pb2 import (
    PHASE_QUEUED,
    PHASE_RUNNING,
    NodeExecution,
)
from typedflow.pb.propeller_pb2 import (
    COMMIT_STATUS_CONFLICT,
    COMMIT_STATUS_FENCED,
    COMMIT_STATUS_OK,
    Commit,
    CommitResult,
    CommitStatus,
    ExecutionCommit,
    ExecutionCommitResult,
)
from typedflow_admin import (
    catalog,
    children,
    garbage,
    node_paths,
    reservations,
    statistics,
    store,
)
from typedflow_admin.bells import Bell
from typedflow_admin.executions import ENDED
from typedflow_admin.places import Places

_MOST_TOGETHER = 256
_MOST_NODES = 2**31
_PHASES = ENDED | {PHASE_QUEUED, PHASE_RUNNING}
_ATTEMPT_ENDED = frozenset(("attempt_succeeded", "attempt_failed", "attempt_stopped", "attempt_expanded"))


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A commit that was checked for form, and who waits for its result."""

    holder: str
    commit: Commit
    steps: Sequence[store.Step]
    result: asyncio.Future[CommitResult]


class Commits:
    """Writes commits, all that wait at a time.

    Args:
        database: where they are written.
        places: gives places to attempts of executions that are capped.
        work: wakes the propellers that hold executions which are told something: of a child's end, of a place.
        changes: wakes who watches the executions.
        clock_us: the time, in microseconds since 1970.
    """

    def __init__(
        self,
        database: store.Store,
        places: Places,
        work: Bell,
        changes: Bell,
        clock_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._places = places
        self._work = work
        self._changes = changes
        self._clock_us = clock_us
        self._waiting: list[_Waiting] = []
        self._writing: asyncio.Task[None] | None = None

    async def commit(self, holder: str, commit: Commit) -> CommitResult:
        """The result for each execution, once all of them are on disk.

        Raises:
            UsageError: the commit is malformed.
        """
        steps = [_step(holder, part) for part in commit.executions]
        result: asyncio.Future[CommitResult] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(holder, commit, steps, result))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await result

    async def _write(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
                await self._write_together(together)
        finally:
            self._writing = None

    async def _write_together(self, together: Sequence[_Waiting]) -> None:
        try:
            results, told = await self._write_or_refuse(together)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            for one in together:
                if not one.result.done():
                    one.result.set_exception(error)
            return
        for execution_id in told:
            self._work.ring(execution_id)
        for one, statuses in zip(together, results, strict=True):
            parts = [
                ExecutionCommitResult(execution_id=part.execution_id, status=status)
                for part, status in zip(one.commit.executions, statuses, strict=True)
            ]
            for part, step in zip(parts, one.steps, strict=True):
                if part.status == COMMIT_STATUS_OK:
                    ended = step.status is not None and step.status.ended
                    (self._changes.ring if ended else self._changes.ring_soon)(part.execution_id)
            if not one.result.done():
                one.result.set_result(CommitResult(id=one.commit.id, executions=parts))

    async def _write_or_refuse(
        self, together: Sequence[_Waiting]
    ) -> tuple[list[list[CommitStatus.ValueType]], set[str]]:
        """As `_apply`; a commit that refers to objects which are gone from the store is a CONFLICT.

        Its propeller then loads the execution again, and puts there what it needs.
        """
        try:
            return await self._database.write(lambda transaction: self._apply(transaction, together))
        except errors.IntegrityError as error:
            if error.code != garbage.GONE:
                raise
        if len(together) == 1:
            return [[COMMIT_STATUS_CONFLICT for _ in together[0].commit.executions]], set()
        results, told = [], set()
        for one in together:
            alone, woken = await self._write_or_refuse([one])
            results += alone
            told |= woken
        return results, told

    def _apply(
        self, transaction: store.Transaction, together: Sequence[_Waiting]
    ) -> tuple[list[list[CommitStatus.ValueType]], set[str]]:
        """The results, and the executions whose inboxes have something new."""
        wanted = {part.execution_id for one in together for part in one.commit.executions}
        leases = transaction.leases.find(wanted)
        accepted: list[tuple[ExecutionCommit, store.Step]] = []
        results = []
        for one in together:
            statuses = []
            for part, step in zip(one.commit.executions, one.steps, strict=True):
                lease = leases.get(part.execution_id)
                status = _check(lease, one.holder, part)
                statuses.append(status)
                if status == COMMIT_STATUS_OK and lease is not None:
                    accepted.append((part, step))
                    if step.status is not None and step.status.ended:
                        del leases[part.execution_id]
                    else:
                        leases[part.execution_id] = replace(lease, version=step.version)
            results.append(statuses)
        now = self._clock_us()
        for part, _ in accepted:
            _publish_graphs(transaction, part, now)
        reservations.end(transaction, {part.execution_id: _ended_nodes(part) for part, _ in accepted})
        statistics.count(transaction, [part for part, _ in accepted], now)
        transaction.leases.apply([step for _, step in accepted])
        told = children.tell_parents(transaction, [step for _, step in accepted])
        return results, told | self._move_places(transaction, accepted)

    def _move_places(
        self, transaction: store.Transaction, accepted: Sequence[tuple[ExecutionCommit, store.Step]]
    ) -> set[str]:
        """Writes who asks for places and who gives them back, and grants what is free; gives who got some."""
        queues = transaction.places.queues({part.execution_id for part, _ in accepted})
        if not queues:
            return set()
        asked, given, ended = [], [], []
        for part, step in accepted:
            if part.execution_id not in queues:
                continue
            if step.status is not None and step.status.ended:
                ended.append(part.execution_id)
            asked += [(part.execution_id, each.node, each.attempt) for each in part.places]
            given += [(part.execution_id, *key) for key in _given_back(part)]
        transaction.places.ask(asked)
        transaction.places.give_back(given)
        transaction.places.leave(ended)
        if not (asked or given or ended):
            return set()
        return set(self._places.grant(transaction, {queue.project for queue in queues.values()}))


def _publish_graphs(transaction: store.Transaction, part: ExecutionCommit, now: int) -> None:
    """Publishes what dynamic tasks gave in the end."""
    for given in part.dynamic_outputs:
        found = (
            transaction.attempts.find(part.execution_id, given.node, given.attempt) if given.attempt else None
        )
        if found is None or found[0].outcome is None:
            continue
        attempt = found[0]
        made = Outcome.FromString(attempt.outcome or b"")
        made.outputs.CopyFrom(given.outputs)
        catalog.publish(transaction, AttemptSpec.FromString(attempt.spec), made, attempt.begun_at_us, now)


def _ended_nodes(part: ExecutionCommit) -> set[str]:
    """Nodes that have ended, and will make nothing any more."""
    return {node.id for node in part.nodes if node.phase in reservations.NODE_ENDED}


def _given_back(part: ExecutionCommit) -> Iterator[tuple[str, int]]:
    """The attempts that need no place any more, by node and number; 0 is all of the node's.

    Most were given back when their outcome came; some end without one, and some are given up before they start.
    """
    for event in part.events:
        kind = event.WhichOneof("kind") or ""
        if kind in _ATTEMPT_ENDED:
            ended = getattr(event, kind)
            yield ended.node, ended.attempt
    for node in part.nodes:
        if node.phase in reservations.NODE_ENDED:
            yield node.id, 0


def _check(lease: store.LeaseRow | None, holder: str, part: ExecutionCommit) -> CommitStatus.ValueType:
    if lease is None or lease.holder != holder or lease.epoch != part.epoch:
        return COMMIT_STATUS_FENCED
    return COMMIT_STATUS_OK if lease.version == part.expected_version else COMMIT_STATUS_CONFLICT


def _step(holder: str, part: ExecutionCommit) -> store.Step:
    """The rows of one execution's part, made outside of the transaction."""
    for event in part.events:
        if event.WhichOneof("kind") is None or event.schema != 1:
            raise errors.UsageError(
                "an event of a kind that this server does not know",
                where=f"commit.executions[{part.execution_id}].events",
                hint="use a propeller of the same release as the server",
                code="InvalidRequest",
            )
    # Found out in the transaction, it would be everybody's mistake.
    if max(part.consumed, default=0) >= store.LAST:
        raise errors.UsageError(
            "an inbox row of a number that there can't be",
            where=f"commit.executions[{part.execution_id}].consumed",
            code="InvalidRequest",
        )
    if any(not each.node or not 0 < each.attempt < _MOST_NODES for each in part.places):
        raise errors.UsageError(
            "a place is asked for by an attempt that there can't be",
            where=f"commit.executions[{part.execution_id}].places",
            code="InvalidRequest",
        )
    return store.Step(
        execution_id=part.execution_id,
        version=part.expected_version + len(part.events),
        first_position=part.expected_version,
        events=[event.SerializeToString() for event in part.events],
        consumed=part.consumed,
        nodes=[_node(part, node) for node in part.nodes],
        attempts=[_attempt(holder, part, spec) for spec in part.attempts],
        status=_status(part) if part.HasField("status") else None,
    )


def _node(part: ExecutionCommit, node: NodeExecution) -> store.NodeRow:
    if not node.id or node.position >= _MOST_NODES:
        raise errors.UsageError(
            "a node that there can't be",
            where=f"commit.executions[{part.execution_id}].nodes",
            code="InvalidRequest",
        )
    return store.NodeRow(
        node.id,
        node.position,
        0,
        node.SerializeToString(),
        node.parent,
        node_paths.is_slotted(node.id),
        node.phase,
    )


def _attempt(holder: str, part: ExecutionCommit, spec: AttemptSpec) -> store.AttemptRow:
    if spec.id.execution_id != part.execution_id or not spec.id.node or spec.id.attempt < 1:
        raise errors.UsageError(
            "an attempt that is not one of the execution",
            where=f"commit.executions[{part.execution_id}].attempts",
            code="InvalidRequest",
        )
    return store.AttemptRow(
        part.execution_id, spec.id.node, spec.id.attempt, holder, spec.SerializeToString()
    )


def _status(part: ExecutionCommit) -> store.StatusChange:
    status = part.status
    if status.phase not in _PHASES:
        raise errors.UsageError(
            "an execution can't be in this phase",
            where=f"commit.executions[{part.execution_id}].status.phase",
            code="InvalidRequest",
        )
    return store.StatusChange(
        phase=status.phase,
        outputs=status.outputs.SerializeToString() if status.HasField("outputs") else None,
        error=status.error.SerializeToString() if status.HasField("error") else None,
        started_at_us=status.started_at_us,
        ended_at_us=status.ended_at_us,
        ended=status.phase in ENDED,
    )
