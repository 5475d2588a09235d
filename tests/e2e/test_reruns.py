"""What runs again after an edit: each row of the table, on a real project, in a process of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.reruns import table
from tests.e2e.reruns.project import Project


class Runner:
    """Runs projects, and tells which of their steps ran."""

    def __init__(self, folder, hash_seed):
        self._notes = folder / "ran"
        self._errors = folder / "errors"
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "RAN": str(self._notes)}
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.reruns.runner"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
                cwd=Path(__file__).parents[2],
            )

    def run(self, project, cache):
        """The steps that ran, sorted."""
        self._notes.write_text("")
        job = {
            "folder": str(project.folder),
            "inputs": project.inputs,
            "environment": project.environment,
            "workflow": project.workflow,
            "source": project.source,
            "cache": str(cache),
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert answer["status"] == 0, self._errors.read_text()
        return sorted(self._notes.read_text().splitlines())

    def close(self):
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def runners(tmp_path_factory):
    """Runners by their hash seed, each started when it is first used."""
    made = {}

    def runner(hash_seed):
        if hash_seed not in made:
            made[hash_seed] = Runner(tmp_path_factory.mktemp("runner"), hash_seed)
        return made[hash_seed]

    yield runner
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def filled(tmp_path_factory, runners):
    """A cache that has all that the project makes."""
    folder = tmp_path_factory.mktemp("first")
    ran = runners("0").run(Project.made(folder / "project"), folder / "cache")
    assert ran == sorted(table.ALL)
    return folder / "cache"


@pytest.mark.slow
@pytest.mark.parametrize("edit", table.EDITS, ids=lambda edit: edit.name.replace(" ", "-"))
def test_c2_exactly_what_an_edit_may_change_runs_again(edit, filled, runners, tmp_path):
    project = Project.made(tmp_path / "project")
    cache = tmp_path / "cache"
    shutil.copytree(filled, cache)
    edit.change(project)
    assert runners(project.hash_seed or "0").run(project, cache) == sorted(edit.runs)


def test_there_are_eighty_edits_and_the_page_shows_them(repository):
    assert len({edit.name for edit in table.EDITS}) == len(table.EDITS) >= 80
    page = (repository / "docs/reruns.md").read_text("utf-8")
    assert page == table.page(), "python -m tests.e2e.reruns.table > docs/reruns.md"
