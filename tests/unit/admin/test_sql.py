"""Postgres comes later; what is sent to a database must be something that it understands already."""

import pytest
from sqlalchemy import ClauseElement, Executable, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from typedflow_admin import (
    database,
    sql_attempts,
    sql_entities,
    sql_executions,
    sql_places,
    sql_store,
    store,
    tables,
)

STATEMENTS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (sql_attempts, sql_entities, sql_executions, sql_places)
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


@pytest.mark.parametrize(
    "page",
    [
        lambda transaction: transaction.executions.page(store.ExecutionFilter(), 9, 9),
        lambda transaction: transaction.executions.page(store.ExecutionFilter("p", "d"), 9, 9),
        lambda transaction: transaction.executions.page(store.ExecutionFilter("p", "d", phases=(1,)), 9, 9),
        lambda transaction: transaction.executions.page(store.ExecutionFilter("p", "d", "m.wf"), 9, 9),
        lambda transaction: transaction.executions.nodes("x", store.NodeFilter(), 9, 9),
        lambda transaction: transaction.executions.nodes("x", store.NodeFilter("m", phases=(1,)), 9, 9),
        lambda transaction: transaction.entities.versions(store.EntityKey(1, "p", "d", "m.t"), 9, 9),
        lambda transaction: transaction.catalog.page("p", "d", "", 9, 9),
        lambda transaction: transaction.catalog.page("p", "d", "m.t", 9, 9),
    ],
    ids=["all", "project", "phase", "plan", "nodes", "parts", "versions", "entries", "entries-of-task"],
)
def test_a_page_is_read_from_an_index_in_its_order(tmp_path, page):
    plan = plan_of(tmp_path, page)
    assert plan
    assert all("INDEX" in step or "PRIMARY KEY" in step for step in plan)
    assert not any("TEMP B-TREE" in step for step in plan)


def test_changed_nodes_are_found_by_revision(tmp_path):
    plan = plan_of(tmp_path, lambda transaction: transaction.executions.changed_nodes("x", 9, 9, 9))
    assert "ix_nodes_execution_id_revision (execution_id=? AND revision>?)" in plan[0]


def test_who_refers_to_something_is_found_by_what_it_is(tmp_path):
    version = (store.EntityKey(2, "p", "d", "m.wf"), "v1")
    plan = plan_of(tmp_path, lambda transaction: transaction.entities.referrers([version], 9))
    assert any(
        "SEARCH entity_references USING PRIMARY KEY (kind=? AND project=? AND domain=? AND name=? AND version=?)"
        in step
        for step in plan
    )
    assert not any("SCAN entities" in step for step in plan)


def plan_of(folder, call) -> list[str]:
    """How SQLite finds the rows that a call reads."""
    engine, said = database.create_engine(f"sqlite:///{folder / 'test.db'}"), []
    tables.metadata.create_all(engine)
    with engine.begin() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: said.append(given[2:4]))
        call(sql_store.SqlTransaction(connection))
        asked, parameters = said[0]
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", parameters)]
