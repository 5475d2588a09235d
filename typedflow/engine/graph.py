"""A compiled workflow as the engine sees it: nodes are integers, edges are lists of them, bindings are worked out.

Made once per workflow version and shared by its executions; never changed after. Takes time and memory linear in nodes
and edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, task_options
from typedflow.engine import bindings
from typedflow.pb import workflows_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typedflow.pb.identifiers_pb2 import Identifier
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
    from typedflow.pb.workflows_pb2 import BindingValue, CompiledWorkflow, WorkflowTemplate


class Graph:
    """Nodes by integer, in the compiled (topological) order.

    Raises Unimplemented for a workflow that has nodes of a kind that can be checked and registered, but not yet run.
    """

    def __init__(self, compiled: CompiledWorkflow) -> None:
        _check_kinds(compiled)
        self.workflow: WorkflowTemplate = compiled.workflow
        nodes = list(compiled.workflow.nodes)
        self.fail_fast: bool = (
            compiled.workflow.failure_policy != workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
        )
        self.ids: list[str] = [node.id for node in nodes]
        self.index: dict[str, int] = {id_: i for i, id_ in enumerate(self.ids)}

        places = {_key(task.id, compiled.workflow.id): place for place, task in enumerate(compiled.tasks)}
        templates = list(compiled.tasks)
        called = [places[_key(node.task.task, compiled.workflow.id)] for node in nodes]
        self.tasks: list[TaskTemplate] = [templates[place] for place in called]
        self.options: list[TaskOptions] = _options(nodes, called, templates)
        self.cached: list[bool] = [options.cache.enabled for options in self.options]
        self.timed: list[bool] = [options.HasField("timeouts") for options in self.options]

        takes = [bindings.Variables((v.name, v.type) for v in task.interface.inputs) for task in templates]
        gives = [bindings.Variables((v.name, v.type) for v in task.interface.outputs) for task in templates]
        inputs = bindings.Variables((v.name, v.type) for v in compiled.workflow.interface.inputs)
        outputs = bindings.Variables((v.name, v.type) for v in compiled.workflow.interface.outputs)
        binder = bindings.Binder(
            self.index, lambda node: inputs if node == bindings.INPUTS else gives[called[node]]
        )
        self.input_names: tuple[str, ...] = inputs.names
        self.output_names: list[tuple[str, ...]] = [gives[place].names for place in called]
        self.bindings = [
            binder.bind(node.inputs, takes[place]) for node, place in zip(nodes, called, strict=True)
        ]
        self.output_bindings = binder.bind(compiled.workflow.outputs, outputs)
        # Of each node, what can't be told to be there until its upstreams have run; mostly nothing.
        self.fragile = [
            tuple(each for each in bound if bindings.can_fail(each.source)) for bound in self.bindings
        ]

        self.successors: list[list[int]] = [[] for _ in nodes]
        self.in_degrees: list[int] = [0] * len(nodes)
        for i, node in enumerate(nodes):
            upstreams = {self.index[id_] for id_ in _upstreams(node)}
            self.in_degrees[i] = len(upstreams)
            for upstream in upstreams:
                self.successors[upstream].append(i)

    def __len__(self) -> int:
        return len(self.ids)


def _key(id_: Identifier, of: Identifier) -> tuple[str, str, str, str]:
    """Empty parts of a reference are those of the template that refers."""
    return (id_.project or of.project, id_.domain or of.domain, id_.name, id_.version or of.version)


def _options(
    nodes: list[workflows_pb2.Node], called: list[int], templates: list[TaskTemplate]
) -> list[TaskOptions]:
    """Merged options of each node; nodes of one task with the same overrides share theirs."""
    shared: dict[tuple[int, bytes], TaskOptions] = {}
    result = []
    for node, place in zip(nodes, called, strict=True):
        overrides = node.task.overrides
        key = (
            place,
            overrides.SerializeToString(deterministic=True) if node.task.HasField("overrides") else b"",
        )
        options = shared.get(key)
        if options is None:
            options = shared[key] = task_options.merge(templates[place].options, overrides)
        result.append(options)
    return result


def _upstreams(node: workflows_pb2.Node) -> Iterator[str]:
    yield from node.after
    for binding in node.inputs:
        yield from _promised(binding.value)


def _promised(value: BindingValue) -> Iterator[str]:
    match value.WhichOneof("value"):
        case "promise":
            if value.promise.node:
                yield value.promise.node
        case "list":
            for element in value.list.elements:
                yield from _promised(element)
        case "dict":
            for element in value.dict.values:
                yield from _promised(element)
        case "record":
            for field in value.record.fields:
                yield from _promised(field.value)
        case _:
            pass


_KINDS = {
    "map": "a map",
    "branch": "a conditional",
    "gate": "a gate",
    "launch_plan": "the launch of another execution",
    "workflow": "a workflow of which only the interface is known",
}


def check_runnable(compiled: CompiledWorkflow) -> None:
    """Raises Unimplemented for a workflow that can be checked and registered, but not yet be run as it is.

    A graph can have tasks that run an image: where they are mocked, nothing runs one.
    """
    _check_kinds(compiled)
    name = compiled.workflow.id.name
    for task in compiled.tasks:
        if task.HasField("container"):
            raise _unimplemented(f"task `{task.id.name}` of workflow `{name}` runs an image", name)


def _check_kinds(compiled: CompiledWorkflow) -> None:
    name = compiled.workflow.id.name
    for node in compiled.workflow.nodes:
        kind = _KINDS.get(node.WhichOneof("target") or "")
        if kind is None and node.HasField("section"):
            kind = (
                "run when the execution has failed"
                if node.section.HasField("failure")
                else "in a conditional"
            )
        if kind is not None:
            raise _unimplemented(f"node `{node.id}` of workflow `{name}` is {kind}", name)


def _unimplemented(message: str, workflow: str) -> errors.Unimplemented:
    return errors.Unimplemented(
        f"{message}, which this release checks and registers, but can't run yet",
        where=workflow,
        hint="call tasks only, until a later release runs it",
    )
