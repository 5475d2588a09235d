"""An execution and its nodes as people see them: made from the state, never kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow.engine import stages
from typedflow.pb import catalog_pb2, executions_pb2, propeller_pb2

if TYPE_CHECKING:
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.executions_pb2 import NodeExecution, Phase
    from typedflow.pb.propeller_pb2 import ExecutionStatus

_PHASES: Final[dict[int, Phase.ValueType]] = {
    stages.NEW: executions_pb2.PHASE_QUEUED,
    stages.CHECKING: executions_pb2.PHASE_QUEUED,
    stages.READY: executions_pb2.PHASE_QUEUED,
    stages.BACKOFF: executions_pb2.PHASE_WAITING,
    stages.STARTING: executions_pb2.PHASE_QUEUED,
    stages.RUNNING: executions_pb2.PHASE_RUNNING,
    stages.STOPPING: executions_pb2.PHASE_RUNNING,
    stages.SUCCEEDED: executions_pb2.PHASE_SUCCEEDED,
    stages.FAILED: executions_pb2.PHASE_FAILED,
    stages.ABORTED: executions_pb2.PHASE_ABORTED,
    stages.TIMED_OUT: executions_pb2.PHASE_TIMED_OUT,
    stages.SKIPPED: executions_pb2.PHASE_SKIPPED,
}


def node_execution(graph: Graph, state: State, node: int) -> NodeExecution:
    """The node as it is now; `revision` is whoever stores it's to set."""
    stage = state.stages[node]
    result = executions_pb2.NodeExecution(
        id=graph.ids[node],
        task=graph.tasks[node].id.name,
        phase=_PHASES[stage],
        reason=state.reasons.get(node, ""),
        note=f"stopping: {state.stops[node]}" if stage == stages.STOPPING else state.notes.get(node, ""),
        cache=catalog_pb2.CacheStatus.ValueType(state.cache[node]),
        cache_reason=state.cache_reasons.get(node, ""),
        cache_key=state.cache_keys.get(node, ""),
        attempts=state.attempts[node],
        started_at_us=state.node_started_at[node],
        ended_at_us=state.ended_at[node],
        error=state.errors.get(node),
        outputs=state.outputs[node],
    )
    hit = state.hits.get(node)
    if hit is not None:
        result.saved.CopyFrom(hit.saved)
        result.producer_execution_id = hit.producer_execution_id
        result.producer_node = hit.producer_node
        result.producer_attempt = hit.producer_attempt
    return result


def execution_status(graph: Graph, state: State) -> ExecutionStatus:  # noqa: ARG001 - as all of the engine's questions
    """The execution as it is now; an error is shown once it has ended."""
    return propeller_pb2.ExecutionStatus(
        phase=state.phase,
        outputs=state.results,
        error=state.error if state.done else None,
        started_at_us=state.started_at_us,
        ended_at_us=state.finished_at_us,
    )
