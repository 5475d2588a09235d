"""Bytes: code bundles, and the values of executions. Every object is written whole and under its digest, or not at all.

A value is given to who may read the execution that it belongs to; an object is never given out by its digest alone.
"""

from __future__ import annotations

import asyncio
import functools
import itertools
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path

from typedflow import errors, identifiers, literal_types, literals
from typedflow.dataplane import addresses, bundles, digests, offload
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.attempt_pb2 import AttemptSpec
from typedflow.pb.data_pb2 import (
    FindMissingBundlesRequest,
    GetBundleRequest,
    GetValueRequest,
    PutBundleRequest,
    PutValueRequest,
)
from typedflow.pb.executions_pb2 import NodeExecution
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.literals_pb2 import Blob, Literal, LiteralMap
from typedflow.pb.types_pb2 import LiteralType
from typedflow_admin import garbage, principals, sensitive_nodes, store, values

MAX_BUNDLE_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024
_MOST_TRIES = 3


class Data:
    """Keeps and gives bytes. `folder` is where they are gathered, on the same file system as the objects."""

    def __init__(
        self, database: store.Store, objects: ObjectStore, folder: Path, clock_us: Callable[[], int]
    ) -> None:
        self._database = database
        self._objects = objects
        self._folder = folder
        self._clock_us = clock_us
        self._sensitive = sensitive_nodes.SensitiveNodes()

    async def missing_bundles(self, request: FindMissingBundlesRequest) -> list[str]:
        """Those that are not here, in the order asked.

        Raises:
            UsageError: no project or domain, or what is no digest.
        """
        _check_place(request)
        wanted = request.digests
        for digest in wanted:
            _check_digest(digest, "digests")
        there = await self._database.read(lambda transaction: transaction.entities.bundles(wanted))
        missing = set(wanted) - there.keys()
        if there:
            found = await asyncio.to_thread(self._objects.exists, [_blob_of(row) for row in there.values()])
            missing |= {digest for digest, exists in zip(there, found, strict=True) if not exists}
        return [digest for digest in dict.fromkeys(wanted) if digest in missing]

    async def put_bundle(self, requests: AsyncIterable[PutBundleRequest]) -> None:
        """Keeps a bundle.

        Raises:
            UsageError: no project, domain or digest, a chunk of more than 1 MiB, or more than 64 MiB in all.
            IntegrityError: the bytes are not what the digest says.
        """
        stream = aiter(requests)
        first = await anext(stream, PutBundleRequest())
        _check_place(first)
        _check_digest(first.digest, "digest")
        data = bytearray(_chunk(first))
        async for request in stream:
            data += _chunk(request)
            if len(data) > MAX_BUNDLE_BYTES:
                raise errors.BundleError(
                    f"a bundle has at most {MAX_BUNDLE_BYTES >> 20} MiB",
                    where=first.digest,
                    code="BundleTooLarge",
                )
        await asyncio.to_thread(bundles.check, bytes(data), first.digest)
        now, principal = self._clock_us(), principals.current()

        def insert(transaction: store.Transaction, blob: Blob) -> None:
            row = store.BundleRow(first.digest, blob.SerializeToString(), now, principal)
            transaction.entities.insert_bundle(row)

        await self._keep(lambda: self._objects.put_bytes(bytes(data)), insert)

    async def get_bundle(self, request: GetBundleRequest) -> AsyncIterator[bytes]:
        """A bundle's bytes.

        Raises:
            UsageError: no project or domain, or what is no digest.
            NotFound: it is not here.
        """
        _check_place(request)
        digest = request.digest
        _check_digest(digest, "digest")
        there = await self._database.read(lambda transaction: transaction.entities.bundles([digest]))
        if not there or not await self._exists(_blob_of(there[digest])):
            raise errors.NotFound(f"the code bundle {digest} is not here", hint="register again to upload it")
        async for chunk in self._read(_blob_of(there[digest])):
            yield chunk

    async def put_value(self, requests: AsyncIterable[PutValueRequest]) -> Blob:
        """Keeps the bytes of an input, of any size that the disk has room for; memory does not grow with it.

        Raises:
            UsageError: no project, or a chunk of more than 1 MiB.
        """
        stream = aiter(requests)
        first = await anext(stream, PutValueRequest())
        _check_label(first.project, "project")
        # Written in threads: a busy disk must not stop the loop.
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            await asyncio.to_thread(file.write, _chunk(first))
            async for request in stream:
                await asyncio.to_thread(file.write, _chunk(request))
            await asyncio.to_thread(file.flush)
            return await self._keep(lambda: self._objects.put_file(file.name), _claim)

    async def get_value(self, request: GetValueRequest) -> AsyncIterator[bytes]:
        """The bytes behind an execution's input or output, or a node's report; what is Sensitive is not given out.

        Raises:
            NotFound: there is no such execution, node, variable or object in it.
            IntegrityError: the object is gone.
        """
        if request.deck:
            async for chunk in self._there(
                await self._database.read(functools.partial(_deck, request=request))
            ):
                yield chunk
            return
        literal, of = await self._database.read(lambda transaction: self._value(transaction, request))
        shown = literal if of is None else literals.redacted(literal, of)
        blob = _wanted(shown, request)
        if blob is None and request.digest:  # then it may be in what is kept elsewhere
            whole = await asyncio.to_thread(offload.load, literal, self._objects)
            if whole is not literal:
                blob = _wanted(whole if of is None else literals.redacted(whole, of), request)
        if blob is None:
            raise _not_there(shown, request)
        async for chunk in self._there(blob):
            yield chunk

    def _value(
        self, transaction: store.Transaction, request: GetValueRequest
    ) -> tuple[Literal, LiteralType | None]:
        """The value, and its type where there may be something Sensitive in it."""
        found = transaction.executions.find(request.execution_id)
        if found is None:
            raise errors.NotFound(f"there is no execution `{request.execution_id}`")
        execution, launch = found
        inputs, outputs = (
            LiteralMap.FromString(launch.inputs),
            LiteralMap.FromString(execution.outputs or b""),
        )
        of: Interface | None = Interface.FromString(launch.interface)
        if request.node:
            row = transaction.executions.node(request.execution_id, request.node)
            if row is None:
                raise errors.NotFound(f"execution `{request.execution_id}` has no node `{request.node}`")
            outputs = NodeExecution.FromString(row.state).outputs
            attempt = transaction.attempts.find(request.execution_id, request.node, 0)
            inputs = AttemptSpec.FromString(attempt[0].spec).inputs if attempt else LiteralMap()
            of = self._sensitive.of(transaction, launch, [request.node]).get(request.node)
        for given, variables in ((outputs, of and of.outputs), (inputs, of and of.inputs)):
            value = literals.get(given, request.variable)
            if value is not None:
                return value, None if variables is None else _type(variables, request.variable)
        names = [one.name for one in (*outputs.values, *inputs.values)]
        raise errors.NotFound(
            f"there is no value `{request.variable}`",
            where="variable",
            hint=f"there are {', '.join(names)}" if names else "it has no values yet",
        )

    async def _keep(self, put: Callable[[], Blob], then: Callable[[store.Transaction, Blob], None]) -> Blob:
        """Puts an object, and does something with it in a transaction; again, should it be removed meanwhile."""
        tries = itertools.count(1)
        while True:
            blob = await asyncio.to_thread(put)
            try:
                await self._database.write(functools.partial(_with, then, blob))
            except errors.IntegrityError as error:
                if error.code != garbage.GONE or next(tries) == _MOST_TRIES:
                    raise
            else:
                return blob

    async def _there(self, blob: Blob) -> AsyncIterator[bytes]:
        if not await self._exists(blob):
            raise addresses.gone(blob.uri)
        async for chunk in self._read(blob):
            yield chunk

    async def _exists(self, blob: Blob) -> bool:
        """Whether the store has it. A store that does not answer is waited for beside the loop."""
        return (await asyncio.to_thread(self._objects.exists, [blob]))[0]

    async def _read(self, blob: Blob) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self._objects.open, blob)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        finally:
            file.close()


