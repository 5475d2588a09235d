"""Digests of literals. A column is laid out as a whole, without a literal for each element.

What stands for a value inside another, its part, begins with a byte that says what it is and how far it goes, so parts
that follow each other can't be taken for others.
"""

from __future__ import annotations

import itertools
import math
import operator
import struct
from typing import TYPE_CHECKING

from blake3 import blake3

from typedflow import errors, literals
from typedflow.hashing import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from typedflow.pb.literals_pb2 import Datetimes, Dicts, List, Lists, Literal, Records, Unions

_DIGEST_SIZE = 32
# A string that is longer than so many bytes is inside another literal by its digest: far below the size at which
# literals are offloaded, so that every string that may be offloaded is.
_LONGEST_INSIDE = 64 * 1024
_SHORT = 256
_COUNTS = [struct.pack("<Q", count) for count in range(_SHORT)]


def of_literal(literal: Literal) -> str:
    """The digest of a value's meaning: what its author's HashMethod said, else that of the value.

    Raises ConversionError for a literal without a value.
    """
    return literal.content or of_value(literal)


def of_value(literal: Literal) -> str:
    """The digest of a value, whatever is said of what it means. Raises ConversionError for a literal without one."""
    return canonical.PREFIX + _literal(literal).hex()


def of_said(text: str) -> str:
    """The digest that stands for a value of which its author's HashMethod gave this text."""
    return canonical.digest_of(canonical.SAID, text.encode("utf-8", "surrogatepass"))


class Elements:
    """The digest of a stream's elements while they pass: `Stream.content`. How they come in pieces does not show."""

    def __init__(self) -> None:
        self._hasher = blake3(canonical.STREAM)

    def add(self, elements: List) -> None:
        """The next elements."""
        self._hasher.update(_joined(elements))

    def digest(self) -> str:
        """Of all that were added so far."""
        return canonical.PREFIX + self._hasher.hexdigest()


# Single values


def _literal(literal: Literal) -> bytes:  # noqa: C901, PLR0911 - a case for each value
    """The digest of a literal on its own."""
    match literal.WhichOneof("value"):
        case "string":
            return _leaf(b"s", literal.string.encode())
        case "bytes":
            return _leaf(b"y", literal.bytes)
        case "decimal":
            return _leaf(b"m", literal.decimal.encode())
        case "file":
            return _leaf(b"F", literal.file.content.encode())
        case "directory":
            return _leaf(b"D", literal.directory.content.encode())
        case "frame":
            return _leaf(b"T", literal.frame.content.encode())
        case "array":
            return _leaf(b"A", literal.array.content.encode())
        case "stream":
            return _leaf(b"S", literal.stream.content.encode())
        case "offloaded":
            return _parse(literal.offloaded.content)
        case "list":
            return _list(literals.length(literal.list), _joined(literal.list))
        case "dict":
            parts = _parts(literal.dict.values)
            entries = [_text(k) + part for k, part in zip(literal.dict.keys, parts, strict=True)]
            return _dict(len(entries), entries)
        case "record":
            fields = literal.record.fields
            return _record(len(fields), [each for f in fields for each in (_text(f.name), _part(f.value))])
        case "union":
            tag = _tag(literal.union.variant)
            return blake3(canonical.LITERAL + tag + _part(literal.union.value)).digest()
        case _:
            return blake3(canonical.LITERAL + _scalar(literal)).digest()


def _part(literal: Literal) -> bytes:
    """A literal inside another: itself when it is surely small, else its digest, which it may be offloaded behind."""
    match literal.WhichOneof("value"):
        case "string":
            return _sized(b"s", literal.string.encode())
        case "bytes":
            return _sized(b"y", literal.bytes)
        case "decimal":
            return _sized(b"m", literal.decimal.encode())
        case "union":
            return _tagged(_tag(literal.union.variant), _part(literal.union.value))
        case "none" | "boolean" | "integer" | "float" | "datetime" | "date" | "duration" | None:
            return _scalar(literal)
        case _:
            return b"#" + _literal(literal)


