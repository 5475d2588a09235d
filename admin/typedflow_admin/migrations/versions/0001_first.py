"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _number() -> sa.types.TypeEngine[int]:
    # SQLite counts rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "bundles",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("blob", sa.LargeBinary(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_bundles")),
    )
    op.create_table(
        "catalog",
        sa.Column("number", _number(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_catalog")),
        sa.UniqueConstraint("key", name=op.f("uq_catalog_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_catalog_project_domain_number"), "catalog", ["project", "domain", "number"], unique=False
    )
    op.create_index(
        op.f("ix_catalog_project_domain_task_number"),
        "catalog",
        ["project", "domain", "task", "number"],
        unique=False,
    )
    op.create_table(
        "entities",
        sa.Column("number", _number(), autoincrement=True, nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("template", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("signature", sa.Text(), nullable=False),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_entities")),
        sa.UniqueConstraint(
            "kind",
            "project",
            "domain",
            "name",
            "version",
            name=op.f("uq_entities_kind_project_domain_name_version"),
        ),
        sa.UniqueConstraint("place", name=op.f("uq_entities_place")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_entities_kind_project_domain_name_place"),
        "entities",
        ["kind", "project", "domain", "name", "place"],
        unique=False,
    )
    op.create_table(
        "executions",
        sa.Column("number", _number(), autoincrement=True, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("launch_plan", sa.Text(), nullable=False),
        sa.Column("launch_plan_version", sa.Text(), nullable=False),
        sa.Column("phase", sa.Integer(), nullable=False),
        sa.Column("outputs", sa.LargeBinary(), nullable=True),
        sa.Column("error", sa.LargeBinary(), nullable=True),
        sa.Column("created_at_us", sa.BigInteger(), nullable=False),
        sa.Column("started_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_executions")),
        sa.UniqueConstraint("id", name=op.f("uq_executions_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_executions_project_domain_number"),
        "executions",
        ["project", "domain", "number"],
        unique=False,
    )
    op.create_index(
        op.f("ix_executions_project_domain_launch_plan_number"),
        "executions",
        ["project", "domain", "launch_plan", "number"],
        unique=False,
    )
    op.create_table(
        "attempts",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("runner_uid", sa.Text(), nullable=False),
        sa.Column("executor_id", sa.Text(), nullable=False),
        sa.Column("begun_at_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_at_us", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_attempts_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", "node", "attempt", name=op.f("pk_attempts")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "events",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_events_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", "position", name=op.f("pk_events")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "inbox",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_inbox_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", "sequence", name=op.f("pk_inbox")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "launches",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("workflow_number", _number(), nullable=False),
        sa.Column("workflow", sa.Text(), nullable=False),
        sa.Column("workflow_version", sa.Text(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("interface", sa.LargeBinary(), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_launches_execution_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["workflow_number"], ["entities.number"], name=op.f("fk_launches_workflow_number")
        ),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_launches")),
    )
    op.create_table(
        "leases",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("expires_at_ms", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("last_sequence", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_leases_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_leases")),
    )
    op.create_index(op.f("ix_leases_expires_at_ms"), "leases", ["expires_at_ms"], unique=False)
    op.create_index(op.f("ix_leases_holder"), "leases", ["holder"], unique=False)
    op.create_table(
        "nodes",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_nodes_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", "node", name=op.f("pk_nodes")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_nodes_execution_id_position"), "nodes", ["execution_id", "position"], unique=False
    )
    op.create_index(
        op.f("ix_nodes_execution_id_revision"), "nodes", ["execution_id", "revision"], unique=False
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_nodes_execution_id_revision"), table_name="nodes")
    op.drop_index(op.f("ix_nodes_execution_id_position"), table_name="nodes")
    op.drop_table("nodes")
    op.drop_index(op.f("ix_leases_holder"), table_name="leases")
    op.drop_index(op.f("ix_leases_expires_at_ms"), table_name="leases")
    op.drop_table("leases")
    op.drop_table("launches")
    op.drop_table("inbox")
    op.drop_table("events")
    op.drop_table("attempts")
    op.drop_index(op.f("ix_executions_project_domain_launch_plan_number"), table_name="executions")
    op.drop_index(op.f("ix_executions_project_domain_number"), table_name="executions")
    op.drop_table("executions")
    op.drop_index(op.f("ix_entities_kind_project_domain_name_place"), table_name="entities")
    op.drop_table("entities")
    op.drop_index(op.f("ix_catalog_project_domain_task_number"), table_name="catalog")
    op.drop_index(op.f("ix_catalog_project_domain_number"), table_name="catalog")
    op.drop_table("catalog")
    op.drop_table("bundles")
