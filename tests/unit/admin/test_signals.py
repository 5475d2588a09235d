"""E11: what is said to gates."""

import pytest

from tests.unit.admin.execution_world import World, binding, calls, promise, task, workflow
from typedflow import errors, identifiers, literal_types, literals
from typedflow.pb import attempt_pb2, executions_pb2, interface_pb2, workflows_pb2


def gate(id_: str, **fields: object) -> workflows_pb2.Node:
    return workflows_pb2.Node(id=id_, gate=workflows_pb2.GateNode(**fields))  # type: ignore[arg-type]


def asks(id_: str, type_=literal_types.INT) -> workflows_pb2.Node:
    return gate(id_, signal=workflows_pb2.SignalGate(type=type_, prompt="how many?"))


def approves(id_: str) -> workflows_pb2.Node:
    made = gate(id_, approval=workflows_pb2.ApprovalGate(type=literal_types.INT))
    made.inputs.append(binding(promise("", "n"), "value"))
    return made


@pytest.fixture
def launched(world: World) -> str:
    pickled = literal_types.custom("pickle:m.Model", literal_types.BYTES)
    world.register(
        task(),
        workflow(
            asks("count"),
            approves("check"),
            gate("pause", sleep=workflows_pb2.SleepGate(duration_ms=5)),
            asks("model", pickled),
            asks("password", literal_types.sensitive(literal_types.STRING)),
            calls("a", "m.inc", promise("count")),
        ),
    )
    id_ = world.launch(inputs_json='{"n": 1}').id
    world.hold()
    return id_


def say(world: World, execution_id: str, node: str, **said: object) -> None:
    request = executions_pb2.SignalNodeRequest(execution_id=execution_id, node=node, **said)  # type: ignore[arg-type]
    world.run(world.signals.signal(request))


def refused(kind: type[errors.TypedflowError], world, *args: object, **said: object) -> errors.TypedflowError:
    with pytest.raises(kind) as error:
        say(world, *args, **said)  # type: ignore[arg-type]
    return error.value


def test_e11_a_gate_may_be_told_before_it_is_reached(world, launched):
    say(world, launched, "count", value_json="3")
    say(world, launched, "count", value=literals.from_int(4))
    say(world, launched, "check", approved=False, reason="too few")
    told = world.told(launched, "signal_received")
    assert [(each.node, each.principal) for each in told] == [
        ("count", "tester"),
        ("count", "tester"),
        ("check", "tester"),
    ]
    assert [each.value for each in told[:2]] == [literals.from_int(3), literals.from_int(4)]
    assert (told[2].WhichOneof("signal"), told[2].approved, told[2].reason) == ("approved", False, "too few")


def test_e11_a_value_is_converted_by_the_gates_type(world, launched):
    error = refused(errors.ConversionError, world, launched, "count", value_json='"three"')
    assert error.where == "signals.count"
    assert isinstance(
        refused(errors.ConversionError, world, launched, "count", value_json="three"), errors.ConversionError
    )
    refused(errors.ConversionError, world, launched, "count", value=literals.from_str("3"))
    assert "pickled" in str(refused(errors.ConversionError, world, launched, "model", value_json="1"))
    assert world.told(launched, "signal_received") == []


def test_e11_what_can_not_be_told_says_who_waits(world, launched):
    waiting = executions_pb2.NodeExecution(
        id="count", kind=executions_pb2.NODE_KIND_GATE, phase=executions_pb2.PHASE_WAITING
    )
    world.commit(launched, nodes=[waiting])
    assert refused(errors.NotFound, world, launched, "cuont", value_json="3").hint == "`count` waits"
    assert refused(errors.UsageError, world, launched, "a", value_json="3").hint == "`count` waits"
    assert "waits for a time" in str(refused(errors.UsageError, world, launched, "pause", approved=True))
    assert "asks for approval" in str(refused(errors.UsageError, world, launched, "check", value_json="3"))
    assert "asks for a value, int" in str(refused(errors.UsageError, world, launched, "count", approved=True))
    refused(errors.UsageError, world, launched, "count")
    refused(errors.UsageError, world, launched, "check", approved=True, reason="r" * 5000)
    refused(errors.NotFound, world, "x-absent", "count", value_json="3")
    assert world.told(launched, "signal_received") == []


def test_e11_the_first_counts_and_repeating_changes_nothing(world, launched):
    done = executions_pb2.NodeExecution(
        id="count", kind=executions_pb2.NODE_KIND_GATE, phase=executions_pb2.PHASE_SUCCEEDED
    )
    world.commit(launched, nodes=[done])
    say(world, launched, "count", value_json="5")
    assert world.told(launched, "signal_received") == []


def test_e11_an_execution_that_has_ended_takes_no_signal(world, launched):
    world.end(launched)
    error = refused(errors.StateConflict, world, launched, "count", value_json="3")
    assert (error.code, "ABORTED" in error.message) == ("ExecutionEnded", True)


def test_e11_a_gate_of_a_dynamic_task_is_known_by_what_the_task_said(world):
    tune = task("m.tune", dynamic=True)
    world.register(tune, workflow(calls("tune", "m.tune", promise("", "n"))))
    id_ = world.launch(inputs_json='{"n": 1}').id
    world.hold()
    begun = world.begin(world.spec(id_, "tune", tune, {"x": literals.from_int(1)}))
    graph = workflows_pb2.WorkflowTemplate(
        id=identifiers.workflow("m.tune"),
        interface=interface_pb2.Interface(outputs=tune.interface.outputs),
        nodes=[asks("count")],
        outputs=[binding(promise("count"), "o0")],
    )
    world.finish(begun, expanded=attempt_pb2.Expanded(workflow=graph))
    refused(errors.ConversionError, world, id_, "tune.count", value_json='"x"')
    say(world, id_, "tune.count", value_json="3")
    assert [each.node for each in world.told(id_, "signal_received")] == ["tune.count"]
    refused(errors.NotFound, world, id_, "tune.other", value_json="3")


def test_s3_a_sensitive_value_of_a_gate_is_in_no_answer(world, launched):
    waiting = executions_pb2.NodeExecution(
        id="password",
        kind=executions_pb2.NODE_KIND_GATE,
        phase=executions_pb2.PHASE_SUCCEEDED,
        outputs=literals.as_map({"o0": literals.from_str("hunter2")}),
    )
    world.commit(launched, nodes=[waiting])
    shown = world.nodes(launched)["password"]
    assert b"hunter2" not in shown.SerializeToString()
    assert [each.name for each in shown.outputs.values] == ["o0"]
