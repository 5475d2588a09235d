"""One event in, actions out: the only place where an execution's state changes.

Deterministic and without a clock: times come with events. What an event touches is what it costs; ending an execution
early touches every node once. An event that does not fit the state (late, repeated, of an unknown node) changes
nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, task_options
from typedflow.engine import actions, bindings, stages
from typedflow.pb import catalog_pb2, errors_pb2, events_pb2, executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.actions import Action, StopReason
    from typedflow.engine.bindings import Load
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.events_pb2 import Event
    from typedflow.pb.literals_pb2 import LiteralMap


def step(graph: Graph, state: State, event: Event) -> list[Action]:
    """Applies the event and says what is to be done next. The state keeps parts of the event: don't change it later."""
    kind = event.WhichOneof("kind")
    state.begin_step()
    if state.done or kind is None or state.started == (kind == "execution_started"):
        return []
    change = _Change(graph, state, event.time_us)
    match kind:
        case "attempt_started":
            change.attempt_started(event.attempt_started)
        case "attempt_succeeded":
            change.attempt_succeeded(event.attempt_succeeded)
        case "cache_checked":
            change.cache_checked(event.cache_checked)
        case "attempt_failed":
            change.attempt_failed(event.attempt_failed)
        case "attempt_stopped":
            change.attempt_stopped(event.attempt_stopped)
        case "timer_fired":
            change.timer_fired(event.timer_fired)
        case "abort_requested":
            change.abort_requested(event.abort_requested)
        case "execution_started":
            change.execution_started(event.execution_started)
    change.start_ready()
    if state.open == 0:
        change.finish()
    return change.actions


def inputs(graph: Graph, state: State, node: int, load: Load | None = None) -> LiteralMap:
    """What the node is given, converted, in interface order. Its upstreams must have succeeded.

    An offloaded value passes as it is, unless a part or another form of it is wanted: then `load` gives the value
    itself. Raises ConversionError, naming the variable, for what isn't there: an index beyond the end of an offloaded
    list, or any part of an offloaded value when there is no `load`.
    """
    return _resolve(state, graph.bindings[node], load)


def _resolve(state: State, bound: tuple[bindings.Bound, ...], load: Load | None = None) -> LiteralMap:
    outputs = state.outputs
    return bindings.resolve(
        bound, lambda node: state.inputs if node == bindings.INPUTS else outputs[node], load
    )


