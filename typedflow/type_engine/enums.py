"""Enum classes and `Literal[...]`: a closed set of values.

What travels is the member's own value; what comes back is the very member. A value is known by its exact type: `True`,
`1` and `1.0` are three.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types, literals, spelling
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import conversion, records, scalars, unions
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_VALUES = (str, int, bool, float, bytes)


def is_enum(annotation: Any) -> bool:
    """Whether the annotation is an Enum class."""
    return isinstance(annotation, enum.EnumMeta)


def enum_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of an Enum class. Raises DefinitionError for members whose values can't travel, and for flags."""
    name = annotation.__name__
    if issubclass(annotation, enum.Flag):
        message = f"`{name}` is a Flag, whose values are any combinations of its members"
        raise records.unsupported(message, "make it an Enum and use a list of its members, or use int")
    members = {member.name: member for member in annotation}
    _check_values(name, {f"{name}.{each}": member.value for each, member in members.items()})
    of = literal_types.enum(name, {each: member.value for each, member in members.items()})
    return MemberConverter(of, list(members.values()), annotation)


def literal_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `Literal["a", "b"]`; with None among its values it is an optional one."""
    values = get_args(annotation)
    objects = [value for value in values if value is not None]
    if not values:
        raise records.unsupported(
            "a Literal must say which values it has", 'write them, as in `Literal["a", "b"]`'
        )
    if not objects:
        return scalars.NoneConverter()
    plain = [value.value if isinstance(value, enum.Enum) else value for value in objects]
    _check_values("a Literal", dict(zip(map(repr, objects), plain, strict=True)))
    converter = MemberConverter(literal_types.choice(*plain), objects, None)
    return converter if len(objects) == len(values) else unions.union_of([converter, scalars.NoneConverter()])


def _check_values(whole: str, values: Mapping[str, Any]) -> None:
    odd = next((name for name, value in values.items() if type(value) not in _VALUES), None)
    if odd is not None:
        message = f"the value of `{odd}` is a {conversion.class_name(values[odd])}"
        raise records.unsupported(message, "values of members are str, int, bool, float or bytes")
    if not values:
        raise records.unsupported(f"`{whole}` has no members", "give it some")


class MemberConverter(conversion.Converter):
    """One of a closed set of objects, each of which travels as a value of its own."""

    def __init__(
        self, of: types_pb2.LiteralType, objects: Sequence[Any], cls: type[enum.Enum] | None
    ) -> None:
        self.type = of
        self.kind, self.whole = cls, cls is not None
        self._values = [literal_types.member_value(member) for member in of.enum.members]
        self._objects = objects
        self._by_key = dict(zip(map(literal_types.value_key, self._values), objects, strict=True))
        # The members of a class are there as long as it is, so that they are known by their identity.
        self._by_id = dict(zip(map(id, objects), self._values, strict=True)) if cls else {}
        kinds = set(map(type, self._values))
        self._packed = _COLUMNS.get(kinds.pop()) if len(kinds) == 1 else None
        self._by_value = dict(zip(self._values, objects, strict=True))

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return literals.from_member(self._value(value, path))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        kind = literal.WhichOneof("value")
        if kind is None or kind not in _KINDS:
            raise conversion.mismatch(path, self.type, literal)
        return self._object(getattr(literal, kind), path)

    def is_exact(self, value: Any) -> bool:
        return self._find(value) is not None

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        found: list[Any] = list(map(self._by_id.get, map(id, values)))
        if None in found:
            found = [self._value(value, place(i)) for i, value in enumerate(values)]
        if self._packed is None:
            return literals.pack([literals.from_member(each) for each in found])
        return self._packed[1](found)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if self._packed is None or column.WhichOneof("column") != self._packed[0]:
            return super().from_column(column, place, data)
        values = getattr(column, self._packed[0]).values[:]
        try:
            return list(map(self._by_value.__getitem__, values))
        except KeyError:
            return [self._object(value, place(i)) for i, value in enumerate(values)]

    def _find(self, value: Any) -> literal_types.EnumValue | None:
        """What travels for an object; None for what is none of the members."""
        if self.kind is not None:
            return self._by_id.get(id(value))
        if isinstance(value, enum.Enum):
            same = (each for each, mine in zip(self._values, self._objects, strict=True) if mine is value)
            return next(same, None)
        if type(value) not in _VALUES or self._by_key.get(key := literal_types.value_key(value)) is None:
            return None
        mine = self._by_key[key]
        return None if isinstance(mine, enum.Enum) else mine

    def _value(self, value: Any, path: str) -> literal_types.EnumValue:
        found = self._find(value)
        if found is None:
            raise conversion.misfit(path, self.type, value, hint=self._hint(value))
        return found

    def _object(self, value: literal_types.EnumValue, path: str) -> Any:
        key = literal_types.value_key(value)
        if key not in self._by_key:
            message = f"{value!r:.80} is not the value of a member of {literal_types.text(self.type)}"
            raise errors.ConversionError(message, where=path, code="IllegalEnumValue", hint=self._hint(value))
        return self._by_key[key]

    def _hint(self, value: Any) -> str:
        if type(value) not in _VALUES:
            return ""
        mine = self._by_key.get(literal_types.value_key(value))
        if isinstance(mine, enum.Enum):
            return f"write {type(mine).__name__}.{mine.name}"
        texts = [each for each in self._values if isinstance(each, str)]
        near = spelling.nearest(value, texts) if isinstance(value, str) else None
        return f"did you mean {near!r}?" if near else ""


# The column of members that are all of one kind, and what packs it; floats go by their bits, and are few.
_COLUMNS: dict[type, tuple[str, Callable[[list[Any]], literals_pb2.List]]] = {
    str: ("strings", literals.strings),
    int: ("integers", literals.integers),
    bytes: ("bytes", literals.blocks),
}
_KINDS = frozenset({"string", "integer", "boolean", "float", "bytes"})
