"""Attempts in SQL; see `store.Attempts` for what each method promises."""

from __future__ import annotations

from typing import Self

from sqlalchemy import Connection, bindparam, select, update

from typedflow_admin import statements, store, tables

_attempts, _launches = tables.attempts.c, tables.launches.c

_ATTEMPT = [
    _attempts.execution_id, _attempts.node, _attempts.attempt, _attempts.holder, _attempts.spec, _attempts.runner_uid,
    _attempts.executor_id, _attempts.begun_at_us, _attempts.ended_at_us, _attempts.outcome,
]  # fmt: skip

_OF_NODE = (_attempts.execution_id == bindparam("id")) & (_attempts.node == bindparam("name"))
_OF_ATTEMPT = _OF_NODE & (_attempts.attempt == bindparam("try"))
_WITH_SECRET = select(*_ATTEMPT, _launches.secret).join(
    tables.launches, _launches.execution_id == _attempts.execution_id
)
_FIND_ATTEMPT = _WITH_SECRET.where(_OF_ATTEMPT)
_LATEST_ATTEMPT = _WITH_SECRET.where(_OF_NODE).order_by(_attempts.attempt.desc()).limit(1)
_ADMIT = (
    update(tables.attempts)
    .where(_OF_ATTEMPT)
    .values(runner_uid=bindparam("uid"), executor_id=bindparam("executor"), begun_at_us=bindparam("at"))
)
_FINISH = (
    update(tables.attempts)
    .where(_OF_ATTEMPT)
    .values(outcome=bindparam("result"), ended_at_us=bindparam("at"))
)


class _AttemptWithSecret(tuple[store.AttemptRow, bytes]):
    """An attempt, and what its token is made with, from a row that has both."""

    __slots__ = ()

    def __new__(cls, *row: object) -> Self:
        return super().__new__(cls, (store.AttemptRow(*row[:-1]), row[-1]))  # type: ignore[arg-type]


class SqlAttempts:
    """See `store.Attempts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def find(self, execution_id: str, node: str, attempt: int) -> tuple[store.AttemptRow, bytes] | None:
        """See `store.Attempts.find`."""
        parameters: dict[str, object] = {"id": execution_id, "name": node}
        if attempt:
            parameters["try"] = attempt
        statement = _FIND_ATTEMPT if attempt else _LATEST_ATTEMPT
        found = statements.rows(self._connection, statement, parameters, _AttemptWithSecret)
        return found[0] if found else None

    def admit(
        self, execution_id: str, node: str, attempt: int, runner_uid: str, executor_id: str, at_us: int
    ) -> None:
        """See `store.Attempts.admit`."""
        parameters = {"id": execution_id, "name": node, "try": attempt}
        parameters |= {"uid": runner_uid, "executor": executor_id, "at": at_us}
        statements.run(self._connection, _ADMIT, [parameters])

    def finish(self, execution_id: str, node: str, attempt: int, outcome: bytes, at_us: int) -> None:
        """See `store.Attempts.finish`."""
        parameters = {"id": execution_id, "name": node, "try": attempt, "result": outcome, "at": at_us}
        statements.run(self._connection, _FINISH, [parameters])
