"""What runners say of their attempts: may I begin, and here is the outcome.

One runner is admitted to each attempt, and its outcome is kept once: with the inbox row that tells the propeller, with
the cache entry, and with the place that it gives back, in one transaction. An attempt whose runner nobody sees to any
more may be given up by another, who is its runner from then on.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from typedflow import errors, literal_types, literals
from typedflow.dataplane import digests, offload
from typedflow.pb.attempt_pb2 import AttemptId, AttemptSpec, BeginRequest, FinishRequest, Outcome
from typedflow.pb.events_pb2 import (
    AttemptExpanded,
    AttemptFailed,
    AttemptStarted,
    AttemptStopped,
    AttemptSucceeded,
)
from typedflow.pb.interface_pb2 import Variable
from typedflow.pb.literals_pb2 import Blob, Literal
from typedflow.pb.propeller_pb2 import AttemptInquiry, InboxRow
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import catalog, compiled_nodes, expansion, garbage, inbox, references, store
from typedflow_admin.bells import Bell
from typedflow_admin.contents import Contents
from typedflow_admin.places import Places

_LONGEST_ID = 128
_GIVES = frozenset({"outputs", "expanded"})
_LARGEST_DECK = 16 * 1024 * 1024
_LITTLE = 16 * 1024
"""Bytes of an outcome that takes no time to look through."""
_LEFT_BEHIND = {"file": literal_types.file(), "directory": literal_types.directory()}
"""What a checkpoint may be."""


class Executors(Protocol):
    """Those who see to runners, as `work.Work` hears of them."""

    def is_gone(self, executor_id: str) -> bool:
        """Whether it has been away for so long that what it runs is lost."""

    def inquire(self, executor_id: str, inquiry: AttemptInquiry) -> None:
        """Asks it what became of a runner; waits for nothing."""


class Attempts:
    """Admits runners and takes their outcomes.

    Args:
        database: where they are kept.
        contents: looks into what they gave.
        work: wakes the propeller that waits for them.
        places: gives the place of an attempt that has ended to another.
        executors: who is asked, before a runner is lost.
        clock_us: the time, in microseconds since 1970.
    """

    def __init__(
        self,
        database: store.Store,
        contents: Contents,
        work: Bell,
        places: Places,
        executors: Executors,
        clock_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._contents = contents
        self._work = work
        self._places = places
        self._executors = executors
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
        inbox.check_remark(request.note, "note", "a note")
        id_, now = request.id, self._clock_us()
        started = AttemptStarted(node=id_.node, attempt=id_.attempt, note=request.note)

        def admit(transaction: store.Transaction) -> tuple[bytes, InboxRow | None]:
            row = _find(transaction, id_, request.token)
            if row.outcome is not None:
                raise errors.StateConflict(f"{_name(id_)} has ended", code="AttemptEnded")
            if row.runner_uid == request.runner_uid:
                return row.spec, None
            if row.runner_uid:
                raise _Taken(id_, row)
            news = inbox.post(transaction, id_.execution_id, attempt_started=started)
            if news is None:
                raise errors.StateConflict(f"execution `{id_.execution_id}` has ended", code="ExecutionEnded")
            transaction.attempts.admit(
                id_.execution_id, id_.node, id_.attempt, request.runner_uid, request.executor_id, now
            )
            return row.spec, news

        spec, news = await self._database.write(admit)
        # Nothing waits for a start; a short attempt's end may follow.
        if news is not None:
            self._work.tell(id_.execution_id, news, soon=True)
        else:
            self._work.ring_soon(id_.execution_id)
        return AttemptSpec.FromString(spec)

    async def finish(self, request: FinishRequest) -> None:
        """Keeps the outcome of the admitted runner; repeated, it changes nothing.

        That an attempt failed or was stopped may be said by whoever has its token while no runner was admitted, or
        when the executor of the one that was is gone. While that is there it is asked, and says in the runner's name
        that nothing is left of it, where that is so.

        Raises:
            UsageError: no outcome, or outputs that are not those of the task, or not of their types.
            StateConflict: the runner was not admitted.
            PermissionDenied: the token is not this attempt's.
            IntegrityError: what it gave is not there any more; ObjectsGone: whoever puts it there may say it again.
        """
        _check_uid(request.runner_uid)
        kind = request.outcome.WhichOneof("result")
        if kind is None:
            raise errors.UsageError(
                "there is no result in the outcome", where="outcome", code="InvalidRequest"
            )
        _check_left_behind(request.outcome)
        expanded = await self._expanded(request) if kind == "expanded" else None
        try:
            granted, news = await self._write(request, expanded)
        except _Taken as taken:
            self._inquire(request, taken.by)
            raise
        except errors.IntegrityError as error:
            if error.code != garbage.GONE or kind in _GIVES:
                raise
            # It failed, or was stopped, all the same: only what it left behind is not there any more.
            without = FinishRequest()
            without.CopyFrom(request)
            without.outcome.ClearField("checkpoint")
            without.outcome.ClearField("deck")
            granted, news = await self._write(without, expanded)
        woken = set(granted)
        if news is not None:
            self._work.tell(request.id.execution_id, news)
        else:
            woken.add(request.id.execution_id)
        for execution_id in woken:
            self._work.ring(execution_id)

    def _inquire(self, request: FinishRequest, by: store.AttemptRow) -> None:
        inquiry = AttemptInquiry(
            attempt=request.id,
            token=request.token,
            runner_uid=by.runner_uid,
            stop=request.outcome.HasField("stopped"),
        )
        self._executors.inquire(by.executor_id, inquiry)

    async def _write(
        self, request: FinishRequest, expanded: _Expanded | None
    ) -> tuple[list[str], InboxRow | None]:
        """Keeps the outcome; gives the executions that got the attempt's place, and what its propeller is told.

        Raises:
            IntegrityError: it points at objects that are not there any more, or are not what they should be.
        """
        if request.outcome.ByteSize() > _LITTLE:
            inside = await asyncio.to_thread(self._contents.all, references.of(request.outcome))
        else:  # mostly it points at nothing
            found = list(references.of(request.outcome))
            inside = await asyncio.to_thread(self._contents.all, found) if found else {}
        return await self._database.write(
            partial(self._keep, request=request, expanded=expanded, objects=inside.keys())
        )

    async def _expanded(self, request: FinishRequest) -> _Expanded:
        """What a dynamic task said is to be done, compiled before anything is written: that may take a while."""
        read = await self._database.read(partial(_dynamic, request=request))
        if read is None:
            return _Expanded()  # it is known already
        spec, graphs = read
        return await self._compiled(request, spec, graphs)

    async def _compiled(
        self, request: FinishRequest, spec: AttemptSpec, graphs: Mapping[str, bytes]
    ) -> _Expanded:
        try:
            sent = await asyncio.to_thread(_sent, request, spec, graphs)
            known = await self._database.read(partial(expansion.known, request=sent))
            graph = await asyncio.to_thread(expansion.compiled, sent, known, spec.interface)
        except (errors.UsageError, errors.CompileError, errors.StateConflict, errors.Unimplemented) as error:
            failed = Outcome(error=expansion.failure(error, request.id.node), usage=request.outcome.usage)
            if request.outcome.HasField("deck"):
                failed.deck.CopyFrom(request.outcome.deck)
            return _Expanded(failed=failed)
        return _Expanded(graph=graph)

    def _keep(
        self,
        transaction: store.Transaction,
        *,
        request: FinishRequest,
        expanded: _Expanded | None,
        objects: Collection[str],
    ) -> tuple[list[str], InboxRow | None]:
        """Writes what became of the attempt, if that is not there yet; gives what `_write` does.

        `objects`: the digests of all that it points at. Those that are only in others are claimed here.
        """
        id_, now = request.id, self._clock_us()
        row = self._admitted(transaction, request, now)
        if row.outcome is not None:
            return [], None
        graph = expanded.graph if expanded is not None else None
        outcome = expanded.failed if expanded is not None and expanded.failed is not None else request.outcome
        transaction.objects.claim(objects)
        spec = AttemptSpec.FromString(row.spec)
        event = _event(transaction, spec, outcome, graph, row.begun_at_us, now)
        if graph is not None:
            transaction.executions.put_expansion(id_.execution_id, id_.node, graph.SerializeToString())
        transaction.attempts.finish(id_.execution_id, id_.node, id_.attempt, outcome.SerializeToString(), now)
        # An execution that has ended takes no news, and needs none.
        news = inbox.post(transaction, id_.execution_id, **event)
        queue = transaction.places.queues([id_.execution_id]).get(id_.execution_id)
        if queue is None:
            return [], news
        transaction.places.give_back([(id_.execution_id, id_.node, id_.attempt)])
        return self._places.grant(transaction, [queue.project]), news

    def _admitted(self, transaction: store.Transaction, request: FinishRequest, now: int) -> store.AttemptRow:
        """The attempt, whose runner this is, or is from now on."""
        id_ = request.id
        row = _find(transaction, id_, request.token)
        is_admitted = row.runner_uid == request.runner_uid
        is_over = row.runner_uid and row.outcome is not None
        gives = request.outcome.WhichOneof("result") in _GIVES
        if not is_admitted and (is_over or gives):
            raise _not_admitted(id_)
        if row.outcome is None and not is_admitted:
            if row.runner_uid and not self._executors.is_gone(row.executor_id):
                raise _Taken(id_, row)
            transaction.attempts.admit(id_.execution_id, id_.node, id_.attempt, request.runner_uid, "", now)
        return row


class _Taken(errors.StateConflict):
    """Another runner has the attempt; `by` is the attempt's row, which says who sees to that one."""

    def __init__(self, id_: AttemptId, by: store.AttemptRow) -> None:
        super().__init__(f"another runner was admitted to {_name(id_)}", code="AttemptTaken")
        self.by = by


