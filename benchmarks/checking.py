"""What `typedflow check FILE` costs beyond what the file itself imports, typedflow not counted among that."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure

_GOAL = 1_000.0
_TASKS = 30
_WORKFLOWS = 5
_PLAIN = "from typedflow import task, workflow\n"
_PANDERA = "import pandera.pandas as pa\nfrom pandera.typing import DataFrame, Series\n"


def figures() -> Iterator[measure.Figure]:
    """A file of 30 tasks and 5 workflows of 20 calls, whose values are plain or pandera's frames of 20 columns."""
    with tempfile.TemporaryDirectory() as folder:
        for name, imports, program in (
            ("plain values", "pass", plain()),
            ("frames of pandera", _PANDERA, frames()),
        ):
            yield _figure(Path(folder), name, imports, program)


def plain() -> str:
    """A file of plain values."""
    tasks = (
        f"@task\ndef t{i}(n: int, by: float = 1.0, names: list[str] | None = None) -> int:\n    return n\n"
        for i in range(_TASKS)
    )
    return _PLAIN + "".join(tasks) + _workflows("n", "int")


def frames() -> str:
    """A file of frames, each with a schema of its own name."""
    columns = "".join(
        f"    c{i}: Series[{'float' if i % 2 else 'int'}] = pa.Field(ge=0)\n" for i in range(20)
    )
    models = "".join(f"class M{i}(pa.DataFrameModel):\n{columns}" for i in range(10))
    tasks = (
        f"@task\ndef t{i}(df: DataFrame[M{i % 10}]) -> DataFrame[M{(i + 1) % 10}]:\n    return df\n"
        for i in range(_TASKS)
    )
    return _PLAIN + _PANDERA + models + "".join(tasks) + _workflows("df", "DataFrame[M0]")


def _workflows(name: str, type_: str) -> str:
    calls = "".join(f"    {name} = t{i}({name}={name})\n" for i in range(20))
    return "".join(
        f"@workflow\ndef w{i}({name}: {type_}) -> {type_}:\n{calls}    return {name}\n"
        for i in range(_WORKFLOWS)
    )


def _figure(folder: Path, name: str, imports: str, program: str) -> measure.Figure:
    """The command's CPU time less that of an interpreter that imports what the file imports."""
    # Modules are compiled once, as an installer leaves them, whatever this process is told.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment = kept | {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    (folder / "checked.py").write_text(program, "utf-8")
    check = "import sys; from typedflow import cli; sys.argv[1:] = ['check', 'checked.py']; cli.main()"

    def run(code: str) -> object:
        return subprocess.run(
            [sys.executable, "-c", code], check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL
        )

    raw = measure.compare(
        f"typedflow check, {_TASKS} tasks, {_WORKFLOWS} workflows of {name}, over its imports",
        lambda: run(check),
        lambda: run(imports),
        unit="ms",
        baseline_name="python, importing the same",
        rounds=5,
    )
    over = raw.value - raw.baseline
    return measure.Figure(raw.name, raw.unit, over, raw.wall, raw.baseline, raw.baseline_name, _GOAL)
