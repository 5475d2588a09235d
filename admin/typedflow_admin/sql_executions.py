"""Executions and leases in SQL; see the protocols in `store` for what each method promises."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from sqlalchemy import BigInteger, Connection, bindparam, delete, insert, select, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from typedflow_admin import statements, store, tables
from typedflow_admin.sql_entities import parts, until_full, upsert, upsert_of

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


class now_ms(FunctionElement[int]):  # noqa: N801 - named as SQL functions are
    """The database's clock, in milliseconds since 1970."""

    type = BigInteger()
    inherit_cache = True


@compiles(now_ms, "sqlite")
def _now_sqlite(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER)"


@compiles(now_ms, "postgresql")
def _now_postgresql(_element: now_ms, _compiler: SQLCompiler, **_options: object) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)"


_executions, _launches = tables.executions.c, tables.launches.c
_leases, _events, _inbox = tables.leases.c, tables.events.c, tables.inbox.c
_nodes = tables.nodes.c

_EXECUTION = [
    _executions.id, _executions.project, _executions.domain, _executions.launch_plan, _executions.launch_plan_version,
    _executions.phase, _executions.outputs, _executions.error, _executions.created_at_us, _executions.started_at_us,
    _executions.ended_at_us, _executions.revision, _executions.number,
]  # fmt: skip
_LAUNCH = [
    _launches.execution_id, _launches.workflow_number, _launches.workflow, _launches.workflow_version, _launches.inputs,
    _launches.interface, _launches.request, _launches.secret, _launches.principal, _launches.parent_execution_id,
    _launches.parent_node, _launches.recovered_from, _launches.relaunched_from, _launches.max_parallelism,
    _launches.plan_parallelism, _launches.depth,
]  # fmt: skip
_NODE = [
    _nodes.node, _nodes.position, _nodes.revision, _nodes.state, _nodes.parent, _nodes.slotted, _nodes.phase,
]  # fmt: skip
_LEASE = [_leases.execution_id, _leases.holder, _leases.epoch, _leases.version, _leases.last_sequence]

_ATTEMPT_FIELDS = tuple(field.name for field in fields(store.AttemptRow))

_BOTH = select(*_EXECUTION, *_LAUNCH).join(tables.launches, _launches.execution_id == _executions.id)
_FIND = _BOTH.where(_executions.id == bindparam("id"))
_ROW = select(*_EXECUTION).where(_executions.id == bindparam("id"))
_INSERT_EXECUTION = insert(tables.executions).returning(_executions.number)
_INSERT_LAUNCH, _INSERT_QUEUE = insert(tables.launches), insert(tables.place_queues)
_INSERT_LEASE, _INSERT_NODE, _INSERT_INBOX = insert(tables.leases), insert(tables.nodes), insert(tables.inbox)
_INSERT_EVENT = insert(tables.events)
_FIND_NODE = select(*_NODE).where(_nodes.execution_id == bindparam("id"), _nodes.node == bindparam("name"))
_NODES_OF = select(*_NODE).where(
    _nodes.execution_id == bindparam("id"), _nodes.node.in_(bindparam("names", expanding=True))
)
_PAGE_OF_NODES = (
    select(*_NODE)
    .where(_nodes.execution_id == bindparam("id"), _nodes.position > bindparam("after"))
    .order_by(_nodes.position)
    .limit(bindparam("limit"))
)
_PAGE_OF_TOP = _PAGE_OF_NODES.where(_nodes.slotted == bindparam("slotted"))
_PAGE_OF_PARTS = _PAGE_OF_NODES.where(_nodes.parent == bindparam("parent"))
_CHANGED_NODES = (
    select(*_NODE)
    .where(
        _nodes.execution_id == bindparam("id"),
        _nodes.revision > bindparam("since"),
        # Expressions, so that the few that changed are found by revision and not among all by position.
        _nodes.slotted + 0 == bindparam("slotted"),
        _nodes.position + 0 > bindparam("after"),
    )
    .order_by(_nodes.position)
    .limit(bindparam("limit"))
)
_JOURNAL = select(_events.event).where(_events.execution_id == bindparam("id")).order_by(_events.position)
_FIRST_EVENT = _JOURNAL.limit(1)
_FIRST_WAITING = select(_inbox.event).where(_inbox.execution_id == bindparam("id"), _inbox.sequence == 1)
_EXPANSIONS = select(tables.expansions.c.node, tables.expansions.c.graph).where(
    tables.expansions.c.execution_id == bindparam("id"),
    tables.expansions.c.node.in_(bindparam("names", expanding=True)),
)
_LAUNCHED_BY = select(_launches.execution_id, _launches.parent_execution_id, _launches.parent_node).where(
    _launches.execution_id.in_(bindparam("ids", expanding=True)), _launches.parent_execution_id != ""
)

