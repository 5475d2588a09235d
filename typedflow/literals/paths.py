"""Where a path into a value leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.literals import lists, scalars

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.workflows_pb2 import PathStep


def follow(literal: Literal, path: Iterable[PathStep]) -> Literal:
    """The value at a path into a literal. Raises ConversionError that names the step that leads nowhere."""
    where = ""
    current = literal
    for step in path:
        match step.WhichOneof("step"):
            case "index":
                current = _at_index(current, step.index, where)
                where += f"[{step.index}]"
            case "key":
                current = _at_key(current, step.key, where)
                where += f"[{scalars.quote(step.key)}]"
            case _:
                current = _at_field(current, step.field, where)
                where += f".{step.field}"
    return current


def _at_field(literal: Literal, name: str, where: str) -> Literal:
    for field in literal.record.fields:
        if field.name == name:
            return field.value
    raise errors.ConversionError(f"{scalars.describe(literal)} has no field `{name}`", where=where)


def _at_index(literal: Literal, index: int, where: str) -> Literal:
    if literal.record.fields and literal.record.fields[0].name == "0":
        return _at_place(literal, index, where)
    if not literal.HasField("list"):
        raise errors.ConversionError(f"{scalars.describe(literal)} has no elements", where=where)
    try:
        return lists.element(literal.list, index)
    except IndexError as error:
        raise errors.ConversionError(str(error), where=where) from None


def _at_place(literal: Literal, index: int, where: str) -> Literal:
    """Of a tuple."""
    fields = literal.record.fields
    if not -len(fields) <= index < len(fields):
        raise errors.ConversionError(f"index {index} is outside a tuple of {len(fields)}", where=where)
    return fields[index].value


def _at_key(literal: Literal, key: str, where: str) -> Literal:
    for i, each in enumerate(literal.dict.keys):
        if each == key:
            return lists.element(literal.dict.values, i)
    raise errors.ConversionError(f"{scalars.describe(literal)} has no key {scalars.quote(key)}", where=where)
