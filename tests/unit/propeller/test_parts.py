"""Nodes that are many: maps and dynamic tasks; places under wider caps; values that are stored elsewhere."""

from tests.unit.propeller import worlds
from typedflow import (
    Cache,
    conditional,
    dynamic,
    hashing,
    literals,
    map_task,
    task,
    workflow,
)
from typedflow.dataplane import objects, offload
from typedflow.pb import (
    events_pb2,
    executions_pb2,
    literals_pb2,
)


@task
def plain(n: int) -> int:
    return n


@task(cache=Cache(version="1"))
def scored(n: int, by: str) -> int:
    return n + len(by)


@task
def numbers(n: int) -> list[int]:
    return list(range(n))


@task
def word(n: int) -> str:
    return str(n)


@workflow
def mapped(values: list[int]) -> list[int]:
    return map_task(plain)(n=values)


@workflow
def scores(values: list[int], by: str) -> list[int]:
    return map_task(scored)(n=values, by=by)


def integers(values: list[int]) -> literals_pb2.Literal:
    return literals_pb2.Literal(list=literals_pb2.List(integers=literals_pb2.Integers(values=values)))


def given(values: list[int], **others: literals_pb2.Literal) -> literals_pb2.LiteralMap:
    return literals.as_map({"values": integers(values), **others})


# Maps


def test_e9_each_slot_is_an_attempt_of_its_own_and_the_maps_row_is_written_once_in_a_commit(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given([5, 6, 7]))
        await world.until(lambda: len(world.started) == 3)
        assert world.started == [("plain[0]", 1), ("plain[1]", 1), ("plain[2]", 1)]
        specs = world.admin.executor.specs
        assert [specs[f"plain[{i}]"].inputs.values[0].value.integer for i in range(3)] == [5, 6, 7]
        for i in (2, 0, 1):
            world.succeed(f"plain[{i}]", value=literals.from_int(10 + i))
        await world.running
        assert list(world.admin.status.outputs.values[0].value.list.integers.values) == [10, 11, 12]
        row = world.admin.nodes["plain[1]"]
        assert (row.parent, row.slot) == ("plain", 1)
        assert world.admin.nodes["plain"].slots.succeeded == 3
        for commit in world.admin.commits:
            names = [node.id for node in commit.nodes]
            assert len(names) == len(set(names))

    tell(mapped, story)


def test_c1_the_keys_of_slots_are_those_of_single_calls(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given([5, 6, 5], by=literals.from_str("x")))
        await world.until(lambda: len(world.started) == 3)
        keys = {question.node: question.key for question in world.admin.questions}
        graph_task = scores.compiled.tasks[0]
        for slot, n in enumerate([5, 6, 5]):
            single = literals.as_map({"n": literals.from_int(n), "by": literals.from_str("x")})
            manifest = hashing.manifest(graph_task, graph_task.options, single)
            spec = world.admin.attempts[f"scored[{slot}]", 1]
            assert keys[f"scored[{slot}]"] == hashing.key(manifest) == spec.cache_key
            assert spec.manifest == manifest
        assert keys["scored[0]"] == keys["scored[2]"] != keys["scored[1]"]

    tell(scores, story)


def test_a_large_input_that_all_slots_are_given_is_hashed_and_stored_once(tell):
    async def story(world: worlds.World) -> None:
        world.admin.store = counted = Counted(world.admin.store)
        world.drive()
        world.launch(inputs=given(list(range(500)), by=literals.from_str("x" * 900_000)))
        await world.until(lambda: len(world.started) == 500)
        assert counted.puts == 1
        specs = world.admin.executor.specs.values()
        assert {spec.inputs.values[1].value.offloaded.content for spec in specs} == {
            hashing.of_literal(literals.from_str("x" * 900_000))
        }
        assert sum(commit.ByteSize() for commit in world.admin.commits[1:]) < 5_000_000

    tell(scores, story)


def test_a_list_that_is_stored_elsewhere_is_read_for_all_slots_and_not_for_each(tell):
    async def story(world: worlds.World) -> None:
        world.admin.store = counted = Counted(world.admin.store)
        stored = offload.offload(integers(list(range(700))), world.admin.store, limit=0)
        world.drive()
        values = literals.as_map({"values": stored, "by": literals.from_str("x")})
        world.launch(inputs=values)
        await world.until(lambda: len(world.started) == 700)
        assert counted.reads <= 2  # how many there are, and what they are
        assert world.admin.executor.specs["scored[699]"].inputs.values[0].value.integer == 699
        assert "node_resolved" in world.kinds()

    tell(scores, story)


