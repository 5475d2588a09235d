"""Entities and bundles in SQL; see `store.Entities` for what each method promises."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from sqlalchemy import (
    BigInteger,
    Connection,
    Executable,
    Integer,
    Text,
    bindparam,
    delete,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.dialects import sqlite

from typedflow_admin import store, tables

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

T = TypeVar("T")

# SQLite takes at most 32,766 variables in a statement; a list is asked for in parts of so many.
_PART = 500

_entities = tables.entities.c
_active = tables.active_launch_plans.c
_references = tables.entity_references.c
_ENTITY = [
    _entities.kind, _entities.project, _entities.domain, _entities.name, _entities.version, _entities.digest,
    _entities.content, _entities.template, _entities.description, _entities.signature, _entities.created_at_us,
    _entities.principal, _entities.number, _entities.place, _active.number.is_not(None).label("active"),
]  # fmt: skip
_SUMMARY = [literal(b"").label("template") if c is _entities.template else c for c in _ENTITY]

_WITH_ACTIVE = tables.entities.outerjoin(tables.active_launch_plans, _active.number == _entities.number)
_WHOLE = select(*_ENTITY).select_from(_WITH_ACTIVE)
_SUMMARIES = select(*_SUMMARY).select_from(_WITH_ACTIVE)

_OF_KEY = (
    (_entities.kind == bindparam("kind"))
    & (_entities.project == bindparam("project"))
    & (_entities.domain == bindparam("domain"))
    & (_entities.name == bindparam("name"))
)
_FIND_VERSION = _WHOLE.where(_OF_KEY, _entities.version == bindparam("version"))
_FIND_NEWEST = _WHOLE.where(_OF_KEY).order_by(_entities.place.desc()).limit(1)
_BY_NUMBER = _WHOLE.where(_entities.number == bindparam("number"))
_OF_NAMES = (
    (_entities.kind == bindparam("kind"))
    & (_entities.project == bindparam("project"))
    & (_entities.domain == bindparam("domain"))
    & (_entities.name.in_(bindparam("names", expanding=True)))
)
_EXACT = _WHOLE.where(_OF_NAMES, _entities.version == bindparam("version"))
_NEWEST_PLACES = select(func.max(_entities.place)).where(_OF_NAMES).group_by(_entities.name)
_NEWEST_OF = _SUMMARIES.where(_entities.place.in_(_NEWEST_PLACES))
_OF_PROJECT = (
    (_entities.kind == bindparam("kind"))
    & (_entities.project == bindparam("project"))
    & (_entities.domain == bindparam("domain"))
)
_NAMES = select(_entities.name).distinct().where(_OF_PROJECT).order_by(_entities.name)
_LIST_NEWEST = _SUMMARIES.where(
    _entities.place.in_(
        select(func.max(_entities.place))
        .where(_OF_PROJECT, _entities.name > bindparam("after"))
        .group_by(_entities.name)
        .order_by(_entities.name)
        .limit(bindparam("limit"))
    )
).order_by(_entities.name)
_LIST_VERSIONS = (
    _SUMMARIES.where(_OF_KEY, _entities.place < bindparam("before"))
    .order_by(_entities.place.desc())
    .limit(bindparam("limit"))
)
_GREATEST_PLACE = select(func.coalesce(func.max(_entities.place), 0))
_INSERT = insert(tables.entities)
_PLACE = (
    update(tables.entities)
    .where(_entities.number == bindparam("of_number"))
    .values(place=bindparam("new_place"))
)
_ACTIVE_OF = _SUMMARIES.where(
    _active.project == bindparam("project"),
    _active.domain == bindparam("domain"),
    _active.name.in_(bindparam("names", expanding=True)),
)
_DEACTIVATE = delete(tables.active_launch_plans).where(
    _active.project == bindparam("of_project"),
    _active.domain == bindparam("of_domain"),
    _active.name == bindparam("of_name"),
)
_THE_VERSION = (
    (_entities.kind == bindparam("of_kind"))
    & (_entities.project == bindparam("of_project"))
    & (_entities.domain == bindparam("of_domain"))
    & (_entities.name == bindparam("of_name"))
    & (_entities.version == bindparam("of_version"))
)
_ACTIVATE = insert(tables.active_launch_plans).from_select(
    ["project", "domain", "name", "number", "activated_at_us", "principal"],
    select(
        _entities.project,
        _entities.domain,
        _entities.name,
        _entities.number,
        bindparam("at_us", type_=BigInteger),
        bindparam("by", type_=Text),
    ).where(_THE_VERSION),
)
_REFER = insert(tables.entity_references).from_select(
    ["kind", "project", "domain", "name", "version", "referrer"],
    select(
        bindparam("kind", type_=Integer),
        bindparam("project", type_=Text),
        bindparam("domain", type_=Text),
        bindparam("name", type_=Text),
        bindparam("version", type_=Text),
        _entities.number,
    ).where(_THE_VERSION),
)
_REFERRERS_OF = (
    select(_references.name.label("of"), _references.referrer)
    .where(
        _references.kind == bindparam("kind"),
        _references.project == bindparam("project"),
        _references.domain == bindparam("domain"),
        _references.name.in_(bindparam("names", expanding=True)),
        _references.version == bindparam("version"),
    )
    .subquery()
)
_RANKED = (
    select(
        _REFERRERS_OF.c.of,
        *(_entities[name] for name in ("kind", "project", "domain", "name", "version")),
        func.count().over(partition_by=_REFERRERS_OF.c.of).label("total"),
        func.row_number()
        .over(partition_by=_REFERRERS_OF.c.of, order_by=(_entities.name, _entities.kind, _entities.number))
        .label("rank"),
    )
    .join(tables.entities, _entities.number == _REFERRERS_OF.c.referrer)
    .subquery()
)
_REFERRERS = (
    select(_RANKED).where(_RANKED.c.rank <= bindparam("limit")).order_by(_RANKED.c.of, _RANKED.c.rank)
)
_bundles = tables.bundles.c
_BUNDLE = [_bundles.digest, _bundles.blob, _bundles.created_at_us, _bundles.principal]
_BUNDLES = select(*_BUNDLE).where(tables.bundles.c.digest.in_(bindparam("digests", expanding=True)))


class SqlEntities:
    """See `store.Entities`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, key: store.EntityKey, version: str) -> store.EntityRow | None:
        """See `store.Entities.find`."""
        statement = _FIND_VERSION if version else _FIND_NEWEST
        parameters = asdict(key) | ({"version": version} if version else {})
        row = self._connection.execute(statement, parameters).first()
        return store.EntityRow(*row) if row is not None else None

    def by_number(self, number: int) -> store.EntityRow | None:
        """See `store.Entities.by_number`."""
        row = self._connection.execute(_BY_NUMBER, {"number": number}).first()
        return store.EntityRow(*row) if row is not None else None

    def exact(self, versions: Collection[store.EntityVersion]) -> list[store.EntityRow]:
        """See `store.Entities.exact`."""
        return [
            store.EntityRow(*row)
            for group, names in _groups(versions)
            for row in self._connection.execute(_EXACT, {**group._asdict(), "names": names})
        ]

    def newest_of(self, keys: Collection[store.EntityKey]) -> dict[store.EntityKey, store.EntityRow]:
        """See `store.Entities.newest_of`."""
        return self._one_of_each(_NEWEST_OF, keys)

    def active_of(self, keys: Collection[store.EntityKey]) -> dict[store.EntityKey, store.EntityRow]:
        """See `store.Entities.active_of`."""
        return self._one_of_each(_ACTIVE_OF, keys)

    def _one_of_each(
        self, statement: Executable, keys: Collection[store.EntityKey]
    ) -> dict[store.EntityKey, store.EntityRow]:
        found: dict[store.EntityKey, store.EntityRow] = {}
        for group, names in _groups([(key, "") for key in keys]):
            rows = self._connection.execute(statement, {**group._asdict(), "names": names})
            found |= {row.key: row for row in (store.EntityRow(*each) for each in rows)}
        return found

    def activate(self, versions: Collection[store.EntityVersion], at_us: int, principal: str) -> None:
        """See `store.Entities.activate`."""
        if versions:
            self.deactivate([key for key, _ in versions])
            by = {"at_us": at_us, "by": principal}
            self._connection.execute(_ACTIVATE, [_the_version(each) | by for each in versions])

    def deactivate(self, keys: Collection[store.EntityKey]) -> None:
        """See `store.Entities.deactivate`."""
        if keys:
            parameters = [
                {"of_project": key.project, "of_domain": key.domain, "of_name": key.name} for key in keys
            ]
            self._connection.execute(_DEACTIVATE, parameters)

    def refer(self, references: Mapping[store.EntityVersion, Collection[store.EntityVersion]]) -> None:
        """See `store.Entities.refer`."""
        rows = [
            _the_version(referrer) | asdict(key) | {"version": version}
            for referrer, referred in references.items()
            for key, version in referred
        ]
        if rows:
            self._connection.execute(_REFER, rows)

    def referrers(
        self, versions: Collection[store.EntityVersion], limit: int
    ) -> dict[store.EntityVersion, store.Referrers]:
        """See `store.Entities.referrers`."""
        found: dict[store.EntityVersion, tuple[list[store.EntityVersion], int]] = {}
        for group, names in _groups(versions):
            parameters = {**group._asdict(), "names": names, "limit": limit}
            for row in self._connection.execute(_REFERRERS, parameters):
                of = store.EntityKey(group.kind, group.project, group.domain, row.of)
                first, _ = found.setdefault((of, group.version), ([], row.total))
                first.append((store.EntityKey(row.kind, row.project, row.domain, row.name), row.version))
        return {of: store.Referrers(first, count) for of, (first, count) in found.items()}

    def names(self, kind: int, project: str, domain: str) -> list[str]:
        """See `store.Entities.names`."""
        parameters = {"kind": kind, "project": project, "domain": domain}
        return list(self._connection.execute(_NAMES, parameters).scalars())

    def insert(self, rows: Sequence[store.EntityRow]) -> None:
        """See `store.Entities.insert`."""
        if rows:
            placed = zip(rows, self._places(), strict=False)
            self._connection.execute(
                _INSERT,
                [_without(asdict(row), "number", "active") | {"place": place} for row, place in placed],
            )

    def place(self, numbers: Sequence[int]) -> None:
        """See `store.Entities.place`."""
        if numbers:
            placed = zip(numbers, self._places(), strict=False)
            self._connection.execute(
                _PLACE, [{"of_number": number, "new_place": place} for number, place in placed]
            )

    def _places(self) -> Iterator[int]:
        """Places above every other, without end."""
        return itertools.count(self._connection.execute(_GREATEST_PLACE).scalar_one() + 1)

    def newest(self, kind: int, project: str, domain: str, after: str, limit: int) -> list[store.EntityRow]:
        """See `store.Entities.newest`."""
        parameters = {"kind": kind, "project": project, "domain": domain, "after": after, "limit": limit}
        rows = self._connection.execute(_LIST_NEWEST, parameters)
        return until_full((store.EntityRow(*row) for row in rows), store.weight)

    def versions(self, key: store.EntityKey, before: int, limit: int) -> list[store.EntityRow]:
        """See `store.Entities.versions`."""
        parameters = asdict(key) | {"before": before or store.LAST, "limit": limit}
        rows = self._connection.execute(_LIST_VERSIONS, parameters)
        return until_full((store.EntityRow(*row) for row in rows), store.weight)

    def bundles(self, digests: Collection[str]) -> dict[str, store.BundleRow]:
        """See `store.Entities.bundles`."""
        found = {}
        for part in parts(list(digests)):
            for row in self._connection.execute(_BUNDLES, {"digests": part}):
                found[row.digest] = store.BundleRow(*row)
        return found

    def insert_bundle(self, row: store.BundleRow) -> None:
        """See `store.Entities.insert_bundle`."""
        statement = upsert(self._connection)(tables.bundles)
        statement = statement.on_conflict_do_update(
            index_elements=["digest"], set_={"blob": statement.excluded.blob}
        )
        self._connection.execute(statement, asdict(row))


