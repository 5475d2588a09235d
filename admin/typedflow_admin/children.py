"""Executions that nodes launch: an execution of its own, whose end is told to the node.

A child's id follows from its parent and the node, so that whoever asks twice launches once, whatever crashed between.
Its end is told in the transaction that ends it. A child of an execution that recovers another recovers what the same
node launched there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from blake3 import blake3

from typedflow import errors
from typedflow.pb.errors_pb2 import ERROR_KIND_USER, ExecutionError
from typedflow.pb.events_pb2 import AbortRequested, ChildEnded, Event, ExecutionStarted
from typedflow.pb.executions_pb2 import PHASE_ABORTED, PHASE_SUCCEEDED
from typedflow.pb.literals_pb2 import LiteralMap
from typedflow.pb.propeller_pb2 import AbortChildRequest, LaunchChildRequest
from typedflow_admin import executions, inbox, launch_plans, launches, node_paths, store
from typedflow_admin.bells import Bell

MOST_NESTED = 16
"""How many executions may have launched one another."""

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_EVERYTHING = "*"


@dataclass(frozen=True, slots=True)
class _Parent:
    """What is to be known of the execution whose node launches."""

    launch: store.LaunchRow
    started: ExecutionStarted
    plan_row: store.EntityRow
    workflow_row: store.EntityRow
    before: launches.Both | None
    """What the same node launched in the execution that the parent recovers."""


class Children:
    """Launches and aborts what nodes launch. `work` wakes propellers."""

    def __init__(self, database: store.Store, made: launches.Launches, work: Bell) -> None:
        self._database = database
        self._launches = made
        self._work = work

    async def launch(self, request: LaunchChildRequest) -> str:
        """Launches the execution that a node stands for, and gives its id; repeated, it is the same.

        Of one that has ended, the end is told again.

        Raises:
            StateConflict: the lease is another's, or too many executions launched one another.
            NotFound: there is no such launch plan.
            ConversionError: inputs that don't fit it.
        """
        child = child_id(request.execution_id, request.node)
        if await self._database.write(partial(_told_again, request=request, child=child)):
            self._work.ring(request.execution_id)
            return child
        parent = await self._database.read(partial(_parent, request=request))
        prepared = await asyncio.to_thread(self._prepare, request, child, parent)

        def insert(transaction: store.Transaction) -> launches.Both | None:
            check_lease(transaction, request)
            return launches.insert(transaction, prepared)

        there = await self._database.write(insert)
        if there is None:
            self._work.ring("")
        else:
            _check_own(there, request)
        return child

    async def abort(self, request: AbortChildRequest) -> None:
        """Asks for the end of what a node launched; the node is told of the end in any case.

        Raises:
            UsageError: the reason is too long.
            StateConflict: the lease is another's.
        """
        inbox.check_remark(request.reason, "reason", "a reason")
        child = child_id(request.execution_id, request.node)

        def post(transaction: store.Transaction) -> None:
            check_lease(transaction, request)
            found = transaction.executions.find(child)
            if found is None or not _is_own(found, request):
                error = ExecutionError(
                    kind=ERROR_KIND_USER, code="Aborted", message="aborted before it was launched"
                )
                _tell(transaction, request.execution_id, ChildEnded(node=request.node, error=error))
                return
            wish = AbortRequested(principal=found[1].principal, reason=request.reason)
            if not inbox.post(transaction, child, abort_requested=wish):
                _tell(transaction, request.execution_id, _ended(found))

        await self._database.write(post)
        for execution_id in (child, request.execution_id):
            self._work.ring(execution_id)

    def _prepare(self, request: LaunchChildRequest, child: str, parent: _Parent) -> launches.Prepared:
        target = launches.target(parent.plan_row, parent.workflow_row)
        inputs = launch_plans.bind(target.plan, target.workflow, request.inputs, {}, from_task=True)
        before = parent.before
        rerun = node_paths.is_of(request.node, parent.started.rerun)
        anew = rerun or node_paths.is_of(request.node, parent.started.overwrite_cache)
        recovers = (
            before is not None
            and not rerun
            and before[0].phase in executions.ENDED
            and before[0].launch_plan == target.plan_row.name
        )
        origin = launches.Origin(
            parent_execution_id=request.execution_id,
            parent_node=request.node,
            depth=parent.launch.depth + 1,
            recovered_from=before[0].id if before is not None and recovers else "",
        )
        return self._launches.prepare(
            target,
            inputs,
            launches.Wishes(overwrite_cache=(_EVERYTHING,) if anew else ()),
            origin,
            id=child,
            request=_digest(request),
            principal=parent.launch.principal,
        )


def child_id(execution_id: str, node: str) -> str:
    """The id of what a node launches; a DNS label."""
    number = int.from_bytes(blake3(f"{execution_id}/{node}".encode()).digest(15), "big")
    return "c" + "".join(_ALPHABET[number >> shift & 31] for shift in range(115, -1, -5))


def tell_parents(transaction: store.Transaction, steps: Sequence[store.Step]) -> set[str]:
    """Tells the nodes that launched them of executions which end with these steps; gives whose nodes they are."""
    ended = {
        step.execution_id: step.status for step in steps if step.status is not None and step.status.ended
    }
    if not ended:
        return set()
    told = set()
    for child, (execution_id, node) in transaction.executions.launched_by(ended).items():
        status = ended[child]
        _tell(transaction, execution_id, _message(node, child, status.phase, status.outputs, status.error))
        told.add(execution_id)
    return told


def check_lease(transaction: store.Transaction, request: LaunchChildRequest | AbortChildRequest) -> None:
    """Refuses who holds the execution no longer.

    Raises:
        StateConflict: the lease is another's, or the execution has ended.
    """
    lease = transaction.leases.find([request.execution_id]).get(request.execution_id)
    if lease is None or lease.epoch != request.epoch or not lease.holder:
        raise errors.StateConflict(
            f"the lease of execution `{request.execution_id}` is another's, or the execution has ended",
            where="epoch",
            code="Fenced",
        )


def _told_again(transaction: store.Transaction, *, request: LaunchChildRequest, child: str) -> bool:
    """Whether the child is there; if it has ended, that is told again."""
    check_lease(transaction, request)
    found = transaction.executions.find(child)
    if found is None:
        return False
    _check_own(found, request)
    if found[0].phase in executions.ENDED:
        _tell(transaction, request.execution_id, _ended(found))
    return True


def _parent(transaction: store.Transaction, *, request: LaunchChildRequest) -> _Parent:
    _, launch = executions.existing(transaction.executions.find(request.execution_id), request.execution_id)
    if launch.depth + 1 > MOST_NESTED:
        raise errors.StateConflict(
            f"{MOST_NESTED} executions have launched one another, and node `{request.node}` would launch one more",
            where=f"nodes.{request.node}",
            hint="a workflow that launches itself has to stop by itself: put the launch into a conditional",
            code="NestingTooDeep",
        )
    event = transaction.executions.first_event(request.execution_id)
    started = Event.FromString(event or b"").execution_started
    before = None
    if started.recover_from:
        before = transaction.executions.find(child_id(started.recover_from, request.node))
    return _Parent(launch, started, *launches.find(transaction, request.launch_plan), before)


def _is_own(found: launches.Both, request: LaunchChildRequest | AbortChildRequest) -> bool:
    launch = found[1]
    return (launch.parent_execution_id, launch.parent_node) == (request.execution_id, request.node)


def _check_own(found: launches.Both, request: LaunchChildRequest) -> None:
    if not _is_own(found, request) or found[1].request != _digest(request):
        raise errors.StateConflict(
            f"there is an execution `{found[0].id}` that was launched differently",
            where=f"nodes.{request.node}",
            code="VersionConflict",
        )


def _digest(request: LaunchChildRequest) -> str:
    """Without the lease: who takes over asks for the same."""
    asked = LaunchChildRequest()
    asked.CopyFrom(request)
    asked.epoch = 0
    return launches.digest(asked)


def _ended(found: launches.Both) -> ChildEnded:
    execution, launch = found
    return _message(launch.parent_node, execution.id, execution.phase, execution.outputs, execution.error)


def _message(node: str, child: str, phase: int, outputs: bytes | None, error: bytes | None) -> ChildEnded:
    message = ChildEnded(node=node, execution_id=child)
    if phase == PHASE_SUCCEEDED:
        message.outputs.CopyFrom(LiteralMap.FromString(outputs or b""))
        return message
    message.error.CopyFrom(ExecutionError.FromString(error or b""))
    if error is None:
        message.error.kind = ERROR_KIND_USER
        message.error.code = "Aborted" if phase == PHASE_ABORTED else "ExecutionFailed"
        message.error.message = "it has ended without an error"
    return message


def _tell(transaction: store.Transaction, execution_id: str, ended: ChildEnded) -> None:
    inbox.post(transaction, execution_id, child_ended=ended)
