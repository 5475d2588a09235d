"""Workflows of every construct, and what each has to come to, however it is run: test_control_flow_everywhere.

`SOURCE` is an author's module. Tasks note their runs in a file, so that how often each ran can be compared too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

SOURCE = '''
from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

from typedflow import (
    Deck, ExecutionError, LaunchPlan, NonRecoverable, Retry, Timeout, approve, conditional, current_context, dynamic,
    map_task, sleep, task, wait_for_input, workflow,
)


def note(text: str) -> None:
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(text + "\\n")


@task
def add(a: int, b: int) -> int:
    note(f"add {a} {b}")
    return a + b


@task
def name(text: str, n: int = 0) -> str:
    note(f"name {text}")
    return f"{text}{n}"


@task
def fails(n: int) -> int:
    note(f"fails {n}")
    raise ValueError(f"no {n}")


@task(retries=2)
def flaky(n: int) -> int:
    note(f"flaky {n}")
    if current_context().attempt < 3:
        raise RuntimeError("not yet")
    return n


@task(retries=5)
def hopeless(n: int) -> int:
    note(f"hopeless {n}")
    raise NonRecoverable("never")


@task(retries=1)
def odd(n: int) -> int:
    note(f"odd {n}")
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return n


@dataclass
class Point:
    x: int
    label: str = "p"


@task
def moved(point: Point, by: int) -> Point:
    return Point(point.x + by, point.label + "!")


@task
def labels(points: list[Point]) -> list[str]:
    return [f"{each.label}{each.x}" for each in points]


@workflow
def first_case(n: int) -> str:
    large = add(a=n, b=100)
    return (
        conditional("size")
        .if_((large > 105) & (n < 50)).then(name(text="middle", n=large))
        .elif_((n >= 50) | (n == -1)).then(name(text="large"))
        .else_().then(name(text="small"))
    )


@workflow
def nested_cases(n: int, flag: bool) -> str:
    return (
        conditional("outer")
        .if_(~flag)
        .then(conditional("inner").if_(n > 1).then(name(text="many")).else_().then(name(text="few")))
        .else_()
        .then(name(text="flagged"))
    )


@workflow
def refused_case(n: int) -> int:
    return conditional("limit").if_(n < 3).then(add(a=n, b=1)).else_().fail("too large")


@workflow
def squares(xs: list[int]) -> list[int]:
    return map_task(add)(a=xs, b=xs)


@workflow
def points(xs: list[int]) -> list[str]:
    return labels(points=map_task(moved, concurrency=2)(point=[Point(1), Point(2, "q"), Point(3)], by=5))


@workflow
def constants(xs: list[int], b: int) -> list[int]:
    return map_task(add, concurrency=1)(a=xs, b=b)


@workflow
def most(xs: list[int]) -> list[int | None]:
    return map_task(odd, min_success_ratio=0.5, concurrency=1)(n=xs)


@workflow
def all_of(xs: list[int]) -> list[int]:
    return map_task(odd, concurrency=1)(n=xs)


@dynamic
def spread(n: int) -> list[int]:
    """As many calls as it is told."""
    doubled = [add(a=i, b=i) for i in range(n)]
    return [*doubled, n]


@dynamic
def count_down(n: int) -> int:
    """Calls itself."""
    if n == 0:
        return 0
    return add(a=count_down(n=n - 1), b=1)


@dynamic
def fans_out(n: int) -> list[int]:
    """Maps what it has read."""
    return map_task(add)(a=list(range(n)), b=7)


@dynamic
def wrong(n: int) -> int:
    """A mistake that shows when it runs."""
    return add(a=name(text="no int"), b=n)


@dynamic
def breaks(n: int) -> int:
    """A task of it fails."""
    return add(a=fails(n=n), b=1)


@workflow
def unfolds(n: int) -> tuple[list[int], int, list[int]]:
    return spread(n=n), count_down(n=n), fans_out(n=n)


@workflow
def unfolds_wrong(n: int) -> int:
    return wrong(n=n)


@workflow
def unfolds_broken(n: int) -> int:
    return breaks(n=n)


class Sums(NamedTuple):
    total: int
    text: str


@workflow
def part(n: int) -> Sums:
    total = add(a=n, b=n)
    return Sums(total=total, text=name(text="part", n=total))


@workflow
def whole(n: int) -> int:
    done = part(n=n)
    return add.after(done.text)(a=done.total, b=1)


part_plan = LaunchPlan(part, name="part_plan", fixed_inputs={"n": 21})


@workflow
def broken_child(n: int) -> int:
    return fails(n=n)


broken_plan = LaunchPlan(broken_child, name="broken_plan", default_inputs={"n": 4})


@workflow
def launches(n: int) -> int:
    return add(a=part_plan().total, b=n)


@workflow
def launches_broken() -> int:
    return add(a=broken_plan(), b=1)


@workflow
def asks(n: int) -> int:
    value = wait_for_input("value", int)
    return add(a=approve(value, "sure"), b=n)


@workflow
def naps(n: int) -> int:
    nap = sleep(timedelta(milliseconds=300), name="nap")
    return add.after(nap)(a=n, b=1)


@task
def clean(n: int, error: ExecutionError) -> None:
    note(f"clean {n} {error.code} {error.node} {error.kind}")


@workflow(on_failure=clean)
def handled(n: int) -> int:
    return fails(n=add(a=n, b=1))


@workflow(on_failure=clean)
def unhandled(n: int) -> int:
    return add(a=n, b=1)


@workflow
def sweep(n: int, error: ExecutionError) -> None:
    name(text="sweep", n=n)
    clean(n=n, error=error)


@workflow(on_failure=sweep)
def swept(n: int) -> int:
    return fails(n=n)


@workflow
def fast(n: int) -> int:
    broken = fails(n=n)
    return add.after(broken)(a=n, b=1)


@workflow(failure_policy="fail_after_running")
def thorough(n: int) -> tuple[int, int]:
    broken = fails(n=n)
    late = add.after(sleep(timedelta(milliseconds=200), name="nap"))(a=n, b=2)
    return add(a=broken, b=1), late


@workflow
def ordered(n: int) -> tuple[int, int]:
    later = add.with_overrides(name="later")
    first = name(text="first")
    return later.after(first)(a=n, b=1), add(a=n, b=2)


@workflow
def retried(n: int) -> int:
    return flaky(n=n)


@workflow
def given_up(n: int) -> int:
    return hopeless(n=n)


@workflow
def no_retries(n: int) -> int:
    return fails(n=n)


@task(retries=Retry(1, backoff=timedelta(milliseconds=50)))
def resumes(n: int) -> str:
    saved = current_context().checkpoint.read()
    note(f"resumes {saved}")
    if saved is None:
        current_context().checkpoint.write(b"half")
        raise RuntimeError("lost")
    return saved.decode() + str(n)


@workflow
def checkpointed(n: int) -> str:
    return resumes(n=n)


@task
def reports(n: int) -> str:
    Deck("figures").append(f"<b>{n}</b>")
    mine = current_context()
    return f"{mine.node} {mine.attempt} {mine.working_folder.is_dir()}"


@workflow
def reported(n: int) -> str:
    return reports(n=n)


@task(timeout=Timeout(run=timedelta(milliseconds=200)))
def slow(n: int) -> int:
    import time

    note(f"slow {n}")
    time.sleep(0.6)
    return n


@workflow
def timed_out(n: int) -> int:
    return slow(n=n)


@task(cache=True)
def kept(n: int) -> int:
    note(f"kept {n}")
    return n * n


@workflow
def keeps(xs: list[int]) -> list[int]:
    return map_task(kept)(n=xs)


@workflow
def map_over_map(n: int) -> list[int]:
    return map_task(add, concurrency=1)(a=map_task(add)(a=spread(n=n), b=1), b=1)


@workflow
def unfolds_in_case(n: int) -> list[int]:
    return conditional("size").if_(n > 1).then(spread(n=n)).else_().then(map_task(add)(a=[n, n], b=n))


@dynamic
def decides(n: int) -> int:
    return conditional("limit").if_(add(a=n, b=1) > 2).then(add(a=n, b=2)).else_().fail("too small")


@workflow
def decides_inside(n: int) -> int:
    return decides(n=n)


@workflow
def asks_or_not(n: int) -> int:
    return conditional("size").if_(n > 1).then(approve(wait_for_input("v", int), "ok")).else_().then(add(a=n, b=1))


@dynamic
def launches_many(n: int) -> list[int]:
    return [part_plan().total for _ in range(n)]


@workflow
def child_in_case(n: int) -> list[int]:
    return conditional("size").if_(n > 1).then(launches_many(n=n)).else_().then([n])


@workflow
def handles_much(n: int, error: ExecutionError) -> None:
    mapped = map_task(add)(a=[n, n], b=7)
    waited = sleep(timedelta(milliseconds=50), name="nap")
    clean.after(mapped, spread(n=1), part_plan().text, waited)(n=n, error=error)


@workflow(on_failure=handles_much)
def handled_by_much(n: int) -> int:
    return fails(n=n)


@workflow(on_failure=clean)
def handled_output(n: int) -> int:
    return spread(n=n)[5]
'''


@dataclass(frozen=True)
class Scenario:
    """One way of a workflow: what it is given, and what has to come of it."""

    workflow: str
    inputs: dict[str, object]
    outputs: object = None
    # Of an execution that fails: code and node of its error.
    error: tuple[str, str] | None = None
    # Lines that tasks note, sorted.
    notes: tuple[str, ...] = ()
    signals: dict[str, object] = field(default_factory=dict)
    name: str = ""

    @property
    def id(self) -> str:
        """As pytest shows it."""
        return self.name or self.workflow


SCENARIOS = [
    Scenario("first_case", {"n": 9}, "middle109", notes=("add 9 100", "name middle"), name="the first case"),
    Scenario("first_case", {"n": 70}, "large0", notes=("add 70 100", "name large"), name="the second case"),
    Scenario("first_case", {"n": 1}, "small0", notes=("add 1 100", "name small"), name="no case"),
    Scenario("nested_cases", {"n": 2, "flag": False}, "many0", notes=("name many",), name="a case in a case"),
    Scenario(
        "nested_cases", {"n": 2, "flag": True}, "flagged0", notes=("name flagged",), name="a skipped one"
    ),
    Scenario("refused_case", {"n": 2}, 3, notes=("add 2 1",), name="a limit that holds"),
    Scenario("refused_case", {"n": 3}, error=("BranchFailed", "limit"), name="a limit that fails"),
    Scenario("squares", {"xs": [3, 1, 2]}, [6, 2, 4], notes=("add 1 1", "add 2 2", "add 3 3"), name="a map"),
    Scenario("squares", {"xs": []}, [], name="a map of nothing"),
    Scenario("points", {"xs": []}, ["p!6", "q!7", "p!8"], name="a map of records"),
    Scenario(
        "constants", {"xs": [1, 2], "b": 5}, [6, 7], notes=("add 1 5", "add 2 5"), name="a constant of a map"
    ),
    Scenario(
        "most",
        {"xs": [1, 2, 3]},
        [1, None, 3],
        notes=("odd 1", "odd 2", "odd 2", "odd 3"),
        name="most of a map",
    ),
    Scenario("most", {"xs": [2, 4, 5]}, error=("ValueError", "odd[0]"), name="too few of a map"),
    Scenario(
        "all_of",
        {"xs": [1, 2]},
        error=("ValueError", "odd[1]"),
        notes=("odd 1", "odd 2", "odd 2"),
        name="all",
    ),
    Scenario(
        "unfolds",
        {"n": 2},
        [[0, 2, 2], 2, [7, 8]],
        notes=("add 0 0", "add 0 1", "add 0 7", "add 1 1", "add 1 1", "add 1 7"),
        name="dynamic",
    ),
    Scenario("unfolds_wrong", {"n": 1}, error=("MismatchingTypes", "wrong"), name="dynamic, wired wrongly"),
    Scenario(
        "unfolds_broken",
        {"n": 1},
        error=("ValueError", "breaks.fails"),
        notes=("fails 1",),
        name="dynamic, failing",
    ),
    Scenario("whole", {"n": 4}, 9, notes=("add 4 4", "add 8 1", "name part"), name="a sub-workflow"),
    Scenario("launches", {"n": 1}, 43, notes=("add 21 21", "add 42 1", "name part"), name="a child"),
    Scenario(
        "launches_broken",
        {},
        error=("ValueError", "broken_plan"),
        notes=("fails 4",),
        name="a child that fails",
    ),
    Scenario("asks", {"n": 1}, 6, notes=("add 5 1",), signals={"value": 5, "sure": True}, name="a signal"),
    Scenario(
        "asks", {"n": 1}, error=("Rejected", "sure"), signals={"value": 5, "sure": False}, name="a rejection"
    ),
    Scenario("naps", {"n": 1}, 2, notes=("add 1 1",), name="a pause"),
    Scenario(
        "handled",
        {"n": 1},
        error=("ValueError", "fails"),
        notes=("add 1 1", "clean 1 ValueError fails USER", "fails 2"),
        name="a handler",
    ),
    Scenario("unhandled", {"n": 1}, 2, notes=("add 1 1",), name="a handler that is not needed"),
    Scenario(
        "swept",
        {"n": 1},
        error=("ValueError", "fails"),
        notes=("clean 1 ValueError fails USER", "fails 1", "name sweep"),
        name="a handling workflow",
    ),
    Scenario("fast", {"n": 1}, error=("ValueError", "fails"), notes=("fails 1",), name="fail fast"),
    Scenario(
        "thorough",
        {"n": 1},
        error=("ValueError", "fails"),
        notes=("add 1 2", "fails 1"),
        name="fail after running",
    ),
    Scenario("ordered", {"n": 1}, [2, 3], notes=("add 1 1", "add 1 2", "name first"), name="order only"),
    Scenario("retried", {"n": 1}, 1, notes=("flaky 1",) * 3, name="retries"),
    Scenario(
        "given_up",
        {"n": 1},
        error=("NonRecoverable", "hopeless"),
        notes=("hopeless 1",),
        name="not recoverable",
    ),
    Scenario("no_retries", {"n": 1}, error=("ValueError", "fails"), notes=("fails 1",), name="no retries"),
    Scenario(
        "checkpointed", {"n": 1}, "half1", notes=("resumes None", "resumes b'half'"), name="a checkpoint"
    ),
    Scenario("reported", {"n": 1}, "reports 1 True", name="a report"),
    Scenario("timed_out", {"n": 1}, error=("TimedOut", "slow"), notes=("slow 1",), name="a timeout"),
    Scenario("keeps", {"xs": [2, 3, 2]}, [4, 9, 4], name="a cached map"),
    Scenario(
        "map_over_map",
        {"n": 2},
        [2, 4, 4],
        notes=("add 0 0", "add 0 1", "add 1 1", "add 1 1", "add 2 1", "add 2 1", "add 3 1", "add 3 1"),
        name="a map over a map over a graph",
    ),
    Scenario("unfolds_in_case", {"n": 2}, [0, 2, 2], notes=("add 0 0", "add 1 1"), name="dynamic in a case"),
    Scenario("unfolds_in_case", {"n": 1}, [2, 2], notes=("add 1 1", "add 1 1"), name="a map in a case"),
    Scenario("decides_inside", {"n": 2}, 4, notes=("add 2 1", "add 2 2"), name="a case in a graph"),
    Scenario(
        "decides_inside",
        {"n": 1},
        error=("BranchFailed", "decides.limit"),
        notes=("add 1 1",),
        name="a case in a graph that fails",
    ),
    Scenario("asks_or_not", {"n": 1}, 2, notes=("add 1 1",), name="gates that are skipped"),
    Scenario("asks_or_not", {"n": 2}, 7, signals={"size.v": 7, "size.ok": True}, name="gates in a case"),
    Scenario(
        "child_in_case",
        {"n": 2},
        [42, 42],
        notes=("add 21 21", "add 21 21", "name part", "name part"),
        name="children of a graph in a case",
    ),
    Scenario(
        "handled_by_much",
        {"n": 1},
        error=("ValueError", "fails"),
        notes=(
            "add 0 0",
            "add 1 7",
            "add 1 7",
            "add 21 21",
            "clean 1 ValueError fails USER",
            "fails 1",
            "name part",
        ),
        name="a handler of every kind of node",
    ),
    Scenario(
        "handled_output",
        {"n": 1},
        error=("InvalidValue", ""),
        notes=("add 0 0", "clean 1 InvalidValue  USER"),
        name="an output that is not there, handled",
    ),
]
