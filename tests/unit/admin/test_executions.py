"""Launching and watching, without anybody who drives."""

import grpc
import pytest

from typedflow import errors, literal_types, literals, rpc
from typedflow.pb import data_pb2, executions_pb2


def refused(call, *arguments, **named):
    """The error that the server raised."""
    with pytest.raises(grpc.RpcError) as failure:
        list(call(*arguments, **named))
    return rpc.error_from(failure.value)


@pytest.fixture
def registered(admin, graph):
    fixed = graph.plan("m.fixed", fixed_inputs=graph.ints(n=5), max_parallelism=2)
    admin.register(
        graph.task(), graph.workflow(), graph.plan(default_inputs=graph.ints(n=7)), fixed, version="v1"
    )
    return admin


def inputs(execution: executions_pb2.Execution) -> dict[str, object]:
    return {value.name: literals.to_json(value.value) for value in execution.inputs.values}


def test_l1_defaults_are_taken_and_may_be_overridden(registered, graph):
    assert inputs(registered.launch("m.wf")) == {"n": 3}
    assert inputs(registered.launch("nightly")) == {"n": 7}
    assert inputs(registered.launch("nightly", inputs=graph.ints(n=8))) == {"n": 8}
    assert inputs(registered.launch("nightly", inputs_json='{"n": 9}')) == {"n": 9}
    assert inputs(registered.launch("m.fixed")) == {"n": 5}


def test_l1_everything_that_does_not_fit_is_named_at_once(registered, graph):
    error = refused(registered.launch, "m.fixed", inputs=graph.ints(n=1, z=2), inputs_json='{"q": 3}')
    assert isinstance(error, errors.ConversionError)
    for part in ("inputs.n: fixed by the launch plan", "inputs.z: unknown", "inputs.q: unknown"):
        assert part in error.message
    mistyped = refused(registered.launch, "m.wf", inputs_json='{"n": "three"}')
    assert isinstance(mistyped, errors.ConversionError)
    assert mistyped.where == "inputs.n"


@pytest.mark.parametrize("text", ["{", "[1]", '"n"', "[" * 100_000])
def test_s5_inputs_that_are_no_json_object_are_refused(registered, text):
    assert isinstance(refused(registered.launch, inputs_json=text), errors.ConversionError)


def test_l1_the_newest_version_is_launched_when_none_is_named(registered, graph):
    registered.register(graph.task(retries=1), graph.workflow(), version="v2")
    assert registered.launch("wf").workflow.version == "v2"
    request = executions_pb2.CreateExecutionRequest(launch_plan=registered.plan("wf", "v1"))
    assert registered.executions.CreateExecution(request).execution.workflow.version == "v1"


def test_a_launch_of_the_same_id_happens_once(registered, graph):
    id_ = f"{registered.project}-once"
    first = registered.launch(id=id_, inputs=graph.ints(n=1))
    assert registered.launch(id=id_, inputs=graph.ints(n=1)) == first
    assert isinstance(refused(registered.launch, id=id_, inputs=graph.ints(n=2)), errors.VersionConflict)


def test_an_execution_has_an_id_that_sorts_by_time_and_a_principal(registered):
    made = [registered.launch() for _ in range(3)]
    assert len({execution.id for execution in made}) == 3
    assert made[0].id[:8] <= made[1].id[:8] <= made[2].id[:8]
    assert made[0].principal.startswith("local:")


def test_what_is_not_there_is_said_with_what_is_near(registered):
    assert refused(registered.launch, "nigthly").hint == "did you mean `m.nightly`?"
    node = refused(registered.launch, overwrite_cache=["aa"])
    assert isinstance(node, errors.NotFound)
    assert "has no node `aa`" in node.message
    absent = executions_pb2.GetExecutionRequest(execution_id="x-absent")
    assert isinstance(refused(registered.executions.GetExecution, absent), errors.NotFound)
    assert isinstance(refused(registered.launch, id="No Label"), errors.UsageError)


