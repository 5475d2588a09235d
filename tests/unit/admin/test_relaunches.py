"""E12: launching again what was launched."""

import pytest

from tests.unit.admin.execution_world import World, binding, calls, promise, task, workflow
from typedflow import errors, identifiers, literal_types, literals
from typedflow.pb import events_pb2, executions_pb2, launch_plans_pb2, workflows_pb2

RUN, RECOVER, WAIT = (
    executions_pb2.DECISION_RUN,
    executions_pb2.DECISION_RECOVER,
    executions_pb2.DECISION_WAIT,
)


def register(world: World, *, version: str = "v1", cached: bool = True, **takes) -> None:
    whole = workflow(
        calls("a", "m.inc", promise("", "n")),
        calls("b", "m.inc", promise("a")),
        calls("c", "m.inc", promise("b")),
    )
    for name, (type_, default) in takes.items():
        made = whole.interface.inputs.add(name=name, type=type_)
        if default is not None:
            made.default.CopyFrom(default)
    world.register(task(cached=cached), whole, version=version)


def ended(world: World, *, cached: bool = True, **fields) -> str:
    """An execution of which `a` and `b` succeeded before it failed."""
    register(world, cached=cached)
    id_ = world.launch(inputs_json='{"n": 1}', **fields).id
    world.hold()
    for node, given in (("a", 1), ("b", 2)):
        outputs = {"o0": literals.from_int(given + 1)}
        world.succeed(id_, node, task(cached=cached), {"x": literals.from_int(given)}, outputs)
    world.end(id_, executions_pb2.PHASE_FAILED)
    return id_


def recover(world: World, execution_id: str, **fields) -> executions_pb2.RecoverExecutionResponse:
    request = executions_pb2.RecoverExecutionRequest(execution_id=execution_id, **fields)
    return world.run(world.relaunches.recover(request))


def inputs(execution: executions_pb2.Execution) -> dict[str, object]:
    return {each.name: literals.to_json(each.value) for each in execution.inputs.values}


def started(world: World, execution_id: str) -> events_pb2.ExecutionStarted:
    event: events_pb2.ExecutionStarted = world.told(execution_id, "execution_started")[0]
    return event


def test_e12_a_relaunch_has_the_same_inputs_and_version(world):
    first = ended(world, id="first")
    register(world, version="v2", z=(literal_types.INT, literals.from_int(1)))
    request = executions_pb2.RelaunchExecutionRequest(
        execution_id=first, overwrite_cache=["b"], max_parallelism=3
    )
    again = world.run(world.relaunches.relaunch(request))
    assert inputs(again) == {"n": 1}
    assert (again.launch_plan.version, again.relaunched_from, again.recovered_from) == ("v1", first, "")
    assert (again.max_parallelism, started(world, again.id).max_parallelism) == (3, 3)
    assert list(started(world, again.id).overwrite_cache) == ["b"]


def test_e12_a_relaunch_of_the_same_id_happens_once(world):
    first = ended(world)
    request = executions_pb2.RelaunchExecutionRequest(execution_id=first, id="again")
    assert world.run(world.relaunches.relaunch(request)) == world.run(world.relaunches.relaunch(request))
    request.max_parallelism = 2
    with pytest.raises(errors.VersionConflict):
        world.run(world.relaunches.relaunch(request))


def test_e12_one_that_runs_may_be_relaunched_and_not_recovered(world):
    register(world)
    running = world.launch(inputs_json='{"n": 1}').id
    request = executions_pb2.RelaunchExecutionRequest(execution_id=running)
    assert world.run(world.relaunches.relaunch(request)).id != running
    with pytest.raises(errors.StateConflict) as refused:
        recover(world, running)
    assert (refused.value.code, "QUEUED" in refused.value.message) == ("NotEnded", True)


@pytest.mark.parametrize("cached", [True, False])
def test_e12_a_recovery_takes_what_succeeded_where_keys_are_the_same(world, cached):
    first = ended(world, cached=cached)
    planned = recover(world, first, dry_run=True)
    assert not planned.HasField("execution")
    assert [(node.id, node.decision) for node in planned.nodes] == [
        ("a", RECOVER),
        ("b", RECOVER),
        ("c", RUN),
    ]
    assert (planned.nodes[0].producer_execution_id, planned.nodes[0].producer_node) == (first, "a")
    recovered = recover(world, first)
    assert not recovered.nodes  # what a dry run says takes a while, of a large map
    shown = recovered.execution
    assert (shown.recovered_from, shown.relaunched_from, inputs(shown)) == (first, first, {"n": 1})
    assert started(world, shown.id).recover_from == first


def test_e12_what_is_to_run_again_runs_again(world):
    first = ended(world, cached=False)
    planned = recover(world, first, rerun=["b"], dry_run=True)
    assert [(node.decision, node.reason) for node in planned.nodes[1:]] == [
        (RUN, "run again, as asked"),
        (WAIT, "after b"),
    ]
    recovered = recover(world, first, rerun=["b"]).execution
    assert list(started(world, recovered.id).rerun) == ["b"]
    with pytest.raises(errors.NotFound) as refused:
        recover(world, first, rerun=["b", "x", "y"])
    assert "`x`, `y`" in refused.value.message


