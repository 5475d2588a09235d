"""Templates that are made to be large, deep or wrong: an answer comes soon, and with bounded memory.

Times are of the process and generous: what they catch is growth with the square of the size.
"""

import time
from contextlib import contextmanager

import pytest

from typedflow import literal_types, literals
from typedflow.pb.workflows_pb2 import BindingValue, Condition, Node

INT, FLOAT, BOOL = literal_types.INT, literal_types.FLOAT, literal_types.BOOL


@contextmanager
def within(seconds: float):
    begun = time.process_time()
    yield
    assert time.process_time() - begun < seconds


@pytest.fixture
def made(build):
    made = build()
    made.add_task("step", {"n": INT}, {"o0": INT})
    made.add_input("n", INT)
    return made


def test_conditionals_nested_in_each_other_need_no_recursion(made, build):
    for i in range(5_000):
        node = made.template.nodes.add(id=f"b{i}")
        node.branch.cases.add(
            condition=build.compare(build.given("n"), "<", build.given("n"))
        ).outputs.SetInParent()
        node.branch.cases.add(fail="no")
        if i:
            build.put(node, f"b{i - 1}", 0)
    with within(10):
        compiled = made.compiled()
    assert [node.id for node in compiled.workflow.nodes] == [f"b{i}" for i in range(5_000)]
    build.put(made.template.nodes[0], "b4999", 0)
    with within(10):
        assert made.only().code == "CycleDetected"


def test_very_many_cases(made, build):
    node = made.add_branch("size", {"o0": INT})
    for i in range(30_000):
        constant = build.value(literals.from_int(i))
        build.case(node, build.compare(build.given("n"), "==", constant), {"o0": constant})
    build.case(node, None, fail="no")
    with within(30):
        made.compiled()
    for case in node.branch.cases:
        case.ClearField("condition")
        case.ClearField("outcome")
    with within(10):
        assert len(made.codes()) == 1_001


def test_very_many_terms(made, build):
    node = made.add_branch("size", {})
    case = build.case(node, Condition())
    build.case(node, None)
    term = build.compare(build.given("n"), "==", build.value(literals.from_int(1)))
    case.condition.any.conditions.extend([term] * 100_000)
    with within(30):
        made.compiled()
    for each in case.condition.any.conditions:
        each.comparison.right.literal.string = "x"
    with within(5):
        assert len(made.codes()) == 1_001


def test_a_million_names_that_a_map_is_over(made, build):
    made.add_map("step", {"n": build.given("n")}, over=[f"x{i}" for i in range(1_000_000)])
    with within(10):
        assert len(made.codes()) == 1_001


def test_very_many_outputs_that_very_many_cases_lack(made, build):
    node = made.add_branch("size", {f"o{i}": INT for i in range(20_000)})
    for _ in range(20_000):
        build.case(node, build.compare(build.given("n"), "==", build.given("n")))
    build.case(node, None)
    with within(20):
        assert made.codes()[-1] == "TooManyMistakes"


@pytest.mark.slow
def test_sections_that_point_nowhere(made, build):
    made.add_branch("size", {})
    for i in range(50_000):
        build.put(made.add_node(f"n{i}", {"n": build.given("n")}, task="step"), "siz", i)
    with within(20):
        assert made.codes()[-1] == "TooManyMistakes"


@pytest.mark.slow
def test_one_wide_record_that_many_follow_into(made, build):
    fields = {f"f{i}": INT for i in range(20_000)}
    made.add_input("wide", literal_types.record("Wide", fields))
    for i in range(20_000):
        made.add_node(f"n{i}", {"n": build.given("wide", f"f{i}")}, task="step")
    with within(20):
        made.compiled()


@pytest.mark.slow
def test_dicts_and_records_of_bindings_as_long_as_they_come(made, build):
    made.add_task("take", {"table": literal_types.dict_of(FLOAT)}, {})
    value = BindingValue()
    value.dict.keys.extend(map(str, range(100_000)))
    value.dict.values.extend([build.value(literals.from_int(1))] * 99_999)
    value.dict.values.add().CopyFrom(build.given("n"))
    made.add_node("take", {"table": value})
    with within(20):
        assert made.only().code == "MismatchingTypes"
    made.template.nodes[0].inputs[0].value.dict.keys[0] = "7"
    with within(20):
        assert made.only().code == "InvalidValue"


@pytest.mark.parametrize("kind", ["task", "map", "branch", "gate", "launch_plan", "workflow", None])
def test_every_kind_of_node_may_be_empty(made, kind):
    node = Node(id="empty")
    if kind:
        getattr(node, kind).SetInParent()
    made.template.nodes.append(node)
    node.section.branch.node = "empty"
    assert len(made.compile().diagnostics) >= 1
    made.template.nodes.append(node)
    assert "DuplicateNodeId" in made.codes()
