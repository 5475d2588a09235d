"""Paths of nodes: which there can be in a workflow, and which map or dynamic task one is a part of.

A node of the workflow has its id as its path, which may have dots; slot 7 of map `train` is `train[7]`; node `fit` of
what the dynamic task `tune` said is to be done is `tune.fit`; and so on inwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from typedflow import errors, identifiers, spelling
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_TASK
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow, Node
from typedflow_admin import registration

_SHOWN = 5
_MOST_DOTS = 512
_LONGEST = 65_536


def is_slotted(path: str) -> bool:
    """Whether it is a slot of a map, or in one."""
    return "[" in path


def without_slot(path: str) -> str:
    """Of a slot its map's path; any other as it is."""
    return path.rpartition("[")[0] if path.endswith("]") else path


def is_of(path: str, named: Collection[str]) -> bool:
    """Whether it is one of those that are named, or a part of one; `*` names all."""
    return any(each in (path, "*") or path.startswith((f"{each}[", f"{each}.")) for each in named)


def owners(path: str) -> Iterator[str]:
    """The paths that it may be a part of a dynamic task at, longest first: only who knows the tasks can tell."""
    if path.count(".") > _MOST_DOTS or len(path) > _LONGEST:
        return  # no node is so deep, and whoever asks for one is not to be waited for
    end = path.rfind(".")
    while end > 0:
        yield path[:end]
        end = path.rfind(".", 0, end)


def tasks_of(compiled: CompiledWorkflow) -> dict[tuple[int, str, str, str, str], TaskTemplate]:
    """The tasks that it calls, as its nodes' references say them."""
    return {identifiers.key(task.id): task for task in compiled.tasks}


def task_of(
    node: Node, compiled: CompiledWorkflow, tasks: Mapping[tuple[int, str, str, str, str], TaskTemplate]
) -> TaskTemplate | None:
    """The task that a node of the workflow runs, for each slot if it is a map; None: it runs none."""
    kind = node.WhichOneof("target")
    if kind not in {"task", "map"}:
        return None
    reference = node.map.task if kind == "map" else node.task.task
    wanted = registration.completed(reference, compiled.workflow.id, ENTITY_KIND_TASK)
    return tasks.get(identifiers.key(wanted))


def check(compiled: CompiledWorkflow, paths: Iterable[str], where: str, known: Iterable[str] = ()) -> None:
    """Refuses paths that there can't be; `*` is all, and those of `known` are taken as well.

    Of a part of a dynamic task nobody knows before it runs, so each that one may have is taken.

    Raises:
        NotFound: names all that there are none of, and what is near.
    """
    asked = [path for path in paths if path != "*"]
    if not asked:
        return
    nodes = {node.id: node for node in compiled.workflow.nodes}
    tasks, others = tasks_of(compiled), frozenset(known)
    absent = [path for path in asked if path not in others and not _may_be(path, compiled, nodes, tasks)]
    if absent:
        raise no_node(compiled.workflow.id.name, absent, {*nodes, *others}, where)


def no_node(workflow: str, absent: list[str], there: Iterable[str], where: str) -> errors.NotFound:
    """The error for paths that a workflow has no nodes of."""
    named = ", ".join(f"`{path}`" for path in absent[:_SHOWN]) + (", ..." if len(absent) > _SHOWN else "")
    nearest = spelling.nearest(absent[0], sorted(there))
    return errors.NotFound(
        f"workflow `{workflow}` has no node {named}",
        where=where,
        hint=f"did you mean `{nearest}`?" if nearest else "",
    )


def _may_be(
    path: str,
    compiled: CompiledWorkflow,
    nodes: Mapping[str, Node],
    tasks: Mapping[tuple[int, str, str, str, str], TaskTemplate],
) -> bool:
    if path in nodes:
        return True
    bracket = path.find("[")
    if bracket > 0 and path[:bracket] in nodes:
        return nodes[path[:bracket]].HasField("map")
    for owner in owners(path):
        if owner in nodes:
            task = task_of(nodes[owner], compiled, tasks)
            return task is not None and task.dynamic
    return False
