"""Bytes of plain values in nested tuples, and the tags that keep digests of different kinds of things apart."""

from __future__ import annotations

import math
import struct
from typing import TypeAlias

from blake3 import blake3

Canonical: TypeAlias = "bool | int | float | str | bytes | tuple[Canonical, ...]"
"""What has canonical bytes."""

PREFIX = "b3:"

# What a digest is of: the first bytes that are hashed.
LITERAL = b"typedflow.literal.1\0"
STREAM = b"typedflow.stream.1\0"
SAID = b"typedflow.said.1\0"
TYPE = b"typedflow.type.1\0"
KEY = b"typedflow.key.1\0"
ENTITY = b"typedflow.entity.1\0"
CONTENT = b"typedflow.content.1\0"

_64_BITS = 2**64 - 1
_length = struct.Struct("<Q").pack
_TUPLES = [b"(" + _length(count) for count in range(64)]
_NAN = struct.pack("<Q", 0x7FF8000000000000)


def digest(tag: bytes, value: Canonical) -> str:
    """The digest of a plain value under a tag."""
    return digest_of(tag, written(value))


def digest_of(tag: bytes, value: bytes) -> str:
    """The same for a value whose bytes were written already."""
    return PREFIX + blake3(tag + value).hexdigest()


def written(value: Canonical) -> bytes:
    """A kind, then a length or a fixed size, then the content: no two values have the same bytes."""
    match value:
        case str():
            encoded = value.encode()
            return b"s" + _length(len(encoded)) + encoded
        case bool():
            return b"b\1" if value else b"b\0"
        case int():
            # As "<q" writes it; a field of the wire may also be without a sign.
            return b"i" + (value & _64_BITS).to_bytes(8, "little")
        case float():
            return b"f" + double(value)
        case bytes():
            return b"y" + _length(len(value)) + value
        case tuple():
            return tuple_of(len(value)) + b"".join(map(written, value))


def tuple_of(count: int) -> bytes:
    """What comes before so many values."""
    return _TUPLES[count] if count < len(_TUPLES) else b"(" + _length(count)


def double(value: float) -> bytes:
    """A float bit for bit, with one NaN for all."""
    return _NAN if math.isnan(value) else struct.pack("<d", value)
