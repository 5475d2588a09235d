"""What the control plane needs of a database for parts of nodes, launches of nodes, and places; see `test_store`."""

import pytest
from typedflow_admin import store

from tests.contract.test_store import Tables, launch, step
from tests.contract.test_store import tables as tables  # noqa: PLC0414 - the fixture

RUNNING, SUCCEEDED = 2, 3


def node(path: str, position: int, parent: str = "", phase: int = RUNNING) -> store.NodeRow:
    return store.NodeRow(path, position, 0, path.encode(), parent, "[" in path, phase)


def names(tables: Tables, wanted: store.NodeFilter, after: int = -1, limit: int = 9) -> list[str]:
    return [row.node for row in tables.read(lambda t: t.executions.nodes("x1", wanted, after, limit))]


@pytest.fixture
def parted(tables: Tables) -> Tables:
    """An execution whose node `n0` is a map with two slots, the second of which is a dynamic task."""
    launch(tables)
    parts = [
        node("n0", 0),
        node("n0[0]", 2, "n0", SUCCEEDED),
        node("n0[1]", 3, "n0"),
        node("n0[1].fit", 4, "n0[1]"),
        node("n1.fit", 5, "n1"),
    ]
    tables.write(lambda t: t.leases.apply([step(nodes=parts)]))
    return tables


def test_parts_are_listed_by_what_they_are_parts_of(parted):
    assert names(parted, store.NodeFilter()) == ["n0", "n1", "n1.fit"]
    assert names(parted, store.NodeFilter(slotted=True)) == ["n0[0]", "n0[1]", "n0[1].fit"]
    assert names(parted, store.NodeFilter("n0")) == ["n0[0]", "n0[1]"]
    assert names(parted, store.NodeFilter("n0", phases=(SUCCEEDED,))) == ["n0[0]"]
    assert names(parted, store.NodeFilter("n0"), after=2) == ["n0[1]"]
    assert names(parted, store.NodeFilter("n0[1]")) == ["n0[1].fit"]
    assert names(parted, store.NodeFilter(phases=(RUNNING,)), limit=1) == ["n0"]


def test_a_node_that_changes_again_keeps_its_place(parted):
    moved = store.NodeRow("n0[1]", 99, 0, b"done", "elsewhere", False, SUCCEEDED)
    parted.write(lambda t: t.leases.apply([step(first=1, nodes=[moved])]))
    found = parted.read(lambda t: t.executions.nodes_of("x1", ["n0[1]", "n1", "absent"]))
    assert found["n0[1]"] == store.NodeRow("n0[1]", 3, 3, b"done", "n0", True, SUCCEEDED)
    assert found.keys() == {"n0[1]", "n1"}
    changed = parted.read(lambda t: t.executions.changed_nodes("x1", 2, -1, 9, slotted=True))
    assert [row.node for row in changed] == ["n0[1]"]
    assert parted.read(lambda t: t.executions.changed_nodes("x1", 2, -1, 9)) == []


def test_what_a_dynamic_task_said_is_found_by_its_path(parted):
    for graph in (b"first", b"second"):
        parted.write(lambda t, graph=graph: t.executions.put_expansion("x1", "n1", graph))
    assert parted.read(lambda t: t.executions.expansions("x1", ["n0", "n1"])) == {"n1": b"second"}
    assert parted.read(lambda t: t.executions.expansions("x2", ["n1"])) == {}


def test_the_first_event_is_there_before_it_is_taken_and_after(tables):
    launch(tables)
    assert tables.read(lambda t: t.executions.first_event("x1")) == b"started"
    tables.write(lambda t: t.leases.apply([step(events=[b"taken", b"more"], version=2, consumed=[1])]))
    assert tables.read(lambda t: t.executions.first_event("x1")) == b"taken"
    assert tables.read(lambda t: t.executions.first_event("x2")) is None


def test_who_launched_an_execution_is_known(tables):
    launch(tables)
    launch(tables, "x2", parent_execution_id="x1", parent_node="n0", depth=1)
    assert tables.read(lambda t: t.executions.launched_by(["x1", "x2", "x3"])) == {"x2": ("x1", "n0")}
    found = tables.read(lambda t: t.executions.find("x2"))
    assert found is not None
    assert found[1].depth == 1


def queue(tables: Tables, id_: str = "x1") -> tuple[int, int]:
    found = tables.read(lambda t: t.places.queues([id_]))[id_]
    return found.granted, found.waiting


def test_places_are_given_in_the_order_in_which_they_were_asked_for(tables):
    launch(tables, capped=True)
    tables.write(lambda t: t.places.ask([("x1", "b", 1), ("x1", "a", 1)]))
    tables.write(lambda t: t.places.ask([("x1", "c", 2), ("x1", "b", 1)]))
    assert queue(tables) == (0, 3)
    assert tables.write(lambda t: t.places.grant({"x1": 2})) == [("x1", "b", 1), ("x1", "a", 1)]
    assert queue(tables) == (2, 1)
    tables.write(lambda t: t.places.ask([("x1", "b", 1)]))
    assert queue(tables) == (2, 1)
    tables.write(lambda t: t.places.give_back([("x1", "b", 1), ("x1", "absent", 1)]))
    tables.write(lambda t: t.places.give_back([("x1", "c", 0)]))
    assert queue(tables) == (1, 0)
    tables.write(lambda t: t.places.leave(["x1"]))
    assert tables.read(lambda t: t.places.queues(["x1"])) == {}


def test_who_waits_is_listed_by_need_and_age_without_those_whose_launch_plan_is_full(tables):
    for id_, plan, most in (("x1", "m.a", 2), ("x2", "m.b", 0), ("x3", "m.a", 2), ("x4", "m.c", 1)):
        launch(tables, id_, launch_plan=plan, plan_parallelism=most, capped=True)
        tables.write(lambda t, id_=id_: t.places.ask([(id_, "n", 1), (id_, "m", 1)]))
    tables.write(lambda t: t.places.grant({"x1": 1, "x4": 1}))
    assert tables.read(lambda t: t.places.granted("p")) == {("p", "dev", "m.a"): 1, ("p", "dev", "m.c"): 1}
    assert [row.execution_id for row in tables.read(lambda t: t.places.waiting("p", 9))] == ["x2", "x3", "x1"]
    assert [row.execution_id for row in tables.read(lambda t: t.places.waiting("p", 1))] == ["x2"]
    assert tables.read(lambda t: t.places.waiting("other", 9)) == []
