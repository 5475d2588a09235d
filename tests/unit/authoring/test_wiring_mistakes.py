"""W2: for each code, a program of an author's that has the mistake, and the line and column that it is told at.

`»` stands before the place. What only a raw client can send is in `RAW`, and tried in the compiler's own tests.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from typedflow.authoring import serialize
from typedflow.cli import render_diagnostics
from typedflow.compiler import diagnostics

HEADER = """
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Literal, NamedTuple

from typedflow import *


class Colour(Enum):
    RED = "red"
    GREEN = "green"


class Pair(NamedTuple):
    low: int
    high: int


@dataclass
class Config:
    rate: float
    layers: list[int]


@task
def double(n: int) -> int:
    return 2 * n


@task
def text(n: int = 1) -> str:
    return ""


@task
def flag(n: int) -> bool:
    return n > 1


@task
def pair(n: int) -> Pair:
    return Pair(n, n)


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def log(n: int) -> None:
    pass


@task
def config(n: int) -> Config:
    return Config(1.0, [])


@task
def scale(n: int, by: int) -> int:
    return n * by


@task
def flatten(values: list[int] | list[list[int]]) -> int:
    return 0


@task
def paint(colour: Colour) -> Colour:
    return colour


@task
def either(value: int | str) -> str:
    return ""


@task
def ids(value: list[int] | list[str]) -> str:
    return ""


@task
def config_or_none(n: int) -> Config | None:
    return None

