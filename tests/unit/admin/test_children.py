"""Executions that nodes launch."""

from typing import Any

import pytest
from typedflow_admin import children

from tests.unit.admin.execution_world import World, calls, promise, task, workflow
from typedflow import errors, identifiers, literals
from typedflow.pb import errors_pb2, executions_pb2, propeller_pb2, workflows_pb2

INPUTS = literals.as_map({"n": literals.from_int(4)})


@pytest.fixture
def parent(world: World) -> str:
    node = workflows_pb2.Node(id="sub", inputs=[execution_binding()])
    node.launch_plan.launch_plan.CopyFrom(identifiers.launch_plan("m.inner"))
    inner = workflow(calls("a", "m.inc", promise("", "n")), name="m.inner")
    world.register(task(), inner, workflow(node, name="m.outer"))
    id_ = world.launch("m.outer", inputs_json='{"n": 4}').id
    world.hold()
    return id_


def execution_binding() -> workflows_pb2.Binding:
    return workflows_pb2.Binding(variable="n", value=promise("", "n"))


def request(world: World, parent: str, node: str = "sub", **fields: Any) -> propeller_pb2.LaunchChildRequest:
    asked = propeller_pb2.LaunchChildRequest(
        execution_id=parent,
        epoch=world.lease(parent).epoch,
        node=node,
        launch_plan=identifiers.launch_plan("m.inner", project="p", domain="development", version="v1"),
        inputs=INPUTS,
    )
    asked.MergeFrom(propeller_pb2.LaunchChildRequest(**fields))
    return asked


def launch(world: World, parent: str, **fields: Any) -> str:
    return world.run(world.children.launch(request(world, parent, **fields)))


def test_a_child_is_launched_once_under_an_id_that_follows_from_its_parent(world, parent):
    child = launch(world, parent)
    assert child == launch(world, parent) == children.child_id(parent, "sub")
    shown = world.get(child)
    assert (shown.parent_execution_id, shown.parent_node) == (parent, "sub")
    assert shown.inputs == INPUTS
    assert not identifiers.check_label(child)
    assert world.told(parent, "child_ended") == []


def test_a_childs_end_is_told_in_the_transaction_that_ends_it(world, parent):
    child = launch(world, parent)
    world.hold()
    outputs = literals.as_map({"o0": literals.from_int(5)})
    world.end(child, executions_pb2.PHASE_SUCCEEDED, outputs=outputs)
    told = world.told(parent, "child_ended")
    assert [(each.node, each.execution_id, each.outputs) for each in told] == [("sub", child, outputs)]
    # Who asks after the end is told again: it may have lost what it was told.
    assert launch(world, parent) == child
    assert world.told(parent, "child_ended") == told * 2


def test_a_childs_error_is_its_nodes(world, parent):
    child = launch(world, parent)
    world.hold()
    error = errors_pb2.ExecutionError(code="ValueError", message="no", node="a")
    world.end(child, executions_pb2.PHASE_FAILED, error=error)
    assert [each.error for each in world.told(parent, "child_ended")] == [error]


def test_only_who_holds_the_parent_launches(world, parent):
    asked = request(world, parent)
    asked.epoch += 1
    with pytest.raises(errors.StateConflict) as refused:
        world.run(world.children.launch(asked))
    assert refused.value.code == "Fenced"
    abort = propeller_pb2.AbortChildRequest(execution_id=parent, epoch=asked.epoch, node="sub")
    with pytest.raises(errors.StateConflict):
        world.run(world.children.abort(abort))
    assert world.read(lambda t: t.executions.find(children.child_id(parent, "sub"))) is None


def test_inputs_that_do_not_fit_are_refused(world, parent):
    asked = request(world, parent)
    asked.inputs.CopyFrom(literals.as_map({"n": literals.from_str("four"), "z": literals.from_int(1)}))
    with pytest.raises(errors.ConversionError) as refused:
        world.run(world.children.launch(asked))
    assert "inputs.z" in str(refused.value)
    assert "inputs.n" in str(refused.value)


def test_executions_launch_one_another_only_so_deep(world, parent):
    for _ in range(children.MOST_NESTED):
        parent = launch(world, parent)
        world.hold()
    with pytest.raises(errors.StateConflict) as refused:
        launch(world, parent)
    assert refused.value.code == "NestingTooDeep"


def test_an_abort_is_passed_on_and_its_end_told(world, parent):
    child = launch(world, parent)
    abort = propeller_pb2.AbortChildRequest(
        execution_id=parent, epoch=world.lease(parent).epoch, node="sub", reason="no more"
    )
    world.run(world.children.abort(abort))
    assert [each.reason for each in world.told(child, "abort_requested")] == ["no more"]
    world.hold()
    world.end(child)
    assert [each.error.code for each in world.told(parent, "child_ended")] == ["Aborted"]
    world.run(world.children.abort(abort))
    assert len(world.told(parent, "child_ended")) == 2


def test_the_abort_of_what_was_never_launched_is_told_as_its_end(world, parent):
    abort = propeller_pb2.AbortChildRequest(execution_id=parent, epoch=world.lease(parent).epoch, node="sub")
    world.run(world.children.abort(abort))
    told = world.told(parent, "child_ended")
    assert [(each.node, each.execution_id, each.error.code) for each in told] == [("sub", "", "Aborted")]


@pytest.mark.parametrize("rerun", ["sub", "*"])
def test_e12_a_child_of_a_recovery_recovers_what_the_same_node_launched(world, parent, rerun):
    child = launch(world, parent)
    world.hold()
    world.end(child)
    world.end(parent)
    recovered = world.run(
        world.relaunches.recover(executions_pb2.RecoverExecutionRequest(execution_id=parent))
    ).execution
    again = world.run(
        world.relaunches.recover(executions_pb2.RecoverExecutionRequest(execution_id=parent, rerun=[rerun]))
    ).execution
    world.hold()
    assert world.get(launch(world, recovered.id)).recovered_from == child
    rerun_child = launch(world, again.id)
    assert world.get(rerun_child).recovered_from == ""
    # What is to run again runs, whatever the cache has.
    assert list(world.told(rerun_child, "execution_started")[0].overwrite_cache) == ["*"]


def test_c11_what_is_made_anew_is_made_anew_in_a_child(world, parent):
    anew = world.launch("m.outer", inputs_json='{"n": 4}', overwrite_cache=["sub"]).id
    world.hold()
    started = world.told(launch(world, anew), "execution_started")[0]
    assert list(started.overwrite_cache) == ["*"]
    assert list(world.told(launch(world, parent), "execution_started")[0].overwrite_cache) == []
    # As that of a node inside of what is named.
    started = world.told(launch(world, anew, node="sub.inner"), "execution_started")[0]
    assert list(started.overwrite_cache) == ["*"]
