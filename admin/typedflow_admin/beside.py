"""The client of a propeller in the server's own process: what it calls for every node is a call, not a message.

The stream, with its claims and commits, and everything that is rare go over gRPC as any propeller's do. Over the wire
or not, the same is raised.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import TypeVar

import typedflow_propeller

from typedflow import errors, rpc
from typedflow.pb import attempt_pb2, propeller_pb2
from typedflow_admin import failures, service

T = TypeVar("T")


class Beside(typedflow_propeller.AdminClient):
    """See the module.

    Args:
        rooms: of the server.
        target, token: as of `AdminClient`.
    """

    def __init__(self, rooms: service.Rooms, target: str, token: str) -> None:
        super().__init__(target, token)
        self._rooms = rooms

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
