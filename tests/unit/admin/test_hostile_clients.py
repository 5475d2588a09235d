"""What clients may send by mistake or on purpose: each is refused, and nothing of the server is shown."""

import base64
import json
import sqlite3

import grpc
import httpx
import pytest
from google.protobuf.descriptor import MethodDescriptor
from typedflow_admin import database, pages

from typedflow import errors, rpc
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    data_pb2,
    executions_pb2,
    identifiers_pb2,
    literals_pb2,
    propeller_pb2,
    registry_pb2,
)

MODULES = (registry_pb2, executions_pb2, catalog_pb2, data_pb2, propeller_pb2, attempt_pb2)
METHODS = [
    method
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
EMOJI = "\N{GRINNING FACE}" * 50_000


def refused(call, *arguments, **named) -> errors.TypedflowError:
    """The error that the server raised."""
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, **named)
    return rpc.error_from(failure.value)


def send(channel: grpc.Channel, method: MethodDescriptor, data: bytes, token: str) -> grpc.StatusCode:
    """The code with which a call ends that sends these bytes."""
    asked, answered = (
        "stream" if each else "unary" for each in (method.client_streaming, method.server_streaming)
    )
    name = f"/{method.containing_service.full_name}/{method.name}"
    stub = getattr(channel, f"{asked}_{answered}")(name)
    metadata = (("authorization", f"Bearer {token}"),) if token else ()
    call = stub if method.server_streaming else stub.future
    answer = call(iter([data]) if method.client_streaming else data, metadata=metadata, timeout=30)
    said = answer.details()
    assert "Traceback" not in said
    assert "Unexpected" not in said
    code: grpc.StatusCode = answer.code()
    return code


def nested(levels: int) -> bytes:
    """A union in a union in a union ..., as the bytes of a CreateExecutionRequest."""
    data = b""
    for tag in [*[b"\x0a", b"\x72"] * levels, b"\x12", b"\x0a", b"\x12"]:
        size, varint = len(data), bytearray()
        while size > 127:
            varint.append(size & 127 | 128)
            size >>= 7
        data = tag + bytes([*varint, size]) + data
    return data


def test_s5_bytes_that_are_no_message_are_refused_by_every_call(admin):
    with grpc.insecure_channel(admin.info.grpc) as channel:
        for method in METHODS:
            for data in (b"\xff\xff\xff", b"\x0a\x80\x80\x80\x80\x80\x80"):
                code = send(channel, method, data, admin.info.token)
                assert code is grpc.StatusCode.INVALID_ARGUMENT, method.full_name


def test_s5_a_message_that_is_nested_too_deep_is_refused(admin):
    with grpc.insecure_channel(admin.info.grpc) as channel:
        create = executions_pb2.DESCRIPTOR.services_by_name["Executions"].methods_by_name["CreateExecution"]
        assert send(channel, create, nested(500), admin.info.token) is grpc.StatusCode.INVALID_ARGUMENT


def test_s1_no_call_but_an_attempts_is_taken_without_the_token(admin):
    with grpc.insecure_channel(admin.info.grpc) as channel:
        for method in METHODS:
            if method.containing_service.name != "Attempt":
                for token in ("", "x"):
                    assert send(channel, method, b"", token) is grpc.StatusCode.UNAUTHENTICATED, (
                        method.full_name
                    )


