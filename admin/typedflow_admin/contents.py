"""What is inside of objects that are values themselves: an offloaded literal, a stream's elements.

Such an object may point at others, as a stream of files does. Objects never change, so what was found in one is kept.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import BinaryIO

from google.protobuf.message import DecodeError

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.literals_pb2 import Blob, List, Literal
from typedflow_admin import references
from typedflow_admin.references import Reference

_KEPT = 10_000
_LENGTH = 8
_LEADING = frozenset(
    List.DESCRIPTOR.fields_by_name[name].number
    for name in ("records", "lists", "literals", "unions", "dicts")
)
"""The columns that may point at something; a chunk of any other is passed over."""


class Contents:
    """Looks into the objects of a store. Every method may be called from several threads."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects
        self._known: OrderedDict[tuple[str, str], Sequence[Reference]] = OrderedDict()
        self._lock = threading.Lock()

    def all(self, found: Iterable[Reference]) -> dict[str, Blob]:
        """The objects of the store by digest: those that are pointed at, what is in those, and so on.

        What is outside of the store has no digest, and is none of them. One that is gone has nothing in it.

        Raises:
            IntegrityError: an object is not what its digest says.
            StorageError: one can't be read.
        """
        blobs: dict[str, Blob] = {}
        looked_into: set[tuple[str, str]] = set()
        waiting = list(found)
        while waiting:
            reference = waiting.pop()
            digest = reference.blob.digest
            if not digests.is_digest(digest):
                continue
            blobs.setdefault(digest, reference.blob)
            if reference.kind and (reference.kind, digest) not in looked_into:
                looked_into.add((reference.kind, digest))
                waiting.extend(self._inside(reference))
        return blobs

    def _inside(self, reference: Reference) -> Sequence[Reference]:
        key = reference.kind, reference.blob.digest
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key]
        try:
            made = self._read(reference)
        except errors.IntegrityError as error:
            if error.code != "ObjectMissing":
                raise
            return ()
        with self._lock:
            self._known[key] = made
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return made

    def _read(self, reference: Reference) -> Sequence[Reference]:
        blob = reference.blob
        try:
            if reference.kind == "offloaded":
                return list(references.of(Literal.FromString(self._objects.read_bytes(blob))))
            with self._objects.open(blob) as file:
                return _in_stream(file, blob)
        except DecodeError:
            raise errors.IntegrityError("the object is not what its value says", where=blob.uri) from None


def _in_stream(file: BinaryIO, blob: Blob) -> Sequence[Reference]:
    """What a stream's elements point at. Of chunks without any, only the beginnings are read."""
    found: list[Reference] = []
    at = 0
    while at < blob.size:
        head = file.read(_LENGTH + 1)
        length = int.from_bytes(head[:_LENGTH], "little")
        if len(head) < _LENGTH or at + _LENGTH + length > blob.size:
            raise errors.IntegrityError("the object is not a stream", where=blob.uri)
        # A message begins with its first field's number, and of a List there is one.
        if length and head[_LENGTH] >> 3 in _LEADING:
            found += references.of(List.FromString(head[_LENGTH:] + file.read(length - 1)))
        at += _LENGTH + length
        file.seek(at)
    return found
