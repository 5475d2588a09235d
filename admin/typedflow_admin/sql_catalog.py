"""The cache's tables in SQL; see the protocols in `cache_store` for what each method promises."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from typing import TypeVar

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Double,
    Executable,
    Text,
    bindparam,
    delete,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from typedflow_admin import cache_store, store, tables
from typedflow_admin.sql_entities import parts, until_full, upsert
from typedflow_admin.sql_executions import now_ms

R = TypeVar("R")

_catalog, _leases = tables.catalog.c, tables.leases.c
_reservations, _counts, _executions = tables.reservations.c, tables.cache_counts.c, tables.executions.c

_ENTRY = [
    _catalog.key, _catalog.project, _catalog.domain, _catalog.task, _catalog.entry, _catalog.manifest, _catalog.shown,
    _catalog.launch_plan, _catalog.size, _catalog.created_at_us, _catalog.hits, _catalog.last_hit_at_us,
    _catalog.number,
]  # fmt: skip
_ENTRIES = select(*_ENTRY).where(_catalog.key.in_(bindparam("keys", expanding=True)))
_BY_NUMBER = select(*_ENTRY).where(_catalog.number == bindparam("number"))
_REMOVE = delete(tables.catalog).where(_catalog.key.in_(bindparam("keys", expanding=True)))
_INSERT = insert(tables.catalog)
_NEAR = (
    select(_catalog.number, _catalog.manifest, _catalog.created_at_us)
    .where(
        _catalog.project == bindparam("project"),
        _catalog.domain == bindparam("domain"),
        _catalog.task == bindparam("task"),
    )
    .order_by(_catalog.number.desc())
    .limit(bindparam("limit"))
)
_USED = (
    update(tables.catalog)
    .where(_catalog.key == bindparam("of"))
    .values(hits=_catalog.hits + 1, last_hit_at_us=bindparam("at"))
)

_HOLDERS = (
    select(_reservations.key, _reservations.execution_id, _reservations.node, _reservations.fence)
    .join(tables.leases, _leases.execution_id == _reservations.execution_id)
    .where(_reservations.key.in_(bindparam("keys", expanding=True)), _leases.expires_at_ms > now_ms())
)
_HELD = select(_reservations.key, _reservations.execution_id, _reservations.node, _reservations.fence).where(
    _reservations.execution_id.in_(bindparam("ids", expanding=True))
)
_TAKE_AWAY = delete(tables.reservations).where(_reservations.key == bindparam("of"))
_GRANT = insert(tables.reservations)
_RELEASE = delete(tables.reservations).where(
    _reservations.key == bindparam("of"),
    _reservations.execution_id == bindparam("by"),
    _reservations.node == bindparam("by_node"),
)

_COUNTED = ["hits", "misses", "wall_seconds", "cpu_seconds", "gpu_seconds"]
_OF_PLAN = ["project", "domain", "task", "launch_plan"]
_ADDED = select(
    _executions.project,
    _executions.domain,
    bindparam("task", type_=Text),
    _executions.launch_plan,
    bindparam("hour", type_=BigInteger),
    bindparam("hits", type_=BigInteger),
    bindparam("misses", type_=BigInteger),
    bindparam("wall_seconds", type_=Double),
    bindparam("cpu_seconds", type_=Double),
    bindparam("gpu_seconds", type_=Double),
).where(_executions.id == bindparam("execution_id"))


class SqlCatalog:
    """See `cache_store.Catalog`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, keys: Collection[str]) -> dict[str, cache_store.CatalogRow]:
        """See `cache_store.Catalog.find`."""
        rows = _in_parts(self._connection, _ENTRIES, "keys", keys, cache_store.CatalogRow)
        return {row.key: row for row in rows}

    def put(self, row: cache_store.CatalogRow) -> None:
        """See `cache_store.Catalog.put`. A new row, so that it is the newest."""
        values = asdict(row)
        del values["number"]
        try:
            with self._connection.begin_nested():
                self._connection.execute(_REMOVE, {"keys": [row.key]})
                self._connection.execute(_INSERT, values)
        except SQLAlchemyError as error:
            raise store.StoreError(str(error)) from error

    def page(
        self, project: str, domain: str, task: str, before: int, limit: int
    ) -> list[cache_store.CatalogRow]:
        """See `cache_store.Catalog.page`."""
        statement = select(*_ENTRY).where(
            _catalog.number < (before or store.LAST),
            *_named({_catalog.project: project, _catalog.domain: domain, _catalog.task: task}),
        )
        rows = self._connection.execute(statement.order_by(_catalog.number.desc()).limit(limit))
        return until_full((cache_store.CatalogRow(*row) for row in rows), store.weight)

    def near(self, project: str, domain: str, task: str, limit: int) -> list[cache_store.NearRow]:
        """See `cache_store.Catalog.near`."""
        parameters = {"project": project, "domain": domain, "task": task, "limit": limit}
        return [cache_store.NearRow(*row) for row in self._connection.execute(_NEAR, parameters)]

    def by_number(self, number: int) -> cache_store.CatalogRow | None:
        """See `cache_store.Catalog.by_number`."""
        row = self._connection.execute(_BY_NUMBER, {"number": number}).first()
        return cache_store.CatalogRow(*row) if row is not None else None

    def used(self, hits: Sequence[tuple[str, int]]) -> None:
        """See `cache_store.Catalog.used`."""
        if hits:
            self._connection.execute(_USED, [{"of": key, "at": at} for key, at in hits])

    def keys(self, wanted: cache_store.CatalogFilter) -> list[str]:
        """See `cache_store.Catalog.keys`."""
        statement = select(_catalog.key).where(
            *_named({_catalog.project: wanted.project, _catalog.domain: wanted.domain}),
            *_named({_catalog.task: wanted.task}),
        )
        if wanted.before_us:
            statement = statement.where(_catalog.created_at_us < wanted.before_us)
            if wanted.unused:
                statement = statement.where(_catalog.last_hit_at_us < wanted.before_us)
        if not wanted.keys:
            return list(self._connection.execute(statement).scalars())
        found: list[str] = []
        for part in parts(sorted(set(wanted.keys))):
            found += self._connection.execute(statement.where(_catalog.key.in_(part))).scalars()
        return found

    def remove(self, keys: Collection[str]) -> None:
        """See `cache_store.Catalog.remove`."""
        for part in parts(list(keys)):
            self._connection.execute(_REMOVE, {"keys": part})


