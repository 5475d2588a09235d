"""Lists in columns: a homogeneous list is one packed column of its element type, not a message for each element.

`pack` and `elements` are each other's inverse. There is one way to pack a sequence of elements, and all that
makes a list packs it so: an empty list is `nones: 0`, a list of records is `records` exactly when all have the same
field names in the same order, a list of values of a union is `unions` (unless one is of a variant beyond the most that
have columns), and only what fits no column is `literals`.

What is asked of a list that somebody sent is asked after `soundness.malformed` said nothing about it.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.literals import columns, scalars
from typedflow.pb.literals_pb2 import (
    Blocks,
    Dates,
    Datetime,
    Decimals,
    Dict,
    Dicts,
    Durations,
    FieldValue,
    List,
    Lists,
    Literal,
    Literals,
    Record,
    Records,
    Union,
    Unions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from typedflow.pb.literals_pb2 import Datetimes

# From literals


def pack(elements: Sequence[Literal]) -> List:
    """The list of these elements, in the column of their kind when they have one."""
    if not elements:
        return columns.empty()
    kind = elements[0].WhichOneof("value")
    packed = _PACKED.get(kind or "")
    if packed is None or any(e.WhichOneof("value") != kind for e in elements):
        return List(literals=Literals(values=elements))
    return packed(elements)


def _pack_datetimes(found: Sequence[Literal]) -> List:
    moments = [e.datetime for e in found]
    return columns.instants(
        [at.epoch_microseconds for at in moments],
        [at.offset_seconds for at in moments],
        [at.zone for at in moments],
    )


def _pack_unions(found: Sequence[Literal]) -> List:
    variants: list[int] = []
    values: list[list[Literal]] = [[] for _ in range(literal_types.MOST_VARIANTS)]
    for e in found:
        each = e.union
        variant = each.variant
        if variant >= literal_types.MOST_VARIANTS:
            return List(literals=Literals(values=found))
        variants.append(variant)
        values[variant].append(each.value)
    return List(unions=Unions(variants=variants, columns=map(pack, values[: max(variants) + 1])))


def _pack_dicts(found: Sequence[Literal]) -> List:
    entries = [e.dict for e in found]
    return columns.dicts(
        [len(each.keys) for each in entries],
        [key for each in entries for key in each.keys],
        concatenate(each.values for each in entries),
    )


def _pack_records(found: Sequence[Literal]) -> List:
    rows = [e.record for e in found]
    names = [f.name for f in rows[0].fields]
    if any(len(r.fields) != len(names) or [f.name for f in r.fields] != names for r in rows):
        return List(literals=Literals(values=found))
    return columns.records(
        len(rows), [(name, pack([r.fields[i].value for r in rows])) for i, name in enumerate(names)]
    )


_PACKED: Mapping[str, Callable[[Sequence[Literal]], List]] = {
    "none": lambda found: columns.nones(len(found)),
    "boolean": lambda found: columns.booleans([e.boolean for e in found]),
    "integer": lambda found: columns.integers([e.integer for e in found]),
    "float": lambda found: columns.floats([e.float for e in found]),
    "string": lambda found: columns.strings([e.string for e in found]),
    "bytes": lambda found: columns.blocks([e.bytes for e in found]),
    "datetime": _pack_datetimes,
    "date": lambda found: List(dates=Dates(days=[e.date for e in found])),
    "duration": lambda found: List(durations=Durations(microseconds=[e.duration for e in found])),
    "decimal": lambda found: List(decimals=Decimals(values=[e.decimal for e in found])),
    "union": _pack_unions,
    "record": _pack_records,
    "list": lambda found: join([e.list for e in found]),
    "dict": _pack_dicts,
}


def from_dict(values: Mapping[str, Literal]) -> Literal:
    """A dict with these values, in this order. Raises ConversionError when a key has half a surrogate pair."""
    keys = columns.strings(values)
    return Literal(dict=Dict(keys=keys.strings.values, values=pack(list(values.values()))))


def unions(variants: Sequence[int], values: Sequence[List]) -> List:
    """A list of values of a union: the variant of each, and by variant the list of its values in order."""
    if not variants:
        return columns.empty()
    needed = max(variants) + 1
    if needed > literal_types.MOST_VARIANTS:
        rest = [elements(each) for each in values]
        made = [Literal(union=Union(variant=v, value=next(rest[v]))) for v in variants]
        return List(literals=Literals(values=made))
    return List(unions=Unions(variants=variants, columns=values[:needed]))


# Lists of lists


def join(pieces: Sequence[List]) -> List:
    """The list of these lists."""
    if not pieces:
        return columns.empty()
    return List(lists=Lists(lengths=map(columns.length, pieces), elements=concatenate(pieces)))


def concatenate(pieces: Iterable[List]) -> List:
    """One list of all the lists' elements, one list after another."""
    filled = [piece for piece in pieces if columns.length(piece)]
    if not filled:
        return columns.empty()
    kind = filled[0].WhichOneof("column")
    if all(piece.WhichOneof("column") == kind for piece in filled):
        made = _concatenated(kind or "", filled)
        if made is not None:
            return made
    return pack([e for piece in filled for e in elements(piece)])


