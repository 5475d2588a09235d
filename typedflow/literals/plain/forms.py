"""What single values look like in JSON, and how they are read from there: texts, words for floats, tags of variants.

Strict: a form stands for one type's values, nothing is guessed, and nothing is lost. Beside what `json.loads` gives,
the dates, datetimes and bytes that YAML and TOML have of their own are taken for what they are.
"""

from __future__ import annotations

import binascii
import datetime as dt
import decimal
import math
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from typedflow import errors, literal_types, spelling
from typedflow.literals import conversion, scalars
from typedflow.pb import types_pb2
from typedflow.pb.literals_pb2 import Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typedflow.literal_types import EnumValue
    from typedflow.pb.literals_pb2 import Datetime
    from typedflow.pb.types_pb2 import EnumType, LiteralType, UnionType

TYPE = "$type"
VALUE = "value"
HIDDEN = "***"
"""All that is seen of a Sensitive value."""
BY_KIND = frozenset({int, float, bool, list, type(None)})
"""Kinds of plain values of which each has the forms of the same types as any other."""

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_DATETIME = re.compile(
    r"(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.(\d+))?)?(?:[Zz]|[+-]\d\d:\d\d(?::\d\d)?)?)(?:\[([^\[\]]+)\])?",
    re.ASCII,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DURATION = re.compile(
    r"([+-]?)P(?:(\d+)W|(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)(?:\.(\d+))?S)?)?)", re.ASCII
)
_DECIMAL = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:Inf(?:inity)?|s?NaN\d*)", re.ASCII | re.IGNORECASE
)
_SECOND = 10**6
_HOUR = 3600 * _SECOND
_DAY = 24 * _HOUR


# Writing


def float_form(value: float) -> float | str:
    """A number, or the word for what JSON has no number for."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def datetime_form(value: Datetime) -> str:
    """RFC 3339 with the instant's offset; where it has a zone, that follows in brackets (RFC 9557)."""
    text = scalars.to_datetime(value).isoformat()
    text = f"{text[:-6]}Z" if text.endswith("+00:00") else text
    return f"{text}[{value.zone}]" if value.zone else text


def duration_form(microseconds: int) -> str:
    """ISO 8601, in days and smaller: `P1DT2H0.5S`, `-PT1M`; a negative one is the opposite of what follows its sign."""
    days, rest = divmod(abs(microseconds), _DAY)
    hours, rest = divmod(rest, _HOUR)
    minutes, rest = divmod(rest, 60 * _SECOND)
    seconds, fraction = divmod(rest, _SECOND)
    shown = f"{seconds}.{fraction:06}".rstrip("0") if fraction else str(seconds)
    time = f"{hours}H" * bool(hours) + f"{minutes}M" * bool(minutes) + f"{shown}S" * bool(rest)
    return (
        "-" * (microseconds < 0)
        + "P"
        + f"{days}D" * bool(days)
        + (f"T{time}" if time else "T0S" * (not days))
    )


def bytes_form(value: bytes) -> str:
    """Base64, as RFC 4648 has it first."""
    return b64encode(value).decode("ascii")


def scalar_form(literal: Literal) -> object:
    """The plain value of a literal that has no parts."""
    match literal.WhichOneof("value"):
        case "boolean":
            return literal.boolean
        case "integer":
            return literal.integer
        case "float":
            return float_form(literal.float)
        case "string":
            return literal.string
        case "datetime":
            return datetime_form(literal.datetime)
        case "bytes":
            return bytes_form(literal.bytes)
        case "date":
            return scalars.to_date(literal.date).isoformat()
        case "duration":
            return duration_form(literal.duration)
        case "decimal":
            return literal.decimal
        case _:
            return None


def member_form(value: EnumValue) -> object:
    """The plain value of an enum's member."""
    return scalar_form(scalars.from_member(value))


