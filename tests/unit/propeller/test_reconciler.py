"""One execution's driver: in which order what happens is applied, committed and performed, whoever drives."""

import asyncio
import hmac

import pytest

from tests.unit.propeller import worlds
from typedflow import Retry, literals, task, workflow
from typedflow.pb import attempt_pb2, errors_pb2, events_pb2, executions_pb2, propeller_pb2


@task
def plain(n: int) -> int:
    return n


@task(retries=Retry(1))
def retried(n: int) -> int:
    return n


@workflow
def chain(n: int) -> int:
    return plain(n=plain(n=n))


@workflow
def retrying(n: int) -> int:
    return retried(n=n)


def test_an_execution_goes_from_its_start_to_its_end(tell):
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.succeed("plain", attempt=9)
        await world.until(lambda: not world.admin.inbox)
        assert world.kinds() == ["execution_started"]

    tell(chain, story)


def test_a_conflict_is_answered_by_loading_again(tell):
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
        world.drive()
        world.admin.epoch = 2
        world.launch()
        await world.running
        assert world.started == []
        assert world.admin.journal == []

    tell(chain, story)


def test_times_of_events_never_go_back(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.admin.now = 5
        world.succeed("plain")
        await world.until(lambda: len(world.started) == 2)
        first, second = (event.time_us for event in world.admin.journal)
        assert 1_000_000 <= first <= second

    tell(chain, story)


def test_nothing_is_performed_after_half_a_lease_without_an_answer(tell):
    async def story(world: worlds.World) -> None:
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


def test_e5_a_failed_attempt_is_tried_again(tell):
    async def story(world: worlds.World) -> None:
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
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: world.started)
        world.post(abort_requested=events_pb2.AbortRequested(principal="me", reason="enough"))
        await world.until(lambda: world.admin.executor.stopped == [("plain", 1)])
        world.post(attempt_stopped=events_pb2.AttemptStopped(node="plain", attempt=1))
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_ABORTED

    tell(chain, story)


def test_e12_an_attempt_whose_row_was_never_written_has_one_before_it_is_stopped(tell):
    async def story(world: worlds.World) -> None:
        # Of a commit in parts only the events were written; then its propeller was gone.
        inputs = literals.as_map({"n": literals.from_int(1)})
        started = events_pb2.ExecutionStarted(inputs=inputs)
        world.admin.journal += [
            events_pb2.Event(schema=1, time_us=1, execution_started=started),
            events_pb2.Event(schema=1, time_us=2, abort_requested=events_pb2.AbortRequested(principal="me")),
        ]
        world.drive()
        await world.until(lambda: world.admin.executor.stopped == [("plain", 1)])
        assert world.admin.attempts["plain", 1].task.endswith("plain")
        assert world.started == []

    tell(chain, story)


def test_an_executor_that_refuses_loses_nothing_for_the_next_claim(tell):
    async def story(world: worlds.World) -> None:
        class Refusing(worlds.Executor):
            async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
                raise OSError(f"no space left on device for {spec.id.node} {bool(token)}")

        world.admin.executor = Refusing()
        world.drive()
        world.launch()
        with pytest.raises(OSError, match="no space"):
            await world.running
        world.admin.executor = worlds.Executor()
        world.drive()
        await world.until(lambda: world.started == [("plain", 1)])
        assert world.kinds() == ["execution_started"]

    tell(chain, story)
