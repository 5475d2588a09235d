"""Columns straight from Python values, without a literal for each: how a homogeneous list travels.

There is one way to pack a sequence, and all that makes a list packs it so: an empty list is `nones: 0`, and what is the
same for all datetimes is there once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from typedflow import errors
from typedflow.literals import scalars
from typedflow.pb.literals_pb2 import (
    Blocks,
    Booleans,
    Dates,
    Datetimes,
    Decimals,
    Dicts,
    Durations,
    Floats,
    Integers,
    List,
    RecordColumn,
    Records,
    Strings,
)

if TYPE_CHECKING:
    import datetime as dt
    import decimal
    from collections.abc import Iterable, Sequence

T = TypeVar("T", int, str)


def empty() -> List:
    """The empty list, of any element type."""
    return List(nones=0)


def nones(count: int) -> List:
    """A list of so many None."""
    return List(nones=count)


def booleans(values: Iterable[bool]) -> List:
    """A list of bools."""
    column = Booleans(values=values)
    return List(booleans=column) if column.values else empty()


def integers(values: Iterable[int]) -> List:
    """A list of ints. Raises ConversionError when one is outside 64 bits."""
    try:
        column = Integers(values=values)
    except ValueError:
        raise errors.ConversionError("one of the ints is outside 64 bits") from None
    return List(integers=column) if column.values else empty()


def floats(values: Iterable[float]) -> List:
    """A list of floats, each bit for bit."""
    column = Floats(values=values)
    return List(floats=column) if column.values else empty()


def strings(values: Iterable[str]) -> List:
    """A list of str. Raises ConversionError when one has half a surrogate pair."""
    try:
        column = Strings(values=values)
    except UnicodeEncodeError as error:
        raise errors.ConversionError(
            f"{error.object!r:.60} has half a surrogate pair, which no encoding can hold"
        ) from None
    return List(strings=column) if column.values else empty()


def blocks(values: Iterable[bytes]) -> List:
    """A list of bytes."""
    column = Blocks(values=values)
    return List(bytes=column) if column.values else empty()


def dates(values: Iterable[dt.date]) -> List:
    """A list of days of the calendar."""
    column = Dates(days=map(scalars.days, values))
    return List(dates=column) if column.days else empty()


def durations(values: Iterable[dt.timedelta]) -> List:
    """A list of spans of time. Raises ConversionError when one has more microseconds than 64 bits hold."""
    column = Durations(microseconds=map(scalars.microseconds, values))
    return List(durations=column) if column.microseconds else empty()


def decimals(values: Iterable[decimal.Decimal]) -> List:
    """A list of decimal numbers."""
    column = Decimals(values=map(scalars.digits, values))
    return List(decimals=column) if column.values else empty()


def datetimes(values: Iterable[dt.datetime]) -> List:
    """A list of instants with their zones. Raises ConversionError for a naive one."""
    moments = [scalars.moment(v) for v in values]
    return instants(*zip(*moments, strict=True)) if moments else empty()


def instants(epoch_microseconds: Sequence[int], offset_seconds: Sequence[int], zones: Sequence[str]) -> List:
    """A list of instants from their three parts, of which each is as long as the others."""
    if not epoch_microseconds:
        return empty()
    column = Datetimes(
        epoch_microseconds=epoch_microseconds,
        offset_seconds=_once(offset_seconds),
        zones=_once(zones),
    )
    return List(datetimes=column)


def _once(values: Sequence[T]) -> Sequence[T]:
    return values[:1] if values.count(values[0]) == len(values) else values


def dicts(lengths: Sequence[int], keys: Sequence[str], values: List) -> List:
    """A list of dicts from how many entries each has, and the keys and values of them all, one dict after another.

    Raises ConversionError when a key has half a surrogate pair.
    """
    if not lengths:
        return empty()
    try:
        return List(dicts=Dicts(lengths=lengths, keys=keys, values=values))
    except UnicodeEncodeError as error:
        raise errors.ConversionError(
            f"{error.object!r:.60} has half a surrogate pair, which no encoding can hold"
        ) from None


def records(count: int, columns: Iterable[tuple[str, List]]) -> List:
    """A list of `count` records from the values of each field, which are as many."""
    if not count:
        return empty()
    made = [RecordColumn(name=name, values=values) for name, values in columns]
    return List(records=Records(length=count, columns=made))


def length(of: List) -> int:  # noqa: C901, PLR0911, PLR0912 - a case for each column
    """How many elements it has."""
    match of.WhichOneof("column"):
        case "nones":
            return of.nones
        case "booleans":
            return len(of.booleans.values)
        case "integers":
            return len(of.integers.values)
        case "floats":
            return len(of.floats.values)
        case "strings":
            return len(of.strings.values)
        case "bytes":
            return len(of.bytes.values)
        case "datetimes":
            return len(of.datetimes.epoch_microseconds)
        case "dates":
            return len(of.dates.days)
        case "durations":
            return len(of.durations.microseconds)
        case "decimals":
            return len(of.decimals.values)
        case "unions":
            return len(of.unions.variants)
        case "dicts":
            return len(of.dicts.lengths)
        case "records":
            return of.records.length
        case "lists":
            return len(of.lists.lengths)
        case "literals":
            return len(of.literals.values)
        case None:
            return 0
