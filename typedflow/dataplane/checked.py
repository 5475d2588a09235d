"""Reading an object without reading all of it, and yet no byte that is not what it was.

An object is checked chunk by chunk (64 MiB), as far as it is read; one of a single chunk is checked whole. Must never
give out a byte of a chunk before the chunk's digest is found to be right.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from typedflow.dataplane import addresses, digests

if TYPE_CHECKING:
    from typing_extensions import Buffer


class CheckedReader(io.RawIOBase):
    """An object's bytes as a stream that can be sought in. Holds one chunk at a time.

    Args:
        size: how many bytes it has.
        chunks: the digests of its chunks; of an object of one chunk, its own.
        read: given where to begin and how many, all of these bytes of the object.
        where: the object's full address, for messages.
        close: called when the stream is closed.
        tries: how often a chunk is read that is not what it was: it may have been damaged on the way.
        damaged: called when a chunk is not what it was, before the error is raised.
    """

    def __init__(
        self,
        size: int,
        chunks: Sequence[str],
        read: Callable[[int, int], Buffer],
        where: str,
        close: Callable[[], None] = lambda: None,
        *,
        tries: int = 1,
        damaged: Callable[[], None] = lambda: None,
    ) -> None:
        self._size = size
        self._chunks = chunks
        self._read = read
        self._where = where
        self._close = close
        self._tries = tries
        self._damaged = damaged
        self._at = 0
        self._held = -1
        self._view = memoryview(b"")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError("can't seek to before the beginning")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        """Raises IntegrityError where the object is not what it was, StorageError where it can't be read."""
        if self._at >= self._size and not self._is_unread_and_empty():
            return 0
        number, start = divmod(self._at, digests.CHUNK_SIZE)
        chunk = self._chunk(number)
        target = memoryview(buffer).cast("B")
        part = chunk[start : start + len(target)]
        target[: len(part)] = part
        self._at += len(part)
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._view = memoryview(b"")
            self._close()
        super().close()

    def _is_unread_and_empty(self) -> bool:
        return self._size == 0 and self._held < 0

    def _chunk(self, number: int) -> memoryview:
        if number != self._held:
            self._held, self._view = -1, memoryview(b"")  # before the next one is read: never two
            start = number * digests.CHUNK_SIZE
            length, expected = min(digests.CHUNK_SIZE, self._size - start), self._chunks[number]
            data = memoryview(self._read(start, length)).cast("B")
            tries = 1
            while (found := digests.of_bytes(data)) != expected and tries < self._tries:
                data = memoryview(self._read(start, length)).cast("B")
                tries += 1
            if found != expected:
                self._damaged()
            addresses.check(self._where, expected, found)
            self._held, self._view = number, data
        return self._view


def chunks_of(
    digest: str, size: int, listed: bytes | None, where: str, again: Callable[[], digests.FileDigest]
) -> tuple[str, ...]:
    """The digests of an object's chunks, given the list that is kept beside a large one.

    Args:
        again: makes them anew from the object itself: for a list that is gone, or not this object's.

    Raises:
        IntegrityError: the object is not what its name says either.
    """
    if size <= digests.CHUNK_SIZE:
        return (digest,)
    lines = (listed or b"").decode("ascii", "replace").split()
    if len(lines) == -(-size // digests.CHUNK_SIZE) and digests.of_chunks(iter(lines)) == digest:
        return tuple(lines)
    found = again()
    addresses.check(where, digest, found.digest)
    return found.chunks
