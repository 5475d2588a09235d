"""The object store in a bucket.

Objects have the names that they have in a folder, below the bucket's prefix. S3 makes a key whole or not at all. A
file is hashed first and sent to its final name if it is not there; only what comes as a stream has a temporary name,
below `incoming/`, and is copied from it inside S3.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent import futures
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from typedflow import errors
from typedflow.dataplane import addresses, checked, digests, folders, multipart, s3
from typedflow.dataplane.stored import Stored
from typedflow.pb.literals_pb2 import Blob

if TYPE_CHECKING:
    from typing_extensions import Buffer

_TRIES = 2
"""A chunk that is not what it was is fetched once more: it may have been damaged on the way."""
_BUFFERED = 1024 * 1024


def open_bucket(url: str) -> BucketStore:
    """The store at `s3://bucket/prefix`.

    Raises:
        UsageError: there is no bucket in it, or the extra `s3` is not installed.
    """
    parts = urlsplit(url)
    if not parts.netloc or parts.query or parts.fragment:
        raise errors.UsageError(
            "this is not a bucket's address", where=url, hint="write it as s3://bucket/prefix"
        )
    try:
        import botocore.session  # noqa: F401, PLC0415 - takes a quarter of a second; told of now and not in a task
    except ImportError:
        hint = "install it with pip install 'typedflow[s3]'"
        raise errors.UsageError(
            "S3 needs the extra `s3`", where=url, hint=hint, code="MissingExtra"
        ) from None
    return BucketStore(s3.Bucket(parts.netloc, unquote(parts.path).strip("/")))


class BucketStore:
    """See `ObjectStore`. The list of chunks of a large object is a key beside it, and is there before it is."""

    is_local = False

    def __init__(self, bucket: s3.Bucket) -> None:
        self._bucket = bucket
        self._sending = _Locks()

    def put_bytes(self, data: bytes) -> Blob:
        """See `ObjectStore.put_bytes`."""
        found = digests.of_view(data)
        self._put(found, lambda start, length: data[start : start + length], lambda: None)
        return addresses.blob(found.digest, found.size)

    def put_file(self, path: str | os.PathLike[str]) -> Blob:
        """See `ObjectStore.put_file`."""
        with folders.source_file(path) as source:
            before = _state(source)
            found = digests.of_file(path)

            def read(start: int, length: int) -> bytes:
                try:
                    return b"".join(map(bytes, digests.blocks(source.fileno(), start, length)))
                except EOFError:
                    raise folders.changed(path) from None

            def check() -> None:
                if _state(source) != before or before[0] != found.size:
                    raise folders.changed(path)

            self._put(found, read, check)
            check()
            return addresses.blob(found.digest, found.size)

    def put_chunks(self, chunks: Iterable[Buffer]) -> Blob:
        """See `ObjectStore.put_chunks`."""
        return self.put_written(lambda sink: sink.writelines(chunks))

    def put_written(self, write: Callable[[BinaryIO], object]) -> Blob:
        """See `ObjectStore.put_written`."""
        sink = multipart.Sink(self._bucket)
        try:
            write(cast("BinaryIO", sink))
            found, data = sink.finish()
            if data is not None:
                return self.put_bytes(data)
            if not self._has(found):
                self._put_chunk_list(found)
                sink.publish(addresses.name(found.digest))
            return addresses.blob(found.digest, found.size)
        finally:
            sink.give_up()

    def has(self, digest: str) -> bool:
        """See `ObjectStore.has`."""
        return self._bucket.size(addresses.name(digest)) is not None

    def exists(self, blobs: Sequence[Blob]) -> list[bool]:
        """See `ObjectStore.exists`."""
        names = [self._name(blob) for blob in blobs]
        wanted = list(dict.fromkeys(names))
        if len(wanted) == 1:
            there = {wanted[0]: self._bucket.size(wanted[0]) is not None}
        else:
            with futures.ThreadPoolExecutor(s3.CONNECTIONS, "typedflow-exists") as pool:
                sizes = pool.map(self._bucket.size, wanted)
                there = {name: size is not None for name, size in zip(wanted, sizes, strict=True)}
        return [there[name] for name in names]

    def open(self, blob: Blob) -> BinaryIO:
        """See `ObjectStore.open`."""
        name = self._name(blob)
        size, chunks = self._chunks(blob.digest, name)

        def read(start: int, length: int) -> Buffer:
            data = bytearray(length)
            self._read(name, start, length, _filling(data))
            return data

        raw = checked.CheckedReader(size, chunks, read, self._bucket.url(name), tries=_TRIES)
        return io.BufferedReader(raw, _BUFFERED)

    def read_bytes(self, blob: Blob) -> bytes:
        """See `ObjectStore.read_bytes`."""
        name = self._name(blob)
        size, chunks = self._chunks(blob.digest, name)
        data = bytearray(size)
        view = memoryview(data)
        self._gather(name, size, chunks, lambda start, length: _filling(view[start : start + length]))
        return bytes(data)

    def fetch(self, blob: Blob, destination: str | os.PathLike[str]) -> None:
        """See `ObjectStore.fetch`. Chunks come in parallel, and each is checked."""
        name = self._name(blob)
        size, chunks = self._chunks(blob.digest, name)
        with folders.whole_file(Path(destination)) as sink:
            self._gather(
                name, size, chunks, lambda start, _: _writing(sink.fileno(), start, str(destination))
            )

    def local_path(self, blob: Blob) -> Path | None:
        """See `ObjectStore.local_path`: there is none."""
        self._name(blob)
        return None

    def checked_path(self, blob: Blob) -> Path | None:
        """See `ObjectStore.checked_path`: there is none."""
        return self.local_path(blob)

    def list(self) -> Iterator[Stored]:
        """See `ObjectStore.list`."""
        for each in self._bucket.list(f"{addresses.FOLDER}/"):
            if digest := addresses.digest_of(each.key):
                yield Stored(digest, each.size, each.at_us)

    def delete(self, digests: Sequence[str]) -> None:
        """See `ObjectStore.delete`. The objects go before their lists of chunks, as they came after them."""
        names = [addresses.name(digest) for digest in digests]
        self._bucket.delete(names)
        self._bucket.delete([name + addresses.CHUNKS_SUFFIX for name in names])

    def drop_unfinished(self, older_than_s: float) -> None:
        """See `ObjectStore.drop_unfinished`. Uploads that broke off can't be gone on with afterwards."""
        latest_us = (time.time() - older_than_s) * 1_000_000
        for prefix in (f"{addresses.FOLDER}/", multipart.TEMPORARY):
            for key, upload, at_us in _all(self._bucket.unfinished(prefix)):
                if at_us <= latest_us:
                    self._bucket.give_up(key, upload)
        self._bucket.delete(
            [each.key for each in self._bucket.list(multipart.TEMPORARY) if each.at_us <= latest_us]
        )

    def _name(self, blob: Blob) -> str:
        return addresses.name_of(blob, self._bucket.url())

    def _has(self, found: digests.FileDigest) -> bool:
        return self._bucket.size(addresses.name(found.digest)) == found.size

    def _put(
        self, found: digests.FileDigest, read: Callable[[int, int], bytes], check: Callable[[], None]
    ) -> None:
        """Sends it if it is not there. Who sends the same here waits, and then finds it there."""
        name = addresses.name(found.digest)
        with self._sending.of(name):
            if self._has(found):
                return
            self._put_chunk_list(found)
            if found.size > multipart.PART:
                multipart.send(self._bucket, name, found.size, read, check)
                return
            data = read(0, found.size)
            check()
            self._bucket.put(name, data)

    def _put_chunk_list(self, found: digests.FileDigest) -> None:
        if found.chunks:
            listed = "".join(f"{chunk}\n" for chunk in found.chunks).encode("ascii")
            self._bucket.put(addresses.name(found.digest) + addresses.CHUNKS_SUFFIX, listed)

    def _chunks(self, digest: str, name: str) -> tuple[int, tuple[str, ...]]:
        """How large an object is, and the digests of its chunks. Raises IntegrityError when it is not there."""
        where = self._bucket.url(name)
        size = self._bucket.size(name)
        if size is None:
            raise addresses.gone(where)
        listed = self._bucket.get(name + addresses.CHUNKS_SUFFIX) if size > digests.CHUNK_SIZE else None

        def again() -> digests.FileDigest:
            hasher = digests.Hasher()
            self._read(name, 0, size, hasher.update)
            found = hasher.finish()
            if found.digest == digest:
                self._put_chunk_list(found)
            return found

        return size, checked.chunks_of(digest, size, listed, where, again)

    def _gather(
        self,
        name: str,
        size: int,
        chunks: Sequence[str],
        into: Callable[[int, int], Callable[[bytes], object]],
    ) -> None:
        """Reads all chunks, several at a time, each into what `into` gives for its place. Raises IntegrityError."""

        def chunk(start: int, length: int) -> str:
            expected, found = chunks[start // digests.CHUNK_SIZE], ""
            for _ in range(_TRIES):
                hasher, take = blake3(), into(start, length)

                def both(
                    block: bytes, hasher: blake3 = hasher, take: Callable[[bytes], object] = take
                ) -> None:
                    hasher.update(block)
                    take(block)

                self._read(name, start, length, both)
                found = digests.PREFIX + hasher.hexdigest()
                if found == expected:
                    return found
            addresses.check(self._bucket.url(name), expected, found)
            return found

        digests.in_chunks(size, chunk)

    def _read(self, name: str, start: int, length: int, take: Callable[[bytes], object]) -> None:
        if not self._bucket.read(name, start, length, take):
            raise addresses.gone(self._bucket.url(name))


class _Locks:
    """A lock for each name that somebody has or waits for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: dict[str, tuple[threading.Lock, int]] = {}

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keeps others of this name out."""
        with self._lock:
            lock, count = self._wanted.get(name, (threading.Lock(), 0))
            self._wanted[name] = lock, count + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                count = self._wanted[name][1]
                if count == 1:
                    del self._wanted[name]
                else:
                    self._wanted[name] = lock, count - 1


def _all(found: Iterable[tuple[str, str, int]]) -> list[tuple[str, str, int]]:
    """All of them at once: what is listed must not change while it is."""
    return [*found]


def _state(source: BinaryIO) -> tuple[int, int]:
    status = os.fstat(source.fileno())
    return status.st_size, status.st_mtime_ns


def _filling(target: bytearray | memoryview) -> Callable[[bytes], None]:
    """Takes blocks, and lays them one after another."""
    at = 0

    def take(block: bytes) -> None:
        nonlocal at
        target[at : at + len(block)] = block
        at += len(block)

    return take


def _writing(descriptor: int, start: int, where: str) -> Callable[[bytes], None]:
    """Takes blocks, and writes them one after another into a file."""
    at = start

    def take(block: bytes) -> None:
        nonlocal at
        with addresses.refusals(where):
            folders.write_at(descriptor, memoryview(block), at)
        at += len(block)

    return take
