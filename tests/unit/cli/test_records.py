"""What programs read of executions and nodes."""

import pytest

from typedflow.cli import records
from typedflow.pb import catalog_pb2, executions_pb2


def node(ended_at_us: int) -> executions_pb2.NodeExecution:
    return executions_pb2.NodeExecution(
        id="a", cache=catalog_pb2.CACHE_STATUS_MISS, cache_reason="absent", ended_at_us=ended_at_us
    )


@pytest.mark.parametrize(("ended_at_us", "told"), [(0, (None, None)), (1, ("MISS", "absent"))])
def test_what_the_cache_did_for_a_node_is_told_once_it_is_final(ended_at_us, told):
    record = records.node(node(ended_at_us))
    assert (record["cache"], record["cache_reason"]) == told


def test_an_executions_nodes_are_there_only_when_they_were_asked_for():
    assert "nodes" not in records.execution(executions_pb2.Execution())
    assert records.execution(executions_pb2.Execution(), ())["nodes"] == []
