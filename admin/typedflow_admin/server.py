"""Assembly: a home, a database, the rooms, the doors in front of them, and the embedded propeller.

The only module of this package that knows the propeller, which it starts beside the services and which then talks to
them over gRPC as any other would.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvicorn
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from typedflow import errors, rpc, settings
from typedflow.dataplane import objects
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
from typedflow_admin import auth, failures, home, http, migrations, principals, service
from typedflow_admin.attempts import Attempts
from typedflow_admin.bells import Bell
from typedflow_admin.catalog import Catalog
from typedflow_admin.commits import Commits
from typedflow_admin.data import Data
from typedflow_admin.database import Database, create_engine
from typedflow_admin.executions import Executions
from typedflow_admin.logs import Logs
from typedflow_admin.registry import Registry
from typedflow_admin.sql_store import SqlStore
from typedflow_admin.work import Work

_log = logging.getLogger(__name__)

_SERVICES = tuple(
    descriptor.full_name
    for module in (registry_pb2, executions_pb2, catalog_pb2, data_pb2, propeller_pb2, attempt_pb2)
    for descriptor in module.DESCRIPTOR.services_by_name.values()
)
_STOP_SECONDS = 3.0
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Options:
    """How a server is started.

    Args:
        home: the folder of its database, objects and `server.json`.
        host: the address to listen on; other machines reach it only if it is not loopback, which needs `insecure`.
        port: of gRPC; 0 is any free one.
        http_port: of HTTP; 0 is any free one.
        token: the bearer token; empty: made anew.
        insecure: listen off loopback although nothing is encrypted.
        lease_ms: how long a propeller holds an execution without a heartbeat.
    """

    home: Path
    host: str = "127.0.0.1"
    port: int = 8090
    http_port: int = 8091
    token: str = ""
    insecure: bool = False
    lease_ms: int = 15_000


@asynccontextmanager
async def run_admin(options: Options) -> AsyncIterator[settings.ServerInfo]:
    """Runs the services while the block runs; gives what `server.json` says.

    Raises:
        UsageError: the home is another server's, a port is taken, or the address is not safe to listen on.
    """
    _check_safe(options)
    async with AsyncExitStack() as stack:
        stack.enter_context(home.locked(options.home))
        engine = create_engine(f"sqlite:///{options.home / 'typedflow.db'}")
        await asyncio.to_thread(migrations.upgrade, engine)
        database = Database(engine)
        stack.push_async_callback(asyncio.to_thread, database.close)
        rooms = _rooms(SqlStore(database), options)
        # The home is locked: no propeller that was embedded in a server on it is left.
        await rooms.work.release_all(EMBEDDED)
        token, principal = options.token or secrets.token_urlsafe(32), principals.local()
        server, port = await _listen(rooms, token, principal, options)
        stack.push_async_callback(server.stop, _STOP_SECONDS)
        http_port = await stack.enter_async_context(_http(rooms, token, principal, options))
        host = f"[{options.host}]" if ":" in options.host else options.host
        info = settings.ServerInfo(
            grpc=f"{host}:{port}", http=f"{host}:{http_port}", pid=home.process_id(), token=token
        )
        stack.enter_context(home.announced(options.home, info))
        yield info


EMBEDDED = "embedded-"
"""What the ids of embedded propellers begin with."""


def _rooms(database: SqlStore, options: Options) -> service.Rooms:
    work_bell, changes = Bell(), Bell()
    store = objects.open_store(str(options.home / "objects"))
    folder = options.home / "incoming"
    folder.mkdir(exist_ok=True)
    work = Work(database, Commits(database, changes), work_bell, options.lease_ms)
    return service.Rooms(
        registry=Registry(database, _clock_us),
        executions=Executions(database, store, work_bell, changes, _clock_us),
        logs=Logs(database, work),
        catalog=Catalog(database, store),
        data=Data(database, store, folder, _clock_us),
        work=work,
        attempts=Attempts(database, work_bell, _clock_us),
    )


def _clock_us() -> int:
    return time.time_ns() // 1000


async def _listen(
    rooms: service.Rooms, token: str, principal: str, options: Options
) -> tuple[grpc.aio.Server, int]:
    """Starts the gRPC server; gives it and its port."""
    server = grpc.aio.server(
        interceptors=[auth.Guard(token, principal), failures.Translation()],
        options=[
            ("grpc.max_receive_message_length", rpc.MAX_MESSAGE_BYTES),
            ("grpc.max_send_message_length", rpc.MAX_RESPONSE_BYTES),
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
    host = f"[{options.host}]" if ":" in options.host else options.host
    try:
        port = server.add_insecure_port(f"{host}:{options.port}")
    except RuntimeError:
        raise _taken(options.host, options.port, "--port") from None
    await server.start()
    return server, port


@asynccontextmanager
async def _http(rooms: service.Rooms, token: str, principal: str, options: Options) -> AsyncIterator[int]:
    """Serves HTTP while the block runs; gives its port."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((options.host, options.http_port))
    except OSError:
        listener.close()
        raise _taken(options.host, options.http_port, "--http-port") from None
    application = http.Api(rooms, token, principal, {options.host}).application()
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


def _check_safe(options: Options) -> None:
    if options.host not in LOOPBACK and not options.insecure:
        raise errors.UsageError(
            f"{options.host} can be reached from other machines, and nothing is encrypted",
            where="--host",
            hint="listen on 127.0.0.1, or accept the risk with --insecure",
            code="InsecureAddress",
        )


def _taken(host: str, port: int, option: str) -> errors.UsageError:
    return errors.UsageError(
        f"can't listen on port {port} of {host}: another program has it",
        where=option,
        hint=f"choose another with {option}, or 0 for any free one",
        code="PortTaken",
    )