def test_s5_an_error_reaches_a_client_with_the_usual_limits_whatever_is_in_it(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    get = executions_pb2.GetExecutionRequest
    assert isinstance(refused(admin.executions.GetExecution, get(execution_id=EMOJI)), errors.NotFound)
    assert isinstance(refused(admin.launch, overwrite_cache=[EMOJI]), errors.NotFound)
    odd = literals_pb2.LiteralMap(values=[literals_pb2.NamedLiteral(name=EMOJI)])
    assert isinstance(refused(admin.launch, inputs=odd), errors.ConversionError)
    task = graph.task("x" * 100_000)
    assert refused(admin.register, task).code == "InvalidName"


@pytest.mark.parametrize("text", ['{"n": "\\ud800"}', '{"\\ud800": 1}'], ids=["value", "name"])
def test_s5_half_a_surrogate_pair_is_a_value_that_does_not_fit(admin, graph, text):
    admin.register(graph.task(), graph.workflow(), version="v1")
    assert isinstance(refused(admin.launch, inputs_json=text), errors.ConversionError)
    plan = {"name": "m.wf", "project": "p", "domain": "development"}
    headers = {"Authorization": f"Bearer {admin.info.token}", "Content-Type": "application/json"}
    with httpx.Client(base_url=f"http://{admin.info.http}", headers=headers, trust_env=False) as client:
        for body in (json.dumps({"launchPlan": plan, "inputsJson": text}), text):
            answer = client.post("/typedflow.v1.Executions/CreateExecution", content=body)
            assert (answer.status_code, answer.json()["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize("place", [10**30, -1, 2**63, True, 1.5, None, "text"])
def test_s5_a_forged_page_token_is_refused(admin, graph, place):
    admin.register(graph.task(), graph.workflow(), version="v1")
    id_ = admin.launch().id
    token = pages.token(place, "nodes", id_, "")
    request = executions_pb2.ListNodesRequest(execution_id=id_, page_token=token)
    assert refused(admin.executions.ListNodes, request).code == "InvalidPageToken"


@pytest.mark.parametrize("place", ["\ud800", "a\0b", 5])
def test_s5_a_forged_name_in_a_page_token_is_refused(admin, place):
    kind = identifiers_pb2.ENTITY_KIND_TASK
    token = pages.token(place, "entities", kind, "p", "development", "")
    deep = base64.urlsafe_b64encode(b"[" * 50_000).decode()
    for page_token in (token, deep):
        request = registry_pb2.ListEntitiesRequest(
            kind=kind, project="p", domain="development", page_token=page_token
        )
        assert refused(admin.registry.ListEntities, request).code == "InvalidPageToken"


def test_s5_numbers_at_the_end_of_their_range_are_registered_or_refused(admin, graph):
    task = graph.task()
    task.interface.inputs[0].default.file.blob.size = 2**64 - 1
    assert isinstance(refused(admin.register, task), errors.CompileError)


def test_s5_what_a_journal_keeps_has_a_limit(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    request = executions_pb2.AbortExecutionRequest(execution_id=admin.launch().id, reason="r" * 5000)
    assert refused(admin.executions.AbortExecution, request).where == "reason"
    begin = attempt_pb2.BeginRequest(runner_uid="u", note="n" * 5000)
    assert refused(admin.attempts.Begin, begin).where == "note"


def test_s5_what_names_nothing_is_refused_by_every_call_that_names_an_execution(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    launched = admin.launch().id
    executions = admin.executions
    for id_ in ("", "x-absent", EMOJI, "a\0b"):
        for call, request in (
            (executions.RelaunchExecution, executions_pb2.RelaunchExecutionRequest(execution_id=id_)),
            (executions.RecoverExecution, executions_pb2.RecoverExecutionRequest(execution_id=id_)),
            (executions.SignalNode, executions_pb2.SignalNodeRequest(execution_id=id_, approved=True)),
            (executions.GetAttempt, executions_pb2.GetAttemptRequest(execution_id=id_, node="a")),
        ):
            assert isinstance(refused(call, request), errors.NotFound), (id_, request)
        launch = propeller_pb2.LaunchChildRequest(execution_id=id_, epoch=1, node="a")
        assert refused(admin.propeller.LaunchChild, launch).code == "Fenced"
        abort = propeller_pb2.AbortChildRequest(execution_id=id_, epoch=1, node="a")
        assert refused(admin.propeller.AbortChild, abort).code == "Fenced"
    for node in ("", "z", EMOJI, "a\0b", "a[0]", "a.b", "[", "]", ".", "." * 1_000_000):
        signal = executions_pb2.SignalNodeRequest(execution_id=launched, node=node, approved=True)
        assert isinstance(refused(executions.SignalNode, signal), errors.NotFound), node
        attempt = executions_pb2.GetAttemptRequest(execution_id=launched, node=node)
        assert isinstance(refused(executions.GetAttempt, attempt), errors.NotFound), node
        nodes = executions_pb2.ListNodesRequest(execution_id=launched, parent=node or "z")
        assert isinstance(refused(executions.ListNodes, nodes), errors.NotFound), node
        relaunch = executions_pb2.RelaunchExecutionRequest(
            execution_id=launched, overwrite_cache=[node or "z"]
        )
        assert isinstance(refused(executions.RelaunchExecution, relaunch), errors.NotFound), node
    assert len(executions.ListExecutions(executions_pb2.ListExecutionsRequest()).executions) == 1


def test_s5_what_somebody_says_to_an_execution_has_a_limit(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    id_ = admin.launch().id
    signal = executions_pb2.SignalNodeRequest(execution_id=id_, node="a", approved=True, reason="r" * 5000)
    assert refused(admin.executions.SignalNode, signal).where == "reason"
    abort = propeller_pb2.AbortChildRequest(execution_id=id_, epoch=1, node="a", reason="r" * 5000)
    assert refused(admin.propeller.AbortChild, abort).where == "reason"
    for text in ("[" * 100_000, '"\\ud800"', "NaN"):
        plan = executions_pb2.CreateExecutionRequest(launch_plan=admin.plan("m.wf"), inputs_json=text)
        request = executions_pb2.PlanExecutionRequest(launch=plan)
        assert isinstance(refused(admin.executions.PlanExecution, request), errors.ConversionError)


def test_s5_too_many_keys_at_once_are_refused(admin):
    request = catalog_pb2.LookupRequest(keys=["k"] * 1001)
    assert refused(admin.catalog.Lookup, request).where == "keys"


class TestFullDisk:
    """With a database that can't grow."""

    @pytest.fixture
    def options(self, options, monkeypatch):
        set_up = database._set_up_sqlite

        def small(connection: sqlite3.Connection, record: object) -> None:
            set_up(connection, record)  # type: ignore[arg-type]
            connection.execute("PRAGMA max_page_count = 100")

        monkeypatch.setattr(database, "_set_up_sqlite", small)
        return options

    def test_a_database_that_refuses_is_unavailable_and_the_server_goes_on(self, admin, graph):
        admin.register(graph.task(), version="v1")
        big = graph.task("m.big", description="d" * 2_000_000)
        error = refused(admin.register, big)
        assert isinstance(error, errors.ServerUnreachable)
        assert error.code == "DiskFull"
        assert "full" in error.message
        admin.register(graph.task("m.small"), version="v1")
