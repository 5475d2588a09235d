"""The doors: gRPC with health and reflection, and HTTP.

What comes in is guarded and translated before a service sees it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import uvicorn
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from typedflow import errors, rpc
from typedflow.pb import (
    attempt_pb2,
    attempt_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    data_pb2,
    data_pb2_grpc,
    executions_pb2,
    executions_pb2_grpc,
    propeller_pb2,
    propeller_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)
from typedflow_admin import auth, failures, http_api, service

_SERVICES = tuple(
    descriptor.full_name
    for module in (registry_pb2, executions_pb2, catalog_pb2, data_pb2, propeller_pb2, attempt_pb2)
    for descriptor in module.DESCRIPTOR.services_by_name.values()
)
_STOP_SECONDS = 1.0
_PING_MS = 20_000
_BACKLOG = 128


@asynccontextmanager
async def grpc(rooms: service.Rooms, token: str, principal: str, host: str, port: int) -> AsyncIterator[int]:
    """Serves gRPC while the block runs; gives its port.

    Raises:
        UsageError: the port is taken, or the address is none of this machine.
    """
    server = aio.server(
        interceptors=[auth.Guard(token, principal), failures.Translation()],
        options=[
            ("grpc.max_receive_message_length", rpc.MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", rpc.MAX_RESPONSE_BYTES),
            # Pings find out connections that are dead; clients may ping as often as `rpc.channel_options` says.
            ("grpc.keepalive_time_ms", _PING_MS),
            ("grpc.keepalive_timeout_ms", _PING_MS),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", _PING_MS // 2),
            # Otherwise two servers share a port, and a client talks to one of them by luck.
            ("grpc.so_reuseport", 0),
        ],
    )
    registry_pb2_grpc.add_RegistryServicer_to_server(service.RegistryService(rooms), server)
    executions_pb2_grpc.add_ExecutionsServicer_to_server(service.ExecutionsService(rooms), server)
    catalog_pb2_grpc.add_CatalogServicer_to_server(service.CatalogService(rooms), server)
    data_pb2_grpc.add_DataServicer_to_server(service.DataService(rooms), server)
    propeller_pb2_grpc.add_PropellerServicer_to_server(service.PropellerService(rooms), server)
    attempt_pb2_grpc.add_AttemptServicer_to_server(service.AttemptService(rooms), server)
    health = HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    for name in ("", *_SERVICES):
        await health.set(name, health_pb2.HealthCheckResponse.SERVING)
    reflection.enable_server_reflection(
        (*_SERVICES, reflection.SERVICE_NAME, "grpc.health.v1.Health"), server
    )
    # gRPC does not say why it can't listen.
    _listener(host, port, "--port").close()
    try:
        bound = server.add_insecure_port(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
    except RuntimeError:
        raise _refused(host, port, "--port", "it is in use") from None
    await server.start()
    try:
        yield bound
    finally:
        rooms.work.close()
        await server.stop(_STOP_SECONDS)


@asynccontextmanager
async def http(rooms: service.Rooms, token: str, principal: str, host: str, port: int) -> AsyncIterator[int]:
    """Serves HTTP while the block runs; gives its port.

    Raises:
        UsageError: as `grpc`.
    """
    listener = _listener(host, port, "--http-port")
    application = http_api.Api(rooms, token, principal, {host, socket.gethostname()}).application()
    config = uvicorn.Config(
        application, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2
    )
    server = _Uvicorn(config)
    serving = asyncio.create_task(server.serve([listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
        listener.close()


class _Uvicorn(uvicorn.Server):
    """Leaves signals to whoever runs the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _listener(host: str, port: int, option: str) -> socket.socket:
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        # Two may bind a port that nobody listens on.
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        taken = error.errno == errno.EADDRINUSE
        raise _refused(
            host, port, option, "it is in use" if taken else error.strerror or str(error)
        ) from None
    return listener


def _refused(host: str, port: int, option: str, why: str) -> errors.UsageError:
    return errors.UsageError(
        f"can't listen on port {port} of {host}: {why}",
        where=option,
        hint=f"choose another with {option}, or 0 for any free one",
        code="AddressRefused",
    )
