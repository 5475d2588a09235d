"""One run: the engine's actions performed one after another, in this process and without a server.

Time is virtual where nobody works: pauses, sleeps and timeouts of gates put the run's clock forward. Must never run two
things at once: authors' code is not asked to bear that in a test.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from typedflow import engine, errors, literals, type_engine
from typedflow.authoring import call, context, dynamic, side_outputs
from typedflow.authoring.called import Called
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.task import Task
from typedflow.authoring.wiring import Wiring
from typedflow.dataplane import offload
from typedflow.engine import stages
from typedflow.local_run import cache, signals, told
from typedflow.local_run.plans import Plan, Wired
from typedflow.pb import catalog_pb2, errors_pb2, events_pb2, executions_pb2, literals_pb2

DEEPEST: Final = 16
"""Executions within each other."""


@dataclass(order=True, slots=True)
class _Alarm:
    at_us: int
    order: int
    event: events_pb2.Event


class Execution:
    """One run of a plan.

    Args:
        plan: what is run.
        data: where the bytes of its values go to and come from.
        plan_of: the plan of a workflow that is launched.
        prefix: what comes before the names of its gates in signals: the path of the node that launched it.
        depth: how many executions it is within.
    """

    def __init__(
        self,
        plan: Plan,
        data: type_engine.Data,
        plan_of: Callable[[Wiring[..., Any]], Plan],
        prefix: str = "",
        depth: int = 0,
    ) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.state = engine.State(plan.graph)
        self.data = data
        self.plan_of = plan_of
        self.prefix = prefix
        self.depth = depth
        self.told = told.current()
        self.mocks = told.mocks()
        self.cache = cache.Cache(plan, self.told.cache, self.mocks) if self.told.cache is not None else None
        self.wired: dict[int, Wired] = {
            id(plan.graph): plan.wired
        }  # by the engine's graphs, which the state holds
        self.expansions: dict[int, Wired] = {}  # by the units of dynamic tasks
        self.gates: list[tuple[str, signals.Gates]] = []
        self.alarms: list[_Alarm] = []
        self.order = itertools.count()
        self.ahead_us = 0  # how far virtual pauses put this run's clock before the real one
        self.raised: dict[str, BaseException] = {}
        self.checkpoints: dict[str, literals_pb2.Literal] = {}  # the latest of each node
        self.load = functools.partial(offload.load, store=data.store)

    def run(self, inputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
        """Runs it to its end, and gives its outputs.

        Raises:
            Unanswered: a gate that nothing was said to, or a signal for no gate.
            Exception: what the failed task raised, with the node in its notes.
        """
        queue: deque[engine.Action] = deque()
        queue.extend(
            self.step(events_pb2.Event(execution_started=events_pb2.ExecutionStarted(inputs=inputs)))
        )
        queue.extend(self.tell_gates(self.plan.wired, ""))
        state = self.state
        while not state.done:
            if queue:
                queue.extend(self.perform(queue.popleft()))
            elif self.alarms:
                alarm = heapq.heappop(self.alarms)
                self.ahead_us += max(0, alarm.at_us - self.now_us())
                queue.extend(self.step(alarm.event))
            else:
                raise self.nobody_answers()
        return self.outcome()

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def step(self, event: events_pb2.Event) -> list[engine.Action]:
        event.schema = 1
        event.time_us = self.now_us()
        actions = engine.step(self.graph, self.state, event)
        if self.cache is not None and self.cache.unfinished:
            self.cache.publish_finished(self.state, event.time_us)
        return actions

    def perform(self, action: engine.Action) -> list[engine.Action]:
        match action:
            case engine.StartAttempt():
                return self.attempt(action.node, action.attempt)
            case engine.CheckCache():
                return self.step(events_pb2.Event(cache_checked=self.check_cache(action.node)))
            case engine.SetTimer():
                path = "" if action.node < 0 else self.state.path(action.node)
                fired = events_pb2.TimerFired(node=path, attempt=action.attempt, timer=action.timer)
                event = events_pb2.Event(timer_fired=fired)
                heapq.heappush(self.alarms, _Alarm(action.at_us, next(self.order), event))
                return []
            case engine.StopAttempt():
                stopped = events_pb2.AttemptStopped(node=self.state.path(action.node), attempt=action.attempt)
                return self.step(events_pb2.Event(attempt_stopped=stopped))
            case engine.Resolve():
                found = engine.resolve(self.graph, self.state, action.node, self.load)
                return self.step(events_pb2.Event(node_resolved=found))
            case engine.RequestPlace():  # nobody caps a run here
                granted = events_pb2.PlaceGranted(node=self.state.path(action.node), attempt=action.attempt)
                return self.step(events_pb2.Event(place_granted=granted))
            case engine.LaunchChild():
                return self.launch(action.node)
            case engine.StopChild():  # it was asked for, and never began
                return self.end_child(action.node, errors.StateConflict(f"it was stopped: {action.reason}"))
            case engine.FinishExecution():
                return []

    # Attempts.

    def check_cache(self, unit: int) -> events_pb2.CacheChecked:
        if self.cache is None:
            disabled = catalog_pb2.CACHE_STATUS_DISABLED
            return events_pb2.CacheChecked(node=self.state.path(unit), status=disabled)
        inputs = engine.inputs(self.graph, self.state, unit, self.load)
        options = engine.options(self.graph, self.state, unit)
        checked = self.cache.check(unit, self.task(unit), options, inputs, self.now_us())
        checked.node = self.state.path(unit)
        return checked

    def attempt(self, unit: int, attempt: int) -> list[engine.Action]:
        """Runs the attempt. Timers that ran out meanwhile come before its result: timeouts are judged on return."""
        state = self.state
        if state.stages[unit] != stages.STARTING:
            return []  # it was stopped before its turn came
        path = state.path(unit)
        actions: list[engine.Action] = []
        if engine.options(self.graph, state, unit).HasField("timeouts"):
            started = events_pb2.AttemptStarted(node=path, attempt=attempt)
            for follows in self.step(events_pb2.Event(attempt_started=started)):
                actions.extend(self.perform(follows))
        self.raised.pop(path, None)  # the attempt before it is not why this one fails
        began = time.monotonic()
        side = side_outputs.SideOutputs(
            self.data, self.checkpoints.get(path), functools.partial(self.checkpoints.__setitem__, path)
        )
        event = events_pb2.Event()
        try:
            made = self.body(unit, path, attempt, side)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task may raise anything; run() raises it again
            actions.extend(self.alarms_until(self.now_us()))
            if not _is_stopped(unit, actions):  # else it took too long, and that is why it fails
                self.raised[path] = error
            event.attempt_failed.node, event.attempt_failed.attempt = path, attempt
            event.attempt_failed.error.CopyFrom(failure_of(error, path))
            return actions + self.step(event)
        actions.extend(self.alarms_until(self.now_us()))
        if _is_stopped(unit, actions):
            return actions  # it took too long: its result does not count
        maker = self.maker(unit, path, attempt, side)
        if maker is not None:
            maker.usage.wall_seconds = time.monotonic() - began
        if isinstance(made, Wired):
            return actions + self.expanded(unit, path, attempt, made, maker)
        succeeded = event.attempt_succeeded
        succeeded.node, succeeded.attempt = path, attempt
        succeeded.outputs.CopyFrom(made)
        if maker is not None and self.cache is not None:
            succeeded.usage.CopyFrom(maker.usage)
            succeeded.cache, succeeded.cache_reason = self.cache.publish(maker, made, self.now_us())
        return actions + self.step(event)

    def maker(self, unit: int, path: str, attempt: int, side: side_outputs.SideOutputs) -> cache.Maker | None:
        """The attempt as its outputs' entry tells of it; None where there will be none."""
        if self.cache is None or unit not in self.cache.asked:
            return None
        deck = literals_pb2.Blob()
        if side.sections:
            deck = self.data.put_bytes(side.page(f"{path}, attempt {attempt}"))
        return cache.Maker(unit, path, attempt, catalog_pb2.Usage(), deck)

    def body(
        self, unit: int, path: str, attempt: int, side: side_outputs.SideOutputs
    ) -> literals_pb2.LiteralMap | Wired:
        """Runs the task's body; what it gives, or what it says is to be run."""
        task = self.task(unit)
        inputs = engine.inputs(self.graph, self.state, unit, self.load)
        folder = self.data.folder / f"work-{next(self.order)}"
        running = context.TaskContext("local", path, attempt, "", "", folder, side)
        function = self.mocks.get(task.name)
        if function is None and isinstance(task, dynamic.DynamicTask):
            return wired_by(task, call.arguments(task, inputs, self.data), running, self.data)
        return call.run(task, inputs, running, self.data, function=function)

    def expanded(
        self, unit: int, path: str, attempt: int, made: Wired, maker: cache.Maker | None
    ) -> list[engine.Action]:
        """A dynamic task has said what is to be run."""
        self.expansions[unit] = made
        event = events_pb2.Event()
        event.attempt_expanded.node, event.attempt_expanded.attempt = path, attempt
        event.attempt_expanded.graph.CopyFrom(made.compiled)
        if maker is not None and self.cache is not None:
            self.cache.unfinished[unit] = maker
        return self.step(event) + self.tell_gates(made, f"{path}.")

    def alarms_until(self, now_us: int) -> list[engine.Action]:
        actions: list[engine.Action] = []
        while self.alarms and self.alarms[0].at_us <= now_us:
            actions.extend(self.step(heapq.heappop(self.alarms).event))
        return actions

    # Children.

    def launch(self, unit: int) -> list[engine.Action]:
        """Runs what the node launches, to its end."""
        if self.state.stages[unit] != stages.LAUNCHING:
            return []
        path = self.state.path(unit)
        graph, node = self.state.place(unit)
        plan = self.wired_of(unit, graph).launch_plans[node]
        launched = events_pb2.ChildLaunched(node=path, execution_id=f"local/{self.prefix}{path}")
        actions = self.step(events_pb2.Event(child_launched=launched))
        try:
            inputs = engine.inputs(self.graph, self.state, unit, self.load)
            outputs = self.run_child(plan, inputs, path)
        except signals.Unanswered:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - of a task of the child's
            self.raised[path] = error
            return actions + self.end_child(unit, error)
        ended = events_pb2.ChildEnded(node=path, execution_id=launched.execution_id, outputs=outputs)
        return actions + self.step(events_pb2.Event(child_ended=ended))

    def run_child(
        self, plan: Called[..., Any], inputs: literals_pb2.LiteralMap, path: str
    ) -> literals_pb2.LiteralMap:
        mock = self.mocks.get(told.mock_name(plan))
        if mock is not None:
            return _given_by(plan, mock, self.data)
        if not isinstance(plan, LaunchPlan):
            raise errors.UsageError(
                f"{plan.what} is registered elsewhere, so it can't run here",
                code="NotHere",
                hint="mock it: `with typedflow.testing.mock_task(LAUNCH_PLAN, returns=...):`",
            )
        if self.depth + 1 >= DEEPEST:
            raise errors.UsageError(
                f"{plan.what} is launched by {DEEPEST} executions within each other",
                code="NestingTooDeep",
                hint="let a workflow that launches itself come to an end",
            )
        given = {each.name: each.value for each in inputs.values}
        given.update((each.name, each.value) for each in plan.template().fixed_inputs.values)
        names = plan.workflow.signature.parameters
        child = Execution(
            self.plan_of(plan.workflow), self.data, self.plan_of, f"{self.prefix}{path}.", self.depth + 1
        )
        return child.run(literals.as_map({name: given[name] for name in names}))

    def end_child(self, unit: int, error: BaseException) -> list[engine.Action]:
        path = self.state.path(unit)
        ended = events_pb2.ChildEnded(node=path, error=failure_of(error, path))
        return self.step(events_pb2.Event(child_ended=ended))

    # What nodes call, and what gates are told.

    def task(self, unit: int) -> Task[..., Any]:
        graph, node = self.state.place(unit)
        found = self.wired_of(unit, graph).tasks[node]
        assert found is not None
        return found

    def wired_of(self, unit: int, graph: engine.Graph) -> Wired:
        """Of the graph that the unit's node is in: the workflow's, or that of the dynamic task around it."""
        found = self.wired.get(id(graph))
        if found is None:
            around = self.state.parent(unit)
            while self.state.place(around)[0] is graph:
                around = self.state.parent(around)
            found = self.wired[id(graph)] = self.expansions[around]
        return found

    def tell_gates(self, wired: Wired, before: str) -> list[engine.Action]:
        """Says to a graph's gates what was given for them. Raises Unanswered for what does not fit them."""
        what = self.plan.what if not before else f"node `{before[:-1]}` of {self.plan.what}"
        gates = wired.gates(what, self.prefix + before)
        gates.check(self.told.signals)
        self.gates.append((before, gates))
        return [
            action
            for each in gates.events(self.told.signals, before, self.data)
            for action in self.step(events_pb2.Event(signal_received=each))
        ]

    def nobody_answers(self) -> signals.Unanswered:
        waiting = [
            (self.prefix + before + name, gate)
            for before, gates in self.gates
            for name, gate in gates.nodes.items()
            if self.state.stages[self.state.unit(before + name)] == stages.WAITING
        ]
        return signals.missing(waiting, self.plan.what)

    # The end.

    def outcome(self) -> literals_pb2.LiteralMap:
        status = engine.execution_status(self.graph, self.state)
        if status.phase == executions_pb2.PHASE_SUCCEEDED:
            return status.outputs
        name = self.plan.compiled.workflow.id.name
        node = status.error.node  # none where an output of the workflow could not be made
        raised = self.raised.get(node)
        if raised is None:
            where = f"node {node}" if node else f"workflow {name}"
            raised = errors.ExecutionFailed(status.error.message, error=status.error, where=where)
        else:
            raised.add_note(f"in node `{node}` of workflow `{name}`")
        for path, error in self.handler_failures(node):
            raised.add_note(
                f"and then its `on_failure` failed, in node `{path}`: {type(error).__name__}: {error}"
            )
        raise raised

    def handler_failures(self, first: str) -> list[tuple[str, BaseException]]:
        """What nodes that run on failure have raised."""
        handlers = {
            node.id
            for node in self.plan.compiled.workflow.nodes
            if node.section.WhichOneof("section") == "failure"
        }
        if not handlers:
            return []
        return [
            (path, error)
            for path, error in self.raised.items()
            if path != first and _is_within(path, handlers)
        ]


