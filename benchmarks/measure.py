"""Figures: CPU medians over repeated runs, beside a baseline that was measured between them.

CPU time of this process and its children, because machines are shared; the ratio says what a loaded machine's absolute
figure can't. Subject and baseline alternate, so that both meet the same load.
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured thing.

    Attributes:
        name: what it is.
        unit: of `value`, `baseline` and `goal`: always milliseconds per something.
        value: the median of the CPU times.
        wall: the median of the wall-clock times.
        baseline: the median CPU time of plain Python for the same.
        goal: what `value` should be at most; None where only the ratio counts.
        wall_goal: the same of `wall`, for what somebody waits for.
    """

    name: str
    unit: str
    value: float
    wall: float
    baseline: float
    baseline_name: str
    goal: float | None = None
    wall_goal: float | None = None

    @property
    def missed(self) -> bool:
        """Whether it is over one of its goals."""
        over = self.goal is not None and self.value > self.goal
        return over or (self.wall_goal is not None and self.wall > self.wall_goal)

    @property
    def ratio(self) -> float:
        """Times the baseline."""
        return self.value / self.baseline if self.baseline else float("inf")

    def record(self) -> dict[str, object]:
        """As it is written to JSON."""
        met = None if self.goal is None and self.wall_goal is None else not self.missed
        return {**asdict(self), "ratio": self.ratio, "goal_met": met}


def compare(
    name: str,
    subject: Work,
    baseline: Work,
    *,
    unit: str,
    baseline_name: str,
    count: int = 1,
    rounds: int = 7,
    warm: bool = True,
    goal: float | None = None,
    wall_goal: float | None = None,
) -> Figure:
    """Runs both in turn and gives the medians.

    Args:
        count: how many of what `unit` counts one run does.
        rounds: how often.
        warm: whether one more goes before and is not counted.
        goal, wall_goal: see `Figure`.
    """
    if warm:
        subject()
        baseline()
    cpu, wall, plain = [], [], []
    for _ in range(rounds):
        used, took = measured(subject)
        cpu.append(used / count)
        wall.append(took / count)
        plain.append(measured(baseline)[0] / count)
    return Figure(
        name,
        unit,
        statistics.median(cpu),
        statistics.median(wall),
        statistics.median(plain),
        baseline_name,
        goal,
        wall_goal,
    )


def measured(work: Work) -> tuple[float, float]:
    """CPU and wall-clock milliseconds of one call, ended children included."""
    cpu, wall = _cpu(), time.perf_counter()
    work()
    return (_cpu() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def _cpu() -> float:
    """Seconds of this process, of its ended children, and of its living descendants with what they have waited for."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime + _living(os.getpid())


def _living(root: int) -> float:
    """Attempts are children of template processes, which outlive a run: only /proc knows what they have used."""
    parents, ticks = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        parents[int(folder.name)] = int(fields[1])
        ticks[int(folder.name)] = sum(map(int, fields[11:15]))
    used = 0
    for pid, spent in ticks.items():
        above = parents[pid]
        while above not in {root, 0}:
            above = parents.get(above, 0)
        used += spent if above == root else 0
    return used / os.sysconf("SC_CLK_TCK")
