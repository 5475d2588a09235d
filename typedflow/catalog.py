"""The cache's protocol, and catalogs for runs without a server: in memory, and in a folder.

A catalog finds the outputs of an earlier attempt by the key of its inputs. It must never give an entry that it can't
vouch for: in doubt there is none.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from google.protobuf import message

from typedflow import errors
from typedflow.literals import pointers
from typedflow.pb import catalog_pb2

if TYPE_CHECKING:
    import sqlite3

    from typedflow.dataplane import objects

ABSENT = "absent"
STALE = "stale"
EXPIRED = "expired"

_PATIENCE: Final = 30.0
"""Seconds that one process waits for another that writes."""


class Catalog(Protocol):
    """Results by key."""

    def lookup(self, keys: Sequence[str]) -> list[catalog_pb2.LookupResult]:
        """An answer for each key, in the order asked."""
        ...

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        """Makes the entry found under its key from now on; it replaces one that is there."""
        ...


class MemoryCatalog:
    """A catalog that lasts as long as the object.

    Example:
        >>> cache = MemoryCatalog()
        >>> cache.lookup(["b3:00"])[0].reason
        'absent'
    """

    def __init__(self) -> None:
        self._entries: dict[str, catalog_pb2.CatalogEntry] = {}

    def lookup(self, keys: Sequence[str]) -> list[catalog_pb2.LookupResult]:
        return [_result(self._entries.get(key)) for key in keys]

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        kept = catalog_pb2.CatalogEntry()
        kept.CopyFrom(entry)
        self._entries[entry.key] = kept


def _result(entry: catalog_pb2.CatalogEntry | None) -> catalog_pb2.LookupResult:
    return catalog_pb2.LookupResult(entry=entry) if entry else catalog_pb2.LookupResult(reason=ABSENT)


class DiskCatalog:
    """A catalog in a folder, with the objects that its entries point at: it lasts, and processes share it.

    One SQLite file and a store of objects. A process may be killed at any time; an entry is there as a whole or not at
    all. Deleting the folder, while nobody uses it, is how it is emptied.

    Args:
        folder: made when something is first kept.

    Attributes:
        store: of the objects.

    Raises:
        UsageError: what is there is no catalog of this kind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     DiskCatalog(folder).lookup(["b3:00"])[0].reason
        'absent'
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        from typedflow.dataplane import objects, offload  # noqa: PLC0415 - only who keeps entries moves their bytes

        self.folder = Path(folder).expanduser().absolute()
        self.store: objects.ObjectStore = objects.open_store(str(self.folder / "objects"))
        self._file = self.folder / "catalog-1.sqlite"
        self._offload = offload
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0

    def lookup(self, keys: Sequence[str]) -> list[catalog_pb2.LookupResult]:
        """See `Catalog.lookup`. An entry whose objects are gone is none: its reason is `stale`."""
        if self._connection is None and not self._file.exists():
            return [catalog_pb2.LookupResult(reason=ABSENT) for _ in keys]
        with self._open() as connection:
            found = [
                connection.execute("SELECT entry FROM entries WHERE key = ?", (key,)).fetchone()
                for key in keys
            ]
        return [self._checked(row[0]) if row else catalog_pb2.LookupResult(reason=ABSENT) for row in found]

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        """See `Catalog.publish`. Raises OSError or StorageError where it can't be kept."""
        kept = catalog_pb2.CatalogEntry()
        kept.CopyFrom(entry)
        self._offload.offload_all(kept.outputs, self.store)
        with self._open() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO entries (key, entry) VALUES (?, ?)",
                (kept.key, kept.SerializeToString()),
            )

    def close(self) -> None:
        """Lets go of the file; the next use opens it again."""
        with self._lock:
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _checked(self, row: bytes) -> catalog_pb2.LookupResult:
        """The entry if all of it can be read."""
        entry = catalog_pb2.CatalogEntry()
        try:
            entry.ParseFromString(row)
        except (message.DecodeError, TypeError):
            return catalog_pb2.LookupResult(reason=STALE)
        own = [
            each for each in pointers.blobs(entry.outputs) if each.digest
        ]  # else it is pointed at, outside
        try:
            if own and not all(self.store.exists(own)):
                return catalog_pb2.LookupResult(reason=STALE)
            for each in entry.outputs.values:
                each.value.CopyFrom(self._offload.load(each.value, self.store))
        except errors.TypedflowError:  # an address of another store, or an object that is damaged
            return catalog_pb2.LookupResult(reason=STALE)
        return catalog_pb2.LookupResult(entry=entry)

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """This process's connection: one that came by a fork is another's. What SQLite refuses is an OSError."""
        import sqlite3  # noqa: PLC0415 - nobody else needs a database

        with self._lock:
            try:
                if self._connection is None or self._process != os.getpid():
                    self._connection, self._process = self._connect(), os.getpid()
                yield self._connection
            except sqlite3.OperationalError as error:
                raise OSError(f"the cache at {self.folder} can't be used: {error}") from error
            except sqlite3.DatabaseError as error:
                raise errors.UsageError(
                    f"what is there is no cache that can be read: {error}",
                    where=str(self._file),
                    hint="delete the folder; what it holds is made again",
                ) from error

    def _connect(self) -> sqlite3.Connection:
        import sqlite3  # noqa: PLC0415 - as above

        self.folder.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self._file, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        # Readers and a writer side by side; what a power cut takes is the latest entries, never the file.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, entry BLOB NOT NULL)")
        return connection


def at(place: Catalog | str | os.PathLike[str] | None) -> Catalog | None:
    """A catalog as it is, or the one of a folder."""
    return DiskCatalog(place) if isinstance(place, str | os.PathLike) else place
