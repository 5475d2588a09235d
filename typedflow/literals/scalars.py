"""Single values and maps of them: what a literal is made from, and how one is described in an error."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.pb.literals_pb2 import Datetime, FieldValue, List, Literal, LiteralMap, NamedLiteral, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SECOND = dt.timedelta(seconds=1)


def from_none() -> Literal:
    """None."""
    made = Literal()
    made.none.SetInParent()
    return made


def from_bool(v: bool) -> Literal:
    """A bool."""
    return Literal(boolean=v)


def from_int(v: int) -> Literal:
    """An int. Raises ConversionError outside 64 bits."""
    if not MIN_INT <= v <= MAX_INT:
        raise errors.ConversionError(int_too_large(v))
    return Literal(integer=v)


def from_float(v: float) -> Literal:
    """A float, bit for bit: NaN, infinities and -0.0 are kept."""
    return Literal(float=v)


def from_str(v: str) -> Literal:
    """A str. Raises ConversionError when it has half a surrogate pair, which is not text in any encoding."""
    try:
        return Literal(string=v)
    except UnicodeEncodeError as error:
        raise errors.ConversionError(
            f"{v!r:.60} has half a surrogate pair at {error.start}, which no encoding can hold"
        ) from None


def from_datetime(v: dt.datetime) -> Literal:
    """An instant with its zone. Raises ConversionError for a naive one, which names no instant."""
    offset = v.utcoffset()
    if offset is None:
        raise errors.ConversionError(
            f"{v.isoformat()} has no time zone",
            hint="use an aware datetime, such as datetime.now(timezone.utc)",
        )
    seconds, rest = divmod(offset, _SECOND)
    if rest:
        raise errors.ConversionError(f"{v.isoformat()} has an offset that is not a whole number of seconds")
    zone = getattr(v.tzinfo, "key", None)
    micros = (v - _EPOCH) // _MICROSECOND
    made = Datetime(
        epoch_microseconds=micros, offset_seconds=seconds, zone=zone if isinstance(zone, str) else ""
    )
    return Literal(datetime=made)


def to_datetime(v: Datetime) -> dt.datetime:
    """The instant at its fixed offset; the zone's name is left to whoever has a time zone database.

    Raises ConversionError outside the years 1 to 9999.
    """
    try:
        zone = dt.timezone(dt.timedelta(seconds=v.offset_seconds))
        return (_EPOCH + dt.timedelta(microseconds=v.epoch_microseconds)).astimezone(zone)
    except (ValueError, OverflowError):
        raise errors.ConversionError(
            f"{v.epoch_microseconds} microseconds since 1970 at an offset of {v.offset_seconds} seconds is no datetime"
        ) from None


def from_list(v: List) -> Literal:
    """A list."""
    return Literal(list=v)


def from_record(fields: Mapping[str, Literal]) -> Literal:
    """A record with these fields, in this order."""
    return Literal(record=Record(fields=[FieldValue(name=n, value=v) for n, v in fields.items()]))


def as_map(values: Mapping[str, Literal]) -> LiteralMap:
    """Values by name, in the mapping's order."""
    return LiteralMap(values=[NamedLiteral(name=n, value=v) for n, v in values.items()])


def get(values: LiteralMap, name: str) -> Literal | None:
    """The value of a name; None when there is none."""
    return next((v.value for v in values.values if v.name == name), None)


def int_too_large(v: int) -> str:
    """The message for an int that has no place in a literal."""
    shown = (
        str(v) if v.bit_length() <= 128 else f"an int of {v.bit_length()} bits"
    )  # str(v) may refuse huge ones
    return f"{shown} is outside the 64 bits of an int"


def describe(literal: Literal) -> str:  # noqa: C901, PLR0911 - a case for each value
    """A literal in a few words for an error: `"x" (str)`, `5 (int)`, `a list of 3`."""
    match literal.WhichOneof("value"):
        case "none":
            return "None"
        case "boolean":
            return f"{literal.boolean} (bool)"
        case "integer":
            return f"{literal.integer} (int)"
        case "float":
            return f"{literal.float!r} (float)"
        case "string":
            return f"{quote(literal.string)} (str)"
        case "datetime":
            return f"{_datetime_text(literal.datetime)} (datetime)"
        case "list":
            return "a list"
        case "union":
            return describe(literal.union.value)
        case "record":
            return f"a record with {names(f.name for f in literal.record.fields)}"
        case "file":
            return f"a file of format `{literal.file.format}`" if literal.file.format else "a file"
        case "frame":
            return "a data frame"
        case "offloaded":
            return "a large value"
        case None:
            return "nothing"


def names(found: Iterable[str]) -> str:
    """Names for an error: `a`, `b`; `no fields` when there are none; the first ten of many."""
    listed = [f"`{n}`" for n in found]
    if not listed:
        return "no fields"
    return ", ".join(listed) if len(listed) <= 10 else f"{', '.join(listed[:10])} and {len(listed) - 10} more"


def quote(v: str) -> str:
    """A text in double quotes, cut when it is long."""
    shown = v if len(v) <= 60 else v[:57] + "..."
    return '"' + shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _datetime_text(v: Datetime) -> str:
    try:
        return to_datetime(v).isoformat()
    except errors.ConversionError:
        return f"{v.epoch_microseconds} microseconds since 1970"
