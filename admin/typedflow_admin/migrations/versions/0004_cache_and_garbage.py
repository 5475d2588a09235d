"""The cache: entries are found by what is like them, counted and held. Objects that are on their way out."""

import sqlalchemy as sa
from alembic import op
from typedflow_admin import references

from typedflow import interface
from typedflow.pb.attempt_pb2 import AttemptSpec
from typedflow.pb.catalog_pb2 import CatalogEntry
from typedflow.pb.literals_pb2 import Blob, LiteralMap

revision = "0004"
down_revision = "0003"

_NUMBERS = ("size", "created_at_us", "hits", "last_hit_at_us")
_ROWS_AT_ONCE = 100


def _number() -> sa.types.TypeEngine[int]:
    # SQLite counts rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    no_text = sa.text("''")
    op.add_column("catalog", sa.Column("manifest", sa.LargeBinary(), nullable=False, server_default=no_text))
    op.add_column("catalog", sa.Column("shown", sa.LargeBinary(), nullable=True))
    op.add_column("catalog", sa.Column("launch_plan", sa.Text(), nullable=False, server_default=no_text))
    for name in _NUMBERS:
        op.add_column(
            "catalog", sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
    op.create_table(
        "reservations",
        sa.Column("fence", _number(), autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.UniqueConstraint("key", name=op.f("uq_reservations_key")),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["leases.execution_id"],
            name=op.f("fk_reservations_execution_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("fence", name=op.f("pk_reservations")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_reservations_execution_id_node"), "reservations", ["execution_id", "node"], unique=False
    )
    op.create_table(
        "cache_counts",
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("task", sa.Text(), nullable=False),
        sa.Column("launch_plan", sa.Text(), nullable=False),
        sa.Column("hour", sa.BigInteger(), nullable=False),
        sa.Column("hits", sa.BigInteger(), nullable=False),
        sa.Column("misses", sa.BigInteger(), nullable=False),
        sa.Column("wall_seconds", sa.Double(), nullable=False),
        sa.Column("cpu_seconds", sa.Double(), nullable=False),
        sa.Column("gpu_seconds", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint(
            "project", "domain", "task", "launch_plan", "hour", name=op.f("pk_cache_counts")
        ),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "condemned_objects",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_condemned_objects")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_condemned_objects_state_since_us"), "condemned_objects", ["state", "since_us"], unique=False
    )
    op.create_index(
        op.f("ix_launches_parent_execution_id"), "launches", ["parent_execution_id"], unique=False
    )
    _fill()


def _fill() -> None:
    """What there is to say of the entries that are there, a few at a time, for one may be large."""
    names = ("number", "entry", "manifest", "shown", "launch_plan", *_NUMBERS)
    catalog = sa.table("catalog", *(sa.column(name) for name in names))
    executions = sa.table("executions", sa.column("id"), sa.column("launch_plan"))
    columns = ("execution_id", "node", "attempt", "spec")
    attempts = sa.table("attempts", *(sa.column(name) for name in columns))
    connection = op.get_bind()
    last = 0
    wanted = sa.select(catalog.c.number, catalog.c.entry).order_by(catalog.c.number).limit(_ROWS_AT_ONCE)
    while rows := connection.execute(wanted.where(catalog.c.number > last)).all():
        for number, content in rows:
            entry = CatalogEntry.FromString(content)
            spec = connection.execute(
                sa.select(attempts.c.spec).where(
                    attempts.c.execution_id == entry.execution_id,
                    attempts.c.node == entry.node,
                    attempts.c.attempt == entry.attempt,
                )
            ).scalar()
            plan = connection.execute(
                sa.select(executions.c.launch_plan).where(executions.c.id == entry.execution_id)
            ).scalar()
            values = {
                "manifest": entry.manifest.SerializeToString(),
                "shown": _shown(entry.outputs, spec),
                "launch_plan": plan or "",
                "size": _size(entry),
                "created_at_us": entry.created_at_us,
            }
            connection.execute(sa.update(catalog).where(catalog.c.number == number).values(values))
            last = number


def _shown(outputs: LiteralMap, spec: bytes | None) -> bytes | None:
    """The outputs without what is Sensitive; None: nothing is. Of types that are not known, nothing is shown."""
    variables = AttemptSpec.FromString(spec).interface.outputs if spec is not None else ()
    shown = interface.redacted(outputs, variables)
    return None if shown == outputs else shown.SerializeToString()


def _size(entry: CatalogEntry) -> int:
    blobs: dict[str, Blob] = {found.blob.digest: found.blob for found in references.of(entry.outputs)}
    return sum(blob.size for blob in blobs.values())


def downgrade() -> None:
    op.drop_index(op.f("ix_launches_parent_execution_id"), table_name="launches")
    op.drop_table("condemned_objects")
    op.drop_table("cache_counts")
    op.drop_table("reservations")
    for name in (*_NUMBERS, "launch_plan", "shown", "manifest"):
        op.drop_column("catalog", name)
