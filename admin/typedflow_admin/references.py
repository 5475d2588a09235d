"""What messages point at: the objects of the store, wherever they are in them.

Works on any message, by its descriptor: a field that is added to the wire is looked into without a change here. What an
object holds that is itself a value is no business of this module; see `contents`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from typedflow.dataplane import addresses
from typedflow.pb.literals_pb2 import Blob, Offloaded, Stream

_BLOB, _OFFLOADED, _STREAM = (kind.DESCRIPTOR.full_name for kind in (Blob, Offloaded, Stream))
_DIGEST = re.compile(rb"b3:[0-9a-f]{64}")
# In the address of every object, which is its name in the store: see `addresses`.
_ADDRESS = f"{addresses.FOLDER}/".encode()


@dataclass(frozen=True, slots=True)
class Reference:
    """An object, and what it is when it may point at others: `offloaded` or `stream`; else ""."""

    blob: Blob
    kind: str = ""


def of(message: Message) -> Iterator[Reference]:
    """Every object that a message points at. Depends on what there is of such, not on the sizes of packed lists."""
    waiting = [message]
    while waiting:
        found = waiting.pop()
        name = found.DESCRIPTOR.full_name
        if name == _BLOB:
            yield Reference(found)  # type: ignore[arg-type]
        elif name == _OFFLOADED:
            yield Reference(found.blob, "offloaded")  # type: ignore[attr-defined]
        elif name == _STREAM:
            yield Reference(found.blob, "stream")  # type: ignore[attr-defined]
        else:
            leading = _leading(found.DESCRIPTOR)
            for field, value in found.ListFields():
                if field.number in leading:
                    waiting.extend(value if field.is_repeated else (value,))


def may_have_any(message: bytes) -> bool:
    """Whether a serialized message may point at an object: a text stands in it as it is."""
    return _ADDRESS in message


def digests(message: bytes) -> set[str]:
    """All digests in a serialized message: those of objects, and others, which do no harm where these are looked up."""
    return {found.decode() for found in _DIGEST.findall(message)}


@functools.cache
def _leading(descriptor: Descriptor) -> frozenset[int]:
    """The numbers of the fields that may lead to an object."""
    return frozenset(
        field.number
        for field in descriptor.fields
        if field.message_type is not None and _leads(field.message_type, frozenset())
    )


def _leads(descriptor: Descriptor, above: frozenset[str]) -> bool:
    if descriptor.full_name == _BLOB:
        return True
    below = above | {descriptor.full_name}
    kinds = [field.message_type for field in descriptor.fields if field.message_type is not None]
    return any(_leads(kind, below) for kind in kinds if kind.full_name not in below)
