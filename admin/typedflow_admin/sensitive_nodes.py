"""Which nodes of a workflow take or give what is Sensitive: their values leave the service without it.

Rows of nodes have no types. Those are in the compiled workflow, which never changes, so what is found in it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from typedflow import literal_types
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.workflows_pb2 import CompiledWorkflow, Node
from typedflow_admin import store

_KEPT = 1000  # workflows


class SensitiveNodes:
    """The interfaces of such nodes by workflow."""

    def __init__(self) -> None:
        self._known: dict[int, Mapping[str, Interface]] = {}

    def of(self, transaction: store.Transaction, launch: store.LaunchRow) -> Mapping[str, Interface]:
        """By node id, those of the workflow that was launched; mostly there are none."""
        number = launch.workflow_number
        found = self._known.get(number)
        if found is None:
            row = transaction.entities.by_number(number)
            found = dict(_found(CompiledWorkflow.FromString(row.template))) if row is not None else {}
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[number] = found
        return found


def _found(compiled: CompiledWorkflow) -> Iterator[tuple[str, Interface]]:
    tasks = {
        (task.id.name, task.id.version): task.interface
        for task in compiled.tasks
        if any(
            literal_types.has_sensitive(each.type)
            for each in (*task.interface.inputs, *task.interface.outputs)
        )
    }
    for node in compiled.workflow.nodes:
        interface = _interface(node, compiled, tasks)
        if interface is not None:
            yield node.id, interface


def _interface(
    node: Node, compiled: CompiledWorkflow, tasks: Mapping[tuple[str, str], Interface]
) -> Interface | None:
    if not node.HasField("task"):
        return Interface()  # of what none is known, nothing is shown
    version = node.task.task.version or compiled.workflow.id.version
    return tasks.get((node.task.task.name, version))
