"""Dynamic tasks in direct calls: on their own, in workflows, in maps, within each other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pandas as pd
import pytest

from typedflow import (
    ExecutionError,
    LaunchPlan,
    approve,
    conditional,
    current_context,
    dynamic,
    errors,
    map_task,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from typedflow.catalog import MemoryCatalog
from typedflow.local_run.signals import Unanswered
from typedflow.testing import local, mock_task

RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    RAN.clear()
    yield
    RAN.clear()


@task
def double(n: int) -> int:
    RAN.append(current_context().node)
    return 2 * n


@task(cache=True)
def square(n: int) -> int:
    RAN.append(current_context().node)
    return n * n


@task
def total(values: list[int]) -> int:
    RAN.append(current_context().node)
    return sum(values)


@task
def fails(n: int) -> int:
    raise ValueError(f"no {n}")


@task
def rows(df: pd.DataFrame) -> int:
    return len(df)


@dynamic
def tree(values: list[int]) -> int:
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return total(values=[tree(values=values[:half]), tree(values=values[half:])])


@workflow
def summed(values: list[int]) -> int:
    return double(n=tree(values=values))


def test_called_on_its_own_it_gives_what_its_graph_gives():
    assert tree(values=[1, 2, 3, 4, 5]) == 15
    assert tree([7]) == 7
    with pytest.raises(errors.ConversionError, match=r"values\[0\]"):
        tree(values=["a"])  # type: ignore[list-item]  # tried


def test_in_a_workflow_its_nodes_are_named_under_it():
    assert summed(values=[1, 2, 3]) == 12
    assert RAN == ["tree.tree-2.total", "tree.total", "double"]


def test_in_a_map_each_slot_has_its_graph():
    @workflow
    def each(lists: list[list[int]]) -> list[int]:
        return map_task(tree)(values=lists)

    assert each(lists=[[1, 2], [3], []][:2]) == [3, 3]
    assert RAN == ["tree[0].total"]
    assert map_task(tree)(values=[[1, 2], [3]]) == [3, 3]


def test_a_body_says_all_that_a_workflow_may_say():
    child = LaunchPlan(summed, name="child")

    @dynamic
    def says(n: int) -> int:
        rate = wait_for_input("rate", int)
        chosen = conditional("size").if_(rate > n).then(double(n=rate)).else_().fail("too small")
        good = approve(chosen, "review")
        pause = sleep(timedelta(days=2), after=[good])
        mapped = map_task(double)(n=[good, n])
        launched = child.after(pause)(values=[n, n])
        return total(values=[mapped[0], mapped[1], launched, summed(values=[1])])

    @workflow
    def whole(n: int) -> int:
        return says(n=n)

    with local(signals={"rate": 5, "review": True}):
        assert says(n=1) == 20 + 2 + 4 + 2
    with local(signals={"says.rate": 5, "says.review": True}):
        assert whole(n=1) == 28
    with local(signals={"says.rate": 5}), pytest.raises(Unanswered, match=r"waits for `says\.review`"):
        whole(n=1)
    with local(signals={"says.rates": 5}), pytest.raises(Unanswered, match=r"did you mean `says\.rate`"):
        whole(n=1)
    with local(signals={"says.rate": 1}), pytest.raises(errors.ExecutionFailed, match="too small"):
        whole(n=1)


def test_values_of_any_type_are_given_and_given_back():
    @dynamic
    def frames(counts: list[int]) -> list[int]:
        return [rows(df=pd.DataFrame({"x": range(count)})) for count in counts]

    @workflow
    def counted(counts: list[int]) -> list[int]:
        return frames(counts=counts)

    assert frames(counts=[1, 2]) == [1, 2]
    assert counted(counts=[3, 0]) == [3, 0]


def test_what_an_inner_node_raises_names_it():
    @dynamic
    def outer(n: int) -> int:
        return fails(n=n)

    @workflow
    def whole(n: int) -> int:
        return outer(n=n)

    with pytest.raises(ValueError, match="no 3") as caught:
        whole(n=3)
    assert any("`outer.fails`" in each for each in caught.value.__notes__)
    with pytest.raises(ValueError, match="no 4"):
        outer(n=4)


def test_a_mistake_in_the_body_is_told_with_its_line_and_not_tried_again():
    @dynamic(retries=3)
    def wrong(n: int) -> int:
        RAN.append("body")
        return double(m=n)  # type: ignore[call-arg]  # tried

    @workflow
    def whole(n: int) -> int:
        return wrong(n=n)

    for each in (whole, wrong):
        RAN.clear()
        with pytest.raises(errors.CompileError, match=r"test_dynamic_runs\.py:\d+:\d+: ParameterNotBound"):
            each(n=1)
        assert RAN == ["body"]


def test_a_body_that_raises_is_tried_again():
    @dynamic(retries=1)
    def flaky(n: int) -> int:
        RAN.append(f"body {current_context().attempt}")
        if current_context().attempt == 1:
            raise OSError("not yet")
        return double(n=n)

    @workflow
    def whole(n: int) -> int:
        return flaky(n=n)

    assert whole(n=1) == 2
    assert RAN == ["body 1", "body 2", "flaky.double"]


def test_what_runs_on_failure_may_be_dynamic():
    @dynamic
    def clean(n: int, error: ExecutionError) -> None:
        for i in range(n):
            double(n=i)
        RAN.append(error.node)

    @workflow(on_failure=clean)
    def whole(n: int) -> int:
        return fails(n=n)

    with pytest.raises(ValueError, match="no 2"):
        whole(n=2)
    assert RAN == ["fails", "clean.double", "clean.double-2"]


def test_mocks_reach_into_its_graph_and_stand_for_it():
    with mock_task(total, returns=5):
        assert summed(values=[1, 2, 3]) == 10
    with mock_task(tree, returns=6):
        assert summed(values=[1, 2, 3]) == 12
        assert tree(values=[1]) == 6


@dynamic
def squares(n: int) -> int:
    return total(values=[square(n=i) for i in range(n)])


@dynamic(cache=True)
def cached_squares(n: int) -> int:
    RAN.append("body")
    return total(values=[square(n=i) for i in range(n)])


@workflow
def one_square(n: int) -> int:
    return square(n=n)


@workflow
def some_squares(n: int) -> int:
    return squares(n=n)


@workflow
def kept_squares(n: int) -> int:
    return cached_squares(n=n)


def test_c5_a_task_that_a_workflow_ran_hits_inside_of_a_dynamic_one():
    with local(cache=MemoryCatalog()):
        assert one_square(n=2) == 4
        RAN.clear()
        assert some_squares(n=4) == 14
        assert [each for each in RAN if "square" in each.rpartition(".")[2]] == [
            "squares.square",
            "squares.square-2",
            "squares.square-4",
        ]
        RAN.clear()
        assert one_square(n=3) == 9
        assert RAN == []


def test_what_a_cached_dynamic_task_gave_is_kept_when_its_graph_has_ended():
    kept = MemoryCatalog()
    with local(cache=kept):
        assert kept_squares(n=3) == 5
        assert RAN.count("body") == 1
        RAN.clear()
        assert kept_squares(n=3) == 5
        assert RAN == []
        assert kept_squares(n=2) == 1
        assert RAN == ["body", "cached_squares.total"]


def test_what_a_cached_dynamic_task_could_not_end_is_not_kept():
    @dynamic(cache=True)
    def breaks(n: int) -> int:
        RAN.append("body")
        return fails(n=n)

    @workflow
    def whole(n: int) -> int:
        return breaks(n=n)

    with local(cache=MemoryCatalog()):
        for _ in range(2):
            with pytest.raises(ValueError, match="no 1"):
                whole(n=1)
    assert RAN == ["body", "body"]


def test_dynamic_tasks_within_each_other_come_to_an_end():
    @dynamic
    def forever(n: int) -> int:
        return forever(n=n + 1)

    @workflow
    def whole(n: int) -> int:
        return forever(n=n)

    with pytest.raises(errors.TypedflowError) as caught:
        whole(n=0)
    assert isinstance(caught.value, errors.ExecutionFailed)
    assert caught.value.error is not None
    assert caught.value.error.code == "NestingTooDeep"


def test_many_nodes_are_no_deep_recursion():
    @dynamic
    def wide(n: int) -> int:
        value = 0
        for _ in range(n):
            value = double(n=value)
        return value

    assert wide(n=3_000) == 0


def test_a_workflow_called_in_a_plain_tasks_body_runs_there():
    @task
    def calls(n: int) -> int:
        return tree(values=[n, n]) + summed(values=[n])

    @workflow
    def whole(n: int) -> int:
        return calls(n=n)

    assert whole(n=2) == 8
