"""What it costs to compile and validate a workflow, and that it grows with its size and no faster."""

from __future__ import annotations

import functools
import graphlib
from collections.abc import Iterator, Sequence

from benchmarks import measure
from typedflow import compiler, identifiers, literal_types
from typedflow.pb import identifiers_pb2, interface_pb2, tasks_pb2, workflows_pb2

SIZES = (1_000, 10_000, 100_000)


def figures() -> Iterator[measure.Figure]:
    """Compile alone, from templates, for each shape and size."""
    for shape, make in SHAPES.items():
        for size in SIZES:
            template = make(size)
            edges = {i: {max(i - 1, 0), max(i - 2, 0)} - {i} for i in range(size)}
            yield measure.compare(
                f"compile and validate {size:,} nodes{shape}",
                functools.partial(_compile, template),
                functools.partial(_order, edges),
                unit="ms",
                baseline_name="graphlib's topological order of as many nodes with two edges each",
                rounds=5 if size < SIZES[-1] else 3,
                goal=100.0 * size / 1_000,
            )


def _order(edges: dict[int, set[int]]) -> None:
    list(graphlib.TopologicalSorter(edges).static_order())


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


def chain_of(size: int) -> workflows_pb2.WorkflowTemplate:
    """The same, with the last node first: nothing is in an order in which it could run."""
    template = workflow_of(size)
    written = [node.SerializeToString() for node in template.nodes]
    del template.nodes[:]
    for each in reversed(written):
        template.nodes.add().ParseFromString(each)
    return template


def wide_of(size: int) -> workflows_pb2.WorkflowTemplate:
    """Nodes that wait for nothing, and one that waits for them all."""
    template = workflow_of(size)
    for node in template.nodes[: size - 1]:
        for binding in node.inputs:
            binding.value.promise.node, binding.value.promise.variable = "", "n"
    template.nodes[-1].after.extend(node.id for node in template.nodes[: size - 1])
    return template


def mix_of(size: int) -> workflows_pb2.WorkflowTemplate:
    """Of every ten nodes a map, a gate, a conditional with two nodes in its cases, and tasks."""
    template = workflow_of(size)
    for i in range(0, size - 10, 10):
        nodes = template.nodes[i : i + 10]
        mapped, gate, branch = nodes[3], nodes[4], nodes[5]
        mapped.map.task.CopyFrom(identifiers.task("bench.add"))
        values = mapped.inputs[0].value
        elements = [workflows_pb2.BindingValue(promise=values.promise)] * 3
        values.list.elements.extend(elements)
        del gate.inputs[1:]
        gate.inputs[0].variable = "value"
        gate.gate.approval.type.CopyFrom(literal_types.INT)
        gate.inputs[0].value.promise.path.add(index=0)  # of what the map gave
        del branch.inputs[:]
        branch.branch.outputs.add(name="o0").type.CopyFrom(literal_types.INT)
        for case, member in enumerate(nodes[6:8]):
            member.section.branch.node, member.section.branch.case = branch.id, case
            for binding in member.inputs:
                binding.value.promise.node = gate.id
            added = branch.branch.cases.add()
            if not case:
                comparison = added.condition.comparison
                comparison.operator = workflows_pb2.OPERATOR_LESS
                comparison.left.promise.node, comparison.left.promise.variable = gate.id, "o0"
                comparison.right.literal.integer = 10
            added.outputs.bindings.add(variable="o0").value.promise.node = member.id
            added.outputs.bindings[0].value.promise.variable = "o0"
        for consumer in nodes[8:10]:
            for binding in consumer.inputs:
                binding.value.promise.node = branch.id
    return template


SHAPES = {"": workflow_of, ", last first": chain_of, ", wide": wide_of, ", of all kinds": mix_of}


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

    def workflow(self, identifier: identifiers_pb2.Identifier) -> None:
        """None."""

    def workflow_names(self) -> Sequence[str]:
        """None."""
        return []

    def launch_plan(self, identifier: identifiers_pb2.Identifier) -> None:
        """None."""

    def launch_plan_names(self) -> Sequence[str]:
        """None."""
        return []
