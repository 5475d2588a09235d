"""What the control plane needs of a database, as tests: one suite, run over each implementation of `store.Store`."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from typedflow_admin import cache_store, migrations, store
from typedflow_admin.database import Database, create_engine
from typedflow_admin.sql_store import SqlStore

T = TypeVar("T")

TASK, WORKFLOW, PLAN = 1, 2, 3
LEASE_MS = 60_000


class Tables:
    """A store, used from a test that is not a coroutine."""

    def __init__(self, tested: store.Store) -> None:
        self.store = tested

    def read(self, work: Callable[[store.Transaction], T]) -> T:
        return asyncio.run(self.store.read(work))

    def write(self, work: Callable[[store.Transaction], T]) -> T:
        return asyncio.run(self.store.write(work))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def tables(request, tmp_path) -> Iterator[Tables]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'test.db'}"
    else:
        url = request.getfixturevalue("postgres_server").new_database()
    engine = create_engine(url)
    migrations.upgrade(engine)
    database = Database(engine)
    yield Tables(SqlStore(database))
    database.close()


def entity(
    name: str, version: str, *, kind: int = TASK, digest: str = "d", domain: str = "dev"
) -> store.EntityRow:
    return store.EntityRow(
        kind=kind,
        project="p",
        domain=domain,
        name=name,
        version=version,
        digest=digest,
        content=f"content of {name} {version}",
        template=b"template",
        description="what it does",
        signature="() -> int",
        created_at_us=1,
        principal="somebody",
    )


def key(name: str, kind: int = TASK) -> store.EntityKey:
    return store.EntityKey(kind, "p", "dev", name)


def launch(
    tables: Tables,
    id_: str = "x1",
    *,
    launch_plan: str = "m.plan",
    phase: int = 1,
    nodes: int = 2,
    capped: bool = False,
    **launched: Any,
) -> None:
    execution = store.ExecutionRow(
        id=id_,
        project="p",
        domain="dev",
        launch_plan=launch_plan,
        launch_plan_version="v1",
        phase=phase,
        outputs=None,
        error=None,
        created_at_us=10,
        started_at_us=0,
        ended_at_us=0,
        revision=1,
    )

    def insert(transaction: store.Transaction) -> None:
        if transaction.entities.find(key("w", WORKFLOW), "v1") is None:
            transaction.entities.insert([entity("w", "v1", kind=WORKFLOW)])
        workflow = transaction.entities.find(key("w", WORKFLOW), "v1")
        assert workflow is not None
        row = store.LaunchRow(
            id_, workflow.number, "w", "v1", b"inputs", b"interface", "request", b"secret", "me", **launched
        )
        rows = [store.NodeRow(f"n{position}", position, 1, b"queued") for position in range(nodes)]
        transaction.executions.insert(execution, row, rows, b"started", capped=capped)

    tables.write(insert)


def step(id_: str = "x1", first: int = 0, **changes: object) -> store.Step:
    empty = store.Step(id_, first + 1, first, [b"event"], [], [], [], None)
    return replace(empty, **changes)  # type: ignore[arg-type]


ENDED = store.StatusChange(phase=3, outputs=b"out", error=None, started_at_us=11, ended_at_us=12, ended=True)
ATTEMPT = store.AttemptRow("x1", "n0", 1, "propeller", b"spec")


def test_a_transaction_that_raises_leaves_nothing_behind(tables):
    def work(transaction: store.Transaction) -> None:
        transaction.entities.insert([entity("a", "v1")])
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        tables.write(work)
    assert tables.read(lambda t: t.entities.find(key("a"), "v1")) is None


def test_a_reader_sees_one_state_while_another_writes(tables):
    reading, written = threading.Event(), threading.Event()

    def read(transaction: store.Transaction) -> tuple[bool, bool]:
        before = transaction.entities.find(key("a"), "") is None
        reading.set()
        assert written.wait(10)
        return before, transaction.entities.find(key("a"), "") is None

    async def both():
        task = asyncio.create_task(tables.store.read(read))
        await asyncio.to_thread(reading.wait, 10)
        await tables.store.write(lambda t: t.entities.insert([entity("a", "v1")]))
        written.set()
        return await task

    assert asyncio.run(both()) == (True, True)


def test_an_entity_is_found_by_version_and_newest_by_none(tables):
    tables.write(
        lambda t: t.entities.insert([entity("a", "v2", digest="old"), entity("a", "v1", digest="new")])
    )
    found = tables.read(lambda t: t.entities.find(key("a"), "v2"))
    assert found is not None
    assert replace(found, number=0, place=0) == entity("a", "v2", digest="old")
    newest = tables.read(lambda t: t.entities.find(key("a"), ""))
    assert newest is not None
    assert newest.version == "v1"
    assert tables.read(lambda t: t.entities.by_number(newest.number)) == newest
    assert tables.read(lambda t: t.entities.find(key("b"), "")) is None
    found = tables.read(lambda t: t.entities.newest_of([key("a"), key("b")]))
    assert found == {key("a"): replace(newest, template=b"")}


def test_a_version_that_is_placed_again_is_the_newest_and_keeps_its_number(tables):
    for version in ("v1", "v2", "v3"):
        tables.write(
            lambda t, version=version: t.entities.insert([entity("a", version), entity("b", version)])
        )
    before = {row.version: row for row in tables.read(lambda t: t.entities.versions(key("a"), 0, 9))}
    tables.write(lambda t: t.entities.place([before["v2"].number, before["v1"].number]))
    rows = tables.read(lambda t: t.entities.versions(key("a"), 0, 9))
    assert [row.version for row in rows] == ["v1", "v2", "v3"]
    assert [replace(row, place=0) for row in rows] == [replace(before[r.version], place=0) for r in rows]
    assert len({row.place for row in rows}) == 3
    rest = tables.read(lambda t: t.entities.versions(key("a"), rows[0].place, 9))
    assert [row.version for row in rest] == ["v2", "v3"]
    newest = tables.read(lambda t: t.entities.newest(TASK, "p", "dev", "", 9))
    assert [(row.name, row.version) for row in newest] == [("a", "v1"), ("b", "v3")]
    tables.write(lambda t: t.entities.insert([entity("a", "v4")]))
    assert tables.read(lambda t: t.entities.find(key("a"), "")).version == "v4"


def test_many_versions_are_found_in_one_transaction(tables):
    rows = [entity(f"t{number}", "v1") for number in range(1200)]
    tables.write(lambda t: t.entities.insert(rows))
    wanted = [(row.key, "v1") for row in rows] + [(key("t0"), "v2")]
    found = tables.read(lambda t: t.entities.exact(wanted))
    assert {row.name for row in found} == {row.name for row in rows}
    assert len(tables.read(lambda t: t.entities.newest_of([row.key for row in rows]))) == 1200


def active(tables: Tables, *names: str) -> dict[str, str]:
    """The active versions by name."""
    found = tables.read(lambda t: t.entities.active_of([key(name, PLAN) for name in names]))
    assert all(row.active and not row.template for row in found.values())
    return {of.name: row.version for of, row in found.items()}


def plans(tables: Tables, *names: str, versions: tuple[str, ...] = ("v1", "v2", "v3")) -> None:
    tables.write(
        lambda t: t.entities.insert(
            [entity(name, version, kind=PLAN) for version in versions for name in names]
        )
    )


def test_l2_activating_a_version_takes_the_place_of_the_one_before(tables):
    plans(tables, "a", "b", "c")
    assert active(tables, "a", "b") == {}
    tables.write(lambda t: t.entities.activate([(key("a", PLAN), "v1"), (key("b", PLAN), "v3")], 5, "me"))
    assert active(tables, "a", "b", "c", "d") == {"a": "v1", "b": "v3"}
    tables.write(lambda t: t.entities.activate([(key("a", PLAN), "v2")], 6, "me"))
    assert active(tables, "a", "b") == {"a": "v2", "b": "v3"}
    tables.write(lambda t: t.entities.activate([(key("a", PLAN), "v2")], 7, "me"))
    tables.write(lambda t: t.entities.deactivate([key("b", PLAN), key("c", PLAN)]))
    assert active(tables, "a", "b") == {"a": "v2"}


def test_l2_every_way_to_a_row_says_whether_it_is_active(tables):
    plans(tables, "a")
    tables.write(lambda t: t.entities.activate([(key("a", PLAN), "v2")], 5, "me"))
    one, found, listed = tables.read(
        lambda t: (
            t.entities.find(key("a", PLAN), "v2"),
            t.entities.exact([(key("a", PLAN), version) for version in ("v1", "v2")]),
            t.entities.versions(key("a", PLAN), 0, 10),
        )
    )
    assert one is not None
    assert one.active
    assert {row.version: row.active for row in found} == {"v1": False, "v2": True}
    assert [row.active for row in listed] == [False, True, False]
    newest = tables.read(lambda t: t.entities.newest_of([key("a", PLAN)]))
    assert not newest[key("a", PLAN)].active
    assert not tables.read(lambda t: t.entities.newest(PLAN, "p", "dev", "", 10))[0].active


def test_i4_who_refers_to_a_version_is_found_counted_and_cut(tables):
    plans(tables, *"dcba", versions=("v1",))
    tables.write(
        lambda t: t.entities.insert([entity("c", "v2", kind=PLAN), entity("w", "v1", kind=WORKFLOW)])
    )
    first, second = ((key("w", WORKFLOW), version) for version in ("v1", "v2"))
    task = (key("t"), "v1")
    tables.write(
        lambda t: t.entities.refer(
            {
                (key("a", PLAN), "v1"): [first, task],
                (key("b", PLAN), "v1"): [second],
                (key("c", PLAN), "v1"): [first, second],
                (key("c", PLAN), "v2"): [first],
                (key("d", PLAN), "v1"): [],
                (key("w", WORKFLOW), "v1"): [task],
            }
        )
    )
    asked = [first, second, (key("w", WORKFLOW), "v3"), task, (key("unknown"), "v1")]
    found = tables.read(lambda t: t.entities.referrers(asked, 2))
    named = {of: ([(each.name, version) for each, version in by.first], by.count) for of, by in found.items()}
    assert named == {
        first: ([("a", "v1"), ("c", "v1")], 3),
        second: ([("b", "v1"), ("c", "v1")], 2),
        task: ([("a", "v1"), ("w", "v1")], 2),
    }
    assert found[task].first[1][0] == key("w", WORKFLOW)


def test_one_version_is_stored_once(tables):
    tables.write(lambda t: t.entities.insert([entity("a", "v1")]))
    with pytest.raises(Exception, match=r"(?i)unique"):
        tables.write(lambda t: t.entities.insert([entity("b", "v1"), entity("a", "v1")]))
    assert tables.read(lambda t: t.entities.names(TASK, "p", "dev")) == ["a"]


def test_lists_of_entities_go_on_where_they_stopped(tables):
    tables.write(
        lambda t: t.entities.insert(
            [entity(name, version) for version in ("v1", "v2", "v3") for name in ("b", "a", "c")]
            + [entity("a", "v1", domain="other"), entity("a", "v1", kind=WORKFLOW)]
        )
    )
    first = tables.read(lambda t: t.entities.newest(TASK, "p", "dev", "", 2))
    assert [(row.name, row.version, row.template) for row in first] == [("a", "v3", b""), ("b", "v3", b"")]
    assert [row.name for row in tables.read(lambda t: t.entities.newest(TASK, "p", "dev", "b", 2))] == ["c"]
    versions = tables.read(lambda t: t.entities.versions(key("a"), 0, 2))
    assert [row.version for row in versions] == ["v3", "v2"]
    rest = tables.read(lambda t: t.entities.versions(key("a"), versions[-1].place, 2))
    assert [row.version for row in rest] == ["v1"]


def test_a_bundle_is_where_it_was_put_last(tables):
    for blob in (b"first", b"second"):
        tables.write(lambda t, blob=blob: t.entities.insert_bundle(store.BundleRow("b3:1", blob, 1, "me")))
    found = tables.read(lambda t: t.entities.bundles(["b3:1", "b3:2"]))
    assert found == {"b3:1": store.BundleRow("b3:1", b"second", 1, "me")}


def test_a_launch_is_all_there_or_not(tables):
    launch(tables)
    with pytest.raises(Exception, match=r"(?i)unique"):
        launch(tables)
    found = tables.read(lambda t: t.executions.find("x1"))
    assert found is not None
    assert (found[0].launch_plan, found[0].revision, found[1].secret) == ("m.plan", 1, b"secret")
    assert tables.read(lambda t: t.executions.find("x2")) is None
    assert [
        row.node for row in tables.read(lambda t: t.executions.nodes("x1", store.NodeFilter(), -1, 10))
    ] == ["n0", "n1"]
    assert tables.read(lambda t: t.leases.inbox(["x1"])) == [store.InboxRow("x1", 1, b"started")]
    assert tables.read(lambda t: t.executions.events("x1")) == []


def test_executions_are_listed_newest_first_by_filter(tables):
    for number in range(4):
        launch(tables, f"x{number}", launch_plan=f"m.plan{number % 2}", phase=1 + number // 2)
    page = tables.read(lambda t: t.executions.page(store.ExecutionFilter("p", "dev"), 0, 3))
    assert [execution.id for execution, _ in page] == ["x3", "x2", "x1"]
    rest = tables.read(lambda t: t.executions.page(store.ExecutionFilter("p", "dev"), page[-1][0].number, 3))
    assert [execution.id for execution, _ in rest] == ["x0"]
    plan = store.ExecutionFilter("p", "dev", "m.plan1")
    assert [e.id for e, _ in tables.read(lambda t: t.executions.page(plan, 0, 9))] == ["x3", "x1"]
    assert [e.id for e, _ in tables.read(lambda t: t.executions.page(replace(plan, phases=(1,)), 0, 9))] == [
        "x1"
    ]
    assert tables.read(lambda t: t.executions.page(store.ExecutionFilter("other"), 0, 9)) == []


def test_nodes_are_paged_in_the_order_in_which_they_can_run(tables):
    launch(tables, nodes=12)
    first = tables.read(lambda t: t.executions.nodes("x1", store.NodeFilter(), -1, 10))
    assert [row.node for row in first] == [f"n{number}" for number in range(10)]
    assert [
        row.node for row in tables.read(lambda t: t.executions.nodes("x1", store.NodeFilter(), 9, 10))
    ] == ["n10", "n11"]
    node = tables.read(lambda t: t.executions.node("x1", "n11"))
    assert node == store.NodeRow("n11", 11, 1, b"queued")


def test_e3_an_execution_is_leased_to_one_at_a_time(tables):
    launch(tables, "x1")
    launch(tables, "x2")
    claims = tables.write(lambda t: t.leases.claim("one", 1, LEASE_MS))
    assert claims == [store.ClaimRow("x1", 1, 0, b"secret", "p", "dev")]
    assert [claim.execution_id for claim in tables.write(lambda t: t.leases.claim("two", 5, LEASE_MS))] == [
        "x2"
    ]
    assert tables.write(lambda t: t.leases.claim("three", 5, LEASE_MS)) == []


def test_e3_a_lease_that_has_ended_goes_to_the_next_with_a_greater_epoch(tables):
    launch(tables)
    tables.write(lambda t: t.leases.claim("one", 1, -1))
    assert [claim.epoch for claim in tables.write(lambda t: t.leases.claim("two", 1, LEASE_MS))] == [2]
    assert tables.write(lambda t: t.leases.renew("one", [("x1", 1)], LEASE_MS)) == ["x1"]
    assert tables.write(lambda t: t.leases.renew("two", [("x1", 2)], LEASE_MS)) == []
    assert tables.read(lambda t: t.leases.held("one")) == []


def test_e3_only_leases_that_are_named_are_renewed(tables):
    launch(tables, "x1")
    launch(tables, "x2")
    tables.write(lambda t: t.leases.claim("one", 2, -1))
    assert tables.write(lambda t: t.leases.renew("one", [("x1", 1)], LEASE_MS)) == []
    assert [claim.execution_id for claim in tables.write(lambda t: t.leases.claim("two", 5, LEASE_MS))] == [
        "x2"
    ]


def test_released_leases_are_free_at_once(tables):
    launch(tables, "x1")
    launch(tables, "x2")
    tables.write(lambda t: t.leases.claim("embedded-1", 1, LEASE_MS))
    tables.write(lambda t: t.leases.claim("other", 1, LEASE_MS))
    assert tables.write(lambda t: t.leases.release_prefix("embedded-")) == 1
    assert tables.write(lambda t: t.leases.release("other")) == 1
    assert [claim.epoch for claim in tables.write(lambda t: t.leases.claim("new", 5, LEASE_MS))] == [2, 2]


def test_posts_are_numbered_in_order_and_refused_once_the_execution_has_ended(tables):
    launch(tables)
    assert tables.write(lambda t: t.leases.post("x1", b"abort"))
    rows = tables.read(lambda t: t.leases.inbox(["x1", "x9"]))
    assert [(row.sequence, row.event) for row in rows] == [(1, b"started"), (2, b"abort")]
    tables.write(lambda t: t.leases.apply([step(status=ENDED)]))
    assert not tables.write(lambda t: t.leases.post("x1", b"late"))
    assert tables.read(lambda t: t.leases.inbox(["x1"])) == []


def test_numbers_of_consumed_rows_are_not_given_again(tables):
    launch(tables)
    tables.write(lambda t: t.leases.apply([step(consumed=[1])]))
    tables.write(lambda t: t.leases.post("x1", b"next"))
    assert [row.sequence for row in tables.read(lambda t: t.leases.inbox(["x1"]))] == [2]


def test_e2_steps_write_journal_nodes_attempts_and_status(tables):
    launch(tables)
    two = step(
        version=2,
        events=[b"one", b"two"],
        consumed=[1],
        nodes=[store.NodeRow("n1", 1, 0, b"running", phase=2)],
        attempts=[ATTEMPT],
    )
    tables.write(lambda t: t.leases.apply([two]))
    assert tables.read(lambda t: t.executions.events("x1")) == [b"one", b"two"]
    assert tables.read(lambda t: t.executions.changed_nodes("x1", 1, -1, 9)) == [
        store.NodeRow("n1", 1, 2, b"running", phase=2)
    ]
    assert tables.read(lambda t: t.leases.find(["x1"]))["x1"].version == 2
    assert tables.read(lambda t: t.attempts.find("x1", "n0", 1)) == (ATTEMPT, b"secret")
    tables.write(lambda t: t.leases.apply([step(first=2, version=3, status=ENDED)]))
    found = tables.read(lambda t: t.executions.find("x1"))
    assert found is not None
    execution = found[0]
    assert (execution.phase, execution.outputs, execution.error) == (3, b"out", None)
    assert (execution.started_at_us, execution.ended_at_us, execution.revision) == (11, 12, 3)
    assert tables.read(lambda t: t.leases.find(["x1"])) == {}


def test_several_steps_of_several_executions_are_applied_in_order(tables):
    launch(tables, "x1")
    launch(tables, "x2")
    steps = [
        step("x1", nodes=[store.NodeRow("n0", 0, 0, b"first")]),
        step("x2", events=[b"other"]),
        step("x1", first=1, version=2, events=[b"second"], nodes=[store.NodeRow("n0", 0, 0, b"second")]),
    ]
    tables.write(lambda t: t.leases.apply(steps))
    assert tables.read(lambda t: t.executions.events("x1")) == [b"event", b"second"]
    assert tables.read(lambda t: t.executions.events("x2")) == [b"other"]
    assert tables.read(lambda t: t.executions.node("x1", "n0")) == store.NodeRow("n0", 0, 3, b"second")
    assert {
        id_: lease.version for id_, lease in tables.read(lambda t: t.leases.find(["x1", "x2"])).items()
    } == {
        "x1": 2,
        "x2": 1,
    }


def test_an_attempt_that_is_committed_again_stays_as_it_is(tables):
    launch(tables)
    tables.write(lambda t: t.leases.apply([step(attempts=[ATTEMPT])]))
    tables.write(lambda t: t.attempts.admit("x1", "n0", 1, "uid", "executor", 5))
    tables.write(lambda t: t.leases.apply([step(first=1, version=2, attempts=[ATTEMPT])]))
    found = tables.read(lambda t: t.attempts.find("x1", "n0", 1))
    assert found is not None
    assert found[0].runner_uid == "uid"


def test_attempts_are_admitted_and_finished(tables):
    launch(tables)
    attempts = [ATTEMPT, replace(ATTEMPT, attempt=2)]
    tables.write(lambda t: t.leases.apply([step(attempts=attempts)]))
    tables.write(lambda t: t.attempts.admit("x1", "n0", 1, "uid", "executor", 5))
    tables.write(lambda t: t.attempts.finish("x1", "n0", 1, b"outcome", 6))
    found = tables.read(lambda t: t.attempts.find("x1", "n0", 1))
    admitted = replace(ATTEMPT, runner_uid="uid", executor_id="executor", begun_at_us=5)
    expected = replace(admitted, outcome=b"outcome", ended_at_us=6)
    assert found == (expected, b"secret")
    assert tables.read(lambda t: t.attempts.find("x1", "n0", 0)) == (attempts[1], b"secret")
    assert tables.read(lambda t: t.attempts.find("x1", "n1", 0)) is None


def test_c6_the_catalog_keeps_the_latest_entry_of_a_key(tables):
    for entry in (b"old", b"new"):
        tables.write(
            lambda t, entry=entry: t.catalog.put(cache_store.CatalogRow("k", "p", "dev", "m.t", entry))
        )
    tables.write(lambda t: t.catalog.put(cache_store.CatalogRow("k2", "p", "dev", "m.u", b"other")))
    found = tables.read(lambda t: t.catalog.find(["k", "k2", "k3"]))
    assert {key: row.entry for key, row in found.items()} == {"k": b"new", "k2": b"other"}
    page = tables.read(lambda t: t.catalog.page("p", "", "", 0, 1))
    assert [row.key for row in page] == ["k2"]
    assert [row.key for row in tables.read(lambda t: t.catalog.page("p", "", "", page[0].number, 9))] == ["k"]
    assert [row.key for row in tables.read(lambda t: t.catalog.page("p", "dev", "m.t", 0, 9))] == ["k"]


def test_c8_an_entry_that_cannot_be_put_leaves_the_transaction_whole(tables):
    unfit = cache_store.CatalogRow("k", "p", "dev", "m.t", None)  # type: ignore[arg-type]

    def work(transaction: store.Transaction) -> None:
        transaction.entities.insert([entity("a", "v1")])
        with pytest.raises(store.StoreError):
            transaction.catalog.put(unfit)

    tables.write(work)
    assert tables.read(lambda t: t.entities.find(key("a"), "v1")) is not None
    assert tables.read(lambda t: t.catalog.find(["k"])) == {}
