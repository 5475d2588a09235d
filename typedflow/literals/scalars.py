"""Single values and maps of them: what a literal is made from, and how one is described in an error."""

from __future__ import annotations

import datetime as dt
import decimal
from typing import TYPE_CHECKING

from typedflow import errors, literal_types
from typedflow.pb.literals_pb2 import Datetime, FieldValue, List, Literal, LiteralMap, NamedLiteral, Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.literal_types import EnumValue

MIN_INT = -(2**63)
MAX_INT = 2**63 - 1

_LONGEST_SHOWN = 60
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SECOND = dt.timedelta(seconds=1)
_EPOCH_DAY = _EPOCH.toordinal()
_FIRST = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_LAST = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_DAY = 86_400
# What an author's program has set for decimals elsewhere must not show in how they are written.
_DECIMALS = decimal.Context(capitals=1, traps=[decimal.InvalidOperation])


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
    micros, offset, zone = moment(v)
    return Literal(datetime=Datetime(epoch_microseconds=micros, offset_seconds=offset, zone=zone))


def moment(v: dt.datetime) -> tuple[int, int, str]:
    """Its microseconds since 1970, its offset in seconds and its zone. Raises ConversionError for a naive one."""
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
    return (v - _EPOCH) // _MICROSECOND, seconds, zone if isinstance(zone, str) else ""


def to_datetime(v: Datetime) -> dt.datetime:
    """The instant at its fixed offset; the zone's name is left to whoever has a time zone database.

    Raises ConversionError where it is outside the years 1 to 9999 there, wherever UTC has it.
    """
    wrong = not_in_calendar(v.epoch_microseconds, v.offset_seconds)
    if wrong:
        raise errors.ConversionError(wrong)
    offset = dt.timedelta(seconds=v.offset_seconds)
    there = _EPOCH.replace(tzinfo=dt.timezone(offset)) + offset
    return there + dt.timedelta(microseconds=v.epoch_microseconds)


def not_in_calendar(epoch_microseconds: int, offset_seconds: int) -> str:
    """Why so many microseconds since 1970, at an offset, are no datetime; empty when they are one."""
    there = epoch_microseconds + offset_seconds * 1_000_000
    if abs(offset_seconds) < _DAY and _FIRST <= there <= _LAST:
        return ""
    return f"{epoch_microseconds} microseconds since 1970 at an offset of {offset_seconds} seconds is no datetime"


def from_bytes(v: bytes) -> Literal:
    """Bytes."""
    return Literal(bytes=v)


def from_date(v: dt.date) -> Literal:
    """A day of the calendar."""
    return Literal(date=days(v))


def to_date(v: int) -> dt.date:
    """The day that is so many days after 1970-01-01. Raises ConversionError outside the years 1 to 9999."""
    try:
        return dt.date.fromordinal(_EPOCH_DAY + v)
    except (ValueError, OverflowError):
        raise errors.ConversionError(f"{v} days after 1970-01-01 is no date") from None


def days(v: dt.date) -> int:
    """How many days after 1970-01-01 it is."""
    return v.toordinal() - _EPOCH_DAY


def from_duration(v: dt.timedelta) -> Literal:
    """A span of time. Raises ConversionError when it has more microseconds than 64 bits hold."""
    return Literal(duration=microseconds(v))


def to_duration(v: int) -> dt.timedelta:
    """The span of so many microseconds, which are in 64 bits."""
    return dt.timedelta(microseconds=v)


def microseconds(v: dt.timedelta) -> int:
    """How many microseconds it has. Raises ConversionError when they are more than 64 bits hold."""
    whole = v // _MICROSECOND
    if not MIN_INT <= whole <= MAX_INT:
        raise errors.ConversionError(f"a timedelta of {v.days} days has more microseconds than 64 bits hold")
    return whole


def from_decimal(v: decimal.Decimal) -> Literal:
    """A decimal number with all its digits, its exponent and a NaN's payload."""
    return Literal(decimal=digits(v))


