"""Direct calls and the cache: in a folder, from process to process, with mocks, and results that are too old."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import textwrap
from datetime import timedelta
from pathlib import Path

import pytest

from typedflow import Cache, File, catalog, current_context, map_task, task, workflow
from typedflow.catalog import DiskCatalog, MemoryCatalog
from typedflow.pb import catalog_pb2
from typedflow.testing import local, mock_task

RAN: list[int] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@task(cache=True)
def square(n: int) -> int:
    RAN.append(n)
    return n * n


@task(cache=True)
def next_square(n: int) -> int:
    RAN.append(n)
    return square(n=n + 1)


@task(cache=True)
def large_list(n: int) -> list[str]:
    return ["x" * 1_000_000] * n


@workflow
def large(n: int) -> list[str]:
    return large_list(n=n)


@task(cache=True)
def write(text: str) -> File:
    target = current_context().working_folder / "note.txt"
    target.write_text(text)
    RAN.append(len(text))
    return File(target)


@workflow
def squared(n: int) -> int:
    return square(n=n)


@workflow
def next_squared(n: int) -> int:
    return next_square(n=n)


@workflow
def written(text: str) -> File:
    return write(text=text)


@workflow
def squares(values: list[int]) -> list[int]:
    return map_task(square)(n=values)


def test_c2_a_folder_is_a_cache_that_lasts(tmp_path: Path):
    for _ in range(2):
        with local(cache=tmp_path / "cache"):
            assert squared(n=3) == 9
            assert Path(written(text="hello")).read_text() == "hello"
    assert RAN == [3, 5]


def test_c6_a_file_that_is_gone_is_made_again(tmp_path: Path):
    with local(cache=str(tmp_path / "cache")):
        written(text="hello")
        for each in (tmp_path / "cache" / "objects" / "b3").rglob("*"):
            if each.is_file():
                each.unlink()
        assert Path(written(text="hello")).read_text() == "hello"
    assert RAN == [5, 5]


def test_e9_one_changed_element_runs_one_slot():
    with local(cache=MemoryCatalog()):
        assert squares(values=[1, 2, 3]) == [1, 4, 9]
        RAN.clear()
        assert squares(values=[3, 5, 1, 3]) == [9, 25, 1, 9]
        assert RAN == [5]


def test_another_process_hits(tmp_path: Path):
    (tmp_path / "steps.py").write_text(
        textwrap.dedent(
            """
            import sys
            from typedflow import task, workflow
            from typedflow.testing import local

            @task(cache=True)
            def add(n: int) -> int:
                print("ran")
                return n + 1

            @workflow
            def added(n: int) -> int:
                return add(n=add(n=n))

            with local(cache=sys.argv[1]):
                print(added(n=1))
            """
        )
    )
    command = [sys.executable, "steps.py", str(tmp_path / "cache")]
    told = [
        subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert told == [["ran", "ran", "3"], ["3"]]


def test_what_a_mock_has_a_part_in_is_neither_kept_nor_taken():
    with local(cache=MemoryCatalog()):
        with mock_task(square, returns=100):
            assert squared(n=3) == 100
            assert next_squared(n=3) == 100
        assert squared(n=3) == 9
        assert next_squared(n=3) == 16
        with mock_task(square, returns=100):
            assert squared(n=3) == 100
            assert next_squared(n=3) == 100


def test_a_result_that_is_too_old_is_made_again():
    made: list[int] = []

    @task(cache=Cache(version="1", max_age=timedelta(hours=1)))
    def aged(n: int) -> int:
        made.append(n)
        return n

    @workflow
    def whole(n: int) -> int:
        return aged(n=n)

    class Older(MemoryCatalog):
        def __init__(self, by: timedelta) -> None:
            super().__init__()
            self.by_us = by // timedelta(microseconds=1)

        def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
            entry.created_at_us -= self.by_us
            super().publish(entry)

    for by, expected in ((timedelta(0), [1]), (timedelta(minutes=61), [1, 1])):
        made.clear()
        with local(cache=Older(by)):
            assert (whole(n=1), whole(n=1)) == (1, 1)
        assert made == expected


def test_c8_what_cannot_be_kept_fails_nothing(tmp_path: Path):
    class Full(MemoryCatalog):
        def publish(self, entry: catalog_pb2.CatalogEntry) -> None:
            raise OSError(f"no space left for {entry.key}")

    with local(cache=Full()):
        assert squared(n=3) == 9
        assert squared(n=3) == 9
    assert RAN == [3, 3]


@pytest.mark.parametrize("harm", ["a file in the way", "another table", "an entry cut short", "locked"])
def test_c8_a_cache_in_a_folder_that_cannot_be_used_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
):
    monkeypatch.setattr(catalog, "_PATIENCE", 0.01)
    folder = tmp_path / "cache"
    if harm == "a file in the way":
        folder.write_text("mine")
    else:
        with local(cache=folder):
            assert squared(n=3) == 9
    with contextlib.ExitStack() as until_the_end:
        if folder.is_dir():
            database = sqlite3.connect(folder / "catalog-1.sqlite", isolation_level=None)
            until_the_end.callback(database.close)
            statement = {
                "another table": "ALTER TABLE entries RENAME TO others; CREATE TABLE entries (x)",
                "an entry cut short": "UPDATE entries SET entry = substr(entry, 1, 40)",
                "locked": "BEGIN EXCLUSIVE",
            }[harm]
            database.executescript(statement)
        with local(cache=folder):
            assert squared(n=3) == 9
            assert large(n=2) == ["x" * 1_000_000] * 2


def test_threads_share_a_cache_in_a_folder(tmp_path: Path):
    from concurrent import futures

    kept = DiskCatalog(tmp_path / "cache")

    def run(n: int) -> int:
        with local(cache=kept):
            return squared(n=n % 4)

    with futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(run, range(64))) == [(n % 4) ** 2 for n in range(64)]
    assert set(RAN) == {0, 1, 2, 3}
