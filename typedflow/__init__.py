"""Strongly typed workflows with cached, versioned tasks.

    from typedflow import task, workflow

    @task(cache=True)
    def double(n: int) -> int:
        return 2 * n

    @workflow
    def quadruple(n: int) -> int:
        return double(n=double(n=n))

    quadruple(n=10)  # runs here: 40

Importing this module loads what authors write with and nothing heavy: no gRPC, no data frames, no database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from typedflow.authoring import runner as _runner
from typedflow.authoring.context import TaskContext, current_context
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
from typedflow.authoring.task import Task, task
from typedflow.authoring.workflow import Workflow, workflow
from typedflow.errors import NonRecoverable, TypedflowError
from typedflow.type_engine import File, Format

if TYPE_CHECKING:
    from typedflow.client import Client

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


def _make_runner() -> _runner.Runner:
    from typedflow import local_run  # the engine is loaded by the first call

    return local_run.LocalRunner()


_runner.install(_make_runner)


def __getattr__(name: str) -> Any:
    if name == "Client":
        from typedflow.client import Client  # gRPC is loaded by who talks to a server

        return Client
    raise AttributeError(f"module 'typedflow' has no attribute {name!r}")