def member_forms(of: EnumType) -> dict[tuple[type, str], EnumValue]:
    """The members' values by what their plain values are known by; of two with one form the first."""
    made: dict[tuple[type, str], EnumValue] = {}
    for value in map(literal_types.member_value, of.members):
        made.setdefault(key(member_form(value)), value)
    return made


def key(plain: object) -> tuple[type, str]:
    """What two plain scalars share exactly when they are the same: `1` and `1.0` are two, and so are 0.0 and -0.0."""
    return type(plain), repr(plain)


def tag(place: int, of: UnionType) -> str | int:
    """What names a variant: its type as it is printed, or its place where two are printed alike."""
    texts = [literal_types.text(v) for v in of.variants]
    return texts[place] if texts.count(texts[place]) == 1 else place


def is_tagged(plain: object) -> bool:
    """Whether a value has the form that says which variant it is of."""
    return isinstance(plain, dict) and plain.keys() == {TYPE, VALUE}


# Reading


def takes(of: LiteralType, plain: object) -> bool:
    """Whether a value has the form that values of the type have, be it right or wrong in itself."""
    match of.WhichOneof("type"):
        case "simple":
            return _simple_takes(of.simple, plain)
        case "list" | "stream":
            return isinstance(plain, list)
        case "record":
            return isinstance(plain, list if of.record.positional else dict)
        case "dict":
            return isinstance(plain, dict)
        case "union":
            return any(takes(v, plain) for v in of.union.variants)
        case "enum":
            return is_tagged(plain) or any(type(plain) is kind for kind, _ in member_forms(of.enum))
        case "custom":
            return takes(of.custom.representation, plain)
        case "file" | "frame" | "directory" | "array":
            return isinstance(plain, dict | str)
        case None:
            return False


def places(of: LiteralType, plain: object) -> list[int]:
    """The variants of a union that values of this form may be of."""
    return [i for i, variant in enumerate(of.union.variants) if takes(variant, plain)]


def _simple_takes(of: int, plain: object) -> bool:
    if isinstance(plain, bool):
        return of == types_pb2.SIMPLE_TYPE_BOOL
    if isinstance(plain, str) and of == types_pb2.SIMPLE_TYPE_FLOAT:
        return plain in _WORDS
    return isinstance(plain, _TAKEN.get(of, ()))


def scalar(plain: object, of: LiteralType, expected: str, *, exact: bool = False) -> Literal:
    """The literal of a plain value of a simple type, called `expected` in messages; `exact` takes an int for no float.

    Raises ConversionError that says what was expected and what came.
    """
    try:
        made = _READ[of.simple](plain, exact) if of.simple in _READ else None
    except errors.ConversionError as error:
        reason = f"{error.message} ({error.hint})" if error.hint else error.message
        raise errors.ConversionError(f"expected {expected}: {reason}") from None
    if made is None:
        example = f" (a text, as in {_EXAMPLES[of.simple]})" if of.simple in _EXAMPLES else ""
        raise errors.ConversionError(f"expected {expected}, got {describe(plain)}{example}")
    return made


def not_shown(expected: str) -> str:
    """The message for a Sensitive value that does not fit, which says nothing of what came."""
    return f"expected {expected}; what came is Sensitive and not shown"


