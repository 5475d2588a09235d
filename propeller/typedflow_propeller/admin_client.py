"""The calls that a propeller makes to admin. Everything goes out from here; admin never dials.

What admin refuses is raised as the error that it raised there, and ServerUnreachable when nobody answers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Sequence
from typing import Protocol, TypeVar

import grpc

from typedflow import rpc
from typedflow.pb import (
    attempt_pb2,
    attempt_pb2_grpc,
    data_pb2,
    data_pb2_grpc,
    events_pb2,
    propeller_pb2,
    propeller_pb2_grpc,
    workflows_pb2,
)

T = TypeVar("T")


class WorkStream(Protocol):
    """A `Propeller.Work` stream, as gRPC has it."""

    async def read(self) -> object:
        """The next message, or gRPC's EOF. Only one reads at a time."""

    async def write(self, request: propeller_pb2.WorkRequest, /) -> None:
        """Sends a message; waits while too many are on their way."""

    async def done_writing(self) -> None:
        """Says that no more is sent."""

    def cancel(self) -> object:
        """Ends the stream."""


_TIMEOUT_S = 30.0
_LOAD_S = 300.0  # a journal may have a million events


class AdminClient:
    """A client of one admin; see `executor.AttemptService` too. Made and used in one event loop.

    Args:
        target: `host:port`, or a channel that somebody else closes.
        token: the bearer token; empty for none.
    """

    def __init__(self, target: str | grpc.aio.Channel, token: str) -> None:
        self._own: grpc.aio.Channel | None = None
        self._address = ""
        if isinstance(target, str):
            self._address = target
            channel = self._own = grpc.aio.insecure_channel(target, rpc.channel_options())
        else:
            channel = target
        self._metadata = (("authorization", f"Bearer {token}"),) if token else ()
        self._propeller = propeller_pb2_grpc.PropellerStub(channel)
        self._attempts = attempt_pb2_grpc.AttemptStub(channel)
        self._data = data_pb2_grpc.DataStub(channel)

    async def close(self) -> None:
        """Closes the channel, if it is our own."""
        if self._own is not None:
            await self._own.close()

    def work(self) -> WorkStream:
        """Opens the stream; whoever reads and writes translates what that raises with `error_from`."""
        return self._propeller.Work(metadata=self._metadata)

    def error_from(self, failure: grpc.aio.AioRpcError) -> Exception:
        """The error that a failed call stands for."""
        return rpc.error_from(failure, self._address)

    async def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        """The compiled workflow and the journal of an execution."""
        request = propeller_pb2.LoadRequest(execution_id=execution_id)
        return await self._called(
            self.joined(self._propeller.Load(request, metadata=self._metadata, timeout=_LOAD_S))
        )

    @staticmethod
    async def joined(
        parts: AsyncIterable[propeller_pb2.LoadResponse],
    ) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        """A compiled workflow and a journal from the parts that they come in."""
        workflow = workflows_pb2.CompiledWorkflow()
        events: list[events_pb2.Event] = []
        async for part in parts:
            if part.HasField("workflow"):
                workflow = part.workflow
            workflow.workflow.nodes.extend(part.nodes)
            events.extend(part.events)
        return workflow, events

    async def check_cache(
        self, questions: Sequence[propeller_pb2.CacheQuestion]
    ) -> list[propeller_pb2.CacheAnswer]:
        """What the cache has for each, in the order asked."""
        request = propeller_pb2.CheckCacheRequest(questions=questions)
        answer = await self._called(
            self._propeller.CheckCache(request, metadata=self._metadata, timeout=_TIMEOUT_S)
        )
        return list(answer.answers)

    async def launch_child(
        self, request: propeller_pb2.LaunchChildRequest
    ) -> propeller_pb2.LaunchChildResponse:
        """Launches the execution that a node stands for; repeated, it is the same."""
        return await self._called(
            self._propeller.LaunchChild(request, metadata=self._metadata, timeout=_TIMEOUT_S)
        )

    async def abort_child(self, request: propeller_pb2.AbortChildRequest) -> None:
        """Asks for its end."""
        await self._called(self._propeller.AbortChild(request, metadata=self._metadata, timeout=_TIMEOUT_S))

    async def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        """See `executor.AttemptService.begin`."""
        return await self._called(self._attempts.Begin(request, metadata=self._metadata, timeout=_TIMEOUT_S))

    async def finish(self, request: attempt_pb2.FinishRequest) -> None:
        """See `executor.AttemptService.finish`."""
        await self._called(self._attempts.Finish(request, metadata=self._metadata, timeout=_TIMEOUT_S))

    async def bundle(self, digest: str, project: str, domain: str) -> bytes:
        """See `executor.AttemptService.bundle`."""
        request = data_pb2.GetBundleRequest(project=project, domain=domain, digest=digest)
        try:
            sent = self._data.GetBundle(request, metadata=self._metadata, timeout=_TIMEOUT_S)
            return b"".join([part.data async for part in sent])
        except grpc.aio.AioRpcError as failure:
            raise self.error_from(failure) from None

    async def _called(self, call: Awaitable[T]) -> T:
        try:
            return await call
        except grpc.aio.AioRpcError as failure:
            raise self.error_from(failure) from None
