"""The digest of bytes and of files: `b3:<hex>` by BLAKE3.

A file of more than 64 MiB has the digest of the list of its 64 MiB chunks' digests, so that it can be hashed in
parallel, sent in parts and checked by range. The rule is fixed: a digest is a name, and a name never changes.
This module reads files and nothing else.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from blake3 import blake3

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from typing_extensions import Buffer

PREFIX = "b3:"
CHUNK_SIZE = 64 * 1024 * 1024
AT_ONCE = 4
"""Chunks of one object that are under way at a time."""
BLOCK_SIZE = 1024 * 1024
_HEX = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file's bytes are: their digest, how many there are, and the digests of their chunks.

    `chunks` is empty for a file of at most one chunk, whose digest is that of its bytes.
    """

    digest: str
    size: int
    chunks: tuple[str, ...] = ()


def of_bytes(data: Buffer) -> str:
    """The digest of bytes held in memory; equal to `of_file` of a file that holds them."""
    view = memoryview(data).cast("B")
    if len(view) <= CHUNK_SIZE:
        return PREFIX + blake3(view).hexdigest()
    starts = range(0, len(view), CHUNK_SIZE)
    return of_chunks(PREFIX + blake3(view[start : start + CHUNK_SIZE]).hexdigest() for start in starts)


def of_view(data: Buffer) -> FileDigest:
    """As `of_bytes`, with the digests of the chunks."""
    hasher = Hasher()
    hasher.update(data)
    return hasher.finish()


def of_chunks(chunks: Iterator[str]) -> str:
    """The digest of a file of more than one chunk: that of its chunks' digests, one per line."""
    return PREFIX + blake3("".join(f"{chunk}\n" for chunk in chunks).encode()).hexdigest()


def of_file(path: str | os.PathLike[str]) -> FileDigest:
    """The digest of a file. Memory does not grow with it; the chunks of a large one are hashed in parallel."""
    with Path(path).open("rb", buffering=0) as file:
        descriptor = file.fileno()
        size = os.fstat(descriptor).st_size
        if size > CHUNK_SIZE and os.path.isfile(path):  # noqa: PTH113 - no size is known of a device or a pipe
            with contextlib.suppress(EOFError):  # it is being cut short: then it is what can be read of it
                return in_chunks(size, lambda start, length: _of_blocks(blocks(descriptor, start, length)))
        return of_stream(file)


def in_chunks(size: int, chunk: Callable[[int, int], str]) -> FileDigest:
    """The digest of what has so many bytes, chunk by chunk and several at a time.

    Args:
        chunk: given where a chunk starts and its length, does what is to be done with it and gives its digest. What it
            raises is raised here, and no further chunk is begun.
    """
    starts = range(0, max(size, 1), CHUNK_SIZE)
    lengths = [min(CHUNK_SIZE, size - start) for start in starts]
    if len(starts) == 1:
        return FileDigest(chunk(0, size), size)
    from concurrent import futures  # noqa: PLC0415 - most of what is hashed has one chunk

    pool = futures.ThreadPoolExecutor(min(AT_ONCE, len(starts)), "typedflow-chunks")
    try:
        found = tuple(pool.map(chunk, starts, lengths))
    finally:
        pool.shutdown(cancel_futures=True)
    return FileDigest(of_chunks(iter(found)), size, found)


def blocks(descriptor: int, start: int, length: int) -> Iterator[memoryview]:
    """A part of an open file in blocks; each is good until the next one is asked for. Raises EOFError at its end."""
    buffer = memoryview(bytearray(min(BLOCK_SIZE, max(length, 1))))
    end = start + length
    while start < end:
        count = os.preadv(descriptor, [buffer[: end - start]], start)
        if not count:
            raise EOFError("the file is shorter than it was")
        yield buffer[:count]
        start += count


def _of_blocks(parts: Iterable[Buffer]) -> str:
    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return PREFIX + hasher.hexdigest()


def of_stream(stream: BinaryIO, sink: BinaryIO | None = None) -> FileDigest:
    """The digest of what is left to read in `stream`; every block read is written to `sink`, if there is one."""
    stream_digest = Hasher()
    buffer = bytearray(BLOCK_SIZE)
    view = memoryview(buffer)
    while count := _read_into(stream, view):
        stream_digest.update(view[:count])
        if sink is not None:
            sink.write(view[:count])
    return stream_digest.finish()


class Hasher:
    """Digests bytes as they come, in blocks of any size; `finish` says what they were."""

    __slots__ = ("_chunk", "_chunks", "_in_chunk", "_size")

    def __init__(self) -> None:
        self._chunk = blake3()
        self._chunks: list[str] = []
        self._in_chunk = 0
        self._size = 0

    def update(self, data: Buffer) -> None:
        """Takes the next bytes."""
        view = memoryview(data).cast("B")
        while len(view):
            if self._in_chunk == CHUNK_SIZE:
                self._chunks.append(PREFIX + self._chunk.hexdigest())
                self._chunk = blake3()
                self._in_chunk = 0
            part = view[: CHUNK_SIZE - self._in_chunk]
            self._chunk.update(part)
            self._in_chunk += len(part)
            self._size += len(part)
            view = view[len(part) :]

    def finish(self) -> FileDigest:
        """What all the bytes taken so far are."""
        last = PREFIX + self._chunk.hexdigest()
        if not self._chunks:
            return FileDigest(last, self._size)
        chunks = (*self._chunks, last)
        return FileDigest(of_chunks(iter(chunks)), self._size, chunks)


def is_digest(text: str) -> bool:
    """Whether `text` is a well-formed digest: safe to make a file name of."""
    return text.startswith(PREFIX) and len(text) == len(PREFIX) + 64 and _HEX.issuperset(text[len(PREFIX) :])


def _read_into(stream: BinaryIO, view: memoryview) -> int:
    read_into = getattr(stream, "readinto", None)
    if read_into is not None:
        return int(read_into(view) or 0)
    data = stream.read(len(view))
    view[: len(data)] = data
    return len(data)
