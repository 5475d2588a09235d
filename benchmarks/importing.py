"""What it costs to import typedflow, and to define a first task, beyond an interpreter that starts and ends."""

from __future__ import annotations

import json
import subprocess
import sys
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


def figures() -> Iterator[measure.Figure]:
    """Import alone; import, define and run a workflow; protobuf's own import, which is most of the latter."""
    bare = _program("pass")
    for name, code, goal in (
        ("import typedflow", "import typedflow", 100.0),
        ("import protobuf alone", "from google.protobuf import descriptor_pb2", None),
        ("import, define a task and a workflow", _DEFINE, None),
        ("import, define, run a workflow", _DEFINE + "assert w(n=1) == 1", None),
    ):
        raw = measure.compare(name, _program(code), bare, unit="ms", baseline_name="python -c pass", rounds=9)
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


def _program(code: str) -> measure.Work:
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)
