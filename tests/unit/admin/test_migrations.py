"""The tables are described in `tables` and made by migrations: both must say the same."""

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from typedflow_admin import migrations, tables
from typedflow_admin.database import create_engine

from typedflow import errors, identifiers
from typedflow.pb import launch_plans_pb2, workflows_pb2


@pytest.fixture
def engine(tmp_path):
    made = create_engine(f"sqlite:///{tmp_path / 'test.db'}")
    yield made
    made.dispose()


def schema(engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT name, sql FROM sqlite_master")).all()
        found = {name: " ".join(sql.split()) for name, sql in rows if sql}
        found["revision"] = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
    # Alembic names its key, which nothing refers to.
    found["alembic_version"] = found["alembic_version"].replace("CONSTRAINT alembic_version_pkc ", "")
    return found


def test_a_new_database_is_what_all_migrations_make(engine, tmp_path):
    migrations.upgrade(engine)
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        migrations.migrate(connection)
    assert schema(engine) == schema(migrated)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.metadata) == []
    migrated.dispose()


def test_the_head_is_the_newest_revision():
    config = Config()
    config.set_main_option("script_location", migrations.__path__[0])
    assert ScriptDirectory.from_config(config).get_current_head() == migrations.HEAD


def test_an_upgrade_of_a_current_database_does_nothing(engine):
    migrations.upgrade(engine)
    before = schema(engine)
    migrations.upgrade(engine)
    assert schema(engine) == before


def test_a_database_of_a_newer_release_is_refused(engine):
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(errors.UsageError, match="made by a newer typedflow") as refused:
        migrations.upgrade(engine)
    assert "upgrade typedflow" in refused.value.hint


def test_databases_are_set_up_for_many_readers_and_one_writer(engine):
    with engine.connect() as connection:
        names = ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        assert [connection.execute(text(f"PRAGMA {name}")).scalar() for name in names] == [
            "wal",
            1,
            1,
            10_000,
        ]


def test_what_is_registered_already_is_found_by_what_it_refers_to(engine):
    def identifier(kind: str, name: str):
        return getattr(identifiers, kind)(name, project="p", domain="d", version="v1")

    workflow = workflows_pb2.CompiledWorkflow()
    for node in ("a", "b"):
        workflow.workflow.nodes.add(id=node).task.task.CopyFrom(identifier("task", "m.inc"))
    plan = launch_plans_pb2.CompiledLaunchPlan()
    plan.launch_plan.workflow.CopyFrom(identifier("workflow", "m.wf"))
    with engine.begin() as connection:
        config = migrations.configured(connection)
        command.upgrade(config, "0001")
        for number, (kind, template) in enumerate(((2, workflow), (3, plan)), 1):
            connection.execute(
                text(
                    "INSERT INTO entities VALUES (:number, :number, :kind, 'p', 'd', 'm.wf', 'v1', '', '', :template,"
                    " '', '', 0, '')"
                ),
                {"number": number, "kind": kind, "template": template.SerializeToString()},
            )
    migrations.upgrade(engine)
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT * FROM entity_references ORDER BY referrer")).all()
    assert [tuple(row) for row in rows] == [
        (1, "p", "d", "m.inc", "v1", 1),
        (2, "p", "d", "m.wf", "v1", 2),
    ]
