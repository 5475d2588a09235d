"""Programs drawn at random, run by a dynamic task's graph and by Python alone: they give the same."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from typedflow import conditional, dynamic, map_task, task, workflow
from typedflow.catalog import MemoryCatalog
from typedflow.testing import local

OPERATIONS = ("constant", "add", "choose", "spread", "nested", "called")


@task(cache=True)
def add(a: int, b: int) -> int:
    return a + b


@task
def total(values: list[int]) -> int:
    return sum(values)


@workflow
def add_twice(a: int, b: int) -> int:
    return add(a=add(a=a, b=b), b=b)


@dynamic
def run(program: list[tuple[str, int, int]], at: int) -> int:
    """Each line is an operation and two earlier lines that it is of; `at` is the value of a line before the first."""
    values = [at]
    for operation, first, second in program:
        a, b = values[first % len(values)], values[second % len(values)]
        match operation:
            case "constant":
                values.append(first)
            case "add":
                values.append(add(a=a, b=b))
            case "choose":
                chosen = (
                    conditional("choose")
                    .if_(add(a=a, b=0) > b)
                    .then(add(a=a, b=1))
                    .else_()
                    .then(add(a=b, b=2))
                )
                values.append(chosen)
            case "spread":
                values.append(total(values=map_task(add)(a=[a, b, 3], b=a)))
            case "nested":
                values.append(run(program=[("add", 0, 0), ("choose", first, second)], at=a))
            case _:
                values.append(add_twice(a=a, b=b))
    return values[-1]


def plainly(program: list[tuple[str, int, int]], at: int) -> int:
    values = [at]
    for operation, first, second in program:
        a, b = values[first % len(values)], values[second % len(values)]
        match operation:
            case "constant":
                values.append(first)
            case "add":
                values.append(a + b)
            case "choose":
                values.append(a + 1 if a > b else b + 2)
            case "spread":
                values.append(a + a + b + a + 3 + a)
            case "nested":
                values.append(plainly([("add", 0, 0), ("choose", first, second)], a))
            case _:
                values.append(a + b + b)
    return values[-1]


@workflow
def whole(program: list[tuple[str, int, int]], at: int) -> int:
    return run(program=program, at=at)


lines = st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 9), st.integers(0, 9))


@settings(deadline=None)
@given(st.lists(lines, max_size=12), st.integers(-5, 5))
def test_a_dynamic_graph_gives_what_python_gives(program: list[tuple[str, int, int]], at: int):
    expected = plainly(program, at)
    assert run(program=program, at=at) == expected
    with local(cache=MemoryCatalog()):
        assert [whole(program=program, at=at) for _ in range(2)] == [expected, expected]
