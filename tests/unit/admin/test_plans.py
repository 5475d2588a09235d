"""C9: what a launch would do, before it does it."""

import pytest
from typedflow_admin import cache_store

from tests.unit.admin.execution_world import (
    World,
    binding,
    calls,
    constant,
    promise,
    task,
    variable,
    workflow,
)
from typedflow import errors, identifiers, literal_types, literals
from typedflow.pb import executions_pb2, workflows_pb2

HIT, RUN, WAIT = executions_pb2.DECISION_HIT, executions_pb2.DECISION_RUN, executions_pb2.DECISION_WAIT
SKIP, RECOVER = executions_pb2.DECISION_SKIP, executions_pb2.DECISION_RECOVER
INTS = literal_types.list_of(literal_types.INT)


def number(value: int):
    return {"x": literals.from_int(value)}


def made(world: World, of, given: int, gives: int, *, node: str = "a", wall_seconds: float = 2.0) -> str:
    """An execution in which a task gave something, which the cache has since."""
    id_ = world.launch("m.wf", inputs_json=f'{{"n": {given}}}').id
    world.hold()
    outputs = {"o0": literals.from_int(gives)}
    world.succeed(id_, node, of, number(given), outputs, wall_seconds)
    return id_


def chain(world: World) -> None:
    world.register(
        task(),
        workflow(
            calls("a", "m.inc", promise("", "n")),
            calls("b", "m.inc", promise("a")),
            calls("c", "m.inc", promise("b")),
        ),
    )


def decisions(planned) -> dict[str, int]:
    return {id_: node.decision for id_, node in planned.items()}


def test_c9_what_is_behind_what_runs_waits_for_it(world):
    chain(world)
    planned = world.plan(inputs_json='{"n": 1}')
    assert decisions(planned) == {"a": RUN, "b": WAIT, "c": WAIT}
    assert [planned[id_].reason for id_ in "abc"] == ["it has not run before", "after a", "after b"]
    assert planned["a"].cache_key
    assert not planned["a"].HasField("usage")


def test_c9_what_the_cache_has_is_taken_and_what_is_behind_it_is_asked_for(world):
    chain(world)
    producer = made(world, task(), 1, 2)
    planned = world.plan(inputs_json='{"n": 1}')
    assert decisions(planned) == {"a": HIT, "b": RUN, "c": WAIT}
    assert (planned["a"].producer_execution_id, planned["a"].producer_node) == (producer, "a")
    assert [planned[id_].usage.wall_seconds for id_ in "abc"] == [2.0, 2.0, 2.0]
    assert planned["b"].reason == "input x 1 -> 2"


def test_c9_what_another_makes_just_now_is_waited_for(world):
    alone = task()
    alone.options.cache.serialize = True
    world.register(alone, workflow(calls("a", "m.inc", promise("", "n")), calls("b", "m.inc", promise("a"))))
    key = world.plan(inputs_json='{"n": 1}')["a"].cache_key
    holder = world.launch("m.wf", inputs_json='{"n": 1}').id
    world.hold()
    row = cache_store.ReservationRow(key, holder, "a")
    world.run(world.store.write(lambda transaction: transaction.reservations.grant([row])))
    planned = world.plan(inputs_json='{"n": 1}')
    assert decisions(planned) == {"a": WAIT, "b": WAIT}
    assert planned["a"].reason == f"node a of execution {holder} makes it"
    assert decisions(world.plan(inputs_json='{"n": 2}')) == {"a": RUN, "b": WAIT}


def test_c9_a_plan_is_what_then_happens(world):
    chain(world)
    made(world, task(), 1, 2)
    made(world, task(), 2, 3)
    made(world, task(), 3, 9)
    planned = world.plan(inputs_json='{"n": 1}')
    assert decisions(planned) == {"a": HIT, "b": HIT, "c": HIT}
    anew = world.plan(inputs_json='{"n": 1}', overwrite_cache=["b"])
    assert decisions(anew) == {"a": HIT, "b": RUN, "c": WAIT}
    assert anew["b"].reason == "made anew, as asked"