def _concatenated(kind: str, filled: Sequence[List]) -> List | None:  # noqa: C901, PLR0911 - a case for each column
    """Pieces that have the same column; None where they do not make one together."""
    match kind:
        case "nones":
            return columns.nones(sum(piece.nones for piece in filled))
        case "booleans":
            return columns.booleans(_chained(piece.booleans.values for piece in filled))
        case "integers":
            return columns.integers(_chained(piece.integers.values for piece in filled))
        case "floats":
            return columns.floats(_chained(piece.floats.values for piece in filled))
        case "strings":
            return columns.strings(_chained(piece.strings.values for piece in filled))
        case "bytes":
            return columns.blocks(_chained(piece.bytes.values for piece in filled))
        case "datetimes":
            moments = [_moments(piece.datetimes) for piece in filled]
            micros, offsets, zones = zip(*moments, strict=True)
            return columns.instants(list(_chained(micros)), list(_chained(offsets)), list(_chained(zones)))
        case "dates":
            return List(dates=Dates(days=_chained(piece.dates.days for piece in filled)))
        case "durations":
            return List(
                durations=Durations(microseconds=_chained(piece.durations.microseconds for piece in filled))
            )
        case "decimals":
            return List(decimals=Decimals(values=_chained(piece.decimals.values for piece in filled)))
        case "unions":
            by_variant = itertools.zip_longest(
                *(piece.unions.columns for piece in filled), fillvalue=columns.empty()
            )
            variants = list(_chained(piece.unions.variants for piece in filled))
            return unions(variants, [concatenate(each) for each in by_variant])
        case "lists":
            inner = concatenate(piece.lists.elements for piece in filled)
            return List(
                lists=Lists(lengths=_chained(piece.lists.lengths for piece in filled), elements=inner)
            )
        case "dicts":
            inner = concatenate(piece.dicts.values for piece in filled)
            keys = _chained(piece.dicts.keys for piece in filled)
            lengths = _chained(piece.dicts.lengths for piece in filled)
            return List(dicts=Dicts(lengths=lengths, keys=keys, values=inner))
        case "records":
            return _concatenated_records([piece.records for piece in filled])
        case _:
            return None


def _concatenated_records(filled: Sequence[Records]) -> List | None:
    names = [c.name for c in filled[0].columns]
    if any([c.name for c in piece.columns] != names for piece in filled):
        return None
    made = [(name, concatenate(piece.columns[i].values for piece in filled)) for i, name in enumerate(names)]
    return columns.records(sum(piece.length for piece in filled), made)


_chained = itertools.chain.from_iterable


# To literals


