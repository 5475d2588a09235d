"""The object store in a local folder.

Objects are read-only files. What is being written is under `.incoming/` in the same file system until it is whole, and
then gets its name by a rename. What is found damaged is moved to `.damaged/`. Never links to a file that somebody else
may still write to.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from blake3 import blake3

from typedflow import errors
from typedflow.dataplane import addresses, checked, digests
from typedflow.dataplane.stored import Stored
from typedflow.pb.literals_pb2 import Blob

if TYPE_CHECKING:
    from typing_extensions import Buffer

_TEMPORARY = ".incoming"
_DAMAGED = ".damaged"
_BUFFERED = 1024 * 1024


class FolderStore:
    """See `ObjectStore`. The list of chunks of a large object lies beside it, and is there before it is."""

    is_local = True

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))

    def put_bytes(self, data: bytes) -> Blob:
        """See `ObjectStore.put_bytes`."""
        digest = digests.of_bytes(data)
        if self._has(digest, len(data)):
            return addresses.blob(digest, len(data))
        return self.put_written(lambda sink: sink.write(data))

    def put_file(self, path: str | os.PathLike[str]) -> Blob:
        """See `ObjectStore.put_file`. Hashes first: a file that the store has is read once and not written.

        A file that changes between hashing and copying is kept as what was copied: its digest is taken again from
        the bytes that are written.
        """
        with source_file(path) as source:
            found = digests.of_file(path)
            if self._has(found.digest, found.size):
                return addresses.blob(found.digest, found.size)
            with self._incoming() as (temporary, sink):
                try:
                    copied = _copied(source.fileno(), sink.fileno(), str(temporary))
                except EOFError:
                    raise changed(path) from None
                return self._publish(temporary, sink, copied)

    def put_chunks(self, chunks: Iterable[Buffer]) -> Blob:
        """See `ObjectStore.put_chunks`. What they are is known when all of them are written."""
        return self.put_written(lambda sink: sink.writelines(chunks))

    def put_written(self, write: Callable[[BinaryIO], object]) -> Blob:
        """See `ObjectStore.put_written`."""
        with self._incoming() as (temporary, sink):
            writer = _Writer(sink)
            write(cast("BinaryIO", writer))
            found = writer.finish()
            if self._has(found.digest, found.size):
                return addresses.blob(found.digest, found.size)
            return self._publish(temporary, sink, found)

    def has(self, digest: str) -> bool:
        """See `ObjectStore.has`."""
        return self._path(digest).is_file()

    def _has(self, digest: str, size: int) -> bool:
        """Whether it need not be written: what was cut short is written again."""
        path = self._path(digest)
        try:
            return path.stat().st_size == size
        except OSError:
            return False

    def exists(self, blobs: Sequence[Blob]) -> list[bool]:
        """See `ObjectStore.exists`."""
        return [self._locate(blob).is_file() for blob in blobs]

    def open(self, blob: Blob) -> BinaryIO:
        """See `ObjectStore.open`."""
        path = self._locate(blob)
        file = self._opened(path)
        try:
            size = os.fstat(file.fileno()).st_size
            chunks = self._chunks(path, blob.digest, size)
        except BaseException:
            file.close()
            raise

        def read(start: int, length: int) -> Buffer:
            with addresses.refusals(str(path)):
                data = memoryview(bytearray(length))
                count = 0
                while count < length and (more := os.preadv(file.fileno(), [data[count:]], start + count)):
                    count += more
                return data[:count]

        raw = checked.CheckedReader(
            size, chunks, read, str(path), file.close, damaged=lambda: self._put_aside(path, blob.digest)
        )
        return io.BufferedReader(raw, _BUFFERED)

    def read_bytes(self, blob: Blob) -> bytes:
        """See `ObjectStore.read_bytes`."""
        path = self._locate(blob)
        with self._opened(path) as stream, addresses.refusals(str(path)):
            data = stream.read()
        self._check(path, blob.digest, digests.of_bytes(data))
        return data

    def fetch(self, blob: Blob, destination: str | os.PathLike[str]) -> None:
        """See `ObjectStore.fetch`."""
        path = self._locate(blob)
        with self._opened(path) as stream, whole_file(Path(destination)) as sink:
            try:
                found = _copied(stream.fileno(), sink.fileno(), str(destination))
            except EOFError:
                raise addresses.gone(str(path)) from None
            self._check(path, blob.digest, found.digest)

    def local_path(self, blob: Blob) -> Path | None:
        """See `ObjectStore.local_path`."""
        path = self._locate(blob)
        return path if path.is_file() else None

    def checked_path(self, blob: Blob) -> Path | None:
        """See `ObjectStore.checked_path`."""
        path = self.local_path(blob)
        if path is not None:
            with addresses.refusals(str(path)):
                self._check(path, blob.digest, digests.of_file(path).digest)
        return path

    def list(self) -> Iterator[Stored]:
        """See `ObjectStore.list`."""
        for folder in _entries(self.root / addresses.FOLDER):
            for entry in _entries(Path(folder.path)):
                digest = addresses.digest_of(f"{addresses.FOLDER}/{folder.name}/{entry.name}")
                if digest:
                    with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                        found = entry.stat(follow_symlinks=False)
                        yield Stored(digest, found.st_size, found.st_mtime_ns // 1000)

    def delete(self, digests: Sequence[str]) -> None:
        """See `ObjectStore.delete`. The object goes before its list of chunks, as it came after it."""
        with addresses.refusals(str(self.root)):
            for digest in digests:
                path = self._path(digest)
                path.unlink(missing_ok=True)
                _chunks_path(path).unlink(missing_ok=True)

    def drop_unfinished(self, older_than_s: float) -> None:
        """See `ObjectStore.drop_unfinished`. What was found damaged goes too."""
        latest = time.time() - older_than_s
        for entry in (*_entries(self.root / _TEMPORARY), *_entries(self.root / _DAMAGED)):
            with contextlib.suppress(FileNotFoundError), addresses.refusals(entry.path):
                if entry.stat(follow_symlinks=False).st_mtime <= latest:
                    Path(entry.path).unlink(missing_ok=True)

    def chunks(self, digest: str) -> tuple[str, ...]:
        """The digests of a large object's 64 MiB chunks, in order; empty for one of a single chunk."""
        path = self._path(digest)
        with addresses.refusals(str(path)):
            size = path.stat().st_size
        return self._chunks(path, digest, size) if size > digests.CHUNK_SIZE else ()

    def _chunks(self, path: Path, digest: str, size: int) -> tuple[str, ...]:
        def again() -> digests.FileDigest:
            with addresses.refusals(str(path)):
                found = digests.of_file(path)
            self._check(path, digest, found.digest)
            with contextlib.suppress(errors.StorageError):  # then the next one makes it
                self._publish_chunks(path, found.chunks)
            return found

        return checked.chunks_of(digest, size, _read_or_none(path), str(path), again)

    def _path(self, digest: str) -> Path:
        return self.root / addresses.name(digest)

    def _locate(self, blob: Blob) -> Path:
        return self.root / addresses.name_of(blob, str(self.root))

    def _check(self, path: Path, expected: str, found: str) -> None:
        """Raises IntegrityError for damaged bytes, after they were put aside.

        So whoever looks the object up misses it and makes it again, and it can be put again.
        """
        if found != expected:
            self._put_aside(path, expected)
        addresses.check(str(path), expected, found)

    def _put_aside(self, path: Path, digest: str) -> None:
        with contextlib.suppress(OSError):
            if digests.of_file(path).digest != digest:  # else it was not the file that was wrong
                aside = self.root / _DAMAGED / path.name
                aside.parent.mkdir(exist_ok=True)
                path.replace(aside)

    def _opened(self, path: Path) -> BinaryIO:
        try:
            return path.open("rb", buffering=0)
        except FileNotFoundError:
            raise addresses.gone(str(path)) from None
        except OSError as error:
            raise addresses.refused(error, str(path)) from error

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[tuple[Path, BinaryIO]]:
        """A file that is gone afterwards unless it was published."""
        folder = self.root / _TEMPORARY
        temporary = folder / secrets.token_hex(16)
        with addresses.refusals(str(folder)):
            folder.mkdir(parents=True, exist_ok=True)
            sink = temporary.open("xb", buffering=0)
        try:
            with sink:
                yield temporary, cast("BinaryIO", sink)
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _publish(self, temporary: Path, sink: BinaryIO, found: digests.FileDigest) -> Blob:
        """Gives a written file its name. Two that publish the same object at once both succeed."""
        path = self._path(found.digest)
        with addresses.refusals(str(path)):
            path.parent.mkdir(parents=True, exist_ok=True)
            if found.chunks:
                self._publish_chunks(path, found.chunks)
            _seal(sink, temporary, path)
            _sync_folder(path.parent)
        return addresses.blob(found.digest, found.size)

    def _publish_chunks(self, path: Path, chunks: tuple[str, ...]) -> None:
        with self._incoming() as (temporary, sink):
            _write_all(sink, "".join(f"{chunk}\n" for chunk in chunks).encode("ascii"))
            _seal(sink, temporary, _chunks_path(path))


