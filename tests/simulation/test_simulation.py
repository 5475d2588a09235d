"""Plans of crashes and failures, played in virtual time: see docs/simulation.md."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation import mutations, plans, shrinking, world

_PART = 25
_SCENARIOS = sorted((Path(__file__).parent / "scenarios").glob("*.json"))


@pytest.mark.parametrize("first", range(0, 150, _PART))
def test_what_must_not_happen_does_not_happen_whatever_crashes(first: int):
    for seed in range(first, first + _PART):
        violations = world.World(plans.draw(seed)).play().violations
        assert not violations, f"seed {seed}: python -m tests.simulation --seed {seed}"


def test_e1_a_seed_plays_alike_in_every_process():
    script = (
        "from tests.simulation import plans, world\n"
        "for seed in range(8): print(*world.World(plans.draw(seed)).play().journals, sep='\\n')\n"
    )
    digests = set()
    for hash_seed in ("1", "2"):
        played = subprocess.run(
            [sys.executable, "-c", script],
            cwd=Path(__file__).resolve().parents[2],
            env=os.environ | {"PYTHONHASHSEED": hash_seed},
            stdout=subprocess.PIPE,
            check=True,
        )
        assert played.stdout.count(b"\n") > 100
        digests.add(hashlib.sha256(played.stdout).hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_plan_that_is_kept_as_json_plays_as_the_seed_does(seed: int):
    plan = plans.draw(seed)
    assert world.World(json.loads(json.dumps(plan))).play() == world.World(plan).play()


@pytest.mark.parametrize("path", _SCENARIOS, ids=lambda path: path.stem)
def test_what_was_found_once_is_not_found_again(path: Path):
    assert not world.World(json.loads(path.read_text())["plan"]).play().violations


# It is seen that a protection is gone, and the plan that shows it can be cut down.

_MOST_SEEDS = 600


@pytest.mark.slow
@pytest.mark.parametrize("without", mutations.ALL, ids=lambda each: each.__name__)
def test_without_a_protection_something_happens_that_must_not(without):
    with without():
        assert any(world.World(plans.draw(seed)).play().violations for seed in range(_MOST_SEEDS))


@pytest.mark.slow
def test_a_plan_that_fails_is_cut_down_to_what_it_takes():
    with mutations.one_runner_for_an_attempt():
        plan, violation = next(
            (plan, result.violations[0])
            for plan in map(plans.draw, range(_MOST_SEEDS))
            if (result := world.World(plan).play()).violations
        )
        smaller = shrinking.shrink(plan, violation, seconds=20)
        assert shrinking.fails_alike(smaller, shrinking.kind(violation))
    assert len(json.dumps(smaller)) < len(json.dumps(plan))
    assert not world.World(smaller).play().violations
