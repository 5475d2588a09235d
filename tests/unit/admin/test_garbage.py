"""Garbage collection removes what nothing refers to, and never anything else."""

import asyncio
import itertools
import random

import pytest
from sqlalchemy import LargeBinary
from typedflow_admin import garbage, references, sql_objects, store, tables

from tests.unit.admin.cache_world import FAILED, FILE, HOUR_US, World, file_of, made, task
from typedflow import errors, literal_types, literals
from typedflow.dataplane import addresses, digests, offload
from typedflow.pb import (
    attempt_pb2,
    data_pb2,
    events_pb2,
    literals_pb2,
    workflows_pb2,
)


@pytest.fixture
def world(tmp_path):
    made_ = World(tmp_path)
    made_.task = task(output=FILE)
    made_.launch("x1")
    yield made_
    made_.close()


def removed(world: World, **request) -> int:
    """Collects twice, the grace period apart; says how many objects went."""
    world.collect(**request)
    world.now += 2 * HOUR_US
    return world.collect(**request).removed_objects


def there(world: World, *blobs: literals_pb2.Blob) -> list[bool]:
    return world.objects.exists(blobs)


def test_d5_an_object_goes_in_a_later_call_when_its_grace_is_over(world):
    blob = world.objects.put_bytes(b"waste")
    first = world.collect()
    assert (first.condemned_objects, first.condemned_bytes, first.removed_objects) == (1, 5, 0)
    world.now += HOUR_US
    assert world.collect().removed_objects == 0
    assert there(world, blob) == [True]
    world.now += 1
    last = world.collect()
    assert (last.condemned_objects, last.removed_objects, last.removed_bytes) == (0, 1, 5)
    assert there(world, blob) == [False]
    assert world.collect().removed_objects == 0


def test_d5_a_dry_run_says_what_would_go_and_changes_nothing(world):
    blob = world.objects.put_bytes(b"waste")
    for _ in range(2):
        assert world.collect(dry_run=True).condemned_objects == 1
        world.now += 2 * HOUR_US
    assert there(world, blob) == [True]
    world.collect()
    world.now += 2 * HOUR_US
    assert world.collect(dry_run=True).removed_objects == 1
    assert there(world, blob) == [True]
    world.end("x1")
    world.now += 10 * HOUR_US
    said = world.collect(dry_run=True, older_than_ms=1000)
    assert said.executions == 1
    assert world.read(lambda transaction: transaction.executions.row("x1")) is not None
    assert world.collect(older_than_ms=1000).executions == 1


# Each of these refers to an object from another place of the database.


def in_a_launch(world, value):
    world.launch("y", inputs=literals.as_map({"x": value}))


def in_the_outputs_of_an_execution(world, value):
    world.end("x1")
    with world.database.engine.begin() as connection:
        outputs = literals.as_map({"o0": value}).SerializeToString()
        connection.execute(tables.executions.update().values(outputs=outputs))


def in_an_inbox(world, value):
    event = events_pb2.Event(schema=1)
    event.signal_received.value.CopyFrom(value)
    world.write(lambda transaction: transaction.leases.post("x1", event.SerializeToString()))


def in_a_journal(world, value):
    event = events_pb2.Event(schema=1)
    event.cache_checked.outputs.CopyFrom(literals.as_map({"o0": value}))
    with world.database.engine.begin() as connection:
        row = {"execution_id": "x1", "position": 0, "event": event.SerializeToString()}
        connection.execute(tables.events.insert(), row)


def in_a_node(world, value):
    world.show("x1", id="a", outputs=literals.as_map({"o0": value}))


def in_the_report_of_a_node(world, value):
    world.show("x1", id="a", deck=value.file.blob)


def in_an_attempt(world, value):
    world.start(world.spec("x1", inputs=literals.as_map({"x": value})))


