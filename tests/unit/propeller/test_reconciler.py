"""One execution's reconciler, between a journal that keeps the rules of admin and an executor that only notes."""

import asyncio
import dataclasses
import errno
import hmac
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from typedflow_propeller import lease, reconciler

from typedflow import Cache, Retry, errors, hashing, literals, task, workflow
from typedflow.dataplane import objects
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
    propeller_pb2,
)


@task
def plain(n: int) -> int:
    return n


@task(cache=Cache(version="1"))
def cached(n: int) -> int:
    return n


@task(retries=Retry(1))
def retried(n: int) -> int:
    return n


@workflow
def chain(n: int) -> int:
    return plain(n=plain(n=n))


@workflow
def hits(n: int) -> int:
    for _ in range(50):
        n = cached(n=n)
    return n


@workflow
def retrying(n: int) -> int:
    return retried(n=n)


class Executor:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.stopped: list[tuple[str, int]] = []
        self.specs: dict[str, attempt_pb2.AttemptSpec] = {}
        self.tokens: dict[str, str] = {}

    async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        self.started.append((spec.id.node, spec.id.attempt))
        self.specs[spec.id.node] = spec
        self.tokens[spec.id.node] = token

    async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        assert token
        self.stopped.append((spec.id.node, spec.id.attempt))


@dataclasses.dataclass
class Admin:
    """The journal, the inbox and the catalog of one execution: a commit is taken as admin takes it."""

    workflow: Any
    store: Any
    lease: lease.Lease
    executor: Any = dataclasses.field(default_factory=Executor)
    epoch: int = 1
    now: int = 1_000_000
    journal: list[events_pb2.Event] = dataclasses.field(default_factory=list)
    inbox: dict[int, events_pb2.Event] = dataclasses.field(default_factory=dict)
    commits: list[propeller_pb2.ExecutionCommit] = dataclasses.field(default_factory=list)
    status: propeller_pb2.ExecutionStatus = dataclasses.field(default_factory=propeller_pb2.ExecutionStatus)
    nodes: dict[str, executions_pb2.NodeExecution] = dataclasses.field(default_factory=dict)
    has: bool = False  # the catalog, everything
    asked: int = 0
    failing_lookups: int = 0
    held_back: asyncio.Event | None = None  # commits wait for it
    loads: int = 0
    most_commits: int | None = None  # it answers no more than so many

    def now_us(self) -> int:
        return self.now

    async def load(self, execution_id: str):
        assert execution_id
        self.loads += 1
        return self.workflow.compiled, list(self.journal)

    def look_up(self, key: str):
        self.asked += 1
        found = asyncio.get_running_loop().create_future()
        if self.failing_lookups:
            self.failing_lookups -= 1
            found.set_exception(errors.ServerUnreachable("gone"))
        elif self.has:
            outputs = literals.as_map({"o0": literals.from_int(7)})
            entry = catalog_pb2.CatalogEntry(key=key, outputs=outputs, execution_id="before", node="x")
            found.set_result(catalog_pb2.LookupResult(entry=entry))
        else:
            found.set_result(catalog_pb2.LookupResult(reason="absent"))
        return found

    def commit(self, commit: propeller_pb2.ExecutionCommit):
        return asyncio.ensure_future(self._commit(commit))

    async def _commit(self, commit: propeller_pb2.ExecutionCommit):
        if self.held_back is not None:
            await self.held_back.wait()
        if self.most_commits is not None and len(self.commits) >= self.most_commits:
            await asyncio.get_running_loop().create_future()
        if commit.epoch != self.epoch:
            return propeller_pb2.COMMIT_STATUS_FENCED
        if commit.expected_version != len(self.journal):
            return propeller_pb2.COMMIT_STATUS_CONFLICT
        self.commits.append(commit)
        self.journal.extend(commit.events)
        for sequence in commit.consumed:
            del self.inbox[sequence]
        for node in commit.nodes:
            self.nodes[node.id] = node
        if commit.HasField("status"):
            self.status = commit.status
        return propeller_pb2.COMMIT_STATUS_OK