@dataclass(frozen=True, slots=True)
class _Expanded:
    """What came of a dynamic task's graph: that, or the outcome in its place; nothing if the attempt has ended."""

    graph: CompiledWorkflow | None = None
    failed: Outcome | None = None


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


def _dynamic(
    transaction: store.Transaction, *, request: FinishRequest
) -> tuple[AttemptSpec, Mapping[str, bytes]] | None:
    """The attempt, and the graphs that may have its task; None: it has ended."""
    id_ = request.id
    row = _find(transaction, id_, request.token)
    found = transaction.executions.find(id_.execution_id)
    if row.outcome is not None or found is None:
        return None
    if row.runner_uid != request.runner_uid:
        raise _not_admitted(id_)
    spec = AttemptSpec.FromString(row.spec)
    if not spec.dynamic:
        raise errors.UsageError(
            f"task `{spec.task}` gives values, no graph", where="outcome", code="InvalidRequest"
        )
    return spec, compiled_nodes.graphs(transaction, found[1], id_.node)


def _sent(request: FinishRequest, spec: AttemptSpec, graphs: Mapping[str, bytes]) -> expansion.Request:
    """What was sent, as of the task's own version."""
    located = compiled_nodes.locate(graphs, request.id.node)
    task = located.task() if located is not None else None
    return expansion.request(request.outcome.expanded, spec, task.id.version if task is not None else "")


