"""One event in, actions out: the only place where an execution's state changes.

Deterministic and without a clock: times come with events. What an event touches is what it costs; ending an execution
early touches every unit once. An event that does not fit the state (late, repeated, of an unknown unit) changes
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.engine import (
    attempts,
    branches,
    children,
    execution,
    expansions,
    gates,
    maps,
    resolving,
    stages,
)
from typedflow.engine.change import Change
from typedflow.pb import events_pb2, executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.actions import Action
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.events_pb2 import Event


def step(graph: Graph, state: State, event: Event) -> list[Action]:
    """Applies the event and says what is to be done next. The state keeps parts of the event: don't change it later."""
    kind = event.WhichOneof("kind")
    state.begin_step()
    if state.done or kind is None or state.started == (kind == "execution_started"):
        return []
    change = Change(graph, state, event.time_us)
    match kind:
        case "attempt_started":
            attempts.started(change, event.attempt_started)
        case "attempt_succeeded":
            attempts.succeeded(change, event.attempt_succeeded)
        case "cache_checked":
            attempts.cache_checked(change, event.cache_checked)
        case "attempt_failed":
            attempts.failed(change, event.attempt_failed)
        case "attempt_stopped":
            attempts.stopped(change, event.attempt_stopped)
        case "timer_fired":
            _timer_fired(change, event.timer_fired)
        case "place_granted":
            attempts.place_granted(change, event.place_granted)
        case _:
            _other(change, event, kind)
    while True:
        if change.todo:
            _follow(change)
        attempts.start_ready(change)
        if state.open or state.resolving or state.done:
            return change.actions
        execution.settle(change)


def _other(change: Change, event: Event, kind: str) -> None:
    """What comes less often."""
    match kind:
        case "execution_started":
            execution.started(change, event.execution_started)
        case "abort_requested":
            execution.abort_requested(change, event.abort_requested)
        case "node_resolved" if not event.node_resolved.node:
            execution.resolved(change, event.node_resolved)
        case "node_resolved":
            resolving.resolved(change, event.node_resolved)
        case "signal_received":
            gates.signal_received(change, event.signal_received)
        case "child_launched":
            children.launched(change, event.child_launched)
        case "child_ended":
            children.ended(change, event.child_ended)
        case "attempt_expanded":
            expansions.expanded(change, event.attempt_expanded)
        case _:
            pass  # of a later release


def _follow(change: Change) -> None:
    """Does what one thing leads to, one after another: the list grows meanwhile."""
    for unit in change.todo:
        if unit < 0:
            _tell(change, ~unit)
        else:
            _reach(change, unit)
    change.todo.clear()


def _tell(change: Change, unit: int) -> None:
    segment = change.state.segment(unit)
    if segment.node >= 0:
        maps.told(change, unit)
        return
    branches.told(change, unit)
    if segment.parent >= 0:
        expansions.told(change, unit)


def _reach(change: Change, unit: int) -> None:
    if change.state.stages[unit] != stages.NEW:
        return
    graph, node = change.place(unit)
    match graph.kinds[node]:
        case executions_pb2.NODE_KIND_BRANCH:
            branches.reach(change, unit)
        case executions_pb2.NODE_KIND_MAP:
            maps.reach(change, unit)
        case executions_pb2.NODE_KIND_GATE:
            gates.reach(change, unit)
        case _:
            children.reach(change, unit)


def _timer_fired(change: Change, event: events_pb2.TimerFired) -> None:
    state = change.state
    unit = change.unit_of(event.node)
    timers = state.timers.get(unit, ())
    fired = next((t for t in timers if t.timer == event.timer and t.attempt == event.attempt), None)
    if fired is None:
        return
    state.timers[unit] = tuple(each for each in timers if each is not fired)
    if not gates.is_gate(change, unit):
        attempts.timed_out(change, unit, event.timer)
    elif event.timer == events_pb2.TIMER_SLEEP:
        gates.woken(change, unit)
    else:
        gates.unanswered(change, unit)
