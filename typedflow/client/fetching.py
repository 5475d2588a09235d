"""What an execution's values point at, brought to a store of this machine, so that a task can run on them here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from typedflow import errors
from typedflow.dataplane import offload
from typedflow.literals import pointers
from typedflow.pb import literals_pb2

if TYPE_CHECKING:
    from typedflow.dataplane.objects import ObjectStore
    from typedflow.pb.literals_pb2 import Blob, Literal, LiteralMap


class Values(Protocol):
    """Where the bytes come from: `Client.get_value`."""

    def get_value(
        self, execution_id: str, variable: str, *, node: str = "", digest: str = ""
    ) -> Iterator[bytes]: ...


def fetch(client: Values, execution_id: str, node: str, values: LiteralMap, store: ObjectStore) -> LiteralMap:
    """A node's values as they are, with nothing of them elsewhere than in `store`.

    Raises:
        IntegrityError: bytes are gone from the server, or are not what was stored.
    """
    result = literals_pb2.LiteralMap()
    for each in values.values:

        def bring(literal: Literal, variable: str = each.name) -> None:
            for blob in _unique(pointers.blobs_of(literal)):
                if not store.has(blob.digest):
                    _bring(
                        client.get_value(execution_id, variable, node=node, digest=blob.digest), blob, store
                    )

        bring(each.value)
        loaded = offload.load(each.value, store)
        bring(loaded)
        result.values.add(name=each.name, value=loaded)
    return result


def _bring(chunks: Iterable[bytes], blob: Blob, store: ObjectStore) -> None:
    with tempfile.NamedTemporaryFile(prefix="typedflow-") as file:
        for chunk in chunks:
            file.write(chunk)
        file.flush()
        stored = store.put_file(file.name)
    if stored.digest != blob.digest:
        store.delete([stored.digest])
        raise errors.IntegrityError("the bytes that came are not what was stored", where=blob.uri)


def _unique(blobs: Iterable[Blob]) -> Iterable[Blob]:
    return {blob.digest: blob for blob in blobs}.values()