def in_a_checkpoint(world, value):
    spec = world.spec("x1")
    world.start(spec)
    world.finish(spec, attempt_pb2.Outcome(stopped=attempt_pb2.Stopped(), checkpoint=value))


def in_an_entry(world, value):
    world.make("x1", outputs=value)
    world.write(lambda transaction: transaction.objects.forget_executions(["x1"]))


def in_the_report_of_an_entry(world, value):
    spec = world.spec("x1")
    world.start(spec)
    outcome = made(file_of(literals_pb2.Blob(uri="s3://b/k")))
    outcome.deck.CopyFrom(value.file.blob)
    world.finish(spec, outcome)
    world.write(lambda transaction: transaction.objects.forget_executions(["x1"]))


def in_what_a_dynamic_task_said(world, value):
    graph = workflows_pb2.CompiledWorkflow()
    node = graph.workflow.nodes.add(id="n")
    node.inputs.add(variable="x").value.literal.CopyFrom(value)
    world.write(
        lambda transaction: transaction.executions.put_expansion("x1", "a", graph.SerializeToString())
    )


def in_a_template(world, value):
    world.task.interface.inputs[0].default.CopyFrom(value)
    world.launch("y")


def in_a_bundle(world, value):
    row = store.BundleRow("b3:bundle", value.file.blob.SerializeToString(), 1, "")
    world.write(lambda transaction: transaction.entities.insert_bundle(row))


def in_an_offloaded_list(world, value):
    whole = literals.from_list(literals.pack([value]))
    in_a_node(world, offload.offload(whole, world.objects, limit=0))


def in_a_stream_of_offloaded_lists(world, value):
    inner = offload.offload(literals.from_list(literals.pack([value])), world.objects, limit=0)
    chunk = literals.pack([inner]).SerializeToString()
    blob = world.objects.put_bytes(len(chunk).to_bytes(8, "little") + chunk)
    in_a_node(world, literals_pb2.Literal(stream=literals_pb2.Stream(blob=blob, length=1)))


