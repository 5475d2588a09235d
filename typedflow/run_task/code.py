"""The author's code in this process: where a bundle's modules are imported from, and the task in one of them.

Must never import from anywhere before the bundle: an attempt runs the bundle's code, not the checkout's.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.authoring import task

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from typedflow.pb import tasks_pb2


def enter(roots: Sequence[Path]) -> None:
    """Puts the bundle's import roots at the front of `sys.path`; does nothing when they are there."""
    wanted = [str(root) for root in roots]
    if sys.path[: len(wanted)] != wanted:
        sys.path[:] = wanted + [entry for entry in sys.path if entry not in wanted]
        importlib.invalidate_caches()


def find_task(target: tasks_pb2.PythonTarget) -> task.Task[..., object]:  # type: ignore[explicit-any]  # of any arguments
    """Imports the task's module. Lets pass whatever the import raises.

    Raises:
        LoadError: the module has no such task.
    """
    found: object = importlib.import_module(target.module)
    for name in target.qualname.split("."):
        found = getattr(found, name, None)
    if not isinstance(found, task.Task):
        raise errors.LoadError(
            f"module `{target.module}` has no task `{target.qualname}`",
            code="TaskNotFound",
            hint="a task must be found under its name at the top level of its module; register the code again",
        )
    return found
