"""What a call of a task or a workflow means where it stands: the one ContextVar of typedflow.

While a workflow is traced, a call makes a node. In a task's body, a call is a plain call. Elsewhere it runs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typedflow import errors

if TYPE_CHECKING:
    from typedflow.authoring.trace import Trace


@dataclass(frozen=True, slots=True)
class TaskContext:
    """What a running task may ask about itself; `current_context()` gives it.

    Attributes:
        execution_id: of the execution; `local` when the workflow was called directly.
        node: the node's path, as in `prep.train`.
        attempt: from 1.
        project: the execution's project.
        domain: the execution's domain.
        working_folder: a folder of this attempt alone; it is there.
    """

    execution_id: str
    node: str
    attempt: int
    project: str
    domain: str
    working_folder: Path


_current: ContextVar[Trace | TaskContext | None] = ContextVar("typedflow_context", default=None)


def tracing() -> Trace | None:
    """The trace under way, if there is one."""
    current = _current.get()
    return None if current is None or isinstance(current, TaskContext) else current


def in_task() -> bool:
    """Whether this is a task's body."""
    return isinstance(_current.get(), TaskContext)


def current_context() -> TaskContext:
    """What the running task may know of itself.

    Raises:
        StateConflict: this is no task's body.

    Example:
        >>> from typedflow import File, task
        >>> @task
        ... def note(text: str) -> File:
        ...     target = current_context().working_folder / "note.txt"
        ...     target.write_text(text)
        ...     return File(target)
        >>> note(text="hello").name
        'note.txt'
    """
    current = _current.get()
    if not isinstance(current, TaskContext):
        raise errors.StateConflict("current_context() works in the body of a running task only")
    current.working_folder.mkdir(parents=True, exist_ok=True)  # not before: most tasks never ask
    return current


@contextmanager
def entered(current: Trace | TaskContext) -> Iterator[None]:
    """While it is open, calls mean what they mean there."""
    token = _current.set(current)
    try:
        yield
    finally:
        _current.reset(token)
