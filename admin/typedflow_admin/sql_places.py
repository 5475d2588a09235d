"""Places under caps in SQL; see `place_store.Places` for what each method promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy import Connection, bindparam, delete, func, select, update

from typedflow_admin import place_store, statements, tables
from typedflow_admin.sql_entities import parts, upsert

_queues, _places = tables.place_queues.c, tables.places.c

_QUEUE = [
    _queues.execution_id, _queues.number, _queues.project, _queues.domain, _queues.launch_plan,
    _queues.plan_parallelism, _queues.granted, _queues.waiting,
]  # fmt: skip
_FIND = select(*_QUEUE).where(_queues.execution_id.in_(bindparam("ids", expanding=True)))
_LAST_TURN = select(func.coalesce(func.max(_places.turn), 0)).where(
    _places.execution_id == bindparam("id"), _places.granted == 0
)
_GIVE_BACK = delete(tables.places).where(
    _places.execution_id == bindparam("id"),
    _places.node == bindparam("name"),
    (_places.attempt == bindparam("try")) | (bindparam("try") == 0),
)
_LEAVE = delete(tables.place_queues).where(_queues.execution_id == bindparam("id"))
_EMPTY = delete(tables.places).where(_places.execution_id == bindparam("id"))
_COUNT = select(func.count()).where(_places.execution_id == bindparam("id"))
_RECOUNT = (
    update(tables.place_queues)
    .where(_queues.execution_id == bindparam("id"))
    .values(
        granted=_COUNT.where(_places.granted == 1).scalar_subquery(),
        waiting=_COUNT.where(_places.granted == 0).scalar_subquery(),
    )
)
_SUM = func.sum(_queues.granted)
_BY_PLAN = (
    select(_queues.project, _queues.domain, _queues.launch_plan, _SUM.label("granted"))
    .where(_queues.project == bindparam("project"), _queues.granted > 0)
    .group_by(_queues.project, _queues.domain, _queues.launch_plan)
)
_full = _BY_PLAN.subquery("of_plan")
_WAITING = (
    select(*_QUEUE)
    .outerjoin(_full, (_full.c.domain == _queues.domain) & (_full.c.launch_plan == _queues.launch_plan))
    .where(
        _queues.project == bindparam("project"),
        _queues.waiting > 0,
        (_queues.plan_parallelism == 0) | (func.coalesce(_full.c.granted, 0) < _queues.plan_parallelism),
    )
    .order_by(_queues.granted, _queues.number)
    .limit(bindparam("limit"))
)
_NEXT = (
    select(_places.node, _places.attempt)
    .where(_places.execution_id == bindparam("id"), _places.granted == 0)
    .order_by(_places.turn)
    .limit(bindparam("count"))
)
_GRANT = (
    update(tables.places)
    .where(
        _places.execution_id == bindparam("id"),
        _places.node == bindparam("name"),
        _places.attempt == bindparam("try"),
    )
    .values(granted=1)
)


class SqlPlaces:
    """See `place_store.Places`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def queues(self, execution_ids: Collection[str]) -> dict[str, place_store.QueueRow]:
        """See `place_store.Places.queues`."""
        return {
            row.execution_id: row
            for part in parts(sorted(execution_ids))
            for row in statements.rows(self._connection, _FIND, {"ids": part}, place_store.QueueRow)
        }

    def ask(self, keys: Sequence[place_store.PlaceKey]) -> None:
        """See `place_store.Places.ask`."""
        asked: defaultdict[str, list[dict[str, object]]] = defaultdict(list)
        for execution_id, node, attempt in keys:
            asked[execution_id].append(
                {"execution_id": execution_id, "node": node, "attempt": attempt, "granted": 0}
            )
        statement = upsert(self._connection)(tables.places).on_conflict_do_nothing()
        for execution_id, rows in asked.items():
            last: int = self._connection.execute(_LAST_TURN, {"id": execution_id}).scalar_one()
            self._connection.execute(
                statement, [row | {"turn": turn} for turn, row in enumerate(rows, last + 1)]
            )
        self._recount(asked)

    def give_back(self, keys: Sequence[place_store.PlaceKey]) -> None:
        """See `place_store.Places.give_back`."""
        if keys:
            self._connection.execute(
                _GIVE_BACK, [{"id": id_, "name": node, "try": attempt} for id_, node, attempt in keys]
            )
        self._recount({key[0] for key in keys})

    def leave(self, execution_ids: Sequence[str]) -> None:
        """See `place_store.Places.leave`."""
        if rows := [{"id": id_} for id_ in execution_ids]:
            for statement in (_EMPTY, _LEAVE):
                self._connection.execute(statement, rows)

    def granted(self, project: str) -> dict[tuple[str, str, str], int]:
        """See `place_store.Places.granted`."""
        rows = self._connection.execute(_BY_PLAN, {"project": project})
        return {(row.project, row.domain, row.launch_plan): int(row.granted) for row in rows}

    def waiting(self, project: str, limit: int) -> list[place_store.QueueRow]:
        """See `place_store.Places.waiting`."""
        rows = self._connection.execute(_WAITING, {"project": project, "limit": limit})
        return [place_store.QueueRow(*row) for row in rows]

    def grant(self, counts: Mapping[str, int]) -> list[place_store.PlaceKey]:
        """See `place_store.Places.grant`."""
        granted = [
            (execution_id, row.node, row.attempt)
            for execution_id, count in counts.items()
            for row in self._connection.execute(_NEXT, {"id": execution_id, "count": count})
        ]
        if granted:
            self._connection.execute(
                _GRANT, [{"id": id_, "name": node, "try": attempt} for id_, node, attempt in granted]
            )
        self._recount(counts)
        return granted

    def _recount(self, execution_ids: Iterable[str]) -> None:
        if parameters := [{"id": id_} for id_ in sorted(set(execution_ids))]:
            self._connection.execute(_RECOUNT, parameters)
