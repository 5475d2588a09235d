"""What it takes to move data: a file of 10 GB through a task, in memory and time.

Bytes are sparse where they come from and written where they are stored: twice as much room as the file has is needed;
`TYPEDFLOW_BENCH_GB` makes it smaller. The goal of the memory does not depend on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import measure

GIGABYTES = float(os.environ.get("TYPEDFLOW_BENCH_GB", "10"))
MOST_MB = 300

# A process as an attempt's is: it receives a file, reads it where it lies, and gives it on.
PROGRAM = """
import resource, sys, time
from pathlib import Path
from typedflow import File, type_engine
from typedflow.dataplane import objects

folder, size = Path(sys.argv[1]), int(sys.argv[2])
with (folder / "source").open("wb") as file:
    for place in range(0, size, size // 8):
        file.seek(place)
        file.write(b"something else everywhere %d" % place)
    file.truncate(size)
data = type_engine.Data(objects.open_store(str(folder / "store")), folder / "files")
files = type_engine.standard().converter(File)
began = time.perf_counter()
literal = files.to_literal(File(folder / "source"), "outputs.o0", data)
stored = time.perf_counter()
received = files.from_literal(literal, "inputs.f", data)
count = 0
with received.path.open("rb", buffering=0) as file:
    fetched = time.perf_counter()
    while block := file.read(1 << 20):
        count += len(block)
assert count == size, count
assert files.to_literal(received, "outputs.o0", data) == literal
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, stored - began, fetched - stored)
"""


def figures() -> Iterator[measure.Figure]:
    """The most memory that the process had, and how long a gigabyte takes to be stored and to be fetched."""
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as folder:
        size = int(GIGABYTES * 1e9)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, folder, str(size)],
            check=True,
            capture_output=True,
            text=True,
            cwd=Path(__file__).parents[1],
        )
    peak, stored, fetched = map(float, done.stdout.split())
    name = f"a file of {GIGABYTES:g} GB through a task"
    yield measure.Figure(f"{name}: most memory", "MB", peak, 0.0, 0.0, "none", MOST_MB)
    for what, took in (("stored", stored), ("fetched", fetched)):
        per_gigabyte = took / GIGABYTES * 1000
        yield measure.Figure(f"{name}: {what}", "ms/GB", per_gigabyte, per_gigabyte, 0.0, "none")
