"""Commits of propellers: what waits is written in one transaction, and each execution succeeds or fails alone.

An execution's part is checked against its lease, as it is inside that transaction: an older epoch is FENCED, another
length of the journal a CONFLICT, and neither touches what the others wrote.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from typedflow import errors
from typedflow.pb.attempt_pb2 import AttemptSpec
from typedflow.pb.executions_pb2 import PHASE_QUEUED, PHASE_RUNNING
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
from typedflow_admin import store
from typedflow_admin.bells import Bell
from typedflow_admin.executions import ENDED

_MOST_TOGETHER = 256
_PHASES = ENDED | {PHASE_QUEUED, PHASE_RUNNING}


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A commit that was checked for form, and who waits for its result."""

    holder: str
    commit: Commit
    steps: Sequence[store.Step]
    result: asyncio.Future[CommitResult]


class Commits:
    """Writes commits, all that wait at a time; `changes` wakes who watches the executions."""

    def __init__(self, database: store.Store, changes: Bell) -> None:
        self._database = database
        self._changes = changes
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
            results = await self._database.write(lambda transaction: _apply(transaction, together))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            for one in together:
                if not one.result.done():
                    one.result.set_exception(error)
            return
        for one, statuses in zip(together, results, strict=True):
            parts = [
                ExecutionCommitResult(execution_id=part.execution_id, status=status)
                for part, status in zip(one.commit.executions, statuses, strict=True)
            ]
            for part in parts:
                if part.status == COMMIT_STATUS_OK:
                    self._changes.ring(part.execution_id)
            if not one.result.done():
                one.result.set_result(CommitResult(id=one.commit.id, executions=parts))


def _apply(
    transaction: store.Transaction, together: Sequence[_Waiting]
) -> list[list[CommitStatus.ValueType]]:
    wanted = {part.execution_id for one in together for part in one.commit.executions}
    leases = transaction.leases.find(wanted)
    accepted: list[store.Step] = []
    results = []
    for one in together:
        statuses = []
        for part, step in zip(one.commit.executions, one.steps, strict=True):
            lease = leases.get(part.execution_id)
            status = _check(lease, one.holder, part)
            statuses.append(status)
            if status == COMMIT_STATUS_OK and lease is not None:
                accepted.append(step)
                if step.status is not None and step.status.ended:
                    del leases[part.execution_id]
                else:
                    leases[part.execution_id] = replace(lease, version=step.version)
        results.append(statuses)
    transaction.leases.apply(accepted)
    return results


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
    return store.Step(
        execution_id=part.execution_id,
        version=part.expected_version + len(part.events),
        first_position=part.expected_version,
        events=[event.SerializeToString() for event in part.events],
        consumed=part.consumed,
        nodes=[(node.id, node.SerializeToString()) for node in part.nodes],
        attempts=[_attempt(holder, part, spec) for spec in part.attempts],
        status=_status(part) if part.HasField("status") else None,
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