def digits(v: decimal.Decimal) -> str:
    """How a decimal number is written: one text for each."""
    return _DECIMALS.to_sci_string(v)


def to_decimal(v: str) -> decimal.Decimal:
    """The decimal number. Raises ConversionError for a text that is none, or is not as Python writes it."""
    try:
        made = decimal.Decimal(v, _DECIMALS)
    except decimal.InvalidOperation:
        raise errors.ConversionError(f"{quote(v)} is no decimal number") from None
    if digits(made) != v:
        # One number has one text: digests are of it.
        raise errors.ConversionError(
            f"{quote(v)} is not how Python writes a decimal number", hint=f"write {quote(digits(made))}"
        )
    return made


def from_member(v: EnumValue) -> Literal:
    """What travels for a member of an enum: its value. Raises ConversionError as that of its own kind does."""
    match v:
        case bool():
            return from_bool(v)
        case int():
            return from_int(v)
        case float():
            return from_float(v)
        case str():
            return from_str(v)
        case bytes():
            return from_bytes(v)


def from_list(v: List) -> Literal:
    """A list."""
    return Literal(list=v)


def from_record(fields: Mapping[str, Literal]) -> Literal:
    """A record with these fields, in this order."""
    return Literal(record=Record(fields=[FieldValue(name=n, value=v) for n, v in fields.items()]))


def from_tuple(elements: Iterable[Literal]) -> Literal:
    """A tuple of these."""
    return Literal(record=Record(fields=[FieldValue(name=str(i), value=v) for i, v in enumerate(elements)]))


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


def describe(literal: Literal) -> str:  # noqa: C901, PLR0911, PLR0912 - a case for each value
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
        case "bytes":
            return f"{_bytes_text(literal.bytes)} (bytes)"
        case "date":
            return f"{_date_text(literal.date)} (date)"
        case "duration":
            return f"{to_duration(literal.duration)} (timedelta)"
        case "decimal":
            return f"{_cut(literal.decimal)} (Decimal)"
        case "list":
            return "a list"
        case "dict":
            return f"a dict with {names(literal.dict.keys, 'keys')}"
        case "union":
            return describe(literal.union.value)
        case "record":
            return f"a record with {names(f.name for f in literal.record.fields)}"
        case "file":
            return f"a file of format `{literal.file.format}`" if literal.file.format else "a file"
        case "frame":
            return "a data frame"
        case "directory":
            kind = literal.directory.format
            return f"a directory of format `{kind}`" if kind else "a directory"
        case "array":
            found = literal.array
            return literal_types.text(literal_types.array(found.dtype, len(found.shape)))
        case "stream":
            return f"a stream of {literal.stream.length}"
        case "offloaded":
            return "a large value"
        case None:
            return "nothing"


def names(found: Iterable[str], noun: str = "fields") -> str:
    """Names for an error: `a`, `b`; `no fields` when there are none; the first ten of many."""
    listed = [f"`{_cut(n)}`" for n in found]
    if not listed:
        return f"no {noun}"
    return ", ".join(listed) if len(listed) <= 10 else f"{', '.join(listed[:10])} and {len(listed) - 10} more"


def quote(v: str) -> str:
    """A text in double quotes, cut when it is long."""
    return '"' + _cut(v).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _cut(v: str) -> str:
    return v if len(v) <= _LONGEST_SHOWN else v[: _LONGEST_SHOWN - 3] + "..."


def _bytes_text(v: bytes) -> str:
    return repr(v) if len(v) <= _LONGEST_SHOWN // 3 else f"{len(v)} bytes, {v[:8]!r}..."


def _date_text(v: int) -> str:
    try:
        return to_date(v).isoformat()
    except errors.ConversionError:
        return f"{v} days after 1970-01-01"


def _datetime_text(v: Datetime) -> str:
    try:
        return to_datetime(v).isoformat()
    except errors.ConversionError:
        return f"{v.epoch_microseconds} microseconds since 1970"
