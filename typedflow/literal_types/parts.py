"""The types that a type is made of, and where a path into it leads: the one place that walks types.

A part of something sensitive is sensitive too, however it is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.literal_types import building
from typedflow.pb.types_pb2 import LiteralType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typedflow.pb.types_pb2 import Field
    from typedflow.pb.workflows_pb2 import PathStep

MAX_DEPTH = 24
"""How deep types may be nested; the compiler refuses deeper ones."""
MOST_VARIANTS = 64
"""How many variants a union may have: each value may have to be tried with every one, and each has a column."""


def children(t: LiteralType) -> list[LiteralType]:
    """The types that it is made of at once, as they stand in the message."""
    match t.WhichOneof("type"):
        case "list":
            return [t.list.element]
        case "dict":
            return [t.dict.value]
        case "union":
            return list(t.union.variants)
        case "record":
            return [f.type for f in t.record.fields]
        case "stream":
            return [t.stream.element]
        case "custom":
            return [t.custom.representation]
        case _:
            return []


def depth(t: LiteralType) -> int:
    """How many lists, unions, records and other containers are around its innermost type: 0 for int, 1 for list[int].

    Without recursion, so that it can be asked of any message.
    """
    return max(level for _, level in _walk(t))


def has_sensitive(t: LiteralType) -> bool:
    """Whether it is sensitive, or anything in it. Without recursion, so that it can be asked of any message."""
    return any(part.sensitive for part, _ in _walk(t))


PICKLED = "pickle:"
"""What the names of pickled types begin with."""


def uses_pickle(t: LiteralType) -> bool:
    """Whether it is pickled, or anything in it: who gives such a value has code run. Without recursion."""
    return any(part.HasField("custom") and part.custom.name.startswith(PICKLED) for part, _ in _walk(t))


def bare(t: LiteralType) -> LiteralType:
    """The type without its mark and without those of its parts."""
    if not has_sensitive(t):
        return t
    made = LiteralType()
    made.CopyFrom(t)
    for part, _ in _walk(made):
        part.ClearField("sensitive")
    return made


def _walk(t: LiteralType) -> Iterator[tuple[LiteralType, int]]:
    todo = [(t, 0)]
    while todo:
        current, level = todo.pop()
        yield current, level
        todo.extend((child, level + 1) for child in children(current))


def field(t: LiteralType, name: str) -> Field | None:
    """The field of a record type; None when there is none of the name."""
    return next((f for f in t.record.fields if f.name == name), None)


def variants(t: LiteralType) -> list[LiteralType]:
    """The variants of a union, each as sensitive as the union is."""
    return [building.sensitive(v) for v in t.union.variants] if t.sensitive else list(t.union.variants)


def at(t: LiteralType, step: PathStep) -> LiteralType | None:
    """The type one step into it; None where the step leads nowhere.

    A field of a record, the value at a key of a dict, the element at an index of a list, or of a tuple (where negative
    ones count from the end). A list's length and a dict's keys are not known here, so any index and any key will do.
    """
    found = _at(t, step)
    return building.sensitive(found) if found is not None and t.sensitive else found


def _at(t: LiteralType, step: PathStep) -> LiteralType | None:
    match step.WhichOneof("step"), t.WhichOneof("type"):
        case "field", "record":
            found = field(t, step.field)
            return found.type if found else None
        case "index", "list":
            return t.list.element
        case "index", "record" if t.record.positional:
            count = len(t.record.fields)
            return t.record.fields[step.index].type if -count <= step.index < count else None
        case "key", "dict":
            return t.dict.value
        case _:
            return None
