"""Workflows that programs build: the same as those that are written, node by node."""

from __future__ import annotations

import itertools
import time
from typing import Any, NamedTuple

import pytest

from typedflow import ExecutionError, LaunchPlan, Workflow, errors, map_task, task, workflow


class Pair(NamedTuple):
    low: int
    high: int


@task
def double(n: int) -> int:
    return 2 * n


@task
def pair(n: int) -> Pair:
    return Pair(n, n + 1)


@task
def greet(name: str) -> str:
    return f"hello {name}"


@task
def notify(n: int, error: ExecutionError) -> None:
    pass


@workflow
def quadruple(n: int) -> int:
    return double(n=double(n=n))


def chain(name: str, length: int) -> Workflow:
    built = Workflow(name)
    value = built.add_input("n", int, default=1, description="where it begins")
    for _ in range(length):
        value = built.add_node(double, n=value)
    built.add_output("result", value)
    return built


def test_a_chain_is_built_called_and_launched():
    built = chain("chain", 5)
    assert built() == 32
    assert built(n=2) == 64
    assert LaunchPlan(built, name="plan", default_inputs={"n": 3})() == 96
    assert built.signature.interface.inputs[0].description == "where it begins"
    assert built.name.endswith("test_builder.chain")
    assert [each.id for each in built.compiled.workflow.nodes][:2] == ["double", "double-2"]


def test_several_outputs_come_as_a_named_tuple():
    built = Workflow("both")
    made = built.add_node(pair, n=built.add_input("n", int))
    built.add_output("high", made.high)
    built.add_output("values", [made.low, 3], list[int])
    assert built(n=1) == (2, [1, 3])
    assert built(n=1).values == [1, 3]


def test_nodes_are_named_by_the_author_and_wait_for_what_they_are_told():
    built = Workflow("named")
    n = built.add_input("n", int)
    first = built.add_node(double, n=n, name="first")
    built.add_node(quadruple.after(first), n=n, name="inner")
    built.add_node(greet, name="Ada")
    built.add_node(greet.with_overrides(name="again"), name="Bob")
    mapped = built.add_node(map_task(double), n=[first, 3], name="each")
    built.add_output("all", mapped)
    nodes = {each.id: each for each in built.compiled.workflow.nodes}
    assert set(nodes) == {"first", "inner.double", "inner.double-2", "greet", "again", "each"}
    assert list(nodes["inner.double"].after) == ["first"]


def test_a_built_workflow_is_a_node_of_others_that_its_nodes_take_the_place_of():
    inner = chain("inner", 2)
    outer = Workflow("outer")
    outer.add_output("m", outer.add_node(inner, n=outer.add_input("n", int), name="twice"))

    @workflow
    def uses(n: int) -> int:
        return inner(n=double(n=n))

    assert outer(n=3) == 12
    assert uses(n=3) == 24
    assert [each.id for each in outer.compiled.workflow.nodes] == ["twice.double", "twice.double-2"]
    assert [each.id for each in uses.compiled.workflow.nodes] == ["double", "inner.double", "inner.double-2"]


def test_a_workflow_may_be_built_further_after_a_call():
    built = chain("further", 1)
    plan = LaunchPlan(built, name="plan", default_inputs={"n": 2})
    assert built(n=1) == 2
    assert plan() == 4
    built.add_output("more", built.add_node(double, n=built.add_input("m", int, default=8)))
    assert built(n=1) == (2, 16)
    assert plan(m=1) == (4, 2)


def test_e7_a_built_workflow_has_a_handler_of_failures():
    built = Workflow("watched", on_failure=notify, failure_policy="fail_after_running")
    built.add_output("m", built.add_node(double, n=built.add_input("n", int)))
    assert [each.section.WhichOneof("section") for each in built.compiled.workflow.nodes] == [None, "failure"]
    built.add_node(double, n=1)
    assert [each.id for each in built.compiled.workflow.nodes] == ["double", "double-2", "notify"]


def wrong_input(built: Workflow) -> None:
    built.add_input("n", int)
    built.add_input("n", int)


def wrong_output(built: Workflow) -> None:
    built.add_output("m", built.add_input("n", int))
    built.add_output("m", 3)


@pytest.mark.parametrize(
    ("use", "code"),
    [
        (wrong_input, "InvalidValue"),
        (wrong_output, "InvalidValue"),
        (lambda built: built.add_input("n", object), "UnsupportedType"),
        (lambda built: built.add_input("n", int, default="x"), "InvalidValue"),
        (lambda built: built.add_input("class", int), "InvalidName"),
        (lambda built: built.add_input(3, int), "InvalidName"),
        (lambda built: built.add_output("m", 3), "InvalidValue"),
        (lambda built: built.add_node(print), "InvalidValue"),
        (lambda built: built.add_node(double, n=1, name="a b"), "InvalidName"),
        (lambda built: built.add_node(built), "CycleDetected"),
        (lambda _: Workflow("a b"), "InvalidName"),
        (lambda _: Workflow("a", failure_policy="never"), "InvalidValue"),
        (lambda built: bool(built.add_input("n", int) > 3), "PromiseUsedAsValue"),
    ],
    ids=itertools.count(1),
)
def test_what_cannot_be_added_is_told_where_it_is_written(use: Any, code: str):
    with pytest.raises(errors.DefinitionError, match=r"test_builder\.py") as caught:
        use(Workflow("built"))
    assert caught.value.code == code


def test_wrong_wiring_is_told_at_the_line_that_added_it():
    built = Workflow("wrong")
    n = built.add_input("n", int)
    built.add_node(greet, name=n)
    built.add_node(double)
    built.add_node(double, n="x")
    built.add_output("m", n, str)
    with pytest.raises(errors.CompileError) as caught:
        built.compiled  # noqa: B018 - compiles
    found = [(each.code, each.position.line) for each in caught.value.diagnostics]
    line = found[-1][1]
    assert found[-3:] == [
        ("ParameterNotBound", line - 2),
        ("InvalidValue", line - 1),
        ("MismatchingTypes", line),
    ]


def test_workflows_that_call_each_other_are_told():
    first, second = Workflow("first"), Workflow("second")
    first.add_output("m", first.add_node(double, n=1))
    second.add_output("m", second.add_node(first))
    first.add_node(second)
    with pytest.raises(errors.DefinitionError, match="never end") as caught:
        first.compiled  # noqa: B018 - compiles
    assert caught.value.code == "CycleDetected"


def test_w4_building_takes_time_in_proportion_to_the_nodes():
    def took(length: int) -> float:
        began = time.process_time()
        assert len(chain("long", length).traced.template.nodes) == length
        return time.process_time() - began

    took(1000)
    assert took(20_000) < 20 * max(took(4_000), 0.01)
