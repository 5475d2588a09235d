"""Strongly typed workflows with cached, versioned tasks.

    from typedflow import task, workflow

    @task(cache=True)
    def double(n: int) -> int:
        return 2 * n

    @workflow
    def quadruple(n: int) -> int:
        return double(n=double(n=n))

    quadruple(n=10)  # runs here: 40

A name is loaded when it is first used, and none of them loads anything heavy: no gRPC before a `Client`, no data frames
before a task that takes one, never a database.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typedflow.authoring.branch import conditional
    from typedflow.authoring.builder import Workflow
    from typedflow.authoring.checkpoint import Checkpoint
    from typedflow.authoring.container import ContainerTask
    from typedflow.authoring.context import Deck, TaskContext, current_context
    from typedflow.authoring.dynamic import DynamicTask, dynamic
    from typedflow.authoring.failure import ExecutionError
    from typedflow.authoring.gate import approve, sleep, wait_for_input
    from typedflow.authoring.launch_plan import LaunchPlan
    from typedflow.authoring.mapping import MapTask, map_task
    from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
    from typedflow.authoring.reference import reference_launch_plan, reference_task, reference_workflow
    from typedflow.authoring.runner import Runner
    from typedflow.authoring.schedule import Cron, FixedRate
    from typedflow.authoring.task import Task, task
    from typedflow.authoring.workflow import WorkflowFunction, workflow
    from typedflow.client import Client
    from typedflow.errors import NonRecoverable, TypedflowError
    from typedflow.type_engine.columns import Columns
    from typedflow.type_engine.directories import Directory
    from typedflow.type_engine.files import File, Format
    from typedflow.type_engine.marks import HashMethod
    from typedflow.type_engine.pickles import Pickle
    from typedflow.type_engine.sensitive import Sensitive
    from typedflow.type_engine.shared import register_transformer
    from typedflow.type_engine.transformers import Transformer

__version__ = "0.1.0"

__all__ = [
    "Cache",
    "Checkpoint",
    "Client",
    "Columns",
    "ContainerTask",
    "Cron",
    "Deck",
    "Directory",
    "DynamicTask",
    "ExecutionError",
    "File",
    "FixedRate",
    "Format",
    "HashMethod",
    "LaunchPlan",
    "MapTask",
    "NonRecoverable",
    "Pickle",
    "Resources",
    "Retry",
    "Secret",
    "Sensitive",
    "Task",
    "TaskContext",
    "Timeout",
    "Transformer",
    "TypedflowError",
    "Workflow",
    "WorkflowFunction",
    "approve",
    "conditional",
    "current_context",
    "dynamic",
    "map_task",
    "reference_launch_plan",
    "reference_task",
    "reference_workflow",
    "register_transformer",
    "sleep",
    "task",
    "wait_for_input",
    "workflow",
]

_PLACES = {
    "Cache": "authoring.options",
    "Checkpoint": "authoring.checkpoint",
    "Client": "client",
    "Columns": "type_engine.columns",
    "ContainerTask": "authoring.container",
    "Cron": "authoring.schedule",
    "Deck": "authoring.context",
    "Directory": "type_engine.directories",
    "DynamicTask": "authoring.dynamic",
    "ExecutionError": "authoring.failure",
    "File": "type_engine.files",
    "FixedRate": "authoring.schedule",
    "Format": "type_engine.files",
    "HashMethod": "type_engine.marks",
    "LaunchPlan": "authoring.launch_plan",
    "MapTask": "authoring.mapping",
    "NonRecoverable": "errors",
    "Pickle": "type_engine.pickles",
    "Resources": "authoring.options",
    "Retry": "authoring.options",
    "Secret": "authoring.options",
    "Sensitive": "type_engine.sensitive",
    "Task": "authoring.task",
    "TaskContext": "authoring.context",
    "Timeout": "authoring.options",
    "Transformer": "type_engine.transformers",
    "TypedflowError": "errors",
    "Workflow": "authoring.builder",
    "WorkflowFunction": "authoring.workflow",
    "approve": "authoring.gate",
    "conditional": "authoring.branch",
    "current_context": "authoring.context",
    "dynamic": "authoring.dynamic",
    "map_task": "authoring.mapping",
    "reference_launch_plan": "authoring.reference",
    "reference_task": "authoring.reference",
    "reference_workflow": "authoring.reference",
    "register_transformer": "type_engine.shared",
    "sleep": "authoring.gate",
    "task": "authoring.task",
    "wait_for_input": "authoring.gate",
    "workflow": "authoring.workflow",
}


def __getattr__(name: str) -> Any:
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'typedflow' has no attribute {name!r}")
    if place.startswith("authoring"):
        importlib.import_module("typedflow.authoring.runner").install(_make_runner)
    value = getattr(importlib.import_module(f"typedflow.{place}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals() | _PLACES)


def _make_runner() -> Runner:
    runner: Runner = importlib.import_module(
        "typedflow.local_run"
    ).LocalRunner()  # the first call loads the engine
    return runner
