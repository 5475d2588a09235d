"""Which version of a launch plan is active, and what workflows and launch plans refer to."""

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    Identifier,
)
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.workflows_pb2 import CompiledWorkflow

revision = "0002"
down_revision = "0001"


def _number() -> sa.types.TypeEngine[int]:
    # SQLite counts rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "active_launch_plans",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("number", _number(), nullable=False),
        sa.Column("activated_at_us", sa.BigInteger(), nullable=False),
        sa.Column("principal", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("project", "domain", "name", name=op.f("pk_active_launch_plans")),
        sa.UniqueConstraint("number", name=op.f("uq_active_launch_plans_number")),
        sa.ForeignKeyConstraint(["number"], ["entities.number"], name=op.f("fk_active_launch_plans_number")),
        sqlite_with_rowid=False,
    )
    references = op.create_table(
        "entity_references",
        sa.Column("kind", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("referrer", _number(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["referrer"], ["entities.number"], name=op.f("fk_entity_references_referrer")
        ),
        sa.PrimaryKeyConstraint(
            "kind", "project", "domain", "name", "version", "referrer", name=op.f("pk_entity_references")
        ),
        sqlite_with_rowid=False,
    )
    for number, kind, template in _templates():
        rows = {
            (int(id_.kind), id_.project, id_.domain, id_.name, id_.version)
            for id_ in _references(kind, template)
        }
        if rows:
            names = ("kind", "project", "domain", "name", "version")
            op.bulk_insert(
                references, [dict(zip(names, row, strict=True)) | {"referrer": number} for row in rows]
            )


def _templates() -> Iterator[tuple[int, int, bytes]]:
    """Workflows and launch plans that are there, one at a time, because one may be large."""
    entities = sa.table("entities", sa.column("number"), sa.column("kind"), sa.column("template"))
    connection = op.get_bind()
    wanted = sa.select(entities.c.number).where(
        entities.c.kind.in_([ENTITY_KIND_WORKFLOW, ENTITY_KIND_LAUNCH_PLAN])
    )
    for number in connection.execute(wanted).scalars().all():
        one = sa.select(entities.c.kind, entities.c.template).where(entities.c.number == number)
        kind, template = connection.execute(one).one()
        yield number, kind, template


def _references(kind: int, template: bytes) -> Iterator[Identifier]:
    """As the first revision knew them: a workflow calls tasks, a launch plan launches a workflow."""
    if kind == ENTITY_KIND_LAUNCH_PLAN:
        workflow = CompiledLaunchPlan.FromString(template).launch_plan.workflow
        yield _of_kind(workflow, ENTITY_KIND_WORKFLOW)
    else:
        for node in CompiledWorkflow.FromString(template).workflow.nodes:
            yield _of_kind(node.task.task, ENTITY_KIND_TASK)


def _of_kind(reference: Identifier, kind: int) -> Identifier:
    made = Identifier()
    made.CopyFrom(reference)
    made.kind = kind  # type: ignore[assignment]
    return made


def downgrade() -> None:
    op.drop_table("entity_references")
    op.drop_table("active_launch_plans")
