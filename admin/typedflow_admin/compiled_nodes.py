"""The node that a path names, in the graph that has it: the workflow's, or one that a dynamic task made.

The bytes of the graphs are read in a transaction, and taken apart elsewhere: they may be large.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow, Node
from typedflow_admin import node_paths, store


@dataclass(frozen=True, slots=True)
class Located:
    """A node, its graph, and whether a slot of it is meant (then it is a map)."""

    compiled: CompiledWorkflow
    node: Node
    is_slot: bool = False

    def task(self) -> TaskTemplate | None:
        """The task that it runs, if any."""
        return node_paths.task_of(self.node, self.compiled, node_paths.tasks_of(self.compiled))


def graphs(transaction: store.Transaction, launch: store.LaunchRow, path: str) -> Mapping[str, bytes]:
    """The graphs that may have the node of a path: of dynamic tasks by their paths, of the workflow by no name."""
    found = transaction.executions.expansions(launch.execution_id, list(node_paths.owners(path)))
    if not found:
        row = transaction.entities.by_number(launch.workflow_number)
        return {"": row.template} if row is not None else {}
    longest = max(found, key=len)
    return {longest: found[longest]}


def locate(graphs: Mapping[str, bytes], path: str) -> Located | None:
    """The node of a path; None: there is none."""
    for owner, graph in graphs.items():
        compiled = CompiledWorkflow.FromString(graph)
        name = path[len(owner) + 1 :] if owner else path
        of = node_paths.without_slot(name)
        for node in compiled.workflow.nodes:
            if node.id == of:
                is_slot = of != name
                return Located(compiled, node, is_slot) if node.HasField("map") or not is_slot else None
    return None
