"""Lists, dicts and records that are bound part by part, because at least one of the parts is a promise.

Takes them apart and puts them together; what the parts are bound to is the binder's. Nothing here recurses further than
lists of bindings may be nested.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typedflow import literal_types, literals
from typedflow.compiler import constants
from typedflow.pb.literals_pb2 import Dict, Literal
from typedflow.pb.workflows_pb2 import BindingValue

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typedflow.compiler.parts import Parts
    from typedflow.pb.types_pb2 import LiteralType

KINDS: Final = {"list": ("list", "stream"), "dict": ("dict",), "record": ("record",)}
"""The types that a container of a kind may be given to."""

_MOST_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Mistake:
    """Why a container is none of a type, whatever its parts are: the key or the name that is wrong, and how."""

    reason: str
    name: str = ""
    unknown: bool = False


def candidates(value: BindingValue, target: LiteralType, parts: Parts) -> list[LiteralType]:
    """The types among a target's variants that a container of this kind could be of."""
    kinds = KINDS[value.WhichOneof("value") or ""]
    return [each for each in parts.variants(target) if each.WhichOneof("type") in kinds]


def children(value: BindingValue) -> Sequence[BindingValue]:
    """What a container is made of, in order."""
    match value.WhichOneof("value"):
        case "list":
            return value.list.elements
        case "dict":
            return value.dict.values
        case _:
            return [each.value for each in value.record.fields]


def places(value: BindingValue) -> Iterator[str]:
    """What each part is called: `[2]`, `["a"]`, `.rate`."""
    match value.WhichOneof("value"):
        case "list":
            return (f"[{i}]" for i in range(len(value.list.elements)))
        case "dict":
            return (f'["{key}"]' for key in value.dict.keys)
        case _:
            return (f".{each.name}" for each in value.record.fields)


def malformed(value: BindingValue) -> Mistake | None:
    """What makes a container none of any type: keys or names that are there twice, or do not match the values."""
    match value.WhichOneof("value"):
        case "dict":
            names = list(value.dict.keys)
            if len(names) != len(value.dict.values):
                return Mistake(f"it has {len(names)} keys and {len(value.dict.values)} values")
            what = "key"
        case "record":
            names = [each.name for each in value.record.fields]
            what = "field"
        case _:
            return None
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return Mistake(f"it has the {what} `{twice:.100}` twice", twice)


def fit(value: BindingValue, type_: LiteralType, parts: Parts) -> Mistake | None:
    """Why a container is not of a type among its `candidates`, as far as that is seen without its parts' values."""
    if value.WhichOneof("value") != "record":
        if children(value) and _inner(value, type_, parts) is None:
            return Mistake(f"it is not empty, and {literal_types.text(type_)} is")
        return None
    fields = parts.fields(type_)
    given = {each.name for each in value.record.fields}
    unknown = next((each.name for each in value.record.fields if each.name not in fields), None)
    if unknown is not None:
        return Mistake(f"it has no field `{unknown:.100}`", unknown, unknown=True)
    missing = [
        name
        for name, (field, _) in fields.items()
        if name not in given and not field.optional and not field.has_default
    ]
    if missing:
        shown = ", ".join(f"`{name:.100}`" for name in missing[:_MOST_SHOWN])
        more = f" and {len(missing) - _MOST_SHOWN} more" if len(missing) > _MOST_SHOWN else ""
        noun, verb = ("field", "is") if len(missing) == 1 else ("fields", "are")
        return Mistake(f"{noun} {shown}{more} {verb} missing")
    return None


def wanted(value: BindingValue, type_: LiteralType, parts: Parts) -> list[LiteralType]:
    """The type of each part, of a container that `fit` says nothing of."""
    if value.WhichOneof("value") == "record":
        fields = parts.fields(type_)
        return [fields[each.name][1] for each in value.record.fields]
    inner = _inner(value, type_, parts)
    return [] if inner is None else [inner] * len(children(value))


def assembled(value: BindingValue, made: Sequence[BindingValue]) -> BindingValue:
    """The container with these parts; the same message when they are its own."""
    if all(each is old for each, old in zip(made, children(value), strict=True)):
        return value
    result = BindingValue()
    match value.WhichOneof("value"):
        case "list":
            result.list.elements.extend(made)
        case "dict":
            result.dict.keys.extend(value.dict.keys)
            result.dict.values.extend(made)
        case _:
            for field, each in zip(value.record.fields, made, strict=True):
                result.record.fields.add(name=field.name, value=each)
    return result


def plain(value: BindingValue, depth: int) -> Literal | None:
    """A container of constants as one constant; None when there is anything in it that is no constant, or no value."""
    kind = value.WhichOneof("value")
    if kind == "literal":
        return None if constants.shape_mistake(value.literal) else value.literal
    if kind not in KINDS or depth >= literal_types.MAX_DEPTH or malformed(value):
        return None
    made = []
    for each in children(value):
        inner = plain(each, depth + 1)
        if inner is None:
            return None
        made.append(inner)
    match kind:
        case "list":
            return literals.from_list(literals.pack(made))
        case "dict":
            return Literal(dict=Dict(keys=value.dict.keys, values=literals.pack(made)))
        case _:
            names = (each.name for each in value.record.fields)
            return literals.from_record(dict(zip(names, made, strict=True)))


def _inner(value: BindingValue, type_: LiteralType, parts: Parts) -> LiteralType | None:
    return parts.value(type_) if value.WhichOneof("value") == "dict" else parts.element(type_)
