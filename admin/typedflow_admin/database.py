"""The database: an engine, one thread that writes and a few that read.

`await database.write(work)` and `await database.read(work)` ship a whole transaction to a thread, so that the event
loop never waits for a disk and a transaction never waits for the event loop. SQLite has one writer at a time anyway;
with one thread for it, nobody waits for a lock. Nothing here knows what the tables mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")

_WRITES = "typedflow_writes"


def create_engine(url: str) -> Engine:
    """An engine for the database at `url`, set up for the transactions of this module."""
    engine = sqlalchemy.create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


class Database:
    """Runs whole transactions in threads."""

    def __init__(self, engine: Engine, readers: int = 3) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="typedflow-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="typedflow-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction of its own, after those that came before."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, _run, self._writing, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _run, self.engine, work)

    def close(self) -> None:
        """Waits for what is under way, then closes the connections."""
        self._writer.shutdown()
        self._readers.shutdown()
        self.engine.dispose()


def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _set_up_sqlite(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
    # The driver begins transactions on its own, too late and without asking for the write lock: that is done below.
    connection.isolation_level = None
    cursor = connection.cursor()
    # WAL with NORMAL: readers beside the writer, and a crash of the machine may lose the last commits but never
    # corrupts; a crash of the process loses nothing.
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes then can't be upgraded while another writes, so writers ask at once.
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