class World:
    """An execution, whoever drives it at the moment, and the clock of its leases."""

    def __init__(self, of: object, folder: str) -> None:
        self.monotonic = 0.0
        held = lease.Lease(lambda: self.monotonic)
        held.begin(10.0)
        self.admin = Admin(of, objects.open_store(folder), held)
        self._sequence = 0
        self.driver: reconciler.Reconciler
        self.running: asyncio.Task[None]

    def drive(self) -> None:
        claim = propeller_pb2.Claim(
            execution_id="e", epoch=self.admin.epoch, version=len(self.admin.journal), attempt_secret=b"s",
            project="p", domain="d",
        )  # fmt: skip
        self.driver = reconciler.Reconciler(claim, self.admin)
        self.running = asyncio.create_task(self.driver.run())
        self.push()

    async def crash(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def push(self) -> None:
        rows = [propeller_pb2.InboxRow(sequence=s, event=e) for s, e in self.admin.inbox.items()]
        self.driver.deliver(rows)

    def post(self, **kind: Any) -> None:
        self._sequence += 1
        self.admin.inbox[self._sequence] = events_pb2.Event(schema=1, **kind)
        self.push()

    def launch(self, **more: Any) -> None:
        inputs = literals.as_map({"n": literals.from_int(1)})
        self.post(execution_started=events_pb2.ExecutionStarted(inputs=inputs, **more))

    def succeed(self, node: str, attempt: int = 1) -> None:
        outputs = literals.as_map({"o0": literals.from_int(7)})
        self.post(attempt_succeeded=events_pb2.AttemptSucceeded(node=node, attempt=attempt, outputs=outputs))

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(10):
            while not true():  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.001)

    @property
    def started(self) -> list[tuple[str, int]]:
        started: list[tuple[str, int]] = self.admin.executor.started
        return started

    def kinds(self) -> list[str | None]:
        return [event.WhichOneof("kind") for event in self.admin.journal]


@pytest.fixture
def tell(tmp_path):
    """Runs a story of a workflow's execution."""

    def run(of: object, story: Callable[[World], Awaitable[None]]) -> None:
        async def whole() -> None:
            world = World(of, str(tmp_path))
            try:
                await story(world)
            finally:
                await world.crash()

        asyncio.run(whole())

    return run


def test_an_execution_goes_from_its_start_to_its_end(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started == [("plain", 1)])
        world.succeed("plain")
        await world.until(lambda: world.started == [("plain", 1), ("plain-2", 1)])
        world.succeed("plain-2")
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED
        assert world.admin.status.outputs.values[0].value.integer == 7
        assert world.admin.inbox == {}
        assert world.admin.nodes["plain-2"].phase == executions_pb2.PHASE_SUCCEEDED

    tell(chain, story)