def elements(of: List) -> Iterator[Literal]:  # noqa: C901, PLR0912 - a case for each column
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
        case "bytes":
            yield from (Literal(bytes=v) for v in of.bytes.values)
        case "datetimes":
            yield from (_datetime(*each) for each in zip(*_moments(of.datetimes), strict=True))
        case "dates":
            yield from (Literal(date=v) for v in of.dates.days)
        case "durations":
            yield from (Literal(duration=v) for v in of.durations.microseconds)
        case "decimals":
            yield from (Literal(decimal=v) for v in of.decimals.values)
        case "unions":
            rest = [elements(each) for each in of.unions.columns]
            yield from (Literal(union=Union(variant=v, value=next(rest[v]))) for v in of.unions.variants)
        case "records":
            yield from _records(of.records)
        case "lists":
            yield from (Literal(list=piece) for piece in split(of.lists.elements, of.lists.lengths))
        case "dicts":
            keys = iter(of.dicts.keys)
            pieces = split(of.dicts.values, of.dicts.lengths)
            for count, piece in zip(of.dicts.lengths, pieces, strict=True):
                yield Literal(dict=Dict(keys=itertools.islice(keys, count), values=piece))
        case "literals":
            yield from of.literals.values
        case None:
            return


def element(of: List, i: int) -> Literal:  # noqa: C901, PLR0911, PLR0912 - a case for each column
    """The element at `i`, negative ones counted from the end. Raises IndexError when there is none."""
    count = columns.length(of)
    at = i + count if i < 0 else i
    if not 0 <= at < count:
        raise IndexError(f"index {i} is outside a list of {count}")
    match of.WhichOneof("column"):
        case "booleans":
            return Literal(boolean=of.booleans.values[at])
        case "integers":
            return Literal(integer=of.integers.values[at])
        case "floats":
            return Literal(float=of.floats.values[at])
        case "strings":
            return Literal(string=of.strings.values[at])
        case "bytes":
            return Literal(bytes=of.bytes.values[at])
        case "datetimes":
            micros, offsets, zones = _moments(of.datetimes)
            return _datetime(micros[at], offsets[at], zones[at])
        case "dates":
            return Literal(date=of.dates.days[at])
        case "durations":
            return Literal(duration=of.durations.microseconds[at])
        case "decimals":
            return Literal(decimal=of.decimals.values[at])
        case "unions":
            variant = of.unions.variants[at]
            before = of.unions.variants[:at].count(variant)
            return Literal(union=Union(variant=variant, value=element(of.unions.columns[variant], before)))
        case "lists":
            before = sum(itertools.islice(of.lists.lengths, at))
            return Literal(list=_piece(of.lists.elements, before, of.lists.lengths[at]))
        case "dicts":
            before, own = sum(itertools.islice(of.dicts.lengths, at)), of.dicts.lengths[at]
            keys = of.dicts.keys[before : before + own]
            return Literal(dict=Dict(keys=keys, values=_piece(of.dicts.values, before, own)))
        case "records":
            fields = [FieldValue(name=c.name, value=element(c.values, at)) for c in of.records.columns]
            return Literal(record=Record(fields=fields))
        case "literals":
            return of.literals.values[at]
        case _:
            return scalars.from_none()


def _piece(of: List, before: int, count: int) -> List:
    _, piece, _ = split(of, (before, count, columns.length(of) - before - count))
    return piece


def _moments(of: Datetimes) -> tuple[Sequence[int], Sequence[int], Sequence[str]]:
    """Instants, offsets and zones, each as many."""
    count = len(of.epoch_microseconds)
    offsets: Sequence[int] = of.offset_seconds
    zones: Sequence[str] = of.zones
    return (
        of.epoch_microseconds,
        offsets if len(offsets) == count else [offsets[0]] * count,
        zones if len(zones) == count else [zones[0]] * count,
    )


def _datetime(micros: int, offset: int, zone: str) -> Literal:
    return Literal(datetime=Datetime(epoch_microseconds=micros, offset_seconds=offset, zone=zone))


