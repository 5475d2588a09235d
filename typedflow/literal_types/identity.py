"""Which types are the same: what of a type matters, without anything that is for people only.

Cache keys are made of it (`hashing.of_type`), so nothing here may change for a type that there was before.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors

if TYPE_CHECKING:
    from typedflow.pb.types_pb2 import EnumMember, Field, LiteralType

Structure: TypeAlias = "tuple[Structure | str | int | bool | bytes, ...]"
"""What two types share exactly when they are equal; hashable."""

EnumValue: TypeAlias = "str | int | bool | float | bytes"
"""What the value of an enum's member may be."""

_NAN = math.nan


def structure(t: LiteralType) -> Structure:
    """All of a type that matters, as nested tuples: without names for people, descriptions and defaults of fields.

    Of an enum its values, sorted: neither the names of its members nor their order are part of it.
    """
    inner = _structure(t)
    return ("sensitive", inner) if t.sensitive else inner


def equal(a: LiteralType, b: LiteralType) -> bool:
    """Whether both have the same structure."""
    return a == b or structure(a) == structure(b)


def _structure(t: LiteralType) -> Structure:  # noqa: C901, PLR0911 - a case for each kind of type
    match t.WhichOneof("type"):
        case "simple":
            return ("simple", int(t.simple))
        case "list":
            return ("list", structure(t.list.element))
        case "dict":
            return ("dict", structure(t.dict.value))
        case "union":
            return ("union", *(structure(v) for v in t.union.variants))
        case "record" if t.record.positional:
            return ("tuple", *(structure(f.type) for f in t.record.fields))
        case "record":
            return ("record", *map(_field_structure, t.record.fields))
        case "enum":
            return ("enum", *sorted(map(member_key, t.enum.members)))
        case "file":
            return ("file", t.file.format)
        case "directory":
            return ("directory", t.directory.format)
        case "frame":
            columns = ((c.name, c.dtype, c.nullable, c.optional) for c in t.frame.columns)
            strictness = "filter" if t.frame.filter else t.frame.strict
            return ("frame", strictness, t.frame.schema.digest, *columns)
        case "array" if t.array.HasField("dimensions"):
            return ("array", t.array.dtype, t.array.dimensions)
        case "array":
            return ("array", t.array.dtype)
        case "stream":
            return ("stream", structure(t.stream.element))
        case "custom":
            return ("custom", t.custom.name, structure(t.custom.representation))
        case None:
            return ("never",)


def _field_structure(f: Field) -> Structure:
    return (f.name, structure(f.type), True) if f.optional else (f.name, structure(f.type))


def member_key(member: EnumMember) -> tuple[str, str | int | bool | bytes]:
    """What two members share exactly when their values are the same: `True`, `1` and `1.0` are three values."""
    return value_key(member_value(member)) if member.WhichOneof("value") else ("", "")


def value_key(value: EnumValue) -> tuple[str, str | int | bool | bytes]:
    """What two values of members share exactly when they are the same, as `member_key` has it."""
    match value:
        case bool():
            return ("boolean", value)
        case int():
            return ("integer", value)
        case float():
            return ("float", struct.pack("<d", _NAN if math.isnan(value) else value))
        case str():
            return ("string", value)
        case bytes():
            return ("bytes", value)


def member_value(member: EnumMember) -> EnumValue:
    """What travels for a member. Raises DefinitionError for one without a value."""
    match member.WhichOneof("value"):
        case "string":
            return member.string
        case "integer":
            return member.integer
        case "boolean":
            return member.boolean
        case "float":
            return member.float
        case "bytes":
            return member.bytes
        case None:
            raise errors.DefinitionError(f"member `{member.name}` has no value", code="UnsupportedType")