def _scalar(literal: Literal) -> bytes:
    match literal.WhichOneof("value"):
        case "none":
            return b"n"
        case "boolean":
            return b"b\1" if literal.boolean else b"b\0"
        case "integer":
            return b"i" + struct.pack("<q", literal.integer)
        case "float":
            return b"f" + canonical.double(literal.float)
        case "datetime":
            at = literal.datetime
            return b"d" + struct.pack("<qi", at.epoch_microseconds, at.offset_seconds) + _text(at.zone)
        case "date":
            return b"c" + struct.pack("<i", literal.date)
        case "duration":
            return b"t" + struct.pack("<q", literal.duration)
        case _:
            raise errors.ConversionError("a literal without a value has no digest")


def _leaf(kind: bytes, content: bytes) -> bytes:
    return blake3(canonical.LITERAL + kind + content).digest()


def _sized(kind: bytes, content: bytes) -> bytes:
    """What may be long, inside another value."""
    if len(content) > _LONGEST_INSIDE:
        return b"#" + _leaf(kind, content)
    return kind + _count(len(content)) + content


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _count(len(encoded)) + encoded


def _count(count: int) -> bytes:
    return _COUNTS[count] if count < _SHORT else struct.pack("<Q", count)


def _tag(variant: int) -> bytes:
    return b"u" + struct.pack("<I", variant)


def _tagged(tag: bytes, part: bytes) -> bytes:
    """The part of a union's value from its variant's and the value's own."""
    return b"#" + blake3(canonical.LITERAL + tag + part).digest() if part.startswith(b"#") else tag + part


def _list(count: int, parts: bytes) -> bytes:
    return blake3(canonical.LITERAL + b"l" + _count(count) + parts).digest()


def _dict(count: int, entries: Iterable[bytes]) -> bytes:
    return blake3(b"".join((canonical.LITERAL, b"k", _count(count), *entries))).digest()


def _record(count: int, fields: Iterable[bytes]) -> bytes:
    return blake3(b"".join((canonical.LITERAL, b"r", _count(count), *fields))).digest()


# Columns


def _joined(of: List) -> bytes:
    """The parts of all elements, one after another."""
    fixed = _fixed(of)
    return b"".join(_parts(of)) if fixed is None else fixed[0]


def _fixed(of: List, before: bytes = b"") -> tuple[bytes, int] | None:
    """The parts of all elements, each with the same bytes before it, and the size of each, made at once.

    None where they differ in size.
    """
    match of.WhichOneof("column"):
        case "nones":
            return (before + b"n") * of.nones, len(before) + 1
        case "booleans":
            return _rows(before + b"b", (bytes(of.booleans.values), 1))
        case "integers":
            return _rows(before + b"i", (_packed("q", of.integers.values), 8))
        case "floats":
            return _rows(before + b"f", (_doubles(of.floats.values), 8))
        case "dates":
            return _rows(before + b"c", (_packed("i", of.dates.days), 4))
        case "durations":
            return _rows(before + b"t", (_packed("q", of.durations.microseconds), 8))
        case "datetimes" if len(of.datetimes.zones) == 1:
            zone = _text(of.datetimes.zones[0])
            return _rows(before + b"d", *_instants(of.datetimes), after=zone)
        case _:
            return None


def _parts(of: List) -> Iterable[bytes]:
    """The part of each element."""
    match of.WhichOneof("column"):
        case "nones":
            return itertools.repeat(b"n", of.nones)
        case "strings":
            return [_sized(b"s", v.encode()) for v in of.strings.values]
        case "bytes":
            return [_sized(b"y", v) for v in of.bytes.values]
        case "decimals":
            return [_sized(b"m", v.encode()) for v in of.decimals.values]
        case "unions":
            return _union_parts(of.unions)
        case "records":
            return _record_parts(of.records)
        case "lists":
            return _list_parts(of.lists)
        case "dicts":
            return _dict_parts(of.dicts)
        case "literals":
            return [_part(v) for v in of.literals.values]
        case "datetimes" if len(of.datetimes.zones) > 1:
            heads, size = _rows(b"d", *_instants(of.datetimes))
            texts = {zone: _text(zone) for zone in set(of.datetimes.zones)}
            return [
                head + texts[zone] for head, zone in zip(_cut(heads, size), of.datetimes.zones, strict=True)
            ]
        case _:
            fixed = _fixed(of)
            return _cut(*fixed) if fixed else ()


