"""Whether a value that somebody sent is of the type that it should be of, as it is: nothing is converted.

What an offloaded literal stands for can't be seen here, and a frame's columns are checked by whoever reads its bytes:
neither is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.literals import lists, scalars
from typedflow.literals.conversion import COLUMNS, SIMPLE_VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.pb.literals_pb2 import List, Literal
    from typedflow.pb.types_pb2 import LiteralType, RecordType


def misfit(literal: Literal, of: LiteralType, path: str) -> str:
    """What keeps a value from being of a type, with the path to it; empty when nothing does.

    Linear in the messages that the value is made of: a packed column is looked at as a whole.
    """
    kind = literal.WhichOneof("value")
    if kind == "offloaded":
        return ""
    match of.WhichOneof("type"):
        case "simple":
            fits = kind is not None and kind == SIMPLE_VALUES.get(of.simple)
        case "list" if kind == "list":
            wrong = lists.malformed(literal.list)
            if wrong:
                return f"{path}: a list that contradicts itself: {wrong}"
            return _in_list(literal.list, of.list.element, path)
        case "union" if kind == "union":
            variant, variants = literal.union.variant, of.union.variants
            if variant >= len(variants):
                return f"{path}: variant {variant} of a union that has {len(variants)}"
            return misfit(literal.union.value, variants[variant], path)
        case "record" if kind == "record":
            return _in_record(literal, of, path)
        case "file":
            fits = kind == "file" and of.file.format in ("", literal.file.format)
        case "frame":
            fits = kind == "frame"
        case _:
            fits = False
    return "" if fits else f"{path}: expected {literal_types.brief(of)}, got {scalars.describe(literal)}"


def _in_record(literal: Literal, of: LiteralType, path: str) -> str:
    fields = literal.record.fields
    wrong = _wrong_fields([field.name for field in fields], of.record)
    if wrong:
        return f"{path}: expected {literal_types.brief(of)}, got {scalars.describe(literal)}: {wrong}"
    types = {field.name: field.type for field in of.record.fields}
    return next((wrong for f in fields if (wrong := misfit(f.value, types[f.name], f"{path}.{f.name}"))), "")


def _in_list(found: List, element: LiteralType, path: str) -> str:
    """The same for a list, of which `lists.malformed` says nothing."""
    column = found.WhichOneof("column")
    if not lists.length(found):
        return ""
    if column == "literals":
        values = found.literals.values
        return next(
            (wrong for i, value in enumerate(values) if (wrong := misfit(value, element, f"{path}[{i}]"))), ""
        )
    if column == "lists" and element.HasField("list"):
        return _in_list(found.lists.elements, element.list.element, f"{path}[]")
    if column == "records" and element.HasField("record"):
        columns = found.records.columns
        wrong = _wrong_fields([each.name for each in columns], element.record)
        if wrong:
            return f"{path}[]: expected {literal_types.brief(element)}: {wrong}"
        types = {field.name: field.type for field in element.record.fields}
        return next(
            (
                wrong
                for each in columns
                if (wrong := _in_list(each.values, types[each.name], f"{path}[].{each.name}"))
            ),
            "",
        )
    if element.HasField("simple") and column == COLUMNS.get(element.simple):
        return ""
    return f"{path}[]: expected {literal_types.brief(element)}, got {column}"


def _wrong_fields(names: Sequence[str], of: RecordType) -> str:
    given = frozenset(names)
    missing = [f.name for f in of.fields if f.name not in given and not f.has_default]
    if missing:
        return f"field `{missing[0]}` is missing"
    known = [f.name for f in of.fields if f.name in given]
    return (
        "" if known == names else f"its fields are {scalars.names(f.name for f in of.fields)}, in this order"
    )
