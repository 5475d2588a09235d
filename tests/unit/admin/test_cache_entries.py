"""What the cache has is listed, counted, forgotten, and shown without what is Sensitive."""

import pytest

from tests.unit.admin.cache_world import FILE, HOUR_US, World, file_of, made, task, the_output
from typedflow import errors, literal_types, literals
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, propeller_pb2

HIT, MISS = catalog_pb2.CACHE_STATUS_HIT, catalog_pb2.CACHE_STATUS_MISS


@pytest.fixture
def world(tmp_path):
    made_ = World(tmp_path)
    made_.launch("x1")
    yield made_
    made_.close()


def x(value: int):
    return literals.as_map({"x": literals.from_int(value)})


def commit(world: World, id_: str, *checked: events_pb2.CacheChecked) -> int:
    """What the cache said, written into the journal; gives the commit's status."""
    lease = world.read(lambda transaction: transaction.leases.find([id_]))[id_]
    events = [events_pb2.Event(schema=1, cache_checked=each) for each in checked]
    nodes = [executions_pb2.NodeExecution(id=each.node, task="m.inc") for each in checked]
    part = propeller_pb2.ExecutionCommit(
        execution_id=id_, epoch=lease.epoch, expected_version=lease.version, events=events, nodes=nodes
    )
    result = world.run(world.commits.commit("me", propeller_pb2.Commit(id=1, executions=[part])))
    return result.executions[0].status


def hit(node: str, key: str = "", **usage: float) -> events_pb2.CacheChecked:
    return events_pb2.CacheChecked(node=node, status=HIT, key=key, saved=catalog_pb2.Usage(**usage))


def stats(world: World, **request) -> catalog_pb2.GetStatsResponse:
    return world.run(world.statistics.get(catalog_pb2.GetStatsRequest(**request)))


def entries(world: World, **request) -> list[catalog_pb2.CatalogEntry]:
    return list(world.run(world.catalog.page(catalog_pb2.ListEntriesRequest(**request))).entries)


def evict(world: World, **request) -> int:
    return world.run(world.catalog.evict(catalog_pb2.EvictRequest(**request)))


def test_c10_hits_credit_what_the_producing_attempts_took(world):
    world.launch("x2", plan="m.nightly")
    miss = events_pb2.CacheChecked(node="b", status=MISS)
    assert commit(world, "x1", hit("a", wall_seconds=1, cpu_seconds=2, gpu_seconds=4), miss) == 1
    commit(world, "x1", hit("a", wall_seconds=10, cpu_seconds=20, gpu_seconds=40))
    commit(world, "x2", hit("a", wall_seconds=100))
    world.make("x1")
    found = stats(world)
    by_plan = {each.launch_plan: each for each in found.stats}
    assert by_plan["m.wf"].saved == catalog_pb2.Usage(wall_seconds=11, cpu_seconds=22, gpu_seconds=44)
    assert (by_plan["m.wf"].hits, by_plan["m.wf"].misses, by_plan["m.wf"].entries) == (2, 1, 1)
    assert by_plan["m.nightly"].saved.wall_seconds == 100
    assert [each.launch_plan for each in found.stats] == ["m.wf", "m.nightly"]  # GPUs first
    assert (found.total.hits, found.total.misses, found.total.saved.wall_seconds) == (3, 1, 111)


def test_c10_counts_are_of_what_is_asked_for(world):
    commit(world, "x1", hit("a", wall_seconds=1))
    world.now += 10 * HOUR_US
    commit(world, "x1", hit("a", wall_seconds=2))
    assert stats(world, since_us=world.now).total.hits == 1
    assert stats(world, task="m.inc", project="p", domain="d", launch_plan="m.wf").total.hits == 2
    for other in ({"task": "m.other"}, {"project": "q"}, {"domain": "e"}, {"launch_plan": "m.other"}):
        assert stats(world, **other).stats == []


def test_c10_what_is_recovered_or_refused_is_no_hit(world):
    recovered = hit("a")
    recovered.recovered = True
    commit(
        world, "x1", recovered, events_pb2.CacheChecked(node="b", status=catalog_pb2.CACHE_STATUS_DISABLED)
    )
    part = propeller_pb2.ExecutionCommit(
        execution_id="x1",
        epoch=99,
        events=[events_pb2.Event(schema=1, cache_checked=hit("a"))],
        nodes=[executions_pb2.NodeExecution(id="a", task="m.inc")],
    )
    world.run(world.commits.commit("me", propeller_pb2.Commit(id=1, executions=[part])))
    assert stats(world).total.hits == 0


def test_entries_are_listed_newest_first_with_how_they_were_used(world):
    blob = world.objects.put_bytes(b"12345")
    world.task = task(output=FILE)
    world.make("x1", outputs=file_of(blob))
    world.now += 5
    second = world.make("x1", "b", inputs=x(2), outputs=file_of(blob))
    commit(world, "x1", hit("a", second.cache_key), hit("b", second.cache_key))
    newest, oldest = entries(world)
    assert (newest.key, newest.hits, newest.size) == (second.cache_key, 2, 5)
    assert newest.last_hit_at_us == world.now
    assert (oldest.hits, oldest.last_hit_at_us) == (0, 0)
    assert not newest.HasField("outputs")
    assert entries(world, task="m.other") == []


def test_an_entry_that_is_made_anew_is_the_newest_and_has_the_report_of_its_attempt(world):
    world.make("x1")
    world.make("x1", "b", inputs=x(2))
    world.launch("x2")
    spec = world.spec("x2")
    world.start(spec)
    outcome = made()
    outcome.deck.CopyFrom(world.objects.put_bytes(b"<html>"))
    world.finish(spec, outcome)
    newest, _ = entries(world)
    assert (newest.execution_id, newest.deck) == ("x2", outcome.deck)
    assert world.one("x1").entry.deck == outcome.deck


def test_c11_entries_are_evicted_by_task_key_and_age(world):
    keys = [world.make("x1", node, inputs=x(n)).cache_key for n, node in enumerate("ab")]
    world.now += 3 * HOUR_US
    world.launch("x2")
    keys += [world.make("x2", node, inputs=x(n)).cache_key for n, node in enumerate("ab", 2)]
    assert evict(world, task="m.inc", dry_run=True) == 4
    assert evict(world, older_than_ms=3_600_000, dry_run=True) == 2
    assert evict(world, task="m.inc", keys=[keys[3], "b3:none"], older_than_ms=3_600_000) == 0
    assert evict(world, keys=keys[3:]) == 1
    assert evict(world, task="m.other") == 0
    assert evict(world, task="m.inc", project="q") == 0
    assert evict(world, older_than_ms=3_600_000) == 2
    assert [each.key for each in entries(world)] == [keys[2]]


def test_c11_everything_is_not_evicted_by_accident(world):
    with pytest.raises(errors.UsageError, match="everything"):
        evict(world, project="p")


def test_what_is_sensitive_leaves_no_catalog(world):
    """A propeller gets it, for the nodes that take it; nobody else does."""
    world.task = task(output=literal_types.sensitive(literal_types.INT))
    spec = world.make("x1", outputs=literals.from_int(42_424_242))
    (found,) = world.run(world.catalog.lookup([spec.cache_key]))
    assert "42424242" not in str(found)
    assert [each.name for each in found.entry.outputs.values] == ["o0"]
    assert the_output(world.one("x1", "b").entry).integer == 42_424_242