_CLAIMABLE = (
    select(*_LEASE, _launches.secret, _executions.project, _executions.domain)
    .join(tables.executions, _executions.id == _leases.execution_id)
    .join(tables.launches, _launches.execution_id == _leases.execution_id)
    .where(_leases.expires_at_ms <= now_ms())
    .order_by(_executions.number)
    .limit(bindparam("limit"))
)
_CLAIM = (
    update(tables.leases)
    .where(_leases.execution_id == bindparam("id"))
    .values(holder=bindparam("by"), epoch=_leases.epoch + 1, expires_at_ms=now_ms() + bindparam("lease_ms"))
)
_HELD = select(*_LEASE).where(_leases.holder == bindparam("by"))
_RENEW = (
    update(tables.leases)
    .where(_leases.execution_id == bindparam("id"))
    .values(expires_at_ms=now_ms() + bindparam("lease_ms"))
)
_RELEASE = update(tables.leases).where(_leases.holder == bindparam("by")).values(holder="", expires_at_ms=0)
_RELEASE_PREFIX = (
    update(tables.leases)
    .where(_leases.holder.startswith(bindparam("prefix"), autoescape=False))
    .values(holder="", expires_at_ms=0)
)
_FIND_LEASES = select(*_LEASE).where(_leases.execution_id.in_(bindparam("ids", expanding=True)))
_NEXT_SEQUENCE = (
    update(tables.leases)
    .where(_leases.execution_id == bindparam("id"))
    .values(last_sequence=_leases.last_sequence + 1)
    .returning(_leases.last_sequence)
)
_WAITING = (
    select(_inbox.execution_id, _inbox.sequence, _inbox.event)
    .where(_inbox.execution_id.in_(bindparam("ids", expanding=True)))
    .order_by(_inbox.execution_id, _inbox.sequence)
)
_CONSUME = delete(tables.inbox).where(
    _inbox.execution_id == bindparam("id"), _inbox.sequence == bindparam("number")
)
_EMPTY_INBOX = delete(tables.inbox).where(_inbox.execution_id == bindparam("id"))
_END_LEASE = delete(tables.leases).where(_leases.execution_id == bindparam("id"))
_ADVANCE = (
    update(tables.leases)
    .where(_leases.execution_id == bindparam("id"))
    .values(version=bindparam("new_version"))
)
_REVISE = (
    update(tables.executions)
    .where(_executions.id == bindparam("key"))
    .values(revision=_executions.revision + 1)
    .returning(_executions.revision)
)
_CHANGE_STATUS = (
    update(tables.executions)
    .where(_executions.id == bindparam("key"))
    .values(
        phase=bindparam("new_phase"),
        outputs=bindparam("new_outputs"),
        error=bindparam("new_error"),
        started_at_us=bindparam("new_started"),
        ended_at_us=bindparam("new_ended"),
    )
)


