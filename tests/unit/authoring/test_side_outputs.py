"""Checkpoints and decks, as a task's body sees them."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from typedflow import Deck, current_context, errors, type_engine
from typedflow.authoring import context, side_outputs
from typedflow.dataplane import objects
from typedflow.pb import literals_pb2


class Attempts:
    """One node's attempts, one after the other: what one keeps the next one finds."""

    def __init__(self, folder: Path) -> None:
        self.store = objects.FolderStore(folder / "objects")
        self.folder = folder
        self.kept: list[literals_pb2.Literal] = []

    def next(self) -> context.TaskContext:
        side = side_outputs.SideOutputs(
            type_engine.Data(self.store, self.folder / "work"),
            self.kept[-1] if self.kept else None,
            self.kept.append,
        )
        return context.TaskContext("e", "n", len(self.kept) + 1, "p", "d", self.folder / "work", side)


@pytest.fixture
def attempts(tmp_path):
    return Attempts(tmp_path)


def test_e14_what_an_attempt_writes_the_next_one_reads(attempts):
    first = attempts.next().checkpoint
    assert first.read() is None
    first.write(b"one")
    first.write(b"two")
    assert first.read() == b"two"
    assert attempts.next().checkpoint.read() == b"two"


def test_e14_a_folder_is_restored_with_all_that_is_in_it(attempts, tmp_path):
    saved = tmp_path / "state"
    (saved / "deep" / "empty").mkdir(parents=True)
    (saved / "model.bin").write_bytes(bytes(1000))
    (saved / "run").write_text("x")
    (saved / "run").chmod(0o755)
    attempts.next().checkpoint.save(saved)
    (saved / "model.bin").write_bytes(b"changed")
    target = tmp_path / "there" / "restored"
    assert attempts.next().checkpoint.restore(target)
    assert sorted(str(path.relative_to(target)) for path in target.rglob("*")) == [
        "deep", "deep/empty", "model.bin", "run",
    ]  # fmt: skip
    assert (target / "model.bin").read_bytes() == bytes(1000)
    assert (target / "run").stat().st_mode & 0o100


def test_e14_a_file_is_restored_as_a_file_and_its_bytes_can_be_read(attempts, tmp_path):
    path = tmp_path / "state.json"
    path.write_text(json.dumps([1]))
    attempts.next().checkpoint.save(path)
    path.unlink()
    again = attempts.next().checkpoint
    assert again.restore(path)
    assert path.read_text() == "[1]"
    assert again.read() == b"[1]"
    path.write_text("mine")  # it is a copy
    assert attempts.next().checkpoint.read() == b"[1]"


def test_without_a_checkpoint_nothing_is_laid(attempts, tmp_path):
    assert not attempts.next().checkpoint.restore(tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_a_save_that_fails_leaves_the_checkpoint_before_it(attempts, tmp_path):
    checkpoint = attempts.next().checkpoint
    checkpoint.write(b"good")
    with pytest.raises(errors.TypedflowError, match="not there"):
        checkpoint.save(tmp_path / "not there")
    assert checkpoint.read() == b"good"
    assert len(attempts.kept) == 1


def test_mistakes_with_checkpoints_say_what_to_do(attempts, tmp_path):
    checkpoint = attempts.next().checkpoint
    with pytest.raises(errors.UsageError, match=r"takes bytes, not dict") as refused:
        checkpoint.write({})
    assert "json.dumps" in str(refused.value.hint)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "a").touch()
    checkpoint.save(tmp_path / "state")
    with pytest.raises(errors.UsageError, match="is a folder"):
        checkpoint.read()
    with pytest.raises(errors.UsageError, match="something in this folder"):
        checkpoint.restore(tmp_path / "state")


def test_a_checkpoint_that_is_gone_is_as_if_there_were_none_and_the_log_says_so(attempts, capsys, tmp_path):
    attempts.next().checkpoint.write(b"x" * 10)
    for path in (tmp_path / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    again = attempts.next().checkpoint
    assert again.read() is None
    assert not again.restore(tmp_path / "there")
    assert "the task begins anew" in capsys.readouterr().err


def test_a_deck_of_the_same_name_is_the_same_section_and_text_is_escaped(attempts):
    running = attempts.next()
    with context.entered(running):
        Deck("losses").append("<i>first</i>")
        Deck("a <b>").append_text("1 < 2 & 3")
        Deck("losses").append("<i>second</i>")
        current_context().deck.append_text("last")
    page = running.side_outputs.page("train <x>").decode()
    assert re.findall(r"<h2>(.*?)</h2>", page) == ["losses", "a &lt;b&gt;", "report"]
    assert page.index("<i>first</i>") < page.index("<i>second</i>") < page.index("1 &lt; 2 &amp; 3")
    assert "<h1>train &lt;x&gt;</h1>" in page


def test_what_shows_itself_as_html_in_a_notebook_does_so_in_a_deck(attempts):
    class Table:
        def _repr_html_(self) -> str:
            return "<table></table>"

    running = attempts.next()
    running.deck.append(Table())
    assert b"<table></table>" in running.side_outputs.page("t")
    with pytest.raises(errors.UsageError, match="int can't show itself"):
        running.deck.append(3)


def test_a_report_that_is_too_large_says_what_it_left_out(attempts):
    running = attempts.next()
    for _ in range(20):
        running.deck.append("x" * (1 << 20))
    page = running.side_outputs.page("t")
    assert len(page) < side_outputs.LARGEST_PAGE + 10_000
    assert b"4 pieces were left out: a report has at most 16 MiB" in page


def test_a_task_that_writes_no_report_has_none(attempts):
    running = attempts.next()
    assert running.deck.name == "report"
    assert running.side_outputs.page("t") == b""


def test_decks_and_checkpoints_are_a_running_tasks(attempts):
    with pytest.raises(errors.StateConflict, match="body of a running task"):
        Deck("x")
    with context.entered(attempts.next()), pytest.raises(errors.UsageError, match="name is a text"):
        Deck("")


def test_a_task_that_uses_neither_loads_neither():
    program = (
        "import sys; from typedflow import type_engine; from typedflow.authoring import side_outputs;"
        "side_outputs.SideOutputs(type_engine.NO_DATA).page('t');"
        "print({'typedflow.authoring.checkpoint', 'typedflow.type_engine.files', 'html'} & set(sys.modules))"
    )
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )
