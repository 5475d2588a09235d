"""What it takes to hand a frame from one task to the next on one machine, beside hashing and writing the same bytes.

Wall-clock times, the best of each: a disk is waited for, what runs in two threads counts once, and what other programs
do to a shared machine meanwhile says nothing. Both end with the bytes on the disk,
as a result has to outlive a power cut. The consumer maps what the producer wrote, and checks it first.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from blake3 import blake3

from benchmarks import measure
from typedflow import type_engine
from typedflow.dataplane import objects

ROWS, COLUMNS = 2_000_000, 8
MOST = 1.5
_ROUNDS = 11


def figures() -> Iterator[measure.Figure]:
    """An Arrow table of 128 MB from a task to a task: outputs converted, inputs converted."""
    random = np.random.default_rng(0)
    table = pa.table({f"c{n}": pa.array(random.random(ROWS)) for n in range(COLUMNS)})
    converter = type_engine.standard().converter(pa.Table)
    with tempfile.TemporaryDirectory(prefix="typedflow-bench-") as name:
        folder = Path(name)
        data = type_engine.Data(objects.open_store(str(folder / "store")), folder / "files")

        def hop() -> None:
            literal = converter.to_literal(table, "outputs.o0", data)
            converter.from_literal(literal, "inputs.frame", data)
            written.append(literal.frame.blob)

        written = []
        hop()
        raw = data.store.read_bytes(written[0])

        def plain() -> None:
            blake3(raw).digest()
            with (folder / "plain").open("wb", buffering=0) as file:
                file.write(raw)
                os.fsync(file.fileno())

        ours, theirs = [], []
        for _ in range(_ROUNDS):
            data.store.delete([written.pop().digest])
            ours.append(measure.measured(hop)[1])
            theirs.append(measure.measured(plain)[1])
            (folder / "plain").unlink()
    value, baseline = min(ours), min(theirs)
    yield measure.Figure(
        f"a frame of {ROWS:,} x {COLUMNS} floats to the next task",
        "ms",
        value,
        value,
        baseline,
        "BLAKE3 of the same bytes, written and synced",
        MOST * baseline,
    )
