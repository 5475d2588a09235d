"""What somebody says to a gate: a value of the type that it waits for, or whether they agree.

It may be said before the gate is reached, and the first counts: the engine keeps it. Here it is only checked, by the
type that the graph says, and put where the execution's holder finds it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

from typedflow import errors, literal_types, literals
from typedflow.dataplane import offload
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.events_pb2 import SignalReceived
from typedflow.pb.executions_pb2 import (
    NODE_KIND_GATE,
    PHASE_QUEUED,
    PHASE_WAITING,
    NodeExecution,
    Phase,
    SignalNodeRequest,
)
from typedflow.pb.literals_pb2 import Literal
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import GateNode
from typedflow_admin import compiled_nodes, executions, inbox, principals, store
from typedflow_admin.bells import Bell

_SHOWN = 5
_MOST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class _Gate:
    """What is to be known of the node that is spoken to."""

    row: NodeExecution | None
    graphs: Mapping[str, bytes]
    waiting: list[str]


class Signals:
    """Takes what is said to gates. `work` wakes propellers."""

    def __init__(self, database: store.Store, objects: ObjectStore, work: Bell) -> None:
        self._database = database
        self._objects = objects
        self._work = work

    async def signal(self, request: SignalNodeRequest) -> None:
        """Says something to a gate; repeated, and to one that was told already, it changes nothing.

        Raises:
            NotFound: there is no such execution, or no such node in it.
            UsageError: the node is no gate that can be told anything, or not this.
            ConversionError: the value does not fit.
            StateConflict: the execution has ended.
        """
        inbox.check_remark(request.reason, "reason", "a reason")
        if request.WhichOneof("signal") is None:
            raise errors.UsageError(
                "say what: a value, or whether you approve", where="signal", code="InvalidRequest"
            )
        gate = await self._database.read(lambda transaction: _gate(transaction, request))
        received = await asyncio.to_thread(self._received, request, gate)
        if gate.row is not None and gate.row.phase not in {PHASE_QUEUED, PHASE_WAITING}:
            return  # somebody was first, or nobody is asked any more

        def post(transaction: store.Transaction) -> bool:
            return inbox.post(transaction, request.execution_id, signal_received=received) is not None

        if not await self._database.write(post):
            raise _over(request.execution_id)
        self._work.ring(request.execution_id)

    def _received(self, request: SignalNodeRequest, gate: _Gate) -> SignalReceived:
        of = _wanted(request, gate)
        received = SignalReceived(node=request.node, principal=principals.current(), reason=request.reason)
        if of is None:
            if request.WhichOneof("signal") != "approved":
                raise _refused(
                    gate,
                    f"node `{request.node}` asks for approval, not for a value",
                    "approve or reject it",
                )
            received.approved = request.approved
            return received
        if request.WhichOneof("signal") == "approved":
            wanted = literal_types.text(of)
            raise _refused(gate, f"node `{request.node}` asks for a value, {wanted}", "give the value")
        received.value.CopyFrom(offload.offload(_value(request, of), self._objects))
        return received


def _gate(transaction: store.Transaction, request: SignalNodeRequest) -> _Gate:
    id_, path = request.execution_id, request.node
    execution, launch = executions.existing(transaction.executions.find(id_), id_)
    if execution.phase in executions.ENDED:
        raise _over(id_, execution.phase)
    row = transaction.executions.node(id_, path)
    graphs = compiled_nodes.graphs(transaction, launch, path)
    return _Gate(NodeExecution.FromString(row.state) if row else None, graphs, _waiting(transaction, id_))


def _waiting(transaction: store.Transaction, execution_id: str) -> list[str]:
    """Gates that wait, the first of them."""
    found: list[str] = []
    for slotted in (False, True):
        wanted = store.NodeFilter(slotted=slotted, phases=(PHASE_WAITING,))
        found += [
            row.node
            for row in transaction.executions.nodes(execution_id, wanted, -1, _MOST_ROWS)
            if NodeExecution.FromString(row.state).kind == NODE_KIND_GATE
        ]
    return found


def _wanted(request: SignalNodeRequest, gate: _Gate) -> LiteralType | None:
    """The type of the value that the gate asks for; None: it asks for approval."""
    path = request.node
    located = compiled_nodes.locate(gate.graphs, path)
    if located is None or located.is_slot:
        raise _unknown(request, gate)
    if not located.node.HasField("gate"):
        raise _refused(gate, f"node `{path}` is no gate: nobody can tell it anything")
    return _of(located.node.gate, request, gate)


def _of(node: GateNode, request: SignalNodeRequest, gate: _Gate) -> LiteralType | None:
    match node.WhichOneof("gate"):
        case "signal":
            return node.signal.type
        case "approval":
            return None
        case _:
            raise _refused(gate, f"node `{request.node}` waits for a time: nobody can tell it anything")


def _value(request: SignalNodeRequest, of: LiteralType) -> Literal:
    where = f"signals.{request.node}"
    if literal_types.uses_pickle(of):
        raise errors.ConversionError(
            "pickled: it can't be given from outside, as reading it runs the code in it; have a task make it",
            where=where,
        )
    if request.HasField("value"):
        return literals.constant(request.value, of, where)
    try:
        plain = json.loads(request.value_json)
    except (ValueError, RecursionError) as error:
        raise errors.ConversionError(
            f"the value is no JSON: {error}", where=where, hint='text is written in quotes: "yes"'
        ) from None
    return literals.from_json(plain, of, where)


def _unknown(request: SignalNodeRequest, gate: _Gate) -> errors.NotFound:
    return errors.NotFound(
        f"execution `{request.execution_id}` has no node `{request.node}`",
        where="node",
        hint=_who_waits(gate),
    )


def _refused(gate: _Gate, message: str, hint: str = "") -> errors.UsageError:
    return errors.UsageError(message, where="node", hint=hint or _who_waits(gate), code="NotWaiting")


def _who_waits(gate: _Gate) -> str:
    if not gate.waiting:
        return "no gate waits"
    named = ", ".join(f"`{path}`" for path in gate.waiting[:_SHOWN])
    return f"{named}{', ...' if len(gate.waiting) > _SHOWN else ''} {'waits' if len(gate.waiting) == 1 else 'wait'}"


def _over(execution_id: str, phase: int = 0) -> errors.StateConflict:
    name = Phase.Name(Phase.ValueType(phase)).removeprefix("PHASE_") if phase else ""
    return errors.StateConflict(
        f"execution `{execution_id}` has ended{f': {name}' if name else ''}",
        hint="what recovers it asks again",
        code="ExecutionEnded",
    )
