"""The pytest plugin in a project of its author's: the fixtures are there without an import."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

PIPELINE = """
from pathlib import Path
from typedflow import File, current_context, task, workflow

RUNS = []

@task(cache=True)
def double(n: int) -> int:
    RUNS.append(n)
    return 2 * n

@task
def note(n: int) -> File:
    target = current_context().working_folder / "note.txt"
    target.write_text(str(n))
    return File(target)

@workflow
def doubled(n: int) -> File:
    return note(n=double(n=n))
"""

TESTS = """
from pathlib import Path

import pipeline
import pytest
from typedflow.testing import local, mock_task

def test_the_cache_is_there(typedflow_cache):
    pipeline.doubled(n=1)
    pipeline.doubled(n=1)
    assert pipeline.RUNS == [1]

def test_each_test_has_its_own(typedflow_cache):
    pipeline.doubled(n=1)
    assert pipeline.RUNS == [1, 1]

def test_no_cache_without_it():
    assert Path(pipeline.doubled(n=1)).read_text() == "2"
    assert pipeline.RUNS == [1, 1, 1]

def test_a_mock(tmp_path):
    with mock_task(pipeline.double, returns=7):
        assert Path(pipeline.doubled(n=1)).read_text() == "7"

def test_a_mock_of_the_wrong_type():
    with mock_task(pipeline.double, returns="7"), pytest.raises(ValueError, match="expected int"):
        pipeline.doubled(n=1)
"""

SERVER = """
import pipeline

def test_a_server(typedflow_server):
    typedflow_server.register(pipeline.__file__)
    run = typedflow_server.launch("doubled", inputs={"n": 4}).wait(timeout=60)
    assert run.outputs.o0.read_bytes() == b"8"
"""


def test_fixtures_and_mocks_work_in_an_authors_project(pytester: pytest.Pytester):
    pytester.makepyfile(pipeline=PIPELINE, test_pipeline=TESTS)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error")
    result.assert_outcomes(passed=5)


@pytest.mark.slow
def test_the_server_fixture_registers_launches_and_reads(pytester: pytest.Pytester):
    project = pytester.mkdir(
        "project"
    )  # pytester's own folder is the home of what runs in it, and no project
    (project / "pipeline.py").write_text(PIPELINE)
    (project / "test_server.py").write_text(SERVER)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-W", "error", project)
    result.assert_outcomes(passed=1)


def test_the_plugin_loads_nothing_before_a_fixture_is_used(pytester: pytest.Pytester):
    pytester.makepyfile(
        "import sys\n"
        "def test_lean():\n"
        "    heavy = {'google.protobuf', 'grpc', 'typedflow.authoring', 'typedflow.client'}\n"
        "    assert not heavy & set(sys.modules)\n"
    )
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1)
