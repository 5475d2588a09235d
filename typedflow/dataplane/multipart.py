"""Sending large objects to a bucket in parts, several at a time.

A file's upload that broke off is found again by its key, and only what is missing is sent: a part that is there counts
if its ETag is that of the file's bytes. What comes as a stream goes to a temporary key: its name is known at its end.
"""

from __future__ import annotations

import hashlib
import io
import secrets
from collections.abc import Callable
from concurrent import futures
from typing import TYPE_CHECKING

from typedflow.dataplane import digests, s3

if TYPE_CHECKING:
    from typing_extensions import Buffer

PART = 16 * 1024 * 1024
TEMPORARY = "incoming/"
_AT_ONCE = 4
_MOST_PARTS = 10_000
_MEBIBYTE = 1024 * 1024
_SAME_SIZE = 2000
"""After so many parts of a stream, whose length nobody knows, they get twice as large."""


def send(
    bucket: s3.Bucket, key: str, size: int, read: Callable[[int, int], bytes], check: Callable[[], None]
) -> None:
    """Writes a key in parts, whole or not at all; goes on with an upload of it that broke off.

    Args:
        read: given where to begin and how many, these bytes.
        check: raises when they were not all of one state; called before the key is made.
    """
    try:
        _send(bucket, key, size, read, check)
    except (
        s3.NoSuchUpload
    ):  # who sent the same at the same time has completed it, or it was given up as too old
        if bucket.size(key) != size:
            _send(bucket, key, size, read, check)


def _send(
    bucket: s3.Bucket, key: str, size: int, read: Callable[[int, int], bytes], check: Callable[[], None]
) -> None:
    upload, there = _begun(bucket, key)
    length = part_size(size)

    def part(number: int) -> str:
        start = (number - 1) * length
        data = read(start, min(length, size - start))
        tag, count = there.get(number, ("", -1))
        if count == len(data) and tag.strip('"') == hashlib.md5(data, usedforsecurity=False).hexdigest():
            return tag
        return bucket.put_part(key, upload, number, data)

    pool = futures.ThreadPoolExecutor(_AT_ONCE, "typedflow-upload")
    try:
        tags = list(pool.map(part, range(1, -(-size // length) + 1)))
    finally:
        pool.shutdown(cancel_futures=True)
    check()
    bucket.complete(key, upload, tags)


def part_size(size: int) -> int:
    """How large the parts of so many bytes are: as S3 allows 10,000 of them, those of very large objects are larger."""
    return max(PART, -(-size // _MOST_PARTS // _MEBIBYTE) * _MEBIBYTE)


def _begun(bucket: s3.Bucket, key: str) -> tuple[str, dict[int, tuple[str, int]]]:
    """An upload of this key, and the parts of it that are there: the latest that broke off, or a new one."""
    left = [(at_us, upload) for name, upload, at_us in bucket.unfinished(key) if name == key]
    if left:
        upload = max(left)[1]
        try:
            return upload, bucket.parts(key, upload)
        except s3.NoSuchUpload:
            pass
    return bucket.begin(key), {}


class Sink(io.RawIOBase):
    """A file to write to, whose bytes are sent as they come; `finish` gives them their name, `give_up` forgets them.

    Holds a few parts at a time.
    """

    def __init__(self, bucket: s3.Bucket) -> None:
        self._bucket = bucket
        self._hasher = digests.Hasher()
        self._key = TEMPORARY + secrets.token_hex(16)
        self._upload = ""
        self._part = bytearray()
        self._size = 0
        self._sent: list[futures.Future[str]] = []
        self._pool: futures.ThreadPoolExecutor | None = None

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Buffer) -> int:
        view = memoryview(data).cast("B")
        self._hasher.update(view)
        self._size += len(view)
        rest = view
        while rest:
            room = self._room() - len(self._part)
            self._part += rest[:room]
            rest = rest[room:]
            if len(self._part) >= self._room():
                self._send()
        return len(view)

    def finish(self) -> tuple[digests.FileDigest, bytes | None]:
        """What was written; and its bytes where they are so few that none was sent yet."""
        if self._upload:
            if self._part:
                self._send()
            tags = [each.result() for each in self._sent]
            self._bucket.complete(self._key, self._upload, tags)
            return self._hasher.finish(), None
        return self._hasher.finish(), bytes(self._part)

    def publish(self, name: str) -> None:
        """Gives what was sent its name: the bytes stay where they are."""
        self._bucket.copy(self._key, name, self._size)

    def give_up(self) -> None:
        """Forgets what was sent under its temporary name."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        if self._upload:
            self._bucket.give_up(self._key, self._upload)
            self._bucket.delete([self._key])

    def _room(self) -> int:
        return PART << len(self._sent) // _SAME_SIZE

    def _send(self) -> None:
        if self._pool is None:
            self._pool = futures.ThreadPoolExecutor(_AT_ONCE, "typedflow-upload")
            self._upload = self._bucket.begin(self._key)
        if len(self._sent) >= _AT_ONCE:
            self._sent[-_AT_ONCE].result()  # what comes faster than it is sent waits here, and not in memory
        number = len(self._sent) + 1
        self._sent.append(
            self._pool.submit(self._bucket.put_part, self._key, self._upload, number, bytes(self._part))
        )
        self._part = bytearray()
