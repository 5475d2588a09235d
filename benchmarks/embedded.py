"""What the embedded server costs: a launch of which everything is cached, and many small executions.

A real server over real sockets, with its database and its processes in a temporary home.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from typedflow import client, services

NODES = 200
EXECUTIONS = 20
CHAIN = 5

PIPELINE = f"""
from typedflow import task, workflow

@task(cache=True)
def step(n: int) -> int:
    return n + 1

@task
def fresh(n: int) -> int:
    return n + 1

@task(cache=True)
def total(values: list[int]) -> int:
    return sum(values)

@workflow
def wide(n: int) -> int:
    return total(values=[step(n=i) for i in range({NODES - 1})])

@workflow
def deep(n: int) -> int:
    for _ in range({NODES}):
        n = step(n=n)
    return n

@workflow
def chain(n: int) -> int:
    for _ in range({CHAIN}):
        n = fresh(n=n)
    return n
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
    """Fully cached launches of 200 nodes, side by side and one after another; 20 executions of a 5-task chain."""
    with _server() as (connected, folder):
        for shape in ("wide", "deep"):
            connected.launch(f"bench_pipeline.{shape}", inputs={"n": 1}).wait()
            yield measure.compare(
                f"cached launch of {NODES} nodes, {shape}",
                lambda shape=shape: _launch(connected, shape, NODES),
                lambda: _transactions(folder, NODES),
                unit="ms",
                baseline_name=f"{NODES} SQLite transactions by hand",
                rounds=5,
                goal=1000.0,
            )
        tasks = EXECUTIONS * CHAIN
        yield measure.compare(
            f"{EXECUTIONS} executions of a {CHAIN}-task chain",
            lambda: _many(connected),
            lambda: _forks(tasks),
            unit="ms/task",
            baseline_name="os.fork and wait by hand",
            count=tasks,
            rounds=3,
            goal=25.0,
        )


def _launch(connected: client.Client, shape: str, nodes: int) -> None:
    run = connected.launch(f"bench_pipeline.{shape}", inputs={"n": 1}).wait()
    hits = [node for node in run.nodes if node.cache == "HIT"]
    assert len(hits) == nodes, f"{len(hits)} hits of {nodes}"


def _many(connected: client.Client) -> None:
    runs = [connected.launch("bench_pipeline.chain", inputs={"n": i}) for i in range(EXECUTIONS)]
    for i, run in enumerate(runs):
        assert run.wait().outputs.o0 == i + CHAIN


def _forks(count: int) -> None:
    """In a process of its own: gRPC has a lot to say about forks in this one."""
    subprocess.run([sys.executable, "-c", _FORKS.format(count=count)], check=True)


def _transactions(folder: Path, count: int) -> None:
    path = folder / "baseline.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("CREATE TABLE IF NOT EXISTS results (id INTEGER PRIMARY KEY, value BLOB)")
        for i in range(count):
            with connection:
                connection.execute("INSERT INTO results (value) VALUES (?)", (str(i).encode() * 50,))
    path.unlink()


@contextlib.contextmanager
def _server() -> Iterator[tuple[client.Client, Path]]:
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as name:
        folder = Path(name)
        (folder / "bench_pipeline.py").write_text(PIPELINE)
        with (
            services.embedded(folder / "home") as server,
            client.Client(server.grpc, token=server.token) as connected,
        ):
            connected.register(folder / "bench_pipeline.py")
            yield connected, folder