PLACES = [
    in_a_launch, in_the_outputs_of_an_execution, in_an_inbox, in_a_journal, in_a_node, in_the_report_of_a_node,
    in_an_attempt, in_a_checkpoint, in_an_entry, in_the_report_of_an_entry, in_what_a_dynamic_task_said, in_a_template,
    in_a_bundle, in_an_offloaded_list, in_a_stream_of_offloaded_lists,
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_d5_what_is_referred_to_stays(world, place):
    waste, kept = world.objects.put_bytes(b"waste"), world.objects.put_bytes(b"kept")
    place(world, file_of(kept))
    for _ in range(3):
        removed(world)
    assert there(world, waste, kept)[1]
    if place is not in_an_attempt:  # that one runs, and may have put anything there
        assert there(world, waste) == [False]


def test_d5_every_column_of_messages_is_looked_into():
    known = {place.column for place in sql_objects.PLACES} | {
        tables.entities.c.template,  # by kind, in `messages`
        tables.launches.c.secret,
        # Parts of entries that are looked into as a whole.
        tables.catalog.c.manifest,
        tables.catalog.c.shown,
    }
    every = {
        column
        for table in tables.metadata.tables.values()
        for column in table.columns
        if isinstance(column.type, LargeBinary)
    }
    assert {str(column) for column in every - known} == set()


# Retention


def old(world, *names: str) -> None:
    for name in names:
        world.end(name)
    world.now += 100 * HOUR_US


def executions(world) -> list[str]:
    rows = world.read(lambda transaction: transaction.executions.page(store.ExecutionFilter(), 0, 100))
    return sorted(row.id for row, _ in rows)


def test_d5_executions_that_ended_long_ago_go_with_everything_that_is_theirs(world):
    blob = world.objects.put_bytes(b"output")
    spec = world.spec("x1")
    spec.options.cache.enabled = False
    world.start(spec)
    world.finish(spec, made(file_of(blob)))
    old(world, "x1")
    world.launch("x2")
    assert world.collect(older_than_ms=200 * 3_600_000).executions == 0
    assert world.collect(older_than_ms=50 * 3_600_000).executions == 1
    assert executions(world) == ["x2"]
    with world.database.engine.begin() as connection:
        for table in (tables.launches, tables.nodes, tables.attempts, tables.events):
            rows = connection.execute(table.select()).all()
            assert {row.execution_id for row in rows} <= {"x2"}
    world.now += 2 * HOUR_US
    assert world.collect().removed_objects == 1


def test_d5_what_an_execution_launched_goes_with_it_and_not_before(world):
    world.launch("child", parent="x1")
    world.launch("grandchild", parent="child")
    old(world, "child", "grandchild")
    assert world.collect(older_than_ms=3_600_000).executions == 0
    world.end("x1")
    assert world.collect(older_than_ms=3_600_000).executions == 0
    old(world)
    assert world.collect(older_than_ms=3_600_000).executions == 3
    assert executions(world) == []


def test_d5_nothing_goes_while_something_it_launched_runs(world):
    world.launch("child", parent="x1")
    old(world, "x1")
    assert world.collect(older_than_ms=3_600_000).executions == 0


def test_d5_what_is_being_recovered_stays_until_that_has_ended(world):
    old(world, "x1")
    world.launch("x2", recovered_from="x1")
    assert world.collect(older_than_ms=3_600_000).executions == 0
    old(world, "x2")
    assert world.collect(older_than_ms=3_600_000).executions == 2


def test_d5_only_those_of_the_project_go(world):
    old(world, "x1")
    assert world.collect(older_than_ms=3_600_000, project="q").executions == 0
    assert world.collect(older_than_ms=3_600_000, project="p", domain="d").executions == 1


def test_d5_entries_go_that_were_neither_made_nor_used_since(world):
    world.task = task()
    world.make("x1")
    other = literals.as_map({"x": literals.from_int(2)})
    world.make("x1", "b", inputs=other)
    world.now += 100 * HOUR_US
    used = world.key(inputs=other)
    world.write(lambda transaction: transaction.catalog.used([(used, world.now)]))
    assert world.collect(older_than_ms=3_600_000).entries == 1
    assert world.entry() is None
    assert world.entry(used) is not None


# Races


def test_d5_whoever_refers_to_a_condemned_object_revives_it(world):
    blob = world.objects.put_bytes(b"again")
    world.collect()
    in_a_node(world, file_of(blob))
    assert world.read(lambda transaction: transaction.objects.find([blob.digest])) == []
    assert removed(world) == 0


def test_d5_what_is_only_inside_of_what_an_attempt_gives_is_revived_too(world):
    inner = world.objects.put_bytes(b"inner")
    world.collect()
    world.task = task(output=literal_types.list_of(FILE))
    value = offload.offload(literals.from_list(literals.pack([file_of(inner)])), world.objects, limit=0)
    world.make("x1", outputs=value)
    assert world.read(lambda transaction: transaction.objects.find([inner.digest])) == []


def test_d5_what_an_attempt_put_stays_while_it_runs_however_long(world):
    spec = world.spec("x1")
    world.start(spec)
    checkpoint = world.objects.put_bytes(b"checkpoint")
    for _ in range(3):
        world.now += 100 * HOUR_US
        assert world.collect().removed_objects == 0
    outcome = attempt_pb2.Outcome(stopped=attempt_pb2.Stopped(), checkpoint=file_of(checkpoint))
    world.finish(spec, outcome)
    assert removed(world) == 0


def gone(world: World, content: bytes) -> literals_pb2.Blob:
    """An object that was removed."""
    blob = world.objects.put_bytes(content)
    assert removed(world) == 1
    return blob


def test_d5_who_refers_to_what_was_removed_is_asked_for_it_again(world):
    blob = gone(world, b"gone")
    spec = world.spec("x1")
    world.start(spec)
    with pytest.raises(errors.IntegrityError) as refused:
        world.finish(spec, made(file_of(blob)))
    assert refused.value.code == "ObjectsGone"
    assert world.inbox("x1")[1:] == []
    world.objects.put_bytes(b"gone")
    world.finish(spec, made(file_of(blob)))
    assert removed(world) == 0
    assert there(world, blob) == [True]


def test_d5_a_failure_counts_though_its_checkpoint_is_gone(world):
    blob = gone(world, b"gone")
    spec = world.spec("x1")
    world.start(spec)
    outcome = attempt_pb2.Outcome(error=FAILED.error, checkpoint=file_of(blob))
    world.finish(spec, outcome)
    failed = world.inbox("x1")[-1]
    assert failed.error.code == "E"
    assert not failed.HasField("checkpoint")


def test_d5_a_removal_that_a_crash_cut_short_is_ended_by_whoever_comes_next(world):
    blobs = [world.objects.put_bytes(name) for name in (b"one", b"two")]
    world.collect()
    world.write(
        lambda transaction: transaction.objects.begin_removal([blob.digest for blob in blobs], world.now)
    )
    with pytest.raises(errors.IntegrityError):
        in_a_node(world, file_of(blobs[0]))
    assert there(world, *blobs) == [False, True]
    world.collect()
    assert there(world, *blobs) == [False, False]
    assert world.read(lambda transaction: transaction.objects.leftover()) == []
    world.objects.put_bytes(b"one")
    in_a_node(world, file_of(blobs[0]))


def test_d5_only_one_collects_at_a_time(world):
    async def both() -> None:
        first = world.garbage.collect(data_pb2.CollectGarbageRequest())
        await anext(first)
        with pytest.raises(errors.StateConflict, match="already"):
            await anext(world.garbage.collect(data_pb2.CollectGarbageRequest()))
        await first.aclose()
        async for _ in world.garbage.collect(data_pb2.CollectGarbageRequest()):
            pass

    asyncio.run(both())


def test_d5_what_was_removed_is_forgotten_when_nobody_can_have_it_in_mind(world):
    blob = gone(world, b"gone")
    rows = lambda: world.read(lambda transaction: transaction.objects.find([blob.digest]))  # noqa: E731
    assert len(rows()) == 1
    world.now += 2 * HOUR_US
    world.collect()
    assert rows() == []


class Stepped:
    """A store that lets somebody else do something before and after each of a collector's transactions."""

    def __init__(self, real, between) -> None:
        self._real, self._between = real, between

    async def read(self, work):
        await self._between()
        result = await self._real.read(work)
        await self._between()
        return result

    async def write(self, work):
        await self._between()
        result = await self._real.write(work)
        await self._between()
        return result


STEPS = 15  # before and after each transaction and removal of a collection; the last is after its end


@pytest.mark.parametrize(
    "put_at", [pytest.param(step, marks=[] if step == 9 else pytest.mark.slow) for step in range(STEPS)]
)
def test_d5_a_commit_is_safe_wherever_a_collection_is(tmp_path, put_at):
    """The object is put at one step of a collection that removes it, and committed at the same or a later one."""
    for commit_at in range(put_at, STEPS):
        folder = tmp_path / str(commit_at)
        folder.mkdir()
        world = World(folder)
        world.task = task(output=FILE)
        world.launch("x1")
        world.objects.put_bytes(b"content")
        world.collect()
        world.now += 2 * HOUR_US
        spec = world.spec("x1")
        try:
            accepted = asyncio.run(interleave(world, spec, put_at, commit_at))
            blob = content()
            if not accepted:  # then it is asked for again
                world.objects.put_bytes(b"content")
                world.finish(spec, made(file_of(blob)))
            assert there(world, blob) == [True], (put_at, commit_at)
            for _ in range(3):
                world.now += 2 * HOUR_US
                world.collect()
            assert there(world, blob) == [True], (put_at, commit_at)
        finally:
            world.close()


def content() -> literals_pb2.Blob:
    """What was put at some step of the collection."""
    return addresses.blob(digests.of_bytes(b"content"), 7)


async def is_accepted(world, spec, blob: literals_pb2.Blob) -> bool:
    """Whether a success with this file is; it may be refused because that is gone, for no other reason."""
    try:
        await world.attempts.finish(world.finishing(spec, made(file_of(blob))))
    except errors.IntegrityError as error:
        if error.code != garbage.GONE:
            raise
        return False
    return True


async def interleave(world, spec, put_at: int, commit_at: int) -> bool:
    """Collects while an attempt puts an object and commits it; says whether that was accepted."""
    step, finishing = itertools.count(), []

    async def commit() -> bool:
        return await is_accepted(world, spec, content())

    async def between() -> None:
        number = next(step)
        if number == put_at:
            world.objects.put_bytes(b"content")
        if number == commit_at:
            finishing.append(asyncio.create_task(commit()))
            # It may have to wait for the removal that is under way.
            await asyncio.wait(finishing, timeout=0.02)

    # Begun now: an attempt that ran when the object was condemned would keep it from being removed at all.
    await asyncio.to_thread(world.start, spec)
    collector = garbage.Garbage(
        Stepped(world.tables, between), world.objects, world.contents, 3600, world.clock
    )
    world.garbage._removing = collector._removing
    real = world.objects.delete

    def delete(digests) -> None:
        asyncio.run_coroutine_threadsafe(between(), loop).result()
        real(digests)
        asyncio.run_coroutine_threadsafe(between(), loop).result()

    loop = asyncio.get_running_loop()
    world.objects.delete = delete
    try:
        async for _ in collector.collect(data_pb2.CollectGarbageRequest()):
            pass
    finally:
        world.objects.delete = real
    while not finishing:
        await between()
    return await finishing[0]


def test_d5_many_who_make_and_forget_while_it_is_collected_lose_nothing(tmp_path):
    """Real threads on a real database, without a grace period: what was accepted is there."""
    world = World(tmp_path, grace_s=0)
    world.task = task(output=FILE)
    ticks = itertools.count(world.now)
    world.garbage._clock_us = world.attempts._clock_us = lambda: next(ticks)
    lost, accepted, refused = [], [], []

    async def work(number: int) -> None:
        chance = random.Random(number)
        for turn in range(25):
            name = f"y{number}-{turn}"
            await asyncio.to_thread(world.launch, name)
            spec = world.spec(name)
            spec.options.cache.enabled = False
            await asyncio.to_thread(world.start, spec)
            blob = await asyncio.to_thread(world.objects.put_bytes, str(chance.randrange(4)).encode())
            if not await is_accepted(world, spec, blob):
                refused.append(name)
                continue
            accepted.append(name)
            if not world.objects.exists([blob])[0]:
                lost.append(name)
            if chance.random() < 0.9:
                await asyncio.to_thread(forget, name)

    def forget(name: str) -> None:
        world.write(lambda transaction: transaction.objects.forget_executions([name]))

    async def collect() -> int:
        total = 0
        while len(accepted) + len(refused) < 75:
            async for said in world.garbage.collect(data_pb2.CollectGarbageRequest()):
                total += said.removed_objects if said.stage == "done" else 0
        return total

    async def all_of() -> int:
        total, _ = await asyncio.gather(collect(), asyncio.gather(*map(work, range(3))))
        return total

    assert asyncio.run(all_of()) > 0
    assert lost == []
    assert len(accepted) > len(refused)
    used = world.read(lambda transaction: list(transaction.objects.messages([], [])))
    blobs = [found.blob for message in used for found in references.of(message)]
    assert blobs
    assert all(world.objects.exists(blobs))
    world.close()