def test_what_a_map_gives_is_in_no_row_when_it_is_large(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given(list(range(3))))
        await world.until(lambda: len(world.started) == 3)
        for i in range(3):
            text = literals.from_str(f"{i}" * 600_000)
            world.succeed(f"word[{i}]", value=text)
        await world.running
        row = world.admin.nodes["word"]
        assert row.outputs.values[0].value.HasField("offloaded")
        whole = offload.load(row.outputs.values[0].value, world.admin.store)
        assert [len(each) for each in whole.list.strings.values] == [600_000] * 3
        assert world.admin.status.outputs.values[0].value.offloaded == row.outputs.values[0].value.offloaded
        assert max(commit.ByteSize() for commit in world.admin.commits) < 5_000_000

    @workflow
    def words(values: list[int]) -> list[str]:
        return map_task(word)(n=values)

    tell(words, story)


def test_a_conflict_in_the_middle_of_a_map_runs_no_slot_again_that_has_ended(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given(list(range(4))))
        await world.until(lambda: len(world.started) == 4)
        world.succeed("plain[0]")
        await world.until(lambda: "attempt_succeeded" in world.kinds())
        # Our answer was lost, the commit was not.
        outputs = literals.as_map({"o0": literals.from_int(7)})
        succeeded = events_pb2.AttemptSucceeded(node="plain[1]", attempt=1, outputs=outputs)
        last = world.admin.journal[-1].time_us
        world.admin.journal.append(events_pb2.Event(schema=1, time_us=last, attempt_succeeded=succeeded))
        world.started.clear()
        world.succeed("plain[2]")
        await world.until(lambda: world.admin.loads == 2)
        await world.until(lambda: {node for node, _ in world.started} >= {"plain[3]"})
        assert not {"plain[0]", "plain[1]"} & {node for node, _ in world.started}
        world.succeed("plain[3]")
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED
        assert world.kinds().count("attempt_succeeded") == 4

    tell(mapped, story)


