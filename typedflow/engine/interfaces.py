"""What each kind of node takes and gives, as bindings see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import literal_types
from typedflow.engine.bindings import Variables

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typedflow.pb.identifiers_pb2 import Identifier
    from typedflow.pb.interface_pb2 import Variable
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import CompiledWorkflow, MapNode, Node

OUTPUT: Final = "o0"
"""Of a gate."""

VALUE: Final = "value"
"""What an approval is asked for."""

ERROR: Final = Variables([("error", literal_types.EXECUTION_ERROR)])

_NOTHING: Final = Variables(())


class Interfaces:
    """The interfaces of one workflow's nodes; those of nodes that are alike are one."""

    def __init__(self, compiled: CompiledWorkflow) -> None:
        self._id = compiled.workflow.id
        self._tasks = {_key(task.id, self._id): place for place, task in enumerate(compiled.tasks)}
        self._task_takes = [_variables(task.interface.inputs) for task in compiled.tasks]
        self._task_gives = [_variables(task.interface.outputs) for task in compiled.tasks]
        self._plans = {
            _key(each.launch_plan.id, self._id): (
                _variables(each.interface.inputs),
                _variables(each.interface.outputs),
            )
            for each in compiled.launch_plans
        }
        self._mapped: dict[tuple[int, tuple[str, ...]], Variables] = {}
        self._listed: dict[tuple[int, bool], Variables] = {}

    def task(self, node: Node) -> int:
        """The place of the node's task among the compiled tasks; -1: it calls none."""
        match node.WhichOneof("target"):
            case "task":
                return self._tasks[_key(node.task.task, self._id)]
            case "map":
                return self._tasks[_key(node.map.task, self._id)]
            case _:
                return -1

    def takes(self, node: Node) -> Variables:
        match node.WhichOneof("target"):
            case "task":
                return self._task_takes[self.task(node)]
            case "map":
                return self._over(self.task(node), tuple(node.map.over))
            case "gate" if node.gate.HasField("approval"):
                return Variables([(VALUE, node.gate.approval.type)])
            case "launch_plan":
                return self._plans[_key(node.launch_plan.launch_plan, self._id)][0]
            case _:
                return _NOTHING

    def gives(self, node: Node) -> Variables:
        match node.WhichOneof("target"):
            case "task":
                return self._task_gives[self.task(node)]
            case "map":
                return self._lists(self.task(node), is_partial(node.map))
            case "branch":
                return _variables(node.branch.outputs)
            case "gate" if node.gate.HasField("signal"):
                return Variables([(OUTPUT, node.gate.signal.type)])
            case "gate" if node.gate.HasField("approval"):
                return Variables([(OUTPUT, node.gate.approval.type)])
            case "launch_plan":
                return self._plans[_key(node.launch_plan.launch_plan, self._id)][1]
            case _:
                return _NOTHING

    def _over(self, task: int, over: tuple[str, ...]) -> Variables:
        """What a map takes: a list for each input that it is over."""
        made = self._mapped.get((task, over))
        if made is None:
            types = self._task_takes[task].types
            made = self._mapped[task, over] = Variables(
                (name, literal_types.list_of(type_) if name in over else type_)
                for name, (_, type_) in types.items()
            )
        return made

    def _lists(self, task: int, partial: bool) -> Variables:
        """What a map gives: a list of each output, of optional values where slots may fail."""
        made = self._listed.get((task, partial))
        if made is None:
            types = self._task_gives[task].types
            made = self._listed[task, partial] = Variables(
                (name, literal_types.list_of(element(type_, partial))) for name, (_, type_) in types.items()
            )
        return made


def is_partial(node: MapNode) -> bool:
    """Whether slots may fail."""
    return node.HasField("min_success_ratio") and node.min_success_ratio < 1


def element(type_: LiteralType, partial: bool) -> LiteralType:
    """Of the list that a map gives of an output of this type."""
    return literal_types.optional(type_) if partial else type_


def _variables(variables: Iterable[Variable] | Sequence[Variable]) -> Variables:
    return Variables((each.name, each.type) for each in variables)


def _key(id_: Identifier, of: Identifier) -> tuple[str, str, str, str]:
    """Empty parts of a reference are those of the template that refers."""
    return (id_.project or of.project, id_.domain or of.domain, id_.name, id_.version or of.version)
