"""Workflows in the shapes of scientific ones, of 1,000 and 10,000 tasks: the engine alone, and cached on a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks import engine_alone, measure, science, serving

COUNTS = {1_000: (3, 2_000.0), 10_000: (1, 15_000.0)}
"""By the number of tasks: how often it is launched, and in how many milliseconds it should be there."""


def figures() -> Iterator[measure.Figure]:
    """Each shape in each size; of about as many tasks, for a shape has no size that fits exactly."""
    source = Path(science.__file__).read_text()
    with serving.serving("bench_science", source) as served:
        for count, (rounds, goal) in COUNTS.items():
            for name, shape in science.SHAPES.items():
                workflow, tasks = f"{name}_{count}", len(shape(count))
                compiled = getattr(served.module, workflow).compiled
                yield engine_alone.alone(f"engine, {name} of {tasks:,} tasks", compiled, tasks)
                served.fill(workflow)
                yield measure.compare(
                    f"cached launch of {name}, {tasks:,} tasks",
                    lambda workflow=workflow, tasks=tasks: served.cached(workflow, tasks),
                    lambda tasks=tasks: served.transactions(tasks),
                    unit="ms",
                    baseline_name="as many SQLite transactions by hand",
                    rounds=rounds,
                    warm=rounds > 1,
                    goal=goal,
                    wall_goal=goal,
                )
