"""Every code that an error can have is explained, on a page and on the command line."""

import ast
import re
from pathlib import Path

import pytest

from typedflow import cli
from typedflow.cli import explanations
from typedflow.compiler import explanations as mistakes

TABLES = (mistakes.EXPLANATIONS, explanations.COMMANDS, explanations.ATTEMPTS, explanations.SERVERS)
EXPLAINED = {each.code for table in TABLES for each in table}
CODE = re.compile(r"([A-Z][a-z]+)+")


def codes(source: str) -> set[str]:
    """What is given as `code`: as a keyword or a name, or to `_error` and `system`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        values: list[ast.expr] = []
        match node:
            case ast.keyword(arg="code", value=value):
                values = [value]
            case ast.Assign(targets=[ast.Name(id="code" | "SERVER_STOPPED")], value=value):
                values = [value]
            case ast.AnnAssign(target=ast.Name(id="code" | "SERVER_STOPPED"), value=ast.expr() as value):
                values = [value]
            case ast.Call(func=ast.Name(id="_error") | ast.Attribute(attr="system"), args=values):
                pass
            case _:
                pass
        texts = [str(each.value) for each in values if isinstance(each, ast.Constant)]
        found.update(filter(CODE.fullmatch, texts))
    return found


def test_every_code_in_the_source_is_explained(repository):
    used: dict[str, Path] = {}
    for root in ("typedflow", "admin/typedflow_admin", "propeller/typedflow_propeller"):
        for path in (repository / root).rglob("*.py"):
            for code in codes(path.read_text("utf-8")):
                used.setdefault(code, path.relative_to(repository))
    assert len(used) > 40
    assert {code: path for code, path in used.items() if code not in EXPLAINED} == {}


def test_a_code_is_explained_once():
    every = [each.code for table in TABLES for each in table]
    assert len(every) == len(set(every))


@pytest.mark.parametrize("table", TABLES)
def test_codes_are_in_order(table):
    assert [each.code for each in table] == sorted((each.code for each in table), key=str.lower)


def test_a_code_is_explained_whatever_its_case(capsys):
    assert cli.execute(["explain", "homeinuse"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("HomeInUse\nAnother server has this home.\n")
    assert "    typedflow up" in out


def test_a_code_that_there_is_not_leads_to_the_nearest(capsys):
    assert cli.execute(["explain", "MismatchingType"]) == 2
    _, err = capsys.readouterr()
    assert "did you mean `MismatchingTypes`?" in err