def wired_by(
    task: dynamic.DynamicTask[..., Any], arguments: Any, running: context.TaskContext, data: type_engine.Data
) -> literals_pb2.LiteralMap | Wired:
    """What a dynamic task's body gives at once, or says is to be run. Raises Miswired."""
    traced = task.trace(arguments, running, data)
    found = dynamic.outputs(traced)
    return Wired(dynamic.compiled_of(traced), traced) if found is None else found


def _given_by(
    plan: Called[..., Any], mock: Callable[..., Any], data: type_engine.Data
) -> literals_pb2.LiteralMap:
    """What a mock gives in the place of an execution. Raises ConversionError for what does not fit."""
    values = plan.signature.values(mock(), plan.short_name)
    pairs = zip(plan.signature.outputs, values, strict=True)
    return literals.as_map(
        {each.name: each.converter.to_literal(value, f"outputs.{each.name}", data) for each, value in pairs}
    )


def failure_of(error: BaseException, node: str) -> errors_pb2.ExecutionError:
    """An exception as the engine has it."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - the exception is the author's class
        message = type(error).__name__
    return errors_pb2.ExecutionError(
        kind=errors_pb2.ERROR_KIND_USER,
        code=error.code if isinstance(error, errors.TypedflowError) else type(error).__name__,
        message=message.encode(
            "utf-8", "backslashreplace"
        ).decode(),  # lone surrogates are no text to protobuf
        node=node,
        non_recoverable=isinstance(error, errors.NonRecoverable),
    )


def _is_within(path: str, nodes: set[str]) -> bool:
    """Whether a path is that of one of these nodes, or of what is inside of one."""
    return path in nodes or any(path.startswith((f"{each}.", f"{each}[")) for each in nodes)


def _is_stopped(unit: int, actions: Sequence[engine.Action]) -> bool:
    return any(isinstance(each, engine.StopAttempt) and each.node == unit for each in actions)
