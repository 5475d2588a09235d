"""A workflow's body run once, with promises for values: each call of a task becomes a node.

A trace notes what is wrong and goes on, so that the compiler can tell everything at once. It never runs a task.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from typedflow import errors, literal_types, type_engine
from typedflow.authoring import definitions, signature, source
from typedflow.authoring.promise import Promise, outputs
from typedflow.pb import diagnostics_pb2, identifiers_pb2, tasks_pb2, types_pb2, workflows_pb2


class Trace:
    """What is known of a workflow while its body runs.

    Attributes:
        name: the workflow's, for diagnostics.
        nodes: in the order of their calls.
        mistakes: what the trace itself found wrong; the compiler finds the rest.
        tasks: every task that was called, by name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.nodes: list[workflows_pb2.Node] = []
        self.mistakes: list[diagnostics_pb2.Diagnostic] = []
        self.tasks: dict[str, Any] = {}
        self._prefix = ""
        self._open: list[Any] = []
        self._calls: dict[str, int] = {}

    def call(
        self,
        task: Any,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        overrides: tasks_pb2.TaskOptions | None,
        name: str,
        after: Sequence[str],
    ) -> Any:
        """Makes a node of a task's call and gives what the call gives: promises of the task's outputs.

        Args:
            task: the `Task` that is called.
            name: the author's for the node, or "".
            after: nodes that come first although no value comes from them.
        """
        position = source.caller()
        read: signature.Signature = task.signature
        node = workflows_pb2.Node(id=self.node_id(name, task.short_name), position=position)
        node.task.task.CopyFrom(task.reference())
        if overrides is not None:
            node.task.overrides.CopyFrom(overrides)
        node.after.extend(dict.fromkeys(after))
        given = self.arguments(read, args, kwargs, node.id, f"task `{task.short_name}`", position)
        for variable, value in given.items():
            binding = workflows_pb2.Binding(variable=variable)
            parameter = read.parameters.get(variable)
            if self.bind(binding.value, value, parameter, node, f"input `{variable}` of task `{task.short_name}`"):
                node.inputs.append(binding)
        self.nodes.append(node)
        self.tasks[task.name] = task
        return self.promises(read, node.id, f"task `{task.short_name}`")

    def node_id(self, name: str, called: str) -> str:
        """The author's name for it, else the called task and its order among the calls of it."""
        if name:
            return self._prefix + name
        self._calls[self._prefix + called] = n = self._calls.get(self._prefix + called, 0) + 1
        return self._prefix + (called if n == 1 else f"{called}-{n}")

    @contextmanager
    def inside(self, workflow_call: str) -> Iterator[None]:
        """While it is open, nodes are those of an inlined sub-workflow."""
        before = self._prefix
        self._prefix = self.node_id("", workflow_call) + "."
        try:
            yield
        finally:
            self._prefix = before

    @contextmanager
    def entering(self, workflow: Any) -> Iterator[None]:
        """While it is open, the body of this workflow runs. Raises DefinitionError for one that calls itself."""
        if any(open_ is workflow for open_ in self._open):
            name = workflow.short_name
            raise definitions.as_error(
                [
                    diagnostics_pb2.Diagnostic(
                        code="CycleDetected",
                        message=f"workflow `{name}` calls itself, which would never end",
                        workflow=self.name,
                        position=source.caller(),
                    )
                ]
            )
        self._open.append(workflow)
        try:
            yield
        finally:
            self._open.pop()

    def arguments(
        self,
        read: signature.Signature,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        node: str,
        what: str,
        position: identifiers_pb2.SourcePosition,
    ) -> dict[str, Any]:
        """Arguments by name, positional ones by the order of the parameters."""
        names = list(read.parameters)
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names):
            self.mistake("VariableNameNotFound", f"{what} takes {len(names)} values, not {len(args)}", node, position)
        for name in given.keys() & kwargs.keys():
            self.mistake("ParameterBoundMoreThanOnce", f"{what} is given `{name}` twice", node, position)
        return given | dict(kwargs)

    def bind(
        self,
        target: workflows_pb2.BindingValue,
        value: Any,
        parameter: signature.Parameter | signature.Output | None,
        node: workflows_pb2.Node,
        what: str,
    ) -> bool:
        """Writes a value that may hold promises; notes what can't be written and says so by False."""
        if isinstance(value, Promise):
            target.promise.CopyFrom(value._typedflow_promise)
            return True
        if parameter is None:  # there is no such variable: the compiler tells, with the nearest name
            target.literal.none.SetInParent()
            return True
        return self._constant(target, value, parameter.annotation, parameter.converter, node, what)

    def _constant(
        self,
        target: workflows_pb2.BindingValue,
        value: Any,
        annotation: Any,
        converter: type_engine.Converter,
        node: workflows_pb2.Node,
        what: str,
    ) -> bool:
        if isinstance(value, (list, tuple)) and holds_promise(value):
            element = _element(annotation)
            if element is not None:
                target.list.SetInParent()
                return all(
                    [self._element(target.list.elements.add(), item, element, node, f"{what}[{i}]") for i, item in enumerate(value)]
                )
            self.mistake(
                "MismatchingTypes",
                f"{what} expects {literal_types.text(converter.type)}, and is given {type(value).__name__} of promises",
                node.id,
                node.position,
                expected=literal_types.text(converter.type),
            )
            return False
        try:
            target.literal.CopyFrom(converter.to_literal(value, "", type_engine.NO_DATA))
        except errors.ConversionError as error:
            self.mistake(
                "InvalidValue",
                f"{what} does not take this value: {error.message}",
                node.id,
                node.position,
                expected=literal_types.text(converter.type),
                given=f"{value!r:.100}",
                hint=error.hint,
            )
            return False
        return True

    def _element(
        self, target: workflows_pb2.BindingValue, value: Any, annotation: Any, node: workflows_pb2.Node, what: str
    ) -> bool:
        if isinstance(value, Promise):
            target.promise.CopyFrom(value._typedflow_promise)
            return True
        return self._constant(target, value, annotation, signature.types().converter(annotation), node, what)

    def promises(self, read: signature.Signature, node: str, what: str) -> Any:
        """What a call gives: promises of the outputs, in the form in which the function returns them."""
        made = {
            output.name: Promise(self, workflows_pb2.Promise(node=node, variable=output.name), output.converter.type)
            for output in read.outputs
        }
        if read.form is not None:
            return outputs(read.form, made, what)
        return made["o0"] if made else Nothing(node)

    def mistake(
        self,
        code: str,
        message: str,
        node: str,
        position: identifiers_pb2.SourcePosition,
        *,
        expected: str = "",
        given: str = "",
        label: str = "",
        hint: str = "",
    ) -> None:
        self.mistakes.append(
            diagnostics_pb2.Diagnostic(
                code=code,
                message=message,
                workflow=self.name,
                node=node,
                position=position,
                expected=expected,
                given=given,
                label=label,
                hint=hint,
            )
        )

    def check(self, value: Any, target: types_pb2.LiteralType, what: str, position: identifiers_pb2.SourcePosition) -> None:
        """Notes a promise that does not fit a sub-workflow's variable: inlining leaves no binding for the compiler to check."""
        if not isinstance(value, Promise):
            return
        mismatch = literal_types.is_assignable(value._typedflow_type, target)
        if mismatch is not None:
            given = literal_types.text(value._typedflow_type)
            expected = literal_types.text(target)
            self.mistake(
                "MismatchingTypes",
                f"{what} expects {expected}",
                self._prefix.rstrip("."),
                position,
                expected=expected,
                given=given,
                label=f"{value!r} gives {given}: {mismatch.reason}",
                hint=mismatch.hint,
            )


