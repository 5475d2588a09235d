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
    from typedflow.authoring.context import TaskContext, current_context
    from typedflow.authoring.launch_plan import LaunchPlan
    from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
    from typedflow.authoring.runner import Runner
    from typedflow.authoring.task import Task, task
    from typedflow.authoring.workflow import Workflow, workflow
    from typedflow.client import Client
    from typedflow.errors import NonRecoverable, TypedflowError
    from typedflow.type_engine.files import File, Format

__version__ = "0.1.0"

__all__ = [
    "Cache",
    "Client",
    "File",
    "Format",
    "LaunchPlan",
    "NonRecoverable",
    "Resources",
    "Retry",
    "Secret",
    "Task",
    "TaskContext",
    "Timeout",
    "TypedflowError",
    "Workflow",
    "current_context",
    "task",
    "workflow",
]

_PLACES = {
    "Cache": "authoring.options",
    "Client": "client",
    "File": "type_engine.files",
    "Format": "type_engine.files",
    "LaunchPlan": "authoring.launch_plan",
    "NonRecoverable": "errors",
    "Resources": "authoring.options",
    "Retry": "authoring.options",
    "Secret": "authoring.options",
    "Task": "authoring.task",
    "TaskContext": "authoring.context",
    "Timeout": "authoring.options",
    "TypedflowError": "errors",
    "Workflow": "authoring.workflow",
    "current_context": "authoring.context",
    "task": "authoring.task",
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
