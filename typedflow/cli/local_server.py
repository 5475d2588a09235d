"""The server of a home on this machine: the one that is up already, else one in this process.

Executions outlive servers: what one process began with its server, the next one finishes with its own.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from typedflow import errors, services, settings

_START_SECONDS = 30.0
_ANSWER_SECONDS = 2.0


@contextlib.contextmanager
def found_or_started(home: Path) -> Iterator[settings.ServerInfo]:
    """Gives the server of this home.

    Raises:
        UsageError: the home can't be used.
    """
    with contextlib.ExitStack() as stack:
        yield _found(home) or _started(home, stack)


def _found(home: Path) -> settings.ServerInfo | None:
    info = settings.server_json(home)
    return info if info is not None and _answers(info) else None


def _started(home: Path, stack: contextlib.ExitStack) -> settings.ServerInfo:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return stack.enter_context(services.embedded(home))
        except errors.UsageError as error:
            if error.code != "HomeInUse" or time.monotonic() > deadline:
                raise
        # Another process has the home and is about to say where its server is, or to let go.
        if server := _found(home):
            return server
        threading.Event().wait(0.05)


def _answers(info: settings.ServerInfo) -> bool:
    import grpc
    from grpc_health.v1 import health_pb2

    with grpc.insecure_channel(info.grpc) as channel:
        try:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )
            check(health_pb2.HealthCheckRequest(), timeout=_ANSWER_SECONDS)
        except grpc.RpcError:
            return False
    return True