def _event(
    transaction: store.Transaction,
    spec: AttemptSpec,
    outcome: Outcome,
    graph: CompiledWorkflow | None,
    begun_at_us: int,
    at_us: int,
) -> dict[str, object]:
    """What the propeller is told, as `inbox.post` takes it; publishes what is cached, or lets others make it."""
    node, attempt = spec.id.node, spec.id.attempt
    checkpoint = outcome.checkpoint if outcome.HasField("checkpoint") else None
    deck = outcome.deck if outcome.HasField("deck") else None
    match outcome.WhichOneof("result"):
        case "error":
            catalog.release(transaction, spec)
            failed = AttemptFailed(
                node=node, attempt=attempt, error=outcome.error, checkpoint=checkpoint, deck=deck
            )
            return {"attempt_failed": failed}
        case "stopped":
            catalog.release(transaction, spec)
            return {"attempt_stopped": AttemptStopped(node=node, attempt=attempt, checkpoint=checkpoint)}
        case "expanded":
            expanded = AttemptExpanded(
                node=node, attempt=attempt, graph=graph, usage=outcome.usage, deck=deck
            )
            return {"attempt_expanded": expanded}
        case _:
            _check_outputs(spec, outcome)
            status, reason = catalog.publish(transaction, spec, outcome, begun_at_us, at_us)
            succeeded = AttemptSucceeded(
                node=node,
                attempt=attempt,
                outputs=outcome.outputs,
                cache=status,
                cache_reason=reason,
                usage=outcome.usage,
                deck=deck,
            )
            return {"attempt_succeeded": succeeded}


def _check_outputs(spec: AttemptSpec, outcome: Outcome) -> None:
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


def _check_left_behind(outcome: Outcome) -> None:
    """Refuses a checkpoint that the next attempt could not take, and what is no report."""
    problem = ""
    if outcome.HasField("checkpoint"):
        of = _LEFT_BEHIND.get(outcome.checkpoint.WhichOneof("value") or "")
        problem = (
            "a checkpoint is a file or a directory"
            if of is None
            else literals.misfit(outcome.checkpoint, of, "checkpoint")
        )
        if not problem and outcome.checkpoint.ByteSize() > offload.LIMIT:
            problem = (
                f"a checkpoint that is told of in more than {offload.LIMIT >> 20} MiB has too many files"
            )
    if problem:
        raise errors.UsageError(problem, where="outcome.checkpoint", code="InvalidRequest")
    if outcome.HasField("deck") and not _is_deck(outcome.deck):
        raise errors.UsageError(
            f"a report is an object of at most {_LARGEST_DECK >> 20} MiB",
            where="outcome.deck",
            code="InvalidRequest",
        )


def _is_deck(blob: Blob) -> bool:
    return digests.is_digest(blob.digest) and bool(blob.uri) and blob.size <= _LARGEST_DECK


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


def _not_admitted(id_: AttemptId) -> errors.StateConflict:
    return errors.StateConflict(f"this runner was not admitted to {_name(id_)}", code="NotAdmitted")


def _name(id_: AttemptId) -> str:
    return f"attempt {id_.attempt} of node `{id_.node}` in execution `{id_.execution_id}`"
