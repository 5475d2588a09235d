"""The guard in front of every gRPC call: who is calling, or no call.

A call without the server's token is refused, whatever it calls, but for two: health, which probes ask without
credentials, and what a runner says of its own attempt, which carries that attempt's own token and is checked with it.
Nothing is decided here about what a known caller may do.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn, TypeVar, cast

import grpc

from typedflow import errors, rpc
from typedflow_admin import principals

_OPEN = ("/grpc.health.v1.Health/", "/typedflow.v1.Attempt/")
_RUNNER = "runner"

Request = TypeVar("Request")
Response = TypeVar("Response")


def check(path: str, headers: Mapping[str, str | bytes], token: str, principal: str) -> str:
    """The principal of a call to `path` with these headers (names in lower case).

    Raises:
        PermissionDenied: no credentials, or wrong ones.
    """
    if path.startswith(_OPEN):
        return _RUNNER
    given = headers.get("authorization", "")
    given = given.decode("latin-1") if isinstance(given, bytes) else given
    scheme, _, credentials = given.partition(" ")
    if not given:
        raise _denied("no credentials")
    if scheme.lower() != "bearer" or not hmac.compare_digest(credentials.strip().encode(), token.encode()):
        raise _denied("wrong credentials")
    return principal


class Guard(grpc.aio.ServerInterceptor):
    """Checks every call and sets its principal."""

    def __init__(self, token: str, principal: str) -> None:
        self._token = token
        self._principal = principal

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """Lets the call through, in its principal's name, or answers in place of the service."""
        metadata = dict(handler_call_details.invocation_metadata or ())
        try:
            principals.set_current(check(handler_call_details.method, metadata, self._token, self._principal))
        except errors.PermissionDenied as error:
            return cast("grpc.RpcMethodHandler[Request, Response]", _refusal(error))
        return await continuation(handler_call_details)


def _refusal(error: errors.TypedflowError) -> grpc.RpcMethodHandler[object, object]:
    async def refuse(_request: object, context: grpc.aio.ServicerContext[object, object]) -> NoReturn:
        await rpc.abort_from(error, context)

    # Any kind of call can be ended before its first message is read.
    return grpc.unary_unary_rpc_method_handler(refuse)


def _denied(what: str) -> errors.PermissionDenied:
    return errors.PermissionDenied(
        f"{what}: this server takes calls with its token only",
        hint="set TYPEDFLOW_TOKEN, or TYPEDFLOW_HOME to the home of a server on this machine",
    )
