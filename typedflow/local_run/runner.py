"""Direct calls: what a task, a map, a launch plan or a workflow gives for Python values, in this process."""

from __future__ import annotations

import functools
import itertools
import math
import tempfile
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from typedflow import catalog, type_engine
from typedflow.authoring import context, dynamic, side_outputs, signature, slots
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.mapping import MapTask
from typedflow.authoring.task import Task
from typedflow.authoring.wiring import Wiring
from typedflow.dataplane import objects
from typedflow.local_run import arguments, told
from typedflow.local_run.execution import Execution
from typedflow.local_run.plans import Plan
from typedflow.pb import literals_pb2
from typedflow.type_engine import author_errors


class LocalRunner:
    """Runs what is called outside a trace."""

    def __init__(self) -> None:
        self._plans: weakref.WeakKeyDictionary[Wiring[..., Any], Plan] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self._place: tuple[objects.ObjectStore, Path] | None = None
        self._runs = itertools.count(1)

    def call_task(self, task: Task[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Checks the types, runs the body, and what it says is to be run, and checks its result.

        Raises:
            ConversionError: an argument or the result does not fit; names the path.
        """
        data = self.data()
        given = arguments.by_name(task.signature, args, kwargs, task.what)
        checked = arguments.checked(task.signature, given, data)
        mock = told.mocks().get(task.name)
        if mock is None and isinstance(task, dynamic.DynamicTask):
            return self._call_dynamic(task, checked, data)
        function = mock or task.function

        def run() -> Any:
            result = function(**checked)
            values = task.signature.values(result, task.short_name)
            outputs = zip(task.signature.outputs, values, strict=True)
            # Where the body runs: so does that of a generator that it gives.
            return task.signature.result(
                [arguments.value_of(output, value, output.name, data) for output, value in outputs]
            )

        if context.in_task():
            return author_errors.as_they_are(run)
        with context.entered(_running(task, data)):
            return author_errors.as_they_are(run)

    def _call_dynamic(
        self, task: dynamic.DynamicTask[..., Any], checked: Mapping[str, Any], data: type_engine.Data
    ) -> Any:
        running = context.current_context() if context.in_task() else _running(task, data)
        traced = task.trace(checked, running, data)
        outputs = dynamic.outputs(traced)
        if outputs is None:
            plan = Plan(dynamic.compiled_of(traced), traced, task.what)
            outputs = Execution(plan, data, self.plan).run(literals_pb2.LiteralMap())
        return _result(task.signature, outputs, data)

    def call_workflow(
        self, workflow: Wiring[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Runs the workflow here and gives its outputs as Python values.

        Raises:
            CompileError: its wiring is wrong.
            ConversionError: an argument does not fit; names the path.
            Unanswered: a gate that nothing was said to, or a signal for no gate.
            Exception: what the failed task raised, with the node in its notes.
        """
        plan = self.plan(workflow)
        data = self.data()
        given = arguments.by_name(workflow.signature, args, kwargs, workflow.what)
        inputs = literals_pb2.LiteralMap()
        for name, value in given.items():
            convert = workflow.signature.parameters[name].converter.to_literal
            literal = author_errors.as_they_are(functools.partial(convert, value, name, data))
            inputs.values.add(name=name, value=literal)
        outputs = Execution(plan, data, self.plan).run(inputs)
        return _result(workflow.signature, outputs, data)

    def call_launch_plan(
        self, plan: LaunchPlan[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """Runs the launch plan's workflow here with these inputs and its own."""
        given = arguments.by_name(plan.signature, args, kwargs, plan.what)
        mock = told.mocks().get(told.mock_name(plan))
        if mock is not None:
            data = self.data()
            arguments.checked(plan.signature, given, data)
            values = zip(plan.signature.outputs, plan.signature.values(mock(), plan.short_name), strict=True)
            return plan.signature.result(
                [arguments.value_of(output, value, output.name, data) for output, value in values]
            )
        return self.call_workflow(plan.workflow, (), {**given, **plan.fixed_inputs})

    def call_map(self, mapped: MapTask[Any], inputs: Mapping[str, Any]) -> Any:
        """Runs a mapped task for one slot after another, each with its types checked.

        Raises:
            ConversionError: no input is mapped, it is not clear which, or the lists are of several lengths.
            Exception: what a slot raised, when too few can succeed.
        """
        task = mapped.task
        given = arguments.by_name(task.signature, (), inputs, f"map of {task.what}")
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

    def plan(self, workflow: Wiring[..., Any]) -> Plan:
        """What all runs of the workflow share. Raises CompileError."""
        plan = self._plans.get(workflow)
        compiled = workflow.compiled
        if plan is None or plan.compiled is not compiled:  # a workflow may be built further after a call
            plan = self._plans[workflow] = Plan(compiled, workflow.traced, workflow.what)
        return plan

    def data(self) -> type_engine.Data:
        """A place for files and frames that lives as long as the process, or as the cache that is used."""
        with self._lock:
            if self._place is None:
                holder = tempfile.TemporaryDirectory(prefix="typedflow-", ignore_cleanup_errors=True)
                weakref.finalize(self, holder.cleanup)
                folder = Path(holder.name)
                self._place = objects.open_store(str(folder / "objects")), folder
            store, folder = self._place
            kept = told.current().cache
            if isinstance(kept, catalog.DiskCatalog):
                store = kept.store
            return type_engine.Data(store=store, folder=folder / str(next(self._runs)))


def _result(read: signature.Signature, outputs: literals_pb2.LiteralMap, data: type_engine.Data) -> Any:
    by_name = {each.name: each.value for each in outputs.values}
    return read.result(
        [
            each.converter.from_literal(by_name[each.name], f"outputs.{each.name}", data)
            for each in read.outputs
        ]
    )


def _running(task: Task[..., Any], data: type_engine.Data) -> context.TaskContext:
    folder = data.folder / "work"
    return context.TaskContext("local", task.short_name, 1, "", "", folder, side_outputs.SideOutputs(data))