def _with(
    then: Callable[[store.Transaction, Blob], None], blob: Blob, transaction: store.Transaction
) -> None:
    then(transaction, blob)


def _deck(transaction: store.Transaction, *, request: GetValueRequest) -> Blob:
    """A node's report."""
    row = transaction.executions.node(request.execution_id, request.node)
    if row is None:
        raise errors.NotFound(
            f"execution `{request.execution_id}` has no node `{request.node}`",
            hint=f"`typedflow get nodes {request.execution_id}` lists them",
        )
    node = NodeExecution.FromString(row.state)
    if not node.HasField("deck"):
        raise errors.NotFound(
            f"node `{request.node}` has no report", hint='a task writes one with Deck("title").append(...)'
        )
    return node.deck


def _claim(transaction: store.Transaction, blob: Blob) -> None:
    """Nothing refers to it yet, but somebody is about to: its time begins anew."""
    transaction.objects.claim([blob.digest])


def _blob_of(row: store.BundleRow) -> Blob:
    return Blob.FromString(row.blob)


def _chunk(request: PutBundleRequest | PutValueRequest) -> bytes:
    if len(request.data) > CHUNK_BYTES:
        raise errors.UsageError(
            f"a message has at most {CHUNK_BYTES >> 20} MiB of data, not {len(request.data):,} bytes",
            where="data",
            hint="send it in more messages",
            code="InvalidRequest",
        )
    return request.data


def _check_place(request: FindMissingBundlesRequest | PutBundleRequest | GetBundleRequest) -> None:
    _check_label(request.project, "project")
    _check_label(request.domain, "domain")


def _check_label(label: str, where: str) -> None:
    if problem := identifiers.check_label(label):
        raise errors.UsageError(problem, where=where, code="InvalidName")


def _check_digest(digest: str, where: str) -> None:
    if not digests.is_digest(digest):
        raise errors.UsageError(
            "this is no digest: `b3:` and 64 hexadecimal digits", where=where, code="InvalidDigest"
        )


def _type(variables: Iterable[Variable], name: str) -> LiteralType:
    """The type of a variable; of one that is not known, nothing is shown."""
    unknown = literal_types.sensitive(LiteralType())
    return next((each.type for each in variables if each.name == name), unknown)


def _wanted(literal: Literal, request: GetValueRequest) -> Blob | None:
    """The object of the digest, or the only one where none is given."""
    there = values.blobs_of(literal)
    if request.digest:
        return next((blob for blob in there if blob.digest == request.digest), None)
    found = list(there)
    return found[0] if len(found) == 1 else None


def _not_there(literal: Literal, request: GetValueRequest) -> errors.NotFound:
    count = sum(1 for _ in values.blobs_of(literal))
    if count and not request.digest:
        return errors.NotFound(
            f"`{request.variable}` points at {count} objects",
            where="digest",
            hint="give the digest of one of them",
        )
    return errors.NotFound(
        "there are no such bytes in the value",
        where="digest",
        hint="what it has is in the execution itself, unless it is Sensitive: that is not given out",
    )