def _none(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - the same for all of them
    return scalars.from_none() if plain is None else None


def _bool(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    return scalars.from_bool(plain) if isinstance(plain, bool) else None


def _int(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    return scalars.from_int(plain) if isinstance(plain, int) and not isinstance(plain, bool) else None


def _float(plain: object, exact: bool) -> Literal | None:
    match plain:
        case float():
            return scalars.from_float(plain)
        case bool():
            return None
        case int() if not exact:
            if conversion.is_exact(plain):
                return scalars.from_float(float(plain))
            raise errors.ConversionError(f"{describe(plain)} is not exact as a float")
        case str() if plain in _WORDS:
            return scalars.from_float(_WORDS[plain])
        case _:
            return None


def _str(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    if isinstance(plain, dt.date | dt.time):
        raise errors.ConversionError(f"{describe(plain)} is no text", hint="put it in quotes")
    return scalars.from_str(plain) if isinstance(plain, str) else None


def _datetime(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    match plain:
        case dt.datetime():
            if plain.tzinfo is None:
                raise errors.ConversionError(
                    f"{plain.isoformat()} has no time zone",
                    hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATETIME]}",
                )
            return scalars.from_datetime(plain)
        case dt.date():
            raise errors.ConversionError(
                f"{plain.isoformat()} has no time of day",
                hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATETIME]}",
            )
        case str():
            return _from_rfc_3339(plain)
        case _:
            return None


def _from_rfc_3339(text: str) -> Literal:
    found = _DATETIME.fullmatch(text)
    try:
        value = dt.datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        value = None
    if found is None or value is None:
        raise errors.ConversionError(
            f"{scalars.quote(text)} is not RFC 3339",
            hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATETIME]}",
        )
    if value.tzinfo is None:
        raise errors.ConversionError(
            f"{text} has no time zone", hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATETIME]}"
        )
    _check_fraction(found[2], text)
    made = scalars.from_datetime(value)
    if found[3]:
        made.datetime.zone = found[3].removeprefix("!")
    return made


def _check_fraction(digits: str | None, text: str) -> None:
    if digits and digits[6:].strip("0"):
        raise errors.ConversionError(
            f"{scalars.quote(text)} is more exact than a microsecond", hint="give six digits"
        )


def _date(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    match plain:
        case dt.datetime():
            raise errors.ConversionError(
                f"{plain.isoformat()} has a time of day",
                hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATE]}",
            )
        case dt.date():
            return scalars.from_date(plain)
        case str():
            try:
                if _DATE.fullmatch(plain):
                    return scalars.from_date(dt.date.fromisoformat(plain))
            except ValueError:
                pass
            raise errors.ConversionError(
                f"{scalars.quote(plain)} is no date", hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DATE]}"
            )
        case _:
            return None


def _duration(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    if not isinstance(plain, str):
        return None
    found = _DURATION.fullmatch(plain)
    if found is None or plain.endswith(("P", "T")):
        why = "; years and months have no fixed length" if re.match(r"[+-]?P\d+[YM]", plain) else ""
        raise errors.ConversionError(
            f"{scalars.quote(plain)} is no ISO 8601 duration{why}",
            hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DURATION]}",
        )
    sign, *numbers, fraction = found.groups()
    _check_fraction(fraction, plain)
    if any(number and len(number) > 30 for number in numbers):
        raise errors.ConversionError(f"{scalars.quote(plain)} has more microseconds than 64 bits hold")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in numbers)
    micros = (weeks * 7 + days) * _DAY + hours * _HOUR + (minutes * 60 + seconds) * _SECOND
    micros += int(f"{fraction or '':0<6.6}")
    micros = -micros if sign == "-" else micros
    if not scalars.MIN_INT <= micros <= scalars.MAX_INT:
        raise errors.ConversionError(f"{scalars.quote(plain)} has more microseconds than 64 bits hold")
    return Literal(duration=micros)


def _decimal(plain: object, exact: bool) -> Literal | None:
    match plain:
        case bool():
            return None
        case str():
            try:
                if _DECIMAL.fullmatch(plain):
                    return scalars.from_decimal(decimal.Decimal(plain))
            except decimal.InvalidOperation:
                pass
            raise errors.ConversionError(
                f"{scalars.quote(plain)} is no decimal number",
                hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_DECIMAL]}",
            )
        case int() if not exact:
            return scalars.from_decimal(decimal.Decimal(plain))
        case float():
            raise errors.ConversionError(
                f"{describe(plain)} has lost digits already",
                hint=f'put it in quotes, as in "{plain!r}"',
            )
        case _:
            return None