class SqlExecutions:
    """See `store.Executions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def insert(
        self,
        execution: store.ExecutionRow,
        launch: store.LaunchRow,
        nodes: Sequence[store.NodeRow],
        event: bytes,
        *,
        capped: bool = False,
    ) -> None:
        """See `store.Executions.insert`."""
        values = asdict(execution)
        del values["number"]
        number = self._connection.execute(_INSERT_EXECUTION, values).scalar_one()
        self._connection.execute(_INSERT_LAUNCH, asdict(launch))
        lease = {"holder": "", "epoch": 0, "expires_at_ms": 0, "version": 0, "last_sequence": 1}
        self._connection.execute(_INSERT_LEASE, lease | {"execution_id": execution.id})
        if nodes:
            self._connection.execute(
                _INSERT_NODE,
                [
                    asdict(node) | {"execution_id": execution.id, "slotted": int(node.slotted)}
                    for node in nodes
                ],
            )
        self._connection.execute(_INSERT_INBOX, {"execution_id": execution.id, "sequence": 1, "event": event})
        if capped:
            names = ("project", "domain", "launch_plan")
            queue = {"execution_id": execution.id, "number": number, "granted": 0, "waiting": 0}
            queue |= {name: values[name] for name in names} | {"plan_parallelism": launch.plan_parallelism}
            self._connection.execute(_INSERT_QUEUE, queue)

    def find(self, execution_id: str) -> tuple[store.ExecutionRow, store.LaunchRow] | None:
        """See `store.Executions.find`."""
        row = self._connection.execute(_FIND, {"id": execution_id}).first()
        return _both(row) if row is not None else None

    def row(self, execution_id: str) -> store.ExecutionRow | None:
        """See `store.Executions.row`."""
        row = self._connection.execute(_ROW, {"id": execution_id}).first()
        return store.ExecutionRow(*row) if row is not None else None

    def page(
        self, wanted: store.ExecutionFilter, before: int, limit: int
    ) -> list[tuple[store.ExecutionRow, store.LaunchRow]]:
        """See `store.Executions.page`."""
        statement = _BOTH.where(_executions.number < (before or store.LAST))
        if wanted.project:
            statement = statement.where(_executions.project == wanted.project)
        if wanted.domain:
            statement = statement.where(_executions.domain == wanted.domain)
        if wanted.launch_plan:
            statement = statement.where(_executions.launch_plan == wanted.launch_plan)
        if wanted.phases:
            statement = statement.where(_executions.phase.in_(wanted.phases))
        rows = self._connection.execute(statement.order_by(_executions.number.desc()).limit(limit))
        return until_full((_both(row) for row in rows), lambda both: store.weight(*both))

    def node(self, execution_id: str, node: str) -> store.NodeRow | None:
        """See `store.Executions.node`."""
        row = self._connection.execute(_FIND_NODE, {"id": execution_id, "name": node}).first()
        return _node(row) if row is not None else None

    def nodes(
        self, execution_id: str, wanted: store.NodeFilter, after: int, limit: int
    ) -> list[store.NodeRow]:
        """See `store.Executions.nodes`."""
        parameters: dict[str, object] = {"id": execution_id, "after": after, "limit": limit}
        if wanted.parent:
            statement, parameters["parent"] = _PAGE_OF_PARTS, wanted.parent
        else:
            statement, parameters["slotted"] = _PAGE_OF_TOP, int(wanted.slotted)
        if wanted.phases:
            statement = statement.where(_nodes.phase.in_(wanted.phases))
        rows = self._connection.execute(statement, parameters)
        return until_full((_node(row) for row in rows), store.weight)

    def nodes_of(self, execution_id: str, paths: Collection[str]) -> dict[str, store.NodeRow]:
        """See `store.Executions.nodes_of`."""
        found = {}
        for part in parts(list(paths)):
            for row in self._connection.execute(_NODES_OF, {"id": execution_id, "names": part}):
                found[row.node] = _node(row)
        return found

    def changed_nodes(
        self, execution_id: str, since: int, after: int, limit: int, *, slotted: bool = False
    ) -> list[store.NodeRow]:
        """See `store.Executions.changed_nodes`."""
        parameters = {
            "id": execution_id,
            "since": since,
            "after": after,
            "limit": limit,
            "slotted": int(slotted),
        }
        rows = self._connection.execute(_CHANGED_NODES, parameters)
        return until_full((_node(row) for row in rows), store.weight)

    def events(self, execution_id: str) -> list[bytes]:
        """See `store.Executions.events`."""
        return list(self._connection.execute(_JOURNAL, {"id": execution_id}).scalars())

    def first_event(self, execution_id: str) -> bytes | None:
        """See `store.Executions.first_event`."""
        for statement in (_FIRST_EVENT, _FIRST_WAITING):
            found: bytes | None = self._connection.execute(statement, {"id": execution_id}).scalar()
            if found is not None:
                return found
        return None

    def put_expansion(self, execution_id: str, node: str, graph: bytes) -> None:
        """See `store.Executions.put_expansion`."""
        new = upsert(self._connection)(tables.expansions)
        statement = new.on_conflict_do_update(
            index_elements=["execution_id", "node"], set_={"graph": new.excluded["graph"]}
        )
        self._connection.execute(statement, {"execution_id": execution_id, "node": node, "graph": graph})

    def expansions(self, execution_id: str, nodes: Collection[str]) -> dict[str, bytes]:
        """See `store.Executions.expansions`."""
        return {
            row.node: row.graph
            for part in parts(sorted(nodes))
            for row in self._connection.execute(_EXPANSIONS, {"id": execution_id, "names": part})
        }

    def launched_by(self, execution_ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """See `store.Executions.launched_by`."""
        return {
            row.execution_id: (row.parent_execution_id, row.parent_node)
            for part in parts(list(execution_ids))
            for row in self._connection.execute(_LAUNCHED_BY, {"ids": part})
        }


class SqlLeases:
    """See `store.Leases`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, holder: str, limit: int, lease_ms: int) -> list[store.ClaimRow]:
        """See `store.Leases.claim`."""
        rows = self._connection.execute(_CLAIMABLE, {"limit": limit}).all()
        if rows:
            self._connection.execute(
                _CLAIM, [{"id": row.execution_id, "by": holder, "lease_ms": lease_ms} for row in rows]
            )
        return [
            store.ClaimRow(row.execution_id, row.epoch + 1, row.version, row.secret, row.project, row.domain)
            for row in rows
        ]

    def renew(self, holder: str, held: Sequence[tuple[str, int]], lease_ms: int) -> list[str]:
        """See `store.Leases.renew`."""
        there = {(lease.execution_id, lease.epoch) for lease in self.held(holder)}
        kept = [{"id": lease[0], "lease_ms": lease_ms} for lease in held if lease in there]
        if kept:
            self._connection.execute(_RENEW, kept)
        return [lease[0] for lease in held if lease not in there]

    def release(self, holder: str) -> int:
        """See `store.Leases.release`."""
        return self._connection.execute(_RELEASE, {"by": holder}).rowcount

    def release_prefix(self, prefix: str) -> int:
        """See `store.Leases.release_prefix`."""
        return self._connection.execute(_RELEASE_PREFIX, {"prefix": prefix}).rowcount

    def held(self, holder: str) -> list[store.LeaseRow]:
        """See `store.Leases.held`."""
        return [store.LeaseRow(*row) for row in self._connection.execute(_HELD, {"by": holder})]

    def find(self, execution_ids: Collection[str]) -> dict[str, store.LeaseRow]:
        """See `store.Leases.find`."""
        return {
            row.execution_id: row
            for part in parts(list(execution_ids))
            for row in statements.rows(self._connection, _FIND_LEASES, {"ids": part}, store.LeaseRow)
        }

    def post(self, execution_id: str, event: bytes) -> int:
        """See `store.Leases.post`."""
        found = statements.rows(self._connection, _NEXT_SEQUENCE, {"id": execution_id}, int)
        if not found:
            return 0
        values = {"execution_id": execution_id, "sequence": found[0], "event": event}
        statements.run(self._connection, _INSERT_INBOX, [values])
        return found[0]

    def inbox(self, execution_ids: Collection[str]) -> list[store.InboxRow]:
        """See `store.Leases.inbox`."""
        found: list[store.InboxRow] = []
        for part in parts(list(execution_ids)):
            found += statements.rows(self._connection, _WAITING, {"ids": part}, store.InboxRow)
        return found

    def apply(self, steps: Sequence[store.Step]) -> None:
        """See `store.Leases.apply`. One statement for each table, however many steps there are."""
        writes: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        for step in steps:
            revision = statements.rows(self._connection, _REVISE, {"key": step.execution_id}, int)
            _gather(step, revision[0], writes)
        run = functools.partial(statements.run, self._connection)
        dialect = self._connection.dialect.name
        run(_INSERT_EVENT, writes["events"])
        run(_CONSUME, writes["consumed"])
        run(_put_nodes(dialect), writes["nodes"])
        run(_put_attempts(dialect), writes["attempts"])
        run(_ADVANCE, writes["leases"])
        run(_CHANGE_STATUS, writes["statuses"])
        run(_END_LEASE, writes["ended"])
        run(_EMPTY_INBOX, writes["ended"])


