"""What it costs to import typedflow, and to define a first task, beyond an interpreter that starts and ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import measure

HEAVY = (
    "grpc",
    "kubernetes",
    "sqlalchemy",
    "pyarrow",
    "pandas",
    "pandera",
    "numpy",
    "rich",
    "starlette",
    "fsspec",
)
_DEFINE = """
from typedflow import task, workflow
@task
def f(n: int) -> int: return n
@workflow
def w(n: int) -> int: return f(n=n)
"""
_HELP = "import sys; from typedflow import cli; sys.argv[1:] = ['--help']; cli.main()"


def figures() -> Iterator[measure.Figure]:
    """Import alone; import, define and run a workflow; protobuf's own import, which is most of the latter; help."""
    with tempfile.TemporaryDirectory() as cache:
        yield from _figures(_compiled(cache))


def _compiled(cache: str) -> dict[str, str]:
    """An environment in which modules are compiled once, as an installer leaves them, whatever this process is told."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": cache}


def _figures(environment: dict[str, str]) -> Iterator[measure.Figure]:
    bare = _program("pass", environment)
    for name, code, goal in (
        ("import typedflow", "import typedflow", 100.0),
        ("import protobuf alone", "from google.protobuf import descriptor_pb2", None),
        ("import, define a task and a workflow", _DEFINE, None),
        ("import, define, run a workflow", _DEFINE + "assert w(n=1) == 1", None),
        ("import click alone", "import click", None),
        ("typedflow --help", _HELP, None),
    ):
        raw = measure.compare(
            name, _program(code, environment), bare, unit="ms", baseline_name="python -c pass", rounds=9
        )
        yield measure.Figure(
            f"{name}, over bare Python",
            raw.unit,
            raw.value - raw.baseline,
            raw.wall,
            raw.baseline,
            raw.baseline_name,
            goal,
        )
    loaded = heavy_modules(_DEFINE + "w(n=1)")
    if loaded:
        raise AssertionError(f"a workflow of ints loads {', '.join(loaded)}")


def heavy_modules(code: str) -> list[str]:
    """Those of `HEAVY` that a program loads."""
    asked = f"import sys, json\n{code}\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    out = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout
    found: list[str] = json.loads(out)
    return found


def _program(code: str, environment: dict[str, str]) -> measure.Work:
    return lambda: subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment, stdout=subprocess.DEVNULL
    )