def test_c9_usage_is_the_mean_of_what_the_task_took(world):
    chain(world)
    made(world, task(), 5, 6, wall_seconds=1.0)
    made(world, task(), 7, 8, wall_seconds=4.0)
    assert world.plan(inputs_json='{"n": 1}')["a"].usage.wall_seconds == 2.5


def test_c9_what_is_not_cached_runs(world):
    world.register(task(cached=False), workflow(calls("a", "m.inc", promise("", "n"))))
    planned = world.plan(inputs_json='{"n": 1}')
    assert (planned["a"].decision, planned["a"].reason) == (RUN, "not cached")


def mapped(world: World, *, cached: bool = True) -> None:
    node = workflows_pb2.Node(id="m", inputs=[binding(promise("", "n"))])
    node.map.task.CopyFrom(identifiers.task("m.inc"))
    total = task("m.total", INTS)
    flat = workflow(calls("a", "m.inc", promise("", "n")))
    whole = workflow(node, calls("t", "m.total", promise("m")), name="m.mapped", takes=INTS)
    world.register(task(cached=cached), total, flat, whole)


def test_c9_a_map_counts_the_slots_that_the_cache_has(world):
    mapped(world)
    made(world, task(), 1, 2)
    planned = world.plan("m.mapped", inputs_json='{"n": [1, 5, 6]}')
    assert decisions(planned) == {"m": RUN, "m[0]": HIT, "m[1]": RUN, "m[2]": RUN, "t": WAIT}
    assert (planned["m"].slots.total, planned["m"].slots.hits) == (3, 1)
    # Two slots that take what one usually does.
    assert planned["m"].usage.wall_seconds == 4.0
    assert (planned["t"].reason, planned["m"].kind) == ("after m", executions_pb2.NODE_KIND_MAP)


def test_c9_a_map_of_which_the_cache_has_all_lets_the_rest_go_on(world):
    mapped(world)
    for value in (1, 5):
        made(world, task(), value, value + 1)
    planned = world.plan("m.mapped", inputs_json='{"n": [1, 5, 1]}')
    assert decisions(planned) == {"m": HIT, "t": RUN}
    assert (planned["m"].slots.total, planned["m"].slots.hits) == (3, 3)
    assert decisions(world.plan("m.mapped", inputs_json='{"n": []}')) == {"m": HIT, "t": RUN}


def test_c9_of_a_map_that_is_not_cached_all_slots_run(world):
    mapped(world, cached=False)
    planned = world.plan("m.mapped", inputs_json='{"n": [1, 2]}')
    assert decisions(planned) == {"m": RUN, "t": WAIT}
    assert (planned["m"].reason, planned["m"].slots.total) == ("not cached", 2)


def test_c9_more_slots_than_run_at_once_are_all_asked_for(world):
    mapped(world)
    made(world, task(), 1, 2)
    values = [1] * 1200 + [5] + [1] * 1200
    planned = world.plan("m.mapped", inputs_json=f'{{"n": {values}}}')
    assert (planned["m"].slots.total, planned["m"].slots.hits) == (2401, 2400)
    assert len(planned) == 2 + 1000
    assert decisions(world.plan("m.mapped", inputs_json=f'{{"n": {[1] * 2401}}}')) == {"m": HIT, "t": RUN}


