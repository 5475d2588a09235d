"""Maps, gates and what runs on failure, as they are written; and maps that are called directly (E7, E9, E11)."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from typedflow import (
    ExecutionError,
    MapTask,
    approve,
    errors,
    map_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from typedflow.authoring.workflow import WorkflowFunction
from typedflow.pb import workflows_pb2


class Pair(NamedTuple):
    low: int
    high: int


@task
def double(n: int) -> int:
    return 2 * n


@task
def scale(x: float, by: float = 2.0) -> float:
    return x * by


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def flat(values: list[int] | list[list[int]]) -> int:
    return len(values)


@task
def pair(n: int) -> Pair:
    return Pair(n, n + 1)


@task
def count(values: list[int | None]) -> int:
    return len(values)


@task
def picky(n: int) -> int:
    if n < 0:
        raise ValueError(f"{n} is negative")
    return n


@task
def log(n: int) -> None:
    pass


@task
def notify(n: int, error: ExecutionError) -> None:
    pass


def node(of: WorkflowFunction[..., Any], id_: str) -> workflows_pb2.Node:
    (found,) = [each for each in of.compiled.workflow.nodes if each.id == id_]
    return found


def mistakes(of: WorkflowFunction[..., Any]) -> list[str]:
    with pytest.raises(errors.CompileError) as caught:
        of.compiled  # noqa: B018 - compiles
    return [each.message for each in caught.value.diagnostics]


def test_a_map_says_what_it_runs_and_how():
    @workflow
    def mapped(xs: list[float]) -> list[float | None]:
        patient = scale.with_overrides(name="each", retries=3)
        return map_task(patient, concurrency=8, min_success_ratio=0.9, over=("x",))(x=xs, by=3.0)

    made = node(mapped, "each").map
    assert list(made.over) == ["x"]
    assert made.concurrency == 8
    assert made.min_success_ratio == 0.9
    assert made.overrides.retry.retries == 3


def test_a_map_gives_a_list_for_each_output():
    @workflow
    def sums(ns: list[int]) -> int:
        lows, highs = map_task(pair)(n=ns)
        return total(values=[total(values=lows), total(values=highs)])

    @workflow
    def counted(ns: list[int]) -> int:
        return count(values=map_task(double, min_success_ratio=0.5)(n=ns))

    assert [each.id for each in sums.compiled.workflow.nodes] == ["pair", "total", "total-2", "total-3"]
    assert [each.id for each in counted.compiled.workflow.nodes] == ["double", "count"]


def test_a_list_is_an_element_of_each_slot_or_one_for_all_by_its_type():
    @workflow
    def constant(n: int) -> list[float]:
        return map_task(scale)(x=[1.0, 2.0, scale(x=1.0)], by=3.0)

    @workflow
    def nested(n: int) -> list[int]:
        return map_task(total)(values=[[1, 2], [n, 3]])

    assert list(node(constant, "scale-2").map.over) == ["x"]
    assert list(node(nested, "total").map.over) == ["values"]


def test_a_map_waits_and_is_waited_for():
    @workflow
    def ordered(ns: list[int]) -> int:
        done = map_task(log).after(double(n=1))(n=ns)
        return double.after(done)(n=3)

    assert list(node(ordered, "log").after) == ["double"]
    assert list(node(ordered, "double-2").after) == ["log"]


@pytest.mark.parametrize(
    "make",
    [
        lambda: map_task(total.function),
        lambda: map_task(double, concurrency=0),
        lambda: map_task(double, concurrency=True),
        lambda: map_task(double, min_success_ratio=1.5),
        lambda: map_task(double, min_success_ratio=True),
        lambda: map_task(double, over="n"),
    ],
    ids=itertools.count(1),
)
def test_an_illegal_map_is_told_where_it_is_written(make: Any):
    with pytest.raises(errors.DefinitionError, match=r"test_maps_and_gates\.py"):
        make()


def test_e9_a_map_that_is_called_directly_runs_each_slot():
    assert map_task(scale)(x=[1.0, 2.0], by=3.0) == [3.0, 6.0]
    assert map_task(double)(n=[]) == []
    assert map_task(pair)(n=[1, 2]) == Pair([1, 2], [2, 3])
    assert map_task(total)(values=[[1, 2], [3]]) == [3, 3]
    assert map_task(flat, over=("values",))(values=[[1], [2]]) == [1, 1]


def test_e9_a_map_that_is_called_directly_tells_what_is_not_clear():
    tries: list[tuple[MapTask[Any], dict[str, Any], str]] = [
        (map_task(double), {"n": 3}, "MapInputNotList"),
        (map_task(scale), {"x": [1.0], "by": [1.0, 2.0]}, "MapLengthsDiffer"),
        (map_task(flat), {"values": []}, "AmbiguousMapInput"),
        (map_task(double, over=("n",)), {"n": 3}, "MapInputNotList"),
        (map_task(double, over=("m",)), {"n": [3]}, "InvalidValue"),
        (map_task(double), {"m": [3]}, "InvalidValue"),
        (map_task(double), {"n": ["x"]}, "InvalidValue"),
    ]
    for mapped, inputs, code in tries:
        with pytest.raises(errors.ConversionError) as caught:
            mapped(**inputs)
        assert caught.value.code == code


def test_e9_slots_may_fail_as_far_as_the_ratio_allows():
    assert map_task(picky, min_success_ratio=0.5)(n=[1, -1, 2, -2]) == [1, None, 2, None]
    with pytest.raises(ValueError, match="-2 is negative") as caught:
        map_task(picky, min_success_ratio=0.6)(n=[1, -1, 2, -2])
    assert caught.value.__notes__ == ["in slot 3 of map of task `picky`"]
    with pytest.raises(ValueError, match="-1 is negative"):
        map_task(picky)(n=[1, -1])


def test_gates_have_the_types_that_they_are_asked_for():
    @workflow
    def gated(n: int) -> int:
        first = sleep(timedelta(minutes=1))
        rates = wait_for_input("rates", list[float], timeout=timedelta(days=1), prompt="?", after=[first])
        checked = approve(n, "ok", prompt="Fine?", after=[sleep(timedelta(seconds=1), name="nap")])
        return total.after(scale(x=rates[0]))(values=[checked])

    nodes = {each.id: each for each in gated.compiled.workflow.nodes}
    assert nodes["sleep"].gate.sleep.duration_ms == 60_000
    assert nodes["nap"].gate.sleep.duration_ms == 1000
    assert nodes["rates"].gate.timeout_ms == 86_400_000
    assert nodes["rates"].gate.signal.prompt == "?"
    assert nodes["rates"].gate.signal.type.WhichOneof("type") == "list"
    assert list(nodes["rates"].after) == ["sleep"]
    assert nodes["ok"].inputs[0].value.promise.variable == "n"
    assert list(nodes["ok"].after) == ["nap"]


@pytest.mark.parametrize(
    "use",
    [
        lambda: wait_for_input("rate", float),
        lambda: approve(3, "ok"),
        lambda: sleep(timedelta(1)),
    ],
    ids=["wait_for_input", "approve", "sleep"],
)
def test_a_gate_outside_of_a_body_is_told(use: Any):
    with pytest.raises(errors.StateConflict, match="in the body of a workflow only"):
        use()


def test_what_cannot_be_approved_is_told():
    @workflow
    def nothing(n: int) -> int:
        approve(log(n=n), "ok")
        return double(n=n)

    @workflow
    def untyped(n: int) -> int:
        approve([1, 2], "ok")
        return double(n=n)

    assert any("gives nothing" in each for each in mistakes(nothing))
    assert any("nothing says of what type" in each for each in mistakes(untyped))


def test_e7_what_is_called_on_failure_gets_inputs_by_name_and_the_error():
    @workflow(on_failure=notify.with_overrides(name="told"))
    def watched(n: int, m: int = 1) -> int:
        return double(n=m)

    told = node(watched, "told")
    assert told.section.WhichOneof("section") == "failure"
    assert [(each.variable, each.value.WhichOneof("value")) for each in told.inputs] == [
        ("n", "promise"),
        ("error", "error"),
    ]


def test_e7_a_workflow_may_be_called_on_failure():
    @task
    def store(report: ExecutionError) -> int:
        return 1

    @workflow
    def handle(n: int, error: ExecutionError) -> int:
        return total(values=[double(n=n), store(report=error)])

    @workflow(on_failure=handle)
    def watched(n: int) -> int:
        return double(n=n)

    found = {each.id: each.section.WhichOneof("section") for each in watched.compiled.workflow.nodes}
    assert found == {
        "double": None,
        "handle.double": "failure",
        "handle.store": "failure",
        "handle.total": "failure",
    }


def test_e7_a_sub_workflow_with_a_handler_of_its_own_is_told():
    @workflow(on_failure=log)
    def watched(n: int) -> int:
        return double(n=n)

    @workflow
    def outer(n: int) -> int:
        return watched(n=n)

    (mistake,) = mistakes(outer)
    assert "`on_failure` of its own" in mistake


def test_e7_a_parameter_of_the_handler_that_the_workflow_has_not_is_told():
    @task
    def handler(m: int, error: str) -> None:
        pass

    @workflow(on_failure=handler)
    def watched(n: int) -> int:
        return double(n=n)

    with pytest.raises(errors.CompileError) as caught:
        watched.compiled  # noqa: B018 - compiles
    assert {each.code for each in caught.value.diagnostics} == {"ParameterNotBound"}
    assert "annotate it `error: ExecutionError`" in [each.hint for each in caught.value.diagnostics]
