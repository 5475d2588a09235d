"""Which nodes of an execution take or give what is Sensitive: their values leave the service without it.

Rows of nodes have no types. Those are in the compiled workflow and in what dynamic tasks said is to be done, neither of
which ever changes, so what is found in them is kept.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping

from typedflow import identifiers, interface, literal_types, literals
from typedflow.pb.executions_pb2 import NodeExecution
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, Identifier
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow, GateNode, MapNode, Node
from typedflow_admin import node_paths, registration, store

_KEPT = 1000  # graphs
_SLOT = "[]"  # after a map's path: any slot of it

_Known = Mapping[str, Interface]


class SensitiveNodes:
    """The interfaces of such nodes."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int | str], _Known] = OrderedDict()

    def of(
        self, transaction: store.Transaction, launch: store.LaunchRow, paths: Collection[str]
    ) -> dict[str, Interface]:
        """By path, those of the nodes of an execution; mostly there are none."""
        static = self._static(transaction, launch)
        inner = [path for path in paths if "." in path]
        expanded = self._expanded(transaction, launch.execution_id, inner) if inner else {}
        found = {}
        for path in paths:
            owner = next((each for each in node_paths.owners(path) if each in expanded), None)
            known = static if owner is None else expanded[owner]
            name = path if owner is None else path[len(owner) + 1 :]
            of = known.get(node_paths.without_slot(name) + _SLOT if name.endswith("]") else name)
            if of is not None:
                found[path] = of
        return found

    def _static(self, transaction: store.Transaction, launch: store.LaunchRow) -> _Known:
        number = launch.workflow_number
        found = self._known.get(("", number))
        if found is None:
            row = transaction.entities.by_number(number)
            found = self._keep(("", number), row.template if row is not None else b"")
        return found

    def _expanded(
        self, transaction: store.Transaction, execution_id: str, paths: Collection[str]
    ) -> dict[str, _Known]:
        """What is known of the dynamic tasks that the paths are parts of, by their paths."""
        owners = {owner for path in paths for owner in node_paths.owners(path)}
        kept = ((owner, self._known.get((execution_id, owner))) for owner in owners)
        found = {owner: known for owner, known in kept if known is not None}
        graphs = transaction.executions.expansions(execution_id, owners - found.keys())
        return found | {owner: self._keep((execution_id, owner), graph) for owner, graph in graphs.items()}

    def _keep(self, key: tuple[str, int | str], graph: bytes) -> _Known:
        found = dict(_found(CompiledWorkflow.FromString(graph)))
        self._known[key] = found
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found


def redact(message: NodeExecution, of: Interface) -> None:
    """Takes out of a node what is Sensitive by its interface, in place."""
    if message.HasField("outputs"):
        message.outputs.CopyFrom(interface.redacted(message.outputs, of.outputs))
    if message.waiting.HasField("approval"):
        asked = literals.as_map({"value": message.waiting.approval})
        message.waiting.approval.CopyFrom(interface.redacted(asked, of.inputs).values[0].value)


def _found(compiled: CompiledWorkflow) -> Iterator[tuple[str, Interface]]:
    tasks = node_paths.tasks_of(compiled)
    plans = {identifiers.key(plan.launch_plan.id): plan.interface for plan in compiled.launch_plans}
    for node in compiled.workflow.nodes:
        task = node_paths.task_of(node, compiled, tasks)
        for suffix, known in _interfaces(node, task, plans, compiled.workflow.id):
            if known is None or any(
                literal_types.has_sensitive(each.type) for each in (*known.inputs, *known.outputs)
            ):
                # Of what nothing is known, nothing is shown.
                yield node.id + suffix, known or Interface()


def _interfaces(
    node: Node,
    task: TaskTemplate | None,
    plans: Mapping[tuple[int, str, str, str, str], Interface],
    own: Identifier,
) -> Iterator[tuple[str, Interface | None]]:
    """What a node takes and gives, and what each slot does of a map."""
    match node.WhichOneof("target"):
        case "map":
            yield _SLOT, task and task.interface
            yield "", task and _of_map(node.map, task.interface)
        case "branch":
            yield "", Interface(outputs=node.branch.outputs)
        case "gate":
            yield "", _of_gate(node.gate)
        case "launch_plan":
            plan = registration.completed(node.launch_plan.launch_plan, own, ENTITY_KIND_LAUNCH_PLAN)
            yield "", plans.get(identifiers.key(plan))
        case _:
            yield "", task and task.interface


def _of_map(node: MapNode, of: Interface) -> Interface:
    partial = node.HasField("min_success_ratio") and node.min_success_ratio < 1
    outputs = [
        Variable(
            name=each.name,
            type=literal_types.list_of(literal_types.optional(each.type) if partial else each.type),
        )
        for each in of.outputs
    ]
    return Interface(outputs=outputs)


def _of_gate(gate: GateNode) -> Interface:
    kind = gate.WhichOneof("gate")
    if kind not in {"signal", "approval"}:
        return Interface()
    of = gate.signal.type if kind == "signal" else gate.approval.type
    inputs = [Variable(name="value", type=of)] if kind == "approval" else []
    return Interface(inputs=inputs, outputs=[Variable(name="o0", type=of)])