def test_an_attempts_spec_goes_with_the_commit_that_starts_it(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        (spec,) = world.admin.commits[0].attempts
        assert spec.inputs.values[0].value.integer == 1
        assert spec.task.endswith("plain")
        assert spec.cache_key.startswith("b3:")
        assert spec.manifest.inputs[0].name == "n"
        assert (spec.project, spec.domain) == ("p", "d")
        assert world.admin.executor.tokens["plain"] == hmac.new(b"s", b"e/plain/1", "sha256").hexdigest()

    tell(chain, story)


def test_nothing_is_performed_before_it_is_persisted(tell):
    async def story(world: World) -> None:
        world.admin.held_back = asyncio.Event()
        world.drive()
        world.launch()
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.started == []
        world.admin.held_back.set()
        await world.until(lambda: world.started == [("plain", 1)])

    tell(chain, story)


def test_e3_whoever_takes_over_starts_again_what_is_pending_and_nothing_else(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.succeed("plain")
        await world.until(lambda: len(world.started) == 2)
        await world.crash()
        world.started.clear()
        world.drive()
        await world.until(lambda: world.started == [("plain-2", 1)])
        world.succeed("plain-2")
        await world.running
        assert world.kinds().count("attempt_succeeded") == 2

    tell(chain, story)


def test_e3_an_action_whose_commit_was_lost_is_done_after_the_next_load(tell):
    async def story(world: World) -> None:
        world.admin.held_back = asyncio.Event()
        world.drive()
        world.launch()
        await asyncio.sleep(0)
        await world.crash()
        world.admin.held_back = None
        world.drive()
        await world.until(lambda: world.started == [("plain", 1)])
        assert world.kinds() == ["execution_started"]

    tell(chain, story)


def test_a_row_that_comes_again_and_again_is_one_event(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        row = propeller_pb2.InboxRow(sequence=1, event=world.admin.inbox[1])
        for _ in range(5):
            world.driver.deliver([row])
            await asyncio.sleep(0)
        await world.until(lambda: world.started)
        world.driver.deliver([row])
        world.succeed("plain")
        await world.until(lambda: len(world.started) == 2)
        assert world.kinds() == ["execution_started", "attempt_succeeded"]

    tell(chain, story)


def test_an_event_that_changes_nothing_is_consumed_but_not_kept(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.succeed("plain", attempt=9)
        await world.until(lambda: not world.admin.inbox)
        assert world.kinds() == ["execution_started"]

    tell(chain, story)


def test_a_conflict_is_answered_by_loading_again(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        # Somebody with the same epoch was quicker: our answer was lost, the commit was not.
        outputs = literals.as_map({"o0": literals.from_int(7)})
        succeeded = events_pb2.AttemptSucceeded(node="plain", attempt=1, outputs=outputs)
        world.admin.journal.append(events_pb2.Event(schema=1, time_us=2_000_000, attempt_succeeded=succeeded))
        world.post(attempt_started=events_pb2.AttemptStarted(node="plain", attempt=1))
        await world.until(lambda: world.started == [("plain", 1), ("plain-2", 1)])
        assert world.admin.loads == 2
        await world.until(lambda: not world.admin.inbox)

    tell(chain, story)


def test_e3_a_fenced_execution_is_dropped(tell):
    async def story(world: World) -> None:
        world.drive()
        world.admin.epoch = 2
        world.launch()
        await world.running
        assert world.started == []
        assert world.admin.journal == []

    tell(chain, story)


def test_times_of_events_never_go_back(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.admin.now = 5
        world.succeed("plain")
        await world.until(lambda: len(world.started) == 2)
        assert [event.time_us for event in world.admin.journal] == [1_000_000, 1_000_000]

    tell(chain, story)


def test_nothing_is_performed_after_half_a_lease_without_an_answer(tell):
    async def story(world: World) -> None:
        world.drive()
        world.monotonic = 5.0
        world.admin.lease.sent()
        world.launch()
        await world.until(lambda: world.admin.journal)
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.started == []
        world.admin.lease.answered()
        await world.until(lambda: world.started == [("plain", 1)])

    tell(chain, story)


def test_a_chain_of_hits_is_a_commit_or_two(tell):
    async def story(world: World) -> None:
        world.admin.has = True
        world.drive()
        world.launch()
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED
        assert world.admin.asked == 50
        assert len(world.admin.journal) == 51
        assert len(world.admin.commits) <= 3
        assert world.admin.nodes["cached-50"].producer_execution_id == "before"

    tell(hits, story)


def test_c11_overwritten_nodes_are_not_looked_up(tell):
    async def story(world: World) -> None:
        world.admin.has = True
        world.drive()
        world.launch(overwrite_cache=["*"])
        await world.until(lambda: world.started == [("cached", 1)])
        assert world.admin.asked == 0
        await world.until(lambda: "cached" in world.admin.nodes)
        assert world.admin.nodes["cached"].cache_reason == "overwrite"

    tell(hits, story)


def test_a_catalog_that_does_not_answer_is_asked_again(tell):
    async def story(world: World) -> None:
        world.admin.failing_lookups = 2
        world.drive()
        world.launch()
        await world.until(lambda: world.started == [("cached", 1)])
        assert world.admin.asked == 3

    tell(hits, story)


def test_e5_a_failed_attempt_is_tried_again(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        error = errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, code="ValueError", node="retried")
        world.post(attempt_failed=events_pb2.AttemptFailed(node="retried", attempt=1, error=error))
        await world.until(lambda: world.started == [("retried", 1), ("retried", 2)])
        world.post(attempt_failed=events_pb2.AttemptFailed(node="retried", attempt=2, error=error))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_FAILED
        assert world.admin.status.error.code == "ValueError"

    tell(retrying, story)


def test_e12_an_abort_stops_what_runs(tell):
    async def story(world: World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.post(abort_requested=events_pb2.AbortRequested(principal="me", reason="enough"))
        await world.until(lambda: world.admin.executor.stopped == [("plain", 1)])
        world.post(attempt_stopped=events_pb2.AttemptStopped(node="plain", attempt=1))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_ABORTED

    tell(chain, story)


@pytest.mark.slow
def test_an_input_that_is_gone_fails_the_node_and_not_the_reconciler(tell, tmp_path):
    @task
    def wide(n: int) -> list[int]:
        return [n]

    @workflow
    def indexed(n: int) -> int:
        return plain(n=wide(n=n)[3])

    async def story(world: World) -> None:
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


class Broken:
    """A store whose disk has gone; the threads that asked it are noted."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked_in: list[threading.Thread] = []

    def read_bytes(self, blob: literals_pb2.Blob) -> bytes:
        assert blob.uri
        self.asked_in.append(threading.current_thread())
        raise self.error


@task
def listed(n: int) -> list[int]:
    return [n]


@workflow
def cached_part(n: int) -> int:
    return cached(n=listed(n=n)[3])


def give_offloaded(world: World) -> None:
    gone = literals_pb2.Offloaded(
        content="b3:" + "0" * 64,
        blob=literals_pb2.Blob(uri="file:///nowhere", digest="b3:" + "0" * 64, size=9),
    )
    outputs = literals.as_map({"o0": literals_pb2.Literal(offloaded=gone)})
    world.post(attempt_succeeded=events_pb2.AttemptSucceeded(node="listed", attempt=1, outputs=outputs))


def test_a_store_that_can_not_be_read_loses_no_question_and_is_asked_in_a_thread(tell):
    async def story(world: World) -> None:
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
    async def story(world: World) -> None:
        world.admin.store = Broken(ZeroDivisionError("a defect"))
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        give_offloaded(world)
        async with asyncio.timeout(5):
            with pytest.raises(ZeroDivisionError, match="a defect"):
                await world.running

    tell(cached_part, story)


def test_small_values_take_no_thread(tell, monkeypatch):
    async def no_thread(*_: object) -> None:
        raise AssertionError("a thread")

    async def story(world: World) -> None:
        world.admin.has = True
        world.drive()
        world.launch()
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED

    monkeypatch.setattr(asyncio, "to_thread", no_thread)
    tell(hits, story)


def test_an_attempt_with_a_large_input_that_is_aborted_at_once_is_started_before_it_is_stopped(tell):
    async def story(world: World) -> None:
        told: list[str] = []

        class Ordered(Executor):
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
        await world.until(lambda: len(told) == 601)
        assert told.index("start measured") < told.index("stop measured")

    tell(wide, story)


MESSAGE_BYTES = 5 * 1024 * 1024
"""What no commit of these tests exceeds: much less than gRPC's limit."""


@task
def text(n: int) -> str:
    return str(n)


@task
def measured(text: str) -> int:
    return len(text)


@workflow
def wide(n: int) -> None:
    given = text(n=n)
    for _ in range(300):
        measured(text=given)


def gives(world: World, node: str, size: int) -> None:
    outputs = literals.as_map({"o0": literals.from_str("x" * size)})
    world.post(attempt_succeeded=events_pb2.AttemptSucceeded(node=node, attempt=1, outputs=outputs))


def test_attempts_that_are_too_many_for_a_message_are_written_in_parts_before_any_is_started(tell):
    async def story(world: World) -> None:
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
    async def story(world: World) -> None:
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
    async def story(world: World) -> None:
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

    async def story(world: World) -> None:
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

    async def story(world: World) -> None:
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
