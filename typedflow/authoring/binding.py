"""Arguments written down as bindings: promises, constants, and containers that hold both.

What can't be written is noted in the trace and left unset. Constants are converted by the parameter's own annotation,
so that a mistake in one names the place in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from typedflow import errors, literal_types, type_engine
from typedflow.authoring import condition, hints, signature
from typedflow.authoring.condition import Condition
from typedflow.authoring.promise import Nothing, Origin, Promise, is_known
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, literals_pb2, types_pb2, workflows_pb2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a mistake is: the node, the author's line, and in words."""

    node: str
    position: identifiers_pb2.SourcePosition
    what: str

    def inside(self, part: str) -> Place:
        """A part of it, as in `[3]` or `.rate`."""
        return Place(self.node, self.position, f"{self.what}{part}")

    def input(self, name: str) -> Place:
        """One of its inputs."""
        return Place(self.node, self.position, f"input `{name}` of {self.what}")


class Unfinished:
    """What a conditional is until its last word, which says what it gives."""

    def __init__(self, branch: object) -> None:
        self._branch = branch

    def is_told(self, trace: Notes) -> bool:
        """Whether it will be told that it has no end."""
        return self._branch in trace.unfinished


class Notes(Origin, Protocol):
    """The trace, which takes note of mistakes."""

    unfinished: dict[object, diagnostics_pb2.Diagnostic]
    data: type_engine.Data

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
    ) -> None: ...


def bind(
    trace: Notes,
    target: workflows_pb2.BindingValue,
    value: Any,
    variable: signature.Parameter | signature.Output | None,
    place: Place,
) -> None:
    """Writes a value that may hold promises."""
    if isinstance(value, Promise):
        _bind_promise(trace, target, value, place)
    elif variable is None:  # there is no such variable: the compiler tells, with the nearest name
        target.literal.none.SetInParent()
    else:
        _bind_value(trace, target, value, variable.annotation, variable.converter, place)


def bind_as(
    trace: Notes, target: workflows_pb2.BindingValue, value: Any, annotation: Any, place: Place
) -> None:
    """The same for a value of this annotation."""
    if isinstance(value, Promise):
        _bind_promise(trace, target, value, place)
        return
    if annotation is hints.UNKNOWN:
        _no_type(trace, value, place)
        return
    try:
        converter = signature.types().converter(annotation)
    except errors.DefinitionError:
        _no_type(trace, value, place)
    else:
        _bind_value(trace, target, value, annotation, converter, place)


def holds_promise(value: Any) -> bool:
    """Whether a value, or a part of it at any depth, is known only when the workflow runs."""
    return hints.holds(value, (Promise, Condition))


def literal(
    trace: Notes, value: Any, converter: type_engine.Converter, place: Place
) -> literals_pb2.Literal | None:
    """A constant's literal; None for one that does not fit, which is noted."""
    try:
        return converter.to_literal(value, "", trace.data)
    except errors.ConversionError as error:
        part = f"at `{error.where.lstrip('.')}`: " if error.where else ""
        is_enum = converter.type.WhichOneof("type") == "enum" and not error.where
        expected = literal_types.text(converter.type)
        trace.mistake(
            diagnostics.ILLEGAL_ENUM_VALUE if is_enum else error.code,
            f"{place.what} expects {expected}",
            place,
            expected=expected,
            given=f"{value!r:.100}",
            label=f"{part}{error.message}",
            hint=error.hint or _call_it(value) or (_members(converter.type.enum) if is_enum else ""),
        )
        return None


def is_usable(trace: Notes, promise: Promise, place: Place) -> bool:
    """Whether a promise is one of a value, and of this trace; what it is otherwise is noted."""
    if isinstance(promise, Nothing):
        trace.mistake(
            diagnostics.MISMATCHING_TYPES,
            f"{place.what} is bound to `{promise.typedflow_promise.node}`, which gives nothing",
            place,
            hint="use it in `after(...)`, or let what is called return a value",
        )
        return False
    return is_own(trace, promise, place)


def is_own(trace: Notes, promise: Promise, place: Place) -> bool:
    """Whether a promise was made in this trace; another one is noted."""
    if promise.typedflow_origin is trace:
        return True
    trace.mistake(
        diagnostics.NODE_REFERENCE_NOT_FOUND,
        f"{place.what} is given {promise!r}, which was made in the body of `{promise.typedflow_origin.name}`",
        place,
        hint="a promise is good in the body that it was made in; hand values over as inputs and outputs",
    )
    return False


