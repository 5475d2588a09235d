"""What the cache and garbage collection need of a database; see `store`, whose transactions have these tables too."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class CatalogRow:
    """A cached result. `entry` is a CatalogEntry, `manifest` its KeyManifest.

    `shown` are the outputs (a LiteralMap) without what is Sensitive in them; None: nothing is.
    """

    key: str
    project: str
    domain: str
    task: str
    entry: bytes
    manifest: bytes = b""
    shown: bytes | None = None
    launch_plan: str = ""
    size: int = 0
    created_at_us: int = 0
    hits: int = 0
    last_hit_at_us: int = 0
    number: int = 0


@dataclass(frozen=True, slots=True)
class NearRow:
    """What is compared of an entry: its number, its KeyManifest, and when it was made."""

    number: int
    manifest: bytes
    created_at_us: int


@dataclass(frozen=True, slots=True)
class CatalogFilter:
    """Which entries are meant; empty fields ask for all. `before_us`: neither made nor (`unused`) used since then."""

    project: str = ""
    domain: str = ""
    task: str = ""
    keys: Sequence[str] = ()
    before_us: int = 0
    unused: bool = False


@dataclass(frozen=True, slots=True)
class ReservationRow:
    """Who makes the entry of a key. `fence` is greater than that of every earlier grant, of whatever key."""

    key: str
    execution_id: str
    node: str
    fence: int = 0

    @property
    def holder(self) -> tuple[str, str]:
        """The execution and the node."""
        return self.execution_id, self.node


@dataclass(frozen=True, slots=True)
class CountRow:
    """What is added to the counts of an execution's task: hits with what they saved, and misses."""

    execution_id: str
    task: str
    hour: int
    hits: int = 0
    misses: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class StatsRow:
    """The sums of a task and a launch plan."""

    project: str
    domain: str
    task: str
    launch_plan: str
    hits: int = 0
    misses: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    gpu_seconds: float = 0.0
    entries: int = 0


@dataclass(frozen=True, slots=True)
class CondemnedRow:
    """An object that is to be removed, or was: see `Objects`."""

    digest: str
    size: int
    state: int


CONDEMNED, REMOVING, REMOVED = range(3)
"""The states of condemned objects."""


class Catalog(Protocol):
    """Cached results."""

    def find(self, keys: Collection[str]) -> dict[str, CatalogRow]:
        """The entries of those keys that have one."""

    def put(self, row: CatalogRow) -> None:
        """Stores an entry in place of an older one; raises StoreError, changing nothing, when it can't."""

    def page(self, project: str, domain: str, task: str, before: int, limit: int) -> list[CatalogRow]:
        """Newest first, from those below number `before` (0: all); empty names ask for all."""

    def near(self, project: str, domain: str, task: str, limit: int) -> list[NearRow]:
        """The manifests of a task's newest entries, newest first."""

    def by_number(self, number: int) -> CatalogRow | None:
        """The entry that got this number."""

    def used(self, hits: Sequence[tuple[str, int]]) -> None:
        """Counts hits: the key and when."""

    def keys(self, wanted: CatalogFilter) -> list[str]:
        """The keys of entries."""

    def remove(self, keys: Collection[str]) -> None:
        """Removes entries."""


class Reservations(Protocol):
    """Who makes entries while others wait."""

    def find(self, keys: Collection[str]) -> dict[str, ReservationRow]:
        """Those of the keys whose holder's execution is driven by somebody: its lease has not ended."""

    def of(self, execution_ids: Collection[str]) -> list[ReservationRow]:
        """Those that the executions' nodes hold."""

    def grant(self, rows: Sequence[ReservationRow]) -> None:
        """Makes new holders, in the place of whoever is there. Their executions have leases."""

    def release(self, rows: Collection[ReservationRow]) -> None:
        """Ends those reservations that are these holders' own."""


class Counts(Protocol):
    """How often the cache had what was asked for."""

    def add(self, rows: Sequence[CountRow]) -> None:
        """Adds to the counts of the executions' launch plans."""

    def sums(self, project: str, domain: str, task: str, launch_plan: str, since_hour: int) -> list[StatsRow]:
        """By task and launch plan, with how many entries they have; empty names ask for all."""


class Objects(Protocol):
    """Objects that nothing refers to, on their way out.

    A CONDEMNED one is as good as any: whoever writes a reference to it takes it out of here, in the same transaction.
    One that is REMOVING may be gone at any moment and one that is REMOVED was, so no reference to it is written until
    it is known to be there again.
    """

    def find(self, digests: Collection[str]) -> list[CondemnedRow]:
        """Those of the digests that are here."""

    def condemn(self, sizes: Mapping[str, int], at_us: int) -> None:
        """Puts objects here; those that are here already, and not REMOVED, stay as they are."""

    def revive(self, digests: Collection[str], states: Collection[int] = (CONDEMNED,)) -> None:
        """Takes objects that are in one of the states out of here."""

    def claim(self, digests: Collection[str]) -> None:
        """Takes CONDEMNED objects out of here because they are referred to.

        Raises:
            ObjectsRemoved: some are REMOVING or REMOVED.
        """

    def due(self, before_us: int) -> list[CondemnedRow]:
        """Those that were condemned before then, and before any attempt began that runs."""

    def leftover(self) -> list[str]:
        """Those that are REMOVING."""

    def begin_removal(self, digests: Collection[str], at_us: int) -> list[CondemnedRow]:
        """Makes those that are still CONDEMNED REMOVING, and gives them."""

    def end_removal(self, digests: Collection[str], at_us: int) -> None:
        """Makes those that are REMOVING REMOVED."""

    def forget(self, before_us: int) -> None:
        """Takes out what was REMOVED before then, and before any attempt began that runs."""

    def messages(self, executions: Collection[str], keys: Collection[str]) -> Iterator[Message]:
        """Every message of the database that may point at objects.

        Left out are those of these executions and these entries' keys.
        """

    def expired(self, project: str, domain: str, before_us: int) -> list[str]:
        """Executions that ended before then, with all that they launched, none of which runs or is being recovered.

        What an execution launched is there as long as it is. Empty names ask for all.
        """

    def forget_executions(self, ids: Collection[str]) -> None:
        """Removes executions with everything that is theirs."""


class ObjectsRemoved(Exception):
    """A transaction refers to objects that are removed, or just being so."""

    def __init__(self, digests: Collection[str]) -> None:
        super().__init__(f"{len(digests)} objects are removed")
        self.digests = frozenset(digests)
