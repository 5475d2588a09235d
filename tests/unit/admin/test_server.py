"""Starting and stopping: a home of its own, addresses that are free and safe, a token that only the owner reads."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import stat
import threading

import grpc
import pytest
import typedflow_propeller
from grpc_health.v1 import health_pb2
from typedflow_admin import home, server

from typedflow import errors, identifiers, rpc, settings
from typedflow.pb import (
    executions_pb2,
    executions_pb2_grpc,
    propeller_pb2,
    propeller_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)


def start(folder, **options: object) -> server.EmbeddedServer:
    chosen = {"port": 0, "http_port": 0} | options
    return server.EmbeddedServer(server.Options(folder, **chosen), propeller=False)  # type: ignore[arg-type]


def test_s1_server_json_says_how_to_reach_it_to_its_owner_only(tmp_path):
    with start(tmp_path / "home") as info:
        path = tmp_path / "home" / settings.SERVER_FILE
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text()) == {
            "grpc": info.grpc,
            "http": info.http,
            "pid": os.getpid(),
            "token": info.token,
        }
        assert settings.server_json(tmp_path / "home") == info
        assert len(info.token) >= 32
    assert settings.server_json(tmp_path / "home") is None


def test_two_servers_never_share_a_home(tmp_path):
    with (
        start(tmp_path),
        pytest.raises(
            errors.UsageError, match=f"process {os.getpid()} is a server with this home"
        ) as refused,
        start(tmp_path),
    ):
        pass
    assert refused.value.code == "HomeInUse"
    with start(tmp_path):
        pass


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("typedflow.db", b"not a database"),
        ("typedflow.db", None),
        ("incoming", b""),
        ("server.json", None),
    ],
)
def test_a_home_with_something_else_in_a_files_place_is_refused(tmp_path, name, content):
    if content is None:
        (tmp_path / name).mkdir()
    else:
        (tmp_path / name).write_bytes(content * 100)
    with pytest.raises(errors.UsageError) as refused, start(tmp_path):
        pass
    assert refused.value.where == str(tmp_path / name)
    assert list(tmp_path.glob(".server.json*")) == []


def test_what_a_killed_server_left_half_written_is_gone_after_a_restart(tmp_path):
    left = tmp_path / "incoming" / "tmpx"
    left.parent.mkdir()
    left.write_bytes(b"half")
    with start(tmp_path):
        assert not left.exists()


def test_a_home_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.UsageError, match="can't be a server's home"), home.locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize(("name", "option"), [("port", "--port"), ("http_port", "--http-port")])
def test_a_port_in_use_is_named_with_the_remedy_and_leaves_nothing_behind(tmp_path, name, option):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(errors.UsageError, match=f"port {port} of 127.0.0.1: it is in use") as refused:
            start(tmp_path, **{name: port}).__enter__()
    assert refused.value.where == option
    assert option in refused.value.hint
    assert settings.server_json(tmp_path) is None
    with start(tmp_path, **{name: port}) as info:
        assert str(port) in (info.grpc + info.http)


def test_s1_off_loopback_it_refuses_to_start_unless_told(tmp_path):
    with pytest.raises(errors.UsageError, match="nothing is encrypted") as refused:
        start(tmp_path, host="0.0.0.0").__enter__()
    assert "--insecure" in refused.value.hint
    with start(tmp_path, host="0.0.0.0", insecure=True) as info:
        assert info.grpc.startswith("127.0.0.1:")


def test_s1_health_is_open_and_everything_else_needs_the_token(tmp_path):
    with start(tmp_path, token="secret") as info, grpc.insecure_channel(info.grpc) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        for name in ("", "typedflow.v1.Executions"):
            answer = check(health_pb2.HealthCheckRequest(service=name), timeout=20)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        stub = executions_pb2_grpc.ExecutionsStub(channel)
        request = executions_pb2.ListExecutionsRequest()
        for metadata in ((), (("authorization", "Bearer wrong"),), (("authorization", "secret"),)):
            with pytest.raises(grpc.RpcError) as refused:
                stub.ListExecutions(request, metadata=metadata, timeout=20)
            assert isinstance(rpc.error_from(refused.value), errors.PermissionDenied)
        stub.ListExecutions(request, metadata=(("authorization", "Bearer secret"),), timeout=20)


def test_what_was_kept_is_there_after_a_restart(tmp_path, graph):
    request = executions_pb2.ListExecutionsRequest()
    with started(tmp_path, graph) as (channel, metadata, execution):
        before = executions_pb2_grpc.ExecutionsStub(channel).ListExecutions(
            request, metadata=metadata, timeout=20
        )
        assert [one.id for one in before.executions] == [execution]
    with start(tmp_path, token="secret") as info, grpc.insecure_channel(info.grpc) as channel:
        after = executions_pb2_grpc.ExecutionsStub(channel).ListExecutions(
            request, metadata=metadata, timeout=20
        )
    assert after == before


def test_e3_after_a_restart_the_embedded_propellers_leases_are_free_and_no_others(tmp_path, graph):
    for name, expected in ((f"{server.EMBEDDED}1", True), ("other", False)):
        folder = tmp_path / name
        with started(folder, graph) as (channel, metadata, execution):
            assert claims(channel, metadata, name) == [execution]
        with start(folder, token="secret") as info, grpc.insecure_channel(info.grpc) as channel:
            assert claims(channel, metadata, "new") == ([execution] if expected else [])


def claims(channel, metadata, propeller: str) -> list[str]:
    """What a propeller is given when it comes; its stream then breaks."""
    stub = propeller_pb2_grpc.PropellerStub(channel)
    said = queue.SimpleQueue[propeller_pb2.WorkRequest]()
    said.put(
        propeller_pb2.WorkRequest(hello=propeller_pb2.Hello(propeller_id=propeller, capacity=9, protocol=1))
    )
    call = stub.Work(iter(said.get, None), metadata=metadata, timeout=20)
    # Claiming begins before the first message is read, and the writer is one thread: an answer comes after it.
    found = []
    for message in call:
        kind = message.WhichOneof("message")
        if kind == "welcome":
            said.put(propeller_pb2.WorkRequest(heartbeat=propeller_pb2.Heartbeat()))
        elif kind == "claim":
            found.append(message.claim.execution_id)
        elif kind == "heartbeat":
            break
    call.cancel()
    return found


class Failing:
    """In place of a propeller: fails so many times, then runs."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.runs = threading.Event()

    def __call__(self, *_arguments: object, **_named: object) -> "Failing":
        return self

    async def run(self) -> None:
        if self.left:
            self.left -= 1
            raise RuntimeError("a mistake in it")
        self.runs.set()
        await asyncio.get_running_loop().create_future()


