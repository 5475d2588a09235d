"""What an author says that a value means, through a server and its processes (C3)."""

import importlib

from typedflow.catalog import MemoryCatalog
from typedflow.testing import local

STEPS = """
    from typing import Annotated

    from typedflow import File, HashMethod, current_context, task, workflow

    def first_line(file: File) -> str:
        return file.path.read_text().splitlines()[0]

    Rows = Annotated[list[int], HashMethod(lambda rows: str(len(rows)))]

    @task
    def load(first: int, size: int) -> Rows:
        return [first] * size

    @task
    def write(text: str) -> Annotated[File, HashMethod(first_line)]:
        target = current_context().working_folder / "note.txt"
        target.write_text(text)
        return File(target)

    @task(cache=True)
    def total(rows: list[int] | None) -> int:
        return sum(rows or [])

    @task(cache=True)
    def length(note: File) -> int:
        return len(note.path.read_text())

    @workflow
    def summed(first: int, size: int, text: str) -> tuple[int, int]:
        return total(rows=load(first=first, size=size)), length(note=write(text=text))

    @workflow
    def given(rows: Rows) -> int:
        return total(rows=rows)
"""


def test_c3_a_consumer_hits_where_the_author_says_that_it_is_the_same(author):
    author.register("marks_module", STEPS)
    first = author.run("summed", first=1, size=3, text="same\n1")
    assert first.phase == "SUCCEEDED", first.error
    assert (first.outputs.o0, first.outputs.o1) == (3, 6)
    again = author.run("summed", first=2, size=3, text="same\nanother")
    assert (again.outputs.o0, again.outputs.o1) == (3, 6)
    assert {node.id: node.cache for node in again.nodes} == {
        "load": "DISABLED",
        "write": "DISABLED",
        "total": "HIT",
        "length": "HIT",
    }
    other = author.run("summed", first=2, size=2, text="other\n1")
    assert (other.outputs.o0, other.outputs.o1) == (4, 7)


def test_c3_it_counts_for_what_is_stored_elsewhere(author):
    author.register("marks_module", STEPS)
    size = 500_000
    assert author.outputs("summed", first=10**6, size=size, text="a").o0 == size * 10**6
    again = author.run("summed", first=10**6 + 1, size=size, text="a")
    assert again.outputs.o0 == size * 10**6
    assert [node.cache for node in again.nodes if node.id == "total"] == ["HIT"]


def test_c3_it_counts_for_what_a_direct_call_gives(author):
    author.register("marks_module", STEPS)
    module = importlib.import_module("marks_module")
    with local(cache=MemoryCatalog()):
        assert module.given(rows=[1, 2]) == 3
        assert module.given(rows=[5, 6]) == 3
