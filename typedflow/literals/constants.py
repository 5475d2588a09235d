"""Constants as values of a type: what an author or a caller wrote, where nothing is known but the value itself.

Nothing is trusted, and what loses something is refused: an int becomes a float only where it is the same number.
A union's value takes the variant that it names, else the first that it is of as it is, else the first that takes it.
A value is gone into once for each part of the type that may be meant by it, so that it costs at most the product of
both. Nothing of a sensitive value is said. What an offloaded literal stands for can't be seen here, so it is passed on
as it is.
"""

from __future__ import annotations

import itertools
import operator
from bisect import bisect_right
from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors, literal_types, spelling
from typedflow.literals import columns, conversion, frames, kinds, lists, scalars, shape, soundness
from typedflow.pb.literals_pb2 import Dict, Dicts, FieldValue, List, Lists, Literal, Record, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typedflow.pb.literals_pb2 import Records
    from typedflow.pb.types_pb2 import LiteralType, UnionType

    Place: TypeAlias = Callable[[int], str]
    # What it is as a value of the type, and whether nothing in it had to become something else for that.
    Fitted: TypeAlias = tuple[Literal, bool] | errors.ConversionError
    FittedList: TypeAlias = tuple[List, bool] | errors.ConversionError

_EXACT_INTS = 2**53
_MOST_LISTED = 10
_ILLEGAL = "IllegalEnumValue"


def constant(literal: Literal, target: LiteralType, path: str) -> Literal:
    """A constant as a value of `target`: T to T | None, an int that is exact to a float, and the like.

    The same message when nothing changes. Raises ConversionError with the path to the first part that does not fit; its
    code is IllegalEnumValue where that is none of an enum's values.
    """
    fitting = _Fitting()
    if not fitting.check.value(literal, target, path):
        return literal
    made = fitting.value(literal, target, path)
    if isinstance(made, errors.ConversionError):
        raise made
    if made[0] == literal or not literal.content or made[0].content:
        return literal if made[0] == literal else made[0]
    said = Literal()
    said.CopyFrom(made[0])
    said.content = literal.content
    return said


