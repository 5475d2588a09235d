"""The cache: what it has by key, which of it is still fit for use, and who may make it anew.

Only what an attempt committed is published, in the transaction that commits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from typedflow import errors, interface, literal_types
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.attempt_pb2 import AttemptSpec, Outcome
from typedflow.pb.catalog_pb2 import (
    CACHE_STATUS_DISABLED,
    CACHE_STATUS_POPULATED,
    CACHE_STATUS_PUT_FAILED,
    CacheStatus,
    CatalogEntry,
    EvictRequest,
    ListEntriesRequest,
    ListEntriesResponse,
    LookupResult,
)
from typedflow.pb.literals_pb2 import Blob, LiteralMap
from typedflow_admin import cache_store, pages, references, reservations, store
from typedflow_admin.contents import Contents

ABSENT = "absent"
STALE = "stale"
EXPIRED = "expired"
FENCED = "fenced"

_MOST_KEYS = 1000


class Fitness:
    """Tells which entries may still be used (C6)."""

    def __init__(self, objects: ObjectStore, contents: Contents) -> None:
        self._objects = objects
        self._contents = contents

    async def check(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        """Whether each of many is whole: one question to the store for all that they point at.

        Raises:
            StorageError: the store can't be asked.
        """
        return await asyncio.to_thread(self._check, entries) if entries else []

    def _check(self, entries: Sequence[CatalogEntry]) -> list[bool]:
        wanted = [self._blobs(entry) for entry in entries]
        blobs = {digest: blob for part in wanted if part for digest, blob in part.items()}
        there = self._there(blobs)
        return [part is not None and part.keys() <= there for part in wanted]

    def _blobs(self, entry: CatalogEntry) -> dict[str, Blob] | None:
        """Every object that must be there; None: the entry is no good whatever is there.

        A key is over the types of the outputs, and what is published was checked against them. So what is found under
        a key has the types of whoever asks for it, unless it does not even have its manifest's outputs.
        """
        declared = [part.name for part in entry.manifest.output_types]
        if entry.HasField("manifest") and declared != sorted(each.name for each in entry.outputs.values):
            return None
        try:
            return self._contents.all(references.of(entry.outputs))
        except errors.IntegrityError:
            return None

    def _there(self, blobs: dict[str, Blob]) -> set[str]:
        try:
            found = self._objects.exists(list(blobs.values()))
        except errors.UsageError:
            # One of them is no address of this store; the others are found all the same.
            if len(blobs) <= 1:
                return set()
            return set().union(*(self._there({digest: blob}) for digest, blob in blobs.items()))
        return {digest for digest, there in zip(blobs, found, strict=True) if there}


class Catalog:
    """Shows and removes entries."""

    def __init__(self, database: store.Store, fitness: Fitness, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._fitness = fitness
        self._clock_us = clock_us

    async def lookup(self, keys: Sequence[str]) -> list[LookupResult]:
        """An answer for each key, without what is Sensitive; an entry whose objects are gone is none.

        Raises:
            UsageError: too many keys for one answer.
        """
        _check_count(len(keys))
        rows = await self._database.read(lambda transaction: transaction.catalog.find(frozenset(keys)))
        entries = [CatalogEntry.FromString(row.entry) for row in rows.values()]
        fit = dict(zip(rows, await self._fitness.check(entries), strict=True))
        return [
            LookupResult(reason=ABSENT if key not in fit else STALE)
            if not fit.get(key)
            else LookupResult(entry=_shown(rows[key]))
            for key in keys
        ]

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
        return ListEntriesResponse(entries=[listed(row) for row in page], next_page_token=token)

    async def evict(self, request: EvictRequest) -> int:
        """Forgets entries; says how many they are, or would be.

        Raises:
            UsageError: neither a task nor keys nor an age is given, or too many keys.
        """
        if not (request.task or request.keys or request.older_than_ms):
            raise errors.UsageError(
                "everything would be evicted",
                where="task",
                hint="give a task, keys or an age",
                code="InvalidRequest",
            )
        _check_count(len(request.keys))
        before_us = self._clock_us() - request.older_than_ms * 1000 if request.older_than_ms else 0
        wanted = cache_store.CatalogFilter(
            request.project, request.domain, request.task, tuple(request.keys), max(before_us, 0)
        )
        if request.dry_run:
            return len(await self._database.read(lambda transaction: transaction.catalog.keys(wanted)))

        def remove(transaction: store.Transaction) -> int:
            keys = transaction.catalog.keys(wanted)
            transaction.catalog.remove(keys)
            return len(keys)

        return await self._database.write(remove)


def publish(
    transaction: store.Transaction, spec: AttemptSpec, made: Outcome, begun_at_us: int, at_us: int
) -> tuple[CacheStatus.ValueType, str]:
    """Publishes a success, inside the transaction that commits it; gives the cache's status and why.

    A put that fails is a status, not an error: the attempt has its outputs all the same.

    Args:
        transaction: the one that commits it.
        spec: of the attempt that made it.
        made: its outputs, what it took and its report.
        begun_at_us: when that attempt began.
        at_us: now.
    """
    cache = spec.options.cache
    if not cache.enabled or not spec.cache_key:
        return CACHE_STATUS_DISABLED, ""
    held = reservation_of(spec)
    if cache.serialize:
        entry = transaction.catalog.find([spec.cache_key]).get(spec.cache_key)
        allowed = reservations.may_publish(transaction, held, begun_at_us, entry)
        reservations.release(transaction, [held])
        if not allowed:
            return CACHE_STATUS_PUT_FAILED, FENCED
    try:
        transaction.catalog.put(_row(transaction, spec, made, at_us))
    except store.StoreError as error:
        return CACHE_STATUS_PUT_FAILED, str(error)
    return CACHE_STATUS_POPULATED, ""


def reservation_of(spec: AttemptSpec) -> cache_store.ReservationRow:
    """What an attempt's node holds while it makes an entry."""
    return cache_store.ReservationRow(spec.cache_key, spec.id.execution_id, spec.id.node)


