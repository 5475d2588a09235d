"""A program's client against a server in this process: what goes in comes out, and what can go wrong is said."""

from __future__ import annotations

import contextlib
import math
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from typedflow import File, client, errors, services
from typedflow.pb import literals_pb2

PIPELINE = """
from dataclasses import dataclass
from datetime import datetime
from typedflow import File, task, workflow

@dataclass
class Config:
    rates: list[float]
    since: datetime
    name: str = "é"

@task
def told(config: Config, n: int, text: str) -> str:
    return f"{config.name} {config.rates} {config.since.isoformat()} {n} {text}"

@task
def read(file: File) -> str:
    return open(file, encoding="utf-8").read()

@workflow
def tell(config: Config, n: int, text: str) -> str:
    return told(config=config, n=n, text=text)

@workflow
def reads(file: File) -> str:
    return read(file=file)
"""


@dataclass
class Config:
    rates: list[float]
    since: datetime
    name: str = "é"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.Client]:
    with (
        services.embedded(tmp_path_factory.mktemp("home")) as running,
        client.Client(running.grpc, token=running.token) as connected,
    ):
        file = tmp_path_factory.mktemp("project") / "client_pipeline.py"
        file.write_text(PIPELINE, "utf-8")
        connected.register(file)
        yield connected


def test_records_times_numpy_and_unicode_arrive_as_they_are(server: client.Client):
    since = datetime(2024, 2, 29, tzinfo=UTC)
    config = Config([0.1, float(np.float32(0.5)), math.inf], since, "naïve ☃")
    inputs = {"config": config, "n": np.int64(7), "text": "文"}
    run = server.launch("tell", inputs=inputs).wait(timeout=60)
    assert run.outputs.o0 == f"naïve ☃ [0.1, 0.5, inf] {since.isoformat()} 7 文"


def test_a_file_is_uploaded(server: client.Client, tmp_path: Path):
    (tmp_path / "ü.txt").write_text("grüße", "utf-8")
    for given in (tmp_path / "ü.txt", File(tmp_path / "ü.txt")):
        assert server.launch("reads", inputs={"file": given}).wait(timeout=60).outputs.o0 == "grüße"


@pytest.mark.parametrize("value", [object(), {1, 2}, [object()], {(1, 2): 3}])
def test_what_cannot_travel_is_told_with_the_inputs_name(server: client.Client, value: object):
    with pytest.raises(errors.ConversionError) as caught:
        server.launch("tell", inputs={"text": value})
    assert caught.value.where == ("text[0]" if isinstance(value, list) else "text")


def test_t2_bytes_are_no_text(server: client.Client):
    with pytest.raises(errors.ConversionError, match=r"inputs\.text: expected str"):
        server.launch("tell", inputs={"text": b"bytes"})


def test_a_wrong_token_is_told(server: client.Client):
    with client.Client(server.address, token="wrong") as stranger, pytest.raises(errors.PermissionDenied):
        next(stranger.runs())


def test_nothing_that_listens_is_told():
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with client.Client(address, token="x") as lonely, pytest.raises(errors.ServerUnreachable):
            lonely.launch("tell")


def test_waiting_for_less_time_than_it_takes_leaves_it_running(server: client.Client, tmp_path: Path):
    (tmp_path / "a.txt").write_text("a")
    run = server.launch("reads", inputs={"file": tmp_path / "a.txt"})
    with contextlib.suppress(TimeoutError):
        run.wait(timeout=0)
    assert run.wait(timeout=60).phase == "SUCCEEDED"


class Broken(client.RemoteValue):
    """A value of which less arrives than there is."""

    def __init__(self, chunks: list[bytes], *, fails: bool) -> None:
        literal = literals_pb2.Literal()
        literal.file.blob.size = 10
        super().__init__(None, "run", "model", literal)  # type: ignore[arg-type]  # asks nobody
        self._pieces, self._fails = chunks, fails

    def chunks(self) -> Iterator[bytes]:
        yield from self._pieces
        if self._fails:
            raise errors.ServerUnreachable("gone")


@pytest.mark.parametrize(
    ("fails", "error"), [(True, errors.ServerUnreachable), (False, errors.IntegrityError)]
)
def test_a_value_that_does_not_arrive_whole_leaves_what_was_there(
    tmp_path: Path, fails: bool, error: type[errors.TypedflowError]
):
    target = tmp_path / "model.bin"
    target.write_bytes(b"before")
    with pytest.raises(error):
        Broken([b"12345"], fails=fails).save(target)
    assert target.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [target]


def test_a_server_that_ends_while_a_program_waits_is_told(tmp_path: Path):
    file = tmp_path / "waiting_pipeline.py"
    file.write_text(
        "import threading\nfrom typedflow import task, workflow\n"
        "@task\ndef waits(n: int) -> int:\n    threading.Event().wait(30)\n    return n\n"
        "@workflow\ndef waiting(n: int) -> int:\n    return waits(n=n)\n"
    )
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.ExitStack())
        running = server.enter_context(services.embedded(tmp_path / "home"))
        connected = stack.enter_context(client.Client(running.grpc, token=running.token))
        connected.register(file)
        run = connected.launch("waiting", inputs={"n": 1})
        with pytest.raises(errors.ServerUnreachable):
            run.wait(timeout=60, on_change=lambda _: server.close())
