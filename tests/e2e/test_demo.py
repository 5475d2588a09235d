"""The demo, and the pipeline that it shows."""

import importlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e import machines
from typedflow import testing
from typedflow.catalog import MemoryCatalog


@pytest.fixture
def pipeline(repository, monkeypatch, tmp_path):
    """The example's main module; its tasks write to the folder they run in, which in a direct call is the caller's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(repository / "examples")
    return importlib.import_module("tumours.pipeline")


def test_the_pipeline_runs_in_a_test_and_gives_typed_values(pipeline):
    trained = pipeline.training(trees=10)
    assert 0.85 < trained.accuracy <= 1
    assert 0.9 < trained.auc <= 1
    page = Path(trained.report).read_text("utf-8")
    assert f"{trained.accuracy:.3f}" in page
    assert "<polyline" in page
    assert "http" not in page  # nothing is fetched to show it


def test_another_forest_reads_and_splits_the_table_no_second_time(pipeline, capfd):
    cache = MemoryCatalog()
    with testing.local(cache=cache):
        pipeline.training(trees=5)
        pipeline.training(trees=5)
        assert capfd.readouterr().out.count("grew") == 1
        pipeline.training(trees=6)
        assert capfd.readouterr().out.count("grew") == 1


def test_a_row_that_breaks_the_schema_fails_where_it_is_validated(pipeline):
    raw = pipeline.ingest()
    raw.loc[3, "mean radius"] = -1.0
    with pytest.raises(Exception, match="mean_radius"):
        pipeline.validate(raw=raw)


def nodes(shown: str, launch: int) -> dict[str, str]:
    """What the cache did for each node of a launch."""
    part = re.split(r"^\d  launch ", shown, flags=re.MULTILINE)[launch]
    return dict(re.findall(r"^\s+(\w+)\s+SUCCEEDED\s+(\w+)", part, flags=re.MULTILINE))


def test_the_demo_shows_what_the_cache_skips_and_leaves_the_report_only(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", "from typedflow import cli; cli.main()", "demo"],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    first, again, changed = (nodes(done.stdout, launch) for launch in (1, 2, 3))
    assert list(first) == ["ingest", "validate", "split", "train", "evaluate", "report"]
    assert set(first.values()) == {"POPULATED"}
    assert set(again.values()) == {"HIT"}
    assert [node for node, cache in changed.items() if cache == "POPULATED"] == [
        "train",
        "evaluate",
        "report",
    ]
    assert re.search(r"the cache saved \d+\.\d+ s of computing", done.stdout)
    [folder] = tmp_path.iterdir()
    assert [left.name for left in folder.iterdir()] == ["report.html"]
    assert (folder / "report.html").as_uri() in done.stdout


@pytest.mark.slow
def test_the_demo_may_be_kept_and_says_how_to_go_on(machine):
    kept = machine.start("demo", "--keep", TMPDIR=str(machine.folder))
    machines.until(lambda: "stays up" in kept.output, "the demo gets to its end")
    home = re.search(r"export TYPEDFLOW_HOME=(\S+)", kept.output)
    assert home is not None
    listed = subprocess.run(
        [sys.executable, "-c", "from typedflow import cli; cli.main()", "get", "executions"],
        env={**os.environ, "TYPEDFLOW_HOME": home[1]},
        capture_output=True,
        text=True,
        timeout=machines.PATIENCE_S,
        check=True,
    )
    assert listed.stdout.count("SUCCEEDED") == 3
    kept.process.send_signal(signal.SIGINT)
    assert kept.process.wait(machines.PATIENCE_S) == 0
    assert "brings it back" in kept.output


@pytest.mark.slow
def test_e3_a_server_killed_in_the_middle_of_the_demos_pipeline_finishes_it_and_repeats_nothing(
    machine, repository
):
    server = machine.up()
    with machine.client() as client:
        client.register(repository / "examples" / "tumours")
        run = client.launch("training")

        def finished() -> dict[str, tuple[int, int]]:
            return {n.id: (n.message.ended_at_us, n.attempts) for n in run.nodes if n.phase == "SUCCEEDED"}

        machines.until(lambda: len(finished()) >= 2, "some of the pipeline is done")
        before = finished()
        server.kill()
    machine.up()
    with machine.client() as client:
        run = client.run(run.id).wait(timeout=machines.PATIENCE_S)
        assert before.items() <= finished().items()
        assert 2 <= len(before) < 6
        assert len(run.nodes) == 6
        assert run.outputs.accuracy > 0.85


def test_the_demo_without_its_extra_says_what_to_install():
    program = (
        "import sys\n"
        "from importlib import util\n"
        "found = util.find_spec\n"
        "util.find_spec = lambda name, *rest: None if name == 'sklearn' else found(name, *rest)\n"
        "from typedflow import cli\n"
        "sys.argv[1:] = ['demo']\n"
        "cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error[MissingExtra]")
    assert "pip install 'typedflow[demo]'" in done.stderr