class SqlReservations:
    """See `cache_store.Reservations`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, keys: Collection[str]) -> dict[str, cache_store.ReservationRow]:
        """See `cache_store.Reservations.find`."""
        rows = _in_parts(self._connection, _HOLDERS, "keys", keys, cache_store.ReservationRow)
        return {row.key: row for row in rows}

    def of(self, execution_ids: Collection[str]) -> list[cache_store.ReservationRow]:
        """See `cache_store.Reservations.of`."""
        return _in_parts(self._connection, _HELD, "ids", execution_ids, cache_store.ReservationRow)

    def grant(self, rows: Sequence[cache_store.ReservationRow]) -> None:
        """See `cache_store.Reservations.grant`."""
        if rows:
            self._connection.execute(_TAKE_AWAY, [{"of": row.key} for row in rows])
            self._connection.execute(
                _GRANT, [{"key": row.key, "execution_id": row.execution_id, "node": row.node} for row in rows]
            )

    def release(self, rows: Collection[cache_store.ReservationRow]) -> None:
        """See `cache_store.Reservations.release`."""
        if rows:
            self._connection.execute(
                _RELEASE, [{"of": row.key, "by": row.execution_id, "by_node": row.node} for row in rows]
            )


class SqlCounts:
    """See `cache_store.Counts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, rows: Sequence[cache_store.CountRow]) -> None:
        """See `cache_store.Counts.add`."""
        if not rows:
            return
        statement = upsert(self._connection)(tables.cache_counts).from_select(
            [*_OF_PLAN, "hour", *_COUNTED], _ADDED
        )
        changes = {name: tables.cache_counts.c[name] + statement.excluded[name] for name in _COUNTED}
        statement = statement.on_conflict_do_update(index_elements=[*_OF_PLAN, "hour"], set_=changes)
        self._connection.execute(statement, [asdict(row) for row in rows])

    def sums(
        self, project: str, domain: str, task: str, launch_plan: str, since_hour: int
    ) -> list[cache_store.StatsRow]:
        """See `cache_store.Counts.sums`."""
        wanted = (project, domain, task, launch_plan)
        of_counts, of_catalog = (
            [table.c[name] for name in _OF_PLAN] for table in (tables.cache_counts, tables.catalog)
        )
        summed = (
            select(*of_counts, *(func.sum(tables.cache_counts.c[name]) for name in _COUNTED))
            .where(_counts.hour >= since_hour, *_named(dict(zip(of_counts, wanted, strict=True))))
            .group_by(*of_counts)
        )
        entries = (
            select(*of_catalog, func.count())
            .where(*_named(dict(zip(of_catalog, wanted, strict=True))))
            .group_by(*of_catalog)
        )
        there = {tuple(row[:4]): row[4] for row in self._connection.execute(entries)}
        rows = []
        for of_project, of_domain, of_task, of_plan, hits, misses, wall, cpu, gpu in self._connection.execute(
            summed
        ):
            of = of_project, of_domain, of_task, of_plan
            # A sum of 64 bit numbers is a Decimal to PostgreSQL.
            rows.append(cache_store.StatsRow(*of, int(hits), int(misses), wall, cpu, gpu, there.pop(of, 0)))
        return rows + [
            cache_store.StatsRow(a, b, c, d, entries=count) for (a, b, c, d), count in there.items()
        ]


def _named(wanted: dict[ColumnElement[str], str]) -> list[ColumnElement[bool]]:
    """The conditions for those names that are not empty."""
    return [column == name for column, name in wanted.items() if name]


def _in_parts(
    connection: Connection, statement: Executable, name: str, keys: Collection[str], row: type[R]
) -> list[R]:
    found: list[R] = []
    for part in parts(list(keys)):
        found += [row(*each) for each in connection.execute(statement, {name: part})]
    return found
