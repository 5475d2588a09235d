"""An embedded server for a benchmark: real sockets, a database and processes in a temporary home.

Its cache can be filled with what a direct call of a workflow made, so that a fully cached launch of 10,000 tasks does
not need 10,000 processes before it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from typedflow_admin import cache_store, database, sql_store, store

from typedflow import catalog, client, services
from typedflow.pb import catalog_pb2
from typedflow.testing import local


class Serving(NamedTuple):
    """`module`: the registered file, loaded here, too."""

    client: client.Client
    folder: Path
    module: ModuleType

    def fill(self, workflow: str) -> None:
        """Makes all that the workflow's tasks give for n = 1, here, and puts it into the server's cache."""
        made = _Made()
        with local(cache=made):
            getattr(self.module, workflow)(n=1)
        # Beside the server, as its propeller's commits are: SQLite lets one write after the other.
        engine = database.create_engine(f"sqlite:///{self.folder / 'home' / 'typedflow.db'}")
        try:
            with engine.begin() as connection:
                _put(sql_store.SqlTransaction(connection), made.entries)
        finally:
            engine.dispose()

    def cached(self, workflow: str, count: int) -> None:
        """Launches it, waits for its end, and sees that nothing had to run."""
        run = self.client.launch(f"{self.module.__name__}.{workflow}", inputs={"n": 1}).wait()
        hits = sum(node.cache == "HIT" for node in run.nodes)
        assert hits == count, f"{workflow}: {run.phase}, {hits} hits of {count}"

    def transactions(self, count: int) -> None:
        """The baseline: as many transactions by hand, of a row each."""
        path = self.folder / "baseline.db"
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, value BLOB)")
            for i in range(count):
                with connection:
                    connection.execute("INSERT INTO results (value) VALUES (?)", (str(i).encode() * 50,))
        path.unlink()


@contextlib.contextmanager
def serving(name: str, source: str) -> Iterator[Serving]:
    """A server on which `source` is registered as module `name`."""
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as place:
        folder = Path(place)
        path = folder / f"{name}.py"
        path.write_text(source)
        with (
            services.embedded(folder / "home") as server,
            client.Client(server.grpc, token=server.token) as connected,
        ):
            connected.register(path)
            yield Serving(connected, folder, _loaded(name, path))


class _Made(catalog.MemoryCatalog):
    """What a direct call keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[catalog_pb2.CatalogEntry] = []

    def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
        super().publish(entry)
        self.entries.append(entry)


def _put(transaction: store.Transaction, entries: Sequence[catalog_pb2.CatalogEntry]) -> None:
    for entry in entries:
        transaction.catalog.put(
            cache_store.CatalogRow(
                key=entry.key,
                project="default",
                domain="development",
                task=entry.manifest.task,
                entry=entry.SerializeToString(),
                manifest=entry.manifest.SerializeToString(),
                shown=None,
                launch_plan="",
                size=0,
                created_at_us=entry.created_at_us,
            )
        )


def _loaded(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
