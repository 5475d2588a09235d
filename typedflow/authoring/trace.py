"""A workflow's body run once, with promises for values: each call of a task becomes a node.

A trace notes what is wrong and goes on, so that the compiler can tell everything at once. It never runs a task.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from typedflow import errors, literal_types, type_engine
from typedflow.authoring import definitions, signature, source
from typedflow.authoring.promise import Nothing, Promise, outputs
from typedflow.compiler import diagnostics
from typedflow.pb import (
    diagnostics_pb2,
    identifiers_pb2,
    literals_pb2,
    tasks_pb2,
    types_pb2,
    workflows_pb2,
)


@dataclass(frozen=True, slots=True)
class Call:
    """How one call differs from the task's own terms.

    Attributes:
        overrides: options that replace the task's.
        name: the author's for the node, or "".
        after: results of the nodes that come first although no value comes from them.
    """

    overrides: tasks_pb2.TaskOptions | None = None
    name: str = ""
    after: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mistake is: the node, the author's line, and in words."""

    node: str
    position: identifiers_pb2.SourcePosition
    what: str

    def inside(self, index: int) -> Place:
        """An element of it."""
        return Place(self.node, self.position, f"{self.what}[{index}]")


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

    def call(self, task: Any, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Makes a node of a task's call and gives what the call gives: promises of the task's outputs."""
        position = source.caller()
        read: signature.Signature = task.signature
        what = f"task `{task.short_name}`"
        node = workflows_pb2.Node(id=self.node_id(call.name, task.short_name), position=position)
        node.task.task.CopyFrom(task.reference())
        if call.overrides is not None:
            node.task.overrides.CopyFrom(call.overrides)
        whole = Place(node.id, position, what)
        first = (
            each for result in call.after if self._is_own(result, whole) for each in result.typedflow_nodes
        )
        node.after.extend(dict.fromkeys(first))
        for variable, value in self.arguments(read, args, kwargs, whole).items():
            binding = workflows_pb2.Binding(variable=variable)
            place = Place(node.id, position, f"input `{variable}` of {what}")
            self.bind(binding.value, value, read.parameters.get(variable), place)
            node.inputs.append(binding)
        self.nodes.append(node)
        if not task.is_same(self.tasks.setdefault(task.name, task)):
            self.mistake(
                diagnostics.INVALID_NAME,
                f"there is another task that is called `{task.name}`",
                whole,
                hint="define it once, at the top level of its module; what differs can be an input",
            )
        return self.promises(read, node.id, what)

    def node_id(self, name: str, called: str) -> str:
        """The author's name for it, else the called task and its order among the calls of it."""
        if name:
            return self._prefix + name
        called = called.strip("_") or called  # a private task's node is as public as any
        self._calls[self._prefix + called] = n = self._calls.get(self._prefix + called, 0) + 1
        return self._prefix + (called if n == 1 else f"{called}-{n}")

    @contextmanager
    def inside(self, called: str) -> Iterator[str]:
        """While it is open, nodes are those of an inlined sub-workflow; gives the path before them."""
        before = self._prefix
        path = self.node_id("", called)
        self._prefix = path + "."
        try:
            yield path
        finally:
            self._prefix = before

    @contextmanager
    def entering(self, workflow: Any, position: identifiers_pb2.SourcePosition) -> Iterator[None]:
        """While it is open, the body of this workflow runs. Raises DefinitionError for one that calls itself."""
        if any(open_ is workflow for open_ in self._open):
            name = workflow.short_name
            raise definitions.as_error(
                [
                    diagnostics_pb2.Diagnostic(
                        code=diagnostics.CYCLE_DETECTED,
                        message=f"workflow `{name}` calls itself, which would never end",
                        workflow=self.name,
                        position=position,
                    )
                ]
            )
        self._open.append(workflow)
        try:
            yield
        finally:
            self._open.pop()

    def arguments(
        self, read: signature.Signature, args: Sequence[Any], kwargs: Mapping[str, Any], place: Place
    ) -> dict[str, Any]:
        """Arguments by name, positional ones by the order of the parameters."""
        names = list(read.parameters)
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names):
            self.mistake(
                diagnostics.VARIABLE_NAME_NOT_FOUND,
                f"{place.what} takes {len(names)} values, not {len(args)}",
                place,
            )
        for name in given.keys() & kwargs.keys():
            self.mistake(
                diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE, f"{place.what} is given `{name}` twice", place
            )
        return given | dict(kwargs)

    def bind(
        self,
        target: workflows_pb2.BindingValue,
        value: Any,
        variable: signature.Parameter | signature.Output | None,
        place: Place,
    ) -> None:
        """Writes a value that may hold promises. What can't be written is noted, and stays unset."""
        if isinstance(value, Promise):
            self._bind_promise(target, value, place)
        elif variable is None:  # there is no such variable: the compiler tells, with the nearest name
            target.literal.none.SetInParent()
        elif holds_promise(value):
            self._bind_list(target, value, variable.annotation, place)
        else:
            self._bind_constant(target, value, variable.converter, place)

    def _bind_promise(self, target: workflows_pb2.BindingValue, promise: Promise, place: Place) -> None:
        if self._is_usable(promise, place) and promise.typedflow_promise.variable:
            target.promise.CopyFrom(promise.typedflow_promise)

    def _is_usable(self, promise: Promise, place: Place) -> bool:
        if isinstance(promise, Nothing):
            self.mistake(
                diagnostics.MISMATCHING_TYPES,
                f"{place.what} is bound to `{promise.typedflow_promise.node}`, which gives nothing",
                place,
                hint="use it in `after(...)`, or let what is called return a value",
            )
            return False
        return self._is_own(promise, place)

    def _is_own(self, promise: Promise, place: Place) -> bool:
        if promise.typedflow_origin is self:
            return True
        self.mistake(
            diagnostics.NODE_REFERENCE_NOT_FOUND,
            f"{place.what} is given {promise!r}, which was made in the body of `{promise.typedflow_origin.name}`",
            place,
            hint="a promise is good in the body that it was made in; hand values over as inputs and outputs",
        )
        return False

    def _bind_list(
        self, target: workflows_pb2.BindingValue, values: Sequence[Any], annotation: Any, place: Place
    ) -> None:
        element = _element(annotation)
        if element is None or not isinstance(values, list):
            self.mistake(
                diagnostics.MISMATCHING_TYPES,
                f"{place.what} is given a {type(values).__name__} of promises",
                place,
                expected=signature.shown(annotation),
                given=f"{values!r:.100}",
                hint="" if isinstance(values, list) else "give one of its parts, or write list(...)",
            )
            return
        target.list.SetInParent()
        converter = signature.types().converter(element)
        for i, value in enumerate(values):
            each, at = target.list.elements.add(), place.inside(i)
            if isinstance(value, Promise):
                self._bind_promise(each, value, at)
            elif holds_promise(value):
                self._bind_list(each, value, element, at)
            else:
                self._bind_constant(each, value, converter, at)

    def _bind_constant(
        self, target: workflows_pb2.BindingValue, value: Any, converter: type_engine.Converter, place: Place
    ) -> None:
        literal = self._literal(value, converter, place)
        if literal is not None:
            target.literal.CopyFrom(literal)

    def _literal(
        self, value: Any, converter: type_engine.Converter, place: Place
    ) -> literals_pb2.Literal | None:
        """A constant's literal; None for one that does not fit, which is noted."""
        try:
            return converter.to_literal(value, "", type_engine.NO_DATA)
        except errors.ConversionError as error:
            part = f" at `{error.where.lstrip('.')}`" if error.where else ""
            self.mistake(
                diagnostics.INVALID_VALUE,
                f"{place.what} does not take this value{part}: {error.message}",
                place,
                expected=literal_types.text(converter.type),
                given=f"{value!r:.100}",
                hint=error.hint,
            )
            return None

    def promises(self, read: signature.Signature, node: str, what: str) -> Any:
        """What a call gives: promises of the outputs, in the form in which the function returns them."""
        made = [
            Promise(self, workflows_pb2.Promise(node=node, variable=output.name), output.converter.type)
            for output in read.outputs
        ]
        return self.result(read, made, node, what) if made else Nothing(self, node, [node])

    def result(self, read: signature.Signature, values: Sequence[Any], node: str, what: str) -> Any:
        """Outputs in order, in the form in which the function returns them."""
        if read.form is None:
            return values[0]
        named = {output.name: value for output, value in zip(read.outputs, values, strict=True)}
        return outputs(read.form, named, self, node, what)

    def gap(self, variable: signature.Parameter | signature.Output) -> Promise:
        """What stands for a value that is missing or wrong, once that is noted: nothing more is said of it."""
        return Promise(self, workflows_pb2.Promise(), variable.converter.type)

    def mistake(
        self,
        code: str,
        message: str,
        place: Place,
        *,
        expected: str = "",
        given: str = "",
        label: str = "",
        hint: str = "",
    ) -> None:
        """Notes what the trace found wrong."""
        self.mistakes.append(
            diagnostics_pb2.Diagnostic(
                code=code,
                message=message,
                workflow=self.name,
                node=place.node,
                position=place.position,
                expected=expected,
                given=given,
                label=label,
                hint=hint,
            )
        )

    def checked(self, value: Any, variable: signature.Parameter | signature.Output, place: Place) -> Any:
        """A sub-workflow's input or output, of which inlining leaves nothing to compile; a gap if it does not fit."""
        if isinstance(value, Promise):
            fits = self._is_usable(value, place) and self._is_assignable(
                value, variable.converter.type, place
            )
        else:
            fits = holds_promise(value) or self._literal(value, variable.converter, place) is not None
        return value if fits else self.gap(variable)

    def _is_assignable(self, promise: Promise, target: types_pb2.LiteralType, place: Place) -> bool:
        mismatch = literal_types.is_assignable(promise.typedflow_type, target)
        if mismatch is None:
            return True
        given, expected = literal_types.text(promise.typedflow_type), literal_types.text(target)
        origin = promise.typedflow_promise.node or promise.typedflow_promise.variable
        self.mistake(
            diagnostics.MISMATCHING_TYPES,
            f"{place.what} expects {expected}",
            place,
            expected=expected,
            given=given,
            label=f"`{origin}` gives {given}: {mismatch.reason}",
            hint=mismatch.hint,
        )
        return False


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