class _Writer(io.RawIOBase):
    """Writes to a file of the store's, and digests what is written. A disk that refuses is a StorageError."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._hasher = digests.Hasher()
        self._size = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Buffer) -> int:
        view = memoryview(data).cast("B")
        with addresses.refusals(str(self._sink.name)):
            for start in range(0, len(view), digests.BLOCK_SIZE):  # it is in the processor's cache for both
                block = view[start : start + digests.BLOCK_SIZE]
                self._hasher.update(block)
                _write_all(self._sink, block)
        self._size += len(view)
        return len(view)

    def finish(self) -> digests.FileDigest:
        return self._hasher.finish()


@contextlib.contextmanager
def source_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A user's file that is to be stored. Raises UsageError where it can't be read."""
    try:
        source = Path(path).open("rb", buffering=0)  # noqa: SIM115 - closed below
        os.pread(source.fileno(), 1, 0)  # a folder opens on some systems, and can't be read
    except OSError as error:
        raise errors.UsageError(f"can't read the file: {error.strerror}", where=os.fspath(path)) from None
    with source:
        try:
            yield cast("BinaryIO", source)
        except OSError as error:
            raise errors.UsageError(f"can't read the file: {error.strerror}", where=os.fspath(path)) from None


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[BinaryIO]:
    """A file that is there under its name when all of it was written, or not at all."""
    temporary = target.with_name(f".{secrets.token_hex(8)}")
    with addresses.refusals(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        sink = temporary.open("x+b", buffering=0)
    try:
        with sink:
            yield cast("BinaryIO", sink)
        with addresses.refusals(str(target)):
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def changed(path: str | os.PathLike[str]) -> errors.UsageError:
    """The error of a user's file that is written to while it is stored."""
    hint = "wait for whoever writes to it before the task returns"
    return errors.UsageError("the file was changed while it was stored", where=os.fspath(path), hint=hint)


def _copied(source: int, sink: int, where: str) -> digests.FileDigest:
    """Copies a file between descriptors, chunks in parallel; gives the digest of what was written.

    Raises:
        EOFError: the file was cut short meanwhile.
        StorageError: what it is copied to refuses; `where` is that file.
    """

    def chunk(start: int, length: int) -> str:
        hasher = blake3()
        for block in digests.blocks(source, start, length):
            hasher.update(block)
            with addresses.refusals(where):
                write_at(sink, block, start)
            start += len(block)
        return digests.PREFIX + hasher.hexdigest()

    return digests.in_chunks(os.fstat(source).st_size, chunk)


def write_at(descriptor: int, data: memoryview, at: int) -> None:
    """Writes all of the bytes at a place of a file."""
    while data:
        count = os.pwrite(descriptor, data, at)
        data, at = data[count:], at + count


def _write_all(sink: BinaryIO, data: Buffer) -> None:
    view = memoryview(data).cast("B")
    while view:
        view = view[sink.write(view) :]


def _seal(sink: BinaryIO, temporary: Path, path: Path) -> None:
    os.fsync(sink.fileno())
    os.fchmod(sink.fileno(), 0o444)
    temporary.replace(path)


def _chunks_path(path: Path) -> Path:
    return path.with_name(path.name + addresses.CHUNKS_SUFFIX)


def _read_or_none(path: Path) -> bytes | None:
    """What lies beside a large object; None where nothing does."""
    try:
        with addresses.refusals(str(path)):
            return _chunks_path(path).read_bytes()
    except errors.StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            return None
        raise


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing when it is not there, or no folder."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise addresses.refused(error, str(folder)) from error


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