"""

IN_A_BODY = {
    # wiring
    "MismatchingTypes": [
        "return »double(n=text())",
        "»total(values=(n, n))\nreturn n",
        "return »double(n=log(n=n))",
    ],
    "ParameterNotBound": ["return »double()"],
    "ParameterBoundMoreThanOnce": ["return »double(n, n=n)"],
    "VariableNameNotFound": ["return »double(n=n, m=n)", "return »double(n, n)"],
    "FieldNotFound": [
        "return double(n=»config(n=n).layer)",
        "c = config(n=n)\nx = »c.rates\nreturn double(n=n)",
        "return double(n=»config_or_none(n=n).rate)",
        'return double(n=»config(n=n)["lay"])',
        "return double(n=»double(n=n)[0])",
        "x = »text().upper()\nreturn double(n=n)",
    ],
    "NodeReferenceNotFound": ["LEAKED.append(n)\nreturn »double(n=LEAKED[0])"],
    "CycleDetected": ["return »endless(n=n)"],
    "IllegalEnumValue": [
        '»paint(colour="blue")\nreturn double(n=n)',
        'x = »conditional("c").if_(paint(colour=Colour.RED) == "blue").then(n).else_().then(n)\nreturn double(n=n)',
    ],
    "IncompatibleUnionBinding": ["»ids(value=[flag(n=n)])\nreturn double(n=n)"],
    "InvalidValue": [
        'return »double(n="x")',
        "return double(n=»double.with_overrides(retries=-1)(n=n))",
        'return »conditional("c").if_(n > 1).fail("").else_().then(n)',
        "sleep_ = »sleep(5)\nreturn double(n=n)",
        "return »map_task(double, concurrency=0)(n=[n])",
    ],
    "InvalidResource": ["return double.with_overrides(resources=»Resources(cpu='much'))(n=n)"],
    "InvalidName": [
        "return »double.with_overrides(name='a b')(n=n)",
        'return »conditional("1st").if_(n > 1).then(n).else_().then(n)',
        'return »wait_for_input("", int)',
    ],
    "DuplicateNodeId": [
        "a = double.with_overrides(name='a')(n=n)\nreturn »double.with_overrides(name='a')(n=a)",
        'wait_for_input("a", int)\nreturn »wait_for_input("a", int)',
    ],
    "UnsupportedType": ['return »wait_for_input("a", object)'],
    "WorkflowBodyRaised": ["»raise ValueError('no')"],
    # values
    "PromiseUsedAsValue": [
        "if »double(n=n) > 3:\n    pass\nreturn double(n=n)",
        "x = »n > 1 and n < 3\nreturn double(n=n)",
        "x = »1 < n < 3\nreturn double(n=n)",
        "x = »not flag(n=n)\nreturn double(n=n)",
        "x = »n + 1\nreturn double(n=n)",
        "x = »n & 1\nreturn double(n=n)",
        "return double(n=»len(n))",
        "x = »list(n)\nreturn double(n=n)",
        "x = »str(n)\nreturn double(n=n)",
        "»double(n=n > 1)\nreturn double(n=n)",
        "»total(values=[n, n > 1])\nreturn double(n=n)",
    ],
    # branches
    "BranchHasNoCondition": ['»conditional("c")\nreturn double(n=n)'],
    "BranchHasNoDefault": [
        '»conditional("c").if_(n > 1).then(double(n=n))\nreturn double(n=n)',
        '»conditional("c").if_(n > 1)\nreturn n',
        '»conditional("c").if_(n > 1).then(double(n=n)).else_()\nreturn n',
    ],
    "MismatchingBranchOutputs": [
        'x = »conditional("c").if_(n > 1).then(double(n=n)).else_().then(text())\nreturn double(n=n)',
        'x = »conditional("c").if_(n > 1).then(pair(n=n)).else_().then(n)\nreturn double(n=n)',
    ],
    "ConditionTypeMismatch": [
        'return »conditional("c").if_(n).then(double(n=n)).else_().then(n)',
        'return »conditional("c").if_(n > "x").then(double(n=n)).else_().then(n)',
        'return »conditional("c").if_(n > 1.5).then(double(n=n)).else_().then(n)',
        'return conditional("c").if_(»n == object()).then(double(n=n)).else_().then(n)',
        'return »conditional("c").if_("yes").then(double(n=n)).else_().then(n)',
    ],
    "NodeOutOfScope": [
        (
            "kept = []\nx = conditional('c').if_(n > 1).then(kept.append(double(n=n)) or n).else_().then(n)\n"
            "return »double(n=kept[0])"
        ),
        'a = conditional("a").if_(n > 1)\nb = conditional("b").if_(n > 2)\nreturn »a.then(n).else_().then(n)',
    ],
    # maps
    "MapInputNotList": ["x = »map_task(double)(n=n)\nreturn double(n=n)"],
    "AmbiguousMapInput": ["x = »map_task(flatten)(values=[[1]])\nreturn double(n=n)"],
    "MapLengthsDiffer": ["x = »map_task(scale)(n=[1, 2], by=[1])\nreturn double(n=n)"],
}

AT_THE_TOP = {
    "NoNodesFound": "@workflow\n»def empty(n: int) -> int:\n    return n\n",
    "MissingAnnotation": "@task\ndef untyped(»n) -> int:\n    return n\n",
    "NestingTooDeep": f"@task\ndef deep(»n: {'list[' * 25}int{']' * 25}) -> None: ...\n",
    "FixedInputOverridden": '»LaunchPlan(fine, name="p", default_inputs={"n": 1}, fixed_inputs={"n": 2})\n',
    "UnknownInput": '»LaunchPlan(fine, name="p", default_inputs={"m": 1})\n',
    "InvalidSchedule": 'p = »LaunchPlan(fine, name="p", default_inputs={"n": 1}, schedule=Cron("0 25 * * *"))\n',
    "MissingImage": 't = »ContainerTask("t", image="", inputs={"n": int}, outputs={"m": int})\n',
    "ParameterNotBound": "@workflow(on_failure=scale)\n»def handled(n: int) -> int:\n    return double(n=n)\n",
    "UnsupportedType": "@task\ndef unknown(»n: object) -> None: ...\n",
    "InvalidValue": "»ContainerTask('t', image='i', command='sh')\n",
    "InvalidResource": "»Resources(gpu='A100:0')\n",
    "InvalidName": "»ContainerTask('t', image='i', inputs={'class': int})\n",
}

# The code cannot come from Python: a call always names what it calls and gives each name once, a graph is written in
# the order in which it can run, a gate always has a type, an object that is called is there.
RAW = {
    "DuplicateVariable", "GateHasNoType", "LaunchPlanReferenceNotFound", "MissingTarget",
    "NoEntryNodeFound", "TaskReferenceNotFound", "UnreachableNodes", "WorkflowReferenceNotFound",
}  # fmt: skip
# Too large, or too many, to be written down here: each has a test of its own among the compiler's.
LARGE = {"GraphTooLarge", "TooManyMistakes"}
# Of a value with two variants of one type, which a declared Python union can't have.
UNWRITABLE = {"AmbiguousUnionBinding"}

FINE = "@workflow\ndef fine(n: int) -> int:\n    return double(n=n)\n\n"
CASES = [(code, body) for code, bodies in IN_A_BODY.items() for body in bodies]
NUMBERS = itertools.count()


def told(folder: Path, program: str) -> list[tuple[str, int, int]]:
    """The code, line and column of each mistake in a program."""
    file = folder / f"mistaken_{next(NUMBERS)}.py"
    file.write_text(program, "utf-8")
    _, found = serialize.check([file])
    assert all(each.position.file.endswith(file.name) for each in found)
    assert all(each.message for each in found)
    return [(each.code, each.position.line, each.position.column) for each in found]


def marked(program: str) -> tuple[str, int, int]:
    """The program without its mark, and where that was."""
    before, _, _ = program.partition("»")
    return program.replace("»", ""), before.count("\n") + 1, len(before) - before.rfind("\n")


def in_a_body(body: str) -> str:
    """A program with a workflow of this body."""
    name = "endless" if "endless" in body else "wrong"
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    leaking = "LEAKED = []\n\n@workflow\ndef leaks(n: int) -> int:\n    LEAKED.append(n)\n    return double(n=n)\n\n"
    first = f"{leaking}leaks.compiled\n" if "LEAKED" in body else ""
    return f"{HEADER}{first}@workflow\ndef {name}(n: int) -> int:\n{lines}"


@pytest.mark.parametrize(("code", "body"), CASES, ids=[f"{code}-{i}" for i, (code, _) in enumerate(CASES)])
def test_w2_a_mistake_in_a_body_is_told_once_with_its_code_and_place(tmp_path: Path, code: str, body: str):
    program, line, column = marked(in_a_body(body))
    assert told(tmp_path, program) == [(code, line, column)]


@pytest.mark.parametrize("code", AT_THE_TOP)
def test_w2_a_mistake_in_a_definition_is_told_with_its_code_and_place(tmp_path: Path, code: str):
    program, line, column = marked(HEADER + FINE + AT_THE_TOP[code])
    assert told(tmp_path, program) == [(code, line, column)]


RENDERED = Path(__file__).parent / "rendered"
FIRST = {code: bodies[0] for code, bodies in IN_A_BODY.items()}
WRITTEN = [*FIRST, *(code for code in AT_THE_TOP if code not in FIRST)]


@pytest.mark.parametrize("code", WRITTEN)
def test_what_an_author_sees_reads_as_it_was_agreed(tmp_path: Path, code: str):
    program = in_a_body(FIRST[code]) if code in FIRST else HEADER + FINE + AT_THE_TOP[code]
    file = tmp_path / f"mistaken_{next(NUMBERS)}.py"
    file.write_text(program.replace("»", ""), "utf-8")
    _, found = serialize.check([file])
    shown = render_diagnostics.text(found, read_source=lambda _: file.read_text("utf-8"), footer="")
    shown = shown.replace(file.stem, "pipeline")
    snapshot = RENDERED / f"{code}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(shown, "utf-8")
    assert shown == snapshot.read_text("utf-8")


def test_every_snapshot_is_of_a_program():
    assert {path.stem for path in RENDERED.iterdir()} == set(WRITTEN)


def test_w2_every_code_is_tried():
    codes = {value for name, value in vars(diagnostics).items() if name.isupper() and isinstance(value, str)}
    assert codes == {*IN_A_BODY, *AT_THE_TOP, *RAW, *LARGE, *UNWRITABLE}
