"""Who runs what is called outside a trace: filled by `typedflow/__init__`, so that authoring knows no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class Runner(Protocol):
    """Runs tasks and workflows in this process."""

    def call_task(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the task's body gives for these arguments, all of it checked against its types."""

    def call_workflow(self, workflow: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the workflow gives for these arguments."""

    def call_map(self, mapped: Any, inputs: Mapping[str, Any]) -> Any:
        """What a mapped task gives for these inputs."""

    def call_launch_plan(self, plan: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the launch plan's workflow gives for these arguments and the launch plan's own."""


class _Slot:
    def __init__(self) -> None:
        self.make: Callable[[], Runner] | None = None
        self.made: Runner | None = None


_slot = _Slot()


def install(make: Callable[[], Runner]) -> None:
    """Says who makes the runner when the first call needs one."""
    if _slot.make is not make:
        _slot.make, _slot.made = make, None


def current() -> Runner:
    """The runner of this process."""
    if _slot.made is None:
        assert _slot.make is not None, "typedflow/__init__ installs the runner"
        _slot.made = _slot.make()
    return _slot.made
