"""What the types of a compilation are made of, each part one message, so that the ids of types stand for them.

Everything that is known of a type is found out once: a template may follow a thousand promises into one wide record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import literal_types
from typedflow.pb.workflows_pb2 import PathStep

if TYPE_CHECKING:
    from typedflow.pb.types_pb2 import Field, LiteralType

_FIRST: Final = PathStep(index=0)
_ANY: Final = PathStep(key="")


class Parts:
    """Lives as long as a compilation; the types that it is asked of must too."""

    __slots__ = ("_fields", "_steps", "_variants")

    def __init__(self) -> None:
        self._steps: dict[tuple[int, str, int], LiteralType | None] = {}
        self._fields: dict[int, dict[str, tuple[Field, LiteralType]]] = {}
        self._variants: dict[int, list[LiteralType]] = {}

    def at(self, type_: LiteralType, step: PathStep) -> LiteralType | None:
        """As `literal_types.at`; None too for an element of the list that is always empty."""
        kind = step.WhichOneof("step")
        if kind == "field":
            found = self.fields(type_).get(step.field)
            return found[1] if found else None
        if kind is None:
            return None
        # Every element of a list is of one type, and so is every value of a dict.
        place = step.index if kind == "index" and type_.HasField("record") else 0
        key = (id(type_), kind, place)
        if key not in self._steps:
            made = literal_types.at(type_, step)
            self._steps[key] = made if made is not None and made.WhichOneof("type") else None
        return self._steps[key]

    def fields(self, record: LiteralType) -> dict[str, tuple[Field, LiteralType]]:
        """The fields of a record type by name, each with its type; empty for any other."""
        known = self._fields.get(id(record))
        if known is None:
            hidden = record.sensitive
            known = self._fields[id(record)] = {
                each.name: (each, literal_types.sensitive(each.type) if hidden else each.type)
                for each in record.record.fields
            }
        return known

    def element(self, list_: LiteralType) -> LiteralType | None:
        """What a list or a stream has elements of; None when it can have none."""
        if not list_.HasField("stream"):
            return self.at(list_, _FIRST)
        key = (id(list_), "element", 0)
        if key not in self._steps:
            element = list_.stream.element
            self._steps[key] = literal_types.sensitive(element) if list_.sensitive else element
        return self._steps[key]

    def value(self, dict_: LiteralType) -> LiteralType | None:
        """What a dict has values of; None when it can have none."""
        return self.at(dict_, _ANY)

    def variants(self, type_: LiteralType) -> list[LiteralType]:
        """The variants of a union; of any other type itself."""
        if not type_.HasField("union"):
            return [type_]
        known = self._variants.get(id(type_))
        if known is None:
            known = self._variants[id(type_)] = literal_types.variants(type_)
        return known
