"""The errors that the engine itself makes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.pb import errors_pb2

if TYPE_CHECKING:
    from typedflow import errors
    from typedflow.engine.actions import StopReason
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.tasks_pb2 import Timeouts


def user(code: str, message: str) -> ExecutionError:
    return errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, code=code, message=message)


def system(code: str, message: str) -> ExecutionError:
    return errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_SYSTEM, code=code, message=message)


def misfit(what: str, error: errors.ConversionError) -> ExecutionError:
    """A value that can't be had: `what` is where it was wanted."""
    hint = f"; {error.hint}" if error.hint else ""
    where = f"{what}.{error.where}" if error.where else what
    return user(error.code, f"{where}: {error.message}{hint}")


def late(timeouts: Timeouts, reason: StopReason) -> ExecutionError:
    """An attempt or a node that took too long."""
    match reason:
        case "run_timeout":
            what, limit, option = "the attempt ran longer than its limit of", timeouts.run_ms, "run"
        case "queued_timeout":
            what, limit, option = "the attempt did not start within", timeouts.queued_ms, "queued"
        case _:
            what, limit, option = (
                "the node took longer than its deadline of",
                timeouts.deadline_ms,
                "deadline",
            )
    return user("TimedOut", f"{what} {limit / 1_000:g} s; Timeout({option}=...) sets it")


def unanswered(timeout_ms: int) -> ExecutionError:
    """A gate to which nobody said anything."""
    return user(
        "TimedOut", f"nobody answered within {timeout_ms / 1_000:g} s; the gate's `timeout=...` sets it"
    )


def wrong_names(who: str, given: list[str], declared: tuple[str, ...]) -> str:
    return f"{who} gave the outputs ({', '.join(given)}) where ({', '.join(declared)}) are declared"
