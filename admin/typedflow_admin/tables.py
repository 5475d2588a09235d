"""The tables, as SQLAlchemy Core sees them.

The migrations make them; a test checks that both say the same. Templates, events and values are stored as the
protobuf bytes that travel, so that no column mirrors a message; a column is for what is searched, ordered or
checked by the database. Nothing here opens a connection.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy import Text as AnyText

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows by itself only where the key is called INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

# Of columns that came later than their table: what rows have that are older.
_NO_TEXT, _NO_NUMBER, _NO_BYTES = text("''"), text("0"), text("''")

# In the order of its bytes, as SQLite and Python have it, whatever the language of the database.
Text = AnyText().with_variant(AnyText(collation="C"), "postgresql")

# Tasks, workflows and launch plans. Rows are never changed, but for their place.
entities = Table(
    "entities",
    metadata,
    # What launches refer to.
    Column("number", _Number, primary_key=True, autoincrement=True),
    # In the order of what was registered last: the newest version of a name has the greatest.
    Column("place", BigInteger, nullable=False, unique=True),
    Column("kind", Integer, nullable=False),
    Column("project", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text, nullable=False),
    # Over the content without bundle and positions: for NEW, UNCHANGED, CHANGED.
    Column("digest", Text, nullable=False),
    # Over everything that was sent: for "same version, other content".
    Column("content", Text, nullable=False),
    # TaskTemplate, CompiledWorkflow or CompiledLaunchPlan.
    Column("template", LargeBinary, nullable=False),
    Column("description", Text, nullable=False),
    Column("signature", Text, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    UniqueConstraint("kind", "project", "domain", "name", "version"),
    Index(None, "kind", "project", "domain", "name", "place"),
    sqlite_autoincrement=True,
)

# Which version of a launch plan is the active one: at most one of each name.
active_launch_plans = Table(
    "active_launch_plans",
    metadata,
    Column("project", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("number", _Number, ForeignKey("entities.number"), nullable=False),
    Column("activated_at_us", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
    UniqueConstraint("number"),
    sqlite_with_rowid=False,
)

# What the authors of workflows and launch plans refer to, so that those who are concerned by a change are found.
entity_references = Table(
    "entity_references",
    metadata,
    Column("kind", Integer, primary_key=True, autoincrement=False),
    Column("project", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    # The number of the workflow or launch plan that refers to it.
    Column("referrer", _Number, ForeignKey("entities.number"), primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

# Digests of the objects that are code bundles; the bytes are in the object store.
bundles = Table(
    "bundles",
    metadata,
    Column("digest", Text, primary_key=True),
    # Blob; its digest is that of the compressed bytes.
    Column("blob", LargeBinary, nullable=False),
    Column("created_at_us", BigInteger, nullable=False),
    Column("principal", Text, nullable=False),
)

# What became of a launch: small, and changed with every commit.
executions = Table(
    "executions",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("launch_plan", Text, nullable=False),
    Column("launch_plan_version", Text, nullable=False),
    Column("phase", Integer, nullable=False),
    Column("outputs", LargeBinary),
    Column("error", LargeBinary),
    Column("created_at_us", BigInteger, nullable=False),
    Column("started_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Index(None, "project", "domain", "launch_plan", "number"),
    Index(None, "project", "domain", "number"),
    sqlite_autoincrement=True,
)

# What was launched: written once, so that a commit does not write its inputs again.
launches = Table(
    "launches",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("workflow_number", _Number, ForeignKey("entities.number"), nullable=False),
    Column("workflow", Text, nullable=False),
    Column("workflow_version", Text, nullable=False),
    Column("inputs", LargeBinary, nullable=False),
    Column("interface", LargeBinary, nullable=False),
    # Digest of the request: the same id again is the same launch only if this is the same.
    Column("request", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("principal", Text, nullable=False),
    # The execution and its node that launched it.
    Column("parent_execution_id", Text, nullable=False, server_default=_NO_TEXT),
    Column("parent_node", Text, nullable=False, server_default=_NO_TEXT),
    Column("recovered_from", Text, nullable=False, server_default=_NO_TEXT),
    Column("relaunched_from", Text, nullable=False, server_default=_NO_TEXT),
    Column("max_parallelism", BigInteger, nullable=False, server_default=_NO_NUMBER),
    # The launch plan's, over all of its executions.
    Column("plan_parallelism", BigInteger, nullable=False, server_default=_NO_NUMBER),
    # How many executions launched one another until it was.
    Column("depth", BigInteger, nullable=False, server_default=_NO_NUMBER),
    Index(None, "parent_execution_id"),
)

# One row for each execution that has not ended: who drives it, and how far its journal is.
leases = Table(
    "leases",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    # Empty: nobody's.
    Column("holder", Text, nullable=False),
    # Grows with each claim.
    Column("epoch", BigInteger, nullable=False),
    # On the database's clock, in milliseconds.
    Column("expires_at_ms", BigInteger, nullable=False),
    # Events in the journal.
    Column("version", BigInteger, nullable=False),
    # The greatest number that an inbox row was given.
    Column("last_sequence", BigInteger, nullable=False),
    Index(None, "expires_at_ms"),
    Index(None, "holder"),
)

# The journal. Rows are never changed.
events = Table(
    "events",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    # From 0.
    Column("position", BigInteger, primary_key=True),
    Column("event", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# What others have to say to an execution, until its holder has made events of it.
inbox = Table(
    "inbox",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("event", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

nodes = Table(
    "nodes",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("node", Text, primary_key=True),
    # Its place in the compiled workflow; parts of maps and dynamic tasks come after those.
    Column("position", Integer, nullable=False),
    # The execution's at the node's last change.
    Column("revision", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
    # The path of the map or dynamic task that it is a part of.
    Column("parent", Text, nullable=False, server_default=_NO_TEXT),
    # 1: it is, or is in, a slot of a map. There may be very many of them, so they are listed only when asked for.
    Column("slotted", Integer, nullable=False, server_default=_NO_NUMBER),
    Column("phase", Integer, nullable=False, server_default=_NO_NUMBER),
    Index(None, "execution_id", "slotted", "position"),
    Index(None, "execution_id", "parent", "position"),
    Index(None, "execution_id", "revision"),
    sqlite_with_rowid=False,
)

attempts = Table(
    "attempts",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("node", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    # The propeller that started it, which can read its log.
    Column("holder", Text, nullable=False),
    Column("spec", LargeBinary, nullable=False),
    # Empty: no runner was admitted yet.
    Column("runner_uid", Text, nullable=False),
    # The one that sees to the runner; empty: none does.
    Column("executor_id", Text, nullable=False),
    Column("begun_at_us", BigInteger, nullable=False),
    Column("ended_at_us", BigInteger, nullable=False),
    Column("outcome", LargeBinary),
    sqlite_with_rowid=False,
)

# What dynamic tasks said is to be done.
expansions = Table(
    "expansions",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("node", Text, primary_key=True),
    # CompiledWorkflow
    Column("graph", LargeBinary, nullable=False),
)

# One row for each execution that has not ended and whose attempts need places under caps that are wider than it.
place_queues = Table(
    "place_queues",
    metadata,
    Column("execution_id", Text, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    # The execution's, so that the oldest comes first.
    Column("number", _Number, nullable=False, autoincrement=False),
    Column("project", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("launch_plan", Text, nullable=False),
    # Of the launch plan, over all of its executions; 0 is no limit.
    Column("plan_parallelism", BigInteger, nullable=False),
    # How many rows of `places` there are of each kind.
    Column("granted", BigInteger, nullable=False),
    Column("waiting", BigInteger, nullable=False),
    Index(None, "project", "granted", "number"),
)

# Attempts that have a place, or wait for one.
places = Table(
    "places",
    metadata,
    Column(
        "execution_id", Text, ForeignKey("place_queues.execution_id", ondelete="CASCADE"), primary_key=True
    ),
    Column("node", Text, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    # 1: has a place.
    Column("granted", Integer, nullable=False),
    # In the order in which they were asked for.
    Column("turn", BigInteger, nullable=False),
    Index(None, "execution_id", "granted", "turn"),
    sqlite_with_rowid=False,
)

# The cache: the newest result for each key.
catalog = Table(
    "catalog",
    metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("project", Text, nullable=False),
    Column("domain", Text, nullable=False),
    Column("task", Text, nullable=False),
    # CatalogEntry
    Column("entry", LargeBinary, nullable=False),
    # KeyManifest: that of the entry, so that many can be compared without their outputs.
    Column("manifest", LargeBinary, nullable=False, server_default=_NO_BYTES),
    # LiteralMap: the outputs without what is Sensitive in them; NULL: nothing is.
    Column("shown", LargeBinary),
    # That of the execution which made it.
    Column("launch_plan", Text, nullable=False, server_default=_NO_TEXT),
    # Bytes of what its outputs point at.
    Column("size", BigInteger, nullable=False, server_default=_NO_NUMBER),
    Column("created_at_us", BigInteger, nullable=False, server_default=_NO_NUMBER),
    Column("hits", BigInteger, nullable=False, server_default=_NO_NUMBER),
    Column("last_hit_at_us", BigInteger, nullable=False, server_default=_NO_NUMBER),
    Index(None, "project", "domain", "task", "number"),
    Index(None, "project", "domain", "number"),
    sqlite_autoincrement=True,
)

# Who makes the entry of a key while the others wait. A row is good for as long as the lease of its execution is: it is
# renewed together with that, and goes with it when the execution ends.
reservations = Table(
    "reservations",
    metadata,
    # Grows with each grant, of whatever key: what came later has the greater one.
    Column("fence", _Number, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False, unique=True),
    Column("execution_id", Text, ForeignKey("leases.execution_id", ondelete="CASCADE"), nullable=False),
    Column("node", Text, nullable=False),
    Index(None, "execution_id", "node"),
    sqlite_autoincrement=True,
)

# How often the cache had what was asked for, and what that saved, by the hour.
cache_counts = Table(
    "cache_counts",
    metadata,
    Column("project", Text, primary_key=True),
    Column("domain", Text, primary_key=True),
    Column("task", Text, primary_key=True),
    Column("launch_plan", Text, primary_key=True),
    # Hours since 1970.
    Column("hour", BigInteger, primary_key=True),
    Column("hits", BigInteger, nullable=False),
    Column("misses", BigInteger, nullable=False),
    Column("wall_seconds", Double, nullable=False),
    Column("cpu_seconds", Double, nullable=False),
    Column("gpu_seconds", Double, nullable=False),
    sqlite_with_rowid=False,
)

# Objects that nothing referred to when that was looked at, and that are to be removed, or were.
condemned_objects = Table(
    "condemned_objects",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    # When it got to where it is.
    Column("since_us", BigInteger, nullable=False),
    # 0: may still be wanted again; 1: is being removed; 2: is removed.
    Column("state", Integer, nullable=False),
    Index(None, "state", "since_us"),
    sqlite_with_rowid=False,
)
