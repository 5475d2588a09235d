"""An attempt that is in an executor's care, from its start, or its adoption, to the end of its folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from typedflow.pb import attempt_pb2
from typedflow_propeller import attempt_folder, process_identity

Key = tuple[str, str, int]


@dataclass(slots=True)
class HeldAttempt:
    """`ending`: why its work is cancelled. `used`: memory, when that is why."""

    spec: attempt_pb2.AttemptSpec
    folder: attempt_folder.AttemptFolder
    runner_uid: str
    token: str
    process: process_identity.Identity | None = None
    admitted: bool = False
    gpus: tuple[str, ...] = ()
    ending: str = ""  # "stopped", "interrupted", "out of memory", "lost"
    used: int = 0
    work: asyncio.Task[attempt_pb2.Outcome] | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)  # to end
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, why: str) -> None:
        """Has it ended, for this reason, unless it is to be ended already."""
        if not self.ending:
            self.ending = why
            self.told.set()
            if self.work is not None:
                self.work.cancel()

    def end_over_memory(self, used: int) -> None:
        """Has it ended because it holds so much."""
        self.used = used
        self.end("out of memory")


def adopted(
    spec: attempt_pb2.AttemptSpec, folder: attempt_folder.AttemptFolder, record: attempt_folder.Record
) -> HeldAttempt:
    """An attempt that had its go-ahead in an earlier life of this process."""
    return HeldAttempt(
        spec, folder, record.runner_uid, record.token, record.process, admitted=True, gpus=tuple(record.gpus)
    )


def key(attempt: attempt_pb2.AttemptId) -> Key:
    """What attempts are told apart by."""
    return attempt.execution_id, attempt.node, attempt.attempt