def _bytes(plain: object, exact: bool) -> Literal | None:  # noqa: ARG001 - as above
    match plain:
        case bytes():
            return scalars.from_bytes(plain)
        case str():
            try:
                return scalars.from_bytes(b64decode(plain, validate=True))
            except (binascii.Error, ValueError):
                raise errors.ConversionError(
                    f"{scalars.quote(plain)} is not base64",
                    hint=f"as in {_EXAMPLES[types_pb2.SIMPLE_TYPE_BYTES]}",
                ) from None
        case _:
            return None


_READ: Mapping[int, Callable[[object, bool], Literal | None]] = {
    types_pb2.SIMPLE_TYPE_NONE: _none,
    types_pb2.SIMPLE_TYPE_BOOL: _bool,
    types_pb2.SIMPLE_TYPE_INT: _int,
    types_pb2.SIMPLE_TYPE_FLOAT: _float,
    types_pb2.SIMPLE_TYPE_STRING: _str,
    types_pb2.SIMPLE_TYPE_DATETIME: _datetime,
    types_pb2.SIMPLE_TYPE_BYTES: _bytes,
    types_pb2.SIMPLE_TYPE_DATE: _date,
    types_pb2.SIMPLE_TYPE_DURATION: _duration,
    types_pb2.SIMPLE_TYPE_DECIMAL: _decimal,
}
_EXAMPLES = {
    types_pb2.SIMPLE_TYPE_DATETIME: "2024-05-01T12:00:00Z",
    types_pb2.SIMPLE_TYPE_DATE: "2024-05-01",
    types_pb2.SIMPLE_TYPE_DURATION: "P1DT2H30M or PT0.5S",
    types_pb2.SIMPLE_TYPE_DECIMAL: '"12.50"',
    types_pb2.SIMPLE_TYPE_BYTES: '"aGVsbG8=", which is b"hello"',
}
_TAKEN: Mapping[int, tuple[type, ...]] = {
    types_pb2.SIMPLE_TYPE_NONE: (type(None),),
    types_pb2.SIMPLE_TYPE_INT: (int,),
    types_pb2.SIMPLE_TYPE_FLOAT: (int, float),
    types_pb2.SIMPLE_TYPE_STRING: (str,),
    types_pb2.SIMPLE_TYPE_DATETIME: (str, dt.date),
    types_pb2.SIMPLE_TYPE_BYTES: (str, bytes),
    types_pb2.SIMPLE_TYPE_DATE: (str, dt.date),
    types_pb2.SIMPLE_TYPE_DURATION: (str,),
    types_pb2.SIMPLE_TYPE_DECIMAL: (str, int, float),
}


# Messages


def unknown(noun: str, name: str, known: Mapping[str, object]) -> str:
    """What to say of a name that is none of those known: the nearest of them, or which there are."""
    near = spelling.nearest(name[:100], known)
    if near:
        return f"unknown {noun}: did you mean `{near}`?"
    return f"unknown {noun}: there are {scalars.names(known)}" if known else f"unknown {noun}: there are none"


def describe(plain: object) -> str:
    """A plain value in a few words for an error: `"x" (str)`, `an array of 3`."""
    match plain:
        case None:
            return "null"
        case bool():
            return f"{str(plain).lower()} (bool)"
        case int() if plain.bit_length() > 128:
            return f"an int of {plain.bit_length()} bits"
        case int() | float():
            return f"{plain!r} ({type(plain).__name__})"
        case str():
            return f"{scalars.quote(plain)} (str)"
        case dt.date() | dt.time():
            return f"{plain.isoformat()} ({type(plain).__name__})"
        case bytes():
            return f"{len(plain)} bytes"
        case list():
            return f"an array of {len(plain)}"
        case dict():
            return f"an object with {scalars.names(map(str, plain))}" if plain else "an object with no keys"
        case _:
            return type(plain).__name__
