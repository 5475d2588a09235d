"""I4: how changes are told, letter by letter, and to programs."""

import textwrap

import click
import pytest
from click.testing import CliRunner

from typedflow import errors, identifiers
from typedflow.cli import comparison, diff, failures, register
from typedflow.pb import identifiers_pb2, registry_pb2

SAME, COMPATIBLE, BREAKING = (
    registry_pb2.COMPATIBILITY_SAME,
    registry_pb2.COMPATIBILITY_COMPATIBLE,
    registry_pb2.COMPATIBILITY_BREAKING,
)
OLD, NEW = (identifiers.launch_plan("p.training", version=version) for version in ("v1", "v2"))


def broken(affected: int = 2) -> registry_pb2.InterfaceComparison:
    made = registry_pb2.InterfaceComparison(
        compatibility=BREAKING,
        old=OLD,
        new=NEW,
        affected=[identifiers.workflow(f"all-{n}", version="v1") for n in range(min(affected, 100))],
        affected_count=affected,
    )
    made.variables.add(
        name="df",
        compatibility=BREAKING,
        old_type="dataframe[mean_radius: float]",
        new_type="dataframe[mean_radius: float, target: int]",
        reason="column `target` is missing",
    )
    made.variables.add(
        name="trees", compatibility=COMPATIBLE, new_type="int", reason="it is new, 100 by default"
    )
    made.variables.add(
        name="auc", output=True, compatibility=BREAKING, old_type="float", reason="it is not there any more"
    )
    return made


def compared() -> registry_pb2.CompareEntitiesResponse:
    made = registry_pb2.CompareEntitiesResponse(old=OLD, new=NEW, interface=broken(), differences_count=1003)
    made.differences.add(path="schedule", old="0 2 * * * UTC", new="0 3 * * * UTC")
    made.differences.add(path="nodes.evaluate", new="pipeline.evaluate")
    made.differences.add(path="code.pipeline.scale", old="b3:0123456789")
    return made


def printed(call, *arguments, color: bool = False, **named) -> str:
    @click.command()
    def command() -> None:
        call(*arguments, **named)

    result = CliRunner().invoke(command, color=color)
    assert result.exit_code == 0, result.exception
    return result.stdout + result.stderr


def dedented(text: str) -> str:
    return textwrap.dedent(text).lstrip("\n")


def test_a_comparison_is_told_part_by_part_with_what_breaks_marked():
    assert printed(diff.show, compared()) == dedented(
        """
        launch plan p.training  v1 -> v2  interface breaking

        interface
          breaking    input `df`: column `target` is missing
                      was: dataframe[mean_radius: float]
                      is:  dataframe[mean_radius: float, target: int]
          compatible  input `trees`: it is new, 100 by default
          breaking    output `auc`: it is not there any more
          affected    workflow all-0 v1
                      workflow all-1 v1

        content
          ~ schedule             0 2 * * * UTC  =>  0 3 * * * UTC
          + nodes.evaluate       pipeline.evaluate
          - code.pipeline.scale  b3:0123456789
          and 1000 more
        """
    )


def test_what_is_the_same_is_told_in_a_line():
    same = registry_pb2.CompareEntitiesResponse(
        old=OLD, new=NEW, interface=registry_pb2.InterfaceComparison(compatibility=SAME)
    )
    assert printed(diff.show, same) == "launch plan p.training  v1 -> v2  the same\n"


def test_colours_are_for_terminals():
    assert "\x1b[" not in printed(diff.show, compared())
    painted = printed(diff.show, compared(), color=True)
    assert "\x1b[31m\x1b[1mbreaking" in painted
    assert click.unstyle(painted) == printed(diff.show, compared())


def test_a_refused_activation_says_what_breaks_for_whom_and_what_to_do():
    error = errors.BreakingChange("m", comparisons=[broken(affected=102)], left_out=2)
    assert printed(failures.show, error) == dedented(
        """
        error[BreakingChange]: version `v2` of launch plan `p.training` breaks what the active version `v1` promises
          breaking    input `df`: column `target` is missing
                      was: dataframe[mean_radius: float]
                      is:  dataframe[mean_radius: float, target: int]
          compatible  input `trees`: it is new, 100 by default
          breaking    output `auc`: it is not there any more
          affected    workflow all-0 v1
                      workflow all-1 v1
                      workflow all-2 v1
                      workflow all-3 v1
                      workflow all-4 v1
                      workflow all-5 v1
                      workflow all-6 v1
                      workflow all-7 v1
                      workflow all-8 v1
                      workflow all-9 v1
                      and 92 more
          and 2 variables more
           = help: `--allow-breaking` makes it active all the same, when those who launch it know
           = help: without it, what is launched stays as it is; nothing was changed
        """
    )


def test_a_registration_says_what_becomes_of_each_interface():
    done = registry_pb2.RegisterResponse(version="v2")
    compatible = registry_pb2.InterfaceComparison(compatibility=COMPATIBLE)
    compatible.variables.add(name="x", compatibility=COMPATIBLE, reason="it takes more than before")
    for kind, name, change, interface in (
        (identifiers_pb2.ENTITY_KIND_TASK, "pipeline.ingest", registry_pb2.CHANGE_NEW, None),
        (identifiers_pb2.ENTITY_KIND_TASK, "pipeline.train", registry_pb2.CHANGE_CHANGED, broken()),
        (identifiers_pb2.ENTITY_KIND_WORKFLOW, "p.training", registry_pb2.CHANGE_CHANGED, compatible),
        (identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, "p.training", registry_pb2.CHANGE_UNCHANGED, None),
    ):
        done.entities.add(
            id=identifiers_pb2.Identifier(kind=kind, name=name), change=change, interface=interface
        )
    assert printed(register.show, done) == dedented(
        """
        .
          new        task         pipeline.ingest
          changed    task         pipeline.train  breaking: input `df`: column `target` is missing, and 2 more
          changed    workflow     p.training  compatible: input `x`: it takes more than before
          unchanged  launch plan  p.training
        registered version v2
        """
    ).removeprefix(".\n")
    activated = printed(register.show, done, activated=True).splitlines()[-1]
    assert activated == "registered version v2, and made 1 launch plan active"
    dry = printed(register.show, done, activated=True, dry_run=True).splitlines()[-1]
    assert dry == "would register version v2, and make 1 launch plan active"


def test_programs_read_a_comparison_as_documented():
    record = comparison.record(broken())
    assert record == {
        "compatibility": "breaking",
        "old_version": "v1",
        "variables": [
            {
                "name": "df",
                "direction": "input",
                "compatibility": "breaking",
                "old_type": "dataframe[mean_radius: float]",
                "new_type": "dataframe[mean_radius: float, target: int]",
                "reason": "column `target` is missing",
            },
            {
                "name": "trees",
                "direction": "input",
                "compatibility": "compatible",
                "old_type": None,
                "new_type": "int",
                "reason": "it is new, 100 by default",
            },
            {
                "name": "auc",
                "direction": "output",
                "compatibility": "breaking",
                "old_type": "float",
                "new_type": None,
                "reason": "it is not there any more",
            },
        ],
        "affected": [{"kind": "workflow", "name": f"all-{n}", "version": "v1"} for n in range(2)],
        "affected_count": 2,
    }


@pytest.mark.parametrize("place", ["name", "reason", "new_type"])
def test_s5_what_a_template_says_cannot_change_the_terminal(place):
    made = broken()
    setattr(made.variables[0], place, "\x1b]0;title\x07")
    told = "\n".join(comparison.lines(made)) + comparison.short(made)
    assert "\x1b]" not in told
    assert "\\x1b]0;title\\x07" in told
