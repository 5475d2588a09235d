"""What is known of one execution: arrays by node, and dictionaries for what few nodes have.

A state is what the journal's events made of it, and nothing else: only `step` changes it, and it reads no clock.
"""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING

from typedflow.pb import executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.actions import SetTimer, StopReason
    from typedflow.engine.graph import Graph
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.events_pb2 import CacheChecked
    from typedflow.pb.executions_pb2 import Phase
    from typedflow.pb.literals_pb2 import LiteralMap


class State:
    """The state of an execution of `graph`, of which nothing has happened yet."""

    def __init__(self, graph: Graph) -> None:
        size = len(graph)
        # The execution.
        self.phase: Phase.ValueType = executions_pb2.PHASE_QUEUED
        self.started = False
        self.winding_down = False  # everything that ran was told to stop; nothing starts any more
        self.aborted = False
        self.done = False
        self.started_at_us = 0
        self.finished_at_us = 0
        self.inputs: LiteralMap | None = None
        self.results: LiteralMap | None = None
        self.error: ExecutionError | None = None  # of the first node that failed, or of the abort
        self.max_parallelism = 0
        self.overwrite: frozenset[str] = frozenset()
        # Its nodes as a whole.
        self.open = size  # not ended
        self.in_flight = 0  # attempts STARTING, RUNNING or STOPPING
        self.ready: deque[int] = deque()  # may hold nodes that are READY no longer
        # Each node.
        self.stages = bytearray(size)
        self.remaining = array("q", graph.in_degrees)  # nodes before it that have not succeeded
        self.attempts = array("q", bytes(8 * size))
        self.node_started_at = array("q", bytes(8 * size))
        self.ended_at = array("q", bytes(8 * size))
        self.cache = bytearray(size)
        self.outputs: list[LiteralMap | None] = [None] * size
        # Some nodes.
        self.reasons: dict[int, str] = {}  # of those that ended without having failed or succeeded
        self.notes: dict[int, str] = {}
        self.cache_reasons: dict[int, str] = {}
        self.errors: dict[int, ExecutionError] = {}
        self.cache_keys: dict[int, str] = {}
        self.hits: dict[int, CacheChecked] = {}
        self.user_failures: dict[int, int] = {}
        self.system_failures: dict[int, int] = {}
        self.stops: dict[int, StopReason] = {}  # of those STOPPING
        self.timers: dict[int, tuple[SetTimer, ...]] = {}  # that have not fired
        # For whoever stores nodes: what to write.
        self._changed: dict[int, None] = {}
        self._execution_changed = False
        self._execution_taken = False

    @property
    def execution_changed(self) -> bool:
        """Whether the execution itself changed since nodes were last taken; stays readable until the next step."""
        return self._execution_changed or self._execution_taken

    def take_changed(self) -> list[int]:
        """Nodes changed since this was last called, in the order of their first change."""
        changed = list(self._changed)
        self._changed.clear()
        self._execution_taken = self._execution_changed
        self._execution_changed = False
        return changed

    def begin_step(self) -> None:
        """For `step` only: an event is about to be applied."""
        self._execution_taken = False

    def mark(self, node: int) -> None:
        """For `step` only: the node changed."""
        self._changed[node] = None

    def mark_execution(self) -> None:
        """For `step` only: the execution changed."""
        self._execution_changed = True
