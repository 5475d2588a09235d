"""Constants of a template: bindings, defaults, launch plans' inputs. Whether they fit, and as what they travel.

A constant is anybody's message: its depth is looked at before anything walks over it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import errors, literal_types, literals
from typedflow.compiler import diagnostics
from typedflow.compiler.report import HEAD, cut
from typedflow.pb import types_pb2
from typedflow.pb.literals_pb2 import Literal

if TYPE_CHECKING:
    from typedflow.compiler.report import Report
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
# Elements that take no bytes each; more of them are an attack.
_MOST_WITHOUT_BYTES: Final = 1_000_000


def convert(
    literal: Literal, target: LiteralType, what: str, report: Report, at: int = HEAD
) -> Literal | None:
    """The constant as a value of the type, the same message if it is one already; None if not, which is noted."""
    if _PLAIN.get(literal.WhichOneof("value") or "") == target.simple != 0:
        return literal
    found = shape_mistake(literal)
    if found is not None:
        code, label = found
        report.add(code, f"{what} is not a value", at=at, expected=report.text(target), label=label)
        return None
    try:
        return literals.constant(literal, target, "")
    except errors.ConversionError as error:
        given = "nothing" if literal.WhichOneof("value") is None else literals.describe(literal)
        where = f"at `{cut(error.where, 200)}`: " if error.where else ""
        report.add(
            diagnostics.INVALID_VALUE,
            f"{what} expects {report.text(target)}",
            at=at,
            expected=report.text(target),
            given=given,
            label=f"{where}{error.message}",
            hint=error.hint,
        )
        return None


def shape_mistake(literal: Literal) -> tuple[str, str] | None:
    """The code and the description of what makes a literal no value of any type; without recursion.

    Nested deeper than any type, columns of a list that do not match, more elements than bytes, an instant outside the
    calendar.
    """
    todo: list[tuple[Literal | List, int]] = [(literal, 0)]
    while todo:
        current, depth = todo.pop()
        if depth > _DEEPEST:
            return diagnostics.NESTING_TOO_DEEP, f"it is nested to more than {literal_types.MAX_DEPTH} levels"
        if isinstance(current, Literal):
            if current.WhichOneof("value") == "datetime":
                try:
                    literals.to_datetime(current.datetime)
                except errors.ConversionError as error:
                    return diagnostics.INVALID_VALUE, error.message
        elif not _columns_match(current):
            return diagnostics.INVALID_VALUE, "it is a list that does not have the elements that it claims"
        todo.extend((inner, depth + 1) for inner in _inside(current))
    return None


def _columns_match(of: List) -> bool:
    match of.WhichOneof("column"):
        case "nones":
            return of.nones <= _MOST_WITHOUT_BYTES
        case "records":
            lengths = {literals.length(column.values) for column in of.records.columns}
            return lengths == {of.records.length} or (
                not lengths and of.records.length <= _MOST_WITHOUT_BYTES
            )
        case "lists":
            return sum(of.lists.lengths) == literals.length(of.lists.elements)
        case _:
            return True


def _inside(value: Literal | List) -> list[Literal | List]:
    if isinstance(value, Literal):
        match value.WhichOneof("value"):
            case "list":
                return [value.list]
            case "union":
                return [value.union.value]
            case "record":
                return [each.value for each in value.record.fields]
            case _:
                return []
    match value.WhichOneof("column"):
        case "records":
            return [each.values for each in value.records.columns]
        case "lists":
            return [value.lists.elements]
        case "literals":
            return list(value.literals.values)
        case _:
            return []
