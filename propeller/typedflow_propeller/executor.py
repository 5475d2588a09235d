"""The seam between the reconciler and whatever runs attempts: processes here, pods on a cluster.

An executor is told what should be, again and again, and sees that it comes about; it is never asked what is. What
becomes of an attempt goes from the executor (or the pod) to admin, and comes back to the reconciler in the inbox.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import NamedTuple, Protocol

from typedflow.pb import attempt_pb2, propeller_pb2


class LogPiece(NamedTuple):
    """At most 64 KiB of a log, or a line about what was left out of it. `next`: where in the log the rest begins."""

    data: bytes
    next: int


class Executor(Protocol):
    """Runs attempts. Every method may be called again, in any order, also for attempts that ended long ago.

    `id`, once it has recovered: lasts for as long as what attempts left where they ran. Admin goes by it when it has to
    know whether anybody still sees to them.
    """

    @property
    def id(self) -> str: ...

    async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        """Takes care of the attempt from here on: it runs once there is room, and its outcome reaches admin.

        Never starts a second runner beside a living one. Returns without waiting for the attempt.
        """

    async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        """Sees that nothing of the attempt runs any more and that admin hears of it, also of one that never started.

        What admin hears is `Stopped`, or the outcome when the attempt was quicker. Returns without waiting.
        """

    async def inquire(self, inquiry: propeller_pb2.AttemptInquiry) -> None:
        """Sees that admin hears of an attempt that this executor's runner has, though another drives its execution.

        Whatever there is of it goes on, or is stopped. Of what is not there any more, or had no go-ahead and will get
        none, admin hears in the runner's name that it is lost, or stopped. Returns without waiting.
        """

    def read_log(
        self, attempt: attempt_pb2.AttemptId, *, follow: bool, offset: int = 0
    ) -> AsyncGenerator[LogPiece, None]:
        """The attempt's log from a byte on, in pieces; with `follow` until the attempt has ended.

        A log that has grown too large has lost its middle, and a piece says how much. Raises NotFound.
        """

    async def recover(self) -> None:
        """Takes up what an earlier process left: adopts what is alive, tells admin of what ended."""

    async def close(self) -> None:
        """Ends everything that it started. Attempts that still ran are retried at no cost to the user."""


class AttemptService(Protocol):
    """What an executor asks of admin. Raises what admin raised; ServerUnreachable when nobody answers."""

    async def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        """Admits a runner. Raises StateConflict when the attempt has another runner, or has ended."""

    async def finish(self, request: attempt_pb2.FinishRequest) -> None:
        """Commits the outcome."""

    async def bundle(self, digest: str, project: str, domain: str) -> bytes:
        """A code bundle, as it was registered; for an attempt of this project and domain."""
