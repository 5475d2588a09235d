"""What the rooms of this service need of a database, said by them.

A `Store` runs a whole transaction at a time: a function that gets the tables and returns a value. Rows are what the
functions pass around; templates, events and values in them are the bytes of protobuf messages. Nothing here knows
SQL, and nothing here decides: the rules are in the rooms, and hold because a transaction is one.

Where a function takes a `limit`, it gives no more rows than so many, and of large ones fewer: it stops with the row
that makes it more than `PAGE_BYTES`, so that neither memory nor a message grows with what is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from typedflow_admin import cache_store, place_store

T = TypeVar("T")

LAST = 2**62
"""Above every number, place and position that a row can have."""

PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class EntityKey:
    """A name in a project and domain, whatever its version."""

    kind: int
    project: str
    domain: str
    name: str


@dataclass(frozen=True, slots=True)
class EntityRow:
    """One version of a task, workflow or launch plan. `number` and `place` are 0 until it is stored.

    `active` says that it is the active version of a launch plan's name; storing a row does not make it so.
    """

    kind: int
    project: str
    domain: str
    name: str
    version: str
    digest: str
    content: str
    template: bytes
    description: str
    signature: str
    created_at_us: int
    principal: str
    number: int = 0
    place: int = 0
    active: bool = False

    @property
    def version_key(self) -> EntityVersion:
        """Its name with the version: what no other row has."""
        return self.key, self.version

    @property
    def key(self) -> EntityKey:
        """Its name without the version."""
        return EntityKey(self.kind, self.project, self.domain, self.name)


EntityVersion = tuple[EntityKey, str]
"""A name and one of its versions."""


@dataclass(frozen=True, slots=True)
class Referrers:
    """The workflows and launch plans that refer to something: the first of them, by name, and how many there are."""

    first: Sequence[EntityVersion]
    count: int


@dataclass(frozen=True, slots=True)
class BundleRow:
    """A code bundle; `blob` is the Blob of its bytes in the object store."""

    digest: str
    blob: bytes
    created_at_us: int
    principal: str


@dataclass(frozen=True, slots=True)
class LaunchRow:
    """What was launched; never changes."""

    execution_id: str
    workflow_number: int
    workflow: str
    workflow_version: str
    inputs: bytes
    interface: bytes
    request: str
    secret: bytes
    principal: str
    parent_execution_id: str = ""
    parent_node: str = ""
    recovered_from: str = ""
    relaunched_from: str = ""
    max_parallelism: int = 0
    plan_parallelism: int = 0
    depth: int = 0


@dataclass(frozen=True, slots=True)
class ExecutionRow:
    """What became of a launch. `number` is 0 until it is stored."""

    id: str
    project: str
    domain: str
    launch_plan: str
    launch_plan_version: str
    phase: int
    outputs: bytes | None
    error: bytes | None
    created_at_us: int
    started_at_us: int
    ended_at_us: int
    revision: int
    number: int = 0


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as it was after its last change. `state` is a NodeExecution.

    `parent` is the path of the map or dynamic task that it is a part of; `slotted` says that it is, or is in, a slot.
    """

    node: str
    position: int
    revision: int
    state: bytes
    parent: str = ""
    slotted: bool = False
    phase: int = 0


@dataclass(frozen=True, slots=True)
class NodeFilter:
    """Which nodes are listed.

    With a `parent` its parts; else what is in no slot of a map, or only that which is (`slotted`). No `phases`: all.
    """

    parent: str = ""
    slotted: bool = False
    phases: Sequence[int] = field(default=())


@dataclass(frozen=True, slots=True)
class LeaseRow:
    """Who drives an execution that has not ended, and how far its journal is."""

    execution_id: str
    holder: str
    epoch: int
    version: int
    last_sequence: int


@dataclass(frozen=True, slots=True)
class ClaimRow:
    """An execution that was just leased."""

    execution_id: str
    epoch: int
    version: int
    secret: bytes
    project: str
    domain: str


