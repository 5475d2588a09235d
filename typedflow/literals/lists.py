"""Lists in columns: a homogeneous list is one packed column of its element type, not a message for each element.

`pack` and `elements` are each other's inverse. There is one way to pack a sequence of elements, and all that
makes a list packs it so: an empty list is `nones: 0`, a list of records is `records` exactly when all have the same
field names in the same order, and only what fits no column is `literals`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.literals import scalars
from typedflow.pb.literals_pb2 import (
    Booleans,
    FieldValue,
    Floats,
    Integers,
    List,
    Lists,
    Literal,
    Literals,
    Record,
    RecordColumn,
    Records,
    Strings,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# A count is a few bytes of a message however large it is; a list of more than this is an attack, not a value.
_MOST_COUNTED = 2**24


# Straight from Python values, without a literal for each


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


def records(count: int, columns: Iterable[tuple[str, List]]) -> List:
    """A list of `count` records from the values of each field, which are as many."""
    if not count:
        return empty()
    made = [RecordColumn(name=name, values=values) for name, values in columns]
    return List(records=Records(length=count, columns=made))


# From and to literals


def pack(elements: Sequence[Literal]) -> List:
    """The list of these elements, in the column of their kind when they have one."""
    if not elements:
        return empty()
    kind = elements[0].WhichOneof("value")
    if any(e.WhichOneof("value") != kind for e in elements):
        return List(literals=Literals(values=elements))
    match kind:
        case "none":
            return nones(len(elements))
        case "boolean":
            return booleans([e.boolean for e in elements])
        case "integer":
            return integers([e.integer for e in elements])
        case "float":
            return floats([e.float for e in elements])
        case "string":
            return strings([e.string for e in elements])
        case "record":
            return _pack_records([e.record for e in elements])
        case "list":
            return join([e.list for e in elements])
        case _:
            return List(literals=Literals(values=elements))


def join(pieces: Sequence[List]) -> List:
    """The list of these lists."""
    if not pieces:
        return empty()
    lengths = [length(piece) for piece in pieces]
    return List(lists=Lists(lengths=lengths, elements=concatenate(pieces)))


def concatenate(pieces: Iterable[List]) -> List:
    """One list of all the lists' elements, one list after another."""
    filled = [piece for piece in pieces if length(piece)]
    if not filled:
        return empty()
    kind = filled[0].WhichOneof("column")
    if all(piece.WhichOneof("column") == kind for piece in filled):
        match kind:
            case "nones":
                return nones(sum(piece.nones for piece in filled))
            case "booleans":
                return booleans([v for piece in filled for v in piece.booleans.values])
            case "integers":
                return integers([v for piece in filled for v in piece.integers.values])
            case "floats":
                return floats([v for piece in filled for v in piece.floats.values])
            case "strings":
                return strings([v for piece in filled for v in piece.strings.values])
            case "lists":
                lengths = [v for piece in filled for v in piece.lists.lengths]
                inner = concatenate(piece.lists.elements for piece in filled)
                return List(lists=Lists(lengths=lengths, elements=inner))
            case _:
                pass
    return pack([e for piece in filled for e in elements(piece)])


def malformed(of: List) -> str:
    """How the columns of a list that somebody sent contradict each other; empty when they do not.

    Of a list for which nothing is said, the other functions here are sure to take time and space as its message does.
    What is in a `literals` column is not looked at.
    """
    match of.WhichOneof("column"):
        case "nones" if of.nones > _MOST_COUNTED:
            return f"{of.nones} times None"
        case "records":
            count = of.records.length
            if count > _MOST_COUNTED and not of.records.columns:
                return f"{count} records without fields"
            if len({c.name for c in of.records.columns}) < len(of.records.columns):
                return "a field has two columns"
            for column in of.records.columns:
                wrong = malformed(column.values)
                if wrong:
                    return wrong
                if length(column.values) != count:
                    return f"{length(column.values)} values of field `{column.name}` for {count} records"
        case "lists":
            wrong = malformed(of.lists.elements)
            if wrong:
                return wrong
            expected, actual = sum(of.lists.lengths), length(of.lists.elements)
            if expected != actual:
                return f"{actual} elements for lists that have {expected} together"
        case _:
            pass
    return ""


def length(of: List) -> int:
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
        case "records":
            return of.records.length
        case "lists":
            return len(of.lists.lengths)
        case "literals":
            return len(of.literals.values)
        case None:
            return 0


