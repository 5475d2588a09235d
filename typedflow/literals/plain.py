"""Literals as plain JSON values and back: what people type on a command line and read in an answer.

    None  bool  int  str      themselves
    float                     a number; "NaN", "Infinity", "-Infinity" as strings
    datetime                  RFC 3339, with its offset
    list, record              an array; an object by field
    union                     its variant; `{"$type", "value"}` where another variant would be read back
    File, frame               an object that says what it is and where; can't be read back

Nothing here reads or writes text: values are what `json.loads` gives and `json.dumps(..., allow_nan=False)` takes.
"""

from __future__ import annotations

import datetime as dt
import math
from typing import TYPE_CHECKING

from typedflow import errors, literal_types, spelling
from typedflow.literals import columns, conversion, lists, scalars
from typedflow.pb import types_pb2
from typedflow.pb.literals_pb2 import FieldValue, Literal, Record, Union

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typedflow.pb.literals_pb2 import Blob, List
    from typedflow.pb.types_pb2 import LiteralType, UnionType

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NO_BYTES = (
    "its bytes can't be given as JSON; upload it with a client, which gives the literal to send instead"
)
_ENOUGH = 100  # problems, after which no further elements of a list are looked at
_TYPE = "$type"
_VALUE = "value"


# To JSON


def to_json(literal: Literal, type: LiteralType | None = None) -> object:  # noqa: A002, C901 - a case for each value
    """The plain value of a literal. With its type, `from_json` gives the same literal back, files and frames aside."""
    match literal.WhichOneof("value"):
        case "none" | None:
            return None
        case "boolean":
            return literal.boolean
        case "integer":
            return literal.integer
        case "float":
            return _float_to_json(literal.float)
        case "string":
            return literal.string
        case "datetime":
            return scalars.to_datetime(literal.datetime).isoformat().replace("+00:00", "Z")
        case "list":
            return _list_to_json(literal.list, type.list.element if type and type.HasField("list") else None)
        case "union":
            return _union_to_json(literal.union, type.union if type and type.HasField("union") else None)
        case "record":
            types = {f.name: f.type for f in type.record.fields} if type else {}
            return {f.name: to_json(f.value, types.get(f.name)) for f in literal.record.fields}
        case "file":
            return {**_blob_to_json(literal.file.blob), "format": literal.file.format}
        case "frame":
            columns = [{"name": c.name, "dtype": c.dtype} for c in literal.frame.type.columns]
            blob = literal.frame.blob
            return {"uri": blob.uri, "digest": blob.digest, "rows": literal.frame.rows, "columns": columns}
        case "offloaded":
            return _blob_to_json(literal.offloaded.blob)


def _float_to_json(value: float) -> float | str:
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _list_to_json(of: List, element: LiteralType | None) -> list[object]:
    match of.WhichOneof("column"):
        case "booleans":
            return list(of.booleans.values)
        case "integers":
            return list(of.integers.values)
        case "floats":
            return [_float_to_json(v) for v in of.floats.values]
        case "strings":
            return list(of.strings.values)
        case _:
            return [to_json(e, element) for e in lists.elements(of)]


def _union_to_json(value: Union, type: UnionType | None) -> object:  # noqa: A002 - as above
    if type is None or value.variant >= len(type.variants):
        return to_json(value.value)
    variant = type.variants[value.variant]
    plain = to_json(value.value, variant)
    read = _Reader().union(plain, type, "")
    if read is not None and read.union.variant != value.variant:
        return {_TYPE: _tag(value.variant, type), _VALUE: plain}
    return plain


def _tag(place: int, type: UnionType) -> str | int:  # noqa: A002 - as above
    """What names a variant: its type as it is printed, or its place where two are printed alike."""
    texts = [literal_types.text(v) for v in type.variants]
    return texts[place] if texts.count(texts[place]) == 1 else place


def _blob_to_json(blob: Blob) -> dict[str, object]:
    return {"uri": blob.uri, "digest": blob.digest, "size": blob.size}


# From JSON


def from_json(value: object, target: LiteralType, path: str) -> Literal:
    """The literal of a plain value. Raises one ConversionError with every part that does not fit and its path.

    A field that its class has a default for may be left out, and is then left out of the record.
    """
    reader = _Reader()
    literal = reader.read(value, target, path)
    if literal is None:
        raise errors.ConversionError.of(reader.problems)
    return literal


