"""What the embedded server costs: launches of which everything is cached, and many small tasks, a process each.

A real server over real sockets, with its database and its processes in a temporary home.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks import measure, serving

EXECUTIONS = 20
CHAIN = 5
LEAVES = 6_000
TOGETHER = 2
AT_ONCE = 300

CACHED = {
    "wide_200": (200, 5, 1_000.0),
    "deep_200": (200, 5, 1_000.0),
    "wide_1000": (1_000, 5, 2_000.0),
    "deep_1000": (1_000, 3, None),
    "wide_10000": (10_000, 2, 15_000.0),
}
"""Fully cached launches: how many tasks, how often, and in how many milliseconds they should be there."""

PIPELINE = f"""
from typedflow import map_task, task, workflow

@task(cache=True)
def step(n: int) -> int:
    return n + 1

@task
def fresh(n: int) -> int:
    return n + 1

@task(cache=True)
def total(values: list[int]) -> int:
    return sum(values)

def _wide(count):
    return total(values=[step(n=i) for i in range(count - 1)])

def _deep(n, count):
    for _ in range(count):
        n = step(n=n)
    return n

@workflow
def wide_200(n: int) -> int:
    return _wide(200)

@workflow
def wide_1000(n: int) -> int:
    return _wide(1_000)

@workflow
def wide_10000(n: int) -> int:
    return _wide(10_000)

@workflow
def deep_200(n: int) -> int:
    return _deep(n, 200)

@workflow
def deep_1000(n: int) -> int:
    return _deep(n, 1_000)

@workflow
def chain(n: int) -> int:
    for _ in range({CHAIN}):
        n = fresh(n=n)
    return n

@workflow
def fan_out(n: list[int]) -> list[int]:
    return map_task(fresh)(n=n)

@workflow
def few_at_once(n: list[int]) -> list[int]:
    return map_task(fresh, concurrency={TOGETHER})(n=n)
"""

_FORKS = """
import os
for _ in range({count}):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


def figures() -> Iterator[measure.Figure]:
    """Fully cached launches, side by side and one after another; chains, and a fan-out, of tasks that run."""
    with serving.serving("bench_pipeline", PIPELINE) as served:
        for workflow, (tasks, rounds, goal) in CACHED.items():
            served.fill(workflow)
            yield measure.compare(
                f"cached launch of {tasks:,} nodes, {workflow.partition('_')[0]}",
                lambda workflow=workflow, tasks=tasks: served.cached(workflow, tasks),
                lambda tasks=tasks: served.transactions(tasks),
                unit="ms",
                baseline_name="as many SQLite transactions by hand",
                rounds=rounds,
                goal=goal,
                wall_goal=goal,
            )
        yield _small(
            f"{EXECUTIONS} executions of a {CHAIN}-task chain",
            lambda: _many(served),
            EXECUTIONS * CHAIN,
            rounds=3,
            goal=25.0,
        )
        yield _small(
            f"a map of {AT_ONCE} tasks, {TOGETHER} at once",
            lambda: _mapped(served, "few_at_once", AT_ONCE),
            AT_ONCE,
            rounds=3,
            goal=10.0,
            wall_goal=10.0,
        )
        yield _small(
            f"a map of {LEAVES:,} tasks",
            lambda: _mapped(served, "fan_out", LEAVES),
            LEAVES,
            rounds=1,
            warm=False,
        )


def _small(
    name: str,
    subject: measure.Work,
    tasks: int,
    *,
    rounds: int,
    warm: bool = True,
    goal: float | None = None,
    wall_goal: float | None = None,
) -> measure.Figure:
    return measure.compare(
        name,
        subject,
        lambda: _forks(tasks),
        unit="ms/task",
        baseline_name="os.fork and wait by hand",
        count=tasks,
        rounds=rounds,
        warm=warm,
        goal=goal,
        wall_goal=wall_goal,
    )


def _many(served: serving.Serving) -> None:
    runs = [served.client.launch("bench_pipeline.chain", inputs={"n": i}) for i in range(EXECUTIONS)]
    for i, run in enumerate(runs):
        assert run.wait().outputs.o0 == i + CHAIN


def _mapped(served: serving.Serving, workflow: str, count: int) -> None:
    run = served.client.launch(f"bench_pipeline.{workflow}", inputs={"n": list(range(count))})
    assert run.wait().outputs.o0 == list(range(1, count + 1))


def _forks(count: int) -> None:
    """In a process of its own: gRPC has a lot to say about forks in this one."""
    subprocess.run([sys.executable, "-c", _FORKS.format(count=count)], check=True)
