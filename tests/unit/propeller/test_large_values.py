"""What does not fit: into a message, into a row, into the time that an event loop has."""

import asyncio
import errno
import threading

import pytest
from typedflow_propeller import errands

from tests.unit.propeller import worlds
from typedflow import Cache, hashing, literals, task, workflow
from typedflow.dataplane import objects
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
)

MESSAGE_BYTES = 5 * 1024 * 1024
"""What no commit of these tests exceeds: much less than gRPC's limit."""


@task
def plain(n: int) -> int:
    return n


@task(cache=Cache(version="1"))
def cached(n: int) -> int:
    return n


@task
def listed(n: int) -> list[int]:
    return [n]


@task
def text(n: int) -> str:
    return str(n)


@task
def measured(text: str) -> int:
    return len(text)


@workflow
def cached_part(n: int) -> int:
    return cached(n=listed(n=n)[3])


@workflow
def wide(n: int) -> None:
    given = text(n=n)
    for _ in range(300):
        measured(text=given)


def gives(world: worlds.World, node: str, size: int) -> None:
    outputs = literals.as_map({"o0": literals.from_str("x" * size)})
    world.post(attempt_succeeded=events_pb2.AttemptSucceeded(node=node, attempt=1, outputs=outputs))


class Broken:
    """A store whose disk has gone; the threads that asked it are noted."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked_in: list[threading.Thread] = []

    def read_bytes(self, blob: literals_pb2.Blob) -> bytes:
        assert blob.uri
        self.asked_in.append(threading.current_thread())
        raise self.error


def give_offloaded(world: worlds.World) -> None:
    gone = literals_pb2.Offloaded(
        content="b3:" + "0" * 64,
        blob=literals_pb2.Blob(uri="file:///nowhere", digest="b3:" + "0" * 64, size=9),
    )
    outputs = literals.as_map({"o0": literals_pb2.Literal(offloaded=gone)})
    world.post(attempt_succeeded=events_pb2.AttemptSucceeded(node="listed", attempt=1, outputs=outputs))


@pytest.mark.slow
def test_an_input_that_is_gone_fails_the_node_and_not_the_reconciler(tell, tmp_path):
    @task
    def wide(n: int) -> list[int]:
        return [n]

    @workflow
    def indexed(n: int) -> int:
        return plain(n=wide(n=n)[3])

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        gone = literals_pb2.Offloaded(
            content="b3:" + "0" * 64,
            blob=literals_pb2.Blob(
                uri=f"file://{tmp_path}/b3/00/{'0' * 62}", digest="b3:" + "0" * 64, size=9
            ),
        )
        outputs = literals.as_map({"o0": literals_pb2.Literal(offloaded=gone)})
        world.post(attempt_succeeded=events_pb2.AttemptSucceeded(node="wide", attempt=1, outputs=outputs))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_FAILED
        assert world.admin.status.error.code == "ObjectMissing"
        assert world.started == [("wide", 1)]

    tell(indexed, story)


def test_a_store_that_can_not_be_read_loses_no_question_and_is_asked_in_a_thread(tell, monkeypatch):
    monkeypatch.setattr(errands, "PATIENCE_S", 0.0)

    async def story(world: worlds.World) -> None:
        world.admin.store = broken = Broken(OSError(errno.EIO, "I/O error"))
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        give_offloaded(world)
        await world.until(lambda: "attempt_failed" in world.kinds())
        checked = next(each.cache_checked for each in world.admin.journal if each.HasField("cache_checked"))
        assert (checked.status, checked.reason) == (catalog_pb2.CACHE_STATUS_MISS, "inputs: StorageError")
        failed = next(each.attempt_failed for each in world.admin.journal if each.HasField("attempt_failed"))
        assert (failed.error.kind, failed.error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "StorageError")
        assert world.started == [("listed", 1)]
        assert len(broken.asked_in) == 2
        assert threading.main_thread() not in broken.asked_in

    tell(cached_part, story)


def test_what_no_question_should_end_with_ends_the_drive_and_is_not_lost(tell):
    async def story(world: worlds.World) -> None:
        world.admin.store = Broken(ZeroDivisionError("a defect"))
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        give_offloaded(world)
        async with asyncio.timeout(5):
            with pytest.raises(ZeroDivisionError, match="a defect"):
                await world.running

    tell(cached_part, story)


def test_an_attempt_with_a_large_input_that_is_aborted_at_once_is_never_started_after_its_stop(tell):
    async def story(world: worlds.World) -> None:
        told: list[str] = []

        class Ordered(worlds.Executor):
            async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
                told.append(f"start {spec.id.node}")
                await super().start(spec, token)

            async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
                told.append(f"stop {spec.id.node}")
                await super().stop(spec, token)

        world.admin.executor = Ordered()
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        gives(world, "text", 1_000_000)
        world.post(abort_requested=events_pb2.AbortRequested(principal="me"))
        await world.until(lambda: len(world.admin.executor.stopped) == 300)
        for number in range(1, 301):
            node = "measured" if number == 1 else f"measured-{number}"
            assert told[-1] != f"start {node}"
            assert (node, 1) in world.admin.attempts  # without a row nobody can say that it has stopped
            if f"start {node}" in told:
                assert told.index(f"start {node}") < told.index(f"stop {node}")

    tell(wide, story)


def test_attempts_that_are_too_many_for_a_message_are_written_in_parts_before_any_is_started(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        gives(world, "text", 60_000)
        await world.until(lambda: len(world.started) == 301)
        commits = world.admin.commits[1:]
        assert len(commits) > 3
        assert max(commit.ByteSize() for commit in commits) < MESSAGE_BYTES
        assert sum(len(commit.attempts) for commit in commits) == 300
        assert [len(commit.events) for commit in commits][:2] == [1, 0]

    tell(wide, story)


def test_e3_whoever_takes_over_between_the_parts_of_a_commit_writes_the_rest(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.admin.most_commits = 2  # then admin is silent
        gives(world, "text", 60_000)
        await world.until(lambda: len(world.admin.commits) == 2)
        assert world.kinds()[-1] == "attempt_succeeded"
        assert world.started == [("text", 1)]
        await world.crash()
        world.admin.most_commits = None
        world.drive()
        await world.until(lambda: len(world.started) == 301)
        written = {spec.id.node for commit in world.admin.commits for spec in commit.attempts}
        assert written == {node for node, _ in world.started}

    tell(wide, story)


def test_a_large_input_of_many_nodes_is_stored_once(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        gives(world, "text", 1_000_000)
        await world.until(lambda: len(world.started) == 301)
        assert sum(commit.ByteSize() for commit in world.admin.commits) < MESSAGE_BYTES
        specs = world.admin.executor.specs
        blobs = {spec.inputs.values[0].value.offloaded.blob.digest for spec in specs.values()} - {""}
        assert len(blobs) == 1
        inline = hashing.of_literal(literals.from_str("x" * 1_000_000))
        assert specs["measured"].manifest.inputs[0].value == inline

    tell(wide, story)


def test_e3_the_end_of_an_execution_is_written_last_also_by_whoever_takes_over(tell):
    @workflow
    def many(n: int) -> None:
        before = text(n=n)
        for _ in range(6_000):
            measured(text=before)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.admin.most_commits = 2
        error = errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, message="m" * 3_500_000)
        world.post(attempt_failed=events_pb2.AttemptFailed(node="text", attempt=1, error=error))
        await world.until(lambda: len(world.admin.commits) == 2)
        assert world.admin.status.phase == executions_pb2.PHASE_RUNNING
        await world.crash()
        world.admin.most_commits = None
        world.drive()
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_FAILED
        assert len(world.admin.nodes) == 6_001
        assert {node.phase for node in world.admin.nodes.values()} == {
            executions_pb2.PHASE_FAILED,
            executions_pb2.PHASE_SKIPPED,
        }
        assert max(commit.ByteSize() for commit in world.admin.commits) < MESSAGE_BYTES * 2

    tell(many, story)


def test_large_outputs_of_an_execution_are_offloaded(tell):
    @workflow
    def both(n: int) -> tuple[str, str]:
        return text(n=n), text(n=n)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: len(world.started) == 2)
        gives(world, "text", 700_000)
        gives(world, "text-2", 600_000)
        await world.running
        first, second = world.admin.status.outputs.values
        assert first.value.HasField("offloaded")
        assert second.value.HasField("string")

    tell(both, story)


def test_e3_a_store_that_is_away_for_a_minute_costs_a_minute_and_no_attempt(tell_virtually):
    async def story(world: worlds.World) -> None:
        store = world.admin.store
        world.admin.store = Away(store, until=asyncio.get_running_loop().time() + 60)
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        gives(world, "text", 1_000_000)
        await world.until(lambda: len(world.started) == 301, within=100)
        assert asyncio.get_running_loop().time() > world.admin.store.until
        assert "attempt_failed" not in world.kinds()
        assert {spec.id.attempt for spec in world.admin.executor.specs.values()} == {1}

    tell_virtually(wide, story)


class Away:
    """A store that refuses for some time."""

    def __init__(self, store: objects.ObjectStore, until: float) -> None:
        self.until = until
        self._store = store

    def put_bytes(self, data: bytes) -> literals_pb2.Blob:
        if asyncio.get_running_loop().time() < self.until:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self._store.put_bytes(data)
