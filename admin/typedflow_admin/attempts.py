"""What runners say of their attempts: may I begin, and here is the outcome.

One runner is admitted to each attempt, and its outcome is kept once: with the inbox row that tells the propeller, and
with the cache entry, in one transaction. An attempt whose runner nobody sees to any more may be given up by another,
who is its runner from then on.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from typedflow import errors, literals
from typedflow.dataplane import offload
from typedflow.pb.attempt_pb2 import AttemptId, AttemptSpec, BeginRequest, FinishRequest, Outcome
from typedflow.pb.events_pb2 import AttemptFailed, AttemptStarted, AttemptStopped, AttemptSucceeded, Event
from typedflow.pb.interface_pb2 import Variable
from typedflow.pb.literals_pb2 import Literal
from typedflow_admin import catalog, store
from typedflow_admin.bells import Bell
from typedflow_admin.executions import EVENT_SCHEMA, MAX_REMARK

_LONGEST_ID = 128


class Attempts:
    """Admits runners and takes their outcomes.

    Args:
        database: where they are kept.
        work: wakes the propeller that waits for them.
        is_gone: whether an executor has been away for so long that what it runs is lost.
        clock_us: the time, in microseconds since 1970.
    """

    def __init__(
        self, database: store.Store, work: Bell, is_gone: Callable[[str], bool], clock_us: Callable[[], int]
    ) -> None:
        self._database = database
        self._work = work
        self._is_gone = is_gone
        self._clock_us = clock_us

    async def begin(self, request: BeginRequest) -> AttemptSpec:
        """Admits the first runner that comes; the same one may ask again.

        Raises:
            UsageError: no uid, or one, an executor's id or a note that is too long.
            StateConflict: another was admitted, the attempt has an outcome, or its execution has ended.
            PermissionDenied: the token is not this attempt's.
        """
        _check_uid(request.runner_uid)
        if len(request.executor_id) > _LONGEST_ID:
            raise errors.UsageError(
                f"an executor's id has at most {_LONGEST_ID} characters",
                where="executor_id",
                code="InvalidRequest",
            )
        if len(request.note) > MAX_REMARK:
            raise errors.UsageError(
                f"a note has at most {MAX_REMARK:,} characters", where="note", code="InvalidRequest"
            )
        id_, now = request.id, self._clock_us()
        started = AttemptStarted(node=id_.node, attempt=id_.attempt, note=request.note)
        event = Event(schema=EVENT_SCHEMA, attempt_started=started).SerializeToString()

        def admit(transaction: store.Transaction) -> bytes:
            row = _find(transaction, id_, request.token)
            if row.outcome is not None:
                raise errors.StateConflict(f"{_name(id_)} has ended", code="AttemptEnded")
            if row.runner_uid == request.runner_uid:
                return row.spec
            if row.runner_uid:
                raise _taken(id_)
            if not transaction.leases.post(id_.execution_id, event):
                raise errors.StateConflict(f"execution `{id_.execution_id}` has ended", code="ExecutionEnded")
            transaction.attempts.admit(
                id_.execution_id, id_.node, id_.attempt, request.runner_uid, request.executor_id, now
            )
            return row.spec

        spec = await self._database.write(admit)
        self._work.ring(id_.execution_id)
        return AttemptSpec.FromString(spec)

    async def finish(self, request: FinishRequest) -> None:
        """Keeps the outcome of the admitted runner; repeated, it changes nothing.

        That an attempt failed or was stopped may be said by whoever has its token while no runner was admitted, or
        when the executor of the one that was is gone.

        Raises:
            UsageError: no outcome, or outputs that are not those of the task, or not of their types.
            StateConflict: the runner was not admitted.
            PermissionDenied: the token is not this attempt's.
        """
        _check_uid(request.runner_uid)
        id_, now, outcome = request.id, self._clock_us(), request.outcome
        if outcome.WhichOneof("result") is None:
            raise errors.UsageError(
                "there is no result in the outcome", where="outcome", code="InvalidRequest"
            )

        def keep(transaction: store.Transaction) -> None:
            row = _find(transaction, id_, request.token)
            is_admitted = row.runner_uid == request.runner_uid
            is_over = row.runner_uid and row.outcome is not None
            if not is_admitted and (is_over or outcome.HasField("outputs")):
                raise errors.StateConflict(
                    f"this runner was not admitted to {_name(id_)}", code="NotAdmitted"
                )
            if row.outcome is not None:
                return
            if not is_admitted:
                if row.runner_uid and not self._is_gone(row.executor_id):
                    raise _taken(id_)
                transaction.attempts.admit(
                    id_.execution_id, id_.node, id_.attempt, request.runner_uid, "", now
                )
            spec = AttemptSpec.FromString(row.spec)
            event = _event(transaction, spec, outcome, now)
            transaction.attempts.finish(
                id_.execution_id, id_.node, id_.attempt, outcome.SerializeToString(), now
            )
            # An execution that has ended takes no news, and needs none.
            transaction.leases.post(id_.execution_id, event.SerializeToString())

        await self._database.write(keep)
        self._work.ring(id_.execution_id)


def token(secret: bytes, id_: AttemptId) -> str:
    """The token that is good for one attempt."""
    return hmac.digest(secret, f"{id_.execution_id}/{id_.node}/{id_.attempt}".encode(), "sha256").hex()


def _find(transaction: store.Transaction, id_: AttemptId, given: str) -> store.AttemptRow:
    found = transaction.attempts.find(id_.execution_id, id_.node, id_.attempt) if id_.attempt else None
    # Whether an attempt exists is nobody's business without its token.
    if found is None or not hmac.compare_digest(token(found[1], id_).encode(), given.encode()):
        raise errors.PermissionDenied(
            f"the token is not that of {_name(id_)}", hint="a runner uses the token that it was started with"
        )
    return found[0]


def _event(transaction: store.Transaction, spec: AttemptSpec, outcome: Outcome, at_us: int) -> Event:
    node, attempt = spec.id.node, spec.id.attempt
    if outcome.HasField("error"):
        return Event(
            schema=EVENT_SCHEMA, attempt_failed=AttemptFailed(node=node, attempt=attempt, error=outcome.error)
        )
    if outcome.HasField("stopped"):
        return Event(schema=EVENT_SCHEMA, attempt_stopped=AttemptStopped(node=node, attempt=attempt))
    declared = [output.name for output in spec.interface.outputs]
    given = [output.name for output in outcome.outputs.values]
    if given != declared:
        raise errors.UsageError(
            f"task `{spec.task}` gives {declared}, not {given}",
            where="outcome.outputs",
            code="InvalidRequest",
        )
    for output, value in zip(spec.interface.outputs, outcome.outputs.values, strict=True):
        _check_output(value.value, output)
    status, reason = catalog.publish(transaction, spec, outcome, at_us)
    succeeded = AttemptSucceeded(
        node=node,
        attempt=attempt,
        outputs=outcome.outputs,
        cache=status,
        cache_reason=reason,
        usage=outcome.usage,
    )
    return Event(schema=EVENT_SCHEMA, attempt_succeeded=succeeded)


def _check_output(value: Literal, output: Variable) -> None:
    path = f"outputs.{output.name}"
    problem = literals.misfit(value, output.type, path)
    if not problem and value.ByteSize() > offload.LIMIT:
        problem = f"{path}: a value of more than {offload.LIMIT >> 20} MiB travels by reference"
    if problem:
        raise errors.UsageError(problem, where="outcome.outputs", code="InvalidRequest")


def _check_uid(uid: str) -> None:
    if not uid or len(uid) > _LONGEST_ID:
        raise errors.UsageError(
            f"a runner has a uid of 1 to {_LONGEST_ID} characters", where="runner_uid", code="InvalidRequest"
        )


def _taken(id_: AttemptId) -> errors.StateConflict:
    return errors.StateConflict(f"another runner was admitted to {_name(id_)}", code="AttemptTaken")


def _name(id_: AttemptId) -> str:
    return f"attempt {id_.attempt} of node `{id_.node}` in execution `{id_.execution_id}`"