class _Reader:
    """Reads plain values and notes what does not fit: every method gives None exactly when it noted something."""

    def __init__(self, *, exact: bool = False) -> None:
        self.problems: list[tuple[str, str]] = []
        self.exact = exact

    def read(self, value: object, target: LiteralType, path: str) -> Literal | None:
        match target.WhichOneof("type"):
            case "simple":
                return self.simple(value, target, path)
            case "list":
                return self.list(value, target, path)
            case "union":
                return self.union(value, target.union, path)
            case "record":
                return self.record(value, target, path)
            case "file" | "frame":
                self.refuse(value, target, path, _NO_BYTES)
            case None:
                self.refuse(value, target, path)
        return None

    def refuse(self, value: object, target: LiteralType, path: str, reason: str = "") -> None:
        message = f"expected {literal_types.brief(target)}, got {_describe(value)}"
        self.problems.append((path, f"{message}: {reason}" if reason else message))

    def simple(self, value: object, target: LiteralType, path: str) -> Literal | None:
        try:
            match value:
                case None if target == literal_types.NONE:
                    return scalars.from_none()
                case bool():
                    if target == literal_types.BOOL:
                        return scalars.from_bool(value)
                case int() if target == literal_types.INT:
                    return scalars.from_int(value)
                case int() | float() if target == literal_types.FLOAT:
                    return self.float(value, path)
                case str() if target == literal_types.STRING:
                    return scalars.from_str(value)
                case str() if target == literal_types.FLOAT and value in _WORDS:
                    return scalars.from_float(_WORDS[value])
                case str() if target == literal_types.DATETIME:
                    return scalars.from_datetime(_parse_datetime(value))
                case dt.datetime() if target == literal_types.DATETIME:  # YAML and TOML have them
                    return scalars.from_datetime(value)
                case _:
                    pass
        except errors.ConversionError as error:
            message = f"{error.message} ({error.hint})" if error.hint else error.message
            self.problems.append((path, f"expected {literal_types.brief(target)}: {message}"))
            return None
        self.refuse(value, target, path)
        return None

    def float(self, value: int | float, path: str) -> Literal | None:
        if isinstance(value, float):
            return scalars.from_float(value)
        if self.exact:
            self.refuse(value, literal_types.FLOAT, path)
            return None
        if not conversion.is_exact(value):
            self.refuse(value, literal_types.FLOAT, path, "it is not exact as a float")
            return None
        return scalars.from_float(float(value))

    def list(self, value: object, target: LiteralType, path: str) -> Literal | None:
        if not isinstance(value, list):
            self.refuse(value, target, path)
            return None
        element = target.list.element
        if element == literal_types.INT and all(type(v) is int for v in value):
            in_range = not value or (min(value) >= scalars.MIN_INT and max(value) <= scalars.MAX_INT)
            if in_range:
                return scalars.from_list(columns.integers(value))
        if element == literal_types.FLOAT and all(type(v) is float for v in value):
            return scalars.from_list(columns.floats(value))
        made: list[Literal] = []
        for i, v in enumerate(value):
            read = self.read(v, element, f"{path}[{i}]")
            if read is not None:
                made.append(read)
            elif len(self.problems) >= _ENOUGH:
                break
        return scalars.from_list(lists.pack(made)) if len(made) == len(value) else None

    def record(self, value: object, target: LiteralType, path: str) -> Literal | None:
        if not isinstance(value, dict):
            self.refuse(value, target, path)
            return None
        before = len(self.problems)
        fields = {f.name: f for f in target.record.fields}
        for name in value:
            if name not in fields:
                self.problems.append((path, unknown("field", str(name), fields)))
        made: list[FieldValue] = []
        for name, field in fields.items():
            if name in value:
                read = self.read(value[name], field.type, f"{path}.{name}")
                if read is not None:
                    made.append(FieldValue(name=name, value=read))
            elif not field.has_default:
                message = f"field `{name}` of {literal_types.brief(target)} is missing"
                self.problems.append((path, f"{message}: expected {literal_types.brief(field.type)}"))
        return Literal(record=Record(fields=made)) if len(self.problems) == before else None

    def union(self, value: object, target: UnionType, path: str) -> Literal | None:
        if isinstance(value, dict) and value.keys() == {_TYPE, _VALUE}:
            return self.tagged(value, target, path)
        deepest: list[tuple[str, str]] = []
        for exact in (True,) if self.exact else (True, False):
            for i, variant in enumerate(target.variants):
                attempt = _Reader(exact=exact)
                read = attempt.read(value, variant, path)
                if read is not None:
                    return Literal(union=Union(variant=i, value=read))
                if any(where != path for where, _ in attempt.problems) or _same_form(value, variant):
                    deepest = attempt.problems
        if deepest:
            self.problems.extend(deepest)
        else:
            self.refuse(value, types_pb2.LiteralType(union=target), path)
        return None

    def tagged(self, value: Mapping[str, object], target: UnionType, path: str) -> Literal | None:
        tags = [_tag(i, target) for i in range(len(target.variants))]
        tag = value[_TYPE]
        if tag not in tags or isinstance(tag, bool):
            wanted = ", ".join(f"`{t}`" for t in tags)
            self.problems.append((path, f"expected one of {wanted} as `{_TYPE}`, got {_describe(tag)}"))
            return None
        place = tags.index(tag)
        read = self.read(value[_VALUE], target.variants[place], path)
        return None if read is None else Literal(union=Union(variant=place, value=read))


def unknown(noun: str, name: str, known: Mapping[str, object]) -> str:
    """The message for a name that is none of those known, with the nearest of them."""
    near = spelling.nearest(name, known)
    if near:
        return f"unknown {noun} `{name}`: did you mean `{near}`?"
    return (
        f"unknown {noun} `{name}`: there are {scalars.names(known)}" if known else f"unknown {noun} `{name}`"
    )


def _same_form(value: object, variant: LiteralType) -> bool:
    return (isinstance(value, dict) and variant.HasField("record")) or (
        isinstance(value, list) and variant.HasField("list")
    )


def _parse_datetime(text: str) -> dt.datetime:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        raise errors.ConversionError(
            f"{scalars.quote(text)} is not RFC 3339", hint="as in 2024-05-01T12:00:00Z"
        ) from None


def _describe(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return f"{str(value).lower()} (bool)"
        case int() if value.bit_length() > 128:
            return f"an int of {value.bit_length()} bits"
        case int() | float():
            return f"{value!r} ({type(value).__name__})"
        case str():
            return f"{scalars.quote(value)} (str)"
        case list():
            return f"an array of {len(value)}"
        case dict():
            return f"an object with {scalars.names(map(str, value)) if value else 'no keys'}"
        case _:
            return type(value).__name__
