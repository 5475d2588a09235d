"""What nodes wait for, as it is written: where a group of them begins and ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.compiler import containers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typedflow.pb.workflows_pb2 import BindingValue, Node


def begins(nodes: Sequence[Node]) -> list[Node]:
    """Of nodes that belong together, those that wait for none of the others."""
    inside = {node.id for node in nodes}
    return [node for node in nodes if inside.isdisjoint(before(node))]


def ends(nodes: Sequence[Node]) -> list[Node]:
    """Of nodes that belong together, those that none of the others waits for.

    What is in a case ends with its conditional, which waits for it.
    """
    inside = {node.id for node in nodes}
    waited: set[str] = set()
    for node in nodes:
        # What is in a case waits for the decision only.
        waited |= before(node) - {node.section.branch.node}
        waited |= _behind(node)
        if node.section.branch.node in inside:
            waited.add(node.id)
    return [node for node in nodes if node.id not in waited]


def before(node: Node) -> set[str]:
    """The nodes that a node waits for before it starts; of a conditional, before it is decided."""
    waited = set(node.after)
    if node.section.HasField("branch"):
        waited.add(node.section.branch.node)
    todo = [each.value for each in node.inputs]
    conditions = [each.condition for each in node.branch.cases] if node.HasField("branch") else []
    while conditions:
        condition = conditions.pop()
        match condition.WhichOneof("condition"):
            case "comparison":
                todo += [condition.comparison.left, condition.comparison.right]
            case "value":
                todo.append(condition.value)
            case "all":
                conditions += condition.all.conditions
            case "any":
                conditions += condition.any.conditions
            case "negated":
                conditions.append(condition.negated)
            case None:
                pass
    return waited | _promised(todo)


def _behind(node: Node) -> set[str]:
    """The nodes that a conditional waits for before it gives its outputs."""
    if not node.HasField("branch"):
        return set()
    return _promised([each.value for case in node.branch.cases for each in case.outputs.bindings])


def _promised(values: Iterable[BindingValue]) -> set[str]:
    """The nodes that values come from."""
    found: set[str] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        match value.WhichOneof("value"):
            case "promise" if value.promise.node:
                found.add(value.promise.node)
            case "list" | "dict" | "record":
                todo += containers.children(value)
            case _:
                pass
    return found
