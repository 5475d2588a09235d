"""Workflows and tasks run in this process, on the engine that runs them everywhere.

For tests and notebooks: tasks run one after another, each with its own copy of every value; pauses are virtual, and
timeouts are judged when a task returns. Must never talk to a server.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import inspect
import itertools
import math
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typedflow import (
    catalog,
    engine,
    errors,
    fingerprint,
    hashing,
    identifiers,
    settings,
    spelling,
    type_engine,
)
from typedflow.authoring import (
    call,
    context,
    first_party,
    loading,
    serialize,
    side_outputs,
    signature,
    slots,
)
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.mapping import MapTask
from typedflow.authoring.task import FunctionTask, Task
from typedflow.authoring.wiring import Wiring
from typedflow.dataplane import objects
from typedflow.pb import (
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
    tasks_pb2,
    workflows_pb2,
)
from typedflow.type_engine import author_errors

_catalog: ContextVar[catalog.Catalog | None] = ContextVar("typedflow_local_catalog", default=None)
_mocks: ContextVar[Mapping[str, Callable[..., Any]]] = ContextVar("typedflow_local_mocks", default={})  # noqa: B039 - read only


@contextlib.contextmanager
def local(*, cache: catalog.Catalog | None = None) -> Iterator[None]:
    """While it is open, direct calls of workflows use this cache.

    Example:
        >>> from typedflow import catalog
        >>> with local(cache=catalog.MemoryCatalog()):
        ...     pass
    """
    token = _catalog.set(cache)
    try:
        yield
    finally:
        _catalog.reset(token)


@contextlib.contextmanager
def mocked(task: Task[..., Any], function: Callable[..., Any]) -> Iterator[None]:
    """While it is open, direct calls call this function in place of the task's. Raises UsageError for no task."""
    if not isinstance(task, Task):
        raise errors.UsageError(f"{task!r:.80} is mocked, which is not a task")
    token = _mocks.set({**_mocks.get(), task.name: function})
    try:
        yield
    finally:
        _mocks.reset(token)


