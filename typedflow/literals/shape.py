"""Whether a value that somebody sent is of the type that it should be of, as it is: nothing is converted.

What an offloaded literal stands for can't be seen here, and a frame's columns are checked by whoever reads its bytes:
of it is only looked at whether what it says of itself agrees. Nothing of a sensitive value is ever said.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from typedflow import errors, literal_types
from typedflow.literals import columns, frames, kinds, scalars, soundness

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typedflow.literal_types import EnumValue
    from typedflow.pb.literals_pb2 import Array, Frame, List, Literal
    from typedflow.pb.types_pb2 import ArrayType, EnumType, LiteralType, RecordType


def misfit(literal: Literal, of: LiteralType, path: str) -> str:
    """What keeps a value from being of a type, with the path to it; empty when nothing does.

    Linear in the messages that the value and the type are made of: a packed column is looked at as a whole, and counts
    that a message only claims take no time and no space.
    """
    return Check().value(literal, of, path)


def expectation(literal: Literal, of: LiteralType, reason: str = "") -> str:
    """What was expected, what came, and why that is not it; without the value where any of the type is sensitive."""
    if literal_types.has_sensitive(of):
        return f"expected {literal_types.brief(of)}, got a sensitive value that is none"
    message = f"expected {literal_types.brief(of)}, got {scalars.describe(literal)}"
    return f"{message}: {reason}" if reason else message


class Check:
    """Looks at one value and at all that is in it; `frames`: the columns that a frame says it has too."""

    def __init__(self, *, frames: bool = False) -> None:
        self.known = kinds.Known()
        self._frames = frames

    def value(self, literal: Literal, of: LiteralType, path: str) -> str:
        wrong = self._value(literal, of, path)
        return f"{path}: {expectation(literal, of)}" if wrong and of.sensitive else wrong

    def _value(  # noqa: C901, PLR0912 - a case for each kind of type
        self, literal: Literal, of: LiteralType, path: str
    ) -> str:
        kind = literal.WhichOneof("value")
        if kind == "offloaded":
            return ""
        reason = ""
        match of.WhichOneof("type"):
            case "simple":
                fits = kind is not None and kind == kinds.VALUES.get(of.simple)
                reason = _no_such_value(literal) if fits else ""
            case "list" if kind == "list":
                return self.whole_list(literal.list, of.list.element, path)
            case "stream" if kind == "list":
                return self.whole_list(literal.list, of.stream.element, path)
            case "dict" if kind == "dict":
                wrong = soundness.contradiction(literal.dict)
                if wrong:
                    return f"{path}: a dict that contradicts itself: {wrong}"
                return self.elements(literal.dict.values, of.dict.value, path, literal.dict.keys)
            case "union" if kind == "union":
                variant, variants = literal.union.variant, of.union.variants
                if variant >= len(variants):
                    return f"{path}: variant {variant} of a union that has {len(variants)}"
                return self.value(literal.union.value, variants[variant], path)
            case "record" if kind == "record":
                return self._record(literal, of, path)
            case "custom":
                return self.value(literal, of.custom.representation, path)
            case "enum":
                value = kinds.member_of(literal)
                fits = value is not None
                reason = self._no_members((value,), of.enum) if value is not None else ""
            case "file":
                fits = kind == "file" and of.file.format in ("", literal.file.format)
            case "directory":
                fits = kind == "directory" and of.directory.format in ("", literal.directory.format)
            case "array":
                fits = kind == "array" and _is_array(literal.array, of.array)
            case "frame":
                fits = kind == "frame"
                reason = self._not_frame(literal.frame, of) if fits else ""
            case "stream":
                fits = kind == "stream"
            case _:
                fits = False
        return "" if fits and not reason else f"{path}: {expectation(literal, of, reason)}"

    def whole_list(self, found: List, element: LiteralType, path: str) -> str:
        wrong = soundness.malformed(found)
        if wrong:
            return f"{path}: a list that contradicts itself: {wrong}"
        return self.elements(found, element, path)

    def elements(self, found: List, element: LiteralType, path: str, keys: Sequence[str] = ()) -> str:
        """The same for the elements of a list of which `soundness.malformed` says nothing; a dict's have keys."""
        if not columns.length(found):
            return ""
        wrong = self._elements(found, element, path, keys)
        if wrong and element.sensitive:
            return f"{path}[]: expected {literal_types.brief(element)}, got a sensitive value that is none"
        return wrong

    def _elements(self, found: List, element: LiteralType, path: str, keys: Sequence[str]) -> str:
        inside, reason = f"{path}[]", ""
        match found.WhichOneof("column"), element.WhichOneof("type"):
            case "literals", _:
                places = map(scalars.quote, keys) if keys else itertools.count()
                return _first(
                    self.value(value, element, f"{path}[{place}]")
                    for place, value in zip(places, found.literals.values, strict=False)
                )
            case _, "custom":
                return self.elements(found, element.custom.representation, path)
            case "lists", "list":
                return self.elements(found.lists.elements, element.list.element, inside)
            case "lists", "stream":
                return self.elements(found.lists.elements, element.stream.element, inside)
            case "dicts", "dict":
                return self.elements(found.dicts.values, element.dict.value, inside)
            case "unions", "union":
                return self._variants(found.unions.columns, element, path)
            case "records", "record":
                given = found.records.columns
                wrong = self._wrong_fields([each.name for each in given], element.record)
                if wrong:
                    return f"{inside}: expected {literal_types.brief(element)}: {wrong}"
                fields, _ = self.known.fields(element.record)
                return _first(
                    self.elements(
                        each.values, fields[each.name][1].type, f"{inside}{_step(each.name, element)}"
                    )
                    for each in given
                )
            case column, "simple" if column == kinds.COLUMNS.get(element.simple):
                reason = _no_such_values(found)
            case column, "enum" if (values := kinds.members_of(found)) is not None:
                reason = self._no_members(values, element.enum)
            case column, _:
                return f"{inside}: expected {literal_types.brief(element)}, got {column}"
        return f"{inside}: expected {literal_types.brief(element)}: {reason}" if reason else ""

    def _variants(self, found: Sequence[List], element: LiteralType, path: str) -> str:
        variants = element.union.variants
        for variant, column in enumerate(found):
            if not columns.length(column):
                continue
            if variant >= len(variants):
                return f"{path}[]: variant {variant} of a union that has {len(variants)}"
            wrong = self.elements(column, variants[variant], path)
            if wrong:
                return wrong
        return ""

    def _record(self, literal: Literal, of: LiteralType, path: str) -> str:
        fields = literal.record.fields
        wrong = self._wrong_fields([field.name for field in fields], of.record)
        if wrong:
            return f"{path}: {expectation(literal, of, wrong)}"
        places, _ = self.known.fields(of.record)
        return _first(
            self.value(f.value, places[f.name][1].type, f"{path}{_step(f.name, of)}") for f in fields
        )

    def _wrong_fields(self, names: Sequence[str], of: RecordType) -> str:
        places, required = self.known.fields(of)
        last = -1
        for name in names:
            place, field = places.get(name, (-1, None))
            if field is None or place <= last:
                return self._missing(names, of) or (
                    f"its fields are {scalars.names(f.name for f in of.fields)}, in this order"
                )
            last = place
            required -= not field.optional and not field.has_default
        return self._missing(names, of) if required else ""

    def _missing(self, names: Iterable[str], of: RecordType) -> str:
        given = frozenset(names)
        missing = (f.name for f in of.fields if f.name not in given and not f.optional and not f.has_default)
        return next((f"field `{name}` is missing" for name in missing), "")

    def _not_frame(self, found: Frame, of: LiteralType) -> str:
        """What keeps a frame from being of a type, by the columns that it says it has."""
        if wrong := frames.contradiction(found):
            return f"it contradicts itself: {wrong}"
        if not self._frames:
            return ""
        actual = literal_types.frame(found.type.columns, strict=True)
        mismatch = literal_types.is_assignable(actual, literal_types.plain(of))
        if mismatch:
            return mismatch.reason
        return "" if frames.is_selected(found, of.frame) else "it has other columns too"

    def _no_members(self, values: Iterable[EnumValue], of: EnumType) -> str:
        known = self.known.members(of)
        wrong = next((v for v in set(values) if literal_types.value_key(v) not in known), None)
        return (
            "" if wrong is None else f"{scalars.describe(scalars.from_member(wrong))} is none of its values"
        )


