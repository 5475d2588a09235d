"""Where a variable's value comes from, worked out once per graph so that binding a node's inputs is a few lookups.

A promise knows the place of its output and whether its value needs a conversion; a list knows which variant of a union
it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typedflow.pb.literals_pb2 import LiteralMap
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import Binding, BindingValue, PathStep

INPUTS: Final = -1
"""Stands for the execution's inputs where a node is expected."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A value that the compiler has converted already."""

    literal: literals_pb2.Literal


@dataclass(frozen=True, slots=True)
class Promised:
    """An output of a node, or an input of the execution, or a part of one."""

    node: int
    position: int
    variable: str
    path: tuple[PathStep, ...]
    source: LiteralType
    # None: the value is taken as it is.
    target: LiteralType | None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list made of other values."""

    elements: tuple[Source, ...]
    # Of the union that the variable is; -1: it is a list.
    variant: int


Source: TypeAlias = Constant | Promised | Listed
Given: TypeAlias = "Callable[[int], LiteralMap | None]"
Load: TypeAlias = "Callable[[literals_pb2.Literal], literals_pb2.Literal]"


class StoredElsewhere(errors.ConversionError):
    """A part of an offloaded value is wanted, and it can't be loaded here."""

    code = "StoredElsewhere"

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message, where=where, hint=hint or "return the part from a task of its own")


@dataclass(frozen=True, slots=True)
class Bound:
    """A variable and what gives it its value."""

    variable: str
    source: Source


class Variables:
    """The names and types of some outputs (or inputs) by name, kept so that equal types are compared once."""

    __slots__ = ("names", "types")

    def __init__(self, variables: Iterable[tuple[str, LiteralType]]) -> None:
        self.types: dict[str, tuple[int, LiteralType]] = {}
        for position, (name, type_) in enumerate(variables):
            self.types[name] = (position, type_)
        self.names = tuple(self.types)


class Binder:
    """Works bindings out. `give(node)` is what a node promises; `INPUTS` is what the execution was given."""

    def __init__(self, index: Mapping[str, int], give: Callable[[int], Variables]) -> None:
        self._index = index
        self._give = give
        self._same: dict[tuple[int, int], bool] = {}

    def bind(self, bindings: Iterable[Binding], variables: Variables) -> tuple[Bound, ...]:
        """In the order of `variables`; one without a binding is left out."""
        by_name = {binding.variable: binding.value for binding in bindings}
        return tuple(
            Bound(name, self._source(by_name[name], type_))
            for name, (_, type_) in variables.types.items()
            if name in by_name
        )

    def _source(self, value: BindingValue, target: LiteralType) -> Source:
        match value.WhichOneof("value"):
            case "promise":
                return self._promised(value, target)
            case "list":
                variant, element = self._list_variant(value.list.elements, target)
                return Listed(tuple(self._source(each, element) for each in value.list.elements), variant)
            case _:
                return Constant(value.literal)

    def _promised(self, value: BindingValue, target: LiteralType) -> Promised:
        promise = value.promise
        node = self._index[promise.node] if promise.node else INPUTS
        position, whole = self._give(node).types[promise.variable]
        path = tuple(promise.path)
        if path:
            source = type_at(whole, path)
            same = literal_types.equal(source, target)
        else:
            source = whole
            # Both types are held by their Variables as long as this binder is used, so ids stand for them.
            key = (id(source), id(target))
            known = self._same.get(key)
            same = self._same.setdefault(key, literal_types.equal(source, target)) if known is None else known
        return Promised(node, position, promise.variable, path, source, None if same else target)

    def _list_variant(self, elements: Sequence[BindingValue], target: LiteralType) -> tuple[int, LiteralType]:
        """The variant of a union that a list is for (the first that takes all elements), and its elements' type."""
        if target.WhichOneof("type") != "union":
            return -1, target.list.element
        for variant, type_ in enumerate(target.union.variants):
            if type_.WhichOneof("type") == "list" and all(
                self._fits(each, type_.list.element) for each in elements
            ):
                return variant, type_.list.element
        raise ValueError(f"no variant of {literal_types.text(target)} takes the list that is bound to it")

    def _fits(self, value: BindingValue, target: LiteralType) -> bool:
        if value.WhichOneof("value") != "promise":
            return True
        promise = value.promise
        node = self._index[promise.node] if promise.node else INPUTS
        source = type_at(self._give(node).types[promise.variable][1], promise.path)
        return literal_types.is_assignable(source, target) is None


def type_at(type_: LiteralType, path: Iterable[PathStep]) -> LiteralType:
    """The type that a path leads to; the compiler has checked that it does."""
    for step in path:
        if step.WhichOneof("step") == "field":
            type_ = next(field.type for field in type_.record.fields if field.name == step.field)
        else:
            type_ = type_.list.element
    return type_


def can_fail(source: Source) -> bool:
    """Whether taking the value may fail at run time: an index may be beyond the list's end."""
    match source:
        case Promised():
            return bool(source.path)
        case Listed():
            return any(can_fail(each) for each in source.elements)
        case Constant():
            return False


def resolve(bound: Sequence[Bound], given: Given, load: Load | None) -> LiteralMap:
    """The values; `given(node)` is what a node (or `INPUTS`) gave, and `load` gives offloaded values.

    Raises ConversionError naming the variable; StoredElsewhere where `load` is wanted and there is none.
    """
    result = literals_pb2.LiteralMap()
    for each in bound:
        try:
            value = _value(each.source, given, load)
        except StoredElsewhere as error:
            raise StoredElsewhere(error.message, where=each.variable, hint=error.hint) from None
        except errors.ConversionError as error:
            where = f"{each.variable}{error.where}"
            raise errors.ConversionError(
                error.message, where=where, hint=error.hint, code=error.code
            ) from error
        result.values.add(name=each.variable, value=value)
    return result


def _value(source: Source, given: Given, load: Load | None) -> literals_pb2.Literal:
    match source:
        case Promised():
            return _promised_value(source, given(source.node), load)
        case Listed():
            packed = literals_pb2.Literal(
                list=literals.pack([_value(each, given, load) for each in source.elements])
            )
            if source.variant < 0:
                return packed
            return literals_pb2.Literal(union=literals_pb2.Union(variant=source.variant, value=packed))
        case Constant():
            return source.literal


def _promised_value(
    promised: Promised, outputs: LiteralMap | None, load: Load | None
) -> literals_pb2.Literal:
    if outputs is None:
        raise errors.ConversionError(f"`{promised.variable}` is not there yet")
    value = at(outputs, promised.position, promised.variable)
    if (promised.path or promised.target is not None) and value.HasField("offloaded"):
        if load is None:
            raise StoredElsewhere(
                f"`{promised.variable}` is too large for a part or another form of it to be taken here"
            )
        value = load(value)
    if promised.path:
        value = literals.follow(value, promised.path)
    if promised.target is not None:
        value = literals.convert(value, promised.source, promised.target)
    return value


def at(values: LiteralMap, position: int, name: str) -> literals_pb2.Literal:
    """The value of that name, which is expected at that position."""
    if position < len(values.values):
        candidate = values.values[position]
        if candidate.name == name:
            return candidate.value
    for each in values.values:
        if each.name == name:
            return each.value
    raise errors.ConversionError(f"there is no value `{name}`")


def has_all(values: LiteralMap, names: tuple[str, ...]) -> bool:
    """Whether exactly these names are there."""
    given = [each.name for each in values.values]
    return len(given) == len(names) and (tuple(given) == names or set(given) == set(names))
