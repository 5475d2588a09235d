"""The Store on a SQL database: `store.Transaction` put together from its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from typedflow_admin import cache_store, place_store, references, statements, store
from typedflow_admin.database import Database
from typedflow_admin.sql_attempts import SqlAttempts
from typedflow_admin.sql_catalog import SqlCatalog, SqlCounts, SqlReservations
from typedflow_admin.sql_entities import SqlEntities
from typedflow_admin.sql_executions import SqlExecutions, SqlLeases
from typedflow_admin.sql_objects import SqlObjects
from typedflow_admin.sql_places import SqlPlaces

T = TypeVar("T")


class SqlTransaction:
    """See `store.Transaction`."""

    __slots__ = (
        "attempts", "catalog", "counts", "entities", "executions", "leases", "objects", "places", "reservations",
    )  # fmt: skip

    def __init__(self, connection: Connection) -> None:
        self.entities: store.Entities = SqlEntities(connection)
        self.executions: store.Executions = SqlExecutions(connection)
        self.leases: store.Leases = SqlLeases(connection)
        self.places: place_store.Places = SqlPlaces(connection)
        self.attempts: store.Attempts = SqlAttempts(connection)
        self.catalog: cache_store.Catalog = SqlCatalog(connection)
        self.reservations: cache_store.Reservations = SqlReservations(connection)
        self.counts: cache_store.Counts = SqlCounts(connection)
        self.objects: cache_store.Objects = SqlObjects(connection)


class SqlStore:
    """See `store.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        statements.watch(database.engine)

    async def read(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.read`."""
        return await self._database.read(lambda connection: work(SqlTransaction(connection)))

    async def write(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.write`."""

        def run(connection: Connection) -> T:
            transaction = SqlTransaction(connection)
            with statements.watched(connection) as written:
                result = work(transaction)
            digests = set().union(*map(references.digests, filter(references.may_have_any, written)))
            if digests:
                transaction.objects.claim(digests)
            return result

        return await self._database.write(run)
