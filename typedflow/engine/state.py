"""What is known of one execution: arrays by unit, and dictionaries for what few units have.

A unit is a node of the workflow, a slot of a map, or a node of a graph that a dynamic task made. Units of the last two
kinds are appended when it is known how many there are, so the arrays grow. A state is what the journal's events made of
it, and nothing else: only `step` changes it, and it reads no clock.
"""

from __future__ import annotations

from array import array
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from typedflow.pb import executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.actions import SetTimer, StopReason
    from typedflow.engine.graph import Graph
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.events_pb2 import CacheChecked, SignalReceived
    from typedflow.pb.executions_pb2 import Phase
    from typedflow.pb.literals_pb2 import Blob, Literal, LiteralMap

MOST_SLOTS: Final = 1_000_000
"""Of one map."""


@dataclass(slots=True)
class Segment:
    """Consecutive units: the nodes of a graph, or the slots of a map."""

    base: int
    size: int
    graph: Graph = field(compare=False, repr=False)
    parent: int  # the map's or the dynamic task's unit; -1: it is the workflow
    node: int  # of slots: the map's node in `graph`; -1: the units are the nodes of `graph`
    around: int  # the unit of the first node of `graph`
    prefix: str  # of the units' paths
    depth: int  # dynamic tasks around it
    open: int  # units that have not ended
    error: ExecutionError | None = None  # the first inside of it


@dataclass(slots=True)
class Slots:
    """Of a map: how its slots are doing."""

    base: int
    count: int
    needed: int  # that must succeed
    concurrency: int  # that may be in flight; 0: as many as the execution may
    begun: int = 0  # in all
    active: int = 0  # begun and not ended
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    hits: int = 0
    running: int = 0
    # With `concurrency`: slots that hold one of its places, and those that wait for one.
    holders: set[int] = field(default_factory=set)
    parked: deque[int] = field(default_factory=deque)


@dataclass(slots=True)
class Mapped:
    """The inputs of a map taken apart: what slot i is given of each mapped input, and what all are given."""

    over: dict[str, list[Literal]]
    same: dict[str, Literal]


