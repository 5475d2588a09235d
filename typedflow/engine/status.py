"""An execution and its units as people see them: made from the state, never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import errors, literals
from typedflow.engine import interfaces, stages, values
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, propeller_pb2

if TYPE_CHECKING:
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.executions_pb2 import NodeExecution, NodeKind, Phase
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.propeller_pb2 import ExecutionStatus
    from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate

_PHASES: Final[dict[int, Phase.ValueType]] = {
    stages.NEW: executions_pb2.PHASE_QUEUED,
    stages.CHECKING: executions_pb2.PHASE_QUEUED,
    stages.READY: executions_pb2.PHASE_QUEUED,
    stages.BACKOFF: executions_pb2.PHASE_WAITING,
    stages.PLACING: executions_pb2.PHASE_WAITING,
    stages.STARTING: executions_pb2.PHASE_QUEUED,
    stages.RUNNING: executions_pb2.PHASE_RUNNING,
    stages.STOPPING: executions_pb2.PHASE_RUNNING,
    stages.RESOLVING: executions_pb2.PHASE_RUNNING,
    stages.WAITING: executions_pb2.PHASE_WAITING,
    stages.LAUNCHING: executions_pb2.PHASE_QUEUED,
    stages.CHILD: executions_pb2.PHASE_RUNNING,
    stages.CHILD_STOPPING: executions_pb2.PHASE_RUNNING,
    stages.OPEN: executions_pb2.PHASE_RUNNING,
    stages.SUCCEEDED: executions_pb2.PHASE_SUCCEEDED,
    stages.FAILED: executions_pb2.PHASE_FAILED,
    stages.ABORTED: executions_pb2.PHASE_ABORTED,
    stages.TIMED_OUT: executions_pb2.PHASE_TIMED_OUT,
    stages.SKIPPED: executions_pb2.PHASE_SKIPPED,
}


def task(graph: Graph, state: State, unit: int) -> TaskTemplate | None:  # noqa: ARG001 - as all of the engine's questions
    """The task that it runs, or a map runs in its slots; None: it runs none."""
    of, node = state.place(unit)
    return of.tasks[node]


def options(graph: Graph, state: State, unit: int) -> TaskOptions:  # noqa: ARG001 - as above
    """On what terms it runs, with its node's overrides; empty where it runs no task."""
    of, node = state.place(unit)
    return of.options[node]


def kind(graph: Graph, state: State, unit: int) -> NodeKind.ValueType:  # noqa: ARG001 - as above
    """What it is; a slot is what its map's task is."""
    of, node = state.place(unit)
    found = of.kinds[node]
    if found == executions_pb2.NODE_KIND_MAP and state.slot(unit) >= 0:
        found = executions_pb2.NODE_KIND_TASK
    template = of.tasks[node]
    if found == executions_pb2.NODE_KIND_TASK and template is not None and template.dynamic:
        return executions_pb2.NODE_KIND_DYNAMIC
    return found


def checkpoint(graph: Graph, state: State, unit: int) -> Literal | None:  # noqa: ARG001 - as above
    """What the attempts of the unit saved last, for the next; None: nothing."""
    return state.checkpoints.get(unit)


def node_execution(graph: Graph, state: State, node: int) -> NodeExecution:
    """The unit as it is now; `revision` is whoever stores it's to set."""
    stage = state.stages[node]
    template = task(graph, state, node)
    parent = state.parent(node)
    result = executions_pb2.NodeExecution(
        id=state.path(node),
        task="" if template is None else template.id.name,
        phase=_PHASES[stage],
        reason=state.reasons.get(node, ""),
        note=f"stopping: {state.stops[node]}" if node in state.stops else state.notes.get(node, ""),
        cache=catalog_pb2.CacheStatus.ValueType(state.cache[node]),
        cache_reason=state.cache_reasons.get(node, ""),
        cache_key=state.cache_keys.get(node, ""),
        attempts=state.attempts[node] - (stage == stages.PLACING),
        started_at_us=state.unit_started_at[node],
        ended_at_us=state.ended_at[node],
        error=state.errors.get(node),
        outputs=state.outputs[node],
        kind=kind(graph, state, node),
        parent=state.path(parent) if parent >= 0 else "",
        case=state.cases.get(node),
        child_execution_id=state.children.get(node, ""),
        deck=state.decks.get(node),
        position=node,
    )
    slot = state.slot(node)
    if slot >= 0:
        result.slot = slot
    if node in state.slots:
        _count(result.slots, state, node)
    if stage == stages.WAITING:
        _wait(result.waiting, graph, state, node)
    hit = state.hits.get(node)
    if hit is not None:
        if hit.recovered:
            result.phase = executions_pb2.PHASE_RECOVERED
        result.saved.CopyFrom(hit.saved)
        result.producer_execution_id = hit.producer_execution_id
        result.producer_node = hit.producer_node
        result.producer_attempt = hit.producer_attempt
    return result


def _count(counts: executions_pb2.SlotCounts, state: State, unit: int) -> None:
    slots = state.slots[unit]
    counts.total = slots.count
    counts.succeeded = slots.succeeded
    counts.failed = slots.failed
    counts.skipped = slots.skipped
    counts.running = slots.running
    counts.hits = slots.hits


def _wait(wait: executions_pb2.Wait, graph: Graph, state: State, unit: int) -> None:
    of, node = state.place(unit)
    gate = of.gates[node]
    match gate.WhichOneof("gate"):
        case "signal":
            wait.signal.CopyFrom(gate.signal.type)
            wait.prompt = gate.signal.prompt
        case "approval":
            wait.prompt = gate.approval.prompt
            wait.approval.SetInParent()
            try:
                value = literals.get(values.inputs(graph, state, unit), interfaces.VALUE)
            except errors.ConversionError:
                return  # a part of what is stored elsewhere: not to be seen from here
            if value is not None:
                wait.approval.CopyFrom(value)
        case _:
            timers = state.timers.get(unit, ())
            wait.time_us = next((t.at_us for t in timers if t.timer == events_pb2.TIMER_SLEEP), 0)


def execution_status(graph: Graph, state: State) -> ExecutionStatus:  # noqa: ARG001 - as all of the engine's questions
    """The execution as it is now; an error is shown once it has ended."""
    return propeller_pb2.ExecutionStatus(
        phase=state.phase,
        outputs=state.results,
        error=state.error if state.done else None,
        started_at_us=state.started_at_us,
        ended_at_us=state.finished_at_us,
    )