def _union_parts(of: Unions) -> Iterable[bytes]:
    parts = [_variant_parts(_tag(variant), column) for variant, column in enumerate(of.columns)]
    return list(map(next, map(parts.__getitem__, of.variants)))


def _variant_parts(tag: bytes, of: List) -> Iterator[bytes]:
    fixed = _fixed(of, tag)
    return iter(_cut(*fixed)) if fixed else (_tagged(tag, part) for part in _parts(of))


def _record_parts(of: Records) -> Iterable[bytes]:
    count = len(of.columns)
    if all(_is_constant(column.values) for column in of.columns):
        # Not in proportion to any bytes that were sent, so made once for all.
        row = [next(iter(_parts(column.values))) for column in of.columns] if of.length else []
        names = [_text(column.name) for column in of.columns]
        return itertools.repeat(
            b"#" + _record(count, itertools.chain(*zip(names, row, strict=False))), of.length
        )
    columns: list[Iterable[bytes]] = []
    for column in of.columns:
        columns += itertools.repeat(_text(column.name)), _parts(column.values)
    return [b"#" + _record(count, row) for row in zip(*columns, strict=False)]


def _is_constant(of: List) -> bool:
    """Whether all elements are the same one without content."""
    if of.HasField("records"):
        return all(_is_constant(column.values) for column in of.records.columns)
    return of.HasField("nones")


def _list_parts(of: Lists) -> Iterable[bytes]:
    spans = itertools.pairwise(itertools.accumulate(of.lengths, initial=0))
    fixed = _fixed(of.elements)
    if fixed is None:
        loose = list(_parts(of.elements))
        return [b"#" + _list(end - start, b"".join(loose[start:end])) for start, end in spans]
    parts, size = fixed
    return [b"#" + _list(end - start, parts[start * size : end * size]) for start, end in spans]


def _dict_parts(of: Dicts) -> Iterable[bytes]:
    spans = itertools.pairwise(itertools.accumulate(of.lengths, initial=0))
    entries = list(map(operator.add, map(_text, of.keys), _parts(of.values)))
    return [b"#" + _dict(end - start, entries[start:end]) for start, end in spans]


def _instants(of: Datetimes) -> Iterable[tuple[bytes, int]]:
    count = len(of.epoch_microseconds)
    offsets = of.offset_seconds if len(of.offset_seconds) == count else [of.offset_seconds[0]] * count
    return (_packed("q", of.epoch_microseconds), 8), (_packed("i", offsets), 4)


# Rows of bytes


def _rows(before: bytes, *fields: tuple[bytes, int], after: bytes = b"") -> tuple[bytes, int]:
    """Packed values of fixed sizes row by row, with the same bytes before and after each, and the size of a row.

    As fast as copying, where a loop over them is not.
    """
    packed, size = fields[0]
    count = len(packed) // size
    step = len(before) + sum(size for _, size in fields) + len(after)
    made = bytearray(count * step)
    constants = [(i, byte) for i, byte in enumerate(before)]
    constants += [(i, byte) for i, byte in enumerate(after, step - len(after))]
    for i, byte in constants:
        made[i::step] = bytes((byte,)) * count
    at = len(before)
    for packed, size in fields:
        for i in range(size):
            made[at + i :: step] = packed[i::size]
        at += size
    return bytes(made), step


def _cut(rows: bytes, size: int) -> Iterable[bytes]:
    return map(operator.itemgetter(0), struct.iter_unpack(f"{size}s", rows))


def _packed(kind: str, values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}{kind}", *values)


def _doubles(values: Iterable[float]) -> bytes:
    """Bit for bit, with one NaN for all."""
    column = list(values)
    # A sum is NaN when one of them is (or both infinities are among them, which takes the slow way for nothing).
    if math.isnan(sum(column)):
        return b"".join(map(canonical.double, column))
    return struct.pack(f"<{len(column)}d", *column)


def _parse(content: str) -> bytes:
    try:
        digest = bytes.fromhex(content.removeprefix(canonical.PREFIX))
    except ValueError:
        digest = b""
    if not content.startswith(canonical.PREFIX) or len(digest) != _DIGEST_SIZE:
        raise errors.ConversionError(f"{content!r:.80} is not the digest of an offloaded literal")
    return digest
