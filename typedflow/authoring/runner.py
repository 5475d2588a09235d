"""Who runs what is called outside a trace: filled by `typedflow/__init__`, so that authoring knows no engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol


class Runner(Protocol):
    def call_task(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any: ...

    def call_workflow(self, workflow: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any: ...


_make: Callable[[], Runner] | None = None
_made: Runner | None = None


def install(make: Callable[[], Runner]) -> None:
    """Says who makes the runner when the first call needs one."""
    global _make, _made
    _make, _made = make, None


def current() -> Runner:
    """The runner of this process."""
    global _made
    if _made is None:
        assert _make is not None, "typedflow/__init__ installs the runner"
        _made = _make()
    return _made
