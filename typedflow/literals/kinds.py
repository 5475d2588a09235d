"""Which field of a literal and which column of a list has the values of a type, and what is looked up often."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from typedflow import literal_types
from typedflow.pb import types_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.literal_types import EnumValue
    from typedflow.pb.literals_pb2 import List, Literal
    from typedflow.pb.types_pb2 import EnumType, Field, RecordType

Key: TypeAlias = "tuple[str, str | int | bool | bytes]"

VALUES = {
    types_pb2.SIMPLE_TYPE_NONE: "none",
    types_pb2.SIMPLE_TYPE_BOOL: "boolean",
    types_pb2.SIMPLE_TYPE_INT: "integer",
    types_pb2.SIMPLE_TYPE_FLOAT: "float",
    types_pb2.SIMPLE_TYPE_STRING: "string",
    types_pb2.SIMPLE_TYPE_BYTES: "bytes",
    types_pb2.SIMPLE_TYPE_DATETIME: "datetime",
    types_pb2.SIMPLE_TYPE_DATE: "date",
    types_pb2.SIMPLE_TYPE_DURATION: "duration",
    types_pb2.SIMPLE_TYPE_DECIMAL: "decimal",
}
"""The field of a literal that has a value of the type."""

COLUMNS = {
    types_pb2.SIMPLE_TYPE_NONE: "nones",
    types_pb2.SIMPLE_TYPE_BOOL: "booleans",
    types_pb2.SIMPLE_TYPE_INT: "integers",
    types_pb2.SIMPLE_TYPE_FLOAT: "floats",
    types_pb2.SIMPLE_TYPE_STRING: "strings",
    types_pb2.SIMPLE_TYPE_BYTES: "bytes",
    types_pb2.SIMPLE_TYPE_DATETIME: "datetimes",
    types_pb2.SIMPLE_TYPE_DATE: "dates",
    types_pb2.SIMPLE_TYPE_DURATION: "durations",
    types_pb2.SIMPLE_TYPE_DECIMAL: "decimals",
}
"""The column that has all elements of a simple type, and no others."""


def member_of(literal: Literal) -> EnumValue | None:
    """The value, where it is one that a member of an enum may have."""
    match literal.WhichOneof("value"):
        case "string":
            return literal.string
        case "integer":
            return literal.integer
        case "boolean":
            return literal.boolean
        case "float":
            return literal.float
        case "bytes":
            return literal.bytes
        case _:
            return None


def members_of(of: List) -> Sequence[EnumValue] | None:
    """The elements, where they are in a column of what members of an enum may have."""
    match of.WhichOneof("column"):
        case "strings":
            return of.strings.values
        case "integers":
            return of.integers.values
        case "booleans":
            return of.booleans.values
        case "floats":
            return of.floats.values
        case "bytes":
            return of.bytes.values
        case _:
            return None


class Known:
    """What was found out about types while a value was looked at, so that it is found out once for all its parts."""

    def __init__(self) -> None:
        # By identity; the messages are kept so that nothing else takes their place.
        self._fields: dict[int, tuple[RecordType, dict[str, tuple[int, Field]], int]] = {}
        self._members: dict[int, tuple[EnumType, frozenset[Key]]] = {}

    def fields(self, of: RecordType) -> tuple[dict[str, tuple[int, Field]], int]:
        """The place and the field of each name, and how many of them a value must have."""
        found = self._fields.get(id(of))
        if found is None:
            places = {f.name: (i, f) for i, f in enumerate(of.fields)}
            required = sum(not f.optional and not f.has_default for f in of.fields)
            found = self._fields[id(of)] = (of, places, required)
        return found[1], found[2]

    def members(self, of: EnumType) -> frozenset[Key]:
        """The keys of an enum's values (`literal_types.value_key`)."""
        found = self._members.get(id(of))
        if found is None:
            keys = frozenset(map(literal_types.member_key, of.members))
            found = self._members[id(of)] = (of, keys)
        return found[1]
