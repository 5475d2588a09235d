"""Executions that nodes launch and wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.engine import actions, bindings, failures, stages
from typedflow.pb import errors_pb2

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.events_pb2 import ChildEnded, ChildLaunched

_UNDER_WAY = (stages.LAUNCHING, stages.CHILD, stages.CHILD_STOPPING)


def reach(change: Change, unit: int) -> None:
    graph, node = change.place(unit)
    if graph.fragile[node] and change.unfit(unit):
        return
    change.to(unit, stages.LAUNCHING)
    change.actions.append(actions.LaunchChild(unit))


def launched(change: Change, event: ChildLaunched) -> None:
    state = change.state
    unit = change.unit_of(event.node)
    if unit < 0 or state.stages[unit] not in _UNDER_WAY or unit in state.children:
        return
    change.begin(unit)
    state.children[unit] = event.execution_id
    if state.stages[unit] == stages.LAUNCHING:
        change.to(unit, stages.CHILD)
    else:
        state.mark(unit)


def ended(change: Change, event: ChildEnded) -> None:
    """What it gave counts, also when it was told to stop."""
    state = change.state
    unit = change.unit_of(event.node)
    if unit < 0 or state.stages[unit] not in _UNDER_WAY:
        return
    graph, node = change.place(unit)
    if event.execution_id:
        change.begin(unit)
        state.children[unit] = event.execution_id
    stopping = state.stops.pop(unit, None)
    names = graph.output_names[node]
    if not event.HasField("error") and bindings.has_all(event.outputs, names):
        change.succeed(unit, event.outputs)
    elif stopping:
        change.end(unit, stages.ABORTED, "aborted")
    else:
        change.fail(unit, stages.FAILED, _error(event, names))


def _error(event: ChildEnded, names: tuple[str, ...]) -> ExecutionError:
    told = event.error if event.HasField("error") else None
    if told is None:
        given = [each.name for each in event.outputs.values]
        told = failures.system("InvalidOutputs", failures.wrong_names("it", given, names))
    error = errors_pb2.ExecutionError(kind=told.kind, code=told.code, message=told.message)
    if event.execution_id:
        error.message = f"execution {event.execution_id}: {told.message}"
    return error