def is_assignable(trace: Notes, promise: Promise, target: types_pb2.LiteralType, place: Place) -> bool:
    """Whether a promise fits a type; that it does not is noted."""
    mismatch = literal_types.is_assignable(promise.typedflow_type, target) if is_known(promise) else None
    if mismatch is None:
        return True
    given, expected = literal_types.text(promise.typedflow_type), literal_types.text(target)
    origin = promise.typedflow_promise.node or promise.typedflow_promise.variable
    trace.mistake(
        diagnostics.MISMATCHING_TYPES,
        f"{place.what} expects {expected}",
        place,
        expected=expected,
        given=given,
        label=f"`{origin}` gives {given}: {mismatch.reason}",
        hint=mismatch.hint,
    )
    return False


def _bind_promise(trace: Notes, target: workflows_pb2.BindingValue, promise: Promise, place: Place) -> None:
    if is_usable(trace, promise, place):
        promise.typedflow_bind(target)


def _bind_value(
    trace: Notes,
    target: workflows_pb2.BindingValue,
    value: Any,
    annotation: Any,
    converter: type_engine.Converter,
    place: Place,
) -> None:
    if isinstance(value, Condition):
        trace.mistake(
            diagnostics.PROMISE_USED_AS_VALUE,
            f"{place.what} is given a condition, which is good for `conditional(...)` only",
            place,
            expected=literal_types.text(converter.type),
            given=repr(value),
            hint=f"compare inside a task that gives a bool; {condition.HINT}",
        )
    elif isinstance(value, Unfinished) and value.is_told(trace):
        return
    elif holds_promise(value):
        _bind_parts(trace, target, value, annotation, place)
    else:
        made = literal(trace, value, converter, place)
        if made is not None:
            target.literal.CopyFrom(trace.keep(made))


def _bind_parts(
    trace: Notes, target: workflows_pb2.BindingValue, value: Any, annotation: Any, place: Place
) -> None:
    ways = hints.apart(annotation, value)
    if not ways:
        hint = "give one of its parts, or write list(...)" if isinstance(value, tuple) else ""
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            hint = "its keys must be texts"
        trace.mistake(
            diagnostics.MISMATCHING_TYPES,
            f"{place.what} is given a {type(value).__name__} of promises",
            place,
            expected=signature.shown(annotation),
            given=f"{value!r:.100}",
            hint=hint,
        )
        return
    apart = next((way for way in ways if len(ways) > 1 and _fits(trace, way)), ways[0])
    match apart.kind:
        case "list":
            target.list.SetInParent()
            for i, part in enumerate(apart.parts):
                _bind_part(trace, target.list.elements.add(), part, place.inside(f"[{i}]"))
        case "dict":
            for part in apart.parts:
                target.dict.keys.append(part.name)
                _bind_part(trace, target.dict.values.add(), part, place.inside(f"[{part.name!r}]"))
        case _:
            for part in apart.parts:
                field = target.record.fields.add(name=part.name)
                at = f"[{part.name}]" if part.name.isdecimal() else f".{part.name}"
                _bind_part(trace, field.value, part, place.inside(at))


def _fits(trace: Notes, parts: hints.Parts) -> bool:
    """Whether every part is of its annotation, as far as that can be told without a word on what is not."""
    return all(_part_fits(trace, part.value, part.annotation) for part in parts.parts)


def _part_fits(trace: Notes, value: Any, annotation: Any) -> bool:
    if annotation is hints.UNKNOWN:
        return False
    converter = signature.types().converter(annotation)
    if isinstance(value, Promise):
        return literal_types.is_assignable(value.typedflow_type, converter.type) is None
    if holds_promise(value):
        return any(_fits(trace, way) for way in hints.apart(annotation, value))
    try:
        converter.to_literal(value, "", trace.data)
    except errors.ConversionError:
        return False
    return True


def _bind_part(trace: Notes, target: workflows_pb2.BindingValue, part: hints.Part, place: Place) -> None:
    if part.annotation is hints.UNKNOWN and not isinstance(part.value, Promise):
        target.literal.none.SetInParent()  # there is no such field: the compiler tells, with the nearest name
    else:
        bind_as(trace, target, part.value, part.annotation, place)


def _no_type(trace: Notes, value: Any, place: Place) -> None:
    trace.mistake(
        diagnostics.UNSUPPORTED_TYPE,
        f"{place.what} is given {value!r:.100}, and nothing says of what type it is to be",
        place,
        given=type(value).__name__,
        hint=_call_it(value) or "let a task give it",
    )


def _members(enum: types_pb2.EnumType) -> str:
    shown = ", ".join(repr(literal_types.member_value(each)) for each in enum.members[:10])
    return f"it is one of {shown}" + (", ..." if len(enum.members) > 10 else "")


def _call_it(value: Any) -> str:
    """A hint for what was given without a call."""
    if not callable(value):
        return ""
    name = getattr(value, "__name__", "f")
    return f"call it, as in `{name}(...)`: what the call gives is a result"
