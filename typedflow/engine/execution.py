"""The execution as a whole: its start, its abort, what runs when it has failed, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.engine import actions, bindings, failures, stages, values
from typedflow.pb import errors_pb2, events_pb2, executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.errors_pb2 import ExecutionError


def started(change: Change, event: events_pb2.ExecutionStarted) -> None:
    state, graph = change.state, change.graph
    state.started = True
    state.started_at_us = change.now
    state.phase = executions_pb2.PHASE_RUNNING
    state.inputs = event.inputs
    state.max_parallelism = event.max_parallelism
    state.capped = event.capped
    state.overwrite = frozenset(event.overwrite_cache)
    state.recovers = bool(event.recover_from)
    state.rerun = frozenset(event.rerun)
    for signal in event.signals:
        state.signals.setdefault(signal.node, signal)
    state.mark_execution()
    if not bindings.has_all(event.inputs, graph.input_names):
        given = ", ".join(each.name for each in event.inputs.values)
        message = f"the execution was given ({given}) where ({', '.join(graph.input_names)}) is declared"
        state.error = failures.user("InvalidInputs", message)
        _skip_handlers(change, "aborted")  # they are given the same inputs
        change.wind_down()
        return
    for node, in_degree in enumerate(graph.in_degrees):
        if in_degree == 0 and state.stages[node] == stages.NEW:
            change.reach(node)


def abort_requested(change: Change, event: events_pb2.AbortRequested) -> None:
    state = change.state
    if state.winding_down:
        # It stays what it is for, but nothing more is begun.
        if change.graph.handlers and not state.handled and not state.aborted:
            _skip_handlers(change, "aborted")
        return
    if not state.handled or state.error is None:
        who = event.principal or "somebody"
        message = f"aborted by {who}: {event.reason}" if event.reason else f"aborted by {who}"
        state.aborted = True
        state.error = failures.user("Aborted", message)
    state.resolving = False
    change.wind_down()


def settle(change: Change) -> None:
    """Every unit has ended: what runs on failure does so now, or the execution ends."""
    state, graph = change.state, change.graph
    if state.error is None and state.results is None:
        _give(change)
        if state.resolving:
            return
    if graph.handlers and not state.handled:
        if state.error is None or state.aborted:
            _skip_handlers(change, "aborted" if state.aborted else "not_failed")
            return
        state.handled = True
        state.winding_down = False
        state.open += len(graph.handlers)
        for handler in graph.handlers:
            if graph.workflow.nodes[handler].section.HasField("failure"):
                change.token(handler)
        return
    if state.aborted:
        _finish(change, executions_pb2.PHASE_ABORTED, state.error)
    elif state.error is not None:
        first = state.unit(state.error.node)
        late = first >= 0 and state.stages[first] == stages.TIMED_OUT
        phase = executions_pb2.PHASE_TIMED_OUT if late else executions_pb2.PHASE_FAILED
        _finish(change, phase, state.error)
    else:
        _finish(change, executions_pb2.PHASE_SUCCEEDED, None)


def resolved(change: Change, event: events_pb2.NodeResolved) -> None:
    """The outputs of the execution itself, which were stored elsewhere."""
    state, names = change.state, change.graph.result_names
    if not state.resolving:
        return
    if event.HasField("outputs") and bindings.has_all(event.outputs, names):
        state.results = event.outputs
    elif event.HasField("error"):
        state.error = errors_pb2.ExecutionError()
        state.error.CopyFrom(event.error)
        state.error.node = ""
    elif event.HasField("outputs"):
        given = [each.name for each in event.outputs.values]
        state.error = failures.system("InvalidOutputs", failures.wrong_names("the execution", given, names))
    else:
        return
    state.resolving = False


def _skip_handlers(change: Change, reason: str) -> None:
    state = change.state
    state.handled = True
    state.open += len(change.graph.handlers)
    for handler in change.graph.handlers:
        change.end(handler, stages.SKIPPED, reason)


def _give(change: Change) -> None:
    """Its outputs, which are a part of its success: without them what runs on failure does."""
    state = change.state
    try:
        state.results = values.graph_outputs(state, state.segments[0], None)
    except bindings.StoredElsewhere:
        state.resolving = True
        change.actions.append(actions.Resolve(actions.OUTPUTS))
    except errors.ConversionError as error:
        state.error = failures.misfit("outputs", error)


def _finish(change: Change, phase: executions_pb2.Phase.ValueType, error: ExecutionError | None) -> None:
    state = change.state
    state.resolving = False
    state.done = True
    state.error = error
    state.phase = phase
    state.finished_at_us = change.now
    state.mark_execution()
    change.actions.append(actions.FinishExecution())
