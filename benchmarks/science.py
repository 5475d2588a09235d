"""Workflows in the shapes of published scientific ones; no science is done.

Which kinds of tasks there are, and who gives what to whom, is as in the recipes of WfCommons (Coleman et al. 2021):
Montage (images of the sky), Epigenomics (reads of a genome), 1000Genome (mutations), Cycles (crops). How many there are
of each kind follows from the number of tasks that is asked for.

It is registered as it is, so it imports typedflow only.
"""

from __future__ import annotations

from collections.abc import Callable

from typedflow import task, workflow

Tasks = list[tuple[str, list[int]]]
"""The kind of each task, and the earlier ones that give to it."""


@task(cache=True)
def work(kind: str, number: int, given: list[int]) -> int:
    return (len(kind) + number + sum(given)) % 1_000_000


def montage(count: int) -> Tasks:
    """Three colours; each projects its images, fits the differences of those that overlap, and corrects them."""
    images = (count - 16) // 24
    tasks: Tasks = []
    ends = []
    for _ in range(3):
        projected = _add(tasks, "mProject", [[] for _ in range(images)])
        overlaps = [[projected[i], projected[(i + d) % images]] for i in range(images) for d in range(1, 7)]
        fitted = _add(tasks, "mDiffFit", overlaps)
        (concatenated,) = _add(tasks, "mConcatFit", [fitted])
        (model,) = _add(tasks, "mBgModel", [[concatenated]])
        corrected = _add(tasks, "mBackground", [[image, model] for image in projected])
        (table,) = _add(tasks, "mImgtbl", [corrected])
        (added,) = _add(tasks, "mAdd", [[table, *corrected]])
        ends += _add(tasks, "mViewer", [[added]])
    _add(tasks, "mViewer", [ends])
    return tasks


def epigenomics(count: int) -> Tasks:
    """Four lanes, each split into chunks that go through four tools in a row."""
    chunks = round(((count - 3) / 4 - 2) / 4)
    tasks: Tasks = []
    merged = []
    for _ in range(4):
        (split,) = _add(tasks, "fastqSplit", [[]])
        ends = [split] * chunks
        for kind in ("filterContams", "sol2sanger", "fastq2bfq", "map"):
            ends = _add(tasks, kind, [[end] for end in ends])
        merged += _add(tasks, "mapMerge", [ends])
    (whole,) = _add(tasks, "mapMerge", [merged])
    (index,) = _add(tasks, "chr21", [[whole]])
    _add(tasks, "pileup", [[index]])
    return tasks


def genomes(count: int) -> Tasks:
    """Twenty chromosomes: individuals merged, and looked at with what was sifted, for seven populations, twice."""
    individuals = count // 20 - 16
    tasks: Tasks = []
    for _ in range(20):
        (merged,) = _add(tasks, "individuals_merge", [_add(tasks, "individuals", [[]] * individuals)])
        (sifted,) = _add(tasks, "sifting", [[]])
        _add(tasks, "mutation_overlap", [[merged, sifted]] * 7)
        _add(tasks, "frequency", [[merged, sifted]] * 7)
    return tasks


def cycles(count: int) -> Tasks:
    """Nine places: a simulation of each weather, one with more fertilizer, and what came out of both."""
    weathers = round((count / 9 - 3) / 3)
    tasks: Tasks = []
    summaries = []
    for _ in range(9):
        (baseline,) = _add(tasks, "baseline_cycles", [[]])
        simulated = _add(tasks, "cycles", [[baseline]] * weathers)
        fertilized = _add(tasks, "fertilizer_increase_cycles", [[baseline, each] for each in simulated])
        pairs = [list(pair) for pair in zip(simulated, fertilized, strict=True)]
        parsed = _add(tasks, "fertilizer_increase_output_parser", pairs)
        summaries += _add(tasks, "fertilizer_increase_output_summary", [parsed])
        _add(tasks, "cycles_output_summary", [simulated])
    _add(tasks, "cycles_plots", [summaries])
    return tasks


def _add(tasks: Tasks, kind: str, given: list[list[int]]) -> list[int]:
    """One task for each list of those that give to it; their numbers."""
    first = len(tasks)
    tasks += [(kind, parents) for parents in given]
    return list(range(first, len(tasks)))


def _call(tasks: Tasks) -> int:
    made: list[int] = []
    for number, (kind, parents) in enumerate(tasks):
        made.append(work(kind=kind, number=number, given=[made[i] for i in parents]))
    return made[-1]


SHAPES: dict[str, Callable[[int], Tasks]] = {
    "montage": montage,
    "epigenomics": epigenomics,
    "genomes": genomes,
    "cycles": cycles,
}


@workflow
def montage_1000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(montage(1_000))


@workflow
def montage_10000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(montage(10_000))


@workflow
def epigenomics_1000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(epigenomics(1_000))


@workflow
def epigenomics_10000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(epigenomics(10_000))


@workflow
def genomes_1000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(genomes(1_000))


@workflow
def genomes_10000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(genomes(10_000))


@workflow
def cycles_1000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(cycles(1_000))


@workflow
def cycles_10000(n: int) -> int:  # noqa: ARG001 - its tasks have numbers of their own
    return _call(cycles(10_000))