@pytest.fixture
def failing(monkeypatch):
    """Makes the embedded propeller fail so many times, without pauses; five in a row are too many."""
    monkeypatch.setattr(server, "_PAUSES_S", (0.0,) * 4)

    def make(times: int) -> Failing:
        made = Failing(times)
        monkeypatch.setattr(typedflow_propeller, "Propeller", made)
        return made

    return make


def test_a_propeller_that_fails_is_started_again(tmp_path, failing, caplog):
    propeller, ended = failing(4), threading.Event()
    with server.EmbeddedServer(server.Options(tmp_path, port=0, http_port=0), ended=ended.set):
        assert propeller.runs.wait(20)
    assert not ended.is_set()
    assert caplog.text.count("RuntimeError: a mistake in it") == 4


def test_failures_that_are_far_apart_are_not_in_a_row(tmp_path, failing, monkeypatch):
    monkeypatch.setattr(server, "_STEADY_S", -1.0)
    propeller = failing(20)
    with server.EmbeddedServer(server.Options(tmp_path, port=0, http_port=0)):
        assert propeller.runs.wait(20)


def test_a_server_whose_propeller_keeps_failing_ends_and_says_why(tmp_path, failing):
    propeller, ended = failing(9), threading.Event()
    with (
        pytest.raises(errors.StateConflict, match="failed 5 times in a row") as failure,
        server.EmbeddedServer(server.Options(tmp_path, port=0, http_port=0), ended=ended.set),
    ):
        assert ended.wait(20)
    assert failure.value.code == "PropellerFailed"
    assert "a mistake in it" in failure.value.message
    assert propeller.left == 4
    assert settings.server_json(tmp_path) is None
    with start(tmp_path):
        pass


@contextlib.contextmanager
def started(folder, graph):
    """A server with one execution, which nobody drives."""
    metadata = (("authorization", "Bearer secret"),)
    with start(folder, token="secret") as info, grpc.insecure_channel(info.grpc) as channel:
        header = registry_pb2.RegisterHeader(project="p", domain="d")
        requests = [
            registry_pb2.RegisterRequest(header=header),
            registry_pb2.RegisterRequest(tasks=[graph.task()], workflows=[graph.workflow()]),
        ]
        registry_pb2_grpc.RegistryStub(channel).Register(iter(requests), metadata=metadata, timeout=20)
        plan = identifiers.launch_plan("m.wf", project="p", domain="d")
        request = executions_pb2.CreateExecutionRequest(launch_plan=plan)
        made = executions_pb2_grpc.ExecutionsStub(channel).CreateExecution(
            request, metadata=metadata, timeout=20
        )
        yield channel, metadata, made.execution.id
