"""Any gRPC client works from `idl/` alone: this one compiles the .proto files itself and knows nothing else of us.

Only the server is ours here. The client part imports no module of the package.
"""

import subprocess
import sys
from pathlib import Path
from typing import cast

import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.rpc import status_pb2
from grpc_reflection.v1alpha import reflection_pb2
from typedflow_admin import server

IDL = "typedflow/v1"


@pytest.fixture
def running(tmp_path):
    options = server.Options(tmp_path / "home", port=0, http_port=0)
    with server.EmbeddedServer(options, propeller=False) as info, grpc.insecure_channel(info.grpc) as channel:
        yield channel, (("authorization", f"Bearer {info.token}"),)


@pytest.fixture
def pool(repository, tmp_path) -> descriptor_pool.DescriptorPool:
    """Everything in `idl/`, compiled by protoc."""
    pytest.importorskip("grpc_tools", reason="protoc is not installed")
    compiled = tmp_path / "idl.bin"
    protos = sorted(str(path) for path in (repository / "idl" / IDL).glob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{repository / 'idl'}"]
    subprocess.run([*command, f"--descriptor_set_out={compiled}", *protos], check=True)
    made = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes()).file:
        made.Add(file)
    return made


class Client:
    """Calls by name, with dicts for messages."""

    def __init__(self, running, pool) -> None:
        (self._channel, self._metadata), self._pool = running, pool

    def call(self, service: str, method: str, *requests: dict):
        found = self._pool.FindServiceByName(f"typedflow.v1.{service}").methods_by_name[method]
        make = message_factory.GetMessageClass(found.input_type)
        answer = message_factory.GetMessageClass(found.output_type)
        shape = f"{'stream' if found.client_streaming else 'unary'}_{'stream' if found.server_streaming else 'unary'}"
        stub = getattr(self._channel, shape)(
            f"/typedflow.v1.{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=answer.FromString,
        )
        messages = [json_format.ParseDict(request, make()) for request in requests]
        given = stub(
            iter(messages) if found.client_streaming else messages[0], metadata=self._metadata, timeout=30
        )
        return (
            [json_format.MessageToDict(one) for one in given]
            if found.server_streaming
            else json_format.MessageToDict(given)
        )


INT = {"simple": "SIMPLE_TYPE_INT"}
HEADER = {"header": {"project": "raw", "domain": "development"}}
INTERFACE = {"inputs": [{"name": "x", "type": INT}], "outputs": [{"name": "o0", "type": INT}]}
TASK = {"id": {"name": "m.inc"}, "interface": INTERFACE, "python": {"module": "m", "qualname": "inc"}}


def node(id_: str, source: dict, task: str = "m.inc") -> dict:
    inputs = [{"variable": "x", "value": {"promise": source}}]
    return {"id": id_, "inputs": inputs, "task": {"task": {"name": task}}}


def workflow(*nodes: dict, last: str) -> dict:
    return {
        "id": {"name": "m.wf"},
        "interface": {"inputs": [{"name": "n", "type": INT}], "outputs": INTERFACE["outputs"]},
        "nodes": list(nodes),
        "outputs": [{"variable": "o0", "value": {"promise": {"node": last, "variable": "o0"}}}],
    }


CHAIN = workflow(node("a", {"variable": "n"}), node("b", {"node": "a", "variable": "o0"}), last="b")


def test_a_client_made_from_the_idl_registers_launches_and_looks(running, pool):
    client = Client(running, pool)
    registered = client.call("Registry", "Register", HEADER, {"tasks": [TASK], "workflows": [CHAIN]})
    assert [entity["id"]["name"] for entity in registered["entities"]] == ["m.inc", "m.wf", "m.wf"]
    plan = {"project": "raw", "domain": "development", "name": "wf"}
    launched = client.call("Executions", "CreateExecution", {"launchPlan": plan, "inputsJson": '{"n": 41}'})
    execution = launched["execution"]
    assert execution["inputs"]["values"][0]["value"] == {"integer": "41"}
    nodes = client.call("Executions", "ListNodes", {"executionId": execution["id"]})["nodes"]
    assert [one["id"] for one in nodes] == ["a", "b"]


@pytest.mark.parametrize(
    ("broken", "codes"),
    [
        (workflow(node("a", {"variable": "n"}), node("a", {"variable": "n"}), last="a"), {"DuplicateNodeId"}),
        (
            workflow(
                node("a", {"node": "b", "variable": "o0"}),
                node("b", {"node": "a", "variable": "o0"}),
                last="b",
            ),
            {"CycleDetected"},
        ),
        (workflow(node("a", {"variable": "n"}, task="m.absent"), last="a"), {"TaskReferenceNotFound"}),
        (workflow(node("a", {"variable": "m"}), last="z"), {"VariableNameNotFound", "NodeReferenceNotFound"}),
    ],
    ids=["duplicate", "cycle", "absent-task", "two-at-once"],
)
def test_w5_wrong_wiring_comes_back_as_diagnostics_in_the_status(running, pool, broken, codes):
    with pytest.raises(grpc.RpcError) as refused:
        Client(running, pool).call("Registry", "Register", HEADER, {"tasks": [TASK], "workflows": [broken]})
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    failure = cast("grpc.Call", refused.value)
    trailing = dict(failure.trailing_metadata() or ())
    details = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    diagnostics_class = message_factory.GetMessageClass(
        pool.FindMessageTypeByName("typedflow.v1.Diagnostics")
    )
    packed = next(
        detail for detail in details.details if detail.type_url.endswith("typedflow.v1.Diagnostics")
    )
    found = json_format.MessageToDict(diagnostics_class.FromString(packed.value))["diagnostics"]
    assert codes <= {diagnostic["code"] for diagnostic in found}
    assert {diagnostic["workflow"] for diagnostic in found} == {"m.wf"}


def test_reflection_gives_the_idl_to_clients_that_have_none(running, pool):
    channel, metadata = running
    requests = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="typedflow.v1.Executions"),
    ]
    call = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    services, file = call(iter(requests), metadata=metadata, timeout=30)
    names = {service.name for service in services.list_services_response.service}
    for name in ("Registry", "Executions", "Catalog", "Data", "Propeller", "Attempt"):
        assert f"typedflow.v1.{name}" in names
    given = descriptor_pb2.FileDescriptorProto.FromString(
        file.file_descriptor_response.file_descriptor_proto[0]
    )
    compiled = descriptor_pb2.FileDescriptorProto()
    pool.FindFileByName(f"{IDL}/executions.proto").CopyToProto(compiled)
    assert given.service == compiled.service


def test_the_client_here_knows_nothing_of_the_package():
    source = Path(__file__).read_text("utf-8")
    imported = {
        line.split()[1].partition(".")[0]
        for line in source.splitlines()
        if line.startswith(("import ", "from "))
    }
    assert {name for name in imported if name.startswith("typedflow")} == {"typedflow_admin"}