def _step(name: str, of: LiteralType) -> str:
    return f"[{name}]" if of.record.positional else f".{name}"


def _first(found: Iterable[str]) -> str:
    return next((wrong for wrong in found if wrong), "")


# What a message may say and Python has no value for


def _no_such_value(literal: Literal) -> str:
    match literal.WhichOneof("value"):
        case "decimal":
            return _not_decimal([literal.decimal])
        case "date":
            return _not_date([literal.date])
        case "datetime":
            return scalars.not_in_calendar(
                literal.datetime.epoch_microseconds, literal.datetime.offset_seconds
            )
        case _:
            return ""


def _no_such_values(of: List) -> str:
    """The same for the elements of a packed list that has some."""
    match of.WhichOneof("column"):
        case "decimals":
            return _not_decimal(of.decimals.values)
        case "dates":
            return _not_date([min(of.dates.days), max(of.dates.days)])
        case "datetimes":
            instants, offsets = of.datetimes.epoch_microseconds, of.datetimes.offset_seconds
            if len(offsets) == 1:
                return _first(
                    scalars.not_in_calendar(one, offsets[0]) for one in (min(instants), max(instants))
                )
            return _first(map(scalars.not_in_calendar, instants, offsets))
        case _:
            return ""


def _not_date(values: Iterable[int]) -> str:
    try:
        for value in values:
            scalars.to_date(value)
    except errors.ConversionError as error:
        return error.message
    return ""


def _not_decimal(values: Iterable[str]) -> str:
    try:
        for value in values:
            scalars.to_decimal(value)
    except errors.ConversionError as error:
        return error.message
    return ""


def _is_array(found: Array, of: ArrayType) -> bool:
    axes = of.dimensions if of.HasField("dimensions") else len(found.shape)
    return of.dtype in ("", found.dtype) and axes == len(found.shape)
