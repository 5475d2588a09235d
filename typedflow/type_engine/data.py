"""Where bytes go to and come from while values are converted.

The one place where the type engine meets an object store. It never keeps bytes of its own.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from typedflow import errors

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from typedflow.dataplane import objects
    from typedflow.pb import literals_pb2

_AT_ONCE = 8
_IN_MEMORY = 4 * 1024 * 1024
_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Data:
    """The object store of a conversion, and the folder where fetched files are laid.

    The folder belongs to one attempt: what is laid there is private to the task and may be written to.
    """

    store: objects.ObjectStore
    folder: Path

    def put_file(self, path: Path) -> literals_pb2.Blob:
        """Publishes a file's bytes."""
        return self.store.put_file(path)

    def put_files(self, paths: Sequence[Path]) -> Iterator[literals_pb2.Blob]:
        """Publishes many files, several at a time, and gives their blobs in order."""
        return _several(self.put_file, paths)

    def put_bytes(self, content: bytes) -> literals_pb2.Blob:
        """Publishes bytes."""
        return self.store.put_bytes(content)

    def put_chunks(self, chunks: Iterable[Buffer]) -> literals_pb2.Blob:
        """Publishes bytes that come one after another, and holds no more than a few of them."""
        rest = iter(chunks)
        held, size = [], 0
        for chunk in rest:
            held.append(chunk)
            size += memoryview(chunk).nbytes
            if size > _IN_MEMORY:
                return self.store.put_chunks(itertools.chain(held, rest))
        return self.store.put_bytes(b"".join(held))

    def put_written(self, write: Callable[[BinaryIO], object]) -> literals_pb2.Blob:
        """Publishes what `write` writes to the file that it is given, in one pass."""
        return self.store.put_written(write)

    def open(self, blob: literals_pb2.Blob) -> BinaryIO:
        """A published object's bytes, checked as they are read, without reading all of them first."""
        return self.store.open(blob)

    def fetch(self, blob: literals_pb2.Blob, destination: Path) -> None:
        """Copies an object to a file, checked against its digest. Raises IntegrityError."""
        self.store.fetch(blob, destination)

    def fetch_all(self, wanted: Sequence[tuple[literals_pb2.Blob, Path]]) -> None:
        """Copies many objects, several at a time. Raises the first error, and then goes on with no other."""
        for _ in _several(lambda each: self.fetch(*each), wanted):
            pass

    def local_path(self, blob: literals_pb2.Blob) -> Path | None:
        """The store's own file of this object, unchecked and for reading only, if it has one on this machine."""
        return self.store.local_path(blob)

    def checked_path(self, blob: literals_pb2.Blob) -> Path | None:
        """Likewise, checked against its digest. Raises IntegrityError."""
        return self.store.checked_path(blob)

    def new_folder(self) -> Path:
        """An empty folder of its own, so that files of one base name do not meet."""
        import tempfile  # noqa: PLC0415 - takes milliseconds, and no definition makes a folder

        from typedflow.dataplane import addresses  # noqa: PLC0415 - likewise

        with addresses.refusals(str(self.folder)):
            self.folder.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(dir=self.folder, prefix="value-"))

    @contextlib.contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """Where a file may be written; it is gone afterwards."""
        folder = self.new_folder()
        try:
            yield folder / name
        finally:
            (folder / name).unlink(missing_ok=True)
            with contextlib.suppress(
                FileNotFoundError
            ):  # a stream may be left half read until its folder is gone
                folder.rmdir()

    @contextlib.contextmanager
    def checked_file(self, blob: literals_pb2.Blob) -> Iterator[Path]:
        """A file that holds a published object, for reading only: its bytes are checked against their digest.

        The store's own file where it is on this machine, else one that is gone afterwards. Raises IntegrityError.
        """
        local = self.store.checked_path(blob)
        if local is not None:
            yield local
            return
        with self.new_file("object") as fetched:
            self.fetch(blob, fetched)
            yield fetched

    @property
    def is_local(self) -> bool:
        """Whether published objects are files of this machine, which others on it may map."""
        return self.store.is_local

    @property
    def has_store(self) -> bool:
        """Whether bytes can be kept here: not in a definition."""
        return not isinstance(self.store, _NoStore)

    def require(self, path: str, what: str) -> None:
        """Raises ConversionError where there is no store: in a definition, only plain values can be bound."""
        if not self.has_store:
            raise errors.ConversionError(
                f"{what} can't be written here as a constant",
                where=path,
                hint="have a task return it, or pass it when the workflow is launched or called",
            )


def _several(do: Callable[[_T], _R], wanted: Sequence[_T]) -> Iterator[_R]:
    """What `do` gives for each, in order; several are under way at a time, as most of it is waiting."""
    if len(wanted) < 2:
        yield from map(do, wanted)
        return
    from concurrent import futures  # noqa: PLC0415 - no definition moves bytes

    pool = futures.ThreadPoolExecutor(min(_AT_ONCE, len(wanted)), "typedflow-data")
    try:
        yield from pool.map(do, wanted)
    finally:
        pool.shutdown(cancel_futures=True)


class _NoStore:
    """Stands where there is no store. `Data.require` is asked before any byte moves, so nothing here is reached."""

    def __getattr__(self, name: str) -> object:
        raise errors.ConversionError(
            "there is no object store here", hint="convert files and frames inside a run"
        )


NO_DATA = Data(_NoStore(), Path())  # type: ignore[arg-type]  # an ObjectStore that refuses everything
"""For constants in definitions: plain values convert, files and frames are refused."""
