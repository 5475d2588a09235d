"""Optionals and unions: a value is tagged with the variant that took it.

A variant is chosen by a value's class where that is enough, for many values at once; else the variants are asked. Must
never choose by what a value looks like: it is the exact variant, else the first that takes it without loss.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, scalars, sensitive
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def union_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of `A | B`, `Optional[A]` or `Union[A, B]`."""
    arguments = get_args(annotation)
    if not arguments:
        message, hint = "a Union must say what it may be", "write it, as in `int | str`"
        raise errors.DefinitionError(message, hint=hint, code="UnsupportedType")
    return union_of([engine.converter(argument) for argument in arguments])


def union_of(parts: Sequence[conversion.Converter]) -> conversion.Converter:
    """The converter of any of these: unions among them are taken apart, and None is there once."""
    variants: list[conversion.Converter] = []
    for variant in itertools.chain.from_iterable(map(_apart, parts)):
        if not (_is_none(variant) and any(map(_is_none, variants))):
            variants.append(variant)
    if len(variants) > literal_types.MOST_VARIANTS:
        message = (
            f"a union has at most {literal_types.MOST_VARIANTS} variants, and this one has {len(variants)}"
        )
        raise errors.DefinitionError(message, hint="give them a common form", code="UnsupportedType")
    return variants[0] if len(variants) == 1 else UnionConverter(tuple(variants))


def _apart(part: conversion.Converter) -> Iterable[conversion.Converter]:
    if isinstance(part, UnionConverter):
        return part.variants
    if isinstance(part, sensitive.SensitiveConverter) and isinstance(part.shown, UnionConverter):
        return map(sensitive.SensitiveConverter, part.shown.variants)
    return (part,)


class UnionConverter(conversion.FillingConverter):
    """One of several variants: the one that is exactly the value's type, else the first that takes it without loss."""

    def __init__(self, variants: tuple[conversion.Converter, ...]) -> None:
        self.variants = variants
        self.type = literal_types.union(*(variant.type for variant in variants))
        self._by_class = _by_class(variants)
        self._is_optional_scalar = (
            len(variants) == 2 and _is_none(variants[1]) and variants[0].type.HasField("simple")
        )

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        tag = self._exact(value)
        if tag is not None:
            return _tagged(tag, self.variants[tag].to_literal(value, path, data))
        refusals = []
        for tag, variant in enumerate(self.variants):
            try:
                return _tagged(tag, variant.to_literal(value, path, data))
            except errors.ConversionError as error:
                refusals.append(error)
        raise self._refused(value, path, refusals)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "union":
            raise conversion.mismatch(path, self.type, literal)
        if literal.union.variant >= len(self.variants):
            raise self._no_variant(literal.union.variant, path)
        return self.variants[literal.union.variant].from_literal(literal.union.value, path, data)

    def is_exact(self, value: Any) -> bool:
        return self._exact(value) is not None

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        if not values:
            column.nones = 0
            return
        if self._is_optional_scalar and self._fill_present(column, values, place, data):
            return
        try:
            tags = bytes(map(self._by_class.__getitem__, map(type, values)))
        except KeyError:
            tags = bytes([self._choose(value, place, i, data) for i, value in enumerate(values)])
        _tag(column, tags)
        for tag, variant in enumerate(self.variants[: _highest(tags) + 1]):
            chosen = list(itertools.compress(values, tags.translate(_only(tag))))
            variant.fill(column.unions.columns.add(), chosen, _within(place, tags, tag), data)

    def _fill_present(
        self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data
    ) -> bool:
        """The same for an optional scalar: what is not None can only be of the other variant. False: it is not."""
        tags = bytes([value is None for value in values])
        present = list(itertools.compress(values, tags.translate(_only(0))))
        _tag(column, tags)
        try:
            self.variants[0].fill(column.unions.columns.add(), present, _within(place, tags, 0), data)
        except errors.ConversionError:
            column.Clear()
            return False
        if len(present) < len(values):
            column.unions.columns.add(nones=len(values) - len(present))
        return True

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "unions":
            return super().from_column(column, place, data)
        found = column.unions
        tags = _tags(found)
        highest = len(found.columns) - 1
        if highest >= len(self.variants) or tags is None:
            odd = next(i for i, tag in enumerate(found.variants) if tag >= len(self.variants))
            raise self._no_variant(found.variants[odd], place(odd))
        cells = [
            self.variants[tag].from_column(each, _within(place, tags, tag), data)
            for tag, each in enumerate(found.columns)
        ]
        if [tags.count(tag) for tag in range(len(cells))] != list(map(len, cells)):
            raise errors.ConversionError(
                "a list of a union whose columns contradict its variants", where=place(0)
            )
        return _merged(tags, cells, self.variants)

    def _exact(self, value: Any) -> int | None:
        tag = self._by_class.get(type(value))
        if tag is None:
            tag = next((tag for tag, variant in enumerate(self.variants) if variant.is_exact(value)), None)
        return tag

    def _choose(self, value: Any, place: Place, i: int, data: Data) -> int:
        tag = self._exact(value)
        return self.to_literal(value, place(i), data).union.variant if tag is None else tag

    def _refused(
        self, value: Any, path: str, refusals: Sequence[errors.ConversionError]
    ) -> errors.ConversionError:
        # What is said about a part of the value tells more than that the whole does not fit.
        inner = [error for error in refusals if error.where != path]
        if len(inner) == 1 and not literal_types.has_sensitive(self.type):
            return inner[0]
        # A hint about a part would be read as one about the whole.
        hint = next((error.hint for error in refusals if error.hint and error.where == path), "")
        return conversion.misfit(path, self.type, value, hint=hint)

    def _no_variant(self, tag: int, path: str) -> errors.ConversionError:
        return errors.ConversionError(f"{literal_types.text(self.type)} has no variant {tag}", where=path)


