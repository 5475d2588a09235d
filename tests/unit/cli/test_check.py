"""Files with mistakes: each is told with its place and a remedy, and nothing of Python's own is shown."""

import json

import pytest

from typedflow import cli

FINE = """
from typedflow import task, workflow

@task
def double(n: int) -> int:
    return 2 * n

@task
def name() -> str:
    return "x"

@workflow
def quadruple(n: int = 1) -> int:
    return double(n=double(n=n))
"""
MISWIRED = (
    FINE
    + """
@workflow
def wrong() -> int:
    double(m=3)
    return double(n=name())
"""
)
UNTYPED = (
    FINE
    + """
@task
def untyped(n) -> int:
    return n

@task
def unsupported(n: complex) -> int:
    return 1
"""
)


@pytest.fixture
def file(tmp_path, request, monkeypatch):
    """A writer of modules, each with a name of its own, in the working folder."""
    monkeypatch.chdir(tmp_path)
    name = f"checked_{abs(hash(request.node.nodeid))}.py"

    def write(content: str) -> str:
        (tmp_path / name).write_text(content, "utf-8")
        return name

    return write


def test_a_file_without_mistakes_is_counted(capsys, file):
    assert cli.execute(["check", file(FINE)]) == 0
    assert capsys.readouterr().out == "2 tasks, 1 workflow, 0 launch plans: no mistakes\n"


def test_wrong_wiring_is_shown_with_the_authors_lines(capsys, file):
    name = file(MISWIRED)
    assert cli.execute(["check", name]) == 2
    shown = capsys.readouterr().err
    assert "error[VariableNameNotFound]" in shown
    assert "error[MismatchingTypes]: input `n` of task `double` expects int" in shown
    assert f"--> {name}:19:12" in shown
    assert "19 |     return double(n=name())" in shown
    assert shown.endswith("3 errors\n")


def test_every_mistake_of_a_definition_is_told_at_once(capsys, file):
    assert cli.execute(["check", file(UNTYPED), "-o", "json"]) == 2
    codes = [each["code"] for each in json.loads(capsys.readouterr().out)["diagnostics"]]
    assert codes == ["MissingAnnotation", "UnsupportedType"]


