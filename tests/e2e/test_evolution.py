"""I4, L1, L2: a pipeline that changes, from its author's first version to the third, over the command line."""

import re

import pytest

from tests.e2e import machines, terminals

FIRST = """
    from typedflow import LaunchPlan, task, workflow

    @task
    def scale(n: int) -> int:
        return 2 * n

    @workflow
    def training(n: int) -> int:
        return scale(n=n)

    nightly = LaunchPlan(training, name="nightly", default_inputs={"n": 3})
"""
# An optional input more, and another body.
SECOND = FIRST.replace("def training(n: int)", "def training(n: int, times: int = 2)").replace(
    "2 * n", "3 * n"
)
# What was an int is a text, and what took one no longer does.
THIRD = """
    from typedflow import LaunchPlan, task, workflow

    @task
    def scale(n: str) -> str:
        return n

    @task
    def measure(n: str) -> int:
        return len(n)

    @workflow
    def training(n: str) -> int:
        return measure(n=scale(n=n))

    nightly = LaunchPlan(training, name="nightly", fixed_inputs={"n": "x"})
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    """A machine with a server."""
    machine = machines.Machine(tmp_path_factory.mktemp("evolution"))
    machine.up()
    yield terminals.Terminal(machine)
    machine.close()


@pytest.fixture(scope="module")
def versions(terminal):
    """All three versions, of which the first is active."""
    said = {}
    for version, text in (("v1", FIRST), ("v2", SECOND), ("v3", THIRD)):
        path = str(terminal.machine.write("pipeline", text))
        said[version] = terminal.run("register", path, "--version", version).stdout
        if version == "v1":
            terminal.run("activate", "nightly", "v1")
            terminal.run("activate", "training", "v1")
    return said


def launched(terminal, *arguments: str) -> tuple[str, object]:
    """The version that was launched and what came of it."""
    record = terminal.read("launch", *arguments, "--wait")
    return record["launch_plan"]["version"], record["outputs"]


def test_a_registration_says_which_interfaces_it_changes_and_how(terminal, versions):
    assert "breaking" not in versions["v1"] + versions["v2"]
    assert re.search(
        r"changed +workflow +pipeline\.training  compatible: input `times`: it is new, 2 by default\n",
        versions["v2"],
    )
    assert re.search(
        r"changed +task +pipeline\.scale  breaking: input `n`: int is not str, and 1 more\n", versions["v3"]
    )
    assert re.search(
        r"launch plan +(pipeline\.)?nightly  breaking: input `n`: it is not there any more\n", versions["v3"]
    )
    assert re.search(r"new +task +pipeline\.measure\n", versions["v3"])


def test_l1_the_active_version_is_launched_although_newer_ones_are_there(terminal, versions):
    assert launched(terminal, "nightly") == ("v1", {"o0": 6})
    assert launched(terminal, "nightly", "--version", "v2") == ("v2", {"o0": 9})
    table = terminal.run("get", "launch-plans").stdout.splitlines()
    assert table[0].split()[:3] == ["NAME", "VERSION", "ACTIVE"]
    assert [line.split()[1:3] for line in table[1:]] == [["v3", "v1"], ["v3", "v1"]]
    rows = terminal.run("get", "launch-plans", "nightly").stdout.splitlines()[1:]
    assert [(line.split()[1], "yes" in line.split()) for line in rows] == [
        ("v3", False),
        ("v2", False),
        ("v1", True),
    ]
    listed = terminal.read("get", "launch-plans", "nightly")
    assert [each["active"] for each in listed] == [False, False, True]
    assert {each["active_version"] for each in listed} == {"v1"}


HEAD = (
    "error[BreakingChange]: version `v3` of launch plan `pipeline.training` breaks what the active version `v1`"
    " promises"
)


def test_i4_a_breaking_version_is_refused_with_2_and_says_why(terminal, versions):
    refused = terminal.run("activate", "training", "v3", code=2)
    assert refused.stdout == ""
    assert refused.stderr.splitlines() == [
        HEAD,
        "  breaking    input `n`: int is not str",
        "              was: int",
        "              is:  str",
        "   = help: `--allow-breaking` makes it active all the same, when those who launch it know",
        "   = help: without it, what is launched stays as it is; nothing was changed",
    ]
    assert launched(terminal, "training", "--n", "1") == ("v1", {"o0": 2})


def test_i2_a_registration_whose_activation_is_refused_registers_nothing(terminal, versions):
    path = str(terminal.machine.write("pipeline", THIRD))
    said = terminal.run("register", path, "--version", "v4", "--activate", code=2).stderr
    assert said.count("error[BreakingChange]") == 2
    assert "v4" not in terminal.run("get", "launch-plans", "nightly").stdout
    alone = terminal.run("register", path, "--allow-breaking", code=2).stderr
    assert "--activate" in alone


def test_i4_diff_tells_interface_graph_and_code(terminal, versions):
    same = terminal.run("diff", "nightly", "v1", "v1").stdout
    assert same.endswith("nightly  v1 -> v1  the same\n")
    told = terminal.run("diff", "training", "v1", "v2").stdout
    assert told.splitlines()[:4] == [
        "launch plan pipeline.training  v1 -> v2  interface compatible",
        "",
        "interface",
        "  compatible  input `times`: it is new, 2 by default",
    ]
    breaking = terminal.read("diff", "nightly", "v1", "v3")
    assert breaking["interface"]["compatibility"] == "breaking"
    assert [(each["name"], each["compatibility"]) for each in breaking["interface"]["variables"]] == [
        ("n", "breaking")
    ]
    paths = {each["path"]: (each["old"], each["new"]) for each in breaking["differences"]}
    assert paths["default_inputs.n"] == ("3", None)
    assert paths["fixed_inputs.n"] == (None, '"x"')
    assert paths["nodes.measure"] == (None, "pipeline.measure")
    assert paths["outputs.o0"] == ("scale.o0", "measure.o0")
    assert breaking["differences_count"] == len(breaking["differences"])
    task = terminal.read("diff", "scale", "v1", "v3", "--kind", "task")
    assert (task["kind"], task["interface"]["compatibility"]) == ("task", "breaking")
    assert [each["name"] for each in task["interface"]["affected"]] == ["pipeline.training"]


def test_what_diff_is_asked_for_and_is_not_there_exits_with_2(terminal, versions):
    unknown = terminal.run("diff", "trainin", "v1", "v2", code=2).stderr
    assert "there is no launch plan, workflow or task `trainin` in default/development" in unknown
    assert "did you mean `pipeline.training`?" in unknown
    assert "there is no version `v9`" in terminal.run("diff", "training", "v1", "v9", code=2).stderr


def test_l2_an_activation_may_break_when_it_is_told_to_and_be_taken_back(terminal, versions):
    said = terminal.run("activate", "nightly", "v3", "--allow-breaking").stdout
    assert said.splitlines()[0].endswith("nightly is active, in place of v1")
    assert "breaking    input `n`: it is not there any more" in said
    assert launched(terminal, "nightly") == ("v3", {"o0": 1})
    assert "is active already" in terminal.run("activate", "nightly", "v3").stdout
    assert "`v3` is\n" in terminal.run("deactivate", "nightly", "v1", code=2).stderr
    assert "is not active any more" in terminal.run("deactivate", "nightly", "v3").stdout
    assert "no version of nightly was active" in terminal.run("deactivate", "nightly").stdout
    assert terminal.run("activate", "nightly", "v1").stdout.endswith("nightly is active\n")
    assert launched(terminal, "nightly") == ("v1", {"o0": 6})
