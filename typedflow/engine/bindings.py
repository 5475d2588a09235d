"""Where a variable's value comes from, worked out once per graph so that binding a node's inputs is a few lookups.

A promise knows the place of its output and whether its value needs a conversion; a list, a dict or a record knows which
variant of a union it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typedflow.pb.literals_pb2 import LiteralMap
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import Binding, BindingValue, PathStep

INPUTS: Final = -1
"""Stands for the execution's inputs where a node is expected."""

ERROR: Final = -2
"""Stands for why the execution failed, a record `error` of literal_types.EXECUTION_ERROR."""


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

    parts: tuple[Source, ...]
    # Of the union that the variable is; -1: it is a list.
    variant: int


@dataclass(frozen=True, slots=True)
class Keyed:
    """A dict made of other values, likewise."""

    keys: tuple[str, ...]
    parts: tuple[Source, ...]
    variant: int


@dataclass(frozen=True, slots=True)
class Fielded:
    """A record made of other values, likewise; its fields are in the type's order."""

    names: tuple[str, ...]
    parts: tuple[Source, ...]
    variant: int


Source: TypeAlias = Constant | Promised | Listed | Keyed | Fielded
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
    """Works bindings out. `give(node)` is what a node promises, or `INPUTS`, or `ERROR`."""

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

    def as_it_is(self, value: BindingValue) -> Source:
        """A constant or a promise, in no other form than its own."""
        if value.HasField("literal"):
            return Constant(value.literal)
        node, variable, path = self._place(value)
        position, whole = self._give(node).types[variable]
        return Promised(node, position, variable, path, type_at(whole, path), None)

    def _place(self, value: BindingValue) -> tuple[int, str, tuple[PathStep, ...]]:
        if value.HasField("error"):
            return ERROR, "error", tuple(value.error.path)
        promise = value.promise
        node = self._index[promise.node] if promise.node else INPUTS
        return node, promise.variable, tuple(promise.path)

    def _source(self, value: BindingValue, target: LiteralType) -> Source:
        match value.WhichOneof("value"):
            case "promise" | "error":
                return self._promised(value, target)
            case "list" | "dict" | "record":
                return self._made(value, target)
            case _:
                return Constant(value.literal)

    def _made(self, value: BindingValue, target: LiteralType) -> Source:
        """A container, as the variant of a union that the compiler decided for: the first that takes its promises."""
        variant, type_ = self._variant(value, target)
        if value.HasField("list"):
            inner = _part(type_, literal_types.children(type_)[0])
            return Listed(tuple(self._source(each, inner) for each in value.list.elements), variant)
        if value.HasField("dict"):
            inner = _part(type_, type_.dict.value)
            parts = tuple(self._source(each, inner) for each in value.dict.values)
            return Keyed(tuple(value.dict.keys), parts, variant)
        given = {each.name: each.value for each in value.record.fields}
        fields = [each for each in type_.record.fields if each.name in given]
        parts = tuple(self._source(given[each.name], _part(type_, each.type)) for each in fields)
        return Fielded(tuple(each.name for each in fields), parts, variant)

    def _promised(self, value: BindingValue, target: LiteralType) -> Promised:
        node, variable, path = self._place(value)
        position, whole = self._give(node).types[variable]
        if path:
            source = type_at(whole, path)
            same = literal_types.equal(source, target)
        else:
            source = whole
            # Both types are held by their Variables as long as this binder is used, so ids stand for them.
            key = (id(source), id(target))
            known = self._same.get(key)
            same = self._same.setdefault(key, literal_types.equal(source, target)) if known is None else known
        return Promised(node, position, variable, path, source, None if same else target)

    def _variant(self, value: BindingValue, target: LiteralType) -> tuple[int, LiteralType]:
        if target.WhichOneof("type") != "union":
            return -1, target
        for variant, type_ in enumerate(literal_types.variants(target)):
            wanted = _wanted(value, type_)
            if wanted is not None and all(self._fits(each, inner) for each, inner in wanted):
                return variant, type_
        kind = value.WhichOneof("value")
        raise ValueError(f"no variant of {literal_types.text(target)} takes the {kind} that is bound to it")

    def _fits(self, value: BindingValue, target: LiteralType) -> bool:
        if value.WhichOneof("value") not in ("promise", "error"):
            return True
        node, variable, path = self._place(value)
        source = type_at(self._give(node).types[variable][1], path)
        return literal_types.is_assignable(source, target) is None