@dataclass(frozen=True, slots=True)
class InboxRow:
    """Something that an execution's holder has to take."""

    execution_id: str
    sequence: int
    event: bytes


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt, and whom it was given to."""

    execution_id: str
    node: str
    attempt: int
    holder: str
    spec: bytes
    runner_uid: str = ""
    executor_id: str = ""
    begun_at_us: int = 0
    ended_at_us: int = 0
    outcome: bytes | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """An execution's new status; `ended` gives up its lease."""

    phase: int
    outputs: bytes | None
    error: bytes | None
    started_at_us: int
    ended_at_us: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one commit changes of one execution. Its `version` and `revision` are those after it."""

    execution_id: str
    version: int
    first_position: int
    events: Sequence[bytes]
    consumed: Sequence[int]
    nodes: Sequence[NodeRow]
    attempts: Sequence[AttemptRow]
    status: StatusChange | None


@dataclass(frozen=True, slots=True)
class ExecutionFilter:
    """Which executions are listed; empty fields ask for all."""

    project: str = ""
    domain: str = ""
    launch_plan: str = ""
    phases: Sequence[int] = field(default=())


Row = EntityRow | ExecutionRow | LaunchRow | NodeRow | cache_store.CatalogRow


def weight(*rows: Row) -> int:
    """About how many bytes there are in rows."""
    values = (getattr(row, name) for row in rows for name in row.__slots__)
    return sum(len(value) for value in values if isinstance(value, bytes | str))


class Entities(Protocol):
    """Versions of tasks, workflows and launch plans; bundles. The newest version of a name has the greatest place."""

    def find(self, key: EntityKey, version: str) -> EntityRow | None:
        """The version, or the newest when `version` is empty."""

    def by_number(self, number: int) -> EntityRow | None:
        """The row that got this number."""

    def exact(self, versions: Collection[EntityVersion]) -> list[EntityRow]:
        """Those of many versions that there are."""

    def newest_of(self, keys: Collection[EntityKey]) -> dict[EntityKey, EntityRow]:
        """The newest version of each of the names that there is; without templates."""

    def active_of(self, keys: Collection[EntityKey]) -> dict[EntityKey, EntityRow]:
        """The active version of each of the launch plans that has one; without templates."""

    def activate(self, versions: Collection[EntityVersion], at_us: int, principal: str) -> None:
        """Makes versions of launch plans, which are stored, the active ones of their names."""

    def deactivate(self, keys: Collection[EntityKey]) -> None:
        """Leaves launch plans without an active version."""

    def referrers(self, versions: Collection[EntityVersion], limit: int) -> dict[EntityVersion, Referrers]:
        """For each of the versions that is referred to: who refers to it."""

    def names(self, kind: int, project: str, domain: str) -> list[str]:
        """Every name once, sorted."""

    def insert(self, rows: Sequence[EntityRow]) -> None:
        """Stores new versions, in this order above every other."""

    def refer(self, references: Mapping[EntityVersion, Collection[EntityVersion]]) -> None:
        """Stores what each of some new versions refers to."""

    def place(self, numbers: Sequence[int]) -> None:
        """Places versions that are stored, in this order above every other."""

    def newest(self, kind: int, project: str, domain: str, after: str, limit: int) -> list[EntityRow]:
        """The newest version of each name after `after`, by name; without templates."""

    def versions(self, key: EntityKey, before: int, limit: int) -> list[EntityRow]:
        """The versions of a name, newest first, from those below place `before` (0: all); without templates."""

    def bundles(self, digests: Collection[str]) -> dict[str, BundleRow]:
        """Those of the digests that are bundles."""

    def insert_bundle(self, row: BundleRow) -> None:
        """Records where a bundle is, in place of where it was."""


class Executions(Protocol):
    """Launches, what became of them, their nodes and journals."""

    def insert(
        self,
        execution: ExecutionRow,
        launch: LaunchRow,
        nodes: Sequence[NodeRow],
        event: bytes,
        *,
        capped: bool = False,
    ) -> None:
        """Stores a launch with a free lease, an empty journal, its first inbox row, and a queue when it is capped."""

    def find(self, execution_id: str) -> tuple[ExecutionRow, LaunchRow] | None:
        """An execution and what was launched."""

    def row(self, execution_id: str) -> ExecutionRow | None:
        """What became of an execution, for who knows what was launched."""

    def page(self, wanted: ExecutionFilter, before: int, limit: int) -> list[tuple[ExecutionRow, LaunchRow]]:
        """Newest first, from those below number `before` (0: all)."""

    def node(self, execution_id: str, node: str) -> NodeRow | None:
        """One node."""

    def nodes(self, execution_id: str, wanted: NodeFilter, after: int, limit: int) -> list[NodeRow]:
        """In order, from those after position `after` (-1: all)."""

    def nodes_of(self, execution_id: str, paths: Collection[str]) -> dict[str, NodeRow]:
        """Those of many nodes that there are."""

    def changed_nodes(
        self, execution_id: str, since: int, after: int, limit: int, *, slotted: bool = False
    ) -> list[NodeRow]:
        """Those whose revision is above `since`, in order, from those after position `after` (-1: all).

        They are in no slot of a map, or all are (`slotted`).
        """

    def events(self, execution_id: str) -> list[bytes]:
        """The journal."""

    def first_event(self, execution_id: str) -> bytes | None:
        """The first event, in the journal or still in the inbox."""

    def put_expansion(self, execution_id: str, node: str, graph: bytes) -> None:
        """Records what a dynamic task said is to be done, a CompiledWorkflow; in place of what was there."""

    def expansions(self, execution_id: str, nodes: Collection[str]) -> dict[str, bytes]:
        """Those of the nodes that are dynamic tasks which have said it."""

    def launched_by(self, execution_ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """Of those of the executions that a node launched: the execution and the node."""


class Leases(Protocol):
    """Who drives what, and what waits for them."""

    def claim(self, holder: str, limit: int, lease_ms: int) -> list[ClaimRow]:
        """Leases executions that are nobody's or whose lease has ended, oldest first."""

    def renew(self, holder: str, held: Sequence[tuple[str, int]], lease_ms: int) -> list[str]:
        """Renews leases by execution and epoch; gives the executions that are the holder's no longer."""

    def release(self, holder: str) -> int:
        """Ends all leases of a holder; says how many."""

    def release_prefix(self, prefix: str) -> int:
        """Ends all leases of holders whose name begins with `prefix`; says how many."""

    def held(self, holder: str) -> list[LeaseRow]:
        """The leases of a holder that have not ended."""

    def find(self, execution_ids: Collection[str]) -> dict[str, LeaseRow]:
        """The leases of executions that have not ended."""

    def post(self, execution_id: str, event: bytes) -> int:
        """Puts an event into the inbox, and gives its number there; 0 if the execution has ended."""

    def inbox(self, execution_ids: Collection[str]) -> list[InboxRow]:
        """What waits for the executions' holders, in order."""

    def apply(self, steps: Sequence[Step]) -> None:
        """Writes checked steps, in order; several may be of one execution."""


