"""Condemned objects, and what refers to objects, in SQL; see `cache_store.Objects`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from google.protobuf.message import Message
from sqlalchemy import Column, ColumnElement, Connection, bindparam, delete, func, literal, select, update

from typedflow.pb.attempt_pb2 import AttemptSpec, Outcome
from typedflow.pb.catalog_pb2 import CatalogEntry
from typedflow.pb.errors_pb2 import ExecutionError
from typedflow.pb.events_pb2 import Event
from typedflow.pb.executions_pb2 import NodeExecution
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
)
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.literals_pb2 import Blob, LiteralMap
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import cache_store, references, tables
from typedflow_admin.cache_store import CONDEMNED, REMOVED, REMOVING
from typedflow_admin.sql_entities import parts, upsert

_objects, _executions, _launches = tables.condemned_objects.c, tables.executions.c, tables.launches.c
_leases, _attempts = tables.leases.c, tables.attempts.c


class _Place(NamedTuple):
    """A column of messages, and the column that says whose they are."""

    column: Column[bytes]
    kind: type[Message]
    of: Column[str] | None = None


_ENTITIES: dict[object, type[Message]] = {
    ENTITY_KIND_TASK: TaskTemplate,
    ENTITY_KIND_WORKFLOW: CompiledWorkflow,
    ENTITY_KIND_LAUNCH_PLAN: CompiledLaunchPlan,
}
PLACES = (
    _Place(tables.launches.c.inputs, LiteralMap, tables.launches.c.execution_id),
    _Place(tables.launches.c.interface, Interface, tables.launches.c.execution_id),
    _Place(tables.executions.c.outputs, LiteralMap, tables.executions.c.id),
    _Place(tables.executions.c.error, ExecutionError, tables.executions.c.id),
    _Place(tables.events.c.event, Event, tables.events.c.execution_id),
    _Place(tables.inbox.c.event, Event, tables.inbox.c.execution_id),
    _Place(tables.nodes.c.state, NodeExecution, tables.nodes.c.execution_id),
    _Place(tables.attempts.c.spec, AttemptSpec, tables.attempts.c.execution_id),
    _Place(tables.attempts.c.outcome, Outcome, tables.attempts.c.execution_id),
    _Place(tables.expansions.c.graph, CompiledWorkflow, tables.expansions.c.execution_id),
    _Place(tables.catalog.c.entry, CatalogEntry, tables.catalog.c.key),
    _Place(tables.bundles.c.blob, Blob),
)
"""Where messages are that may point at objects; templates, whose kinds differ by row, are in `entities`."""

_ROWS_AT_ONCE = 500

_OF_DIGESTS = _objects.digest.in_(bindparam("digests", expanding=True))
_IN_STATES = _objects.state.in_(bindparam("states", expanding=True))
_ROW = [_objects.digest, _objects.size, _objects.state]
_FIND = select(*_ROW).where(_OF_DIGESTS)
_REVIVE = delete(tables.condemned_objects).where(_OF_DIGESTS, _IN_STATES)
_MOVE = update(tables.condemned_objects).where(_OF_DIGESTS, _objects.state == bindparam("was"))
_LEFTOVER = select(_objects.digest).where(_objects.state == REMOVING)
# When the oldest attempt that runs began: what it has put into the store, it has not told of yet.
_OLDEST_ATTEMPT = (
    select(func.min(_attempts.begun_at_us))
    .join(tables.leases, _leases.execution_id == _attempts.execution_id)
    .where(_attempts.begun_at_us > 0, _attempts.outcome.is_(None))
)


class SqlObjects:
    """See `cache_store.Objects`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, digests: Collection[str]) -> list[cache_store.CondemnedRow]:
        """See `cache_store.Objects.find`."""
        found: list[cache_store.CondemnedRow] = []
        for part in parts(list(digests)):
            rows = self._connection.execute(_FIND, {"digests": part})
            found += [cache_store.CondemnedRow(*row) for row in rows]
        return found

    def condemn(self, sizes: Mapping[str, int], at_us: int) -> None:
        """See `cache_store.Objects.condemn`."""
        rows = [
            {"digest": digest, "size": size, "since_us": at_us, "state": CONDEMNED}
            for digest, size in sizes.items()
        ]
        statement = upsert(self._connection)(tables.condemned_objects)
        statement = statement.on_conflict_do_update(
            index_elements=["digest"],
            set_={"state": CONDEMNED, "since_us": statement.excluded.since_us},
            where=_objects.state == REMOVED,
        )
        if rows:
            self._connection.execute(statement, rows)

    def revive(self, digests: Collection[str], states: Collection[int] = (CONDEMNED,)) -> None:
        """See `cache_store.Objects.revive`."""
        for part in parts(list(digests)):
            self._connection.execute(_REVIVE, {"digests": part, "states": list(states)})

    def claim(self, digests: Collection[str]) -> None:
        """See `cache_store.Objects.claim`."""
        found = self.find(digests)
        if removed := {row.digest for row in found if row.state != CONDEMNED}:
            raise cache_store.ObjectsRemoved(removed)
        self.revive([row.digest for row in found])

    def due(self, before_us: int) -> list[cache_store.CondemnedRow]:
        """See `cache_store.Objects.due`."""
        statement = select(*_ROW).where(
            _objects.state == CONDEMNED, _objects.since_us < self._before(before_us)
        )
        return [cache_store.CondemnedRow(*row) for row in self._connection.execute(statement)]

    def leftover(self) -> list[str]:
        """See `cache_store.Objects.leftover`."""
        return list(self._connection.execute(_LEFTOVER).scalars())

    def begin_removal(self, digests: Collection[str], at_us: int) -> list[cache_store.CondemnedRow]:
        """See `cache_store.Objects.begin_removal`."""
        self._move(digests, CONDEMNED, REMOVING, at_us)
        return [row for row in self.find(digests) if row.state == REMOVING]

    def end_removal(self, digests: Collection[str], at_us: int) -> None:
        """See `cache_store.Objects.end_removal`."""
        self._move(digests, REMOVING, REMOVED, at_us)

    def forget(self, before_us: int) -> None:
        """See `cache_store.Objects.forget`."""
        before = self._before(before_us)
        statement = delete(tables.condemned_objects)
        self._connection.execute(statement.where(_objects.state == REMOVED, _objects.since_us < before))

    def _move(self, digests: Collection[str], was: int, becomes: int, at_us: int) -> None:
        for part in parts(list(digests)):
            statement = _MOVE.values(state=becomes, since_us=at_us)
            self._connection.execute(statement, {"digests": part, "was": was})

    def _before(self, before_us: int) -> int:
        """The earlier of then and when the oldest attempt that runs began."""
        oldest = self._connection.execute(_OLDEST_ATTEMPT).scalar()
        return before_us if oldest is None else min(before_us, oldest)

    def messages(self, executions: Collection[str], keys: Collection[str]) -> Iterator[Message]:
        """See `cache_store.Objects.messages`."""
        for place in PLACES:
            without = {*keys} if place.column.table is tables.catalog else {*executions}
            whose: ColumnElement[str] = literal("") if place.of is None else place.of
            for message, owner in self._rows(select(place.column, whose).where(place.column.is_not(None))):
                if references.may_have_any(message) and owner not in without:
                    yield _parsed(place.kind, message)
        for template, kind in self._rows(select(tables.entities.c.template, tables.entities.c.kind)):
            if references.may_have_any(template):
                yield _parsed(_ENTITIES[kind], template)

    def _rows(self, statement: object) -> Iterator[tuple[bytes, object]]:
        """The rows of a statement, a few in memory at a time."""
        options = {"yield_per": _ROWS_AT_ONCE}
        for row in self._connection.execute(statement, execution_options=options):  # type: ignore[call-overload]
            yield row[0], row[1]

    def expired(self, project: str, domain: str, before_us: int) -> list[str]:
        """See `cache_store.Objects.expired`."""
        parent = tables.launches.alias()
        statement = (
            select(_executions.id)
            .join(tables.launches, _launches.execution_id == _executions.id)
            .outerjoin(parent, parent.c.execution_id == _launches.parent_execution_id)
            .where(
                parent.c.execution_id.is_(None),
                _executions.ended_at_us > 0,
                _executions.ended_at_us < before_us,
            )
        )
        for column, name in ((_executions.project, project), (_executions.domain, domain)):
            if name:
                statement = statement.where(column == name)
        trees = {id_: id_ for id_ in self._connection.execute(statement).scalars()}
        level = dict(trees)
        while level:
            level = {child: trees[launcher] for child, launcher in self._launched_by(level)}
            trees |= level
        kept = {trees[id_] for id_ in self._in_use() if id_ in trees}
        return [id_ for id_, root in trees.items() if root not in kept]

    def _launched_by(self, ids: Collection[str]) -> Iterator[tuple[str, str]]:
        for part in parts(list(ids)):
            rows = select(_launches.execution_id, _launches.parent_execution_id)
            for row in self._connection.execute(rows.where(_launches.parent_execution_id.in_(part))):
                yield row.execution_id, row.parent_execution_id

    def _in_use(self) -> Iterator[str]:
        """What has not ended, and what is recovered by that."""
        rows = select(_leases.execution_id, _launches.recovered_from).join(
            tables.launches, _launches.execution_id == _leases.execution_id
        )
        for id_, recovered in self._connection.execute(rows):
            yield id_
            yield recovered

    def forget_executions(self, ids: Collection[str]) -> None:
        """See `cache_store.Objects.forget_executions`. Everything else refers to the executions' rows."""
        for part in parts(list(ids)):
            self._connection.execute(delete(tables.executions).where(_executions.id.in_(part)))


def _parsed(kind: type[Message], content: bytes) -> Message:
    made = kind()
    made.ParseFromString(content)
    return made
