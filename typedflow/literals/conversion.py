"""Literals from one type to another, along an edge of a graph.

The source's type is known and trusted: this follows `literal_types.is_assignable` and can't fail where that gave no
mismatch. What an offloaded literal stands for can't be seen here, so it is passed on as it is (inside its union
variant, where there is one) and converted by whoever fetches it. A column is converted as a whole wherever it can be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typedflow import errors, literal_types
from typedflow.literals import columns, frames, lists, scalars
from typedflow.pb.literals_pb2 import Dict, Dicts, List, Lists, Literal, Record, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from typedflow.pb.types_pb2 import FrameType, LiteralType, RecordType


@dataclass(frozen=True, slots=True)
class _Conversion:
    """What makes values of one type from values of another, decided once for all of them.

    `many` is for the elements of a list; None where that has nothing to gain over one after another.
    """

    one: Callable[[Literal], Literal]
    many: Callable[[List], List | None]

    def elements(self, of: List) -> List:
        """The list of what each element is converted to."""
        made = self.many(of)
        return lists.pack([self.one(each) for each in lists.elements(of)]) if made is None else made


def convert(literal: Literal, source: LiteralType, target: LiteralType) -> Literal:
    """A value of `source` as one of `target`, which `source` is assignable to; the same literal when they are equal.

    Raises ConversionError when the types are not assignable.
    """
    mismatch = literal_types.is_assignable(source, target)
    if mismatch:
        raise errors.ConversionError(
            f"expected {literal_types.brief(target)}, got {literal_types.brief(source)}: {mismatch}",
            hint=mismatch.hint,
        )
    conversion = _conversion(source, target)
    made = conversion.one(literal) if conversion else literal
    if not literal.content or made.content:
        return made
    said = Literal()
    said.CopyFrom(made)
    said.content = literal.content  # what its author says that it means, it means as any type
    return said


def _conversion(source: LiteralType, target: LiteralType) -> _Conversion | None:
    """None: they are the same."""
    if target.sensitive:
        source, target = literal_types.bare(source), literal_types.bare(target)
    if literal_types.equal(source, target):
        return None
    if source.HasField("union") and target.HasField("union"):
        return _between_unions(source, target)
    if source.HasField("union"):
        return _from_union(source, target)
    if target.HasField("union"):
        return _into_union(source, target)
    match source.WhichOneof("type"), target.WhichOneof("type"):
        case "list", "list":
            return _of_elements(source.list.element, target.list.element)
        case "list", "stream":
            return _of_elements(source.list.element, target.stream.element)
        case "dict", "dict":
            return _of_elements(source.dict.value, target.dict.value)
        case "record", "record":
            return _between_records(target.record)
        case "frame", "frame" if target.frame.filter:
            return _selection(target.frame)
        case _:
            return None


# Unions


def _between_unions(source: LiteralType, target: LiteralType) -> _Conversion:
    variants = literal_types.variants(source)
    places = [_place(variant, target) for variant in variants]
    conversions = [
        _conversion(variant, target.union.variants[place])
        for variant, place in zip(variants, places, strict=True)
    ]

    def one(literal: Literal) -> Literal:
        if not literal.HasField("union"):
            return literal
        variant = _known(literal.union.variant, places)
        conversion, value = conversions[variant], literal.union.value
        return _wrapped(places[variant], conversion.one(value) if conversion else value)

    def many(of: List) -> List | None:
        if not of.HasField("unions"):
            return None
        filled = _filled(of)
        taken = {places[_known(variant, places)] for variant, _ in filled}
        if len(taken) < len(filled):  # two become one: their elements are no longer apart
            return None
        made = [columns.empty()] * (max(taken) + 1)
        for variant, column in filled:
            conversion = conversions[variant]
            made[places[variant]] = conversion.elements(column) if conversion else column
        return lists.unions([places[variant] for variant in of.unions.variants], made)

    return _Conversion(one, many)


def _from_union(source: LiteralType, target: LiteralType) -> _Conversion:
    conversions = [_conversion(variant, target) for variant in literal_types.variants(source)]

    def one(literal: Literal) -> Literal:
        if not literal.HasField("union"):
            return literal
        conversion, value = conversions[_known(literal.union.variant, conversions)], literal.union.value
        return conversion.one(value) if conversion else value

    def many(of: List) -> List | None:
        filled = _filled(of)
        if len(filled) != 1:
            return None
        variant, column = filled[0]
        conversion = conversions[_known(variant, conversions)]
        return conversion.elements(column) if conversion else column

    return _Conversion(one, many)


def _into_union(source: LiteralType, target: LiteralType) -> _Conversion:
    place = _place(source, target)
    conversion = _conversion(source, target.union.variants[place])

    def one(literal: Literal) -> Literal:
        return _wrapped(place, conversion.one(literal) if conversion else literal)

    def many(of: List) -> List:
        values = conversion.elements(of) if conversion else of
        return lists.unions([place] * columns.length(of), [columns.empty()] * place + [values])

    return _Conversion(one, many)


def _place(source: LiteralType, target: LiteralType) -> int:
    place = literal_types.variant_for(source, target.union)
    assert place is not None, "assignable to a union, but to none of its variants"
    return place


def _known(variant: int, of: Sequence[object]) -> int:
    if variant >= len(of):
        raise errors.ConversionError(f"variant {variant} of a union that has {len(of)}")
    return variant


def _filled(of: List) -> list[tuple[int, List]]:
    """The variants that occur in a list, each with the column of its values."""
    return [(i, column) for i, column in enumerate(of.unions.columns) if columns.length(column)]


def _wrapped(variant: int, value: Literal) -> Literal:
    return Literal(union=Union(variant=variant, value=value))


# Containers


def _of_elements(source: LiteralType, target: LiteralType) -> _Conversion | None:
    conversion = None if source.WhichOneof("type") is None else _conversion(source, target)
    if conversion is None:
        return None

    def one(literal: Literal) -> Literal:
        if literal.HasField("list"):
            return scalars.from_list(conversion.elements(literal.list))
        if literal.HasField("dict"):
            return Literal(dict=Dict(keys=literal.dict.keys, values=conversion.elements(literal.dict.values)))
        return literal

    def many(of: List) -> List | None:
        match of.WhichOneof("column"):
            case "lists":
                return List(
                    lists=Lists(lengths=of.lists.lengths, elements=conversion.elements(of.lists.elements))
                )
            case "dicts":
                values = conversion.elements(of.dicts.values)
                return List(dicts=Dicts(lengths=of.dicts.lengths, keys=of.dicts.keys, values=values))
            case _:
                return None

    return _Conversion(one, many)


def _between_records(target: RecordType) -> _Conversion:
    wanted = [f.name for f in target.fields]

    def one(literal: Literal) -> Literal:
        if not literal.HasField("record"):
            return literal
        by_name = {f.name: f for f in literal.record.fields}
        return Literal(record=Record(fields=[by_name[name] for name in wanted if name in by_name]))

    def many(of: List) -> List | None:
        if not of.HasField("records"):
            return None
        by_name = {c.name: c.values for c in of.records.columns}
        kept = [(name, by_name[name]) for name in wanted if name in by_name]
        return columns.records(of.records.length, kept)

    return _Conversion(one, many)


def _selection(target: FrameType) -> _Conversion:
    def one(literal: Literal) -> Literal:
        if not literal.HasField("frame") or frames.is_selected(literal.frame, target):
            return literal
        return Literal(frame=frames.selected(literal.frame, target))

    return _Conversion(one, lambda _: None)


def is_exact(value: int) -> bool:
    """Whether an int is the same number as a float."""
    try:
        return int(float(value)) == value
    except OverflowError:
        return False