def elements(of: List) -> Iterator[Literal]:
    """The elements in order, each as a literal of its own (messages of a `literals` column are not copied)."""
    match of.WhichOneof("column"):
        case "nones":
            yield from (scalars.from_none() for _ in range(of.nones))
        case "booleans":
            yield from (Literal(boolean=v) for v in of.booleans.values)
        case "integers":
            yield from (Literal(integer=v) for v in of.integers.values)
        case "floats":
            yield from (Literal(float=v) for v in of.floats.values)
        case "strings":
            yield from (Literal(string=v) for v in of.strings.values)
        case "records":
            yield from _records(of.records)
        case "lists":
            yield from (Literal(list=piece) for piece in split(of.lists.elements, of.lists.lengths))
        case "literals":
            yield from of.literals.values
        case None:
            return


def element(of: List, i: int) -> Literal:
    """The element at `i`, negative ones counted from the end. Raises IndexError when there is none."""
    count = length(of)
    at = i + count if i < 0 else i
    if not 0 <= at < count:
        raise IndexError(f"index {i} is outside a list of {count}")
    match of.WhichOneof("column"):
        case "lists":
            before = sum(itertools.islice(of.lists.lengths, at))
            last = length(of.lists.elements) - before - of.lists.lengths[at]
            _, piece, _ = split(of.lists.elements, (before, of.lists.lengths[at], last))
            return Literal(list=piece)
        case "records":
            fields = [FieldValue(name=c.name, value=element(c.values, at)) for c in of.records.columns]
            return Literal(record=Record(fields=fields))
        case "literals":
            return of.literals.values[at]
        case "booleans":
            return Literal(boolean=of.booleans.values[at])
        case "integers":
            return Literal(integer=of.integers.values[at])
        case "floats":
            return Literal(float=of.floats.values[at])
        case "strings":
            return Literal(string=of.strings.values[at])
        case _:
            return scalars.from_none()


def split(of: List, lengths: Iterable[int]) -> Iterator[List]:
    """The list in consecutive pieces of these lengths, which add up to its own. Linear in the elements."""
    ends = itertools.accumulate(lengths)
    spans = itertools.pairwise(itertools.chain((0,), ends))
    match of.WhichOneof("column"):
        case "nones":
            yield from (nones(end - start) for start, end in spans)
        case "booleans":
            yield from (booleans(of.booleans.values[start:end]) for start, end in spans)
        case "integers":
            yield from (integers(of.integers.values[start:end]) for start, end in spans)
        case "floats":
            yield from (floats(of.floats.values[start:end]) for start, end in spans)
        case "strings":
            yield from (strings(of.strings.values[start:end]) for start, end in spans)
        case "records":
            yield from _split_records(of.records, [end - start for start, end in spans])
        case "lists":
            taken = [list(of.lists.lengths[start:end]) for start, end in spans]
            pieces = split(of.lists.elements, map(sum, taken))
            for own, piece in zip(taken, pieces, strict=True):
                yield List(lists=Lists(lengths=own, elements=piece)) if own else empty()
        case "literals":
            yield from (pack(of.literals.values[start:end]) for start, end in spans)
        case None:
            yield from (empty() for _ in spans)


def _pack_records(found: Sequence[Record]) -> List:
    fields = [f.name for f in found[0].fields]
    if any(len(r.fields) != len(fields) or [f.name for f in r.fields] != fields for r in found):
        return List(literals=Literals(values=[Literal(record=r) for r in found]))
    columns = ((name, pack([r.fields[i].value for r in found])) for i, name in enumerate(fields))
    return records(len(found), columns)


def _records(of: Records) -> Iterator[Literal]:
    fields = [c.name for c in of.columns]
    columns = [elements(c.values) for c in of.columns]
    if not columns:
        yield from (Literal(record=Record()) for _ in range(of.length))
        return
    for row in zip(*columns, strict=True):
        made = [FieldValue(name=name, value=value) for name, value in zip(fields, row, strict=True)]
        yield Literal(record=Record(fields=made))


def _split_records(of: Records, lengths: Sequence[int]) -> Iterator[List]:
    fields = [c.name for c in of.columns]
    if not fields:
        yield from (records(count, ()) for count in lengths)
        return
    pieces = zip(*(split(c.values, lengths) for c in of.columns), strict=True)
    for count, row in zip(lengths, pieces, strict=True):
        yield records(count, zip(fields, row, strict=True))
