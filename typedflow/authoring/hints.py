"""Annotations taken apart: what the part of a value is annotated with, on the way to it or inside a value at hand.

Only what the author wrote is read. Where it does not say, the answer is `UNKNOWN`, and nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from typedflow.pb import workflows_pb2
from typedflow.type_engine import marks

UNKNOWN: Final = object()
"""In an annotation's place: there is none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a value: its key or its field's name (empty in a list), what it is, and its annotation."""

    name: str
    value: Any
    annotation: Any


@dataclass(frozen=True, slots=True)
class Parts:
    """A value taken apart in the way in which its annotation has it travel."""

    kind: Literal["list", "dict", "record"]
    parts: tuple[Part, ...]


def at(annotation: Any, step: workflows_pb2.PathStep) -> Any:
    """The annotation one step into a value; UNKNOWN where it does not say."""
    annotation = _bare(annotation)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    match step.WhichOneof("step"):
        case "field":
            return _fields(annotation).get(step.field, UNKNOWN)
        case "key" if origin is dict:
            return arguments[1]
        case "index" if origin is list:
            return arguments[0]
        case "index" if origin is tuple and arguments[-1:] == (Ellipsis,):
            return arguments[0]
        case "index" if origin is tuple and -len(arguments) <= step.index < len(arguments):
            return arguments[step.index]
        case _:
            return UNKNOWN


def apart(annotation: Any, value: Any) -> list[Parts]:
    """A list, tuple, dict or record taken apart by its annotation, or by each of a union's that it may be."""
    found = (_apart(variant, value) for variant in _variants(annotation))
    return [parts for parts in found if parts is not None]


def list_of(annotation: Any) -> Any:
    """The annotation of a list of such; what a HashMethod says of one, it does not say of a part of a list."""
    return types.GenericAlias(list, (marks.take(annotation)[1],))


def optional(annotation: Any) -> Any:
    """The annotation of such or None, as a part of another."""
    return typing.Optional[marks.take(annotation)[1]]  # noqa: UP045 - `|` knows no texts and no aliases of other libraries


def holds(value: Any, kinds: type | tuple[type, ...]) -> bool:
    """Whether a value, or a part of it at any depth, is of these classes."""
    if isinstance(value, kinds):
        return True
    if isinstance(value, (list, tuple)):
        return any(holds(each, kinds) for each in value)
    if isinstance(value, dict):
        return any(holds(each, kinds) for each in value.values())
    if _is_record(value):
        return any(holds(getattr(value, f.name, None), kinds) for f in dataclasses.fields(value))
    return False


def _apart(annotation: Any, value: Any) -> Parts | None:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is list and isinstance(value, list):
        return Parts("list", tuple(Part("", each, arguments[0]) for each in value))
    if origin is tuple and isinstance(value, tuple):
        if arguments[-1:] == (Ellipsis,):
            return Parts("list", tuple(Part("", each, arguments[0]) for each in value))
        if len(arguments) == len(value):
            pairs = zip(value, arguments, strict=True)
            return Parts("record", tuple(Part(str(i), *pair) for i, pair in enumerate(pairs)))
    if origin is dict and isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return Parts("dict", tuple(Part(key, each, arguments[1]) for key, each in value.items()))
    given = _named(annotation, value)
    if given is None:
        return None
    fields = _fields(annotation)
    return Parts("record", tuple(Part(name, each, fields.get(name, UNKNOWN)) for name, each in given.items()))


def _named(annotation: Any, value: Any) -> Mapping[str, Any] | None:
    """The fields of a value that is a record of this class."""
    if not isinstance(annotation, type):
        return None
    if typing.is_typeddict(annotation):
        return value if isinstance(value, dict) and all(isinstance(key, str) for key in value) else None
    if hasattr(annotation, "_fields") and isinstance(value, annotation):
        return {name: getattr(value, name) for name in annotation._fields}
    if type(value) is annotation and dataclasses.is_dataclass(annotation):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(annotation)}
    return None


def _is_record(value: Any) -> bool:
    """Whether it is a dataclass's instance."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def _fields(annotation: Any) -> Mapping[str, Any]:
    """Of a dataclass, a NamedTuple or a TypedDict."""
    named = hasattr(annotation, "_fields") or typing.is_typeddict(annotation)
    if not isinstance(annotation, type) or not (named or dataclasses.is_dataclass(annotation)):
        return {}
    hints = typing.get_type_hints(annotation, include_extras=True)
    return {name: _required(hint) for name, hint in hints.items()}


def _required(hint: Any) -> Any:
    """Without the TypedDict's word on whether the key must be there."""
    return typing.get_args(hint)[0] if typing.get_origin(hint) in _KEYS else hint


_KEYS: Final = (typing.Required, typing.NotRequired)


def _bare(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def _variants(annotation: Any) -> Iterator[Any]:
    bare = _bare(annotation)
    if typing.get_origin(bare) in (typing.Union, types.UnionType):
        for each in typing.get_args(bare):
            yield from _variants(each)
    else:
        yield bare
