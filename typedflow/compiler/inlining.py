"""Puts the nodes of registered workflows in the place of the nodes that call them.

Works on a workflow in which nothing is wrong: ids get the calling node's as a prefix, inputs become what the call is
given, and whoever takes an output of the call takes what the workflow binds to it. What comes out is a template as an
author could have written it, and is compiled as such. Its size is bounded before anything is made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow import errors, identifiers, literals
from typedflow.compiler import containers, edges
from typedflow.pb.workflows_pb2 import (
    Binding,
    BindingValue,
    Comparison,
    Condition,
    Conditions,
    ErrorPromise,
    Node,
    Promise,
    WorkflowTemplate,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typedflow.compiler.calls import Resolver
    from typedflow.pb.identifiers_pb2 import Identifier
    from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
    from typedflow.pb.tasks_pb2 import TaskTemplate
    from typedflow.pb.workflows_pb2 import CompiledWorkflow, PathStep

    Replaced: TypeAlias = Callable[[Promise], BindingValue | None]

MOST_BYTES: Final = 64 * 1024 * 1024
"""Of what is put in, together."""


class TooLarge(Exception):
    """What is put in comes to more than `MOST_BYTES`."""


class LeadsNowhere(Exception):
    """A part of what an input is given is wanted, and is not there: the node, and why."""

    def __init__(self, node: str, reason: str) -> None:
        super().__init__(node, reason)
        self.node = node
        self.reason = reason


class Inlined:
    """A resolver for what comes out: it knows what the workflows that were put in call."""

    def __init__(self, resolver: Resolver, put_in: Iterable[CompiledWorkflow]) -> None:
        self._resolver = resolver
        self._tasks: dict[tuple[int, str, str, str, str], TaskTemplate] = {}
        self._launch_plans: dict[tuple[int, str, str, str, str], CompiledLaunchPlan] = {}
        for compiled in put_in:
            self._tasks |= {identifiers.key(each.id): each for each in compiled.tasks}
            self._launch_plans |= {
                identifiers.key(each.launch_plan.id): each for each in compiled.launch_plans
            }
        self.task_names = resolver.task_names
        self.workflow = resolver.workflow
        self.workflow_names = resolver.workflow_names
        self.launch_plan_names = resolver.launch_plan_names

    def task(self, id: Identifier, /) -> TaskTemplate | None:  # noqa: A002 - as in Resolver
        return self._tasks.get(identifiers.key(id)) or self._resolver.task(id)

    def launch_plan(self, id: Identifier, /) -> CompiledLaunchPlan | None:  # noqa: A002 - as in Resolver
        return self._launch_plans.get(identifiers.key(id)) or self._resolver.launch_plan(id)


class Inlining:
    """Puts workflows in.

    Args:
        put_in: by the id of the node that calls it, the workflow; none of their nodes calls a workflow that is put in.
    """

    def __init__(self, put_in: Mapping[str, CompiledWorkflow]) -> None:
        self._put_in = put_in
        self._inputs: dict[str, dict[str, BindingValue]] = {}
        self._outputs: dict[str, dict[str, BindingValue]] = {}
        self._last: dict[str, list[str]] = {}
        self._bytes = 0

    def template(self, workflow: WorkflowTemplate) -> WorkflowTemplate:
        """The workflow, whose nodes are in topological order, with the others' nodes in it.

        Raises TooLarge, and LeadsNowhere.
        """
        made: list[Node] = []
        conditionals: list[Node] = []
        for node in workflow.nodes:
            if node.id in self._put_in:
                made += self._expanded(node)
                continue
            copied = Node()
            copied.CopyFrom(node)
            made.append(copied)
            copied.after[:] = self._after(node.after)
            if node.HasField("branch"):
                conditionals.append(copied)
            else:
                self._rewire(copied, self._outer(node.id))
        for copied in conditionals:  # what their cases give comes from nodes behind them
            self._rewire(copied, self._outer(copied.id))
        outer = self._outer("the outputs")
        result = WorkflowTemplate()
        result.CopyFrom(workflow)
        del result.nodes[:], result.outputs[:]
        result.nodes.extend(made)
        result.outputs.extend(self._bound(workflow.outputs, outer))
        return result

    # One call

    def _expanded(self, call: Node) -> list[Node]:
        compiled = self._put_in[call.id]
        prefix = f"{call.id}."
        given = self._inputs[call.id] = {
            each.variable: each.value for each in self._bound(call.inputs, self._outer(call.id))
        }
        after = self._after(call.after)
        inner = self._inner(prefix, given)
        put_in = compiled.workflow.nodes
        first = {node.id for node in edges.begins(put_in)}
        made = []
        for node in put_in:
            copied = Node()
            copied.CopyFrom(node)
            copied.id = prefix + node.id
            copied.after[:] = after if node.id in first else [prefix + each for each in node.after]
            if node.section.HasField("branch"):
                copied.section.branch.node = prefix + node.section.branch.node
            elif call.HasField("section"):
                copied.section.CopyFrom(call.section)
            if not node.HasField("position") and call.HasField("position"):
                copied.position.CopyFrom(call.position)
            self._rewire(copied, inner)
            self._count(copied.ByteSize())
            made.append(copied)
        outputs = self._bound(compiled.workflow.outputs, inner)
        self._outputs[call.id] = {each.variable: each.value for each in outputs}
        self._last[call.id] = [prefix + node.id for node in edges.ends(put_in)]
        return made

    def _after(self, after: Iterable[str]) -> list[str]:
        """The nodes to run after, with the last ones of what was put in instead of the node that called it."""
        made: list[str] = []
        for node in after:
            last = self._last.get(node)
            if last is None:
                made.append(node)
            else:
                self._count(sum(map(len, last)))
                made += last
        return made

    # Rewiring

    def _rewire(self, node: Node, replaced: Replaced) -> None:
        inputs = self._bound(node.inputs, replaced)
        del node.inputs[:]
        node.inputs.extend(inputs)
        for case in node.branch.cases if node.HasField("branch") else ():
            if case.HasField("condition"):
                case.condition.CopyFrom(self._condition(case.condition, replaced))
            if case.HasField("outputs"):
                outputs = self._bound(case.outputs.bindings, replaced)
                del case.outputs.bindings[:]
                case.outputs.bindings.extend(outputs)

    def _bound(self, bindings: Iterable[Binding], replaced: Replaced) -> list[Binding]:
        return [Binding(variable=each.variable, value=self._value(each.value, replaced)) for each in bindings]

    def _value(self, value: BindingValue, replaced: Replaced) -> BindingValue:
        match value.WhichOneof("value"):
            case "promise":
                made = replaced(value.promise)
                if made is None:
                    return value
                self._count(made.ByteSize())
                return made
            case "list" | "dict" | "record":
                parts = [self._value(each, replaced) for each in containers.children(value)]
                return containers.assembled(value, parts)
            case _:
                return value

    def _condition(self, condition: Condition, replaced: Replaced) -> Condition:
        match condition.WhichOneof("condition"):
            case "comparison":
                made = Comparison(operator=condition.comparison.operator)
                made.left.CopyFrom(self._value(condition.comparison.left, replaced))
                made.right.CopyFrom(self._value(condition.comparison.right, replaced))
                return Condition(comparison=made)
            case "value":
                return Condition(value=self._value(condition.value, replaced))
            case "all":
                inner = [self._condition(each, replaced) for each in condition.all.conditions]
                return Condition(all=Conditions(conditions=inner))
            case "any":
                inner = [self._condition(each, replaced) for each in condition.any.conditions]
                return Condition(any=Conditions(conditions=inner))
            case _:
                return Condition(negated=self._condition(condition.negated, replaced))

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > MOST_BYTES:
            raise TooLarge

    # Promises

    def _outer(self, node: str) -> Replaced:
        """What stands for a promise of the workflow itself; None: it stays."""

        def replaced(promise: Promise) -> BindingValue | None:
            outputs = self._outputs.get(promise.node)
            if outputs is None:
                return None
            return self._followed(outputs[promise.variable], promise.path, node)

        return replaced

    def _inner(self, prefix: str, given: Mapping[str, BindingValue]) -> Replaced:
        """What stands for a promise of a workflow that is put in."""

        def replaced(promise: Promise) -> BindingValue | None:
            if not promise.node:
                return self._followed(given[promise.variable], promise.path, prefix[:-1])
            moved = Promise(node=prefix + promise.node, variable=promise.variable, path=promise.path)
            return BindingValue(promise=moved)

        return replaced

    def _followed(self, value: BindingValue, path: Sequence[PathStep], node: str) -> BindingValue:
        """The part of a value at a path; what is left of the path goes on into a promise."""
        current = value
        for done, step in enumerate(path):
            rest = path[done:]
            match current.WhichOneof("value"):
                case "promise":
                    promise = current.promise
                    longer = Promise(
                        node=promise.node, variable=promise.variable, path=[*promise.path, *rest]
                    )
                    return BindingValue(promise=longer)
                case "error":
                    return BindingValue(error=ErrorPromise(path=[*current.error.path, *rest]))
                case "literal":
                    try:
                        return BindingValue(literal=literals.follow(current.literal, rest))
                    except errors.ConversionError as error:
                        raise LeadsNowhere(node, error.message) from None
                case _:
                    found = _part(current, step)
                    if found is None:
                        raise LeadsNowhere(node, "what it is given has no such part")
                    current = found
        return current


def _part(value: BindingValue, step: PathStep) -> BindingValue | None:
    """The part of a container that a step leads to."""
    match value.WhichOneof("value"), step.WhichOneof("step"):
        case "list", "index":
            parts, place = value.list.elements, step.index
            return parts[place] if -len(parts) <= place < len(parts) else None
        case "dict", "key":
            keys = list(value.dict.keys)
            return value.dict.values[keys.index(step.key)] if step.key in keys else None
        case "record", "field":
            name = step.field
        case "record", "index":
            name = str(step.index if step.index >= 0 else len(value.record.fields) + step.index)
        case _:
            return None
    return next((each.value for each in value.record.fields if each.name == name), None)
