"""The tree of commands: light to load, and helpful to whoever mistypes."""

import json
import subprocess
import sys

import pytest

import typedflow
from typedflow import cli
from typedflow.cli import commands

HEAVY = {
    "alembic", "fsspec", "grpc", "kubernetes", "marshmallow", "numpy", "pandas", "pandera", "pyarrow", "rich",
    "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip


@pytest.mark.parametrize("arguments", [["--help"], ["version"], ["check", "--help"], ["nonsense"]])
def test_help_and_mistakes_load_no_heavy_module(arguments):
    program = (
        "import json, sys\n"
        "from typedflow import cli\n"
        "cli.execute(sys.argv[1:])\n"
        "print('\\n' + json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert HEAVY.isdisjoint(json.loads(done.stdout.splitlines()[-1]))


def test_every_command_loads_and_says_the_same_of_itself_as_the_list(capsys):
    assert cli.execute(["--help"]) == 0
    listed = capsys.readouterr().out
    for group in (commands.typedflow, commands.get):
        context = group.make_context(group.name or "", [], resilient_parsing=True)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            assert command.help
            assert group is commands.get or f"  {name}" in listed


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_that_of_the_package(capsys, arguments):
    assert cli.execute(arguments) == 0
    assert capsys.readouterr().out == f"typedflow {typedflow.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["lanch"], "No such command 'lanch'. Did you mean 'launch'?", "`typedflow --help`"),
        (["get", "task"], "No such command 'task'. Did you mean 'tasks'?", "`typedflow get --help`"),
        (["check", "--outptu", "json", "x.py"], "--output", "`typedflow check --help`"),
        (["check"], "Missing argument", "`typedflow check --help`"),
        (["launch"], "NAME comes first", "`typedflow launch --help`"),
        (["run", "--trees", "3"], "FILE and WORKFLOW come first", "`typedflow run --help`"),
        (["run", "x.py", "w", "--admin", "h:1"], "needs --remote", "`typedflow run --help`"),
        (
            ["run", "x.py", "w", "--remote", "--home", "h"],
            "does not go with --remote",
            "`typedflow run --help`",
        ),
        (["up", "--port", "70000"], "--port", "`typedflow up --help`"),
        (["get", "executions", "--project", "A b"], "is not a label", "`typedflow get executions --help`"),
    ],
)
def test_a_mistyped_command_line_exits_with_2_and_says_what_to_do(capsys, arguments, message, hint):
    assert cli.execute(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error[Usage]: ")
    assert message in captured.err
    assert hint in captured.err


def test_without_a_server_the_answer_is_3_and_says_how_to_start_one(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TYPEDFLOW_HOME", str(tmp_path))
    for arguments in (["launch", "x"], ["get", "executions"], ["logs", "x"], ["abort", "x"]):
        assert cli.execute(arguments) == 3
        assert "start one with `typedflow up`" in capsys.readouterr().err


def test_a_wrong_setting_is_named_with_its_place(capsys, monkeypatch):
    monkeypatch.setenv("TYPEDFLOW_ADMIN", "nowhere")
    assert cli.execute(["get", "executions"]) == 2
    assert capsys.readouterr().err.splitlines()[1] == "  --> TYPEDFLOW_ADMIN"