class Attempts(Protocol):
    """Single tries at nodes."""

    def find(self, execution_id: str, node: str, attempt: int) -> tuple[AttemptRow, bytes] | None:
        """An attempt (0: the node's latest), and its execution's secret."""

    def admit(
        self, execution_id: str, node: str, attempt: int, runner_uid: str, executor_id: str, at_us: int
    ) -> None:
        """Records the runner that was admitted, and who sees to it."""

    def finish(self, execution_id: str, node: str, attempt: int, outcome: bytes, at_us: int) -> None:
        """Records the outcome."""


class StoreError(Exception):
    """The database refused a write that the transaction can do without."""


class Transaction(Protocol):
    """All tables, inside one transaction."""

    @property
    def entities(self) -> Entities:
        """Versions of tasks, workflows and launch plans; bundles."""

    @property
    def executions(self) -> Executions:
        """Launches, what became of them, their nodes and journals."""

    @property
    def leases(self) -> Leases:
        """Who drives what, and what waits for them."""

    @property
    def places(self) -> place_store.Places:
        """Who may run under caps that are wider than an execution."""

    @property
    def attempts(self) -> Attempts:
        """Single tries at nodes."""

    @property
    def catalog(self) -> cache_store.Catalog:
        """Cached results."""

    @property
    def reservations(self) -> cache_store.Reservations:
        """Who makes cached results while others wait."""

    @property
    def counts(self) -> cache_store.Counts:
        """How often the cache had what was asked for."""

    @property
    def objects(self) -> cache_store.Objects:
        """Objects that nothing refers to, on their way out."""


class Store(Protocol):
    """Runs transactions. A function that is run must only read and write, not wait: it holds the database."""

    async def read(self, work: Callable[[Transaction], T]) -> T:
        """Runs `work` on one consistent state, beside other readers and a writer."""

    async def write(self, work: Callable[[Transaction], T]) -> T:
        """Runs `work` alone: all that it writes is kept, or nothing if it raises.

        Objects that are in what it writes are claimed in the same transaction (see `cache_store.Objects.claim`).

        Raises:
            ObjectsRemoved: some of them are removed. Nothing is kept.
        """