def until_full(rows: Iterable[T], weight: Callable[[T], int]) -> list[T]:
    """The rows up to the one that makes them more than `store.PAGE_BYTES`; the rest is not read."""
    found, total = [], 0
    for row in rows:
        found.append(row)
        total += weight(row)
        if total > store.PAGE_BYTES and len(found) > 1:
            break
    return found


def parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in parts that are small enough for one statement."""
    return (values[start : start + _PART] for start in range(0, len(values), _PART))


def upsert(connection: Connection) -> type[sqlite.Insert | postgresql.Insert]:
    """The kind of INSERT that can say what to do about a row that is there already."""
    return upsert_of(connection.dialect.name)


def upsert_of(dialect: str) -> type[sqlite.Insert | postgresql.Insert]:
    """As `upsert`, of a dialect by its name."""
    if dialect == "sqlite":
        return sqlite.Insert
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415 - slow to load, and not needed with SQLite

    return postgresql.Insert


class _Group(NamedTuple):
    """What many names have in common."""

    kind: int
    project: str
    domain: str
    version: str


def _groups(versions: Collection[store.EntityVersion]) -> Iterator[tuple[_Group, Sequence[str]]]:
    """The names by what they have in common, in parts that are small enough for one statement."""
    groups: defaultdict[_Group, list[str]] = defaultdict(list)
    for key, version in versions:
        groups[_Group(key.kind, key.project, key.domain, version)].append(key.name)
    return ((group, part) for group, names in groups.items() for part in parts(names))


def _the_version(version: store.EntityVersion) -> dict[str, object]:
    key, name = version
    return {f"of_{field}": value for field, value in asdict(key).items()} | {"of_version": name}


def _without(values: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in values.items() if name not in names}