def test_programs_get_each_mistake_with_its_place(capsys, file):
    name = file(MISWIRED)
    assert cli.execute(["check", name, "-o", "json"]) == 2
    last = json.loads(capsys.readouterr().out)["diagnostics"][-1]
    assert (last["code"], last["file"], last["line"], last["column"]) == ("MismatchingTypes", name, 19, 12)
    assert (last["expected"], last["given"]) == ("int", "str")


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        ("def f(:\n", "this is not Python", 1),
        ("import os\nx = 1 / 0\n", "raised ZeroDivisionError: division by zero", 2),
        ("raise SystemExit(3)\n", "raised SystemExit", 1),
    ],
)
def test_a_file_that_cannot_be_imported_is_named_with_its_line(capsys, file, content, message, line):
    name = file(content)
    assert cli.execute(["check", name]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error[Load]: ")
    assert message in shown
    assert f"--> {name}:{line}" in shown
    assert "Traceback" not in shown
    assert cli.execute(["check", name, "-o", "json"]) == 2
    [only] = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (only["code"], only["file"], only["line"]) == ("Load", name, line)


@pytest.mark.parametrize("name", ["there_is_none.py", "notes.txt"])
def test_what_is_not_a_python_file_is_refused(capsys, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("hello", "utf-8")
    assert cli.execute(["check", name]) == 2
    assert f"`{name}`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "it has `quadruple`"),
        (["quadrupel"], "did you mean `quadruple`?"),
        (["double"], "`double` is a task"),
        (["quadruple", "--n", "x"], "expected int"),
        (["quadruple", "--m", "3"], "'--n'"),
    ],
)
def test_run_tells_what_a_file_has_to_run_and_takes(capsys, file, arguments, message):
    assert cli.execute(["run", file(FINE), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_help_of_run_lists_the_inputs_of_the_workflow(capsys, file):
    assert cli.execute(["run", file(FINE), "quadruple", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--n int  [default: 1]" in shown
    assert "--inputs-file" in shown


def test_editors_get_one_line_for_each_mistake(capsys, file):
    path = file(MISWIRED)
    assert cli.execute(["check", path, "-o", "lines"]) == 2
    out, err = capsys.readouterr()
    places = [line.split(": error: ")[0] for line in out.splitlines()]
    codes = [line.rpartition(" [")[2].rstrip("]") for line in out.splitlines()]
    assert err == ""
    assert codes == ["ParameterNotBound", "VariableNameNotFound", "MismatchingTypes"]
    assert all(place.startswith(f"{path}:1") and place.count(":") == 2 for place in places)


def test_a_file_that_is_not_there_is_one_line_too(capsys, file):
    assert cli.execute(["check", "nowhere.py", "-o", "lines"]) == 2
    out, _ = capsys.readouterr()
    assert out.count("\n") == 1
    assert "[Load]" in out or "[NotFound]" in out or "[Usage]" in out


def test_what_differs_is_seen_however_long_the_types_are(capsys, file):
    values = ", ".join(f"'value {i}'" for i in range(500))
    name = file(
        FINE
        + f"""
from typing import Literal

@task
def choose() -> Literal[{values}, "another"]: ...

@task
def chosen(value: Literal[{values}]) -> int: ...

@workflow
def chooses() -> int:
    return chosen(value=choose())
"""
    )
    assert cli.execute(["check", name]) == 2
    shown = capsys.readouterr().err
    assert max(map(len, shown.splitlines())) < 1_000
    assert "it may be 'another'" in shown
    assert cli.execute(["check", name, "-o", "json"]) == 2
    (only,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert only["expected"].count("value") > 100


SEVERAL = """
from typedflow import LaunchPlan, Resources, task, workflow
import helpers_{0} as _helpers

@task(retries=-1, resources=Resources(mem="4 gigs"))
def double(n: int) -> int:
    return 2 * n

@task
class Model: ...

@workflow
def inner(n: int) -> int:
    for i in range(3):
        double(n=str(i))
    n + 1
    return double(n=n.half)

@workflow
def outer(n: int) -> int:
    return inner(n=n)

plan = LaunchPlan(inner, name="nightly", schedule="0 2 * * *")
raise ValueError("no")
"""


def test_one_mistake_hides_no_other_and_is_told_once_in_the_order_of_the_lines(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mark = tmp_path.name.replace("-", "_")
    (tmp_path / f"helpers_{mark}.py").write_text("from typedflow import task\n@task\ndef untyped(n): ...\n")
    pipeline = tmp_path / f"several_{mark}.py"
    pipeline.write_text(SEVERAL.format(mark).replace('raise ValueError("no")\n', ""))
    broken = tmp_path / f"broken_{mark}.py"
    broken.write_text(f"import several_{mark}\n\ndef f(:\n")
    assert cli.execute(["check", broken.name, pipeline.name, "-o", "lines"]) == 2
    told = [line.split(": error: ")[0] for line in capsys.readouterr().out.splitlines()]
    helpers, several = f"helpers_{mark}.py", f"several_{mark}.py"
    assert told == [
        f"{helpers}:3:1",
        f"{helpers}:3:13",
        f"{several}:5:2",
        f"{several}:5:29",
        f"{several}:9:2",
        f"{several}:15:9",
        f"{several}:16:5",
        f"{several}:17:21",
        f"{several}:23:8",
        f"{broken.name}:3:7",
    ]


def test_a_file_that_raises_is_told_with_its_line_after_what_came_before(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = f"raising_{tmp_path.name.replace('-', '_')}.py"
    (tmp_path / name).write_text("from typedflow import task\n@task\ndef f(n): ...\nx = 1 / 0\n")
    assert cli.execute(["check", name]) == 2
    shown = capsys.readouterr().err
    assert shown.index("MissingAnnotation") < shown.index("ZeroDivisionError")
    assert "4 | x = 1 / 0\n  |     ^" in shown


def test_where_there_is_nothing_to_check_a_pipeline_of_ci_notices(capsys, file):
    name = file("x = 1\n")
    assert cli.execute(["check", name]) == 2
    assert "defines no task, workflow or launch plan" in capsys.readouterr().err
    assert cli.execute(["check", name, "-o", "json"]) == 2
    (only,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert only["code"] == "Usage"
