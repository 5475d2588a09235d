"""Garbage collection: forgets what is old, and removes the objects that nothing refers to any more.

An object is removed in two calls. In the first, one transaction condemns what nothing refers to; in a later one, when
the grace period is over and still nothing refers to it, it is removed. In between it is as good as any: whoever writes
a reference to it revives it in the same transaction, whatever room writes it (`Guarded`). While it is removed, and
afterwards, no reference is written until the store was seen to have it again.

Why nothing that is referred to is removed: a reference is there when the later call looks (then the object is revived),
or it is written after that. What is written after finds the object condemned (and revives it, so the removal, which
begins with a transaction of its own, does not find it), or removed (and is refused).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from typedflow import errors
from typedflow.dataplane import addresses
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.data_pb2 import CollectGarbageRequest, CollectGarbageResponse
from typedflow_admin import references, store
from typedflow_admin.cache_store import REMOVED, REMOVING, CatalogFilter, CondemnedRow, ObjectsRemoved
from typedflow_admin.contents import Contents

T = TypeVar("T")

GONE = "ObjectsGone"
"""The code of the error of who refers to objects that are not there any more."""

_REMOVED_AT_ONCE = 500
_FORGOTTEN_AT_ONCE = 50
_TRIES = 5
_UNFINISHED_S = 24 * 3600.0


class Garbage:
    """Collects garbage.

    Args:
        database: a store that does not ask back here.
        objects: where the objects are.
        contents: looks into those that are values themselves.
        grace_s: how long an object stays at least after it was condemned.
        clock_us: the time, in microseconds since 1970.
    """

    def __init__(
        self,
        database: store.Store,
        objects: ObjectStore,
        contents: Contents,
        grace_s: float,
        clock_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._objects = objects
        self._contents = contents
        self._grace_us = int(grace_s * 1_000_000)
        self._clock_us = clock_us
        self._collecting = False
        # Around a removal, and around looking whether something that was removed is there again.
        self._removing = asyncio.Lock()

    async def collect(self, request: CollectGarbageRequest) -> AsyncIterator[CollectGarbageResponse]:
        """Collects, and says how far it is.

        Raises:
            StateConflict: it is being collected already.
            StorageError: the store can't be read or written.
        """
        if self._collecting:
            raise errors.StateConflict(
                "garbage is being collected already", hint="wait for its end", code="AlreadyCollecting"
            )
        self._collecting = True
        try:
            async for progress in self._collect(request):
                yield progress
        finally:
            self._collecting = False

    async def _collect(self, request: CollectGarbageRequest) -> AsyncIterator[CollectGarbageResponse]:
        now = self._clock_us()
        progress = CollectGarbageResponse(stage="looking for what is old")
        yield _copy(progress)
        executions, keys = await self._old(request, now)
        progress.executions, progress.entries = len(executions), len(keys)
        if not request.dry_run:
            progress.stage = "forgetting what is old"
            yield _copy(progress)
            await self._forget(executions, keys)
            await self._clear_leftovers()
        progress.stage = "looking for what nothing refers to"
        yield _copy(progress)
        condemned, due = await self._condemn(executions, keys, now, dry_run=request.dry_run)
        progress.condemned_objects, progress.condemned_bytes = len(condemned), sum(condemned.values())
        if request.dry_run:
            progress.removed_objects, progress.removed_bytes = len(due), sum(due.values())
        else:
            progress.stage = "removing"
            async for count, size in self._remove(list(due)):
                progress.removed_objects += count
                progress.removed_bytes += size
                yield _copy(progress)
            await asyncio.to_thread(self._objects.drop_unfinished, _UNFINISHED_S)
        progress.stage = "done"
        yield progress

    async def _old(self, request: CollectGarbageRequest, now: int) -> tuple[list[str], list[str]]:
        """The executions that ended long ago, and the entries that were not used for as long."""
        before = now - request.older_than_ms * 1000
        if not request.older_than_ms or before <= 0:
            return [], []
        wanted = CatalogFilter(request.project, request.domain, before_us=before, unused=True)
        return await self._database.read(
            lambda transaction: (
                transaction.objects.expired(request.project, request.domain, before),
                transaction.catalog.keys(wanted),
            )
        )

    async def _forget(self, executions: Sequence[str], keys: Sequence[str]) -> None:
        await self._database.write(lambda transaction: transaction.catalog.remove(keys))
        # An execution may have very many rows: others write in between.
        for part in _parts(executions, _FORGOTTEN_AT_ONCE):
            await self._database.write(partial(_forget, ids=part))

    async def _condemn(
        self, executions: Collection[str], keys: Collection[str], now: int, *, dry_run: bool
    ) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Condemns what nothing refers to; gives its sizes by digest, and those of what is to be removed now."""
        there = await asyncio.to_thread(self._listed)

        def mark(transaction: store.Transaction) -> list[references.Reference]:
            found: dict[tuple[str, str], references.Reference] = {}
            for message in transaction.objects.messages(executions, keys):
                for reference in references.of(message):
                    found.setdefault((reference.blob.digest, reference.kind), reference)
            return list(found.values())

        used = await asyncio.to_thread(self._contents.all, await self._database.read(mark))
        unused = {digest: size for digest, size in there.items() if digest not in used}
        before = now - self._grace_us
        if dry_run:
            due = await self._database.read(lambda transaction: transaction.objects.due(before))
        else:

            def condemn(transaction: store.Transaction) -> list[CondemnedRow]:
                transaction.objects.revive(used.keys())
                due = transaction.objects.due(before)
                transaction.objects.condemn(unused, now)
                transaction.objects.forget(before)
                return due

            due = await self._database.write(condemn)
        removed = {row.digest: row.size for row in due if row.digest in unused}
        return {digest: size for digest, size in unused.items() if digest not in removed}, removed

    def _listed(self) -> dict[str, int]:
        return {each.digest: each.size for each in self._objects.list()}

    async def _remove(self, due: Sequence[str]) -> AsyncIterator[tuple[int, int]]:
        """Removes what is still condemned; gives how many objects and bytes as it goes."""
        for part in _parts(due, _REMOVED_AT_ONCE):
            async with self._removing:
                now = self._clock_us()
                rows = await self._database.write(partial(_begin_removal, digests=part, at_us=now))
                await self._finish_removal([row.digest for row in rows])
            yield len(rows), sum(row.size for row in rows)

    async def _clear_leftovers(self) -> None:
        """Ends removals that a crash has left half done."""
        async with self._removing:
            await self._finish_removal(
                await self._database.read(lambda transaction: transaction.objects.leftover())
            )

    async def _finish_removal(self, digests: Sequence[str]) -> None:
        if digests:
            await asyncio.to_thread(self._objects.delete, digests)
            now = self._clock_us()
            await self._database.write(lambda transaction: transaction.objects.end_removal(digests, now))

    async def settle(self, digests: Collection[str]) -> set[str]:
        """Takes what is there again out of what was removed, so that it may be referred to; gives what is not."""
        async with self._removing:
            rows = await self._database.read(lambda transaction: transaction.objects.find(digests))
            await self._finish_removal([row.digest for row in rows if row.state == REMOVING])
            removed = [row.digest for row in rows if row.state in (REMOVING, REMOVED)]
            blobs = [addresses.blob(digest, 0) for digest in removed]
            found = await asyncio.to_thread(self._objects.exists, blobs) if blobs else []
            there = [digest for digest, is_there in zip(removed, found, strict=True) if is_there]
            await self._database.write(lambda transaction: transaction.objects.revive(there, (REMOVED,)))
        return set(removed) - set(there)


