"""How the statements of every attempt reach the database: by the shortest way.

SQLAlchemy takes many times as long to prepare a small statement as SQLite takes to run it. So `rows` and `run` compile
a statement once, and give SQLite's driver its text. PostgreSQL, where it is the way to the database that takes long,
gets it from SQLAlchemy like any other. Either way the same is raised, and what is written is seen by who watches. The
connection is in a transaction. Nothing here knows what the tables mean.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import ClauseElement, Connection, Dialect, Engine, LargeBinary, event, exc
from sqlalchemy.engine import CursorResult
from sqlalchemy.sql.compiler import SQLCompiler

R = TypeVar("R")
Values = Mapping[str, object]

_WRITTEN = "typedflow_written"


def rows(connection: Connection, statement: ClauseElement, values: Values, kind: type[R]) -> list[R]:
    """What a statement gives that is kept for good, as a constant is: each row as one of a kind.

    A list among the values is one of an IN.
    """
    driver = _driver(connection)
    if driver is None:
        found: CursorResult[tuple[object, ...]] = connection.execute(statement, values)  # type: ignore[call-overload]
        return [kind(*row) for row in found]  # type: ignore[call-arg]
    _note(connection, (values,))
    text, arguments = _prepared(statement, connection.dialect, values).said(values)
    try:
        return [kind(*row) for row in driver.execute(text, arguments)]
    except sqlite3.Error as error:
        raise _raised(text, arguments, error) from error


def run(connection: Connection, statement: ClauseElement, many: Sequence[Values]) -> None:
    """Runs a statement that is kept for good once for each of the values, which all have the same names."""
    driver = _driver(connection)
    if not many:
        return
    if driver is None:
        connection.execute(statement, many)  # type: ignore[call-overload]
        return
    _note(connection, many)
    prepared = _prepared(statement, connection.dialect, many[0])
    arguments = [prepared.arguments(values) for values in many]
    try:
        driver.executemany(prepared.text, arguments)
    except sqlite3.Error as error:
        raise _raised(prepared.text, arguments, error) from error


def begin(connection: Connection, text: str) -> None:
    """Begins a transaction of SQLite's."""
    driver = _driver(connection)
    assert driver is not None
    try:
        driver.execute(text)
    except sqlite3.Error as error:
        raise _raised(text, (), error) from error


def watch(engine: Engine) -> None:
    """Makes `watched` see what SQLAlchemy sends on the connections of an engine."""

    def take(
        connection: Connection, _statement: object, many: Sequence[Values], one: Values, _options: object
    ) -> None:
        _note(connection, many or (one,))

    event.listen(engine, "before_execute", take)


@contextlib.contextmanager
def watched(connection: Connection) -> Iterator[list[bytes]]:
    """All the bytes that statements are given on a connection while the block runs."""
    written: list[bytes] = []
    noted = connection.info  # a connection that breaks has none to give
    noted[_WRITTEN] = written
    try:
        yield written
    finally:
        del noted[_WRITTEN]


def _note(connection: Connection, many: Sequence[Values]) -> None:
    written = connection.info.get(_WRITTEN)
    if written is not None:
        for values in many:
            written += [value for value in values.values() if isinstance(value, bytes)]


def _driver(connection: Connection) -> sqlite3.Connection | None:
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else None


class _Prepared:
    """A statement as SQLite's driver is told it, for values of these names."""

    __slots__ = ("_constants", "_lists", "_names", "text")

    def __init__(self, statement: ClauseElement, dialect: Dialect, names: Sequence[str]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(names))
        assert isinstance(compiled, SQLCompiler)
        assert not compiled.insert_prefetch, "SQLAlchemy would add a default"
        for bind in compiled.binds.values():
            convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
            assert convert is None or isinstance(bind.type, LargeBinary), (
                f"SQLAlchemy would convert {bind.key}"
            )
        self.text = compiled.string
        self._names = tuple(compiled.positiontup or ())
        self._constants = {name: bind.value for name, bind in compiled.binds.items() if name not in names}
        lists = {bind.key for bind in compiled.post_compile_params}
        self._lists = {name: f"(__[POSTCOMPILE_{name}])" for name in names if name in lists}

    def said(self, values: Values) -> tuple[str, Sequence[object]]:
        """The text, with a place for each value of a list, and what goes into it."""
        if not self._lists:
            return self.text, self.arguments(values)
        text = self.text
        arguments: list[object] = []
        for name in self._names:
            value = values[name] if name in values else self._constants[name]
            if name in self._lists:
                assert isinstance(value, Sequence)
                text = text.replace(self._lists[name], f"({', '.join('?' * len(value))})")
                arguments += value
            else:
                arguments.append(value)
        return text, arguments

    def arguments(self, values: Values) -> list[object]:
        """What goes into the text, in order."""
        if self._constants:
            values = {**self._constants, **values}
        return [values[name] for name in self._names]


_known: dict[tuple[int, tuple[str, ...]], tuple[ClauseElement, _Prepared]] = {}


def _prepared(statement: ClauseElement, dialect: Dialect, values: Values) -> _Prepared:
    key = id(statement), tuple(values)
    known = _known.get(key)
    if known is None:  # the statement is kept with it, so that the id stays its own
        known = _known[key] = statement, _Prepared(statement, dialect, key[1])
    return known[1]


def _raised(text: str, arguments: object, error: sqlite3.Error) -> BaseException:
    """As SQLAlchemy raises it."""
    return exc.DBAPIError.instance(text, arguments, error, sqlite3.Error)  # type: ignore[call-overload,no-any-return]
