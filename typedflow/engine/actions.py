"""What the engine asks of whoever drives it.

Each action is idempotent and safe to perform again: after a crash, `pending` gives them anew. Units are integers of the
state; attempts count from 1. Nothing here may do anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from typedflow.pb.events_pb2 import Timer

StopReason: TypeAlias = Literal["aborted", "run_timeout", "queued_timeout", "deadline"]

OUTPUTS: Final = -1
"""Stands for the execution itself where a unit is expected."""


@dataclass(frozen=True, slots=True)
class CheckCache:
    """Look the unit up in the catalog, and answer with `CacheChecked`. Reads only, but for a reservation."""

    node: int


@dataclass(frozen=True, slots=True)
class RequestPlace:
    """Ask for a place under the caps that are wider than the execution, and answer with `PlaceGranted`."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """See that the attempt is under way; its `AttemptStarted` and its outcome come as events."""

    node: int
    attempt: int


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """See that no process of the attempt is left, and answer with `AttemptStopped`, also when there never was one.

    A place that was asked for it, or granted to it, is given back.
    """

    node: int
    attempt: int
    reason: StopReason


@dataclass(frozen=True, slots=True)
class Resolve:
    """Answer with the `NodeResolved` that `engine.resolve` makes. `node` is OUTPUTS for the execution itself."""

    node: int


@dataclass(frozen=True, slots=True)
class LaunchChild:
    """See that the unit's execution is launched; answer with `ChildLaunched`, and with `ChildEnded` when it has ended.

    When it can't be launched, `ChildEnded` with an error is the only answer.
    """

    node: int


@dataclass(frozen=True, slots=True)
class StopChild:
    """Abort the unit's execution; `ChildEnded` is the answer, also when there never was one."""

    node: int
    reason: StopReason


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Answer with `TimerFired` at that time (microseconds since 1970), or soon after when it has passed.

    There is no action to cancel a timer: one that fires too late changes nothing. `attempt` is 0 for a node's deadline
    and for a sleep.
    """

    node: int
    attempt: int
    timer: Timer.ValueType
    at_us: int


@dataclass(frozen=True, slots=True)
class FinishExecution:
    """The execution has ended and nothing of it runs any more: let go of it."""


Action: TypeAlias = (
    CheckCache
    | RequestPlace
    | StartAttempt
    | StopAttempt
    | Resolve
    | LaunchChild
    | StopChild
    | SetTimer
    | FinishExecution
)
