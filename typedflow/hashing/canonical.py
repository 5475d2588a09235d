"""Bytes of plain values in nested tuples, and the tags that keep digests of different kinds of things apart."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, TypeAlias

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Callable

Canonical: TypeAlias = "bool | int | float | str | bytes | tuple[Canonical, ...]"
"""What has canonical bytes."""

PREFIX = "b3:"

# What a digest is of: the first bytes that are hashed.
LITERAL = b"typedflow.literal.1\0"
STREAM = b"typedflow.stream.1\0"
TYPE = b"typedflow.type.1\0"
KEY = b"typedflow.key.1\0"
ENTITY = b"typedflow.entity.1\0"
CONTENT = b"typedflow.content.1\0"

_64_BITS = 2**64 - 1
_NAN = struct.pack("<Q", 0x7FF8000000000000)


def digest(tag: bytes, value: Canonical) -> str:
    """The digest of a plain value under a tag."""
    pieces = [tag]
    _write(value, pieces.append)
    return PREFIX + blake3(b"".join(pieces)).hexdigest()


def _write(value: Canonical, write: Callable[[bytes], object]) -> None:
    """A kind, then a length or a fixed size, then the content: no two values have the same bytes."""
    match value:
        case bool():
            write(b"b\1" if value else b"b\0")
        case int():
            # As "<q" writes it; a field of the wire may also be without a sign.
            write(b"i" + (value & _64_BITS).to_bytes(8, "little"))
        case float():
            write(b"f" + double(value))
        case str():
            encoded = value.encode()
            write(b"s" + struct.pack("<Q", len(encoded)) + encoded)
        case bytes():
            write(b"y" + struct.pack("<Q", len(value)) + value)
        case tuple():
            write(b"(" + struct.pack("<Q", len(value)))
            for item in value:
                _write(item, write)


def double(value: float) -> bytes:
    """A float bit for bit, with one NaN for all."""
    return _NAN if math.isnan(value) else struct.pack("<d", value)