class LocalRunner:
    """Runs what is called outside a trace."""

    def __init__(self) -> None:
        self._plans: weakref.WeakKeyDictionary[Wiring[..., Any], _Plan] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._place: tuple[objects.ObjectStore, Path] | None = None
        self._runs = itertools.count(1)

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Checks the types, runs the body, checks its result.

        Raises:
            ConversionError: an argument or the result does not fit; names the path.
        """
        data = self.data()
        given = arguments(task.signature, args, kwargs, f"task `{task.short_name}`")
        checked = author_errors.as_they_are(
            lambda: {
                name: _checked(task.signature.parameters[name], value, name, data)
                for name, value in given.items()
            }
        )
        function = _mocks.get().get(task.name) or task.function

        def run() -> Any:
            result = function(**checked)
            values = task.signature.values(result, task.short_name)
            outputs = zip(task.signature.outputs, values, strict=True)
            # Where the body runs: so does that of a generator that it gives.
            return task.signature.result(
                [_checked(output, value, output.name, data) for output, value in outputs]
            )

        if context.in_task():
            return author_errors.as_they_are(run)
        with context.entered(_running(task.short_name, 1, data.folder / "work", data)):
            return author_errors.as_they_are(run)

    def call_workflow(
        self, workflow: Wiring[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Runs the workflow here and gives its outputs as Python values.

        Raises:
            CompileError: its wiring is wrong.
            ConversionError: an argument does not fit; names the path.
            Exception: what the failed task raised, with the node in its notes.
        """
        plan = self._plans.get(workflow)
        compiled = workflow.compiled
        if plan is None or plan.compiled is not compiled:  # a workflow may be built further after a call
            plan = self._plans[workflow] = _Plan(compiled, workflow.tasks())
        data = self.data()
        given = arguments(workflow.signature, args, kwargs, f"workflow `{workflow.short_name}`")
        inputs = literals_pb2.LiteralMap()
        for name, value in given.items():
            convert = workflow.signature.parameters[name].converter.to_literal
            literal = author_errors.as_they_are(functools.partial(convert, value, name, data))
            inputs.values.add(name=name, value=literal)
        outputs = _Execution(plan, data, _catalog.get()).run(inputs)
        by_name = {each.name: each.value for each in outputs.values}
        return workflow.signature.result(
            [
                each.converter.from_literal(by_name[each.name], f"outputs.{each.name}", data)
                for each in workflow.signature.outputs
            ]
        )

    def call_launch_plan(
        self, plan: LaunchPlan[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Runs the launch plan's workflow here with these inputs and its own."""
        given = arguments(plan.signature, args, kwargs, plan.what)
        return self.call_workflow(plan.workflow, (), {**given, **plan.fixed_inputs})

    def call_map(self, mapped: MapTask[Any], inputs: Mapping[str, Any]) -> Any:
        """Runs a mapped task for one slot after another, each with its types checked.

        Raises:
            ConversionError: no input is mapped, it is not clear which, or the lists are of several lengths.
            Exception: what a slot raised, when too few can succeed.
        """
        task = mapped.task
        given = arguments(task.signature, (), inputs, f"map of {task.what}")
        over = slots.over(mapped, given, self.data())
        count = len(given[over[0]])
        needed = count if mapped.min_success_ratio is None else math.ceil(mapped.min_success_ratio * count)
        results: list[Any] = []
        failed = 0
        for slot in range(count):
            values = {name: value[slot] if name in over else value for name, value in given.items()}
            try:
                results.append(task.signature.values(self.call_task(task, (), values), task.short_name))
            except Exception as error:
                failed += 1
                if count - failed < needed:
                    error.add_note(f"in slot {slot} of map of {task.what}")
                    raise
                results.append((None,) * len(task.signature.outputs))
        columns = [[each[i] for each in results] for i in range(len(task.signature.outputs))]
        return task.signature.result(columns)

    def data(self) -> type_engine.Data:
        """A place for files and frames that lives as long as the process."""
        with self._lock:
            if self._place is None:
                holder = tempfile.TemporaryDirectory(prefix="typedflow-", ignore_cleanup_errors=True)
                weakref.finalize(self, holder.cleanup)
                folder = Path(holder.name)
                self._place = objects.open_store(str(folder / "objects")), folder
            store, folder = self._place
            return type_engine.Data(store=store, folder=folder / str(next(self._runs)))


class _Plan:
    """What every run of a workflow shares."""

    def __init__(
        self,
        compiled: workflows_pb2.CompiledWorkflow,
        tasks: Mapping[tuple[int, str, str, str, str], Task[..., Any]],
    ) -> None:
        self.compiled = compiled
        self.graph = graph = engine.Graph(compiled)
        self.tasks = [tasks[identifiers.key(template.id)] for template in graph.tasks]
        self._templates: dict[str, tasks_pb2.TaskTemplate] = {}
        self._resolvers: dict[tuple[Path, ...], fingerprint.Resolver] = {}

    def template(self, node: int) -> tasks_pb2.TaskTemplate:
        """Of the node's task, complete as a server has it, so that a key made here is a server's."""
        task = self.tasks[node]
        made = self._templates.get(task.name)
        if made is None:
            files = (
                [inspect.unwrap(task.function).__code__.co_filename] if isinstance(task, FunctionTask) else []
            )
            roots = first_party.all_roots([loading.root_of(Path(file)) for file in files])
            resolver = self._resolvers.get(roots)
            if resolver is None:
                resolver = self._resolvers[roots] = fingerprint.Resolver(roots)
            made = task.template(serialize.code_of(task, resolver))
            found = settings.load()
            made.id.project, made.id.domain = found.project, found.domain
            self._templates[task.name] = made
        return made


@dataclass(order=True, slots=True)
class _Alarm:
    at_us: int
    order: int
    event: events_pb2.Event


class _Execution:
    """One run: the engine's actions performed one after another."""

    def __init__(self, plan: _Plan, data: type_engine.Data, cache: catalog.Catalog | None) -> None:
        self.plan = plan
        self.graph = plan.graph
        self.state = engine.State(plan.graph)
        self.data = data
        self.cache = cache
        self.mocks = _mocks.get()
        self.alarms: list[_Alarm] = []
        self.order = itertools.count()
        self.ahead_us = 0  # how far virtual pauses put this run's clock before the real one
        self.raised: dict[str, BaseException] = {}
        self.checkpoints: dict[str, literals_pb2.Literal] = {}  # the latest of each node
        self.keys: dict[int, tuple[str, catalog_pb2.KeyManifest]] = {}

    def run(self, inputs: literals_pb2.LiteralMap) -> literals_pb2.LiteralMap:
        queue: deque[engine.Action] = deque()
        queue.extend(
            self.step(events_pb2.Event(execution_started=events_pb2.ExecutionStarted(inputs=inputs)))
        )
        while not self.state.done:
            if queue:
                queue.extend(self.perform(queue.popleft()))
            else:
                alarm = heapq.heappop(self.alarms)
                self.ahead_us += max(0, alarm.at_us - self.now_us())
                queue.extend(self.step(alarm.event))
        return self.outcome()

    def now_us(self) -> int:
        return time.time_ns() // 1000 + self.ahead_us

    def step(self, event: events_pb2.Event) -> list[engine.Action]:
        event.schema = 1
        event.time_us = self.now_us()
        return engine.step(self.graph, self.state, event)

    def perform(self, action: engine.Action) -> list[engine.Action]:
        match action:
            case engine.CheckCache():
                return self.step(events_pb2.Event(cache_checked=self.check_cache(action.node)))
            case engine.StartAttempt():
                return self.attempt(action)
            case engine.StopAttempt():
                stopped = events_pb2.AttemptStopped(node=self.graph.ids[action.node], attempt=action.attempt)
                return self.step(events_pb2.Event(attempt_stopped=stopped))
            case engine.SetTimer():
                fired = events_pb2.TimerFired(
                    node=self.graph.ids[action.node], attempt=action.attempt, timer=action.timer
                )
                heapq.heappush(
                    self.alarms, _Alarm(action.at_us, next(self.order), events_pb2.Event(timer_fired=fired))
                )
                return []
            case engine.FinishExecution():
                return []

    def check_cache(self, node: int) -> events_pb2.CacheChecked:
        checked = events_pb2.CacheChecked(node=self.graph.ids[node])
        if self.cache is None:
            checked.status = catalog_pb2.CACHE_STATUS_DISABLED
            return checked
        inputs = engine.inputs(self.graph, self.state, node)
        manifest = hashing.manifest(self.plan.template(node), self.graph.options[node], inputs)
        checked.key = key = hashing.key(manifest)
        self.keys[node] = key, manifest
        result = self.cache.lookup([key])[0]
        if not result.HasField("entry"):
            checked.status = catalog_pb2.CACHE_STATUS_MISS
            checked.reason = result.reason
            return checked
        checked.status = catalog_pb2.CACHE_STATUS_HIT
        checked.outputs.CopyFrom(result.entry.outputs)
        checked.saved.CopyFrom(result.entry.usage)
        checked.producer_execution_id = result.entry.execution_id
        checked.producer_node = result.entry.node
        checked.producer_attempt = result.entry.attempt
        return checked

    def attempt(self, action: engine.StartAttempt) -> list[engine.Action]:
        """Runs the attempt. Timers that ran out meanwhile come before its result: timeouts are judged on return."""
        node, id_ = action.node, self.graph.ids[action.node]
        actions: list[engine.Action] = []
        if self.graph.timed[node]:
            started = events_pb2.AttemptStarted(node=id_, attempt=action.attempt)
            for follows in self.step(events_pb2.Event(attempt_started=started)):
                actions.extend(self.perform(follows))
        task = self.plan.tasks[node]
        self.raised.pop(id_, None)  # the attempt before it is not why this one fails
        began = time.monotonic()
        try:
            inputs = engine.inputs(self.graph, self.state, node)
            folder = self.data.folder / f"work-{next(self.order)}"
            keep = functools.partial(self.checkpoints.__setitem__, id_)
            running = _running(id_, action.attempt, folder, self.data, self.checkpoints.get(id_), keep)
            function = self.mocks.get(task.name)
            outputs = call.run(task, inputs, running, self.data, function=function)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a task may raise anything; run() raises it again
            actions.extend(self.alarms_until(self.now_us()))
            if not _is_stopped(actions):  # else it took too long, and that is why it fails
                self.raised[id_] = error
            failed = events_pb2.AttemptFailed(node=id_, attempt=action.attempt, error=_failure(error, id_))
            return actions + self.step(events_pb2.Event(attempt_failed=failed))
        actions.extend(self.alarms_until(self.now_us()))
        if _is_stopped(actions):
            return actions  # it took too long: its result does not count
        succeeded = events_pb2.AttemptSucceeded(node=id_, attempt=action.attempt, outputs=outputs)
        if node in self.keys:
            succeeded.usage.wall_seconds = time.monotonic() - began
            succeeded.cache = self.publish(node, action.attempt, succeeded)
        return actions + self.step(events_pb2.Event(attempt_succeeded=succeeded))

    def publish(
        self, node: int, attempt: int, succeeded: events_pb2.AttemptSucceeded
    ) -> catalog_pb2.CacheStatus.ValueType:
        assert self.cache is not None
        key, manifest = self.keys[node]
        self.cache.publish(
            catalog_pb2.CatalogEntry(
                key=key,
                manifest=manifest,
                outputs=succeeded.outputs,
                execution_id="local",
                node=self.graph.ids[node],
                attempt=attempt,
                usage=succeeded.usage,
                created_at_us=self.now_us(),
            )
        )
        return catalog_pb2.CACHE_STATUS_POPULATED

    def alarms_until(self, now_us: int) -> list[engine.Action]:
        actions: list[engine.Action] = []
        while self.alarms and self.alarms[0].at_us <= now_us:
            actions.extend(self.step(heapq.heappop(self.alarms).event))
        return actions

    def outcome(self) -> literals_pb2.LiteralMap:
        status = engine.execution_status(self.graph, self.state)
        if status.phase == executions_pb2.PHASE_SUCCEEDED:
            return status.outputs
        raised = self.raised.get(status.error.node)
        name = self.graph.workflow.id.name
        if raised is None:
            node = status.error.node  # none where an output of the workflow could not be made
            where = f"node {node}" if node else f"workflow {name}"
            raise errors.ExecutionFailed(status.error.message, error=status.error, where=where)
        raised.add_note(f"in node `{status.error.node}` of workflow `{name}`")
        raise raised


def _is_stopped(actions: Sequence[engine.Action]) -> bool:
    return any(isinstance(each, engine.StopAttempt) for each in actions)


def arguments(
    read: signature.Signature, args: Sequence[Any], kwargs: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """A call's arguments by name, defaults filled in. Raises ConversionError that names everything wrong with them."""
    names = list(read.parameters)
    wrong = []
    if len(args) > len(names):
        wrong.append(f"it takes {len(names)} values, not {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in read.parameters:
            nearest = spelling.nearest(name, names)
            wrong.append(f"it has no input `{name}`" + (f", did you mean `{nearest}`?" if nearest else ""))
        elif name in given:
            wrong.append(f"input `{name}` is given twice")
        given[name] = value
    for name, parameter in read.parameters.items():
        if name not in given:
            if parameter.default is signature.NO_DEFAULT:
                wrong.append(f"input `{name}` is missing")
            given[name] = parameter.default
    if wrong:
        raise errors.ConversionError("; ".join(wrong), where=what)
    return {name: given[name] for name in names}


def _checked(
    variable: signature.Parameter | signature.Output, value: Any, path: str, data: type_engine.Data
) -> Any:
    """The value as a task would get it; what is dear to copy (files, folders, frames, arrays) as it is."""
    literal = variable.converter.to_literal(value, path, data)
    if literal.WhichOneof("value") in ("file", "directory", "frame", "array"):
        return value
    return variable.converter.from_literal(literal, path, data)


def _running(
    node: str,
    attempt: int,
    folder: Path,
    data: type_engine.Data,
    checkpoint: literals_pb2.Literal | None = None,
    keep: Callable[[literals_pb2.Literal], None] = lambda _: None,
) -> context.TaskContext:
    side = side_outputs.SideOutputs(data, checkpoint, keep)
    return context.TaskContext("local", node, attempt, "", "", folder, side)


def _failure(error: BaseException, node: str) -> errors_pb2.ExecutionError:
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