class Nothing:
    """What the call of a task without outputs gives: good for `after` only."""

    __slots__ = ("node",)

    def __init__(self, node: str) -> None:
        self.node = node


def nodes_of(value: Any) -> list[str]:
    """The nodes that a call's result comes from. Raises DefinitionError for what is not a call's result."""
    if isinstance(value, Promise):
        return [value._typedflow_promise.node] if value._typedflow_promise.node else []
    if isinstance(value, Nothing):
        return [value.node]
    if isinstance(value, tuple) and value:
        return [node for part in value for node in nodes_of(part)]
    raise errors.DefinitionError(
        f"after({value!r:.80}) is given a {type(value).__name__}",
        where=definitions.place(source.caller()),
        code="InvalidValue",
        hint="give it the results of task calls, as in `train.after(prepared)(df=df)`",
    )


def holds_promise(value: Any) -> bool:
    """Whether a value, or an element of it at any depth, is a promise."""
    if isinstance(value, (list, tuple)):
        return any(holds_promise(item) for item in value)
    return isinstance(value, Promise)


def _element(annotation: Any) -> Any | None:
    """Of a list's annotation, or of the list among an Optional's variants."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _element(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) is list:
        return typing.get_args(annotation)[0]
    for variant in typing.get_args(annotation):
        if typing.get_origin(variant) is list:
            return typing.get_args(variant)[0]
    return None
