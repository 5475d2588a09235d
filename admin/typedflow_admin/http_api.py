"""The API as JSON over HTTP: `POST /typedflow.v1.<Service>/<Method>` for every call that is not a stream.

A body is the request as protobuf's JSON; an error is `{"code", "message", "details"}` under the HTTP status that
corresponds (as in the Connect protocol). A browser is the danger here: a page of another origin must not be able to
call, nor a name that resolves to this machine. So Host and Origin are checked, and only application/json is taken.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping

from google.protobuf import json_format, message, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from typedflow import errors, rpc
from typedflow.pb import attempt_pb2, catalog_pb2, data_pb2, executions_pb2, registry_pb2
from typedflow_admin import auth, failures, principals, service

_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "DATA_LOSS": 500,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
}
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})

Call = Callable[[message.Message, object], Awaitable[message.Message]]


class _Refused(errors.PermissionDenied):
    """Whoever it is: no credentials would help."""


class Api:
    """Guards and serves the calls. `hosts` are names by which this server may be called, besides loopback's."""

    def __init__(self, rooms: service.Rooms, token: str, principal: str, hosts: Iterable[str]) -> None:
        self._rooms = rooms
        self._token = token
        self._principal = principal
        self._hosts = _LOOPBACK | {host.lower() for host in hosts}

    def application(self) -> Starlette:
        """The ASGI application."""
        routes: list[BaseRoute] = [Route("/healthz", _healthz, methods=["GET"])]
        for descriptor, servicer in (
            (registry_pb2.DESCRIPTOR.services_by_name["Registry"], service.RegistryService(self._rooms)),
            (
                executions_pb2.DESCRIPTOR.services_by_name["Executions"],
                service.ExecutionsService(self._rooms),
            ),
            (catalog_pb2.DESCRIPTOR.services_by_name["Catalog"], service.CatalogService(self._rooms)),
            (data_pb2.DESCRIPTOR.services_by_name["Data"], service.DataService(self._rooms)),
            (attempt_pb2.DESCRIPTOR.services_by_name["Attempt"], service.AttemptService(self._rooms)),
        ):
            routes += self._routes(descriptor, servicer)
        return Starlette(routes=routes)

    def _routes(self, descriptor: ServiceDescriptor, servicer: object) -> list[Route]:
        return [
            self._route(f"/{descriptor.full_name}/{method.name}", method, getattr(servicer, method.name))
            for method in descriptor.methods
            if not method.client_streaming and not method.server_streaming
        ]

    def _route(self, path: str, method: MethodDescriptor, call: Call) -> Route:
        request_class = message_factory.GetMessageClass(method.input_type)

        async def endpoint(request: Request) -> Response:
            try:
                self._guard(request)
                headers = {name.lower(): value for name, value in request.headers.items()}
                principals.set_current(auth.check(path, headers, self._token, self._principal))
                answer = await call(_parse(await _body(request), request_class()), None)
                return JSONResponse(json_format.MessageToDict(answer))
            except ClientDisconnect:
                return Response(status_code=499)
            except Exception as error:  # noqa: BLE001 - translated, whatever it is
                if told := failures.known(error):
                    return error_response(told)
                return JSONResponse({"code": "internal", "message": failures.incident(error, path)}, 500)

        return Route(path, endpoint, methods=["POST"])

    def _guard(self, request: Request) -> None:
        host = request.headers.get("host", "")
        name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
        if name.lower() not in self._hosts:
            raise _Refused(f"this server is not `{host}`", where="Host", code="HostRefused")
        origin = request.headers.get("origin")
        if origin is not None and origin not in (f"http://{host}", f"https://{host}"):
            raise _Refused(f"a page of {origin} may not call this", where="Origin", code="OriginRefused")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise errors.UsageError(
                f"the body must be application/json, not `{kind}`",
                where="Content-Type",
                code="InvalidRequest",
            )


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok\n")


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > rpc.MAX_MESSAGE_BYTES:
            raise errors.UsageError(
                f"the body has more than {rpc.MAX_MESSAGE_BYTES >> 20} MiB", code="InvalidRequest"
            )
    return bytes(body)


def _parse(body: bytes, target: message.Message) -> message.Message:
    try:
        value = json.loads(body)
        if b"\\u" in body:
            json.dumps(
                value, ensure_ascii=False
            ).encode()  # half a surrogate pair is no text that a field can hold
        if not isinstance(value, dict):
            raise ValueError("an object is expected")  # noqa: TRY004 - as what the parser raises
        json_format.ParseDict(value, target, max_recursion_depth=100)
    except (json_format.ParseError, ValueError, RecursionError) as error:
        raise errors.UsageError(
            f"the body is no {target.DESCRIPTOR.full_name}: {error}", code="InvalidRequest"
        ) from None
    return target


def error_response(error: errors.TypedflowError) -> JSONResponse:
    """An error as the caller sees it."""
    code = "PERMISSION_DENIED" if isinstance(error, _Refused) else rpc.code_of(error)
    status = rpc.status_of(error, limited=False)
    content: Mapping[str, object] = {
        "code": code.lower(),
        "message": status.message,
        "details": [
            {
                "type": detail.type_url.partition("/")[2],
                "value": base64.b64encode(detail.value).decode().rstrip("="),
            }
            for detail in status.details
        ],
    }
    return JSONResponse(content, _STATUSES[code])
