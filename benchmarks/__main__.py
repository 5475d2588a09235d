"""`python -m benchmarks [part...] [--json FILE]`: measures, prints a table, writes JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path

from benchmarks import (
    checking,
    compiling,
    conversion,
    embedded,
    engine_alone,
    files,
    frames,
    importing,
    local_runs,
    measure,
    shapes,
)

PARTS = {
    "importing": importing.figures,
    "checking": checking.figures,
    "local_runs": local_runs.figures,
    "compiling": compiling.figures,
    "conversion": conversion.figures,
    "engine": engine_alone.figures,
    "shapes": shapes.figures,
    "embedded": embedded.figures,
    "frames": frames.figures,
    "files": files.figures,
}


def main() -> int:
    """Measures what was asked for, or everything; ends with 1 when a goal is missed."""
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
    write(asked.json, figures)
    missed = [figure.name for figure in figures if figure.missed]
    for name in missed:
        print(f"missed its goal: {name}", file=sys.stderr)
    return 1 if missed else 0


def write(path: Path, figures: list[measure.Figure]) -> None:
    """Adds the figures to those of other parts that the file has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    records = (
        {each["name"]: each for each in json.loads(path.read_text())["figures"]} if path.exists() else {}
    )
    records |= {figure.name: figure.record() for figure in figures}
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    path.write_text(json.dumps({"machine": machine, "figures": list(records.values())}, indent=1) + "\n")


def row(figure: measure.Figure) -> str:
    """A figure as a line of the table."""
    goals = [goal for goal in (figure.goal, figure.wall_goal) if goal is not None]
    goal = f"{goals[0]:g}" if goals else ""
    name = f"{figure.name} [{figure.unit}]"
    return (
        f"{name:56}{figure.value:10.3f}{goal:>9}{figure.baseline:11.4f}{figure.ratio:8.1f}{figure.wall:10.3f}"
    )


if __name__ == "__main__":
    sys.exit(main())
