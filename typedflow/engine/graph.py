"""A compiled workflow as the engine sees it: nodes are integers, edges are lists of them, bindings are worked out.

Made once per workflow version and shared by its executions; never changed after. Takes time and memory linear in nodes
and edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, task_options
from typedflow.engine import bindings, conditionals, conditions, interfaces
from typedflow.pb import executions_pb2, tasks_pb2, workflows_pb2

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typedflow.pb.executions_pb2 import NodeKind
    from typedflow.pb.interface_pb2 import Variable
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
    from typedflow.pb.workflows_pb2 import CompiledWorkflow, GateNode, MapNode, Node, WorkflowTemplate

_KINDS: dict[str | None, NodeKind.ValueType] = {
    "task": executions_pb2.NODE_KIND_TASK,
    "map": executions_pb2.NODE_KIND_MAP,
    "branch": executions_pb2.NODE_KIND_BRANCH,
    "gate": executions_pb2.NODE_KIND_GATE,
    "launch_plan": executions_pb2.NODE_KIND_LAUNCH_PLAN,
}
_NO_OPTIONS = tasks_pb2.TaskOptions()


class Graph:
    """Nodes by integer, in the compiled (topological) order.

    `outputs` is what the graph's outputs are converted to: those of its own interface when left out.
    Raises ValueError for a called workflow of which only the interface is known: no compiler leaves one in.
    """

    def __init__(self, compiled: CompiledWorkflow, outputs: Sequence[Variable] | None = None) -> None:
        self.workflow: WorkflowTemplate = compiled.workflow
        nodes = list(compiled.workflow.nodes)
        self.fail_fast: bool = (
            compiled.workflow.failure_policy != workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
        )
        self.ids: list[str] = [node.id for node in nodes]
        self.size = len(nodes)
        self.index: dict[str, int] = {id_: i for i, id_ in enumerate(self.ids)}
        self.kinds: list[NodeKind.ValueType] = [_kind(node) for node in nodes]

        known = interfaces.Interfaces(compiled)
        called = [known.task(node) for node in nodes]
        templates = list(compiled.tasks)
        self.tasks: list[TaskTemplate | None] = [None if at < 0 else templates[at] for at in called]
        self.options: list[TaskOptions] = _options(nodes, called, templates)
        self.cached: list[bool] = [options.cache.enabled for options in self.options]
        self.timed: list[bool] = [options.HasField("timeouts") for options in self.options]
        self.gates: dict[int, GateNode] = {i: n.gate for i, n in enumerate(nodes) if n.HasField("gate")}
        self.maps: dict[int, MapNode] = {i: n.map for i, n in enumerate(nodes) if n.HasField("map")}

        takes = [known.takes(node) for node in nodes]
        gives = [known.gives(node) for node in nodes]
        special = {
            bindings.INPUTS: bindings.Variables((v.name, v.type) for v in compiled.workflow.interface.inputs),
            bindings.ERROR: interfaces.ERROR,
        }
        binder = bindings.Binder(self.index, lambda node: special[node] if node < 0 else gives[node])
        self.input_names: tuple[str, ...] = special[bindings.INPUTS].names
        self.output_names: list[tuple[str, ...]] = [each.names for each in gives]
        self.bindings = [binder.bind(node.inputs, take) for node, take in zip(nodes, takes, strict=True)]
        wanted = compiled.workflow.interface.outputs if outputs is None else outputs
        self.result_names: tuple[str, ...] = tuple(each.name for each in wanted)
        self.output_bindings = binder.bind(
            compiled.workflow.outputs, bindings.Variables((v.name, v.type) for v in wanted)
        )
        # Of each node, what can't be told to be there until its upstreams have run; mostly nothing.
        self.fragile = [
            tuple(each for each in bound if bindings.can_fail(each.source)) for bound in self.bindings
        ]

        self.successors: list[list[int]] = [[] for _ in nodes]
        # What each waits for: nodes, and that the part of the graph that it is in runs.
        self.in_degrees: list[int] = [0] * len(nodes)
        for i, node in enumerate(nodes):
            upstreams = {self.index[id_] for id_ in _upstreams(node)}
            self.in_degrees[i] = len(upstreams) + node.HasField("section")
            for upstream in upstreams:
                self.successors[upstream].append(i)
        self.handlers = _handlers(nodes, self.index)
        self.conditionals = conditionals.work_out(nodes, self.index, binder, gives)
        # Of a node that a conditional's outputs wait for: the conditionals and their cases.
        self.awaited: dict[int, list[tuple[int, int]]] = {}
        for branch, conditional in self.conditionals.items():
            for case, found in enumerate(conditional.cases):
                for waited in found.waits:
                    self.awaited.setdefault(waited, []).append((branch, case))

    def __len__(self) -> int:
        return self.size


def _kind(node: Node) -> NodeKind.ValueType:
    kind = _KINDS.get(node.WhichOneof("target"))
    if kind is None:
        raise ValueError(f"node `{node.id}` is nothing that can run: {node.WhichOneof('target')}")
    return kind


def _options(nodes: list[Node], called: list[int], templates: list[TaskTemplate]) -> list[TaskOptions]:
    """Merged options of each node; nodes of one task with the same overrides share theirs."""
    shared: dict[tuple[int, bytes], TaskOptions] = {}
    result = []
    for node, place in zip(nodes, called, strict=True):
        if place < 0:
            result.append(_NO_OPTIONS)
            continue
        target = node.map if node.HasField("map") else node.task
        overridden = target.HasField("overrides")
        key = (place, target.overrides.SerializeToString(deterministic=True) if overridden else b"")
        options = shared.get(key)
        if options is None:
            options = shared[key] = task_options.merge(templates[place].options, target.overrides)
        result.append(options)
    return result


def _upstreams(node: Node) -> Iterator[str]:
    yield from node.after
    for binding in node.inputs:
        yield from bindings.promised(binding.value)
    for case in node.branch.cases if node.HasField("branch") else ():
        if case.HasField("condition"):
            yield from conditions.upstreams(case.condition)


def _handlers(nodes: Iterable[Node], index: dict[str, int]) -> list[int]:
    """What runs when the execution has failed, with what is in the cases of its conditionals. They come in order."""
    found: dict[int, None] = {}
    for i, node in enumerate(nodes):
        section = node.section.WhichOneof("section") if node.HasField("section") else None
        if section == "failure" or (section == "branch" and index[node.section.branch.node] in found):
            found[i] = None
    return list(found)


def check_runnable(compiled: CompiledWorkflow) -> None:
    """Raises Unimplemented for a workflow that can be checked and registered, but not yet be run as it is.

    A graph can have tasks that run an image: where they are mocked, nothing runs one.
    """
    name = compiled.workflow.id.name
    for task in compiled.tasks:
        if task.HasField("container"):
            raise errors.Unimplemented(
                f"task `{task.id.name}` of workflow `{name}` runs an image, "
                "which this release checks and registers, but can't run yet",
                where=name,
                hint="run the program from a Python task, until a later release runs images",
            )