class _Fitting:
    """Everything gives an error rather than raise it: for a union, that is only one variant less."""

    def __init__(self) -> None:
        self.check = shape.Check(frames=True)

    def value(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        made = self._value(literal, target, path)
        if isinstance(made, errors.ConversionError) and target.sensitive:
            return errors.ConversionError(shape.expectation(literal, target), where=path, code=made.code)
        return made

    def _value(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        kind = target.WhichOneof("type")
        if kind == "union":
            return self._union(literal, target, path)
        if literal.HasField("union"):
            return self.value(literal.union.value, target, path)
        if literal.HasField("offloaded"):
            return literal, True
        match kind, literal.WhichOneof("value"):
            case "simple", _:
                return self._simple(literal, target, path)
            case "enum", _:
                return self._member(literal, target, path)
            case "custom", _:
                return self.value(literal, target.custom.representation, path)
            case "list", "list":
                return self._list(literal, target.list.element, path)
            case "stream", "list":
                return self._list(literal, target.stream.element, path)
            case "dict", "dict":
                return self._dict(literal, target.dict.value, path)
            case "record", "record":
                return self._record(literal, target, path)
            case "frame", "frame" if not frames.is_selected(literal.frame, target.frame):
                return self._selection(literal, target, path)
            case _:
                return self._as_it_is(literal, target, path)

    def _simple(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        kind = literal.WhichOneof("value")
        if kind == "integer" and target.simple == literal_types.FLOAT.simple:
            if conversion.is_exact(literal.integer):
                return scalars.from_float(float(literal.integer)), False
            return _refused(literal, target, path, "it is not exact as a float")
        return self._as_it_is(literal, target, path)

    def _as_it_is(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        """What has no parts and can't become anything else."""
        wrong = self.check.value(literal, target, "")
        return errors.ConversionError(wrong.removeprefix(": "), where=path) if wrong else (literal, True)

    def _member(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        value = kinds.member_of(literal)
        if value is None:
            return _refused(literal, target, path)
        known = self.check.known.members(target.enum)
        if literal_types.value_key(value) in known:
            return literal, True
        if literal.HasField("integer") and conversion.is_exact(literal.integer):
            exact = scalars.from_float(float(literal.integer))
            if literal_types.value_key(exact.float) in known:
                return exact, False
        return _illegal(literal, target, path)

    # Containers

    def _list(self, literal: Literal, element: LiteralType, path: str) -> Fitted:
        wrong = soundness.malformed(literal.list)
        if wrong:
            return errors.ConversionError(f"a list that contradicts itself: {wrong}", where=path)
        made = self._elements(literal.list, element, path, lambda i: f"{path}[{i}]")
        return made if isinstance(made, errors.ConversionError) else (scalars.from_list(made[0]), made[1])

    def _dict(self, literal: Literal, value: LiteralType, path: str) -> Fitted:
        wrong = soundness.contradiction(literal.dict)
        if wrong:
            return errors.ConversionError(f"a dict that contradicts itself: {wrong}", where=path)
        keys = literal.dict.keys
        made = self._elements(literal.dict.values, value, path, lambda i: f"{path}[{scalars.quote(keys[i])}]")
        if isinstance(made, errors.ConversionError):
            return made
        return Literal(dict=Dict(keys=keys, values=made[0])), made[1]

    def _record(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        given = {f.name: f.value for f in literal.record.fields}
        wrong = _wrong_names(given, target)
        if wrong:
            return _refused(literal, target, path, wrong)
        made: list[FieldValue] = []
        all_exact = True
        for field in target.record.fields:
            if field.name in given:
                fitted = self.value(given[field.name], field.type, f"{path}{_step(field.name, target)}")
                if isinstance(fitted, errors.ConversionError):
                    return fitted
                made.append(FieldValue(name=field.name, value=fitted[0]))
                all_exact = all_exact and fitted[1]
        return Literal(record=Record(fields=made)), all_exact

    def _selection(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        if wrong := frames.contradiction(literal.frame):
            return _refused(literal, target, path, f"it contradicts itself: {wrong}")
        made = self._as_it_is(Literal(frame=frames.selected(literal.frame, target.frame)), target, path)
        return made if isinstance(made, errors.ConversionError) else (made[0], False)

    def _elements(self, found: List, element: LiteralType, path: str, place: Place) -> FittedList:
        """The elements of a list, in `path`, that does not contradict itself; `place` has the path to each."""
        if not columns.length(found) or not self.check.elements(found, element, ""):
            return found, True
        made = self._column(found, element, path, place) or self._one_by_one(found, element, place)
        if isinstance(made, errors.ConversionError) and element.sensitive:
            message = f"expected {literal_types.brief(element)}, got a sensitive value that is none"
            return errors.ConversionError(message, where=f"{path}[]", code=made.code)
        return made

    def _column(self, found: List, element: LiteralType, path: str, place: Place) -> FittedList | None:
        """All elements at once; None where they are to be looked at one by one."""
        match found.WhichOneof("column"), element.WhichOneof("type"):
            case _, "custom":
                return self._elements(found, element.custom.representation, path, place)
            case "integers", "simple" if element.simple == literal_types.FLOAT.simple:
                values = found.integers.values
                if min(values) >= -_EXACT_INTS and max(values) <= _EXACT_INTS:
                    return columns.floats(map(float, values)), False
            case "records", "record":
                return self._records(found.records, element, path, place)
            case "lists", "list":
                return self._lists(found, element.list.element, path, place)
            case "lists", "stream":
                return self._lists(found, element.stream.element, path, place)
            case "dicts", "dict":
                return self._dicts(found, element.dict.value, path, place)
            case column, "union" if column in kinds.COLUMNS.values():
                return self._into_union(found, element.union)
            case _:
                pass
        return None

    def _one_by_one(self, found: List, element: LiteralType, place: Place) -> FittedList:
        made: list[Literal] = []
        all_exact = True
        for i, item in enumerate(lists.elements(found)):
            fitted = self.value(item, element, place(i))
            if isinstance(fitted, errors.ConversionError):
                return fitted
            made.append(fitted[0])
            all_exact = all_exact and fitted[1]
        return lists.pack(made), all_exact

    def _records(self, found: Records, target: LiteralType, path: str, place: Place) -> FittedList:
        given = {c.name: c.values for c in found.columns}
        wrong = _wrong_names(given, target)
        if wrong:
            message = f"expected {literal_types.brief(target)}, got a record: {wrong}"
            return errors.ConversionError(message, where=place(0))
        made: list[tuple[str, List]] = []
        all_exact = True
        for field in target.record.fields:
            if field.name in given:
                step = _step(field.name, target)
                fitted = self._elements(
                    given[field.name], field.type, f"{path}[]{step}", _stepped(place, step)
                )
                if isinstance(fitted, errors.ConversionError):
                    return fitted
                made.append((field.name, fitted[0]))
                all_exact = all_exact and fitted[1]
        return columns.records(found.length, made), all_exact

    def _lists(self, found: List, element: LiteralType, path: str, place: Place) -> FittedList:
        starts = list(itertools.accumulate(found.lists.lengths, initial=0))

        def inner(i: int) -> str:
            outer = bisect_right(starts, i) - 1
            return f"{place(outer)}[{i - starts[outer]}]"

        fitted = self._elements(found.lists.elements, element, f"{path}[]", inner)
        if isinstance(fitted, errors.ConversionError):
            return fitted
        return List(lists=Lists(lengths=found.lists.lengths, elements=fitted[0])), fitted[1]

    def _dicts(self, found: List, value: LiteralType, path: str, place: Place) -> FittedList:
        starts = list(itertools.accumulate(found.dicts.lengths, initial=0))
        keys = found.dicts.keys

        def inner(i: int) -> str:
            return f"{place(bisect_right(starts, i) - 1)}[{scalars.quote(keys[i])}]"

        fitted = self._elements(found.dicts.values, value, f"{path}[]", inner)
        if isinstance(fitted, errors.ConversionError):
            return fitted
        made = Dicts(lengths=found.dicts.lengths, keys=keys, values=fitted[0])
        return List(dicts=made), fitted[1]

    # Unions

    def _union(self, literal: Literal, target: LiteralType, path: str) -> Fitted:
        value = literal.union.value if literal.HasField("union") else literal
        named = literal.union.variant if literal.HasField("union") else -1
        # The variant that it names comes first; each is tried once, however often a union is in another.
        order = sorted(range(len(target.union.variants)), key=lambda i: i != named)
        lossless: list[tuple[int, Literal]] = []
        tried: list[errors.ConversionError] = []
        for i in order:
            fitted = self.value(value, target.union.variants[i], path)
            if isinstance(fitted, errors.ConversionError):
                tried.append(fitted)
            elif fitted[1]:
                return _wrapped(i, fitted[0]), True
            else:
                lossless.append((i, fitted[0]))
        if lossless:
            return _wrapped(*min(lossless, key=operator.itemgetter(0))), False
        meant = None if literal_types.has_sensitive(target) else _meant(tried, path)
        return meant or _refused(literal, target, path)

    def _into_union(self, found: List, target: UnionType) -> FittedList | None:
        """A column of single values, of which all take the same variant; None where that is not sure at once."""
        column = found.WhichOneof("column")
        for i, variant in enumerate(target.variants):
            match variant.WhichOneof("type"):
                case "simple" if column == kinds.COLUMNS.get(variant.simple):
                    if self.check.elements(found, variant, ""):
                        return None
                    made = lists.unions([i] * columns.length(found), [columns.empty()] * i + [found])
                    return made, True
                case "enum" | "custom":
                    return None
                case _:
                    pass
        return None


def _wrapped(variant: int, value: Literal) -> Literal:
    return Literal(union=Union(variant=variant, value=value))


def _step(name: str, of: LiteralType) -> str:
    return f"[{name}]" if of.record.positional else f".{name}"


def _stepped(place: Place, step: str) -> Place:
    return lambda i: f"{place(i)}{step}"


def _wrong_names(given: Mapping[str, object], target: LiteralType) -> str:
    fields = target.record.fields
    if target.record.positional and len(given) != len(fields):
        return f"it has {len(given)} elements, not {len(fields)}"
    missing = (f.name for f in fields if f.name not in given and not f.has_default and not f.optional)
    return next((f"field `{name}` is missing" for name in missing), "")


# What is said


def _refused(literal: Literal, target: LiteralType, path: str, reason: str = "") -> errors.ConversionError:
    return errors.ConversionError(shape.expectation(literal, target, reason), where=path)


def _meant(tried: Sequence[errors.ConversionError], path: str) -> errors.ConversionError | None:
    """Of the reasons why each variant does not fit, the one that says most; None where none says enough."""
    deeper = [error for error in tried if error.where != path]
    illegal = [error for error in tried if error.code == _ILLEGAL]
    # The variant that was gone into is the one that was meant; a mismatch at its very beginning says less.
    return next(reversed(deeper or illegal), None)


def _illegal(literal: Literal, target: LiteralType, path: str) -> errors.ConversionError:
    values = [literal_types.member_value(m) for m in target.enum.members]
    shown = ", ".join(f"{v!r:.60}" for v in values[:_MOST_LISTED])
    if len(values) > _MOST_LISTED:
        shown += f" and {len(values) - _MOST_LISTED} more"
    message = shape.expectation(literal, target, f"its values are {shown}")
    return errors.ConversionError(message, where=path, hint=_nearest(literal, target), code=_ILLEGAL)


def _nearest(literal: Literal, target: LiteralType) -> str:
    if not literal.HasField("string"):
        return ""
    by_name = {m.name: literal_types.member_value(m) for m in target.enum.members if m.name}
    if literal.string in by_name:
        name = target.enum.name or "it"
        return f"`{name}.{literal.string}` travels as its value: give {by_name[literal.string]!r:.60}"
    near = spelling.nearest(literal.string, [m.string for m in target.enum.members if m.HasField("string")])
    return f"did you mean {near!r:.60}?" if near else ""
