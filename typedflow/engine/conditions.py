"""What decides a conditional: comparisons and bools, combined, over values that may be stored elsewhere.

Values are compared as Python would compare what they stand for. Recursion is as deep as conditions are nested, which
the compiler bounds.
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors, literals
from typedflow.engine import bindings
from typedflow.pb import workflows_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typedflow.engine.bindings import Binder, Given, Load, Source
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.workflows_pb2 import Condition, Operator


@dataclass(frozen=True, slots=True)
class Compared:
    """Two values of one type."""

    operator: Operator.ValueType
    left: Source
    right: Source


@dataclass(frozen=True, slots=True)
class Asked:
    """A bool."""

    source: Source


@dataclass(frozen=True, slots=True)
class Combined:
    """Stops at the first part that is `stops_at`, and is that; else it is the other."""

    parts: tuple[Test, ...]
    stops_at: bool


@dataclass(frozen=True, slots=True)
class Negated:
    part: Test


Test: TypeAlias = Compared | Asked | Combined | Negated


def work_out(condition: Condition, binder: Binder) -> Test:
    """The condition with what its values come from."""
    match condition.WhichOneof("condition"):
        case "comparison":
            compared = condition.comparison
            return Compared(
                compared.operator, binder.as_it_is(compared.left), binder.as_it_is(compared.right)
            )
        case "all":
            return Combined(tuple(work_out(each, binder) for each in condition.all.conditions), False)
        case "any":
            return Combined(tuple(work_out(each, binder) for each in condition.any.conditions), True)
        case "negated":
            return Negated(work_out(condition.negated, binder))
        case _:
            return Asked(binder.as_it_is(condition.value))


def upstreams(condition: Condition) -> Iterator[str]:
    """The nodes whose values it needs."""
    match condition.WhichOneof("condition"):
        case "comparison":
            yield from bindings.promised(condition.comparison.left)
            yield from bindings.promised(condition.comparison.right)
        case "all":
            for each in condition.all.conditions:
                yield from upstreams(each)
        case "any":
            for each in condition.any.conditions:
                yield from upstreams(each)
        case "negated":
            yield from upstreams(condition.negated)
        case _:
            yield from bindings.promised(condition.value)


def holds(test: Test, given: Given, load: Load | None) -> bool:
    """Whether it is true.

    Raises ConversionError for a part of a value that is not there, StoredElsewhere where `load` is wanted.
    """
    match test:
        case Compared():
            return _compare(
                test.operator, _value(test.left, given, load), _value(test.right, given, load), load
            )
        case Asked():
            return _value(test.source, given, load).boolean
        case Negated():
            return not holds(test.part, given, load)
        case Combined():
            for part in test.parts:
                if holds(part, given, load) == test.stops_at:
                    return test.stops_at
            return not test.stops_at


def _value(source: Source, given: Given, load: Load | None) -> Literal:
    return bindings.here(bindings.value(source, given, load), load, "the condition's value")


def _compare(operator: Operator.ValueType, left: Literal, right: Literal, load: Load | None) -> bool:
    one, other = _plain(left, load), _plain(right, load)
    match operator:
        case workflows_pb2.OPERATOR_EQUAL:
            return one == other
        case workflows_pb2.OPERATOR_NOT_EQUAL:
            return one != other
        case _:
            pass
    sign = _sign(one[1], other[1]) if one[0] == other[0] else None
    if sign is None:
        return False  # NaN: the compiler lets nothing else through that has no order
    match operator:
        case workflows_pb2.OPERATOR_LESS:
            return sign < 0
        case workflows_pb2.OPERATOR_LESS_OR_EQUAL:
            return sign <= 0
        case workflows_pb2.OPERATOR_GREATER:
            return sign > 0
        case _:
            return sign >= 0


def _sign(one: object, other: object) -> int | None:
    """Below 0 where `one` is less, above 0 where it is greater; None where neither can be told."""
    if one != one or other != other:  # noqa: PLR0124 - NaN
        return None
    match one, other:
        case (int() | float(), int() | float()):
            return (one > other) - (one < other)
        case (str(), str()):
            return (one > other) - (one < other)
        case (bytes(), bytes()):
            return (one > other) - (one < other)
        case (decimal.Decimal(), decimal.Decimal()):
            return (one > other) - (one < other)
        case _:
            return None


def _plain(literal: Literal, load: Load | None) -> tuple[str, object]:
    """What is compared, beside what it is: True is not 1."""
    kind = literal.WhichOneof("value") or ""
    match kind:
        case "none":
            return kind, None
        case "union":
            inner = bindings.here(literal.union.value, load, "the condition's value")
            return f"union {literal.union.variant}", _plain(inner, load)
        case "datetime":
            return kind, literal.datetime.epoch_microseconds
        case "decimal":
            value = literals.to_decimal(literal.decimal)
            # A signaling NaN can't even be compared: as a quiet one it is equal to nothing.
            return kind, decimal.Decimal("nan") if value.is_snan() else value
        case "boolean" | "integer" | "float" | "string" | "bytes" | "date" | "duration":
            return kind, getattr(literal, kind)
        case _:
            raise errors.ConversionError(f"a {kind} can't be compared", where="condition")
