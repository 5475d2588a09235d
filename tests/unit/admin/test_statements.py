"""A statement says the same by the shortest way as it does through SQLAlchemy, and raises the same."""

import pytest
import sqlalchemy
from sqlalchemy import bindparam, exc, insert, select, update
from typedflow_admin import database, statements, tables

_inbox = tables.inbox.c
INSERT = insert(tables.inbox)
FIND = (
    select(_inbox.execution_id, _inbox.sequence, _inbox.event)
    .where(_inbox.execution_id.in_(bindparam("ids", expanding=True)), _inbox.sequence > bindparam("after"))
    .order_by(_inbox.execution_id, _inbox.sequence)
)
MOVE = (
    update(tables.inbox)
    .where(_inbox.execution_id == bindparam("id"))
    .values(sequence=_inbox.sequence + 10)
    .returning(_inbox.sequence)
)
ROWS = [{"execution_id": name, "sequence": 1, "event": name.encode()} for name in ("a", "b", "c")]


class Row(tuple):
    __slots__ = ()

    def __new__(cls, *columns: object):
        return super().__new__(cls, columns)


@pytest.fixture
def engine(tmp_path):
    engine = database.create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    statements.watch(engine)
    tables.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine):
    with engine.connect() as opened:
        begin(opened)
        yield opened


def begin(connection):
    connection.begin()
    connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")


@pytest.mark.parametrize("ids", [[], ["a"], ["a", "c"], ["c", "b", "a", "z"]])
def test_a_list_finds_what_it_finds_through_sqlalchemy(connection, ids):
    statements.run(connection, INSERT, ROWS)
    values = {"ids": ids, "after": 0}
    found = statements.rows(connection, FIND, values, Row)
    assert found == [tuple(each) for each in connection.execute(FIND, values)]
    assert len(found) == len(set(ids) & {"a", "b", "c"})


def test_what_a_statement_has_of_its_own_is_said_too(connection):
    statements.run(connection, INSERT, ROWS)
    assert statements.rows(connection, MOVE, {"id": "b"}, int) == [11]
    assert statements.rows(connection, MOVE, {"id": "nobody"}, int) == []


def test_it_is_part_of_the_transaction(connection):
    statements.run(connection, INSERT, ROWS)
    connection.rollback()
    begin(connection)
    assert statements.rows(connection, FIND, {"ids": ["a"], "after": 0}, Row) == []


@pytest.mark.parametrize("many", [ROWS[:1] * 2, [{**ROWS[0], "event": None}]], ids=["twice", "nothing"])
def test_what_the_database_refuses_is_raised_as_sqlalchemy_raises_it(connection, many):
    with pytest.raises(exc.IntegrityError) as short:
        statements.run(connection, INSERT, many)
    connection.rollback()
    begin(connection)
    with pytest.raises(exc.IntegrityError) as long:
        connection.execute(INSERT, many)
    assert str(short.value.orig) == str(long.value.orig)


def test_a_database_that_is_away_is_an_operational_error(connection):
    missing = select(sqlalchemy.table("nowhere", sqlalchemy.column("x")).c.x)
    with pytest.raises(exc.OperationalError, match="no such table"):
        statements.rows(connection, missing, {}, Row)


def test_whatever_way_bytes_are_written_they_are_seen(connection):
    with statements.watched(connection) as written:
        statements.run(connection, INSERT, ROWS[:2])
        connection.execute(INSERT, ROWS[2])
    statements.rows(connection, FIND, {"ids": ["a"], "after": 0}, Row)
    assert written == [b"a", b"b", b"c"]
