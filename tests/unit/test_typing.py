"""What authors write passes mypy, and a wrong call is an error in the editor."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mypy import api

from typedflow.authoring import serialize


@pytest.mark.slow
def test_mypy_sees_each_tasks_own_signature(repository: Path, tmp_path: Path):
    config = str(repository / "pyproject.toml")
    snippets = sorted(str(path) for path in (repository / "tests" / "typing").glob("*.py"))
    out, errors, status = api.run(["--config-file", config, "--cache-dir", str(tmp_path), *snippets])
    assert (status, errors) == (0, ""), out


@pytest.mark.parametrize("name", ["authoring", "control_flow", "dynamic_tasks"])
def test_what_the_checkers_pass_is_wired_right(repository: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", list(sys.path))  # the file's folder goes to its front
    _, mistakes = serialize.check([repository / "tests" / "typing" / f"{name}.py"])
    assert mistakes == []
