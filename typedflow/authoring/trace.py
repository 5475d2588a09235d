"""A workflow's body run once, with promises for values: each call in it becomes a node.

A trace notes what is wrong and goes on, so that the compiler can tell everything at once. It never runs a task.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

from typedflow import identifiers, literal_types, spelling, type_engine
from typedflow.authoring import binding, definitions, signature, source
from typedflow.authoring.binding import Place
from typedflow.authoring.promise import Nothing, Promise, outputs, path_text, step_text
from typedflow.authoring.tracing import Tracing
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, literals_pb2, tasks_pb2, types_pb2, workflows_pb2

Key: TypeAlias = tuple[int, str, str, str, str]
"""Of an identifier."""


@dataclass(frozen=True, slots=True)
class Call:
    """How one call differs from the terms of what is called.

    Attributes:
        overrides: options that replace the task's.
        name: the author's for the node, or "".
        after: results of the nodes that come first although no value comes from them.
    """

    overrides: tasks_pb2.TaskOptions | None = None
    name: str = ""
    after: tuple[Promise, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """Where nodes are put: the path before their names, and the part of the graph that they belong to."""

    prefix: str = ""
    section: workflows_pb2.Section | None = None


class Trace(Tracing):
    """What is known of a workflow while its body runs.

    Attributes:
        name: the workflow's, for diagnostics.
        data: where the bytes of constants go: nowhere, but in a dynamic task's body.
        keep: what is done with the literal of each constant.
        asked: by the names of gates, the annotations of what they are given.
        nodes: in the order of their calls.
        mistakes: what the trace itself found wrong; the compiler finds the rest.
        called: every task, workflow and launch plan that nodes call, by the key of its identifier.
        scope: where the next node goes.
        unfinished: what was begun and not ended, each with the mistake that this is.
    """

    def __init__(
        self,
        name: str,
        *,
        data: type_engine.Data = type_engine.NO_DATA,
        running: object = None,
        keep: Callable[[literals_pb2.Literal], literals_pb2.Literal] = lambda literal: literal,
    ) -> None:
        super().__init__(running)
        self.name = name
        self.data = data
        self.keep = keep
        self.asked: dict[str, Any] = {}
        self.nodes: list[workflows_pb2.Node] = []
        self.mistakes: list[diagnostics_pb2.Diagnostic] = []
        self.called: dict[Key, Any] = {}
        self.scope: Scope = Scope()
        self.unfinished: dict[object, diagnostics_pb2.Diagnostic] = {}
        self._open: list[object] = []
        self._calls: dict[str, int] = {}

    def begin(self, call: Call, called: str, what: str) -> tuple[workflows_pb2.Node, Place]:
        """A node of a call where it stands, not yet among the nodes: the caller gives it a target and inputs.

        Args:
            called: the short name of what is called.
            what: the same in words, for messages: "task `train`".
        """
        position = source.caller()
        node = workflows_pb2.Node(id=self.node_id(call.name, called), position=position)
        if self.scope.section is not None:
            node.section.CopyFrom(self.scope.section)
        place = Place(node.id, position, what)
        first = (
            each
            for result in call.after
            if binding.is_own(self, result, place)
            for each in result.typedflow_nodes
        )
        node.after.extend(dict.fromkeys(first))
        return node, place

    def give(
        self,
        node: workflows_pb2.Node,
        read: signature.Signature,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        place: Place,
    ) -> None:
        """Binds a node's inputs to a call's arguments."""
        for variable, value in self.arguments(read, args, kwargs, place).items():
            bound = workflows_pb2.Binding(variable=variable)
            binding.bind(self, bound.value, value, read.parameters.get(variable), place.input(variable))
            node.inputs.append(bound)

    def use(self, called: Any, place: Place) -> None:
        """Remembers what a node calls. Two definitions of one name are told."""
        known = self.called.setdefault(identifiers.key(called.reference()), called)
        if not called.is_same(known):
            self.mistake(
                diagnostics.INVALID_NAME,
                f"there is another {called.kind} that is called `{called.name}`",
                place,
                hint="define it once, at the top level of its module; what differs can be an input",
            )

    def node_id(self, name: str, called: str) -> str:
        """The author's name for it, else the called task and its order among the calls of it."""
        if name:
            return self.scope.prefix + name
        called = called.strip("_") or called  # a private task's node is as public as any
        path = self.scope.prefix + called
        self._calls[path] = n = self._calls.get(path, 0) + 1
        return path if n == 1 else f"{path}-{n}"

    @contextmanager
    def inside(self, called: str, name: str = "") -> Iterator[str]:
        """While it is open, nodes are those of an inlined sub-workflow; gives the path before them."""
        before = self.scope
        path = self.node_id(name, called)
        self.scope = dataclasses.replace(before, prefix=path + ".")
        try:
            yield path
        finally:
            self.scope = before

    @contextmanager
    def provisionally(self) -> Iterator[None]:
        """What is traced while it is open is gone after it."""
        nodes, mistakes, calls = len(self.nodes), len(self.mistakes), dict(self._calls)
        try:
            yield
        finally:
            del self.nodes[nodes:], self.mistakes[mistakes:]
            self._calls = calls

    @contextmanager
    def entering(
        self, workflow: object, short_name: str, position: identifiers_pb2.SourcePosition
    ) -> Iterator[None]:
        """While it is open, the body of this workflow runs. Raises DefinitionError for one that calls itself."""
        if any(open_ is workflow for open_ in self._open):
            raise definitions.as_error(
                [
                    diagnostics_pb2.Diagnostic(
                        code=diagnostics.CYCLE_DETECTED,
                        message=f"workflow `{short_name}` calls itself, which would never end",
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

    def promises(self, read: signature.Signature, node: str, what: str) -> Any:
        """What a call gives: promises of the outputs, in the form in which the function returns them."""
        made = [
            self.promise(node, output.name, output.converter.type, output.annotation)
            for output in read.outputs
        ]
        return self.result(read, made, node, what) if made else Nothing(self, node, [node])

    def promise(self, node: str, variable: str, type_: types_pb2.LiteralType, annotation: Any) -> Promise:
        """Of a node's output, or with an empty node of one of the workflow's inputs."""
        return Promise(self, workflows_pb2.Promise(node=node, variable=variable), type_, annotation)

    def result(self, read: signature.Signature, values: Sequence[Any], node: str, what: str) -> Any:
        """Outputs in order, in the form in which the function returns them."""
        if read.form is None:
            return values[0]
        named = {output.name: value for output, value in zip(read.outputs, values, strict=True)}
        return outputs(read.form, named, self, node, what)

    def gap(self, variable: signature.Parameter | signature.Output) -> Promise:
        """What stands for a value that is missing or wrong, once that is noted: nothing more is said of it."""
        return Promise(self, workflows_pb2.Promise(), variable.converter.type, variable.annotation)

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
            diagnostics.make(
                code,
                diagnostics.brief(message, expected, given),
                workflow=self.name,
                node=place.node,
                position=place.position,
                expected=expected,
                given=given,
                label=diagnostics.brief(label, expected, given),
                hint=hint,
            )
        )

    def note(self, code: str, message: str, node: str, *, label: str = "", hint: str = "") -> None:
        """Notes the mistake on the author's line."""
        self.mistake(code, message, Place(node, source.author(), ""), label=label, hint=hint)

    def refuse(self, code: str, message: str, node: str, *, label: str = "", hint: str = "") -> NoReturn:
        """Raises the mistake on the author's line."""
        made = diagnostics.make(
            code,
            message,
            workflow=self.name,
            node=node,
            position=source.author(),
            label=label,
            hint=hint,
        )
        raise definitions.as_error([made])

    def no_such_part(
        self, promise: workflows_pb2.Promise, given: types_pb2.LiteralType, step: workflows_pb2.PathStep
    ) -> None:
        """Notes, on the author's line, that a value has no such part."""
        fields = [] if given.record.positional else [each.name for each in given.record.fields]
        wanted = step.field or step.key
        nearest = spelling.nearest(wanted, fields) if wanted and fields else ""
        expected = ", ".join(f"`{name}`" for name in fields[:10])
        hint = "what is done with a value is done inside a task"
        if nearest:
            hint = f"did you mean `{nearest}`?"
        elif fields:
            hint = f"it has {expected}" + (f" and {len(fields) - 10} more" if len(fields) > 10 else "")
        elif given.WhichOneof("type") == "dict" and step.field:
            hint = f"take the value of a key: `[{step.field!r}]`"
        if given.WhichOneof("type") == "union":
            hint = "take it apart in a task: which of the variants it is, is known only when it has run"
        text = literal_types.text(given)
        self.mistake(
            diagnostics.FIELD_NOT_FOUND,
            f"`{path_text(promise)}` has no `{step_text(step)}`",
            Place(promise.node, source.author(), ""),
            expected=expected,
            given=text,
            label=f"it is {text}",
            hint=hint,
        )

    def give_up(self) -> None:
        """Raises what was noted last, as it leaves nothing to go on with."""
        if self.mistakes:
            raise definitions.as_error([self.mistakes.pop()])
