"""Types as people read them: in signatures, in diagnostics, in answers. Never for telling types apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.literal_types import identity
from typedflow.pb import types_pb2

if TYPE_CHECKING:
    from typedflow.pb.types_pb2 import (
        ArrayType,
        Column,
        EnumMember,
        EnumType,
        FrameType,
        LiteralType,
        RecordType,
    )

_LONGEST_BRIEF = 160

_SIMPLE_NAMES = {
    types_pb2.SIMPLE_TYPE_UNSPECIFIED: "unspecified",
    types_pb2.SIMPLE_TYPE_NONE: "None",
    types_pb2.SIMPLE_TYPE_BOOL: "bool",
    types_pb2.SIMPLE_TYPE_INT: "int",
    types_pb2.SIMPLE_TYPE_FLOAT: "float",
    types_pb2.SIMPLE_TYPE_STRING: "str",
    types_pb2.SIMPLE_TYPE_DATETIME: "datetime",
    types_pb2.SIMPLE_TYPE_BYTES: "bytes",
    types_pb2.SIMPLE_TYPE_DATE: "date",
    types_pb2.SIMPLE_TYPE_DURATION: "timedelta",
    types_pb2.SIMPLE_TYPE_DECIMAL: "Decimal",
}
_DTYPE_NAMES = {"int64": "int", "double": "float", "string": "str", "bool": "bool", "": "Any"}


def text(t: LiteralType) -> str:
    """The type as Python prints it: `list[int | None]`, `dataframe[mean_radius: float]`, `File[csv]`, `Config`."""
    return f"Sensitive[{_text(t)}]" if t.sensitive else _text(t)


def brief(t: LiteralType) -> str:
    """The text of a type for a sentence: cut when it is long."""
    shown = text(t)
    return shown if len(shown) <= _LONGEST_BRIEF else f"{shown[: _LONGEST_BRIEF - 3]}..."


def dtype(name: str) -> str:
    """The element type of a column as people read it."""
    return _DTYPE_NAMES.get(name, name)


def member(m: EnumMember) -> str:
    """The value of an enum's member as Python prints it."""
    return repr(identity.member_value(m)) if m.WhichOneof("value") else "?"


def _text(t: LiteralType) -> str:  # noqa: C901, PLR0911 - a case for each kind of type
    match t.WhichOneof("type"):
        case "simple":
            return _SIMPLE_NAMES.get(t.simple, "unspecified")
        case "list":
            return f"list[{text(t.list.element)}]"
        case "dict":
            return f"dict[str, {text(t.dict.value)}]"
        case "union":
            return " | ".join(text(v) for v in t.union.variants)
        case "record":
            return _record_text(t.record)
        case "enum":
            return _enum_text(t.enum)
        case "file":
            return f"File[{t.file.format}]" if t.file.format else "File"
        case "directory":
            return f"Directory[{t.directory.format}]" if t.directory.format else "Directory"
        case "frame":
            return _frame_text(t.frame)
        case "array":
            return _array_text(t.array)
        case "stream":
            return f"Iterator[{text(t.stream.element)}]"
        case "custom":
            return t.custom.name or f"custom[{text(t.custom.representation)}]"
        case None:
            return "Never"


def _record_text(t: RecordType) -> str:
    if t.name:
        return t.name
    if t.positional:
        return f"tuple[{', '.join(text(f.type) for f in t.fields) or '()'}]"
    fields = (f"{f.name}?: {text(f.type)}" if f.optional else f"{f.name}: {text(f.type)}" for f in t.fields)
    return f"record{{{', '.join(fields)}}}"


def _enum_text(t: EnumType) -> str:
    return t.name or f"Literal[{', '.join(map(member, t.members))}]"


def _array_text(t: ArrayType) -> str:
    known = [t.dtype] if t.dtype else []
    if t.HasField("dimensions"):
        known.append(f"{t.dimensions}d")
    return f"ndarray[{', '.join(known)}]" if known else "ndarray"


def _frame_text(t: FrameType) -> str:
    kind = "strict dataframe" if t.strict else "filtered dataframe" if t.filter else "dataframe"
    if not t.columns:
        return f"{kind}[]" if t.strict else kind
    return f"{kind}[{', '.join(map(_column_text, t.columns))}]"


def _column_text(c: Column) -> str:
    name = f"{c.name}?" if c.optional else c.name
    return f"{name}: {dtype(c.dtype)} | None" if c.nullable else f"{name}: {dtype(c.dtype)}"
