"""What one event does to the state: the moves that all kinds of units share.

What follows for units of other kinds than tasks, and for what is around a unit that ended, is noted in `todo` and done
one after another by `step`, so that nothing recurses on the graph. Must never know which event it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.engine import actions, bindings, failures, stages, values
from typedflow.pb import catalog_pb2, errors_pb2, events_pb2, executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.actions import Action, StopReason
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.literals_pb2 import LiteralMap


class Change:
    """One event's change.

    Attributes:
        todo: units that are no tasks and whose turn has come; complemented (`~unit`), those that ended inside of
            something, which has to be told.
    """

    __slots__ = ("actions", "fixed", "graph", "now", "state", "todo")

    def __init__(self, graph: Graph, state: State, now: int) -> None:
        self.graph = graph
        self.state = state
        self.now = now
        self.fixed = graph.size
        self.actions: list[Action] = []
        self.todo: list[int] = []

    def place(self, unit: int) -> tuple[Graph, int]:
        """As State.place."""
        return (self.graph, unit) if unit < self.fixed else self.state.place(unit)

    def unit_of(self, path: str) -> int:
        """As State.unit."""
        unit = self.graph.index.get(path, -1)
        return unit if unit >= 0 else self.state.unit(path)

    def to(self, unit: int, stage: int) -> None:
        """Every change of a stage."""
        state = self.state
        if unit >= self.fixed:
            self._count_running(unit, stage)
        state.stages[unit] = stage
        state.mark(unit)

    def _count_running(self, unit: int, stage: int) -> None:
        segment = self.state.segment(unit)
        if segment.node >= 0:
            difference = stages.SHOWN_RUNNING[stage] - stages.SHOWN_RUNNING[self.state.stages[unit]]
            if difference:
                self.state.slots[segment.parent].running += difference
                self.state.mark(segment.parent)

    # Beginnings

    def reach(self, unit: int) -> None:
        """All that it waited for has come."""
        graph, node = self.place(unit)
        if graph.kinds[node] == executions_pb2.NODE_KIND_TASK or (
            unit >= self.fixed and self.state.segment(unit).node >= 0
        ):
            self.reach_task(unit, graph, node)
        else:
            self.todo.append(unit)

    def reach_task(self, unit: int, graph: Graph, node: int) -> None:
        """A task's turn has come, or a slot's."""
        state = self.state
        # A slot's inputs were looked at with its map's.
        if graph.fragile[node] and (unit < self.fixed or state.segment(unit).node < 0) and self.unfit(unit):
            return
        if graph.timed[node]:
            deadline_ms = graph.options[node].timeouts.deadline_ms
            if deadline_ms:
                self.set_timer(unit, 0, events_pb2.TIMER_DEADLINE, self.now + deadline_ms * 1_000)
        overwritten = self._is_made_anew(unit)
        if state.recovers and not overwritten:
            self._check(unit)
        elif not graph.cached[node]:
            state.cache[unit] = catalog_pb2.CACHE_STATUS_DISABLED
            self.queue(unit)
        elif overwritten:
            state.cache[unit] = catalog_pb2.CACHE_STATUS_MISS
            state.cache_reasons[unit] = "overwrite"
            self.queue(unit)
        else:
            self._check(unit)

    def unfit(self, unit: int) -> bool:
        """Fails a unit whose inputs can't be had, and says that it did."""
        graph, node = self.place(unit)
        try:
            values.of(self.state, self.state.segment(unit), graph.fragile[node], None)
        except bindings.StoredElsewhere:
            return False  # `inputs` will tell
        except errors.ConversionError as error:
            self.fail(unit, stages.FAILED, failures.misfit("inputs", error))
            return True
        return False

    def _check(self, unit: int) -> None:
        self.to(unit, stages.CHECKING)
        self.actions.append(actions.CheckCache(unit))

    def _is_made_anew(self, unit: int) -> bool:
        """Whether it runs whatever the cache has, and whatever a recovered execution has."""
        return self._named(unit, self.state.overwrite) or self._named(unit, self.state.rerun)

    def _named(self, unit: int, names: frozenset[str]) -> bool:
        """Whether it is named, or what it is inside of, or all are."""
        if not names or "*" in names:
            return bool(names)
        while unit >= 0:
            if self.state.path(unit) in names:
                return True
            unit = self.state.parent(unit)
        return False

    def begin(self, unit: int) -> None:
        """It runs: why it waited is of no interest any more."""
        if self.state.unit_started_at[unit] == 0:
            self.state.unit_started_at[unit] = self.now
        self.state.notes.pop(unit, None)

    def queue(self, unit: int) -> None:
        """It wants a place; a slot one of its map's first."""
        self.to(unit, stages.READY)
        if unit >= self.fixed and not self._hold(unit):
            return
        self.state.ready.append(unit)

    def queue_again(self, unit: int) -> None:
        """After an attempt that failed. What others may have made meanwhile is looked for first."""
        graph, node = self.place(unit)
        serialized = graph.cached[node] and graph.options[node].cache.serialize
        if serialized and not self._is_made_anew(unit):
            self._check(unit)
            return
        self.queue(unit)

    # The places of a map that says how many slots may run.

    def _hold(self, unit: int) -> bool:
        segment = self.state.segment(unit)
        if segment.node < 0:
            return True
        slots = self.state.slots[segment.parent]
        if not slots.concurrency or unit in slots.holders:
            return True
        if len(slots.holders) < slots.concurrency:
            slots.holders.add(unit)
            return True
        slots.parked.append(unit)
        return False

    def release(self, unit: int) -> None:
        """A slot lets go of its map's place, and the one that has waited longest takes it."""
        state = self.state
        segment = state.segment(unit)
        if segment.node < 0:
            return
        slots = state.slots[segment.parent]
        if unit not in slots.holders:
            return
        slots.holders.discard(unit)
        while slots.parked:
            waiting = slots.parked.popleft()
            if state.stages[waiting] == stages.READY:
                slots.holders.add(waiting)
                state.ready.append(waiting)
                return

    # Ends

    def succeed(self, unit: int, outputs: LiteralMap) -> None:
        state = self.state
        state.outputs[unit] = outputs
        if state.inside and unit in state.inside and unit not in state.slots:
            graph, node = self.place(unit)
            if graph.cached[node]:  # what a dynamic task's graph gives is published with its success
                state.cache[unit] = catalog_pb2.CACHE_STATUS_POPULATED
        self.end(unit, stages.SUCCEEDED)
        if unit < self.fixed:
            base, successors = 0, self.graph.successors[unit]
        else:
            segment = state.segment(unit)
            if segment.node >= 0:
                return
            base, successors = segment.base, segment.graph.successors[unit - segment.base]
        for successor in successors:
            self.token(base + successor)

    def token(self, unit: int) -> None:
        """One of the things that it waits for has come."""
        remaining = self.state.remaining
        left = remaining[unit] - 1
        remaining[unit] = left
        if left == 0 and self.state.stages[unit] == stages.NEW:
            self.reach(unit)

    def fail(self, unit: int, stage: int, error: ExecutionError) -> None:
        """`error` says which unit it was, where it was not this one itself."""
        state = self.state
        located = errors_pb2.ExecutionError()
        located.CopyFrom(error)
        located.node = located.node or state.path(unit)
        state.errors[unit] = located
        self.end(unit, stage)
        self.skip_downstream(unit)
        self.close(unit)
        if unit >= self.fixed:  # what is around it is told, maybe of other parts first
            segment = state.segment(unit)
            segment.error = segment.error or located
            return
        if state.error is None:
            state.error = located
        if self.graph.fail_fast and not state.handled:
            self.wind_down()

    def skip(self, unit: int, reason: str) -> None:
        """It will never run, nor what waits for it."""
        self.end(unit, stages.SKIPPED, reason)
        self.skip_downstream(unit)

    def skip_downstream(self, unit: int) -> None:
        state = self.state
        segment = state.segment(unit)
        if segment.node >= 0:
            return
        graph, base = segment.graph, segment.base
        stack = [unit - base]
        while stack:
            node = stack.pop()
            followers = graph.successors[node]
            if node in graph.conditionals and base + node not in state.cases:
                # Nobody will decide it.
                cases = graph.conditionals[node].cases
                followers = [*followers, *(member for case in cases for member in case.members)]
            for follower in followers:
                if state.stages[base + follower] == stages.NEW:
                    self.end(base + follower, stages.SKIPPED, "upstream_failed")
                    stack.append(follower)

    def end(self, unit: int, stage: int, reason: str = "") -> None:
        state = self.state
        if state.stages[unit] in (stages.READY, stages.BACKOFF, stages.PLACING, stages.CHECKING):
            state.notes.pop(unit, None)  # why it waited
        self.to(unit, stage)
        state.ended_at[unit] = self.now
        state.open -= 1
        if reason:
            state.reasons[unit] = reason
        state.timers.pop(unit, None)
        if unit >= self.fixed:
            state.segment(unit).open -= 1
            self.release(unit)
            self.todo.append(~unit)
        elif unit in self.graph.awaited:
            self.todo.append(~unit)

    # Stops

    def wind_down(self) -> None:
        """Nothing starts any more, and what runs is told to stop; handlers have not begun, or are stopped too."""
        state = self.state
        state.winding_down = True
        state.ready.clear()
        state.timers.clear()
        spared = frozenset() if state.handled else frozenset(self.graph.handlers)
        for unit in range(len(state.stages)):
            if unit not in spared:
                self.halt(unit)

    def close(self, unit: int) -> None:
        """Stops what is inside of it."""
        state = self.state
        if unit not in state.inside:
            return
        state.keep_mapped(unit, None)
        stack = [unit]
        while stack:
            segment = state.inside[stack.pop()]
            for part in range(segment.base, segment.base + segment.size):
                self.halt(part)
                if part in state.inside:
                    stack.append(part)

    def halt(self, unit: int) -> None:
        """Stops it, or ends it where nothing of it runs."""
        state = self.state
        stage = state.stages[unit]
        if stage >= stages.SUCCEEDED:
            return
        state.timers.pop(unit, None)
        if stage in stages.IN_FLIGHT:
            self.stop(unit, "aborted")
        elif stage in (stages.LAUNCHING, stages.CHILD, stages.CHILD_STOPPING):
            if stage != stages.CHILD_STOPPING:
                state.stops[unit] = "aborted"
                self.to(unit, stages.CHILD_STOPPING)
                self.actions.append(actions.StopChild(unit, "aborted"))
        else:
            begun = state.attempts[unit] > 0 or state.unit_started_at[unit] > 0
            self.end(unit, stages.ABORTED if begun else stages.SKIPPED, "aborted")
            if stage == stages.NEW and state.slot(unit) >= 0:
                state.unmark(unit)  # nobody was told that there is such a slot

    def stop(self, unit: int, reason: StopReason) -> None:
        """The latest reason is the one that counts; the attempt is told once."""
        state = self.state
        state.stops[unit] = reason
        stage = state.stages[unit]
        if stage in (stages.STARTING, stages.PLACING):
            state.notes.pop(unit, None)  # of the attempt before it, or why it waited
        if stage != stages.STOPPING:
            self.to(unit, stages.STOPPING)
            self.forget_attempt_timers(unit)
            self.actions.append(actions.StopAttempt(unit, state.attempts[unit], reason))
        else:
            state.mark(unit)

    # Timers and questions

    def set_timer(self, unit: int, attempt: int, timer: events_pb2.Timer.ValueType, at_us: int) -> None:
        action = actions.SetTimer(unit, attempt, timer, at_us)
        self.state.timers[unit] = (*self.state.timers.get(unit, ()), action)
        self.actions.append(action)

    def forget_attempt_timers(self, unit: int) -> None:
        timers = self.state.timers.get(unit)
        if timers:
            self.state.timers[unit] = tuple(
                each for each in timers if each.timer == events_pb2.TIMER_DEADLINE
            )

    def ask(self, unit: int) -> None:
        """What comes next follows from values that are stored elsewhere."""
        self.state.timers.pop(unit, None)
        self.to(unit, stages.RESOLVING)
        self.actions.append(actions.Resolve(unit))

    def give(self, unit: int) -> None:
        """What it gives follows from what others gave: it succeeds, or fails, or asks."""
        try:
            outputs = values.outputs(self.graph, self.state, unit, None)
        except bindings.StoredElsewhere:
            self.ask(unit)
        except errors.ConversionError as error:
            self.fail(unit, stages.FAILED, failures.misfit("outputs", error))
        else:
            self.succeed(unit, outputs)