def test_e12_an_input_that_is_changed_changes_what_depends_on_it(world):
    first = ended(world)
    assert inputs(recover(world, first, inputs_json='{"n": 7}').execution) == {"n": 7}
    planned = recover(world, first, inputs_json='{"n": 7}', dry_run=True)
    assert [node.decision for node in planned.nodes] == [RUN, WAIT, WAIT]


def test_e12_all_that_is_wrong_with_the_inputs_is_told_at_once(world):
    first = ended(world)
    register(
        world,
        version="v2",
        must=(literal_types.INT, None),
        may=(literal_types.INT, literals.from_int(5)),
    )
    with pytest.raises(errors.ConversionError) as refused:
        recover(world, first, version="v2", inputs_json='{"n": "one", "q": 1}')
    said = str(refused.value)
    assert all(part in said for part in ("inputs.n", "inputs.q: unknown", "inputs.must: missing"))
    recovered = recover(world, first, version="v2", inputs_json='{"must": 3}').execution
    assert inputs(recovered) == {"n": 1, "must": 3, "may": 5}
    assert recovered.launch_plan.version == "v2"
    with pytest.raises(errors.NotFound):
        recover(world, first, version="v3")


def test_e12_what_a_new_version_does_not_take_or_takes_otherwise(world):
    register(world, z=(literal_types.INT, None))
    first = world.launch(inputs_json='{"n": 1, "z": 2}').id
    world.hold()
    world.end(first)
    register(world, version="v2")
    assert inputs(recover(world, first, version="v2").execution) == {"n": 1}
    register(world, version="v3", z=(literal_types.STRING, None))
    with pytest.raises(errors.ConversionError) as refused:
        recover(world, first, version="v3")
    assert refused.value.where == "inputs.z"
    assert inputs(recover(world, first, version="v3", inputs_json='{"z": "2"}').execution) == {
        "n": 1,
        "z": "2",
    }


def test_e12_what_a_launch_plan_fixes_can_not_be_changed(world):
    fixed = launch_plans_pb2.LaunchPlanTemplate(
        id=identifiers.launch_plan("m.fixed"),
        workflow=identifiers.workflow("m.wf"),
        fixed_inputs=literals.as_map({"n": literals.from_int(4)}),
    )
    world.register(task(), workflow(calls("a", "m.inc", promise("", "n"))), fixed)
    first = world.launch("m.fixed").id
    world.hold()
    world.end(first)
    with pytest.raises(errors.ConversionError, match="fixed by the launch plan"):
        recover(world, first, inputs_json='{"n": 5}')
    assert inputs(recover(world, first).execution) == {"n": 4}


def test_e11_what_gates_were_given_is_carried_over_and_approvals_are_not(world):
    signal = workflows_pb2.SignalGate(type=literal_types.INT)
    approval = workflows_pb2.ApprovalGate(type=literal_types.INT)
    count = workflows_pb2.Node(id="count", gate=workflows_pb2.GateNode(signal=signal))
    check = workflows_pb2.Node(id="check", gate=workflows_pb2.GateNode(approval=approval))
    check.inputs.append(binding(promise("count"), "value"))
    world.register(task(), workflow(count, check, calls("a", "m.inc", promise("check"))))
    first = world.launch(inputs_json='{"n": 1}').id
    world.hold()
    for said in (
        {"node": "count", "value_json": "3"},
        {"node": "count", "value_json": "4"},
        {"node": "check", "approved": True},
    ):
        world.run(world.signals.signal(executions_pb2.SignalNodeRequest(execution_id=first, **said)))
    world.commit(first)
    world.end(first)
    second = recover(world, first)
    carried = started(world, second.execution.id).signals
    assert [(each.node, each.value) for each in carried] == [("count", literals.from_int(3))]
    planned = recover(world, first, dry_run=True)
    assert [(node.id, node.decision, node.reason) for node in planned.nodes[:2]] == [
        ("count", RECOVER, "it was told before"),
        ("check", WAIT, "for somebody to approve"),
    ]
    asked_again = recover(world, first, rerun=["count"]).execution
    assert not started(world, asked_again.id).signals
    # And once more, from one that was told nothing itself.
    world.hold()
    world.commit(second.execution.id)
    world.end(second.execution.id)
    third = recover(world, second.execution.id).execution
    assert [each.node for each in started(world, third.id).signals] == ["count"]


def test_an_execution_that_is_not_there_is_not_launched_again(world):
    register(world)
    with pytest.raises(errors.NotFound):
        recover(world, "x-absent")
    with pytest.raises(errors.NotFound):
        world.run(world.relaunches.relaunch(executions_pb2.RelaunchExecutionRequest(execution_id="x-absent")))
    with pytest.raises(errors.UsageError):
        recover(world, "x-absent", id="No Label")