class State:
    """The state of an execution of `graph`, of which nothing has happened yet."""

    def __init__(self, graph: Graph) -> None:  # noqa: PLR0915 - a table of what there is
        size = len(graph)
        # The execution.
        self.phase: Phase.ValueType = executions_pb2.PHASE_QUEUED
        self.started = False
        self.winding_down = False  # everything that ran was told to stop; nothing starts any more
        self.aborted = False
        self.handled = False  # what runs on failure was started or skipped
        self.resolving = False  # every unit has ended, and the outputs were asked for
        self.done = False
        self.started_at_us = 0
        self.finished_at_us = 0
        self.inputs: LiteralMap | None = None
        self.results: LiteralMap | None = None
        self.error: ExecutionError | None = None  # of the first unit that failed, or of the abort
        self.max_parallelism = 0
        self.capped = False
        self.overwrite: frozenset[str] = frozenset()
        self.recovers = False
        self.rerun: frozenset[str] = frozenset()
        # Its units as a whole.
        self.open = size - len(graph.handlers)  # not ended, but for handlers that have not begun
        self.in_flight = 0  # attempts PLACING, STARTING, RUNNING or STOPPING
        self.ready: deque[int] = deque()  # may hold units that are READY no longer
        self.segments = [Segment(0, size, graph, parent=-1, node=-1, around=0, prefix="", depth=0, open=size)]
        # Each unit.
        self.stages = bytearray(size)
        self.segment_of = array("I", bytes(4 * size))
        self.remaining = array("q", graph.in_degrees)  # what it waits for that has not come
        self.attempts = array("I", bytes(4 * size))
        self.unit_started_at = array("q", bytes(8 * size))
        self.ended_at = array("q", bytes(8 * size))
        self.cache = bytearray(size)
        self.outputs: list[LiteralMap | None] = [None] * size
        # Some units.
        self.reasons: dict[int, str] = {}  # of those that ended without having failed or succeeded
        self.notes: dict[int, str] = {}
        self.cache_reasons: dict[int, str] = {}
        self.errors: dict[int, ExecutionError] = {}
        self.cache_keys: dict[int, str] = {}
        self.hits: dict[int, CacheChecked] = {}
        self.user_failures: dict[int, int] = {}
        self.system_failures: dict[int, int] = {}
        self.stops: dict[int, StopReason] = {}  # of those STOPPING or CHILD_STOPPING
        self.timers: dict[int, tuple[SetTimer, ...]] = {}  # that have not fired
        self.checkpoints: dict[int, Literal] = {}
        self.decks: dict[int, Blob] = {}
        self.inside: dict[int, Segment] = {}  # of maps and dynamic tasks that have parts
        self.slots: dict[int, Slots] = {}  # of maps that have them
        self.cases: dict[int, int] = {}  # of conditionals that are decided
        self.awaited: dict[int, int] = {}  # of conditionals that are OPEN: what has not succeeded
        self.children: dict[int, str] = {}
        # By path, because there may be no unit yet.
        self.signals: dict[str, SignalReceived] = {}
        self.paths: dict[str, int] = {}  # of the nodes of dynamic tasks' graphs
        # What follows from the rest: maps' inputs that were taken apart.
        self._mapped: dict[int, Mapped] = {}
        # For whoever stores units: what to write.
        self._changed: dict[int, None] = {}
        self._execution_changed = False
        self._execution_taken = False

    def __len__(self) -> int:
        return len(self.stages)

    def segment(self, unit: int) -> Segment:
        """The units that it is one of."""
        return self.segments[self.segment_of[unit]]

    def path(self, unit: int) -> str:
        """The name by which all others know it: `prep.train`, `train[7]`, `tune.fit`."""
        segment = self.segment(unit)
        if segment.node >= 0:
            return f"{segment.prefix}[{unit - segment.base}]"
        return segment.prefix + segment.graph.ids[unit - segment.base]

    def unit(self, path: str) -> int:
        """The unit of that path; -1: there is none."""
        unit = self.segments[0].graph.index.get(path, -1)
        if unit >= 0:
            return unit
        unit = self.paths.get(path, -1)
        if unit >= 0 or not path.endswith("]"):
            return unit
        of, _, number = path[:-1].rpartition("[")
        parent = self.segments[0].graph.index.get(of, -1)
        if parent < 0:
            parent = self.paths.get(of, -1)
        slots = self.slots.get(parent)
        if slots is None or not (number.isascii() and number.isdigit()) or len(number) > len(str(MOST_SLOTS)):
            return -1
        slot = int(number)
        return slots.base + slot if slot < slots.count and str(slot) == number else -1

    def place(self, unit: int) -> tuple[Graph, int]:
        """The graph that has its node, and that node's number there; of a slot its map's node."""
        segment = self.segment(unit)
        return segment.graph, segment.node if segment.node >= 0 else unit - segment.base

    def parent(self, unit: int) -> int:
        """The unit of the map or the dynamic task that it is a part of; -1: it is in the workflow."""
        return self.segment(unit).parent

    def slot(self, unit: int) -> int:
        """Which slot of its map it is; -1: it is none."""
        segment = self.segment(unit)
        return unit - segment.base if segment.node >= 0 else -1

    @property
    def execution_changed(self) -> bool:
        """Whether the execution itself changed since units were last taken; stays readable until the next step."""
        return self._execution_changed or self._execution_taken

    def take_changed(self) -> list[int]:
        """Units changed since this was last called, in the order of their first change."""
        changed = list(self._changed)
        self._changed.clear()
        self._execution_taken = self._execution_changed
        self._execution_changed = False
        return changed

    # For the engine only.

    def begin_step(self) -> None:
        """An event is about to be applied."""
        self._execution_taken = False

    def mark(self, unit: int) -> None:
        """The unit changed."""
        self._changed[unit] = None

    def unmark(self, unit: int) -> None:
        """Nobody needs to know that it changed."""
        self._changed.pop(unit, None)

    def mark_execution(self) -> None:
        """The execution changed."""
        self._execution_changed = True

    def mapped(self, unit: int) -> Mapped | None:
        """A map's inputs, if they were taken apart."""
        return self._mapped.get(unit)

    def keep_mapped(self, unit: int, mapped: Mapped | None) -> None:
        """Keeps them for the other slots; None: they are not needed any more."""
        if mapped is None:
            self._mapped.pop(unit, None)
        else:
            self._mapped[unit] = mapped

    def append_slots(self, unit: int, count: int) -> Segment:
        """Units for the slots of a map."""
        segment = self.segment(unit)
        graph, node = self.place(unit)
        return self._append(
            Segment(
                base=len(self.stages),
                size=count,
                graph=graph,
                parent=unit,
                node=node,
                around=segment.around,
                prefix=self.path(unit),
                depth=segment.depth,
                open=count,
            ),
            array("q", bytes(8 * count)),
        )

    def append_graph(self, unit: int, graph: Graph) -> Segment:
        """Units for the nodes of a graph that a dynamic task made; their paths are new."""
        base, prefix = len(self.stages), f"{self.path(unit)}."
        for number, id_ in enumerate(graph.ids):
            self.paths[prefix + id_] = base + number
        return self._append(
            Segment(
                base=base,
                size=len(graph),
                graph=graph,
                parent=unit,
                node=-1,
                around=base,
                prefix=prefix,
                depth=self.segment(unit).depth + 1,
                open=len(graph),
            ),
            array("q", graph.in_degrees),
        )

    def _append(self, segment: Segment, remaining: array[int]) -> Segment:
        size = segment.size
        number = len(self.segments)
        self.segments.append(segment)
        self.inside[segment.parent] = segment
        self.open += size
        self.stages.extend(bytes(size))
        self.segment_of.extend([number] * size)
        self.remaining.extend(remaining)
        self.attempts.extend([0] * size)
        self.unit_started_at.frombytes(bytes(8 * size))
        self.ended_at.frombytes(bytes(8 * size))
        self.cache.extend(bytes(size))
        self.outputs.extend([None] * size)
        return segment
