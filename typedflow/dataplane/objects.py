"""The object store: bytes named by their content.

`ObjectStore` is the seam; `FolderStore` keeps objects as read-only files of a local folder. An object is written
once under its final name, whole or not at all, and is checked against its digest when it is read. A store never
trusts a name, never changes an object and never links to a file that somebody else may still write to.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.pb.literals_pb2 import Blob

if TYPE_CHECKING:
    from typing_extensions import Buffer

_OBJECTS = "b3"
_TEMPORARY = ".incoming"
_CHUNKS_SUFFIX = ".chunks"


class ObjectStore(Protocol):
    """Keeps bytes under the name of their content. Every method may be called from several threads."""

    def put_bytes(self, data: bytes) -> Blob:
        """Keeps `data`; does nothing if the store already has it."""
        ...

    def put_file(self, path: str | os.PathLike[str]) -> Blob:
        """Keeps a copy of the file's bytes as they are now; memory does not grow with the file."""
        ...

    def put_chunks(self, chunks: Iterable[Buffer]) -> Blob:
        """Keeps bytes that come one after another, nothing when taking the next of them raises."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the store has the object with this digest."""
        ...

    def exists(self, blobs: Sequence[Blob]) -> list[bool]:
        """Whether each of the blobs can be read, asked for in one batch."""
        ...

    def open(self, blob: Blob) -> BinaryIO:
        """The object's bytes as a stream, unchecked: for what checks them itself, or reads a part."""
        ...

    def read_bytes(self, blob: Blob) -> bytes:
        """The object's bytes, checked against its digest."""
        ...

    def fetch(self, blob: Blob, destination: str | os.PathLike[str]) -> None:
        """Writes the object to a file, whole and checked against its digest, or not at all."""
        ...

    def local_path(self, blob: Blob) -> Path | None:
        """A read-only file of this machine that holds the object, unchecked; None where the store has no such files."""
        ...

    def list(self) -> Iterator[Stored]:
        """Every object, in no order, as it is found: memory does not grow with the store."""
        ...

    def delete(self, digests: Sequence[str]) -> None:
        """Removes objects, in one batch; one that is not there is no mistake."""
        ...

    def drop_unfinished(self, older_than_s: float) -> None:
        """Removes what was begun that long ago and never became an object: its writer is gone."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """An object as its store lists it: its digest, how many bytes it takes, and when it was written."""

    digest: str
    size: int
    at_us: int


def open_store(url: str) -> ObjectStore:
    """The store at `url`: `file:///folder`, or a plain path. Makes the folder when something is first put there.

    Raises:
        UsageError: for a scheme that is not supported.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    if scheme not in ("", "file"):
        raise errors.UsageError(
            f"there is no object store for `{scheme}://`",
            where=url,
            hint="use file:///an/absolute/folder, or a plain path",
            code="UnsupportedStore",
        )
    if scheme:
        return FolderStore(_path_of(url))
    return FolderStore(Path(url).expanduser())