def test_e3_slots_whose_commit_was_made_and_not_performed_are_started_by_whoever_takes_over(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.monotonic = 6.0  # half a lease is over: nothing is performed
        world.launch(inputs=given(list(range(3))))
        await world.until(lambda: len(world.admin.attempts) == 3)
        assert world.started == []
        await world.crash()
        world.monotonic = 0.0
        world.drive()
        await world.until(lambda: len(world.started) == 3)
        assert world.kinds() == ["execution_started"]

    tell(mapped, story)


class Counted:
    """A store that counts what is asked of it."""

    def __init__(self, store: objects.ObjectStore) -> None:
        self._store = store
        self.reads = self.puts = 0

    def read_bytes(self, blob: literals_pb2.Blob) -> bytes:
        self.reads += 1
        return self._store.read_bytes(blob)

    def put_bytes(self, data: bytes) -> literals_pb2.Blob:
        self.puts += 1
        return self._store.put_bytes(data)


# Places under caps that are wider than the execution


def test_e13_an_attempt_starts_when_its_place_is_granted_and_asks_again_after_a_crash(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given([1, 2]), capped=True)
        await world.until(lambda: world.admin.places == [("plain[0]", 1), ("plain[1]", 1)])
        assert world.started == []
        world.post(place_granted=events_pb2.PlaceGranted(node="plain[1]", attempt=1))
        await world.until(lambda: world.started == [("plain[1]", 1)])
        await world.crash()
        world.admin.places.clear()
        world.drive()
        await world.until(lambda: world.admin.places == [("plain[0]", 1)])
        world.post(place_granted=events_pb2.PlaceGranted(node="plain[0]", attempt=1))
        await world.until(lambda: ("plain[0]", 1) in world.started)

    tell(mapped, story)


def test_e12_an_attempt_that_waits_for_its_place_has_a_row_before_it_is_stopped(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(inputs=given([1]), capped=True)
        await world.until(lambda: world.admin.places)
        world.post(abort_requested=events_pb2.AbortRequested(principal="me"))
        await world.until(lambda: world.running.done() or world.admin.executor.stopped == [("plain[0]", 1)])
        if not world.running.done():
            assert ("plain[0]", 1) in world.admin.attempts
            world.post(attempt_stopped=events_pb2.AttemptStopped(node="plain[0]", attempt=1))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_ABORTED
        assert world.started == []

    tell(mapped, story)


# Values that the engine can't have


@workflow
def chosen(n: int) -> int:
    found = numbers(n=n)
    return conditional("many").if_(found[0] == 3).then(plain(n=1)).else_().then(plain(n=2))


@workflow
def part(n: int) -> int:
    return numbers(n=n)[2]


def test_e8_a_conditional_over_a_value_that_is_stored_elsewhere_is_decided_from_the_store(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        stored = offload.offload(integers([3, 4]), world.admin.store, limit=0)
        world.succeed("numbers", value=stored)
        await world.until(lambda: len(world.started) == 2)
        assert world.started[1] == ("many.plain", 1)
        assert world.kinds().count("node_resolved") >= 1

    tell(chosen, story)


def test_an_output_of_the_execution_may_be_a_part_of_a_value_that_is_stored_elsewhere(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.succeed("numbers", value=offload.offload(integers([3, 4, 5]), world.admin.store, limit=0))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED
        assert world.admin.status.outputs.values[0].value.integer == 5

    tell(part, story)


def test_a_value_that_is_gone_fails_what_is_made_of_it_and_names_why(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        stored = offload.offload(integers([3, 4, 5]), world.admin.store, limit=0)
        digest = "b3:" + "0" * 64
        stored.offloaded.blob.uri = stored.offloaded.blob.uri.replace(
            stored.offloaded.blob.digest[5:], digest[5:]
        ).replace(f"/{stored.offloaded.blob.digest[3:5]}/", "/00/")
        stored.offloaded.blob.digest = digest
        world.succeed("numbers", value=stored)
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_FAILED
        assert world.admin.status.error.code == "ObjectMissing"

    tell(part, story)


# Dynamic tasks


@workflow
def inner() -> int:
    return plain(n=plain(n=3))


def expanded(world: worlds.World, node: str) -> None:
    graph = inner.compiled
    world.post(attempt_expanded=events_pb2.AttemptExpanded(node=node, attempt=1, graph=graph))


def test_e10_the_graph_of_a_dynamic_task_runs_and_the_cache_is_told_what_it_gave(tell):

    @dynamic(cache=Cache(version="1"))
    def grown(n: int) -> int:
        return plain(n=n)

    @workflow
    def whole(n: int) -> int:
        return grown(n=n)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started == [("grown", 1)])
        assert world.admin.attempts["grown", 1].dynamic
        expanded(world, "grown")
        await world.until(lambda: len(world.started) == 2)
        assert world.started[1] == ("grown.plain", 1)
        await world.crash()  # between
        world.started.clear()
        world.drive()
        await world.until(lambda: world.started == [("grown.plain", 1)])
        world.succeed("grown.plain")
        await world.until(lambda: len(world.started) == 2)
        world.succeed("grown.plain-2", value=literals.from_int(9))
        await world.running
        assert world.admin.status.outputs.values[0].value.integer == 9
        (given_in_the_end,) = world.admin.dynamic_outputs
        assert (given_in_the_end.node, given_in_the_end.attempt) == ("grown", 1)
        assert given_in_the_end.outputs.values[0].value.integer == 9
        assert world.admin.nodes["grown.plain"].parent == "grown"

    tell(whole, story)


def test_c8_what_an_uncached_dynamic_task_gave_is_not_for_the_cache(tell):

    @dynamic
    def grown(n: int) -> int:
        return plain(n=n)

    @workflow
    def whole(n: int) -> int:
        return grown(n=n)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        expanded(world, "grown")
        for node in "grown.plain", "grown.plain-2":
            await world.until(lambda: (node, 1) in world.started)  # noqa: B023 - awaited here
            world.succeed(node)
        await world.running
        assert world.admin.dynamic_outputs == []

    tell(whole, story)


def test_e3_rows_that_a_commit_in_parts_did_not_come_to_are_written_by_who_takes_over(tell):
    async def story(world: worlds.World) -> None:
        # The events were written; with the rows, which say the same again, they were too much for one commit.
        started = events_pb2.ExecutionStarted(inputs=given(list(range(4))))
        events = [events_pb2.Event(execution_started=started)]
        for slot in range(3):
            outputs = literals.as_map({"o0": literals.from_str(str(slot) * 1_000_000)})
            succeeded = events_pb2.AttemptSucceeded(node=f"word[{slot}]", attempt=1, outputs=outputs)
            events.append(events_pb2.Event(attempt_succeeded=succeeded))
        for number, event in enumerate(events, 1):
            event.schema, event.time_us = 1, number
        world.admin.journal += events
        world.drive()
        await world.until(lambda: world.started == [("word[3]", 1)])
        world.succeed("word[3]", value=literals.from_str("3"))
        await world.running
        rows = [world.admin.nodes[f"word[{slot}]"] for slot in range(4)]
        assert [row.phase for row in rows] == [executions_pb2.PHASE_SUCCEEDED] * 4

    @workflow
    def words(values: list[int]) -> list[str]:
        return map_task(word)(n=values)

    tell(words, story)
