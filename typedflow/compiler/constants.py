"""Constants of a template: bindings, defaults, launch plans' inputs. Whether they fit, and as what they travel.

A constant is anybody's message: its depth is looked at before anything walks over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typedflow import errors, literal_types, literals
from typedflow.compiler import diagnostics
from typedflow.compiler.report import HEAD, cut
from typedflow.literals import soundness
from typedflow.pb import types_pb2
from typedflow.pb.literals_pb2 import Datetime, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typedflow.compiler.report import Report
    from typedflow.pb.identifiers_pb2 import SourcePosition
    from typedflow.pb.literals_pb2 import List
    from typedflow.pb.types_pb2 import LiteralType

# Values of these forms fit these types as they are.
_PLAIN: Final = {
    "boolean": types_pb2.SIMPLE_TYPE_BOOL,
    "integer": types_pb2.SIMPLE_TYPE_INT,
    "float": types_pb2.SIMPLE_TYPE_FLOAT,
    "string": types_pb2.SIMPLE_TYPE_STRING,
    "none": types_pb2.SIMPLE_TYPE_NONE,
}
# The most messages around a scalar: a literal, a list and a union's tag for each level of its type.
_DEEPEST: Final = 3 * literal_types.MAX_DEPTH


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why a constant is no value of a type."""

    code: str
    reason: str
    given: str = ""
    hint: str = ""


def convert(
    literal: Literal,
    target: LiteralType,
    what: str,
    report: Report,
    at: int = HEAD,
    position: SourcePosition | None = None,
) -> Literal | None:
    """The constant as a value of the type, the same message if it is one already; None if not, which is noted."""
    made = attempt(literal, target)
    if isinstance(made, Literal):
        return made
    expected = report.text(target)
    message = f"{what} expects {expected}" if made.given else f"{what} is not a value"
    report.add(
        made.code,
        message,
        at=at,
        expected=expected,
        given=made.given,
        label=made.reason,
        hint=made.hint,
        position=position,
    )
    return None


def attempt(literal: Literal, target: LiteralType) -> Literal | Misfit:
    """The constant as a value of the type, the same message if it is one already; or why it is none."""
    if _PLAIN.get(literal.WhichOneof("value") or "") == target.simple != 0:
        return literal
    found = shape_mistake(literal)
    if found is not None:
        code, reason = found
        return Misfit(code, reason)
    try:
        return literals.constant(literal, target, "")
    except errors.ConversionError as error:
        given = described(literal, target)
        where = f"at `{cut(error.where, 200)}`: " if error.where else ""
        code = error.code if error.code == diagnostics.ILLEGAL_ENUM_VALUE else diagnostics.INVALID_VALUE
        return Misfit(code, f"{where}{error.message}", given, error.hint)


def described(literal: Literal, target: LiteralType) -> str:
    """A constant for a sentence; of one that is meant for something sensitive only of what kind it is."""
    kind = literal.WhichOneof("value")
    if kind is None:
        return "nothing"
    return f"a {kind}" if literal_types.has_sensitive(target) else literals.describe(literal)


def shape_mistake(literal: Literal) -> tuple[str, str] | None:
    """The code and the description of what makes a literal no value of any type; without recursion.

    Nested deeper than any type, lists and dicts that contradict themselves, moments outside the calendar.
    """
    # All of them, outside in: what is nested too deep is known before anything walks over it.
    found: list[Literal | List] = [literal]
    depths = [0]
    for current, depth in zip(found, depths, strict=False):  # both grow on the way
        if depth > _DEEPEST:
            return diagnostics.NESTING_TOO_DEEP, f"it is nested to more than {literal_types.MAX_DEPTH} levels"
        inside = _inside(current)
        found += inside
        depths += [depth + 1] * len(inside)
    for current in found:
        wrong = _contradiction(current) if isinstance(current, Literal) else _outside_calendar(current)
        if wrong:
            return diagnostics.INVALID_VALUE, wrong
    return None


def _contradiction(literal: Literal) -> str:
    match literal.WhichOneof("value"):
        case "list":
            wrong = literals.malformed(literal.list)
            return f"a list that contradicts itself: {wrong}" if wrong else ""
        case "dict":
            wrong = soundness.contradiction(literal.dict)
            return f"a dict that contradicts itself: {wrong}" if wrong else ""
        case "datetime":
            return _no_moment([literal.datetime])
        case "date":
            return _no_day([literal.date])
        case _:
            return ""


def _outside_calendar(column: List) -> str:
    match column.WhichOneof("column"):
        case "datetimes":
            instants, offsets = column.datetimes.epoch_microseconds, column.datetimes.offset_seconds
            if not instants:
                return ""
            return _no_moment(
                Datetime(epoch_microseconds=instant, offset_seconds=offset)
                for instant in (min(instants), max(instants))
                for offset in (min(offsets), max(offsets))
            )
        case "dates":
            days = column.dates.days
            return _no_day([min(days), max(days)]) if days else ""
        case _:
            return ""


def _no_moment(moments: Iterable[Datetime]) -> str:
    try:
        for moment in moments:
            literals.to_datetime(moment)
    except errors.ConversionError as error:
        return error.message
    return ""


def _no_day(days: Iterable[int]) -> str:
    try:
        for day in days:
            literals.to_date(day)
    except errors.ConversionError as error:
        return error.message
    return ""


def _inside(value: Literal | List) -> Sequence[Literal | List]:
    if isinstance(value, Literal):
        match value.WhichOneof("value"):
            case "list":
                return [value.list]
            case "union":
                return [value.union.value]
            case "record":
                return [each.value for each in value.record.fields]
            case "dict":
                return [value.dict.values]
            case _:
                return []
    match value.WhichOneof("column"):
        case "records":
            return [each.values for each in value.records.columns]
        case "lists":
            return [value.lists.elements]
        case "dicts":
            return [value.dicts.values]
        case "unions":
            return value.unions.columns
        case "literals":
            return value.literals.values
        case _:
            return []
