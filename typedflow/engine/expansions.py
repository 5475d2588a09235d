"""Dynamic tasks: the graphs that they made, as parts of the execution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow.engine import attempts, failures, stages
from typedflow.engine.graph import Graph

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.events_pb2 import AttemptExpanded

DEEPEST: Final = 16
"""Dynamic tasks inside each other."""


def expanded(change: Change, event: AttemptExpanded) -> None:
    """An attempt gave a graph: what the node gives is what that gives."""
    state = change.state
    unit = attempts.under_way(change, event.node, event.attempt)
    if unit < 0:
        return
    if event.HasField("deck"):
        state.decks[unit] = event.deck
    if state.stops.get(unit) in ("aborted", "deadline"):
        attempts.ended(change, unit, failures.system("WorkerLost", "it was stopped"))
        return
    attempts.leave(change, unit)
    state.stops.pop(unit, None)
    change.forget_attempt_timers(unit)
    made, node = change.place(unit)
    task = made.tasks[node]
    assert task is not None, "attempts are of tasks"
    graph = Graph(event.graph, task.interface.outputs)
    error = _mistake(change, unit, graph)
    if error is not None:
        change.fail(unit, stages.FAILED, error)
        return
    segment = state.append_graph(unit, graph)
    change.to(unit, stages.OPEN)
    for part in range(segment.base, segment.base + segment.size):
        state.mark(part)
    for handler in graph.handlers:  # a dynamic task fails as others do: the workflow handles it
        change.end(segment.base + handler, stages.SKIPPED, "not_failed")
    for number, in_degree in enumerate(graph.in_degrees):
        if in_degree == 0:
            change.reach(segment.base + number)
    if segment.open == 0:
        _done(change, unit)


def _mistake(change: Change, unit: int, graph: Graph) -> ExecutionError | None:
    state = change.state
    if state.segment(unit).depth >= DEEPEST:
        return failures.user("NestingTooDeep", f"more than {DEEPEST} dynamic tasks are inside each other")
    path = state.path(unit)
    for id_ in graph.ids:
        if state.unit(f"{path}.{id_}") >= 0:
            message = f"there is a node `{path}.{id_}` already; give one of the two another name"
            return failures.user("DuplicateNodeId", message)
    return None


def told(change: Change, part: int) -> None:
    """Of a node of a dynamic task's graph, that it has ended."""
    state = change.state
    segment = state.segment(part)
    unit = segment.parent
    if state.stages[unit] != stages.OPEN:
        return
    if segment.error is not None and (segment.graph.fail_fast or segment.open == 0):
        change.fail(unit, stages.FAILED, segment.error)
    elif segment.open == 0:
        _done(change, unit)


def _done(change: Change, unit: int) -> None:
    if change.state.stages[unit] == stages.OPEN:
        change.give(unit)
