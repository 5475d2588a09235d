"""`python -m tests.simulation --seeds 10000`: plays the plans of seeds; one that fails is cut down and printed.

--from 5000           the first seed
--seed 1213           one seed, with its journal
--scenario FILE       a plan that was kept
--keep NAME           a plan that fails is kept as tests/simulation/scenarios/NAME.json
"""

import argparse
import gc
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path

from tests.simulation import plans, shrinking, world

SCENARIOS = Path(__file__).parent / "scenarios"
_PART = 25


def play_part(seeds: range) -> tuple[int, Counter[str], list[tuple[int, str]]]:
    """Plays some seeds: how many steps they took, what happened, and what went wrong."""
    gc.disable()  # most of what a seed leaves goes at once; the rest is collected between parts
    steps, happened, failures = 0, Counter[str](), []
    for seed in seeds:
        try:
            result = world.World(plans.draw(seed)).play()
        except Exception as error:  # noqa: BLE001 - the seed is what matters
            failures.append((seed, f"the simulation itself ended with {error!r}"))
            continue
        steps += result.steps
        happened.update(result.happened)
        happened.update(result.phases.values())
        if result.violations:
            failures.append((seed, result.violations[0]))
    gc.collect()
    return steps, happened, failures


def play(first: int, count: int, processes: int, most_failures: int = 1) -> list[tuple[int, str]]:
    """Plays seeds on several processors, and says how far it is."""
    parts = [range(at, min(at + _PART, first + count)) for at in range(first, first + count, _PART)]
    begun = told = time.monotonic()
    done = steps = 0
    happened: Counter[str] = Counter()
    failures: list[tuple[int, str]] = []
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for part, found in zip(parts, pool.imap(play_part, parts), strict=True):
            done += len(part)
            steps += found[0]
            happened.update(found[1])
            failures += found[2]
            now = time.monotonic()
            if now - told > 5 or done == count or len(failures) >= most_failures:
                told = now
                say(f"{done:,} of {count:,} seeds, {done / (now - begun):.0f} seeds/s, {steps:,} commits")
            if len(failures) >= most_failures:
                pool.terminate()
                break
    say(", ".join(f"{name} {number:,}" for name, number in sorted(happened.items())))
    return failures


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def tell(plan: world.Plan) -> bool:
    """Plays a plan and prints what came of it; whether all was well."""
    result = world.World(plan).play()
    say(json.dumps(plan, indent=1))
    say("\n".join(result.journals))
    say("\n".join(result.violations) or "all is well")
    return not result.violations


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser("tests.simulation")
    parser.add_argument("--seeds", type=int, default=1_000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--scenario", type=Path)
    parser.add_argument("--keep", default="")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--failures", type=int, default=1, help="goes on until there are so many")
    given = parser.parse_args(arguments)
    if given.scenario is not None:
        return 0 if tell(json.loads(given.scenario.read_text())["plan"]) else 1
    if given.seed is not None:
        return 0 if tell(plans.draw(given.seed)) else 1
    failures = play(given.first, given.seeds, given.processes, given.failures)
    if not failures:
        return 0
    for seed, violation in failures:
        say(f"seed {seed}: {violation}")
    seed, violation = failures[0]
    say(f"cutting down seed {seed} ...")
    plan = shrinking.shrink(plans.draw(seed), violation)
    tell(plan)
    say(f"This is what is left of seed {seed}; see docs/simulation.md.")
    if given.keep:
        SCENARIOS.mkdir(exist_ok=True)
        kept = {"about": violation, "plan": plan}
        (SCENARIOS / f"{given.keep}.json").write_text(json.dumps(kept, indent=1) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