def release(transaction: store.Transaction, spec: AttemptSpec) -> None:
    """Lets others make the entry: this attempt did not, inside the transaction that says so."""
    if spec.options.cache.serialize and spec.cache_key:
        reservations.release(transaction, [reservation_of(spec)])


def listed(row: cache_store.CatalogRow) -> CatalogEntry:
    """An entry as it is listed: without outputs, with what is counted of it."""
    entry = CatalogEntry.FromString(row.entry)
    entry.ClearField("outputs")
    entry.hits, entry.last_hit_at_us, entry.size = row.hits, row.last_hit_at_us, row.size
    return entry


def _shown(row: cache_store.CatalogRow) -> CatalogEntry:
    entry = CatalogEntry.FromString(row.entry)
    if row.shown is not None:
        entry.outputs.ParseFromString(row.shown)
    return entry


def _row(
    transaction: store.Transaction, spec: AttemptSpec, made: Outcome, at_us: int
) -> cache_store.CatalogRow:
    entry = CatalogEntry(
        key=spec.cache_key,
        manifest=spec.manifest,
        outputs=made.outputs,
        execution_id=spec.id.execution_id,
        node=spec.id.node,
        attempt=spec.id.attempt,
        usage=made.usage,
        created_at_us=at_us,
    )
    if made.HasField("deck"):
        entry.deck.CopyFrom(made.deck)
    execution = transaction.executions.row(spec.id.execution_id)
    blobs = {found.blob.digest: found.blob for found in references.of(made.outputs)}
    return cache_store.CatalogRow(
        key=spec.cache_key,
        project=spec.project,
        domain=spec.domain,
        task=spec.task,
        entry=entry.SerializeToString(deterministic=True),
        manifest=spec.manifest.SerializeToString(deterministic=True),
        shown=_redacted(spec, made.outputs),
        launch_plan=execution.launch_plan if execution is not None else "",
        size=sum(blob.size for blob in blobs.values()),
        created_at_us=at_us,
    )


def _redacted(spec: AttemptSpec, outputs: LiteralMap) -> bytes | None:
    """The outputs without what is Sensitive; None: nothing is."""
    variables = spec.interface.outputs
    if not any(literal_types.has_sensitive(each.type) for each in variables):
        return None
    return interface.redacted(outputs, variables).SerializeToString(deterministic=True)


def _check_count(count: int) -> None:
    if count > _MOST_KEYS:
        raise errors.UsageError(
            f"at most {_MOST_KEYS:,} keys are looked up at once, not {count:,}",
            where="keys",
            code="InvalidRequest",
        )
