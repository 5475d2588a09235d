"""Whether a type is well formed: what types may be made of, and how.

Takes any message from anybody, without recursion, in linear time.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typedflow import literal_types
from typedflow.compiler import diagnostics
from typedflow.compiler.report import cut
from typedflow.pb import types_pb2

if TYPE_CHECKING:
    from typedflow.pb.types_pb2 import (
        ArrayType,
        CustomType,
        EnumType,
        FrameType,
        LiteralType,
        RecordType,
        UnionType,
    )

MOST_MEMBERS: Final = 10_000
"""Of an enum: each is part of every interface that has it."""
MOST_DIMENSIONS: Final = 64
"""Of an array; NumPy has no more."""

_DTYPE: Final = re.compile(
    r"[a-z][a-z0-9_]*(?:\[[0-9]{0,9}[a-zA-Z]{1,8}\])?|[<>|=]?[a-zA-Z][0-9]{0,9}", re.ASCII
)
_FORMAT: Final = re.compile(r"[^\s./\\][^\s/\\]*")


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a type; the message goes on after "the type of ..."."""

    code: str
    message: str
    expected: str = ""
    given: str = ""


def mistake(type_: LiteralType) -> Mistake | None:
    """The first thing that is wrong with a type, outside in."""
    unions: list[UnionType] = []
    todo = [(type_, 0)]
    while todo:
        current, depth = todo.pop()
        if depth > literal_types.MAX_DEPTH:
            return Mistake(
                diagnostics.NESTING_TOO_DEEP,
                "is nested too deep",
                f"at most {literal_types.MAX_DEPTH} levels of lists, dicts, unions and records",
            )
        found = _shallow_mistake(current)
        if found is not None:
            return found
        if current.WhichOneof("type") == "union":
            unions.append(current.union)
        todo.extend((child, depth + 1) for child in reversed(_children(current)))
    # Only now is it known that nothing is nested too deep to be compared.
    return next((found for found in map(_variants_mistake, unions) if found), None)


def _children(type_: LiteralType) -> list[LiteralType]:
    """What is to be looked at; not the nothing of a list or a dict that is always empty."""
    found = literal_types.children(type_)
    if type_.WhichOneof("type") in ("list", "dict") and found[0].WhichOneof("type") is None:
        return []
    return found


def _shallow_mistake(type_: LiteralType) -> Mistake | None:  # noqa: C901 - a case for each kind of type
    match type_.WhichOneof("type"):
        case "simple":
            if type_.simple == 0 or type_.simple not in types_pb2.SimpleType.values():
                return _malformed("has a simple type that there is not", str(type_.simple))
        case "union":
            return _union_mistake(type_.union)
        case "record":
            return _record_mistake(type_.record)
        case "file":
            return _format_mistake("file", type_.file.format)
        case "directory":
            return _format_mistake("directory", type_.directory.format)
        case "frame":
            return _frame_mistake(type_.frame)
        case "enum":
            return _enum_mistake(type_.enum)
        case "array":
            return _array_mistake(type_.array)
        case "custom":
            return _custom_mistake(type_.custom)
        case "stream":
            if type_.stream.element.HasField("stream"):
                return _malformed("is an iterator of iterators", literal_types.text(type_))
        case "list" | "dict":
            pass
        case None:
            return _malformed("has a part without a type", "")
    return None


def _malformed(message: str, given: str) -> Mistake:
    return Mistake(diagnostics.UNSUPPORTED_TYPE, message, given=given)


def _names_mistake(what: str, names: list[str]) -> Mistake | None:
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return _malformed(f"has two {what} of the name `{cut(twice, 100)}`", twice)


def _frame_mistake(frame: FrameType) -> Mistake | None:
    if frame.filter and frame.strict:
        return _malformed("is a frame that both refuses other columns and leaves them out", "filter, strict")
    if frame.filter and not frame.columns:
        return _malformed("is a frame of which only its own columns are read, and it has none", "filter")
    return _names_mistake("columns", [column.name for column in frame.columns])


def _format_mistake(what: str, format_: str) -> Mistake | None:
    if not format_ or (format_ == format_.lower() and _FORMAT.fullmatch(format_)):
        return None
    return _malformed(f"is a {what} whose format is not in lower case without a dot", format_)


def _record_mistake(record: RecordType) -> Mistake | None:
    names = [each.name for each in record.fields]
    if not record.positional:
        return (
            _malformed("has a field without a name", "") if "" in names else _names_mistake("fields", names)
        )
    for place, field in enumerate(record.fields):
        if field.name != str(place):
            shown = cut(field.name, 100)
            return _malformed(
                f"is a tuple whose element {place} is named `{shown}`, not `{place}`", field.name
            )
        if field.optional or field.has_default:
            return _malformed(f"is a tuple whose element {place} may be missing", field.name)
    return None


def _union_mistake(union: UnionType) -> Mistake | None:
    if not union.variants:
        return _malformed("is a union of nothing", "")
    if len(union.variants) > literal_types.MOST_VARIANTS:
        return _malformed(
            f"is a union of more than {literal_types.MOST_VARIANTS} variants", str(len(union.variants))
        )
    if any(variant.WhichOneof("type") == "union" for variant in union.variants):
        return _malformed("has a union right inside a union", "")
    return None


def _variants_mistake(union: UnionType) -> Mistake | None:
    seen: set[literal_types.Structure] = set()
    for variant in union.variants:
        shape = literal_types.structure(variant)
        if shape in seen:
            text = literal_types.text(variant)
            return _malformed(f"is a union that has {cut(text, 200)} twice", text)
        seen.add(shape)
    return None


def _enum_mistake(enum: EnumType) -> Mistake | None:
    if not enum.members:
        return _malformed("is an enum without members", enum.name)
    if len(enum.members) > MOST_MEMBERS:
        return _malformed(f"is an enum of more than {MOST_MEMBERS:,} members", f"{len(enum.members):,}")
    if any(member.WhichOneof("value") is None for member in enum.members):
        return _malformed("is an enum with a member that has no value", enum.name)
    if any(member.HasField("float") and math.isnan(member.float) for member in enum.members):
        return _malformed("is an enum with a member that is not a number, and so equal to none", enum.name)
    names = [member.name for member in enum.members]
    if any(names) and "" in names:
        return _malformed("is an enum only some members of which have a name", enum.name)
    if names[0]:
        found = _names_mistake("members", names)
        if found is not None:
            return found
    values = [literal_types.member_key(member) for member in enum.members]
    if len(set(values)) == len(values):
        return None
    seen: set[object] = set()
    twice = next(value for value in values if value in seen or seen.add(value))  # type: ignore[func-returns-value]
    shown = cut(repr(twice[1]), 100)
    return _malformed(f"is an enum that has the value {shown} twice", shown)


def _array_mistake(array: ArrayType) -> Mistake | None:
    if array.dtype and (len(array.dtype) > 64 or not _DTYPE.fullmatch(array.dtype)):
        return _malformed(
            "is an array whose element type is no name of NumPy's, as in `float64`", array.dtype
        )
    if array.dimensions > MOST_DIMENSIONS:
        message = f"is an array of more than {MOST_DIMENSIONS} dimensions"
        return _malformed(message, str(array.dimensions))
    return None


def _custom_mistake(custom: CustomType) -> Mistake | None:
    name = custom.name
    if not name or len(name) > 255 or not name.isprintable() or " " in name:
        return _malformed("is a custom type without a name, or with one that is none", name)
    if custom.representation.HasField("custom"):
        return _malformed(f"is the custom type `{name}` over another custom type", name)
    return None
