"""What a task's options mean: a node's overrides, and the pauses between attempts.

Shared by the compiler, the engine and whoever starts attempts, so that all of them agree. It must stay pure: no clock,
no randomness. Pauses have no jitter, because the engine computes them and must compute the same again.
"""

from __future__ import annotations

from typing import Final

from typedflow.pb.tasks_pb2 import RetryPolicy, TaskOptions

SYSTEM_RETRIES: Final = 3
"""How many failures of the platform a node survives, besides those that its own `retries` allow."""

SERVER_STOPPED: Final = "ServerStopped"
"""The code of an attempt that was ended because its server was stopped: a failure that uses up nothing."""

_SYSTEM_POLICY: Final = RetryPolicy(backoff_ms=1_000, factor=2.0)
_LONGEST_MS: Final = 365 * 24 * 60 * 60 * 1_000


def merge(task: TaskOptions, overrides: TaskOptions) -> TaskOptions:
    """The task's options with a node's overrides: each field set in `overrides` replaces the task's as a whole."""
    merged = TaskOptions()
    merged.CopyFrom(task)
    for field, _ in overrides.ListFields():
        merged.ClearField(field.name)  # type: ignore[arg-type]
    merged.MergeFrom(overrides)
    return merged


def backoff_ms(retry: RetryPolicy, failures: int) -> int:
    """The pause after the `failures`-th failure (from 1), in milliseconds; never more than a year."""
    longest = min(retry.cap_ms or _LONGEST_MS, _LONGEST_MS)
    factor = retry.factor if retry.factor > 0 else 1.0
    pause = float(retry.backoff_ms)
    # Multiplied step by step: `pow` may round differently on another machine, and a replay has to give the same.
    for _ in range(failures - 1 if factor != 1.0 else 0):
        if pause < 1 or pause >= longest:
            break
        pause *= factor
    return int(min(pause, longest))


def system_backoff_ms(failures: int) -> int:
    """The pause after the `failures`-th failure of the platform (from 1), in milliseconds: 1 s, 2 s, 4 s."""
    return backoff_ms(_SYSTEM_POLICY, failures)