def test_executions_are_listed_newest_first_page_by_page(registered):
    made = [registered.launch().id for _ in range(5)]
    request = executions_pb2.ListExecutionsRequest(
        project=registered.project, domain="development", page_size=2
    )
    found = []
    while True:
        answer = registered.executions.ListExecutions(request)
        found += [execution.id for execution in answer.executions]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert found == made[::-1]
    request.launch_plan = "m.other"
    assert refused(registered.executions.ListExecutions, request).code == "InvalidPageToken"
    request.page_size = 1001
    assert refused(registered.executions.ListExecutions, request).code == "InvalidPageSize"


def test_nodes_are_there_from_the_start_in_order(registered):
    execution = registered.launch()
    request = executions_pb2.ListNodesRequest(execution_id=execution.id, page_size=1)
    first = registered.executions.ListNodes(request)
    request.page_token = first.next_page_token
    second = registered.executions.ListNodes(request)
    nodes = [*first.nodes, *second.nodes]
    assert [(node.id, node.task, node.phase) for node in nodes] == [
        ("a", "m.inc", executions_pb2.PHASE_QUEUED),
        ("b", "m.inc", executions_pb2.PHASE_QUEUED),
    ]
    assert second.next_page_token == ""


def test_a_watch_begins_with_everything_as_it_is(registered):
    execution = registered.launch()
    watch = registered.executions.WatchExecution(
        executions_pb2.WatchExecutionRequest(execution_id=execution.id)
    )
    first = next(watch)
    watch.cancel()
    assert first.execution == execution
    assert [node.id for node in first.nodes] == ["a", "b"]
    absent = executions_pb2.WatchExecutionRequest(execution_id="x-absent")
    assert isinstance(refused(registered.executions.WatchExecution, absent), errors.NotFound)


def test_logs_of_a_node_that_did_not_run_say_so(registered):
    execution = registered.launch()
    for request, kind in (
        ({"execution_id": execution.id, "node": "a"}, errors.StateConflict),
        ({"execution_id": execution.id, "node": "a", "attempt": 2}, errors.NotFound),
        ({"execution_id": execution.id, "node": "z"}, errors.NotFound),
        ({"execution_id": "x-absent", "node": "a"}, errors.NotFound),
    ):
        message = executions_pb2.ReadLogsRequest(**request)
        assert isinstance(refused(registered.executions.ReadLogs, message), kind)


def test_d1_the_bytes_of_a_value_are_kept_and_named_by_content(registered):
    parts = [data_pb2.PutValueRequest(project=registered.project, data=b"x" * 1_000_000) for _ in range(3)]
    blob = registered.data.PutValue(iter(parts)).blob
    assert blob.size == 3_000_000
    assert registered.data.PutValue(iter(parts)).blob == blob


def test_a_value_that_points_at_nothing_is_in_the_execution_itself(registered):
    execution = registered.launch()
    request = data_pb2.GetValueRequest(execution_id=execution.id, variable="n")
    assert "in the execution itself" in refused(registered.data.GetValue, request).hint
    request.variable = "q"
    assert refused(registered.data.GetValue, request).hint == "there are n"
    request.node = "z"
    assert isinstance(refused(registered.data.GetValue, request), errors.NotFound)


def test_s3_a_sensitive_input_is_in_no_answer(admin, graph):
    secret = literal_types.sensitive(literal_types.STRING)
    workflow = graph.workflow()
    workflow.interface.inputs.add(name="password", type=secret)
    admin.register(graph.task(), workflow, graph.plan(), version="v1")
    launched = admin.launch("m.wf", inputs_json='{"password": "hunter2"}')
    assert inputs(launched) == {"n": 3, "password": "***"}
    got = admin.executions.GetExecution(executions_pb2.GetExecutionRequest(execution_id=launched.id))
    listed = admin.executions.ListExecutions(executions_pb2.ListExecutionsRequest(project=launched.project))
    assert b"hunter2" not in got.SerializeToString() + listed.SerializeToString()