def _is_none(variant: conversion.Converter) -> bool:
    return isinstance(variant, scalars.NoneConverter)


def _by_class(variants: Sequence[conversion.Converter]) -> dict[type, int]:
    """Which variant is exact for all values of a class, where the class decides."""
    decided: dict[type, int] = {type(None): tag for tag, variant in enumerate(variants) if _is_none(variant)}
    seen: set[type] = set()
    for tag, variant in enumerate(variants):
        if variant.kind is None:
            break  # it may be exact for values of any class, so those after it can't go by theirs
        if variant.whole and variant.kind not in seen:
            decided[variant.kind] = tag
        seen.add(variant.kind)
    return decided


def _merged(
    tags: bytes, cells: Sequence[Sequence[Any]], variants: Sequence[conversion.Converter]
) -> list[Any]:
    """The variants' values in the order of their tags, which are as many."""
    if len(cells) == 1:
        return list(cells[0])
    if len(cells) == 2 and _is_none(variants[1]):
        following = iter(cells[0])
        return [None if tag else next(following) for tag in tags]
    iterators = list(map(iter, cells))
    return list(map(next, map(iterators.__getitem__, tags)))


# A tag is below 64, so that in the packed field it is one byte: the field's bytes are the tags.


def _tag(column: literals_pb2.List, tags: bytes) -> None:
    """Makes an empty list one of a union that has the tags, and no columns yet."""
    size, head = len(tags), bytearray(b"\x0a")
    while size >= 128:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    column.unions.MergeFromString(bytes(head) + tags)


def _tags(of: literals_pb2.Unions) -> bytes | None:
    """The tags that there are columns for; None when there are others."""
    count, most = len(of.variants), len(of.columns)
    if not count:
        return b""
    tags = literals_pb2.Unions(variants=of.variants).SerializeToString()[-count:]
    return tags if _highest(tags) < min(most, literal_types.MOST_VARIANTS) else None


def _highest(tags: bytes) -> int:
    return next(tag for tag in range(255, -1, -1) if tag in tags)


def _only(tag: int) -> bytes:
    """A table that translates the tag to 1 and every other to 0."""
    return bytes(tag) + b"\x01" + bytes(255 - tag)


def _within(place: Place, tags: bytes, tag: int) -> Place:
    """Where the values of one variant are among all."""
    mine = functools.cache(lambda: [i for i, each in enumerate(tags) if each == tag])
    return lambda i: place(mine()[i])


def _tagged(tag: int, literal: literals_pb2.Literal) -> literals_pb2.Literal:
    return literals_pb2.Literal(union=literals_pb2.Union(variant=tag, value=literal))
