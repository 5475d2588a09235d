"""The tables are made by migrations and described in `tables`: both must say the same."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text
from typedflow_admin import migrations, tables
from typedflow_admin.database import create_engine

from typedflow import errors


@pytest.fixture
def engine(tmp_path):
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield made
    made.dispose()


def test_migrations_make_the_tables_that_the_code_describes(engine):
    migrations.upgrade(engine)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []


def test_migrations_make_what_the_description_would_make(engine, tmp_path):
    migrations.upgrade(engine)
    other = create_engine(f"sqlite:///{tmp_path / 'other.db'}")
    tables.metadata.create_all(other)

    def schema(of) -> dict[str, str]:
        with of.connect() as connection:
            rows = connection.execute(
                text("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'alembic%'")
            )
            return {name: " ".join(sql.split()) for name, sql in rows if sql}

    assert schema(engine) == schema(other)
    other.dispose()


def test_an_upgrade_of_a_current_database_does_nothing(engine):
    migrations.upgrade(engine)
    before = inspect(engine).get_table_names()
    migrations.upgrade(engine)
    assert inspect(engine).get_table_names() == before


def test_a_database_of_a_newer_release_is_refused(engine):
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.UsageError, match="made by a newer typedflow") as refused:
        migrations.upgrade(engine)
    assert "upgrade typedflow" in refused.value.hint


def test_databases_are_set_up_for_many_readers_and_one_writer(engine):
    with engine.connect() as connection:
        found = [
            connection.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "foreign_keys")
        ]
        assert found == ["wal", 1]
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 1
