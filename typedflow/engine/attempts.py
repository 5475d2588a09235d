"""Attempts: what events tell of them, the places that they take, and when one follows another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import task_options
from typedflow.engine import actions, bindings, failures, stages
from typedflow.pb import catalog_pb2, errors_pb2, events_pb2

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.errors_pb2 import ExecutionError


def cache_checked(change: Change, event: events_pb2.CacheChecked) -> None:
    state = change.state
    unit = change.unit_of(event.node)
    if unit < 0 or state.stages[unit] != stages.CHECKING:
        return
    graph, node = change.place(unit)
    if event.key:
        state.cache_keys[unit] = event.key
    if event.status == catalog_pb2.CACHE_STATUS_HIT:
        if bindings.has_all(event.outputs, graph.output_names[node]):
            state.hits[unit] = event
            state.cache[unit] = catalog_pb2.CACHE_STATUS_HIT
            if event.recovered:
                state.cache_reasons[unit] = "recovered"
            else:
                state.cache_reasons.pop(unit, None)
            if event.HasField("deck"):
                state.decks[unit] = event.deck
            change.begin(unit)
            change.succeed(unit, event.outputs)
            return
        state.cache[unit] = catalog_pb2.CACHE_STATUS_MISS
        state.cache_reasons[unit] = "stale"
    else:
        state.cache[unit] = event.status or catalog_pb2.CACHE_STATUS_MISS
        if event.reason:
            state.cache_reasons[unit] = event.reason
    if not graph.cached[node]:
        state.cache[unit] = catalog_pb2.CACHE_STATUS_DISABLED  # asked for the sake of recovery only
    change.queue(unit)


def place_granted(change: Change, event: events_pb2.PlaceGranted) -> None:
    state = change.state
    unit = change.unit_of(event.node)
    if unit >= 0 and state.stages[unit] == stages.PLACING and state.attempts[unit] == event.attempt:
        state.notes.pop(unit, None)
        _start(change, unit)


def started(change: Change, event: events_pb2.AttemptStarted) -> None:
    state = change.state
    unit = under_way(change, event.node, event.attempt)
    if unit < 0 or state.stages[unit] != stages.STARTING:
        return
    change.begin(unit)
    if event.note:
        state.notes[unit] = event.note
    change.to(unit, stages.RUNNING)
    graph, node = change.place(unit)
    if graph.timed[node]:
        change.forget_attempt_timers(unit)
        run_ms = graph.options[node].timeouts.run_ms
        if run_ms:
            change.set_timer(unit, event.attempt, events_pb2.TIMER_RUN, change.now + run_ms * 1_000)


def succeeded(change: Change, event: events_pb2.AttemptSucceeded) -> None:
    state = change.state
    unit = under_way(change, event.node, event.attempt)
    if unit < 0:
        return
    graph, node = change.place(unit)
    names = graph.output_names[node]
    if event.HasField("deck"):
        state.decks[unit] = event.deck
    if not bindings.has_all(event.outputs, names):
        given = [each.name for each in event.outputs.values]
        message = failures.wrong_names("the attempt", given, names)
        ended(change, unit, failures.system("InvalidOutputs", message))
        return
    leave(change, unit)
    state.stops.pop(unit, None)
    if event.cache:
        state.cache[unit] = event.cache
    if event.cache_reason:
        state.cache_reasons[unit] = event.cache_reason
    change.succeed(unit, event.outputs)


def failed(change: Change, event: events_pb2.AttemptFailed) -> None:
    unit = under_way(change, event.node, event.attempt)
    if unit < 0:
        return
    if event.HasField("checkpoint"):
        change.state.checkpoints[unit] = event.checkpoint
    if event.HasField("deck"):
        change.state.decks[unit] = event.deck
    ended(change, unit, event.error)


def stopped(change: Change, event: events_pb2.AttemptStopped) -> None:
    unit = change.unit_of(event.node)
    state = change.state
    if unit < 0 or state.attempts[unit] != event.attempt or state.stages[unit] not in stages.UNDER_WAY:
        return
    if event.HasField("checkpoint"):
        state.checkpoints[unit] = event.checkpoint
    # Of one that nobody told to stop this is a loss: nothing of it runs any more, and it has no outcome.
    message = "the attempt was stopped by something outside of typedflow"
    ended(change, unit, failures.system("WorkerLost", message))


def under_way(change: Change, path: str, attempt: int) -> int:
    """The unit of whose attempt under way an event tells; -1: there is none such."""
    state = change.state
    unit = change.unit_of(path)
    if unit < 0 or state.attempts[unit] != attempt or state.stages[unit] not in stages.UNDER_WAY:
        return -1
    return unit


def leave(change: Change, unit: int) -> None:
    """The attempt has given something, and takes no place any more."""
    if change.state.stages[unit] == stages.STARTING:
        change.begin(unit)
    change.state.in_flight -= 1


def timed_out(change: Change, unit: int, timer: events_pb2.Timer.ValueType) -> None:
    """One of a unit's timers has fired."""
    match timer:
        case events_pb2.TIMER_BACKOFF:
            change.queue_again(unit)
        case events_pb2.TIMER_RUN:
            change.stop(unit, "run_timeout")
        case events_pb2.TIMER_QUEUED:
            change.stop(unit, "queued_timeout")
        case events_pb2.TIMER_DEADLINE if change.state.stages[unit] in stages.IN_FLIGHT:
            change.stop(unit, "deadline")
        case events_pb2.TIMER_DEADLINE:
            change.fail(unit, stages.TIMED_OUT, _late(change, unit, "deadline"))
        case _:
            pass


