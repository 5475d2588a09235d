"""Checks templates before anything runs: a template in, a compiled entity or everything that is wrong with it out.

One compiler for everybody: at definition, in tests, at registration, for raw gRPC clients. It must stay pure (no I/O,
no clock, the same bytes for the same template) and never raises for what is in a template.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from typedflow.compiler.diagnostics import unique
from typedflow.task_options import merge as options

if TYPE_CHECKING:
    from typedflow.compiler.calls import Resolver
    from typedflow.compiler.compile import compile_workflow
    from typedflow.compiler.edges import begins, ends
    from typedflow.compiler.launch_plan import compile_launch_plan
    from typedflow.compiler.result import Result
    from typedflow.compiler.task import compile_task

__all__ = [
    "Resolver",
    "Result",
    "begins",
    "compile_launch_plan",
    "compile_task",
    "compile_workflow",
    "ends",
    "options",
    "unique",
]

_PLACES = {
    "Resolver": "calls",
    "Result": "result",
    "begins": "edges",
    "compile_launch_plan": "launch_plan",
    "compile_task": "task",
    "compile_workflow": "compile",
    "ends": "edges",
}


def __getattr__(name: str) -> object:
    """Loads the compiler when something is compiled: a definition needs no more of it than the codes of mistakes."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"{__name__}.{place}"), name)
    globals()[name] = value
    return value
