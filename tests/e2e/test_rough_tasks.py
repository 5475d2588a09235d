"""Tasks that are rough with processes, files and values that are not theirs alone."""

import re

import pytest

from tests.e2e import authors

ROUGH = """
    import os
    import resource
    import shutil
    import signal
    import threading
    from collections.abc import Callable
    from typing import NamedTuple
    import numpy as np
    import pandas as pd
    from typedflow import Directory, current_context, task, workflow

    class Made(NamedTuple):
        frame: pd.DataFrame
        array: np.ndarray
        tree: Directory

    @task
    def splits(n: int) -> int:
        return n if os.fork() else -n

    @task
    def hides_a_thread(n: int) -> int:
        threading.Thread(target=signal.pause).start()
        return n

    @task
    def opens_too_much(n: int) -> int:
        kept = [open(os.devnull) for _ in range(10 * resource.getrlimit(resource.RLIMIT_NOFILE)[0])]
        return len(kept)

    @task
    def deletes_its_folder(n: int) -> int:
        shutil.rmtree(current_context().working_folder)
        return n

    @task
    def shoots_its_group(n: int) -> int:
        if current_context().attempt <= n:
            os.killpg(0, signal.SIGKILL)
        return n

    @task
    def shoots_its_parent(n: int) -> int:
        if current_context().attempt <= n:
            os.kill(os.getppid(), signal.SIGKILL)
        return n

    @task
    def makes_values(n: int) -> Made:
        folder = current_context().working_folder / "tree"
        folder.mkdir()
        (folder / "a.txt").write_text("a")
        return Made(pd.DataFrame({"x": range(n)}), np.arange(n), Directory(folder))

    @task
    def spoils(frame: pd.DataFrame, array: np.ndarray, tree: Directory) -> str:
        told = []
        def spoil(what: str, how: Callable[[], object]) -> None:
            try:
                how()
                told.append(f"{what} changed")
            except (ValueError, OSError) as error:
                told.append(f"{what} {type(error).__name__}")
        spoil("column", lambda: frame.x.to_numpy().__setitem__(0, -1))
        spoil("frame", lambda: frame.__setitem__("x", -1))
        spoil("array", lambda: array.__setitem__(0, -1))
        path = tree.path / "a.txt"
        spoil("mode", lambda: path.chmod(0o666))
        spoil("file", lambda: path.write_text("changed"))
        spoil("tree", lambda: (tree.path / "b.txt").write_text("new"))
        return ", ".join(told)

    @task
    def adds_up(frame: pd.DataFrame, array: np.ndarray, tree: Directory, after: str) -> str:
        texts = {path.name: path.read_text() for path in tree.path.iterdir()}
        return f"{frame.x.sum()} {array.sum()} {texts} after {after}"

    @workflow
    def only_spoils(n: int) -> str:
        made = makes_values(n=n)
        after = spoils(frame=made.frame, array=made.array, tree=made.tree)
        return adds_up(frame=made.frame, array=made.array, tree=made.tree, after=after)
"""
VALUES = ("makes_values", "spoils", "adds_up")


@pytest.fixture(scope="module")
def author(typedflow_server, tmp_path_factory):
    """Somebody who has registered all of them, each in a workflow of its own."""
    with authors.of_a_project_of_their_own(typedflow_server, tmp_path_factory.mktemp("author")) as made:
        workflows = "".join(
            f"\n    @workflow\n    def only_{name}(n: int) -> int:\n        return {name}(n=n)\n"
            for name in re.findall(r"@task\n    def (\w+)", ROUGH)
            if name not in VALUES
        )
        made.register("rough_module", ROUGH + workflows)
        yield made


def test_what_a_task_does_to_values_and_folders_that_it_is_given_is_seen_by_nobody_else(author):
    told, _, spoiled = author.outputs("only_spoils", n=1000).o0.partition(" after ")
    assert told == "499500 499500 {'a.txt': 'a'}"
    assert spoiled.count("changed") >= 5, spoiled  # a column may be read-only


def test_a_task_that_forks_and_returns_twice_has_returned_once(author):
    run = author.run("only_splits", n=7)
    assert (run.phase, run.outputs.o0, run.nodes[0].attempts) == ("SUCCEEDED", 7, 1)


def test_a_thread_that_a_task_leaves_does_not_hold_it_up(author):
    assert author.outputs("only_hides_a_thread", n=8).o0 == 8


def test_a_task_that_opens_more_files_than_it_may_fails_alone(author):
    run = author.run("only_opens_too_much", n=1)
    error = run.message.error
    assert (run.phase, error.code, error.kind) == ("FAILED", "OSError", 1)
    assert "Too many open files" in error.message


def test_a_task_that_deletes_its_folder_has_its_result_all_the_same(author):
    assert author.outputs("only_deletes_its_folder", n=9).o0 == 9


@pytest.mark.parametrize("name", ["shoots_its_group", "shoots_its_parent"])
def test_e5_a_task_that_shoots_at_processes_that_are_not_its_own_hits_itself_at_most(author, name):
    run = author.run(f"only_{name}", n=1)
    assert (run.phase, run.outputs.o0) == ("SUCCEEDED", 1)
    assert run.nodes[0].attempts <= 2
