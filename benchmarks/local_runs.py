"""What a typed task costs in a direct call of a workflow, beside a plain Python call with the same checks by hand.

And what it costs when a new process finds it in the cache of a folder, with the workflow traced and compiled anew.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure
from typedflow import task, workflow

CHAIN = 50
FAN_OUT = 500
CACHED = 1000

_DEFINE = f"""
import sys
from typedflow import task, workflow
from typedflow.testing import local

@task(cache=True)
def increment(n: int) -> int:
    return n + 1

@workflow
def chain(n: int) -> int:
    for _ in range({CACHED}):
        n = increment(n=n)
    return n

@workflow
def one(n: int) -> int:
    return increment(n=n)

with local(cache=sys.argv[1]):
    assert one(n=0) == 1
"""
_CALL = f"""
    assert chain(n=0) == {CACHED}
"""
_PLAIN = f"""
import hashlib, json, sqlite3, sys

connection = sqlite3.connect(sys.argv[1] + ".plain")
connection.execute("CREATE TABLE IF NOT EXISTS results (key TEXT PRIMARY KEY, value TEXT)")
n = 0
for _ in range({CACHED}):
    key = hashlib.sha256(json.dumps(["increment", n], sort_keys=True).encode()).hexdigest()
    row = connection.execute("SELECT value FROM results WHERE key = ?", (key,)).fetchone()
    if row is None:
        n += 1
        connection.execute("INSERT INTO results VALUES (?, ?)", (key, json.dumps(n)))
    else:
        n = json.loads(row[0])
connection.commit()
assert n == {CACHED}
"""


@task
def increment(n: int) -> int:
    return n + 1


@task
def total(values: list[int]) -> int:
    return sum(values)


@workflow
def chain(n: int) -> int:
    for _ in range(CHAIN):
        n = increment(n=n)
    return n


@workflow
def fan_out(n: int) -> int:
    return total(values=[increment(n=n) for _ in range(FAN_OUT)])


def figures() -> Iterator[measure.Figure]:
    """Per task: what runs, tracing and compiling done before; what is cached, in a new process."""
    yield from _run()
    yield _cached()


def _run() -> Iterator[measure.Figure]:
    name = "plain function, arguments checked"
    for shape, subject, count, plain in (
        (f"local chain of {CHAIN}", chain, CHAIN, _plain_chain),
        (f"local fan-out of {FAN_OUT}", fan_out, FAN_OUT + 1, _plain_fan_out),
    ):
        repeat = 2000 // count
        yield measure.compare(
            shape,
            lambda subject=subject, repeat=repeat: [subject(n=1) for _ in range(repeat)],
            lambda plain=plain, repeat=repeat: [plain(1) for _ in range(repeat)],
            unit="ms/task",
            baseline_name=name,
            count=count * repeat,
            goal=0.05,
        )


def _cached() -> measure.Figure:
    """Over a process that defines the same, and takes one task from the cache."""
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as place:
        folder = Path(place)
        environment = {name: each for name, each in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")

        def over(name: str, code: str, bare: str) -> tuple[float, float]:
            """Milliseconds of CPU and of the clock that a program takes beyond another."""
            programs = []
            for part, text in (("whole", code), ("bare", bare)):
                path = (
                    folder / part / f"{name}.py"
                )  # code is told apart by its module's name, not by its place
                path.parent.mkdir(exist_ok=True)
                path.write_text(text)
                programs.append([sys.executable, str(path), str(folder / "cache")])
            subject, baseline = [
                lambda command=command: subprocess.run(command, check=True, env=environment)
                for command in programs
            ]
            both = measure.compare(name, subject, baseline, unit="ms", baseline_name="", rounds=9)
            return both.value - both.baseline, both.wall

        used, wall = over("typed", _DEFINE + _CALL, _DEFINE)
        plain, _ = over("plain", _PLAIN, "import hashlib, json, sqlite3")
    return measure.Figure(
        f"local chain of {CACHED:,}, cached, in a new process",
        "ms/task",
        used / CACHED,
        wall / CACHED,
        plain / CACHED,
        "a key by hand, looked up in SQLite",
        0.3,
    )


def _checked(n: object) -> int:
    if not isinstance(n, int) or not -(2**63) <= n < 2**63:
        raise TypeError(n)
    return n


def _plain_increment(*, n: int) -> int:
    return _checked(_checked(n) + 1)


def _plain_chain(n: int) -> int:
    for _ in range(CHAIN):
        n = _plain_increment(n=n)
    return n


def _plain_fan_out(n: int) -> int:
    return sum([_plain_increment(n=n) for _ in range(FAN_OUT)])
