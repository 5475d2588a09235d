"""What comes over the wire in pieces, and what may not go over it."""

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace

import grpc
import pytest
from typedflow_propeller import admin_client, propeller

from typedflow import errors
from typedflow.pb import (
    attempt_pb2,
    events_pb2,
    propeller_pb2,
    propeller_pb2_grpc,
    workflows_pb2,
)


class Loads(propeller_pb2_grpc.PropellerServicer):
    """Gives an execution as admin does: the workflow, its nodes, the journal."""

    async def Load(self, request, _context) -> AsyncIterator[propeller_pb2.LoadResponse]:  # noqa: N802 - as in the service
        template = workflows_pb2.WorkflowTemplate(description=request.execution_id)
        yield propeller_pb2.LoadResponse(workflow=workflows_pb2.CompiledWorkflow(workflow=template))
        for part in range(3):
            nodes = [workflows_pb2.Node(id=f"n{part}-{i}") for i in range(2)]
            yield propeller_pb2.LoadResponse(nodes=nodes)
        for part in range(2):
            yield propeller_pb2.LoadResponse(events=[events_pb2.Event(time_us=part)])


def test_an_execution_that_comes_in_pieces_is_whole_and_in_order():
    async def story() -> None:
        server = grpc.aio.server()
        propeller_pb2_grpc.add_PropellerServicer_to_server(Loads(), server)  # type: ignore[abstract]  # the rest is not asked
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        client = admin_client.AdminClient(f"127.0.0.1:{port}", "")
        workflow, journal = await client.load("e")
        assert workflow.workflow.description == "e"
        assert [node.id for node in workflow.workflow.nodes] == [
            "n0-0", "n0-1", "n1-0", "n1-1", "n2-0", "n2-1",
        ]  # fmt: skip
        assert [event.time_us for event in journal] == [0, 1]
        await client.close()
        await server.stop(None)

    asyncio.run(story())


def test_a_commit_that_no_message_takes_is_refused_before_it_breaks_the_stream_of_all(tmp_path):
    async def story() -> None:
        admin = SimpleNamespace(check_cache=None)
        driving = propeller.Propeller(admin, SimpleNamespace(id="x"), store_url=str(tmp_path))  # type: ignore[arg-type]  # never asked
        stream = propeller._Stream(driving, [])
        spec = attempt_pb2.AttemptSpec(task="t" * 17_000_000)
        with pytest.raises(errors.UsageError, match="message takes"):
            stream.commit(propeller_pb2.ExecutionCommit(execution_id="e", attempts=[spec]))
        stream.commit(propeller_pb2.ExecutionCommit(execution_id="e")).cancel()

    asyncio.run(story())
