"""The database: an engine, one thread that writes and a few that read.

`await database.write(work)` and `await database.read(work)` ship a whole transaction to a thread, so that the event
loop never waits for a disk and a transaction never waits for the event loop. There is one writer at a time: with one
thread for it, nobody waits for a lock, and what a transaction has read is so when it writes. The lock on a home keeps
other servers from its SQLite file. On PostgreSQL a server owns the database: it holds a lock for as long as it is
connected, takes it again when the database has been away, and writes only while nobody has taken the database over.
Nothing here knows what the tables mean.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import sqlalchemy
from sqlalchemy import Connection, Engine, event, exc, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from typedflow import errors
from typedflow_admin import statements

T = TypeVar("T")

_WRITES = "typedflow_writes"
_SCHEMES = ("postgresql", "postgres")
# Of the lock that a server has on its database; an application of another kind has other numbers.
_LOCK = 7_046_029_254_386_353_131
_LOOK_S = 1.0
# A machine that is gone says nothing; without these a connection to it hangs for a quarter of an hour.
_PATIENCE = {
    "connect_timeout": 10,
    "keepalives_idle": 20,
    "keepalives_interval": 10,
    "keepalives_count": 2,
    "tcp_user_timeout": 40_000,
}
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
        if name == "sqlite":
            engine = sqlalchemy.create_engine(address)
        else:
            # A connection that broke while nobody used it is found out before it is used.
            engine = sqlalchemy.create_engine(address, pool_pre_ping=True, connect_args=_patience(address))
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
        # On SQLite, where a connection breaks with the disk only: to get one from the pool takes longer than a write.
        self._kept: Connection | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="typedflow-write")
        self._readers = ThreadPoolExecutor(readers, thread_name_prefix="typedflow-read")

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` in a transaction of its own, after those that came before."""
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, work)

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Runs `work` on one consistent state."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, _run, self._reading, work)

    async def own(self) -> None:
        """Until another server has taken the database over; on SQLite, where the home is locked, until it is cancelled.

        Raises:
            StateConflict: another server has the database.
        """
        while True:
            await asyncio.sleep(_LOOK_S)
            if self._owner is not None:
                try:
                    await asyncio.to_thread(self._owner.hold)
                except exc.DBAPIError:
                    continue  # it is away, as whoever calls is told

    def close(self) -> None:
        """Waits for what is under way, then closes the connections."""
        self._writer.shutdown()
        self._readers.shutdown()
        if self._kept is not None:
            self._kept.close()
        if self._owner is not None:
            self._owner.close()
        self.engine.dispose()

    def _write(self, work: Callable[[Connection], T]) -> T:
        if self._owner is not None:
            with self._writing.begin() as connection:
                self._owner.check(connection)
                return work(connection)
        if self._kept is None:
            self._kept = self._writing.connect()
        try:
            with self._kept.begin():
                return work(self._kept)
        except exc.DBAPIError:
            self._kept.close()
            self._kept = None
            raise


class _Owner:
    """This server's hold on a PostgreSQL database: a lock, and its name in a table.

    The lock keeps others out, and is gone when its connection breaks. The name says whose the database is: who starts
    writes its own there, and the one before finds out.

    Raises:
        UsageError: another server has it.
    """

    def __init__(self, engine: Engine) -> None:
        self._where = engine.url.set(drivername=_SCHEMES[0]).render_as_string()
        self._name = secrets.token_hex(16)
        self._alone = threading.Lock()
        self._closed = False
        # A connection of its own, which is used for nothing else: the lock lasts as long as it.
        self._apart = sqlalchemy.create_engine(
            engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=_patience(engine.url)
        )
        self._holding: Connection | None = self._apart.connect()
        try:
            if not _lock(self._holding):
                raise errors.UsageError(
                    "another server has this database",
                    where=self._where,
                    hint="stop that one, or give this one a database of its own",
                    code="DatabaseInUse",
                )
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
            ServerUnreachable: another server has it, and that one is to be asked.
        """
        if connection.scalar(sqlalchemy.select(_owner.c.name).with_for_update(read=True)) != self._name:
            raise errors.ServerUnreachable(
                "another server has taken over this server's database",
                where=self._where,
                hint="connect to that one",
                code="DatabaseInUse",
            )

    def hold(self) -> None:
        """Sees that the database is this server's still, and takes the lock again when its connection broke.

        Raises:
            StateConflict: another server has it.
            DBAPIError: it can't be reached.
        """
        with self._alone:
            if self._closed:
                return
            try:
                name = self._look()
            except exc.DBAPIError:
                self._let_go()
                raise
        if name != self._name:
            raise errors.StateConflict(
                "the server stopped: another server has taken over its database",
                where=self._where,
                hint="use that one; executions go on there",
                code="DatabaseInUse",
            )

    def close(self) -> None:
        """Lets go of the database."""
        with self._alone:
            self._closed = True
            self._let_go()

    def _look(self) -> str | None:
        whose = sqlalchemy.select(_owner.c.name)
        if self._holding is not None:
            return self._holding.scalar(whose)
        with contextlib.ExitStack() as stack:
            connection = stack.enter_context(self._apart.connect())
            # The connection that broke may have the lock for a while yet: whose the database is, the name says.
            if _lock(connection):
                self._holding = connection
                stack.pop_all()
            return connection.scalar(whose)

    def _let_go(self) -> None:
        if self._holding is not None:
            self._holding.close()
            self._holding = None


def _lock(connection: Connection) -> bool:
    """Takes the lock of servers for as long as the connection lasts; gives whether nobody has it."""
    return bool(connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}))


def _run(engine: Engine, work: Callable[[Connection], T]) -> T:
    with engine.begin() as connection:
        return work(connection)


def _patience(address: sqlalchemy.URL) -> dict[str, int]:
    """How long a connection waits, where the address does not say."""
    return {name: value for name, value in _PATIENCE.items() if name not in address.query}


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
    statements.begin(connection, "BEGIN IMMEDIATE" if writes else "BEGIN")
