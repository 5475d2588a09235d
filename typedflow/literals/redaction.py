"""Values without what is Sensitive in them: what leaves a service for people and their programs.

What was there is a literal without a value, which is shown as `"***"`. Everything else is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.literals import columns, lists, scalars
from typedflow.pb.literals_pb2 import Dict, Literal, Record, Union

if TYPE_CHECKING:
    from typedflow.pb.literals_pb2 import List
    from typedflow.pb.types_pb2 import LiteralType


def redacted(literal: Literal, of: LiteralType) -> Literal:
    """The value of a type without its Sensitive parts; the same message where the type has none.

    A value that is not of the type, and one that is kept elsewhere as a whole, is taken out whole if it might have any.
    """
    if not literal_types.has_sensitive(of):
        return literal
    if of.sensitive:
        return Literal()
    match of.WhichOneof("type"), literal.WhichOneof("value"):
        case "custom", _:
            return redacted(literal, of.custom.representation)
        case "list", "list":
            return scalars.from_list(_elements(literal.list, of.list.element))
        case "stream", "list":
            return scalars.from_list(_elements(literal.list, of.stream.element))
        case "dict", "dict":
            return Literal(
                dict=Dict(keys=literal.dict.keys, values=_elements(literal.dict.values, of.dict.value))
            )
        case "union", "union" if literal.union.variant < len(of.union.variants):
            value = redacted(literal.union.value, of.union.variants[literal.union.variant])
            return Literal(union=Union(variant=literal.union.variant, value=value))
        case "record", "record":
            return Literal(record=_fields(literal.record, of))
        case _:
            return Literal()


def _elements(found: List, of: LiteralType) -> List:
    if of.sensitive:
        return lists.pack([Literal()] * columns.length(found))
    return lists.pack([redacted(e, of) for e in lists.elements(found)])


def _fields(found: Record, of: LiteralType) -> Record:
    made = Record()
    types = {f.name: f.type for f in of.record.fields}
    for field in found.fields:
        kept = redacted(field.value, types[field.name]) if field.name in types else Literal()
        made.fields.add(name=field.name, value=kept)
    return made
