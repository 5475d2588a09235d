"""What programs read of executions and nodes."""

from types import SimpleNamespace

import pytest

from typedflow import client, errors, literal_types, literals
from typedflow.cli import following, records
from typedflow.dataplane import digests
from typedflow.pb import catalog_pb2, executions_pb2, interface_pb2, literals_pb2


def node(ended_at_us: int) -> executions_pb2.NodeExecution:
    return executions_pb2.NodeExecution(
        id="a", cache=catalog_pb2.CACHE_STATUS_MISS, cache_reason="absent", ended_at_us=ended_at_us
    )


@pytest.mark.parametrize(("ended_at_us", "told"), [(0, (None, None)), (1, ("MISS", "absent"))])
def test_what_the_cache_did_for_a_node_is_told_once_it_is_final(ended_at_us, told):
    record = records.node(node(ended_at_us))
    assert (record["cache"], record["cache_reason"]) == told


@pytest.mark.parametrize(("reason", "told"), [("", "retry after ValueError"), ("aborted", "aborted")])
def test_a_note_stands_for_the_reason_where_there_is_none(reason, told):
    message = executions_pb2.NodeExecution(id="a", reason=reason, note="retry after ValueError")
    assert records.node(message)["reason"] == told


def test_an_executions_nodes_are_there_only_when_they_were_asked_for():
    assert "nodes" not in records.execution(executions_pb2.Execution())
    assert records.execution(executions_pb2.Execution(), ())["nodes"] == []


def run_with(data: bytes, *, size: int, arrives: bytes, asked: list[str]) -> client.Run:
    """A run with a large output."""

    def get_value(execution_id: str, variable: str, digest: str) -> list[bytes]:
        assert (execution_id, digest) == ("e", digests.of_bytes(data))
        asked.append(variable)
        return [arrives[:5], arrives[5:]]

    message = executions_pb2.Execution(id="e", phase=executions_pb2.PHASE_SUCCEEDED)
    blob = literals_pb2.Blob(uri="file:///x", digest=digests.of_bytes(data), size=size)
    value = literals_pb2.Literal(offloaded=literals_pb2.Offloaded(blob=blob))
    message.outputs.values.add(name="numbers", value=value)
    message.interface.outputs.add(name="numbers", type=literal_types.list_of(literal_types.INT))
    server = SimpleNamespace(get_value=get_value, nodes=lambda _: [])
    return client.Run(server, message)


NUMBERS = literals_pb2.Literal(
    list=literals.pack([literals.from_int(n) for n in range(9)])
).SerializeToString()


def test_a_large_value_is_fetched_once_and_is_plain():
    asked: list[str] = []
    run = run_with(NUMBERS, size=len(NUMBERS), arrives=NUMBERS, asked=asked)
    assert run.outputs.numbers == run.outputs.numbers == list(range(9))
    assert following.record(run)["outputs"] == {"numbers": list(range(9))}
    assert asked == ["numbers"]
    assert run.message.outputs.values[0].value.HasField("offloaded")


def test_a_value_of_more_than_16_mib_is_told_to_programs_by_where_it_is():
    asked: list[str] = []
    run = run_with(NUMBERS, size=16 * 1024 * 1024 + 1, arrives=NUMBERS, asked=asked)
    outputs = following.record(run)["outputs"]
    assert isinstance(outputs, dict)
    assert outputs["numbers"]["uri"] == "file:///x"
    assert asked == []


def test_a_large_value_that_arrives_as_something_else_is_refused():
    run = run_with(NUMBERS, size=len(NUMBERS), arrives=NUMBERS[:-1], asked=[])
    with pytest.raises(errors.IntegrityError, match="numbers"):
        _ = run.outputs


def test_s3_what_is_sensitive_or_not_known_is_not_shown():
    secret = literal_types.sensitive(literal_types.STRING)
    given = literals.as_map({name: literals.from_str("pw") for name in ("user", "password", "other")})
    variables = [
        interface_pb2.Variable(name="user", type=literal_types.STRING),
        interface_pb2.Variable(name="password", type=secret),
    ]
    assert records.values(given, variables) == {"user": "pw", "password": "***", "other": "***"}
