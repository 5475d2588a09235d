"""The cache seen from the command line, on runs of a real server."""

import json

import pytest

from typedflow import cli

PIPELINE = """
from typedflow import task, workflow

FACTOR = 3

def scale(n: int) -> int:
    return n * FACTOR

@task(cache=True)
def double(n: int) -> int:
    return scale(n)

@workflow
def wf(n: int = 4) -> int:
    return double(n=n)
"""


@pytest.fixture
def command(author, monkeypatch, capsys):
    """Runs a command for the author's project; gives its exit code and what it printed."""
    monkeypatch.setenv("TYPEDFLOW_ADMIN", author.client.address)
    monkeypatch.setenv("TYPEDFLOW_PROJECT", author.client.project)
    monkeypatch.setenv("TYPEDFLOW_DOMAIN", author.client.domain)
    monkeypatch.setenv("TYPEDFLOW_TOKEN", author.client._metadata[0][1].removeprefix("Bearer "))

    def run(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = cli.execute(list(arguments))
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_c9_an_edit_and_another_input_are_named_and_savings_are_counted(author, command):
    author.register("pipe", PIPELINE, version="v1")
    first = author.run("pipe.wf", n=4)
    second = author.run("pipe.wf", n=4)
    author.register("pipe", PIPELINE.replace("FACTOR = 3", "FACTOR = 5"), version="v2")
    third = author.run("pipe.wf", n=7)

    code, said = command("cache", "explain", first.id, "double")
    assert code == 0
    assert said.startswith("double  POPULATED (missed: nothing was there under this key)\n")
    assert "nothing else of this task" in said
    code, said = command("cache", "explain", second.id, "double")
    assert said.startswith("double  HIT\n")
    assert f"made by  node double of execution {first.id}" in said
    code, said = command("cache", "explain", third.id, "double")
    assert "  code   pipe.FACTOR  changed\n  input  n            4 -> 7\n" in said
    code, said = command("cache", "explain", third.id, "double", "-o", "json")
    assert [each["component"] for each in json.loads(said)["differences"]] == ["code", "input"]
    code, said = command("cache", "explain", third.id, "dobule")
    assert (code, "has no node `dobule`" in said) == (2, True)

    code, said = command("cache", "ls", "double", "-o", "json")
    assert [each["hits"] for each in json.loads(said)] == [0, 1]
    code, said = command("cache", "stats", "-o", "json")
    (counted,) = json.loads(said)["stats"]
    assert (counted["task"], counted["hits"], counted["misses"]) == ("pipe.double", 1, 2)

    code, said = command("cache", "evict")
    assert (code, "Say which" in said) == (2, True)
    assert command("cache", "evict", "--task", "double", "--dry-run") == (0, "would forget 2 entries\n")
    assert command("cache", "evict", "--task", "double", "--yes") == (0, "forgot 2 entries\n")
    assert author.run("pipe.wf", n=7).nodes[0].cache == "POPULATED"

    code, said = command("gc", "--older-than", "1s", "--dry-run", "-o", "json")
    assert (code, json.loads(said)["dry_run"]) == (0, True)
    assert command("gc", "--older-than", "9y")[0] == 2
    code, said = command("gc", "--older-than", "365d")
    assert (code, said.splitlines()[0]) == (0, "forgot: 0 executions, 0 cache entries")
