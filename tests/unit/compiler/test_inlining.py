"""Workflows that nodes call: what comes out is as if their nodes had been written out."""

import time

import pytest

from typedflow import literal_types, literals
from typedflow.compiler import inlining
from typedflow.pb.workflows_pb2 import Condition

INT, FLOAT, STRING = literal_types.INT, literal_types.FLOAT, literal_types.STRING
POINT = literal_types.record("Point", {"x": INT, "y": INT})


def tasks(made):
    made.add_task("one", {"n": INT}, {"o0": INT})
    made.add_task("two", {"a": INT, "b": INT}, {"o0": INT})
    made.add_task("all", {"ns": literal_types.list_of(INT)}, {"o0": INT})
    return made


@pytest.fixture
def prep(build):
    """prep(n, p: Point) -> (o0: two(one(n), p.x), point: Point), to be called."""
    made = tasks(build())
    made.template.id.name = "pipeline.prep"
    made.add_input("n", INT)
    made.add_input("p", POINT)
    made.add_node("first", {"n": build.given("n")}, task="one")
    made.add_node("second", {"a": build.of("first"), "b": build.given("p", "x")}, task="two")
    made.add_output("o0", INT, build.of("second"))
    made.add_output("point", POINT, build.given("p"))
    return made


@pytest.fixture
def caller(build, prep):
    made = tasks(build())
    made.workflows["pipeline.prep"] = prep.compiled()
    made.add_input("n", INT)
    made.add_input("point", POINT)
    return made


def ids(compiled):
    return [node.id for node in compiled.workflow.nodes]


def node_of(compiled, node_id):
    return next(node for node in compiled.workflow.nodes if node.id == node_id)


def test_nodes_take_the_place_of_the_call_under_its_id(caller, build):
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    caller.add_node("last", {"n": build.of("w")}, task="one")
    caller.add_output("o0", INT, build.of("w", "point", "y"))
    compiled = caller.compiled()
    assert ids(compiled) == ["w.first", "w.second", "last"]
    assert node_of(compiled, "w.first").inputs[0].value == build.given("n")
    second = node_of(compiled, "w.second")
    assert [each.value for each in second.inputs] == [build.of("w.first"), build.given("point", "x")]
    assert node_of(compiled, "last").inputs[0].value == build.of("w.second")
    assert compiled.workflow.outputs[0].value == build.given("point", "y")
    assert [task.id.name for task in compiled.tasks] == ["pipeline.one", "pipeline.two"]


def test_what_comes_out_is_as_if_the_nodes_had_been_written_out(caller, build):
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    caller.add_call("v", {"n": build.of("w"), "p": build.of("w", "point")}, workflow="prep")
    caller.add_output("o0", INT, build.of("v"))
    written = tasks(build())
    written.add_input("n", INT)
    written.add_input("point", POINT)
    written.add_node("w.first", {"n": build.given("n")}, task="one")
    written.add_node("w.second", {"a": build.of("w.first"), "b": build.given("point", "x")}, task="two")
    written.add_node("v.first", {"n": build.of("w.second")}, task="one")
    written.add_node("v.second", {"a": build.of("v.first"), "b": build.given("point", "x")}, task="two")
    written.add_output("o0", INT, build.of("v.second"))
    assert caller.compiled() == written.compiled()


def test_what_comes_out_compiles_to_itself_and_needs_no_workflow(caller, build):
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    once = caller.compiled()
    again = tasks(build())
    again.template = once.workflow
    assert again.compiled().SerializeToString(deterministic=True) == once.SerializeToString(
        deterministic=True
    )


