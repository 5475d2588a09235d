"""What becomes of an exception in a call: a status that the caller can act on, never a traceback.

Errors of `typedflow.errors` say themselves what they are, and a disk or a database that refuses is known. Everything
else is a mistake of this server: it is logged with an incident id, and the id is all that the caller gets.
"""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import NoReturn, Protocol, TypeVar, cast

import grpc
from google.protobuf.message import DecodeError
from sqlalchemy.exc import DatabaseError, DBAPIError, InterfaceError, InternalError, OperationalError

from typedflow import errors, rpc

_log = logging.getLogger(__name__)

Request = TypeVar("Request")
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext[object, object]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_SQLITE_FULL = "database or disk is full"


def known(error: Exception) -> errors.TypedflowError | None:
    """What an exception says to a client, where it says something: not a mistake of this server, nor of its own."""
    match error:
        case errors.TypedflowError():
            return error
        case OSError() if error.errno in _FULL:
            return _full("the server's disk is full")
        case DBAPIError() if _is_away(error):
            # Locked, full, read-only, or gone: the call may be repeated once it is not.
            said = str(error.orig).partition("\n")[0]
            _log.error("the database refused: %s", said)
            if said == _SQLITE_FULL:
                return _full(f"the server's database refused: {said}")
            return errors.ServerUnreachable(
                f"the server's database refused: {said}", hint="try again", code="DatabaseUnavailable"
            )
        case _:
            return None


def _full(message: str) -> errors.ServerUnreachable:
    return errors.ServerUnreachable(
        message, hint="make room on the disk of its home, and try again", code="DiskFull"
    )


def _is_away(error: DBAPIError) -> bool:
    """Whether the database is to blame: gone, going, or not to be written just now."""
    # A standby that has taken the place of the database is an InternalError to its driver: it is read only. A file that
    # is damaged is a DatabaseError of no kind.
    away = isinstance(error, OperationalError | InterfaceError | InternalError)
    return away or error.connection_invalidated or type(error) is DatabaseError


def incident(error: Exception, where: str) -> str:
    """Logs an exception that nobody expected; gives the message that a client may see."""
    number = secrets.token_hex(4)
    _log.error("incident %s in %s", number, where, exc_info=error)
    return f"the server failed; its log has the details under incident {number}"


class Translation(grpc.aio.ServerInterceptor):
    """Ends calls whose handler raises with the status that says why."""

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Request, Response] | None]
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Request, Response] | None:
        """The handler, with its errors translated."""
        handler = await continuation(handler_call_details)
        if handler is None or not handler_call_details.method.startswith("/typedflow."):
            return handler
        return _translated(handler, handler_call_details.method)


_Parser = Callable[[bytes], object]


class _Behaviour(Protocol):
    """A handler's function: an awaitable, or an async iterator when the response is a stream."""

    def __call__(self, request: object, context: Context) -> Awaitable[object] | AsyncIterator[object]: ...


def _translated(
    handler: grpc.RpcMethodHandler[Request, Response], where: str
) -> grpc.RpcMethodHandler[Request, Response]:
    # The stubs describe the blocking server, whose handlers are plain functions.
    found = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream
    inner, parse = cast("_Behaviour", found), cast("_Parser", handler.request_deserializer)

    # Bytes are parsed here: a parser that raises in front of the handler is a failure of the server to gRPC.
    def read(request: object) -> object:
        if handler.request_streaming:
            return _parsed_stream(cast("AsyncIterator[bytes]", request), parse)
        return _parsed(cast("bytes", request), parse)

    async def respond(request: object, context: Context) -> object:
        try:
            return await cast("Awaitable[object]", inner(read(request), context))
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            return await _end(error, where, context)

    async def stream(request: object, context: Context) -> AsyncIterator[object]:
        try:
            async with aclosing(
                cast("AsyncGenerator[object, None]", inner(read(request), context))
            ) as responses:
                async for response in responses:
                    yield response
        except Exception as error:  # noqa: BLE001 - translated, whatever it is
            await _end(error, where, context)

    make = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[handler.request_streaming, handler.response_streaming]
    return make(
        stream if handler.response_streaming else respond,
        response_serializer=handler.response_serializer,
    )


def _parsed(sent: bytes, parse: _Parser) -> object:
    try:
        return parse(sent)
    except DecodeError as error:
        raise errors.UsageError(str(error), code="InvalidRequest") from None


async def _parsed_stream(sent: AsyncIterator[bytes], parse: _Parser) -> AsyncIterator[object]:
    async for one in sent:
        yield _parsed(one, parse)


async def _end(error: Exception, where: str, context: Context) -> NoReturn:
    if told := known(error):
        await rpc.abort_from(told, context)
    await context.abort(grpc.StatusCode.INTERNAL, incident(error, where))