class Guarded:
    """A store whose transactions refer to nothing that is removed; see `store.Store`."""

    def __init__(self, database: store.Store, garbage: Garbage) -> None:
        self._database = database
        self._garbage = garbage

    async def read(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.read`."""
        return await self._database.read(work)

    async def write(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.write`. Begins again when objects that were removed turn out to be there.

        Raises:
            IntegrityError: the transaction refers to objects that are not there any more.
        """
        for _ in range(_TRIES):
            try:
                return await self._database.write(work)
            except ObjectsRemoved as removed:
                missing = await self._garbage.settle(removed.digests)
                if missing:
                    break
        raise errors.IntegrityError(
            "objects that are referred to were removed from the store because nothing did so",
            hint="put them there again: upload what is launched once more; a task is run again",
            code=GONE,
        )


def _forget(transaction: store.Transaction, *, ids: Sequence[str]) -> None:
    transaction.objects.forget_executions(ids)


def _begin_removal(
    transaction: store.Transaction, *, digests: Sequence[str], at_us: int
) -> list[CondemnedRow]:
    return transaction.objects.begin_removal(digests, at_us)


def _copy(progress: CollectGarbageResponse) -> CollectGarbageResponse:
    made = CollectGarbageResponse()
    made.CopyFrom(progress)
    return made


def _parts(items: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(items)
    while part := list(itertools.islice(remaining, size)):
        yield part
