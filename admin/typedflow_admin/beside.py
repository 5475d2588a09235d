"""The client of a propeller in the server's own process: what it calls for every node is a call, not a message.

So is the stream with its claims and commits. Everything that is rare goes over gRPC as any propeller's does. Over the
wire or not, the same is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import TypeVar

import grpc
import typedflow_propeller

from typedflow import errors, rpc
from typedflow.pb import attempt_pb2, events_pb2, propeller_pb2, workflows_pb2
from typedflow_admin import failures, service

T = TypeVar("T")

_ON_THE_WAY = 64
"""Messages that a propeller may have sent before they are taken."""


class Beside(typedflow_propeller.AdminClient):
    """See the module.

    Args:
        rooms: of the server.
        target, token: as of `AdminClient`.
    """

    def __init__(self, rooms: service.Rooms, target: str, token: str) -> None:
        super().__init__(target, token)
        self._rooms = rooms

    def work(self) -> _Stream:
        """See `AdminClient.work`."""
        return _Stream(self._rooms)

    async def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        """See `AdminClient.load`."""
        return await _called(self.joined(self._rooms.work.load(execution_id)), "Load")

    async def check_cache(
        self, questions: Sequence[propeller_pb2.CacheQuestion]
    ) -> list[propeller_pb2.CacheAnswer]:
        """See `AdminClient.check_cache`."""
        return await _called(self._rooms.cache_answers.answer(questions), "CheckCache")

    async def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        """See `AdminClient.begin`."""
        return attempt_pb2.BeginResponse(spec=await _called(self._rooms.attempts.begin(request), "Begin"))

    async def finish(self, request: attempt_pb2.FinishRequest) -> None:
        """See `AdminClient.finish`."""
        await _called(self._rooms.attempts.finish(request), "Finish")


class _Stream:
    """See `typedflow_propeller.admin_client.WorkStream`. The server's side runs while it is read."""

    def __init__(self, rooms: service.Rooms) -> None:
        self._requests: asyncio.Queue[propeller_pb2.WorkRequest | None] = asyncio.Queue(_ON_THE_WAY)
        self._responses = rooms.work.serve(self._sent())
        self._closing: asyncio.Task[None] | None = None

    async def read(self) -> object:
        try:
            return await anext(self._responses)
        except StopAsyncIteration:
            return grpc.aio.EOF
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            raise _told(error, "Work") from None

    async def write(self, request: propeller_pb2.WorkRequest, /) -> None:
        await self._requests.put(request)

    async def done_writing(self) -> None:
        await self._requests.put(None)

    def cancel(self) -> None:
        """Whoever has read does so no longer."""
        self._closing = asyncio.get_running_loop().create_task(self._responses.aclose())

    async def _sent(self) -> AsyncIterator[propeller_pb2.WorkRequest]:
        while (request := await self._requests.get()) is not None:
            yield request


async def _called(call: Awaitable[T], where: str) -> T:
    try:
        return await call
    except Exception as error:  # noqa: BLE001 - translated, whatever it is
        raise _told(error, where) from None


def _told(error: Exception, where: str) -> errors.TypedflowError:
    """As a client hears it: see `failures` and `rpc`."""
    told = failures.known(error)
    if told is None:
        return errors.ServerFailed(failures.incident(error, where))
    if rpc.code_of(told) == "UNAVAILABLE":
        return errors.ServerUnreachable(told.message, where=told.where, hint=told.hint, code=told.code)
    return told
