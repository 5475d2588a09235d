"""Bytes: code bundles, and the values of executions. Every object is written whole and under its digest, or not at all.

A value is given to who may read the execution that it belongs to; an object is never given out by its digest alone.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Callable
from pathlib import Path

from typedflow import errors, identifiers, literals
from typedflow.dataplane import bundles, digests
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
from typedflow.pb.literals_pb2 import Blob, Literal, LiteralMap
from typedflow_admin import principals, store, values

MAX_BUNDLE_BYTES = 64 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024


class Data:
    """Keeps and gives bytes. `folder` is where they are gathered, on the same file system as the objects."""

    def __init__(
        self, database: store.Store, objects: ObjectStore, folder: Path, clock_us: Callable[[], int]
    ) -> None:
        self._database = database
        self._objects = objects
        self._folder = folder
        self._clock_us = clock_us

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
        blob = await asyncio.to_thread(self._objects.put_bytes, bytes(data))
        row = store.BundleRow(first.digest, blob.SerializeToString(), self._clock_us(), principals.current())
        await self._database.write(lambda transaction: transaction.entities.insert_bundle(row))

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
        if not there or not self._objects.exists([_blob_of(there[digest])])[0]:
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
            return await asyncio.to_thread(self._objects.put_file, file.name)

    async def get_value(self, request: GetValueRequest) -> AsyncIterator[bytes]:
        """The bytes behind an execution's input or output.

        Raises:
            NotFound: there is no such execution, node, variable or object in it.
            IntegrityError: the object is gone.
        """
        literal = await self._database.read(lambda transaction: _value(transaction, request))
        blob = _blob(literal, request)
        if not self._objects.exists([blob])[0]:
            raise errors.IntegrityError("the bytes are no longer there", where=blob.uri)
        async for chunk in self._read(blob):
            yield chunk

    async def _read(self, blob: Blob) -> AsyncIterator[bytes]:
        file = await asyncio.to_thread(self._objects.open, blob)
        try:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES):
                yield chunk
        finally:
            file.close()


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


def _value(transaction: store.Transaction, request: GetValueRequest) -> Literal:
    found = transaction.executions.find(request.execution_id)
    if found is None:
        raise errors.NotFound(f"there is no execution `{request.execution_id}`")
    execution, launch = found
    inputs, outputs = LiteralMap.FromString(launch.inputs), LiteralMap.FromString(execution.outputs or b"")
    if request.node:
        row = transaction.executions.node(request.execution_id, request.node)
        if row is None:
            raise errors.NotFound(f"execution `{request.execution_id}` has no node `{request.node}`")
        outputs = NodeExecution.FromString(row.state).outputs
        attempt = transaction.attempts.find(request.execution_id, request.node, 0)
        inputs = AttemptSpec.FromString(attempt[0].spec).inputs if attempt else LiteralMap()
    value = literals.get(outputs, request.variable) or literals.get(inputs, request.variable)
    if value is None:
        names = [one.name for one in (*outputs.values, *inputs.values)]
        raise errors.NotFound(
            f"there is no value `{request.variable}`",
            where="variable",
            hint=f"there are {', '.join(names)}" if names else "it has no values yet",
        )
    return value


def _blob(literal: Literal, request: GetValueRequest) -> Blob:
    there = list(values.blobs_of(literal))
    if request.digest:
        there = [blob for blob in there if blob.digest == request.digest]
    if not there or (len(there) > 1 and not request.digest):
        raise errors.NotFound(
            f"`{request.variable}` points at {len(there)} objects"
            if there
            else "there are no such bytes in the value",
            where="digest",
            hint="give the digest of one of them" if there else "its value is in the execution itself",
        )
    return there[0]
