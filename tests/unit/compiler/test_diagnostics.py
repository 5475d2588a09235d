"""Every code: there is a template that has it, it says what API.md promises, it is in the documentation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from typedflow.cli import render_diagnostics
from typedflow.compiler import diagnostics, explanations

CODES = [each.code for each in explanations.EXPLANATIONS]
RENDERED = Path(__file__).parent / "rendered"


def test_codes_are_explained_once_in_alphabetical_order():
    constants = {
        value for name, value in vars(diagnostics).items() if name.isupper() and isinstance(value, str)
    }
    assert sorted(constants) == sorted(CODES)
    assert len(set(CODES)) == len(CODES)
    assert [code.lower() for code in CODES] == sorted(code.lower() for code in CODES)


@pytest.mark.parametrize("code", CODES)
def test_w2_a_broken_template_gets_the_code(code, broken):
    found = broken[code]()
    assert code in [each.code for each in found]
    assert all(each.message and each.workflow for each in found)


@pytest.mark.parametrize("code", CODES)
def test_a_diagnostic_reads_as_it_was_agreed(code, broken, source):
    shown = render_diagnostics.text(broken[code]()[-5:], read_source={"pipeline.py": source}.get)
    snapshot = RENDERED / f"{code}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(shown, "utf-8")
    assert shown == snapshot.read_text("utf-8")


def test_every_snapshot_is_of_a_code():
    assert {path.stem for path in RENDERED.iterdir()} == set(CODES)


def test_the_documentation_of_errors_is_current(repository):
    script = repository / "scripts" / "generate_errors_doc.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_same_mistake_from_two_templates_is_told_once(broken):
    found = broken["MissingTarget"]()
    assert diagnostics.unique([*found, *found]) == found
