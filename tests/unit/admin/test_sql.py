"""Postgres comes later; what is sent to a database must be something that it understands already."""

import pytest
from sqlalchemy import ClauseElement, Executable
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from typedflow_admin import sql_entities, sql_executions, tables

STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (sql_entities, sql_executions)
    for name, value in vars(module).items()
    if isinstance(value, ClauseElement) and isinstance(value, Executable) and name.isupper()
}


@pytest.mark.parametrize("dialect", [sqlite.dialect(), postgresql.dialect()], ids=["sqlite", "postgresql"])
@pytest.mark.parametrize("name", STATEMENTS)
def test_every_statement_can_be_said_to_both_databases(name, dialect):
    assert str(STATEMENTS[name].compile(dialect=dialect))


def test_the_statements_are_there():
    assert len(STATEMENTS) > 30


def test_postgres_can_make_the_tables():
    for table in tables.metadata.sorted_tables:
        made = [str(CreateTable(table).compile(dialect=postgresql.dialect()))]
        made += [str(CreateIndex(index).compile(dialect=postgresql.dialect())) for index in table.indexes]
        assert all(table.name in text for text in made)


def test_the_clock_is_the_databases(tmp_path):
    texts = [
        str(sql_executions.now_ms().compile(dialect=each))
        for each in (sqlite.dialect(), postgresql.dialect())
    ]
    assert "julianday('now')" in texts[0]
    assert "clock_timestamp()" in texts[1]
