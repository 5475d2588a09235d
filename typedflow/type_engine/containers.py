"""Lists, tuples of one type of elements, and dicts by text keys.

Elements are packed by their own converter, in bulk. What goes in is what comes out: a list where a list went in, keys
in their order.
"""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def list_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `list[T]`, and of `Sequence[T]`, which is a list here."""
    arguments = get_args(annotation)
    if not arguments:
        raise _untyped("a list must say what it holds", "annotate it, as in `list[int]`")
    if len(arguments) > 1:
        message = (
            f"{alternatives.text(annotation)} has {len(arguments)} types, and a list has one for all it holds"
        )
        raise _untyped(message, "make it a tuple, or a list of a union: `list[int | str]`")
    return SequenceConverter(engine.converter(arguments[0]), list)


def dict_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `dict[str, T]`, and of `Mapping[str, T]`, which is a dict here."""
    arguments = get_args(annotation)
    if not arguments:
        raise _untyped("a dict must say what it holds", "annotate it, as in `dict[str, int]`")
    if len(arguments) != 2:
        message = f"{alternatives.text(annotation)} must have two types: of its keys, which are str, and of its values"
        raise _untyped(message, "annotate it, as in `dict[str, int]`")
    key, value = arguments
    if key is not str:
        message = (
            f"the keys of {alternatives.text(annotation)} are {alternatives.text(key)}, and only str travels"
        )
        raise _untyped(message, "make the keys str, or use a list of a dataclass that has the key as a field")
    of = engine.converter(value)
    return of.keyed() or DictConverter(of)


class SequenceConverter(conversion.Converter):
    """A list of one type of elements, or a tuple of as many of them as there are (`tuple[T, ...]`).

    Other sequences are refused, since they are not what would come back.
    """

    def __init__(self, element: conversion.Converter, made: type[list[Any] | tuple[Any, ...]]) -> None:
        self.element = element
        self.kind = self._sequence = made
        self.type = literal_types.list_of(element.type)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        made = literals_pb2.Literal()
        self.element.fill(made.list, value, lambda i: f"{path}[{i}]", data)
        return made

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "list":
            raise conversion.mismatch(path, self.type, literal)
        elements = self.element.from_column(literal.list, lambda i: f"{path}[{i}]", data)
        return elements if self._sequence is list else tuple(elements)

    def is_exact(self, value: Any) -> bool:
        return type(value) is self.kind and all(map(self.element.is_exact, value))

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        for i, value in enumerate(values):
            if type(value) is not self.kind:
                self._check(value, place(i))
        lengths = list(map(len, values))
        elements = self.element.to_column(
            list(itertools.chain.from_iterable(values)), _nested(place, lengths), data
        )
        return literals_pb2.List(lists=literals_pb2.Lists(lengths=lengths, elements=elements))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "lists":
            return super().from_column(column, place, data)
        lengths = column.lists.lengths
        elements = iter(self.element.from_column(column.lists.elements, _nested(place, lengths), data))
        return [self._sequence(itertools.islice(elements, length)) for length in lengths]

    def _check(self, value: Any, path: str) -> None:
        if type(value) is self.kind:
            return
        hint = ""
        if hasattr(value, "tolist"):
            hint = "write .tolist()"
        elif hasattr(value, "__iter__") and not isinstance(value, (str, bytes)):
            hint = f"write {self._sequence.__name__}(...)"
        raise conversion.misfit(path, self.type, value, hint=hint)


class DictConverter(conversion.Converter):
    """A plain dict from str to one type of values. What derives from dict is refused: it would come back as one."""

    kind = dict

    def __init__(self, value: conversion.Converter) -> None:
        self.value = value
        self.type = literal_types.dict_of(value.type)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        keys = list(value)
        packed = self.value.to_column(list(value.values()), _at_key(path, keys), data)
        try:
            return literals_pb2.Literal(dict=literals_pb2.Dict(keys=keys, values=packed))
        except UnicodeEncodeError:
            raise self._surrogates(path, keys) from None

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> dict[str, Any]:
        if literal.WhichOneof("value") != "dict":
            raise conversion.mismatch(path, self.type, literal)
        keys = literal.dict.keys[:]
        values = self.value.from_column(literal.dict.values, _at_key(path, keys), data)
        return dict(zip(keys, values, strict=True))

    def is_exact(self, value: Any) -> bool:
        return (
            type(value) is dict
            and set(map(type, value)) <= {str}
            and all(map(self.value.is_exact, value.values()))
        )

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        for i, value in enumerate(values):
            self._check(value, place, i)
        lengths = list(map(len, values))
        keys = list(itertools.chain.from_iterable(values))
        cells = list(itertools.chain.from_iterable(value.values() for value in values))
        packed = self.value.to_column(cells, _at_keys(place, lengths, keys), data)
        try:
            column = literals_pb2.Dicts(lengths=lengths, keys=keys, values=packed)
        except UnicodeEncodeError:
            for i, value in enumerate(values):
                self.to_literal(value, place(i), data)
            raise
        return literals_pb2.List(dicts=column)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "dicts":
            return super().from_column(column, place, data)
        lengths, keys = column.dicts.lengths[:], column.dicts.keys[:]
        cells = self.value.from_column(column.dicts.values, _at_keys(place, lengths, keys), data)
        entries = zip(keys, cells, strict=True)
        return [dict(itertools.islice(entries, length)) for length in lengths]

    def _check(self, value: Any, place: str | Place, i: int = 0) -> None:
        if type(value) is dict and set(map(type, value)) <= {str}:
            return
        path = place if isinstance(place, str) else place(i)
        if type(value) is not dict:
            hint = "write dict(...)" if isinstance(value, Mapping) else ""
            raise conversion.misfit(path, self.type, value, hint=hint)
        odd = next(key for key in value if type(key) is not str)
        shown = conversion.class_name(odd)
        if not literal_types.has_sensitive(self.type):
            shown = f"{conversion.shown(odd)} ({shown})"
        message = f"expected {literal_types.text(self.type)}, got a dict with the key {shown}"
        raise errors.ConversionError(message, where=path, hint="make the keys str")

    def _surrogates(self, path: str, keys: Sequence[str]) -> errors.ConversionError:
        odd = next(key for key in keys if not key.isprintable())
        reason = f"the key {odd!r:.60} has lone surrogates, which no encoding can write"
        return errors.ConversionError(
            reason, where=path, hint="decode the bytes that it came from with their encoding"
        )


def _nested(place: Place, lengths: Sequence[int]) -> Place:
    """Where the elements of lists that are laid one after another come from."""
    split = _splitter(lengths)

    def inner(i: int) -> str:
        outer, rest = split(i)
        return f"{place(outer)}[{rest}]"

    return inner


def _at_keys(place: Place, lengths: Sequence[int], keys: Sequence[str]) -> Place:
    """Where the values of dicts that are laid one after another come from."""
    split = _splitter(lengths)
    return lambda i: place(split(i)[0]) + conversion.key_step(keys[i])


def _at_key(path: str, keys: Sequence[str]) -> Place:
    return lambda i: path + conversion.key_step(keys[i])


def _splitter(lengths: Sequence[int]) -> Callable[[int], tuple[int, int]]:
    """Says in which of the pieces an element is, and where in there; counts when it is first asked."""
    ends = functools.cache(lambda: list(itertools.accumulate(lengths)))

    def split(i: int) -> tuple[int, int]:
        outer = bisect.bisect_right(ends(), i)
        return outer, i - ends()[outer] + lengths[outer]

    return split


def _untyped(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
