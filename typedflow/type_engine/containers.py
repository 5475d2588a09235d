"""Lists, optionals and unions.

A list is packed by its element's converter, in bulk. A union's value is tagged with the variant that took it.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def list_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `list[T]`."""
    arguments = get_args(annotation)
    if not arguments:
        raise errors.DefinitionError(
            "a list must say what it holds", hint="annotate it, as in `list[int]`", code="UnsupportedType"
        )
    return ListConverter(engine.converter(arguments[0]))


def union_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `A | B`, `Optional[A]` or `Union[A, B]`."""
    variants = tuple(engine.converter(argument) for argument in get_args(annotation))
    return UnionConverter(variants)


class ListConverter(conversion.Converter):
    """A list of one type of elements; other sequences are refused, since a list is what would come back."""

    def __init__(self, element: conversion.Converter) -> None:
        self.element = element
        self.type = literal_types.list_of(element.type)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        return literals_pb2.Literal(list=self.element.to_column(value, lambda i: f"{path}[{i}]", data))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> list[Any]:
        if literal.WhichOneof("value") != "list":
            raise conversion.mismatch(path, self.type, literal)
        return self.element.from_column(literal.list, lambda i: f"{path}[{i}]", data)

    def is_exact(self, value: Any) -> bool:
        return type(value) is list and all(map(self.element.is_exact, value))

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        for i, value in enumerate(values):
            if type(value) is not list:
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
        return [list(itertools.islice(elements, length)) for length in lengths]

    def _check(self, value: Any, path: str) -> None:
        if type(value) is not list:
            hint = (
                "write .tolist()"
                if hasattr(value, "tolist")
                else "write list(...)"
                if hasattr(value, "__iter__")
                else ""
            )
            raise conversion.misfit(path, self.type, value, hint=hint)


def _nested(place: Place, lengths: Sequence[int]) -> Place:
    """Where the elements of lists that are laid one after another come from."""

    def inner(i: int) -> str:
        ends = list(itertools.accumulate(lengths))
        outer = bisect.bisect_right(ends, i)
        return f"{place(outer)}[{i - ends[outer] + lengths[outer]}]"

    return inner


class UnionConverter(conversion.Converter):
    """One of several variants: the one that is exactly the value's type, else the first that takes it without loss."""

    def __init__(self, variants: tuple[conversion.Converter, ...]) -> None:
        self.variants = variants
        self.type = literal_types.union(*(variant.type for variant in variants))

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        for tag, variant in enumerate(self.variants):
            if variant.is_exact(value):
                return _tagged(tag, variant.to_literal(value, path, data))
        refusals = []
        for tag, variant in enumerate(self.variants):
            try:
                return _tagged(tag, variant.to_literal(value, path, data))
            except errors.ConversionError as error:
                refusals.append(error)
        # What is said about a part of the value tells more than that the whole does not fit.
        inner = [error for error in refusals if error.where != path]
        raise inner[0] if len(inner) == 1 else self._refused(value, path, refusals)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "union":
            raise conversion.mismatch(path, self.type, literal)
        if literal.union.variant >= len(self.variants):
            message = f"{literal_types.text(self.type)} has no variant {literal.union.variant}"
            raise errors.ConversionError(message, where=path)
        return self.variants[literal.union.variant].from_literal(literal.union.value, path, data)

    def is_exact(self, value: Any) -> bool:
        return any(variant.is_exact(value) for variant in self.variants)

    def _refused(
        self, value: Any, path: str, refusals: list[errors.ConversionError]
    ) -> errors.ConversionError:
        hint = next((error.hint for error in refusals if error.hint), "")
        return conversion.misfit(path, self.type, value, hint=hint)


def _tagged(tag: int, literal: literals_pb2.Literal) -> literals_pb2.Literal:
    return literals_pb2.Literal(union=literals_pb2.Union(variant=tag, value=literal))
