"""What to say of an attempt that left no outcome: who ended it, whose fault that is, and what to do about it."""

from __future__ import annotations

import math
import signal

from typedflow import task_options
from typedflow.pb import attempt_pb2, errors_pb2
from typedflow.run_task import child
from typedflow_propeller import machine

_MI = 1024 * 1024
_OUT_OF_MEMORY = (
    "somebody killed it, or the machine ran out of memory (see `dmesg`): "
    "let the task use less memory, or run fewer at once"
)


def outcome(status: int | None, node: str) -> attempt_pb2.Outcome:
    """For a process that ended with this status (-N is signal N, None is not known) and left nothing."""
    if status is None:
        message = f"the process ended without an outcome while no server watched it: {_OUT_OF_MEMORY}"
        return system(node, "WorkerLost", message)
    if status < 0:
        why = f": {_OUT_OF_MEMORY}" if -status == signal.SIGKILL else "; see its log"
        return system(node, "WorkerLost", f"the process was killed by {_signal_name(-status)}{why}")
    if status == child.FAILED:
        return system(
            node, "RunnerFailed", "the outcome could not be written (is the disk full?); see its log"
        )
    return attempt_pb2.Outcome(
        error=errors_pb2.ExecutionError(
            kind=errors_pb2.ERROR_KIND_USER,
            code="ExitCode",
            message=f"the process exited with status {status} before the task returned; raise an exception to fail",
            node=node,
        )
    )


def out_of_memory(node: str, used: int, limit: int) -> attempt_pb2.Outcome:
    """For one that held more memory than it may, and was killed for it: its author's failure, it would come again."""
    suggested = 2 ** math.ceil(math.log2(max(used, limit) * 1.2 / _MI))
    error = errors_pb2.ExecutionError(
        kind=errors_pb2.ERROR_KIND_USER,
        code="OutOfMemory",
        message=(
            f"the task used {machine.shown(used)} of memory and may use {machine.shown(limit)}: let it use less, "
            f'or give it more, as in Resources(mem="{machine.shown(suggested * _MI)}")'
        ),
        node=node,
    )
    return attempt_pb2.Outcome(error=error)


def interrupted(node: str) -> attempt_pb2.Outcome:
    """For one that was ended because the server was stopped."""
    return system(node, task_options.SERVER_STOPPED, "the server was stopped while the attempt ran")


def gone(node: str) -> attempt_pb2.Outcome:
    """For one that another executor ran, of which admin has heard nothing for a lease."""
    message = "the propeller that ran it is away for too long; should it come back, its result does not count"
    return system(node, "WorkerLost", message)


def unstarted(node: str, error: OSError) -> attempt_pb2.Outcome:
    """For one that this machine could not start."""
    return system(node, "RunnerFailed", f"the process could not be started: {error}")


def forgotten(node: str) -> attempt_pb2.Outcome:
    """For one that was admitted here, and of which nothing is here."""
    message = "the machine that was to run it was restarted before it began, or has lost what it had of it"
    return system(node, "WorkerLost", message)


def system(node: str, code: str, message: str) -> attempt_pb2.Outcome:
    """A failure of the platform's, which is retried at no cost to the user."""
    error = errors_pb2.ExecutionError(
        kind=errors_pb2.ERROR_KIND_SYSTEM, code=code, message=message, node=node
    )
    return attempt_pb2.Outcome(error=error)


def _signal_name(number: int) -> str:
    try:
        return f"{signal.Signals(number).name} (signal {number})"
    except ValueError:
        return f"signal {number}"