def _wanted(value: BindingValue, type_: LiteralType) -> list[tuple[BindingValue, LiteralType]] | None:
    """The parts of a container with the types that they would have in a container of the type; None: it is of none."""
    match value.WhichOneof("value"), type_.WhichOneof("type"):
        case "list", "list" | "stream":
            inner, parts = literal_types.children(type_)[0], value.list.elements
        case "dict", "dict":
            inner, parts = type_.dict.value, value.dict.values
        case "record", "record":
            given = {each.name: each.value for each in value.record.fields}
            fields = {each.name: each for each in type_.record.fields}
            required = (n for n, each in fields.items() if not each.optional and not each.has_default)
            if not fields.keys() >= given.keys() or not all(name in given for name in required):
                return None
            return [(each, _part(type_, fields[name].type)) for name, each in given.items()]
        case _:
            return None
    empty = inner.WhichOneof("type") is None
    return None if empty and parts else [(each, _part(type_, inner)) for each in parts]


def _part(whole: LiteralType, part: LiteralType) -> LiteralType:
    """A part of what is sensitive is, too."""
    return literal_types.sensitive(part) if whole.sensitive else part


def type_at(type_: LiteralType, path: Iterable[PathStep]) -> LiteralType:
    """The type that a path leads to; the compiler has checked that it does."""
    for step in path:
        found = literal_types.at(type_, step)
        if found is None:
            raise ValueError(f"a path leads nowhere in {literal_types.text(type_)}")
        type_ = found
    return type_


def can_fail(source: Source) -> bool:
    """Whether taking the value may fail at run time: an index may be beyond the list's end, a key may be missing."""
    match source:
        case Promised():
            return bool(source.path)
        case Constant():
            return False
        case _:
            return any(map(can_fail, source.parts))


def resolve(bound: Sequence[Bound], given: Given, load: Load | None) -> LiteralMap:
    """The values; `given(node)` is what a node (or `INPUTS`) gave, and `load` gives offloaded values.

    Raises ConversionError naming the variable; StoredElsewhere where `load` is wanted and there is none.
    """
    result = literals_pb2.LiteralMap()
    for each in bound:
        try:
            found = value(each.source, given, load)
        except errors.ConversionError as error:
            raise located(error, each.variable) from error
        result.values.add(name=each.variable, value=found)
    return result


def located(error: errors.ConversionError, variable: str) -> errors.ConversionError:
    """The error with the variable before its place."""
    where = f"{variable}{error.where}"
    if isinstance(error, StoredElsewhere):
        return StoredElsewhere(error.message, where=where, hint=error.hint)
    return errors.ConversionError(error.message, where=where, hint=error.hint, code=error.code)


def value(source: Source, given: Given, load: Load | None) -> literals_pb2.Literal:
    """One value. Raises ConversionError, StoredElsewhere as `resolve` does."""
    match source:
        case Promised():
            return _promised_value(source, given(source.node), load)
        case Constant():
            return source.literal
        case _:
            made = _assembled(source, [value(each, given, load) for each in source.parts])
            if source.variant < 0:
                return made
            return literals_pb2.Literal(union=literals_pb2.Union(variant=source.variant, value=made))


def _assembled(
    source: Listed | Keyed | Fielded, parts: Sequence[literals_pb2.Literal]
) -> literals_pb2.Literal:
    match source:
        case Listed():
            return literals_pb2.Literal(list=literals.pack(parts))
        case Keyed():
            return literals_pb2.Literal(dict=literals_pb2.Dict(keys=source.keys, values=literals.pack(parts)))
        case Fielded():
            return literals.from_record(dict(zip(source.names, parts, strict=True)))


def _promised_value(promise: Promised, outputs: LiteralMap | None, load: Load | None) -> literals_pb2.Literal:
    if outputs is None:
        raise errors.ConversionError(f"`{promise.variable}` is not there yet")
    found = at(outputs, promise.position, promise.variable)
    if promise.path or promise.target is not None:
        found = here(found, load, promise.variable)
    if promise.path:
        found = literals.follow(found, promise.path)
    if promise.target is not None:
        found = literals.convert(here(found, load, promise.variable), promise.source, promise.target)
    return found


def here(literal: literals_pb2.Literal, load: Load | None, variable: str) -> literals_pb2.Literal:
    """The value itself, where what stands for it may not do. Raises StoredElsewhere when it can't be loaded."""
    if not literal.HasField("offloaded"):
        return literal
    if load is None:
        raise StoredElsewhere(f"`{variable}` is too large for a part or another form of it to be taken here")
    return load(literal)


def promised(value: BindingValue) -> Iterator[str]:
    """The nodes that a binding refers to; recursion is as deep as the value is nested, which the compiler bounds."""
    match value.WhichOneof("value"):
        case "promise":
            if value.promise.node:
                yield value.promise.node
        case "list":
            for element in value.list.elements:
                yield from promised(element)
        case "dict":
            for element in value.dict.values:
                yield from promised(element)
        case "record":
            for field in value.record.fields:
                yield from promised(field.value)
        case _:
            pass


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
