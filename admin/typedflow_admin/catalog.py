"""The cache: finds results by key, and publishes those of committed attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from typedflow import errors
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.attempt_pb2 import AttemptSpec, Outcome
from typedflow.pb.catalog_pb2 import (
    CACHE_STATUS_DISABLED,
    CACHE_STATUS_POPULATED,
    CACHE_STATUS_PUT_FAILED,
    CacheStatus,
    CatalogEntry,
    ListEntriesRequest,
    ListEntriesResponse,
    LookupResult,
)
from typedflow.pb.literals_pb2 import Blob
from typedflow_admin import pages, store, values

ABSENT = "absent"
STALE = "stale"

_MOST_KEYS = 1000


class Catalog:
    """Finds results by key."""

    def __init__(self, database: store.Store, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    async def lookup(self, keys: Sequence[str]) -> list[LookupResult]:
        """An answer for each key; an entry whose objects are gone is none.

        Raises:
            UsageError: too many keys for one answer.
        """
        if len(keys) > _MOST_KEYS:
            raise errors.UsageError(
                f"at most {_MOST_KEYS:,} keys are looked up at once, not {len(keys):,}",
                where="keys",
                code="InvalidRequest",
            )
        found = await self._database.read(lambda transaction: transaction.catalog.find(frozenset(keys)))
        entries = {key: CatalogEntry.FromString(entry) for key, entry in found.items()}
        wanted = {
            key: {blob.uri: blob for blob in values.blobs(entry.outputs)} for key, entry in entries.items()
        }
        blobs = {uri: blob for part in wanted.values() for uri, blob in part.items()}
        there = await asyncio.to_thread(self._there, blobs) if blobs else frozenset()
        return [
            LookupResult(reason=ABSENT)
            if key not in entries
            else LookupResult(entry=entries[key])
            if wanted[key].keys() <= there
            else LookupResult(reason=STALE)
            for key in keys
        ]

    def _there(self, blobs: Mapping[str, Blob]) -> AbstractSet[str]:
        """The addresses that can be read."""
        try:
            found = self._objects.exists(list(blobs.values()))
        except errors.UsageError:
            # One of them is no address of this store; the others are found all the same.
            return (
                set().union(*(self._there({uri: blob}) for uri, blob in blobs.items()))
                if len(blobs) > 1
                else set()
            )
        return {uri for uri, there in zip(blobs, found, strict=True) if there}

    async def page(self, request: ListEntriesRequest) -> ListEntriesResponse:
        """A page of entries, newest first, without outputs."""
        limit = pages.size(request.page_size)
        filters = ("entries", request.project, request.domain, request.task)
        before = pages.number(request.page_token, *filters)
        rows = await self._database.read(
            lambda transaction: transaction.catalog.page(
                request.project, request.domain, request.task, before, limit + 1
            )
        )
        page, token = pages.cut(rows, limit, store.weight, lambda row: row.number, *filters)
        entries = [CatalogEntry.FromString(row.entry) for row in page]
        for entry in entries:
            entry.ClearField("outputs")
        return ListEntriesResponse(entries=entries, next_page_token=token)


def publish(
    transaction: store.Transaction, spec: AttemptSpec, outcome: Outcome, at_us: int
) -> tuple[CacheStatus.ValueType, str]:
    """Publishes a success, inside the transaction that commits it; gives the cache's status and why.

    A put that fails is a status, not an error: the attempt has its outputs all the same.
    """
    if not spec.options.cache.enabled or not spec.cache_key:
        return CACHE_STATUS_DISABLED, ""
    entry = CatalogEntry(
        key=spec.cache_key,
        manifest=spec.manifest,
        outputs=outcome.outputs,
        execution_id=spec.id.execution_id,
        node=spec.id.node,
        attempt=spec.id.attempt,
        usage=outcome.usage,
        created_at_us=at_us,
    )
    row = store.CatalogRow(
        spec.cache_key, spec.project, spec.domain, spec.task, entry.SerializeToString(deterministic=True)
    )
    try:
        transaction.catalog.put(row)
    except store.StoreError as error:
        return CACHE_STATUS_PUT_FAILED, str(error)
    return CACHE_STATUS_POPULATED, ""
