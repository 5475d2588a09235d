"""What it costs to compile and validate a workflow, and that it grows with its size and no faster."""

from __future__ import annotations

import graphlib
from collections.abc import Iterator, Sequence

from benchmarks import measure
from typedflow import compiler, identifiers, literal_types
from typedflow.pb import identifiers_pb2, interface_pb2, tasks_pb2, workflows_pb2

SIZES = (1_000, 10_000)


def figures() -> Iterator[measure.Figure]:
    """Compile alone, from templates, for each size; every node has two inputs, from the two nodes before it."""
    for size in SIZES:
        template = workflow_of(size)
        edges = {i: {max(i - 1, 0), max(i - 2, 0)} - {i} for i in range(size)}
        yield measure.compare(
            f"compile and validate {size:,} nodes",
            lambda template=template: _compile(template),
            lambda edges=edges: list(graphlib.TopologicalSorter(edges).static_order()),
            unit="ms",
            baseline_name="graphlib's topological order of the same edges",
            rounds=5,
            goal=100.0 * size / 1_000,
        )


def _compile(template: workflows_pb2.WorkflowTemplate) -> None:
    result = compiler.compile_workflow(template, Tasks())
    assert result.value is not None, result.diagnostics


def workflow_of(size: int) -> workflows_pb2.WorkflowTemplate:
    """A workflow of so many nodes of one task with two int inputs."""
    variables = interface_pb2.Interface(
        inputs=[interface_pb2.Variable(name="n", type=literal_types.INT)],
        outputs=[interface_pb2.Variable(name="o0", type=literal_types.INT)],
    )
    template = workflows_pb2.WorkflowTemplate(id=identifiers.workflow("bench.big"), interface=variables)
    for i in range(size):
        node = template.nodes.add(id=f"add-{i + 1}")
        node.task.task.CopyFrom(identifiers.task("bench.add"))
        for variable, back in (("a", 1), ("b", 2)):
            binding = node.inputs.add(variable=variable)
            promise = binding.value.promise
            if i >= back:
                promise.node, promise.variable = f"add-{i + 1 - back}", "o0"
            else:
                promise.variable = "n"
    template.outputs.add(variable="o0").value.promise.node = f"add-{size}"
    template.outputs[0].value.promise.variable = "o0"
    return template


class Tasks:
    """A resolver that knows one task."""

    def __init__(self) -> None:
        self._add = tasks_pb2.TaskTemplate(
            id=identifiers.task("bench.add"),
            interface=interface_pb2.Interface(
                inputs=[interface_pb2.Variable(name=name, type=literal_types.INT) for name in "ab"],
                outputs=[interface_pb2.Variable(name="o0", type=literal_types.INT)],
            ),
            python=tasks_pb2.PythonTarget(module="bench", qualname="add"),
        )

    def task(self, identifier: identifiers_pb2.Identifier) -> tasks_pb2.TaskTemplate | None:
        """The task, if it is the one."""
        return self._add if identifier.name == "bench.add" else None

    def task_names(self) -> Sequence[str]:
        """Its name."""
        return ["bench.add"]
