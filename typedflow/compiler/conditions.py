"""Conditions of a conditional's cases: comparisons and bools, combined.

Each comparison is of two values of one type; a constant takes the type of the other side. Recursion is as deep as
conditions are nested, which is bounded; however many there are beside each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typedflow import literal_types, literals
from typedflow.compiler import constants, containers, diagnostics, promises
from typedflow.compiler.report import listed
from typedflow.pb import types_pb2, workflows_pb2
from typedflow.pb.literals_pb2 import Literal
from typedflow.pb.workflows_pb2 import BindingValue, Comparison, Condition, Operator

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.compiler.bindings import Binder
    from typedflow.compiler.promises import Promises
    from typedflow.pb.types_pb2 import LiteralType

MOST_LEVELS: Final = literal_types.MAX_DEPTH
"""Of conditions inside conditions."""

_SIGNS: Final = {
    workflows_pb2.OPERATOR_EQUAL: "==",
    workflows_pb2.OPERATOR_NOT_EQUAL: "!=",
    workflows_pb2.OPERATOR_LESS: "<",
    workflows_pb2.OPERATOR_LESS_OR_EQUAL: "<=",
    workflows_pb2.OPERATOR_GREATER: ">",
    workflows_pb2.OPERATOR_GREATER_OR_EQUAL: ">=",
}
_EQUALITY: Final = (workflows_pb2.OPERATOR_EQUAL, workflows_pb2.OPERATOR_NOT_EQUAL)
_ORDERED: Final = (
    types_pb2.SIMPLE_TYPE_INT,
    types_pb2.SIMPLE_TYPE_FLOAT,
    types_pb2.SIMPLE_TYPE_STRING,
    types_pb2.SIMPLE_TYPE_BYTES,
    types_pb2.SIMPLE_TYPE_DATE,
    types_pb2.SIMPLE_TYPE_DATETIME,
    types_pb2.SIMPLE_TYPE_DURATION,
    types_pb2.SIMPLE_TYPE_DECIMAL,
)
_TYPES: Final = {
    "none": literal_types.NONE,
    "boolean": literal_types.BOOL,
    "integer": literal_types.INT,
    "float": literal_types.FLOAT,
    "string": literal_types.STRING,
    "bytes": literal_types.BYTES,
    "date": literal_types.DATE,
    "datetime": literal_types.DATETIME,
    "duration": literal_types.DURATION,
    "decimal": literal_types.DECIMAL,
}


@dataclass(frozen=True, slots=True)
class _Side:
    """One side of a comparison: its type, and its value if it is a constant."""

    type: LiteralType
    constant: Literal | None
    shown: str


class Conditions:
    """Checks the conditions of one workflow, at the place where `sources` is."""

    def __init__(self, binder: Binder, sources: Promises) -> None:
        self._binder = binder
        self._sources = sources

    def check(self, condition: Condition, what: str, depth: int = 0) -> Condition | None:
        """The condition with its constants converted, the same message where nothing changes; None when it is wrong."""
        if depth > MOST_LEVELS:
            self._sources.add(
                diagnostics.NESTING_TOO_DEEP,
                f"{what} is nested too deep",
                expected=f"at most {MOST_LEVELS} levels of all, any and not",
            )
            return None
        match condition.WhichOneof("condition"):
            case "comparison":
                made = self._comparison(condition.comparison, what)
                if made is None or made is condition.comparison:
                    return None if made is None else condition
                if isinstance(made, bool):
                    return Condition(value=BindingValue(literal=literals.from_bool(made)))
                return Condition(comparison=made)
            case "value":
                return self._value(condition, what)
            case "all":
                return self._many(condition, condition.all.conditions, what, depth)
            case "any":
                return self._many(condition, condition.any.conditions, what, depth)
            case "negated":
                inner = self.check(condition.negated, what, depth + 1)
                if inner is None or inner is condition.negated:
                    return None if inner is None else condition
                return Condition(negated=inner)
            case None:
                self._sources.add(
                    diagnostics.BRANCH_HAS_NO_CONDITION, f"{what} says nothing", hint="compare something"
                )
                return None

    def _many(
        self, condition: Condition, inner: Sequence[Condition], what: str, depth: int
    ) -> Condition | None:
        if not inner:
            self._sources.add(
                diagnostics.BRANCH_HAS_NO_CONDITION, f"{what} combines nothing", hint="compare something"
            )
            return None
        made: list[Condition] = []
        right, changed = True, False
        for each in inner:
            if self._sources.report.full:
                return None
            checked = self.check(each, what, depth + 1)
            if checked is None:
                right = False
            else:
                changed = changed or checked is not each
                made.append(checked)
        if not right or not changed:
            return condition if right else None
        result = Condition()
        (result.all if condition.HasField("all") else result.any).conditions.extend(made)
        return result

    def _value(self, condition: Condition, what: str) -> Condition | None:
        """A bool, as it is."""
        side = self._side(condition.value, what)
        if side is None:
            return None
        if literal_types.plain(side.type) == literal_types.BOOL:
            return condition
        given = self._sources.report.text(side.type)
        hint = "" if side.type.HasField("union") else "compare it with something"
        if literal_types.is_optional(side.type):
            hint = "compare it with None, or with a value"
        self._mismatch(f"{what} is no bool", "bool", given, f"{side.shown} is {given}", hint)
        return None

    # Comparisons

    def _comparison(self, comparison: Comparison, what: str) -> Comparison | bool | None:
        if comparison.operator not in _SIGNS:
            self._sources.add(
                diagnostics.ILLEGAL_ENUM_VALUE,
                f"{what} compares with an operator that there is not",
                expected=listed(Operator.keys()[1:], 10),
                given=str(comparison.operator),
            )
            self._side(comparison.left, what)
            self._side(comparison.right, what)
            return None
        left, right = self._side(comparison.left, what), self._side(comparison.right, what)
        if left is None or right is None:
            return None
        if left.constant is None and right.constant is None:
            fitting = literal_types.equal(literal_types.bare(left.type), literal_types.bare(right.type))
            if not fitting:
                self._differ(left, right, what, "convert one of them in a task")
                return None
            return comparison if self._allowed(comparison.operator, left, what) else None
        return self._with_constant(comparison, left, right, what)

    def _with_constant(
        self, comparison: Comparison, left: _Side, right: _Side, what: str
    ) -> Comparison | bool | None:
        """A comparison one side of which, or both, is a constant: it takes the other's type.

        A constant with a union's tag was written for a value that could be of several types. Where it turns out to be
        of another one, because a called workflow was given no more than that, they differ.
        """
        constant, other = (left, right) if left.constant is not None else (right, left)
        made, given = self._attempt(constant, other)
        if not isinstance(made, Literal) and other.constant is not None:
            constant, other = other, constant
            made, given = self._attempt(constant, other)
        if not isinstance(made, Literal):
            if comparison.operator in _EQUALITY and given.HasField("union") and _comparable(other.type):
                return comparison.operator == workflows_pb2.OPERATOR_NOT_EQUAL
            if made.code == diagnostics.INVALID_VALUE:
                self._differ(
                    left,
                    right,
                    what,
                    made.hint or f"compare it with a constant of type `{self._text(other)}`",
                )
            else:
                self._sources.add(
                    made.code,
                    f"{what} compares {other.shown} with {constants.described(given, other.type)}",
                    expected=self._text(other),
                    given=made.given,
                    label=made.reason,
                    hint=made.hint,
                )
            return None
        if not self._allowed(comparison.operator, other, what):
            return None
        if made is given or made == given:
            return comparison
        value = BindingValue(literal=made)
        if constant is left:
            return Comparison(operator=comparison.operator, left=value, right=comparison.right)
        return Comparison(operator=comparison.operator, left=comparison.left, right=value)

    def _attempt(self, constant: _Side, other: _Side) -> tuple[Literal | constants.Misfit, Literal]:
        assert constant.constant is not None, "converts what is no constant"
        return constants.attempt(constant.constant, other.type), constant.constant

    def _allowed(self, operator: Operator.ValueType, side: _Side, what: str) -> bool:
        """Whether values of the type can be compared so."""
        if not _comparable(side.type):
            reason, hint = "can't be compared", "compare a part of it, or compute a bool in a task"
        elif operator not in _EQUALITY and literal_types.plain(side.type).simple not in _ORDERED:
            reason = f"has no order, so `{_SIGNS[operator]}` can't be told"
            hint = "" if side.type.HasField("union") else "use == or !="
        else:
            return True
        given = self._text(side)
        expected = "numbers, texts, bytes, dates, times" if operator not in _EQUALITY else "simple values"
        self._mismatch(f"{what} compares {given}", expected, given, f"{given} {reason}", hint)
        return False

    def _side(self, value: BindingValue, what: str) -> _Side | None:
        """A side of a comparison; None when there is nothing to compare, which is noted."""
        match value.WhichOneof("value"):
            case "promise" | "error":
                source = self._binder.source(value, what)
                return None if source is None else _Side(source, None, promises.giver(value))
            case "literal":
                constant = value.literal
            case None:
                self._mismatch(f"{what} compares nothing", "a value", "nothing", "", "")
                return None
            case kind:
                found = containers.plain(value, 0)
                if found is None:
                    self._mismatch(
                        f"{what} compares a {kind}",
                        "simple values",
                        kind,
                        "",
                        "compare a part of it, or compute a bool in a task",
                    )
                    return None
                constant = found
        wrong = constants.shape_mistake(constant)
        inner = constant.union.value if constant.HasField("union") else constant
        type_ = _TYPES.get(inner.WhichOneof("value") or "")
        if wrong is not None or type_ is None:
            given = literals.describe(inner)
            reason = wrong[1] if wrong else ""
            self._mismatch(f"{what} compares {given}", "simple values", given, reason, "")
            return None
        return _Side(type_, constant, literals.describe(inner))

    def _differ(self, left: _Side, right: _Side, what: str, hint: str) -> None:
        one, other = self._text(left), self._text(right)
        if left.constant is not None and right.constant is not None:
            label = f"{left.shown} and {right.shown}"
        elif right.constant is not None:
            label = f"{left.shown} is {one}, not {constants.described(right.constant, left.type)}"
        elif left.constant is not None:
            label = f"{right.shown} is {other}, not {constants.described(left.constant, right.type)}"
        else:
            label = f"{left.shown} is {one}, {right.shown} is {other}"
        self._mismatch(f"{what} compares {one} with {other}", one, other, label, hint)

    def _mismatch(self, message: str, expected: str, given: str, label: str, hint: str) -> None:
        self._sources.add(
            diagnostics.CONDITION_TYPE_MISMATCH,
            message,
            expected=expected,
            given=given,
            label=label,
            hint=hint,
        )

    def _text(self, side: _Side) -> str:
        return self._sources.report.text(side.type)


def _comparable(type_: LiteralType) -> bool:
    """Whether two values of a type are equal can be told from the literals alone."""
    match type_.WhichOneof("type"):
        case "simple" | "enum":
            return True
        case "union":
            return all(map(_comparable, type_.union.variants))
        case _:
            return False