def _records(of: Records) -> Iterator[Literal]:
    names = [c.name for c in of.columns]
    values = [elements(c.values) for c in of.columns]
    if not values:
        yield from (Literal(record=Record()) for _ in range(of.length))
        return
    for row in zip(*values, strict=True):
        made = [FieldValue(name=name, value=value) for name, value in zip(names, row, strict=True)]
        yield Literal(record=Record(fields=made))


# In pieces


def split(of: List, lengths: Iterable[int]) -> Iterator[List]:
    """The list in consecutive pieces of these lengths, which add up to its own.

    Linear in the elements and the pieces together: a piece without elements costs nothing of what the list is made of.
    """
    counts = list(lengths)
    pieces = _split(of, [count for count in counts if count])
    for count in counts:
        yield next(pieces) if count else columns.empty()


def _split(  # noqa: C901, PLR0912 - a case for each column
    of: List, lengths: Sequence[int]
) -> Iterator[List]:
    """The same for pieces that have elements."""
    spans = itertools.pairwise(itertools.accumulate(lengths, initial=0))
    match of.WhichOneof("column"):
        case "nones":
            yield from (columns.nones(end - start) for start, end in spans)
        case "booleans":
            yield from (columns.booleans(of.booleans.values[start:end]) for start, end in spans)
        case "integers":
            yield from (columns.integers(of.integers.values[start:end]) for start, end in spans)
        case "floats":
            yield from (columns.floats(of.floats.values[start:end]) for start, end in spans)
        case "strings":
            yield from (columns.strings(of.strings.values[start:end]) for start, end in spans)
        case "bytes":
            yield from (List(bytes=Blocks(values=of.bytes.values[start:end])) for start, end in spans)
        case "datetimes":
            micros, offsets, zones = _moments(of.datetimes)
            for start, end in spans:
                yield columns.instants(micros[start:end], offsets[start:end], zones[start:end])
        case "dates":
            yield from (List(dates=Dates(days=of.dates.days[start:end])) for start, end in spans)
        case "durations":
            found = of.durations.microseconds
            yield from (List(durations=Durations(microseconds=found[start:end])) for start, end in spans)
        case "decimals":
            yield from (List(decimals=Decimals(values=of.decimals.values[start:end])) for start, end in spans)
        case "unions":
            yield from _split_unions(of.unions, spans)
        case "records":
            yield from _split_records(of.records, lengths)
        case "lists":
            owns = [of.lists.lengths[start:end] for start, end in spans]
            for own, piece in zip(owns, split(of.lists.elements, map(sum, owns)), strict=True):
                yield List(lists=Lists(lengths=own, elements=piece))
        case "dicts":
            owns = [of.dicts.lengths[start:end] for start, end in spans]
            keys = iter(of.dicts.keys)
            for own, piece in zip(owns, split(of.dicts.values, map(sum, owns)), strict=True):
                yield List(dicts=Dicts(lengths=own, keys=itertools.islice(keys, sum(own)), values=piece))
        case "literals":
            yield from (pack(of.literals.values[start:end]) for start, end in spans)
        case None:
            return


def _split_unions(of: Unions, spans: Iterable[tuple[int, int]]) -> Iterator[List]:
    owns = [of.variants[start:end] for start, end in spans]
    by_variant = [
        split(column, [own.count(variant) for own in owns]) for variant, column in enumerate(of.columns)
    ]
    for own, row in zip(owns, zip(*by_variant, strict=True), strict=True):
        yield List(unions=Unions(variants=own, columns=row[: max(own) + 1]))


def _split_records(of: Records, lengths: Sequence[int]) -> Iterator[List]:
    names = [c.name for c in of.columns]
    if not names:
        yield from (columns.records(count, ()) for count in lengths)
        return
    pieces = zip(*(split(c.values, lengths) for c in of.columns), strict=True)
    for count, row in zip(lengths, pieces, strict=True):
        yield columns.records(count, list(zip(names, row, strict=True)))