def branched(world: World) -> None:
    node = workflows_pb2.Node(id="size")
    small = node.branch.cases.add()
    small.condition.comparison.operator = workflows_pb2.OPERATOR_LESS
    small.condition.comparison.left.CopyFrom(promise("a"))
    small.condition.comparison.right.CopyFrom(constant(literals.from_int(10)))
    small.outputs.bindings.append(binding(promise("size.small"), "o0"))
    node.branch.cases.add().outputs.bindings.append(binding(promise("size.large"), "o0"))
    node.branch.outputs.append(variable("o0"))
    cases = [
        calls(
            f"size.{name}",
            "m.inc",
            promise("a"),
            section=workflows_pb2.Section(branch=workflows_pb2.BranchSection(node="size", case=case)),
        )
        for case, name in enumerate(("small", "large"))
    ]
    whole = workflow(
        calls("a", "m.inc", promise("", "n")), node, *cases, calls("end", "m.inc", promise("size"))
    )
    world.register(task(), whole)


def test_c9_a_conditional_that_can_be_decided_shows_its_case(world):
    branched(world)
    unknown = world.plan(inputs_json='{"n": 1}')
    assert decisions(unknown) == {
        "a": RUN, "size": WAIT, "size.small": WAIT, "size.large": WAIT, "end": WAIT,
    }  # fmt: skip
    assert (unknown["size"].reason, unknown["size.small"].reason) == ("after a", "after a, size")
    made(world, task(), 1, 2)
    decided = world.plan(inputs_json='{"n": 1}')
    assert decisions(decided) == {
        "a": HIT, "size": RUN, "size.small": RUN, "size.large": SKIP, "end": WAIT,
    }  # fmt: skip
    assert (decided["size"].reason, decided["size.large"].reason) == ("takes case 1", "its case is not taken")


def test_c9_gates_handlers_and_launches_are_told_as_what_they_are(world):
    gate = workflows_pb2.Node(
        id="ask", gate=workflows_pb2.GateNode(signal=workflows_pb2.SignalGate(type=literal_types.INT))
    )
    sub = workflows_pb2.Node(id="sub", inputs=[binding(promise("", "n"), "n")])
    sub.launch_plan.launch_plan.CopyFrom(identifiers.launch_plan("m.inner"))
    section = workflows_pb2.Section(failure=workflows_pb2.FailureSection())
    handler = calls("handler", "m.inc", constant(literals.from_int(1)), section=section)
    inner = workflow(calls("a", "m.inc", promise("", "n")), name="m.inner")
    world.register(task(), inner, workflow(gate, sub, calls("a", "m.inc", promise("ask")), handler))
    planned = world.plan(inputs_json='{"n": 1}')
    assert [(planned[id_].decision, planned[id_].reason) for id_ in ("ask", "sub", "a", "handler")] == [
        (WAIT, "for somebody to give a value"),
        (RUN, "it launches an execution"),
        (WAIT, "after ask"),
        (SKIP, "only when the execution fails"),
    ]


def test_a_plan_launches_nothing_and_refuses_what_a_launch_refuses(world):
    chain(world)
    for request in ({}, {"inputs_json": '{"n": "one"}'}, {"inputs_json": '{"n": 1, "z": 1}'}):
        with pytest.raises(errors.ConversionError):
            world.plan(**request)
    with pytest.raises(errors.NotFound):
        world.plan(inputs_json='{"n": 1}', overwrite_cache=["z"])
    with pytest.raises(errors.NotFound):
        world.plan("m.absent")
    world.plan(inputs_json='{"n": 1}')
    page = world.run(world.executions.page(executions_pb2.ListExecutionsRequest()))
    assert not page.executions


def test_s3_a_sensitive_input_is_in_no_plan(world):
    secret = literal_types.sensitive(literal_types.STRING)
    of = task("m.login", secret)
    world.register(of, workflow(calls("a", "m.login", promise("", "n")), takes=secret))
    first = world.launch(inputs_json='{"n": "hunter1"}').id
    world.hold()
    world.succeed(first, "a", of, {"x": literals.from_str("hunter1")}, {"o0": literals.from_int(1)})
    planned = world.plan(inputs_json='{"n": "hunter2"}')
    assert planned["a"].decision == RUN
    assert "hunter" not in str(planned["a"])
