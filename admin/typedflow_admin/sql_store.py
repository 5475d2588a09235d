"""The Store on a SQL database: `store.Transaction` put together from its tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from typedflow_admin import store
from typedflow_admin.database import Database
from typedflow_admin.sql_entities import SqlCatalog, SqlEntities
from typedflow_admin.sql_executions import SqlAttempts, SqlExecutions, SqlLeases

T = TypeVar("T")


class SqlTransaction:
    """See `store.Transaction`."""

    __slots__ = ("attempts", "catalog", "entities", "executions", "leases")

    def __init__(self, connection: Connection) -> None:
        self.entities: store.Entities = SqlEntities(connection)
        self.executions: store.Executions = SqlExecutions(connection)
        self.leases: store.Leases = SqlLeases(connection)
        self.attempts: store.Attempts = SqlAttempts(connection)
        self.catalog: store.Catalog = SqlCatalog(connection)


class SqlStore:
    """See `store.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.read`."""
        return await self._database.read(lambda connection: work(SqlTransaction(connection)))

    async def write(self, work: Callable[[store.Transaction], T]) -> T:
        """See `store.Store.write`."""
        return await self._database.write(lambda connection: work(SqlTransaction(connection)))
