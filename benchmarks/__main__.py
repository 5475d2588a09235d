"""`python -m benchmarks [part...] [--json FILE]`: measures, prints a table, writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks import compiling, embedded, importing, local_runs, measure

PARTS = {
    "importing": importing.figures,
    "local_runs": local_runs.figures,
    "compiling": compiling.figures,
    "embedded": embedded.figures,
}


def main() -> int:
    """Measures what was asked for, or everything."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}; all when none is named"
    )
    parser.add_argument(
        "--json", type=Path, default=Path("benchmarks/results/latest.json"), help="where figures are written"
    )
    asked = parser.parse_args()
    unknown = [part for part in asked.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    print(f"{'':56}{'CPU':>10}{'goal':>9}{'baseline':>11}{'ratio':>8}{'wall':>10}")
    figures: list[measure.Figure] = []
    for part in asked.parts or PARTS:
        for figure in PARTS[part]():
            figures.append(figure)
            print(row(figure), flush=True)
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_text(
        json.dumps({"machine": machine, "figures": [f.record() for f in figures]}, indent=1) + "\n"
    )
    return 0


def row(figure: measure.Figure) -> str:
    """A figure as a line of the table."""
    goal = "" if figure.goal is None else f"{figure.goal:g}"
    name = f"{figure.name} [{figure.unit}]"
    return (
        f"{name:56}{figure.value:10.3f}{goal:>9}{figure.baseline:11.4f}{figure.ratio:8.1f}{figure.wall:10.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