def start_ready(change: Change) -> None:
    """Gives the places that are free to the units that have waited longest."""
    state = change.state
    limit = state.max_parallelism
    while state.ready and (limit == 0 or state.in_flight < limit):
        unit = state.ready.popleft()
        if state.stages[unit] != stages.READY:
            continue
        state.attempts[unit] += 1
        state.in_flight += 1
        if state.capped:
            change.to(unit, stages.PLACING)
            state.notes[unit] = "waits for a place"
            change.actions.append(actions.RequestPlace(unit, state.attempts[unit]))
        else:
            _start(change, unit)


def _start(change: Change, unit: int) -> None:
    attempt = change.state.attempts[unit]
    change.to(unit, stages.STARTING)
    change.actions.append(actions.StartAttempt(unit, attempt))
    graph, node = change.place(unit)
    if graph.timed[node]:
        queued_ms = graph.options[node].timeouts.queued_ms
        if queued_ms:
            change.set_timer(unit, attempt, events_pb2.TIMER_QUEUED, change.now + queued_ms * 1_000)


def ended(change: Change, unit: int, error: ExecutionError) -> None:
    """Without outputs."""
    state = change.state
    if state.stages[unit] == stages.STARTING:
        state.notes.pop(unit, None)  # as in `stop`
    state.in_flight -= 1
    change.forget_attempt_timers(unit)
    stop = state.stops.pop(unit, None)
    match stop:
        case None:
            _retry_or_fail(change, unit, error)
        case "aborted":
            change.end(unit, stages.ABORTED, "aborted")
        case "deadline":
            change.fail(unit, stages.TIMED_OUT, _late(change, unit, stop))
        case "run_timeout" | "queued_timeout":
            _retry_or_fail(change, unit, _late(change, unit, stop))


def _retry_or_fail(change: Change, unit: int, error: ExecutionError) -> None:
    state = change.state
    graph, node = change.place(unit)
    retry = graph.options[node].retry
    if error.kind == errors_pb2.ERROR_KIND_SYSTEM and error.code == task_options.SERVER_STOPPED:
        count, budget, pause_ms = 0, 0, task_options.system_backoff_ms(1)
    elif error.kind == errors_pb2.ERROR_KIND_SYSTEM:
        count = state.system_failures[unit] = state.system_failures.get(unit, 0) + 1
        budget, pause_ms = task_options.SYSTEM_RETRIES, task_options.system_backoff_ms(count)
    else:
        count = state.user_failures[unit] = state.user_failures.get(unit, 0) + 1
        budget, pause_ms = retry.retries, task_options.backoff_ms(retry, count)
    if error.non_recoverable or count > budget:
        change.fail(unit, stages.FAILED, _own(error))
        return
    state.notes[unit] = f"retry after {error.code}"
    if unit >= change.fixed:
        change.release(unit)
    if pause_ms == 0:
        change.queue_again(unit)
        return
    change.to(unit, stages.BACKOFF)
    change.set_timer(unit, state.attempts[unit], events_pb2.TIMER_BACKOFF, change.now + pause_ms * 1_000)


def _own(error: ExecutionError) -> ExecutionError:
    """The error without a node: what an attempt says of that is not asked."""
    if not error.node:
        return error
    own = errors_pb2.ExecutionError()
    own.CopyFrom(error)
    own.node = ""
    return own


def _late(change: Change, unit: int, reason: actions.StopReason) -> ExecutionError:
    graph, node = change.place(unit)
    return failures.late(graph.options[node].timeouts, reason)
