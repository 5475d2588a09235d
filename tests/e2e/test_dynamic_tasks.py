"""Dynamic tasks through a server and its processes, and the same in a direct call."""

import importlib
import sys

import pytest

from typedflow import errors
from typedflow.catalog import MemoryCatalog
from typedflow.testing import local

HELPERS = """
    import pandas as pd

    from typedflow import File, task

    @task(cache=True)
    def hidden(n: int) -> int:
        return 100 * n

    @task
    def rows(df: pd.DataFrame, note: File) -> str:
        return f"{len(df)} {note.path.read_text()}"
"""

STEPS = """
    import pandas as pd

    import dynamic_helpers
    from typedflow import File, conditional, current_context, dynamic, map_task, task, workflow

    @task(cache=True)
    def double(n: int) -> int:
        return 2 * n

    @task
    def total(values: list[int]) -> int:
        return sum(values)

    @task
    def fails(n: int) -> int:
        raise ValueError(f"no {n}")

    @workflow
    def twice(n: int) -> int:
        return double(n=double(n=n))

    @dynamic
    def tree(values: list[int]) -> int:
        if len(values) == 1:
            return values[0]
        half = len(values) // 2
        return total(values=[tree(values=values[:half]), tree(values=values[half:])])

    @dynamic(cache=True)
    def kept(n: int) -> int:
        mapped = map_task(double)(n=list(range(n)))
        chosen = conditional("size").if_(mapped[0] == 0).then(twice(n=n)).else_().fail("no")
        return total(values=[mapped[-1], chosen, dynamic_helpers.hidden(n=n)])

    @dynamic
    def made(n: int) -> str:
        note = current_context().working_folder / "note.txt"
        note.write_text("made at run time")
        return dynamic_helpers.rows(df=pd.DataFrame({"x": range(n)}), note=File(note))

    @dynamic
    def large(n: int) -> int:
        values = list(range(n))
        return total(values=[total(values=values), total(values=values)])

    @workflow
    def whole(values: list[int], n: int) -> tuple[int, int, str]:
        return tree(values=values), kept(n=n), made(n=n)

    @workflow
    def shares(n: int) -> int:
        return large(n=n)

    @workflow
    def plain(n: int) -> int:
        return twice(n=n)

    @workflow
    def each(lists: list[list[int]]) -> list[int]:
        return map_task(tree)(values=lists)

    @dynamic
    def wrong(n: int) -> int:
        return double(m=n)

    @dynamic
    def breaks(n: int) -> int:
        return fails(n=double(n=n))

    @workflow
    def goes_wrong(n: int) -> int:
        return wrong(n=n)

    @workflow
    def goes_bad(n: int) -> int:
        return breaks(n=n)
"""


@pytest.fixture
def steps(author):
    """The steps, registered; their helpers are in the bundle and registered nowhere."""
    author.write("dynamic_helpers", HELPERS)
    author.register("dynamic_module", STEPS)
    return importlib.import_module("dynamic_module")


def nodes(run):
    return {node.id: node.cache for node in run.nodes}


def test_a_graph_that_is_known_at_run_time_gives_the_same_everywhere(author, steps):
    here = steps.whole(values=[1, 2, 3], n=3)
    run = author.run("whole", values=[1, 2, 3], n=3)
    assert run.phase == "SUCCEEDED", run.error
    there = run.outputs
    assert (there.o0, there.o1, there.o2) == here == (6, 4 + 12 + 300, "3 made at run time")
    assert {"tree", "tree.tree", "tree.tree-2.total", "kept.double", "kept.hidden"} <= nodes(run).keys()
    assert "kept.size.twice.double-2" in nodes(run)
    assert author.outputs("each", lists=[[1, 2], [3]]).o0 == [3, 3]


def test_c5_what_ran_in_a_workflow_hits_inside_of_a_dynamic_task(author, steps):
    assert author.run("plain", n=3).phase == "SUCCEEDED"
    first = nodes(author.run("whole", values=[1], n=3))
    assert first["kept"] == "POPULATED"
    assert {first["kept.size.twice.double"], first["kept.size.twice.double-2"]} == {"HIT"}
    assert first["kept.hidden"] == "POPULATED"
    again = nodes(author.run("whole", values=[1], n=3))
    assert again["kept"] == "HIT"
    assert "kept.hidden" not in again


def test_a_value_that_is_large_is_given_to_many(author, steps):
    assert author.outputs("shares", n=1_000_000).o0 == sum(range(1_000_000)) * 2


def test_what_goes_wrong_in_it_is_told_as_in_a_direct_call(author, steps):
    run = author.run("goes_wrong", n=1)
    assert run.phase == "FAILED"
    error = run.message.error
    assert (error.code, error.node) == ("ParameterNotBound", "wrong")
    with pytest.raises(errors.CompileError) as here, local(cache=MemoryCatalog()):
        steps.goes_wrong(n=1)
    assert error.message == str(here.value)
    assert "dynamic_module.py:" in error.message
    run = author.run("goes_bad", n=1)
    assert (run.message.error.code, run.message.error.node) == ("ValueError", "breaks.fails")
    assert sys.modules["dynamic_module"] is steps
