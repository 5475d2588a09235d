"""Values and executions that are larger than a message may be, through a real server."""

import pytest

pytestmark = pytest.mark.slow

WIDE = """
    from typedflow import task, workflow

    @task
    def text(size: int) -> str:
        return "x" * size

    @task
    def numbers(count: int) -> list[float]:
        return [0.5] * count

    @task
    def length(text: str, n: int) -> int:
        return len(text) + n

    @task
    def halves(values: list[float], n: int) -> float:
        return sum(values) + n

    @workflow
    def wide(size: int) -> list[int]:
        given = text(size=size)
        return [length(text=given, n=n) for n in range(320)]

    @workflow
    def heavy(count: int) -> list[float]:
        given = numbers(count=count)
        return [halves(values=given, n=n) for n in range(20)]

    @workflow
    def results(count: int) -> tuple[list[float], list[float], str]:
        return numbers(count=count), numbers(count=count), text(size=10)
"""


@pytest.fixture
def large(author):
    author.register("large", WIDE)
    return author


def test_attempts_whose_inputs_exceed_a_message_together_all_run(large):
    size = 63 * 1024  # below what is offloaded
    assert large.outputs("large.wide", size=size).o0 == [size + n for n in range(320)]


def test_a_large_value_goes_to_many_nodes(large):
    count = 120_000
    assert large.outputs("large.heavy", count=count).o0 == [count / 2 + n for n in range(20)]


def test_outputs_that_are_large_together_are_objects(large):
    run = large.run("large.results", count=90_000)
    kinds = sorted(each.value.WhichOneof("value") for each in run.message.outputs.values)
    assert kinds == ["list", "offloaded", "string"]
    assert run.outputs.o0 == run.outputs.o1 == [0.5] * 90_000
    assert run.outputs.o2 == "x" * 10