def test_constants_and_containers_are_followed_into(caller, build):
    point = literals.from_record({"x": literals.from_int(1), "y": literals.from_int(2)})
    caller.add_call("w", {"n": build.value(literals.from_int(3)), "p": build.value(point)}, workflow="prep")
    made = build.record(x=build.of("w"), y=build.given("n"))
    caller.add_call("v", {"n": build.of("w"), "p": made}, workflow="prep")
    compiled = caller.compiled()
    assert node_of(compiled, "w.second").inputs[1].value.literal == literals.from_int(1)
    assert node_of(compiled, "v.second").inputs[1].value == build.of("w.second")
    assert node_of(compiled, "v.first").inputs[0].value == build.of("w.second")


def test_what_passes_through_one_call_after_another_is_what_the_first_was_given(caller, build):
    caller.add_call("w0", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    for i in range(1, 2_000):
        call = {"n": build.given("n"), "p": build.of(f"w{i - 1}", "point")}
        caller.add_call(f"w{i}", call, workflow="prep")
    compiled = caller.compiled()
    assert len(compiled.workflow.nodes) == 4_000
    assert node_of(compiled, "w1999.second").inputs[1].value == build.given("point", "x")


def test_order_only_edges_go_from_the_last_nodes_to_the_first(caller, build):
    caller.add_node("before", {"n": build.given("n")}, task="one")
    call = caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    call.after.append("before")
    caller.add_node("after", {"n": build.given("n")}, task="one", after=["w"])
    compiled = caller.compiled()
    after = {node.id: list(node.after) for node in compiled.workflow.nodes}
    assert after == {"before": [], "w.first": ["before"], "w.second": [], "after": ["w.second"]}


def test_order_only_edges_go_from_the_end_of_a_conditional(caller, build):
    ending = tasks(build())
    ending.template.id.name = "pipeline.ending"
    ending.add_input("n", INT)
    size = ending.add_branch("size", {"o0": INT})
    ending.put(ending.add_node("big", {"n": build.given("n")}, task="one"), "size", 0)
    ending.case(
        size, build.compare(build.given("n"), ">", build.value(literals.from_int(3))), {"o0": build.of("big")}
    )
    ending.case(size, None, {"o0": build.given("n")})
    caller.workflows["pipeline.ending"] = ending.compiled()
    caller.add_call("w", {"n": build.given("n")}, workflow="ending")
    caller.add_node("after", {"n": build.given("n")}, task="one", after=["w"])
    assert list(node_of(caller.compiled(), "after").after) == ["w.size"]


def test_a_call_is_checked_as_a_whole(caller, build):
    node = caller.add_call("w", {"n": build.given("point")}, workflow="prep")
    found = caller.compile().diagnostics
    assert [(each.code, each.node) for each in found] == [
        ("MismatchingTypes", "w"),
        ("ParameterNotBound", "w"),
    ]
    assert found[0].message == "input `n` of workflow `prep` expects int"
    node.after.append("w")
    assert "CycleDetected" in caller.codes()


def test_a_call_in_a_case_puts_its_nodes_there(caller, build, prep):
    size = prep.add_branch("size", {"o0": INT})
    prep.put(prep.add_node("big", {"n": build.of("first")}, task="one"), "size", 0)
    few = build.compare(build.given("n"), "<", build.value(literals.from_int(3)))
    prep.case(size, Condition(negated=few), {"o0": build.of("big")})
    prep.case(size, None, {"o0": build.value(literals.from_int(0))})
    caller.workflows["pipeline.prep"] = prep.compiled()
    outer = caller.add_branch("outer", {"o0": INT})
    many = build.compare(build.given("n"), ">", build.value(literals.from_int(3)))
    caller.case(outer, many, {"o0": build.of("w")})
    caller.case(outer, None, fail="few")
    call = {"n": build.value(literals.from_int(5)), "p": build.given("point")}
    caller.put(caller.add_call("w", call, workflow="prep"), "outer", 0)
    compiled = caller.compiled()
    sections = {
        node.id: (node.section.branch.node, node.section.branch.case) for node in compiled.workflow.nodes
    }
    assert sections == {
        "outer": ("", 0),
        "w.first": ("outer", 0),
        "w.second": ("outer", 0),
        "w.size": ("outer", 0),
        "w.big": ("w.size", 0),
    }
    condition = node_of(compiled, "w.size").branch.cases[0].condition.negated.comparison
    assert condition.left.literal == literals.from_int(5)
    assert node_of(compiled, "outer").branch.cases[0].outputs.bindings[0].value == build.of("w.second")


def test_e7_a_workflow_that_handles_its_own_failures_is_launched_and_not_called(caller, build, prep):
    prep.add_node("cleanup", {"n": build.given("n")}, task="one").section.failure.SetInParent()
    caller.workflows["pipeline.prep"] = prep.compiled()
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    (found,) = caller.compile().diagnostics
    assert (found.code, found.node) == ("InvalidValue", "w")
    assert (
        found.message == "workflow `prep` has an `on_failure` of its own, which is for executions of it alone"
    )
    assert "LaunchPlan" in found.hint


def test_a_call_on_failure_puts_its_nodes_there_and_takes_the_error(build, caller):
    handler = tasks(build())
    handler.template.id.name = "pipeline.handler"
    error = literal_types.record("E", {"message": STRING})
    handler.add_input("error", error)
    handler.add_task("say", {"text": STRING}, {})
    handler.add_node("say", {"text": build.given("error", "message")})
    caller.workflows["pipeline.handler"] = handler.compiled()
    caller.add_node("one", {"n": build.given("n")})
    value = build.value(literals.from_none())
    value.error.SetInParent()
    caller.add_call("w", {"error": value}, workflow="handler").section.failure.SetInParent()
    say = caller.compiled().workflow.nodes[1]
    assert (say.id, say.section.HasField("failure")) == ("w.say", True)
    assert [step.field for step in say.inputs[0].value.error.path] == ["message"]


def test_a_workflow_of_which_only_the_interface_is_known_stays_a_node(caller, build, prep):
    del caller.workflows["pipeline.prep"].workflow.nodes[:]
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    caller.add_node("last", {"n": build.of("w")}, task="one")
    compiled = caller.compiled()
    assert ids(compiled) == ["w", "last"]
    assert compiled.workflow.nodes[0].workflow.workflow.version == "v1"


def test_maps_and_launches_of_a_called_workflow_come_with_it(caller, build, prep):
    prep.know_plan("plan", {}, {})
    prep.add_input("ns", literal_types.list_of(INT))
    prep.add_map("each", {"n": build.given("ns")}, task="one")
    prep.add_launch("start", {"n": build.given("n"), "p": build.given("p")}, plan="plan")
    caller.workflows["pipeline.prep"] = prep.compiled()
    ns = build.value(literals.from_list(literals.integers([1, 2])))
    call = {"n": build.given("n"), "p": build.given("point"), "ns": ns}
    caller.add_call("w", call, workflow="prep")
    compiled = caller.compiled()
    assert node_of(compiled, "w.each").inputs[0].value == ns
    assert [plan.launch_plan.id.name for plan in compiled.launch_plans] == ["pipeline.plan"]


def test_ids_that_clash_or_become_too_long_are_told(caller, build):
    call = {"n": build.given("n"), "p": build.given("point")}
    caller.add_call("w", call, workflow="prep")
    caller.add_node("w.first", {"n": build.given("n")}, task="one")
    assert caller.only().code == "DuplicateNodeId"
    caller.template.nodes[0].id = "w" * 254
    assert set(caller.codes()) == {"InvalidName"}


def test_a_part_of_a_constant_that_there_is_not_is_told(caller, build):
    made = tasks(build())
    made.template.id.name = "pipeline.third"
    made.add_input("ns", literal_types.list_of(INT))
    made.add_node("one", {"n": build.given("ns", 2)})
    caller.workflows["pipeline.third"] = made.compiled()
    ns = build.value(literals.from_list(literals.integers([1, 2])))
    node = caller.add_call("w", {"ns": ns}, workflow="third")
    assert caller.only().code == "FieldNotFound"
    node.inputs[0].value.CopyFrom(build.many(build.given("n")))
    assert caller.only().code == "FieldNotFound"


def test_a_workflow_is_not_a_part_of_itself(caller, build):
    caller.add_call("w", workflow="training")
    found = caller.only()
    assert (found.code, found.message) == ("CycleDetected", "workflow `training` is a part of itself")


def test_workflows_that_a_resolver_gives_without_end_are_told(caller, build, prep):
    """A resolver gives compiled workflows, in which no call is left; one that does not is not followed for ever."""
    endless = caller.workflows["pipeline.prep"]
    call = endless.workflow.nodes.add(id="w")
    call.workflow.workflow.CopyFrom(endless.workflow.id)
    for name in ("n", "p"):
        call.inputs.add(variable=name, value=build.given(name))
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    assert caller.only().code == "NestingTooDeep"


# Sizes


def test_w4_the_nodes_that_are_put_in_count(caller, build, prep):
    for i in range(20_000):
        prep.add_node(f"n{i}", {"n": build.given("n")}, task="one")
    caller.workflows["pipeline.prep"] = prep.compiled()
    caller.tasks.clear()  # that there are too many is known before anything else is looked at
    for i in range(20_000):
        caller.add_call(f"w{i}", workflow="prep")
    begun = time.process_time()
    found = caller.only()
    assert (found.code, found.given) == ("GraphTooLarge", "400,040,000")
    assert time.process_time() - begun < 5


def test_edges_that_multiply_are_bounded(caller, build, prep):
    for i in range(10_000):
        prep.add_node(f"n{i}", {"n": build.given("n")}, task="one")
    caller.workflows["pipeline.prep"] = prep.compiled()
    caller.add_call("w", {"n": build.given("n"), "p": build.given("point")}, workflow="prep")
    for i in range(10_000):
        caller.add_node(f"m{i}", {"n": build.given("n")}, task="one", after=["w"])
    assert caller.only().code == "GraphTooLarge"


def test_values_that_multiply_are_bounded(caller, build, monkeypatch):
    monkeypatch.setattr(inlining, "MOST_BYTES", 1_000_000)
    made = tasks(build())
    made.template.id.name = "pipeline.wide"
    made.add_task("long", {"text": STRING}, {})
    made.add_input("text", STRING)
    for i in range(100):
        made.add_node(f"n{i}", {"text": build.given("text")}, task="long")
    caller.workflows["pipeline.wide"] = made.compiled()
    text = build.value(literals.from_str("x" * 100_000))
    caller.add_call("w", {"text": text}, workflow="wide")
    assert caller.only().code == "GraphTooLarge"


@pytest.mark.parametrize("given", ["promise", "constant", "none"])
def test_a_called_workflow_decides_by_its_own_types_whatever_narrower_it_is_given(caller, build, given):
    optional = literal_types.optional(INT)
    inner = tasks(build())
    inner.template.id.name = "pipeline.inner"
    inner.add_input("x", optional)
    size = inner.add_branch("size", {"o0": optional})
    is_none = build.compare(build.given("x"), "==", build.value(literals.from_none()))
    inner.case(size, is_none, {"o0": build.value(literals.from_none())})
    inner.case(size, None, {"o0": build.given("x")})
    inner.add_output("o0", optional, build.of("size"))
    caller.workflows["pipeline.inner"] = inner.compiled()
    values = {
        "promise": build.given("n"),
        "constant": build.value(literals.from_int(4)),
        "none": build.value(literals.from_none()),
    }
    caller.add_call("w", {"x": values[given]}, workflow="inner")
    caller.add_output("o0", optional, build.of("w"))
    once = caller.compiled()
    condition = node_of(once, "w.size").branch.cases[0].condition
    assert condition.HasField("comparison") if given == "none" else not condition.value.literal.boolean
    again = tasks(build())
    again.template = once.workflow
    assert again.compiled() == once
