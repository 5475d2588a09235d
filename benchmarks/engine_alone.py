"""The engine by itself, without a server, a store or a task: events a second, memory, and how both grow.

Each size is driven in a process of its own that has read the compiled workflow from a file, so what its memory grows by
is the engine's: the graph, the state, and what the events gave it. Telling it of an event is counted too.
"""

from __future__ import annotations

import gc
import graphlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypedDict

from benchmarks import measure
from typedflow import engine, literals, map_task, task, workflow
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, literals_pb2, workflows_pb2

SLOTS = 100_000
NODES = 20_000
LINEAR = 2.3
"""What twice as much may take, in times."""

_ROUNDS = 3
_ROOT = Path(__file__).parents[1]


class Run(TypedDict):
    """What a process says of its run."""

    cpu: float
    wall: float
    events: int
    bytes: int


class Shape(NamedTuple):
    """`size`: what the driver is told to map over; 0 for a workflow without a map."""

    name: str
    of: str
    compiled: workflows_pb2.CompiledWorkflow
    size: int
    units: int


@task
def double(n: int) -> int:
    return 2 * n


@task
def both(a: int, b: int) -> int:
    return a + b


@workflow
def mapped(n: list[int]) -> list[int]:
    return map_task(double)(n=n)


def figures() -> Iterator[measure.Figure]:
    """A map and a graph, each in two sizes."""
    for name, of, shapes in (
        ("map", "slot", [Shape("map", "slot", mapped.compiled, n, n) for n in (SLOTS // 2, SLOTS)]),
        ("graph", "node", [Shape("graph", "node", _graph(n), 0, n) for n in (NODES // 2, NODES)]),
    ):
        half, whole = [_runs(shape) for shape in shapes]
        largest = shapes[-1]
        yield _speed(f"engine, a {name} of {largest.units:,} {of}s", whole, largest)
        growth = statistics.median(run["bytes"] for run in whole) / largest.units
        yield measure.Figure(f"engine, {name}: memory", f"bytes/{of}", growth, 0.0, 0.0, "none")
        grown = _least(whole) / _least(half)
        yield measure.Figure(
            f"engine, {name}: twice as many {of}s", "times", grown, grown, 2.0, "linear growth", LINEAR
        )


def alone(name: str, compiled: workflows_pb2.CompiledWorkflow, count: int) -> measure.Figure:
    """How fast the engine goes through a workflow of which everything is cached."""
    shape = Shape(name, "task", compiled, 0, count)
    return _speed(name, _runs(shape), shape)


def _speed(name: str, runs: list[Run], shape: Shape) -> measure.Figure:
    thousands = runs[0]["events"] / 1000
    plain = [measure.measured(lambda: _plain(shape.compiled, shape.units))[0] for _ in range(_ROUNDS)]
    return measure.Figure(
        name,
        "ms/1000 events",
        1000 * statistics.median(run["cpu"] for run in runs) / thousands,
        1000 * statistics.median(run["wall"] for run in runs) / thousands,
        statistics.median(plain) / thousands,
        "graphlib's topological order, a node at a time",
    )


def _least(runs: list[Run]) -> float:
    return min(run["cpu"] for run in runs)


def _graph(count: int) -> workflows_pb2.CompiledWorkflow:
    """Layers of 100 nodes; each takes two of the layer before."""

    @workflow
    def layered(n: int) -> int:
        layer = [n] * 100
        for _ in range(count // 100):
            layer = [both(a=layer[i], b=layer[(7 * i + 1) % 100]) for i in range(100)]
        return layer[0]

    return layered.compiled


def _runs(shape: Shape) -> list[Run]:
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as folder:
        path = Path(folder) / "compiled.pb"
        path.write_bytes(shape.compiled.SerializeToString())
        command = [sys.executable, "-m", "benchmarks.engine_alone", str(path), str(shape.size)]
        return [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=_ROOT).stdout)
            for _ in range(_ROUNDS)
        ]


def _plain(compiled: workflows_pb2.CompiledWorkflow, count: int) -> None:
    """The same order by the standard library: each node is told of when it is done. Slots have no order."""
    nodes = compiled.workflow.nodes
    parents: dict[object, set[object]] = (
        {node.id: {each.value.promise.node for each in node.inputs} - {""} for node in nodes}
        if len(nodes) >= count
        else {slot: set() for slot in range(count)}
    )
    order = graphlib.TopologicalSorter(parents)
    order.prepare()
    while order:
        for node in order.get_ready():
            order.done(node)


def run(compiled: workflows_pb2.CompiledWorkflow, size: int) -> Run:
    """Drives it in this process: what is asked of the cache is there, and each attempt succeeds."""
    gc.collect()
    before = _resident()
    cpu, wall = time.process_time(), time.perf_counter()
    graph = engine.Graph(compiled)
    state = engine.State(graph)
    inputs = literals_pb2.LiteralMap()
    for each in compiled.workflow.interface.inputs:
        value = literals.from_list(literals.integers(range(size))) if size else literals.from_int(1)
        inputs.values.add(name=each.name, value=value)
    started = events_pb2.ExecutionStarted(inputs=inputs)
    events = 1
    todo = engine.step(graph, state, events_pb2.Event(time_us=1, execution_started=started))
    outputs = literals_pb2.LiteralMap()
    outputs.values.add(name="o0").value.integer = 2
    while todo:
        for event in _answers(state, todo.pop(), outputs):
            events += 1
            todo += engine.step(graph, state, event)
            state.take_changed()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    assert state.phase == executions_pb2.PHASE_SUCCEEDED, state.phase
    gc.collect()
    return Run(cpu=cpu, wall=wall, events=events, bytes=_resident() - before)


def _answers(
    state: engine.State, action: engine.Action, outputs: literals_pb2.LiteralMap
) -> Iterator[events_pb2.Event]:
    match action:
        case engine.CheckCache(unit):
            hit = events_pb2.CacheChecked(
                node=state.path(unit), status=catalog_pb2.CACHE_STATUS_HIT, outputs=outputs
            )
            yield events_pb2.Event(time_us=2, cache_checked=hit)
        case engine.StartAttempt(unit, attempt):
            path = state.path(unit)
            began = events_pb2.AttemptStarted(node=path, attempt=attempt)
            yield events_pb2.Event(time_us=2, attempt_started=began)
            ended = events_pb2.AttemptSucceeded(node=path, attempt=attempt, outputs=outputs)
            yield events_pb2.Event(time_us=3, attempt_succeeded=ended)
        case _:
            return


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    read = workflows_pb2.CompiledWorkflow.FromString(Path(sys.argv[1]).read_bytes())
    sys.stdout.write(json.dumps(run(read, int(sys.argv[2]))))