class _Change:
    """What one event does to the state. First the events, then what they lead to."""

    __slots__ = ("actions", "graph", "now", "state")

    def __init__(self, graph: Graph, state: State, now: int) -> None:
        self.graph = graph
        self.state = state
        self.now = now
        self.actions: list[Action] = []

    # Events.

    def execution_started(self, event: events_pb2.ExecutionStarted) -> None:
        state = self.state
        state.started = True
        state.started_at_us = self.now
        state.phase = executions_pb2.PHASE_RUNNING
        state.inputs = event.inputs
        state.max_parallelism = event.max_parallelism
        state.overwrite = frozenset(event.overwrite_cache)
        state.mark_execution()
        if not bindings.has_all(event.inputs, self.graph.input_names):
            given = ", ".join(each.name for each in event.inputs.values)
            message = (
                f"the execution was given ({given}) where ({', '.join(self.graph.input_names)}) is declared"
            )
            state.error = _error(errors_pb2.ERROR_KIND_USER, "InvalidInputs", message)
            self._wind_down()
            return
        for node, in_degree in enumerate(self.graph.in_degrees):
            if in_degree == 0 and state.stages[node] == stages.NEW:
                self._make_ready(node)

    def cache_checked(self, event: events_pb2.CacheChecked) -> None:
        state = self.state
        node = self.graph.index.get(event.node, -1)
        if node < 0 or state.stages[node] != stages.CHECKING:
            return
        if event.key:
            state.cache_keys[node] = event.key
        if event.status == catalog_pb2.CACHE_STATUS_HIT:
            if bindings.has_all(event.outputs, self.graph.output_names[node]):
                state.hits[node] = event
                state.cache[node] = catalog_pb2.CACHE_STATUS_HIT
                state.node_started_at[node] = self.now
                self._succeed(node, event.outputs)
                return
            state.cache[node] = catalog_pb2.CACHE_STATUS_MISS
            state.cache_reasons[node] = "stale"
        else:
            state.cache[node] = event.status or catalog_pb2.CACHE_STATUS_MISS
            if event.reason:
                state.cache_reasons[node] = event.reason
        self._queue(node)

    def attempt_started(self, event: events_pb2.AttemptStarted) -> None:
        state = self.state
        node = self._node_of(event.node, event.attempt)
        if node < 0 or state.stages[node] != stages.STARTING:
            return
        self._begin(node)
        if event.note:
            state.notes[node] = event.note
        state.stages[node] = stages.RUNNING
        state.mark(node)
        if self.graph.timed[node]:
            self._forget_attempt_timers(node)
            run_ms = self.graph.options[node].timeouts.run_ms
            if run_ms:
                self._set_timer(node, event.attempt, events_pb2.TIMER_RUN, self.now + run_ms * 1_000)

    def attempt_succeeded(self, event: events_pb2.AttemptSucceeded) -> None:
        state = self.state
        node = self._node_of(event.node, event.attempt)
        if node < 0:
            return
        names = self.graph.output_names[node]
        if not bindings.has_all(event.outputs, names):
            given = ", ".join(each.name for each in event.outputs.values)
            message = f"the attempt gave the outputs ({given}) where ({', '.join(names)}) are declared"
            self._attempt_ended(node, _error(errors_pb2.ERROR_KIND_SYSTEM, "InvalidOutputs", message))
            return
        if state.stages[node] == stages.STARTING:
            self._begin(node)
        state.in_flight -= 1
        state.stops.pop(node, None)
        if event.cache:
            state.cache[node] = event.cache
        if event.cache_reason:
            state.cache_reasons[node] = event.cache_reason
        self._succeed(node, event.outputs)

    def attempt_failed(self, event: events_pb2.AttemptFailed) -> None:
        node = self._node_of(event.node, event.attempt)
        if node >= 0:
            self._attempt_ended(node, event.error)

    def attempt_stopped(self, event: events_pb2.AttemptStopped) -> None:
        node = self._node_of(event.node, event.attempt)
        if node >= 0:
            # Of one that nobody told to stop this is a loss: nothing of it runs any more, and it has no outcome.
            message = "the attempt was stopped by something outside of typedflow"
            self._attempt_ended(node, _error(errors_pb2.ERROR_KIND_SYSTEM, "WorkerLost", message))

    def timer_fired(self, event: events_pb2.TimerFired) -> None:
        state = self.state
        node = self.graph.index.get(event.node, -1)
        timers = state.timers.get(node, ())
        fired = next((t for t in timers if t.timer == event.timer and t.attempt == event.attempt), None)
        if fired is None:
            return
        state.timers[node] = tuple(each for each in timers if each is not fired)
        stage = state.stages[node]
        match event.timer:
            case events_pb2.TIMER_BACKOFF:
                self._queue(node)
            case events_pb2.TIMER_RUN:
                self._stop(node, "run_timeout")
            case events_pb2.TIMER_QUEUED:
                self._stop(node, "queued_timeout")
            case events_pb2.TIMER_DEADLINE if stage in stages.IN_FLIGHT:
                self._stop(node, "deadline")
            case events_pb2.TIMER_DEADLINE:
                self._fail(node, stages.TIMED_OUT, self._timeout(node, "deadline"))
            case _:
                pass

    def abort_requested(self, event: events_pb2.AbortRequested) -> None:
        state = self.state
        if state.winding_down:
            return
        who = event.principal or "somebody"
        message = f"aborted by {who}: {event.reason}" if event.reason else f"aborted by {who}"
        state.aborted = True
        state.error = _error(errors_pb2.ERROR_KIND_USER, "Aborted", message)
        self._wind_down()

    # What they lead to.

    def start_ready(self) -> None:
        """Gives the places that are free to the nodes that have waited longest."""
        state = self.state
        limit = state.max_parallelism
        while state.ready and (limit == 0 or state.in_flight < limit):
            node = state.ready.popleft()
            if state.stages[node] != stages.READY:
                continue
            attempt = state.attempts[node] + 1
            state.attempts[node] = attempt
            state.stages[node] = stages.STARTING
            state.in_flight += 1
            state.mark(node)
            self.actions.append(actions.StartAttempt(node, attempt))
            if self.graph.timed[node]:
                queued_ms = self.graph.options[node].timeouts.queued_ms
                if queued_ms:
                    self._set_timer(node, attempt, events_pb2.TIMER_QUEUED, self.now + queued_ms * 1_000)

    def finish(self) -> None:
        """Every node has ended: so does the execution."""
        state = self.state
        state.done = True
        state.finished_at_us = self.now
        state.mark_execution()
        if state.aborted:
            state.phase = executions_pb2.PHASE_ABORTED
        elif state.error is not None:
            first = self.graph.index.get(state.error.node, -1)
            late = first >= 0 and state.stages[first] == stages.TIMED_OUT
            state.phase = executions_pb2.PHASE_TIMED_OUT if late else executions_pb2.PHASE_FAILED
        else:
            try:
                state.results = _resolve(state, self.graph.output_bindings)
                state.phase = executions_pb2.PHASE_SUCCEEDED
            except errors.ConversionError as error:
                state.error = _misfit("outputs", error)
                state.phase = executions_pb2.PHASE_FAILED
        self.actions.append(actions.FinishExecution())

    def _node_of(self, id_: str, attempt: int) -> int:
        """The node of whose attempt under way an event tells; -1: there is none such."""
        node = self.graph.index.get(id_, -1)
        if (
            node < 0
            or self.state.attempts[node] != attempt
            or self.state.stages[node] not in stages.IN_FLIGHT
        ):
            return -1
        return node

    def _make_ready(self, node: int) -> None:
        """Its upstreams have succeeded."""
        graph, state = self.graph, self.state
        if graph.fragile[node]:
            try:
                _resolve(state, graph.fragile[node])
            except bindings.StoredElsewhere:
                pass  # `inputs` will tell
            except errors.ConversionError as error:
                self._fail(node, stages.FAILED, _misfit("inputs", error))
                return
        if graph.timed[node]:
            deadline_ms = graph.options[node].timeouts.deadline_ms
            if deadline_ms:
                self._set_timer(node, 0, events_pb2.TIMER_DEADLINE, self.now + deadline_ms * 1_000)
        if not graph.cached[node]:
            state.cache[node] = catalog_pb2.CACHE_STATUS_DISABLED
            self._queue(node)
        elif state.overwrite and ("*" in state.overwrite or graph.ids[node] in state.overwrite):
            state.cache[node] = catalog_pb2.CACHE_STATUS_MISS
            state.cache_reasons[node] = "overwrite"
            self._queue(node)
        else:
            state.stages[node] = stages.CHECKING
            state.mark(node)
            self.actions.append(actions.CheckCache(node))

    def _begin(self, node: int) -> None:
        """An attempt runs: the node has started, and why it waited is of no interest any more."""
        if self.state.node_started_at[node] == 0:
            self.state.node_started_at[node] = self.now
        self.state.notes.pop(node, None)

    def _queue(self, node: int) -> None:
        self.state.stages[node] = stages.READY
        self.state.ready.append(node)
        self.state.mark(node)

    def _succeed(self, node: int, outputs: LiteralMap) -> None:
        state = self.state
        state.outputs[node] = outputs
        self._end(node, stages.SUCCEEDED)
        remaining = state.remaining
        for successor in self.graph.successors[node]:
            left = remaining[successor] - 1
            remaining[successor] = left
            if left == 0 and state.stages[successor] == stages.NEW:
                self._make_ready(successor)

    def _attempt_ended(self, node: int, error: ExecutionError) -> None:
        """Without outputs."""
        state = self.state
        if state.stages[node] == stages.STARTING:
            state.notes.pop(node, None)  # as in `_stop`
        state.in_flight -= 1
        self._forget_attempt_timers(node)
        stop = state.stops.pop(node, None)
        match stop:
            case None:
                self._retry_or_fail(node, error)
            case "aborted":
                self._end(node, stages.ABORTED, "aborted")
            case "deadline":
                self._fail(node, stages.TIMED_OUT, self._timeout(node, stop))
            case "run_timeout" | "queued_timeout":
                self._retry_or_fail(node, self._timeout(node, stop))

    def _retry_or_fail(self, node: int, error: ExecutionError) -> None:
        state, retry = self.state, self.graph.options[node].retry
        if error.kind == errors_pb2.ERROR_KIND_SYSTEM and error.code == task_options.SERVER_STOPPED:
            failures, budget, pause_ms = 0, 0, task_options.system_backoff_ms(1)
        elif error.kind == errors_pb2.ERROR_KIND_SYSTEM:
            failures = state.system_failures[node] = state.system_failures.get(node, 0) + 1
            budget, pause_ms = task_options.SYSTEM_RETRIES, task_options.system_backoff_ms(failures)
        else:
            failures = state.user_failures[node] = state.user_failures.get(node, 0) + 1
            budget, pause_ms = retry.retries, task_options.backoff_ms(retry, failures)
        if error.non_recoverable or failures > budget:
            self._fail(node, stages.FAILED, error)
            return
        state.notes[node] = f"retry after {error.code}"
        if pause_ms == 0:
            self._queue(node)
            return
        state.stages[node] = stages.BACKOFF
        state.mark(node)
        self._set_timer(node, state.attempts[node], events_pb2.TIMER_BACKOFF, self.now + pause_ms * 1_000)

    def _fail(self, node: int, stage: int, error: ExecutionError) -> None:
        state = self.state
        located = errors_pb2.ExecutionError()
        located.CopyFrom(error)
        located.node = self.graph.ids[node]
        state.errors[node] = located
        if state.error is None:
            state.error = located
        self._end(node, stage)
        self._skip_downstream(node)
        if self.graph.fail_fast:
            self._wind_down()

    def _skip_downstream(self, node: int) -> None:
        stack = [node]
        while stack:
            for successor in self.graph.successors[stack.pop()]:
                if self.state.stages[successor] == stages.NEW:
                    self._end(successor, stages.SKIPPED, "upstream_failed")
                    stack.append(successor)

    def _wind_down(self) -> None:
        """Nothing starts any more, and what runs is told to stop."""
        state = self.state
        state.winding_down = True
        state.ready.clear()
        state.timers.clear()
        for node, stage in enumerate(state.stages):
            if stage in stages.IN_FLIGHT:
                self._stop(node, "aborted")
            elif stage < stages.SUCCEEDED:
                begun = state.attempts[node] > 0
                self._end(node, stages.ABORTED if begun else stages.SKIPPED, "aborted")

    def _stop(self, node: int, reason: StopReason) -> None:
        """The latest reason is the one that counts; the attempt is told once."""
        state = self.state
        state.stops[node] = reason
        state.mark(node)
        if state.stages[node] == stages.STARTING:
            state.notes.pop(node, None)  # of the attempt before it
        if state.stages[node] != stages.STOPPING:
            state.stages[node] = stages.STOPPING
            self._forget_attempt_timers(node)
            self.actions.append(actions.StopAttempt(node, state.attempts[node], reason))

    def _end(self, node: int, stage: int, reason: str = "") -> None:
        state = self.state
        if state.stages[node] in (stages.READY, stages.BACKOFF):
            state.notes.pop(node, None)  # why it waited
        state.stages[node] = stage
        state.ended_at[node] = self.now
        state.open -= 1
        if reason:
            state.reasons[node] = reason
        state.timers.pop(node, None)
        state.mark(node)

    def _set_timer(self, node: int, attempt: int, timer: events_pb2.Timer.ValueType, at_us: int) -> None:
        action = actions.SetTimer(node, attempt, timer, at_us)
        self.state.timers[node] = (*self.state.timers.get(node, ()), action)
        self.actions.append(action)

    def _forget_attempt_timers(self, node: int) -> None:
        timers = self.state.timers.get(node)
        if timers:
            self.state.timers[node] = tuple(
                each for each in timers if each.timer == events_pb2.TIMER_DEADLINE
            )

    def _timeout(self, node: int, reason: StopReason) -> ExecutionError:
        timeouts = self.graph.options[node].timeouts
        match reason:
            case "run_timeout":
                what, limit, option = "the attempt ran longer than its limit of", timeouts.run_ms, "run"
            case "queued_timeout":
                what, limit, option = "the attempt did not start within", timeouts.queued_ms, "queued"
            case _:
                what, limit, option = (
                    "the node took longer than its deadline of",
                    timeouts.deadline_ms,
                    "deadline",
                )
        message = f"{what} {limit / 1_000:g} s; Timeout({option}=...) sets it"
        return _error(errors_pb2.ERROR_KIND_USER, "TimedOut", message)


def _error(kind: errors_pb2.ErrorKind.ValueType, code: str, message: str) -> ExecutionError:
    return errors_pb2.ExecutionError(kind=kind, code=code, message=message)


def _misfit(what: str, error: errors.ConversionError) -> ExecutionError:
    hint = f"; {error.hint}" if error.hint else ""
    return _error(errors_pb2.ERROR_KIND_USER, error.code, f"{what}.{error.where}: {error.message}{hint}")
