"""What a reconciler asks of the propeller that it is in, and all that it asks: a simulation opens the same doors.

A reconciler sleeps by the event loop that it runs on and by nothing else; clocks, threads and chance are behind these.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from typedflow.dataplane import objects
from typedflow.pb import events_pb2, propeller_pb2, workflows_pb2
from typedflow_propeller import executor, lease

T = TypeVar("T")


class Doors(Protocol):
    """Calls to admin raise what admin raised, and ServerUnreachable when nobody answers."""

    executor: executor.Executor
    store: objects.ObjectStore
    lease: lease.Lease

    def now_us(self) -> int:
        """The time, in microseconds since 1970."""

    def in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        """Does what takes long, beside the event loop."""

    async def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        """The compiled workflow and the journal."""

    def check_cache(self, question: propeller_pb2.CacheQuestion) -> asyncio.Future[propeller_pb2.CacheAnswer]:
        """Asks the cache, together with all who ask now."""

    def commit(
        self, commit: propeller_pb2.ExecutionCommit
    ) -> asyncio.Future[propeller_pb2.CommitStatus.ValueType]:
        """Commits, together with others that are ready."""

    async def launch_child(
        self, request: propeller_pb2.LaunchChildRequest
    ) -> propeller_pb2.LaunchChildResponse:
        """Launches the execution that a node stands for."""

    async def abort_child(self, request: propeller_pb2.AbortChildRequest) -> None:
        """Asks for its end."""
