"""Checks templates before anything runs: a template in, a compiled entity or everything that is wrong with it out.

One compiler for everybody: at definition, in tests, at registration, for raw gRPC clients. It must stay pure (no I/O,
no clock, the same bytes for the same template) and never raises for what is in a template.
"""

from typedflow.compiler.calls import Resolver
from typedflow.compiler.compile import compile_workflow
from typedflow.compiler.diagnostics import unique
from typedflow.compiler.launch_plan import compile_launch_plan
from typedflow.compiler.result import Result
from typedflow.compiler.task import compile_task
from typedflow.task_options import merge as options

__all__ = [
    "Resolver",
    "Result",
    "compile_launch_plan",
    "compile_task",
    "compile_workflow",
    "options",
    "unique",
]