class FolderStore:
    """Objects as read-only files of a folder, at `b3/<first two hex digits>/<the rest>`.

    What is being written is under `.incoming/` in the same file system until it is whole, and then gets its name
    by a rename. The list of chunks of a large object lies beside it as `<name>.chunks`, and is there before it is.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))

    def put_bytes(self, data: bytes) -> Blob:
        """See `ObjectStore.put_bytes`."""
        digest = digests.of_bytes(data)
        if self.has(digest):
            return self._blob(digest, len(data))
        with self._incoming() as (temporary, sink):
            hasher = digests.Hasher()
            hasher.update(data)
            sink.write(data)
            return self._publish(temporary, sink, hasher.finish())

    def put_file(self, path: str | os.PathLike[str]) -> Blob:
        """See `ObjectStore.put_file`. Hashes first: a file that the store has is read once and not written.

        A file that changes between hashing and copying is kept as what was copied: its digest is taken again from
        the bytes that are written.
        """
        try:
            found = digests.of_file(path)
            if self.has(found.digest):
                return self._blob(found.digest, found.size)
            with Path(path).open("rb", buffering=0) as source, self._incoming() as (temporary, sink):
                return self._publish(temporary, sink, digests.of_stream(source, sink))
        except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
            if error.filename is None or os.fspath(error.filename) != os.fspath(path):
                raise
            raise errors.UsageError(f"can't read the file: {error.strerror}", where=os.fspath(path)) from None

    def put_chunks(self, chunks: Iterable[Buffer]) -> Blob:
        """See `ObjectStore.put_chunks`. What they are is known when all of them are written."""
        with self._incoming() as (temporary, sink):
            hasher = digests.Hasher()
            for chunk in chunks:
                hasher.update(chunk)
                sink.write(chunk)
            found = hasher.finish()
            if self.has(found.digest):
                return self._blob(found.digest, found.size)
            return self._publish(temporary, sink, found)

    def has(self, digest: str) -> bool:
        """See `ObjectStore.has`."""
        return self._path(digest).is_file()

    def exists(self, blobs: Sequence[Blob]) -> list[bool]:
        """See `ObjectStore.exists`."""
        return [self._locate(blob).is_file() for blob in blobs]

    def open(self, blob: Blob) -> BinaryIO:
        """See `ObjectStore.open`."""
        try:
            return self._locate(blob).open("rb")
        except FileNotFoundError:
            raise _gone(blob.uri) from None

    def read_bytes(self, blob: Blob) -> bytes:
        """See `ObjectStore.read_bytes`."""
        with self.open(blob) as stream:
            data = stream.read()
        _check(blob.uri, blob.digest, digests.of_bytes(data))
        return data

    def fetch(self, blob: Blob, destination: str | os.PathLike[str]) -> None:
        """See `ObjectStore.fetch`."""
        target = Path(destination)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{secrets.token_hex(8)}")
        try:
            with self.open(blob) as stream, temporary.open("xb") as sink:
                _check(blob.uri, blob.digest, digests.of_stream(stream, sink).digest)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def local_path(self, blob: Blob) -> Path | None:
        """See `ObjectStore.local_path`."""
        path = self._locate(blob)
        return path if path.is_file() else None

    def list(self) -> Iterator[Stored]:
        """See `ObjectStore.list`."""
        for folder in _entries(self.root / _OBJECTS):
            for entry in _entries(Path(folder.path)):
                digest = digests.PREFIX + folder.name + entry.name
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    if digests.is_digest(digest):
                        found = entry.stat(follow_symlinks=False)
                        yield Stored(digest, found.st_size, found.st_mtime_ns // 1000)

    def delete(self, digests: Sequence[str]) -> None:
        """See `ObjectStore.delete`. The object goes before its list of chunks, as it came after it."""
        for digest in digests:
            path = self._path(digest)
            path.unlink(missing_ok=True)
            _chunks_path(path).unlink(missing_ok=True)

    def drop_unfinished(self, older_than_s: float) -> None:
        """See `ObjectStore.drop_unfinished`."""
        latest = time.time() - older_than_s
        for entry in _entries(self.root / _TEMPORARY):
            with contextlib.suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime <= latest:
                    Path(entry.path).unlink()

    def chunks(self, digest: str) -> tuple[str, ...]:
        """The digests of a large object's 64 MiB chunks, in order; empty for one of a single chunk."""
        try:
            lines = _chunks_path(self._path(digest)).read_text("ascii").split()
        except FileNotFoundError:
            return ()
        _check(self._blob(digest, 0).uri, digest, digests.of_chunks(iter(lines)))
        return tuple(lines)

    def _path(self, digest: str) -> Path:
        if not digests.is_digest(digest):
            raise errors.UsageError(f"`{digest}` is not a digest", hint="a digest is `b3:` and 64 hex digits")
        name = digest.removeprefix(digests.PREFIX)
        return self.root / _OBJECTS / name[:2] / name[2:]

    def _blob(self, digest: str, size: int) -> Blob:
        return Blob(uri="file://" + quote(str(self._path(digest))), digest=digest, size=size)

    def _locate(self, blob: Blob) -> Path:
        """The file of a blob. Its name is made of the digest, so that no address leads out of the store."""
        path = self._path(blob.digest)
        if _path_of(blob.uri) != path:
            raise errors.UsageError(
                "this is not the address of an object of this store",
                where=blob.uri,
                hint=f"the store is at {self.root}",
            )
        return path

    @contextlib.contextmanager
    def _incoming(self) -> Iterator[tuple[Path, BinaryIO]]:
        folder = self.root / _TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / secrets.token_hex(16)
        try:
            with temporary.open("xb") as sink:
                yield temporary, sink
        finally:
            temporary.unlink(missing_ok=True)

    def _publish(self, temporary: Path, sink: BinaryIO, found: digests.FileDigest) -> Blob:
        """Gives a written file its name. Two that publish the same object at once both succeed."""
        path = self._path(found.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        if found.chunks:
            self._publish_chunks(path, found.chunks)
        sink.flush()
        os.fsync(sink.fileno())
        os.fchmod(sink.fileno(), 0o444)
        temporary.replace(path)
        _sync_folder(path.parent)
        return self._blob(found.digest, found.size)

    def _publish_chunks(self, path: Path, chunks: tuple[str, ...]) -> None:
        with self._incoming() as (temporary, sink):
            sink.write("".join(f"{chunk}\n" for chunk in chunks).encode("ascii"))
            sink.flush()
            os.fsync(sink.fileno())
            os.fchmod(sink.fileno(), 0o444)
            temporary.replace(_chunks_path(path))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder; nothing when it is not there, or no folder."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        yield from entries


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise errors.UsageError(
            "this is not a local file's address", where=uri, hint="write it as file:///folder/file"
        )
    return Path(unquote(parts.path))


def _chunks_path(path: Path) -> Path:
    return path.with_name(path.name + _CHUNKS_SUFFIX)


def _check(uri: str, expected: str, found: str) -> None:
    if expected != found:
        raise errors.IntegrityError(
            f"the object is not what its name says: expected {expected}, its bytes are {found}",
            where=uri,
            hint="the stored file was changed or damaged: delete it, and what made it is run again",
        )


def _gone(uri: str) -> errors.IntegrityError:
    return errors.IntegrityError(
        "the object is no longer there",
        where=uri,
        code="ObjectMissing",
        hint="it was deleted from the store: what made it has to run again",
    )


def _sync_folder(folder: Path) -> None:
    """Makes a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
