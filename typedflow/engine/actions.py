"""What the engine asks of whoever drives it.

Each action is idempotent and safe to perform again: after a crash, `pending` gives them anew. Nodes are integers of the
graph; attempts count from 1. Nothing here may do anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from typedflow.pb.events_pb2 import Timer

StopReason: TypeAlias = Literal["aborted", "run_timeout", "queued_timeout", "deadline"]


@dataclass(frozen=True, slots=True)
class CheckCache:
    """Look the node up in the catalog, and answer with `CacheChecked`. Reads only."""

    node: int


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """See that the attempt is under way; its `AttemptStarted` and its outcome come as events."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """See that no process of the attempt is left, and answer with `AttemptStopped`, also when there never was one."""

    node: int
    attempt: int
    reason: StopReason


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Answer with `TimerFired` at that time (microseconds since 1970), or soon after when it has passed.

    There is no action to cancel a timer: one that fires too late changes nothing. `attempt` is 0 for a node's deadline.
    """

    node: int
    attempt: int
    timer: Timer.ValueType
    at_us: int


@dataclass(frozen=True, slots=True)
class FinishExecution:
    """The execution has ended and nothing of it runs any more: let go of it."""


Action: TypeAlias = CheckCache | StartAttempt | StopAttempt | SetTimer | FinishExecution
