"""What authors write passes mypy, and a wrong call is an error in the editor."""

from __future__ import annotations

from pathlib import Path

from mypy import api


def test_mypy_sees_each_tasks_own_signature(repository: Path, tmp_path: Path):
    config = str(repository / "pyproject.toml")
    snippets = sorted(str(path) for path in (repository / "tests" / "typing").glob("*.py"))
    out, errors, status = api.run(["--config-file", config, "--cache-dir", str(tmp_path), *snippets])
    assert (status, errors) == (0, ""), out
