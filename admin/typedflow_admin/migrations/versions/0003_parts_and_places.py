"""Parts of maps and dynamic tasks, executions that others launched or that repeat others, and places under caps."""

import sqlalchemy as sa
from alembic import op

from typedflow.pb.executions_pb2 import NodeExecution

revision = "0003"
down_revision = "0002"

_LAUNCHES = ("parent_execution_id", "parent_node", "recovered_from", "relaunched_from")
_NUMBERS = ("max_parallelism", "plan_parallelism", "depth")
_ROWS_AT_ONCE = 1000


def _number() -> sa.types.TypeEngine[int]:
    # SQLite counts rows by itself only where the key is called INTEGER.
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _text() -> sa.types.TypeEngine[str]:
    # In the order of its bytes, as SQLite and Python have it.
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for name in _LAUNCHES:
        op.add_column("launches", sa.Column(name, _text(), nullable=False, server_default=sa.text("''")))
    for name in _NUMBERS:
        op.add_column(
            "launches", sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0"))
        )
    op.add_column("nodes", sa.Column("parent", _text(), nullable=False, server_default=sa.text("''")))
    op.add_column("nodes", sa.Column("slotted", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.add_column("nodes", sa.Column("phase", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.drop_index(op.f("ix_nodes_execution_id_position"), table_name="nodes")
    op.create_index(
        op.f("ix_nodes_execution_id_slotted_position"),
        "nodes",
        ["execution_id", "slotted", "position"],
        unique=False,
    )
    op.create_index(
        op.f("ix_nodes_execution_id_parent_position"),
        "nodes",
        ["execution_id", "parent", "position"],
        unique=False,
    )
    op.create_table(
        "expansions",
        sa.Column("execution_id", _text(), nullable=False),
        sa.Column("node", _text(), nullable=False),
        sa.Column("graph", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["executions.id"], name=op.f("fk_expansions_execution_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("execution_id", "node", name=op.f("pk_expansions")),
    )
    op.create_table(
        "place_queues",
        sa.Column("execution_id", _text(), nullable=False),
        sa.Column("number", _number(), autoincrement=False, nullable=False),
        sa.Column("project", _text(), nullable=False),
        sa.Column("domain", _text(), nullable=False),
        sa.Column("launch_plan", _text(), nullable=False),
        sa.Column("plan_parallelism", sa.BigInteger(), nullable=False),
        sa.Column("granted", sa.BigInteger(), nullable=False),
        sa.Column("waiting", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["executions.id"],
            name=op.f("fk_place_queues_execution_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("execution_id", name=op.f("pk_place_queues")),
    )
    op.create_index(
        op.f("ix_place_queues_project_granted_number"),
        "place_queues",
        ["project", "granted", "number"],
        unique=False,
    )
    op.create_table(
        "places",
        sa.Column("execution_id", _text(), nullable=False),
        sa.Column("node", _text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("granted", sa.Integer(), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["execution_id"],
            ["place_queues.execution_id"],
            name=op.f("fk_places_execution_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("execution_id", "node", "attempt", name=op.f("pk_places")),
        sqlite_with_rowid=False,
    )
    op.create_index(
        op.f("ix_places_execution_id_granted_turn"),
        "places",
        ["execution_id", "granted", "turn"],
        unique=False,
    )
    _tell_phases()


def _tell_phases() -> None:
    """The phase of each node that is there, a thousand at a time."""
    nodes = sa.table(
        "nodes", sa.column("execution_id"), sa.column("node"), sa.column("state"), sa.column("phase")
    )
    connection = op.get_bind()
    key = sa.tuple_(nodes.c.execution_id, nodes.c.node)
    ordered = sa.select(nodes.c.execution_id, nodes.c.node, nodes.c.state).order_by(
        nodes.c.execution_id, nodes.c.node
    )
    change = (
        sa.update(nodes)
        .where(nodes.c.execution_id == sa.bindparam("id"), nodes.c.node == sa.bindparam("name"))
        .values(phase=sa.bindparam("is"))
    )
    last = ("", "")
    while rows := connection.execute(ordered.where(key > last).limit(_ROWS_AT_ONCE)).all():
        connection.execute(
            change,
            [
                {"id": row.execution_id, "name": row.node, "is": NodeExecution.FromString(row.state).phase}
                for row in rows
            ],
        )
        last = (rows[-1].execution_id, rows[-1].node)


def downgrade() -> None:
    op.drop_table("places")
    op.drop_table("place_queues")
    op.drop_table("expansions")
    op.drop_index(op.f("ix_nodes_execution_id_parent_position"), table_name="nodes")
    op.drop_index(op.f("ix_nodes_execution_id_slotted_position"), table_name="nodes")
    op.create_index(
        op.f("ix_nodes_execution_id_position"), "nodes", ["execution_id", "position"], unique=False
    )
    for name in ("phase", "slotted", "parent"):
        op.drop_column("nodes", name)
    for name in (*_NUMBERS, *_LAUNCHES):
        op.drop_column("launches", name)
