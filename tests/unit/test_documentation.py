"""What the pages show in Python is run, what they claim is asked of the code, and their links lead somewhere.

What they show on a command line is run in tests/e2e/test_written_programs.py.
"""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from typedflow import literal_types

PAGES = [
    "evolution.md",
    "files.md",
    "frames.md",
    "storage.md",
    "tasks.md",
    "transformers.md",
    "types.md",
    "wiring.md",
]
ROOMS = [
    *(
        f"typedflow.{each}"
        for each in ("identifiers", "literal_types", "literals", "interface", "hashing", "compiler")
    ),
    *("typedflow.dataplane.objects", "typedflow.type_engine.shared", "typedflow_admin.activation"),
]
PACKAGES = [
    "authoring",
    "compiler",
    "hashing",
    "interface",
    "literal_types",
    "literals",
    "literals/plain",
    "type_engine",
]
FOLDERS = [
    *(
        f"typedflow/{each}"
        for each in ("cli", "client", "dataplane", "engine", "fingerprint", "local_run", "run_task")
    ),
    "admin/typedflow_admin",
    "propeller/typedflow_propeller",
]

_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^()\s]+)\)")
_PAIR = re.compile(r"`([^`]+) → ([^`]+)`")


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_of_a_page_hold(repository: Path, name: str) -> None:
    page = repository / "docs" / name
    assert len(doctest.DocTestParser().get_examples(page.read_text("utf-8"))) > 8
    # In a process of its own: some of them register transformers.
    done = subprocess.run(
        [sys.executable, "-m", "doctest", page], capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.returncode) == ("", 0), done.stderr


def test_no_page_with_examples_is_left_out(repository: Path) -> None:
    pages = (repository / "docs").glob("*.md")
    assert sorted(each.name for each in pages if "\n>>> " in each.read_text("utf-8")) == PAGES


def test_t5_every_pair_in_the_table_of_types_is_as_the_function_says(repository: Path) -> None:
    text = (repository / "docs" / "types.md").read_text("utf-8")
    _, _, section = text.partition("\n## What may feed what\n")
    rows = [
        re.split(r"(?<!\\)\|", line)[2:4]
        for line in section.split("\n## ")[0].splitlines()
        if line[:2] == "| "
    ]
    names = _names(text)
    engine = names["engine"]
    pairs = [
        (fits, *each)
        for row in rows
        for fits, cell in zip((True, False), row, strict=True)
        for each in _PAIR.findall(cell)
    ]
    assert len(pairs) > 60
    for fits, *pair in pairs:
        source, target = (engine.converter(eval(each.replace("\\|", "|"), names)).type for each in pair)
        assert (literal_types.is_assignable(source, target) is None) == fits, pair


def test_links_between_pages_lead_somewhere(repository: Path) -> None:
    pages = [repository / "README.md", repository / "CONTRIBUTING.md", *(repository / "docs").rglob("*.md")]
    headings = {page: _headings(page) for page in pages}
    for page in pages:
        for link in _LINK.findall(_CODE.sub("", page.read_text("utf-8"))):
            if "://" in link:
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page}: {link}"
            assert not anchor or anchor in headings[target], f"{page}: {link}"


@pytest.mark.parametrize("room", ROOMS)
def test_the_map_names_what_is_in_a_room(repository: Path, room: str) -> None:
    doors = "".join(_CODE.findall((repository / "docs" / "architecture.md").read_text("utf-8")))
    names = set(re.findall(rf"(?<![\w.`]){room.rpartition('.')[2]}\.(\w+)", doors))
    there = importlib.import_module(room)
    assert len(names) > 1
    assert [name for name in sorted(names) if not hasattr(there, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_has_every_module_of_a_package(repository: Path, package: str) -> None:
    text = (repository / "docs" / "architecture.md").read_text("utf-8")
    modules = {each.stem for each in (repository / "typedflow" / package).glob("[!_]*.py")}
    assert modules
    assert sorted(each for each in modules if f"`{each}`" not in text) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_map_has_a_table_of_a_rooms_modules(repository: Path, folder: str) -> None:
    text = (repository / "docs" / "architecture.md").read_text("utf-8")
    name = folder.rpartition("/")[2].removeprefix("typedflow_")
    _, found, section = text.partition(f"\n### In {name}\n")
    assert found, name
    told = set(re.findall(r"^\| `(\w+)` \|", section.partition("\n### ")[0], re.MULTILINE))
    assert told == {each.stem for each in (repository / folder).glob("[!_]*.py")}


def test_every_rule_that_is_built_has_a_test_of_its_number(repository: Path) -> None:
    page = (repository / "docs" / "semantics.md").read_text("utf-8")
    there = set()
    for file in (repository / "tests").rglob("*.py"):
        there.update(re.findall(r"def (test_\w+)\(", file.read_text("utf-8")))
    numbered = {each.split("_")[1] for each in there}
    rules = re.findall(r"^- \*\*([CED]\d+)\*\* (?!○)", page, re.MULTILINE)
    assert len(rules) == 11 + 15 + 5
    assert [each for each in rules if each.lower() not in numbered] == []
    table = dict(re.findall(r"^\| ([CED]\d+) \| (.*) \|$", page, re.MULTILINE))
    assert sorted(table) == sorted(rules)
    for rule, tests in table.items():
        named = re.findall(r"`(test_\w+)`", tests)
        assert named, rule
        assert [
            each for each in named if each not in there or not each.startswith(f"test_{rule.lower()}_")
        ] == []


def _names(text: str) -> dict[str, Any]:
    """What is defined once all the examples of a page have run."""
    examples = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, "page", None, None)
    doctest.DocTestRunner(verbose=False).run(examples, out=lambda _: None, clear_globs=False)
    return examples.globs


def _headings(page: Path) -> set[str]:
    """Their anchors."""
    lines = _CODE.sub("", page.read_text("utf-8")).splitlines()
    titles = [line.lstrip("#").strip().lower() for line in lines if line.startswith("#")]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}