def _node(row: Sequence[object]) -> store.NodeRow:
    node, position, revision, state, parent, slotted, phase = row
    return store.NodeRow(node, position, revision, state, parent, bool(slotted), phase)  # type: ignore[arg-type]


@functools.cache
def _put_nodes(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """New parts of maps and dynamic tasks are added; of a node that is there, its place stays."""
    new = upsert_of(dialect)(tables.nodes)
    return new.on_conflict_do_update(
        index_elements=["execution_id", "node"],
        set_={name: new.excluded[name] for name in ("revision", "state", "phase")},
    )


@functools.cache
def _put_attempts(dialect: str) -> sqlite.Insert | postgresql.Insert:
    """The same attempt again, after a crash between a commit and its answer, is the same row."""
    return upsert_of(dialect)(tables.attempts).on_conflict_do_nothing()


def _both(row: Sequence[object]) -> tuple[store.ExecutionRow, store.LaunchRow]:
    count = len(_EXECUTION)
    return store.ExecutionRow(*row[:count]), store.LaunchRow(*row[count:])  # type: ignore[arg-type]


def _gather(step: store.Step, revision: int, writes: dict[str, list[dict[str, object]]]) -> None:
    """Adds the rows that a step writes to those of each table."""
    id_ = step.execution_id
    for position, event in enumerate(step.events, step.first_position):
        writes["events"].append({"execution_id": id_, "position": position, "event": event})
    writes["consumed"] += [{"id": id_, "number": number} for number in step.consumed]
    writes["nodes"] += [
        {
            "node": node.node,
            "position": node.position,
            "revision": revision,
            "state": node.state,
            "parent": node.parent,
            "slotted": int(node.slotted),
            "phase": node.phase,
            "execution_id": id_,
        }
        for node in step.nodes
    ]
    writes["attempts"] += [
        {name: getattr(attempt, name) for name in _ATTEMPT_FIELDS} for attempt in step.attempts
    ]
    writes["leases"].append({"id": id_, "new_version": step.version})
    status = step.status
    if status is None:
        return
    writes["statuses"].append(
        {
            "key": id_,
            "new_phase": status.phase,
            "new_outputs": status.outputs,
            "new_error": status.error,
            "new_started": status.started_at_us,
            "new_ended": status.ended_at_us,
        }
    )
    if status.ended:
        writes["ended"].append({"id": id_})
