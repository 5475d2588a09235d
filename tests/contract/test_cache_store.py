"""What the cache and garbage collection need of a database, on each implementation: their rooms, with nothing faked."""

import pytest
from typedflow_admin import cache_store, explanation

from tests.unit.admin.cache_world import FAILED, FILE, HOUR_US, World, file_of, task
from typedflow import literals
from typedflow.pb import catalog_pb2


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request, tmp_path):
    url = request.getfixturevalue("postgres_server").new_database() if request.param == "postgres" else ""
    made_ = World(tmp_path, url=url)
    made_.launch("x1")
    made_.launch("x2")
    yield made_
    made_.close()


def x(value: int):
    return literals.as_map({"x": literals.from_int(value)})


def test_c7_holders_are_granted_lost_and_released(world):
    assert not world.one("x1", serialize=True).wait
    assert world.one("x2", serialize=True).holder_execution_id == "x1"
    world.lapse("x1")
    assert not world.one("x2", serialize=True).wait
    spec = world.spec("x2", serialize=True)
    world.start(spec)
    world.finish(spec, FAILED)
    world.revive("x1")
    assert not world.one("x1", serialize=True).wait
    world.end("x1")
    assert world.one("x2", serialize=True).reason == "absent"
    world.make("x2", "b", serialize=True)
    assert world.inbox("x2")[-1].cache_reason == "fenced"


def test_entries_are_stored_compared_used_and_removed(world):
    first = world.make("x1", inputs=x(1))
    second = world.make("x1", "b", inputs=x(2))
    near = world.read(lambda transaction: transaction.catalog.near("p", "d", "m.inc", 1))
    assert [row.manifest for row in near] == [second.manifest.SerializeToString(deterministic=True)]
    world.write(lambda transaction: transaction.catalog.used([(first.cache_key, 7), (first.cache_key, 8)]))
    assert (world.entry(first.cache_key).hits, world.entry(first.cache_key).last_hit_at_us) == (2, 8)
    world.launch("x3")
    again = world.make("x3", inputs=x(1))
    assert world.entry(again.cache_key).number > world.entry(second.cache_key).number
    side = explanation.Side(world.spec("x", inputs=x(3)).manifest, x(3), world.task.interface)
    assert world.run(world.explanations.reasons([side])) == ["input x 1 -> 3"]
    wanted = cache_store.CatalogFilter(keys=(first.cache_key, second.cache_key), before_us=world.now + 1)
    keys = world.read(lambda transaction: transaction.catalog.keys(wanted))
    assert set(keys) == {first.cache_key, second.cache_key}
    world.write(lambda transaction: transaction.catalog.remove(keys))
    assert world.entry(first.cache_key) is None


def test_c10_counts_are_added_up(world):
    world.make("x1")
    row = cache_store.CountRow("x1", "m.inc", 5, hits=1, wall_seconds=1.5)
    for _ in range(2):
        world.write(lambda transaction: transaction.counts.add([row]))
    (found,) = world.run(world.statistics.get(catalog_pb2.GetStatsRequest())).stats
    assert (found.hits, found.misses, found.saved.wall_seconds, found.entries) == (2, 0, 3.0, 1)


def test_d5_objects_are_condemned_revived_and_removed(world):
    world.task = task(output=FILE)
    blobs = [world.objects.put_bytes(name) for name in (b"kept", b"revived", b"waste")]
    world.make("x1", outputs=file_of(blobs[0]))
    assert world.collect().condemned_objects == 2
    world.now += 2 * HOUR_US
    world.make("x2", outputs=file_of(blobs[1]))
    assert world.collect().removed_objects == 1
    assert world.objects.exists(blobs) == [True, True, False]
    world.end("x1")
    world.launch("child", parent="x1")
    world.end("child")
    world.now += 2 * HOUR_US
    assert world.collect(older_than_ms=3_600_000).executions == 2
