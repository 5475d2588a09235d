"""What direct calls are told beside their arguments: which cache to use, what gates are given, which tasks are mocked.

Held in context variables, so that tests and threads do not meet.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from typedflow import catalog, errors
from typedflow.authoring.called import Called
from typedflow.authoring.launch_plan import LaunchPlan
from typedflow.authoring.reference import ReferenceLaunchPlan
from typedflow.authoring.task import Task


@dataclass(frozen=True, slots=True)
class Told:
    """What holds for a direct call.

    Attributes:
        cache: none: nothing is looked up or kept.
        signals: by the names of gates, what they are given.
    """

    cache: catalog.Catalog | None = None
    signals: Mapping[str, Any] = field(default_factory=dict)


_told: ContextVar[Told] = ContextVar("typedflow_local", default=Told())  # noqa: B039 - it is frozen
_mocks: ContextVar[Mapping[str, Callable[..., Any]]] = ContextVar("typedflow_local_mocks", default={})  # noqa: B039 - read only


def current() -> Told:
    """What holds here."""
    return _told.get()


def mocks() -> Mapping[str, Callable[..., Any]]:
    """By `mock_name`, what is called in the place of tasks' bodies and of what is launched."""
    return _mocks.get()


@contextlib.contextmanager
def local(
    *, signals: Mapping[str, Any] | None = None, cache: catalog.Catalog | str | os.PathLike[str] | None = None
) -> Iterator[None]:
    """While it is open, direct calls use this cache, and their gates are given these signals.

    Args:
        signals: by the names of gates: the value that `wait_for_input` waits for, True or False for `approve`. A gate
            of a dynamic task, or of a workflow that is launched, is named under its node: `tune.review`.
        cache: a catalog, or the folder of one that lasts; without one nothing is looked up or kept.

    Raises:
        UsageError: the signals are no mapping of names to values.

    Example:
        >>> from typedflow import catalog
        >>> with local(cache=catalog.MemoryCatalog()):
        ...     pass
    """
    given: object = {} if signals is None else signals
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise errors.UsageError(
            f"local(signals={given!r:.80}) is no mapping of gates' names to what they are given",
            hint='as in local(signals={"rate": 0.1, "review": True})',
        )
    token = _told.set(Told(catalog.at(cache), dict(given)))
    try:
        yield
    finally:
        _told.reset(token)


@contextlib.contextmanager
def mocked(called: Called[..., Any], function: Callable[..., Any]) -> Iterator[None]:
    """While it is open, direct calls call this function in place of the task's, or of what the launch plan launches.

    Raises UsageError for what is neither.
    """
    given: object = called
    if not isinstance(given, Task | LaunchPlan | ReferenceLaunchPlan):
        hint = "mock the tasks that it calls" if isinstance(given, Called) else ""
        raise errors.UsageError(
            f"{given!r:.80} is mocked, which is not a task, and no launch plan either", hint=hint
        )
    token = _mocks.set({**_mocks.get(), mock_name(given): function})
    try:
        yield
    finally:
        _mocks.reset(token)


def mock_name(called: Called[..., Any]) -> str:
    """A task's own; a launch plan's may be that of a task."""
    return called.name if isinstance(called, Task) else f"{called.kind} {called.name}"
