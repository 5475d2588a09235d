"""The database: an engine, one thread that writes and a few that read.

`await database.write(work)` and `await database.read(work)` ship a whole transaction to a thread, so that the event
loop never waits for a disk and a transaction never waits for the event loop. There is one writer at a time: with one
thread for it, nobody waits for a lock, and what a transaction has read is so when it writes. The lock on a home keeps
other servers from its SQLite file. On PostgreSQL a server owns the database: it holds a lock for as long as it is
connected, and writes only while nobody has taken the database over. Nothing here knows what the tables mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from typedflow import errors

T = TypeVar("T")

_WRITES = "typedflow_writes"
_SCHEMES = ("postgresql", "postgres")
# Of the lock that a server has on its database; an application of another kind has other numbers.
_LOCK = 7_046_029_254_386_353_131
OWNER = "typedflow_owner"
"""The table that says which server has a PostgreSQL database; it is no part of what is stored."""

_owner = sqlalchemy.Table(
    OWNER, sqlalchemy.MetaData(), sqlalchemy.Column("name", sqlalchemy.Text, nullable=False)
)


def create_engine(url: str) -> Engine:
    """An engine for the database at `url`, set up for the transactions of this module.

    Raises:
        UsageError: an address of no kind of database that there is a driver for.
    """
    try:
        address = sqlalchemy.make_url(url)
        if address.drivername in _SCHEMES:
            address = address.set(drivername="postgresql+psycopg")
        name = address.get_backend_name()
        if name not in ("sqlite", "postgresql"):
            raise _unknown(address.drivername)
        # A connection that broke while nobody used it is found out before it is used.
        engine = sqlalchemy.create_engine(address, pool_pre_ping=name != "sqlite")
    except exc.ArgumentError:
        raise _unknown("this") from None
    except ModuleNotFoundError:
        raise errors.UsageError(
            "PostgreSQL's driver is not installed",
            where=sqlalchemy.make_url(url).render_as_string(),
            hint="`pip install 'typedflow[postgres]'`",
            code="DatabaseUnfit",
        ) from None
    if name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    return engine


class Database:
    """Runs whole transactions in threads."""

    def __init__(self, engine: Engine, readers: int = 3) -> None:
        self.engine = engine
        self._writing = engine.execution_options(**{_WRITES: True})
        self._reading = engine
        if engine.dialect.name == "postgresql":
            self._reading = engine.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            self._owner: _Owner | None = _Owner(engine)
        else:
            self._owner = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="typedflow-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="typedflow-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction of its own, after those that came before."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _run, self._reading, work)

    def close(self) -> None:
        """Waits for what is under way, then closes the connections."""
        self._writer.shutdown()
        self._readers.shutdown()
        if self._owner is not None:
            self._owner.close()
        self.engine.dispose()

    def _write(self, work: Callable[[Connection], T]) -> T:
        with self._writing.begin() as connection:
            if self._owner is not None:
                self._owner.check(connection)
            return work(connection)


class _Owner:
    """This server's hold on a PostgreSQL database.

    Raises:
        UsageError: another server has it.
    """

    def __init__(self, engine: Engine) -> None:
        self._where = engine.url.render_as_string()
        self._name = secrets.token_hex(16)
        # A connection of its own, which is never used again: the lock lasts as long as it.
        apart = sqlalchemy.create_engine(engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self._holding = apart.connect()
        try:
            if not self._holding.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}):
                raise self._taken()
            _owner.create(self._holding, checkfirst=True)
            with engine.begin() as connection:
                connection.execute(_owner.delete())
                connection.execute(_owner.insert(), {"name": self._name})
        except BaseException:
            self._holding.close()
            raise

    def check(self, connection: Connection) -> None:
        """Ends a transaction when the database is another's, and keeps it this server's until the transaction ends.

        Raises:
            UsageError: another server has it.
        """
        if connection.scalar(sqlalchemy.select(_owner.c.name).with_for_update(read=True)) != self._name:
            raise self._taken()

    def close(self) -> None:
        """Lets go of the database."""
        self._holding.close()

    def _taken(self) -> errors.UsageError:
        return errors.UsageError(
            "another server has this database",
            where=self._where,
            hint="stop that one, or give this one a database of its own",
            code="DatabaseInUse",
        )


@contextlib.contextmanager
def watched(connection: Connection) -> Iterator[list[bytes]]:
    """All the bytes that statements are given on a connection while the block runs."""
    given: list[bytes] = []

    def take(
        _connection: Connection,
        _statement: object,
        many: Sequence[Mapping[str, object]],
        one: Mapping[str, object],
        _options: object,
    ) -> None:
        for row in many or (one,):
            given.extend(value for value in row.values() if isinstance(value, bytes))

    event.listen(connection, "before_execute", take)
    try:
        yield given
    finally:
        event.remove(connection, "before_execute", take)


def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _unknown(what: str) -> errors.UsageError:
    return errors.UsageError(
        f"{what} is no address of a database",
        where="--database",
        hint="write postgresql://user:password@host:5432/name, or leave it out for SQLite in the home",
        code="DatabaseUnfit",
    )


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
