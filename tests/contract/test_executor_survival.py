"""Attempts outlive their executor, and end whole when they are to: nothing runs twice, nothing is left behind."""

import asyncio
import os
import signal

import pytest

from tests.contract.worlds import World, abandoned, alive, gone, key_of, until, zombies
from typedflow import errors
from typedflow.pb import attempt_pb2, errors_pb2, literals_pb2, propeller_pb2


def test_e12_a_stopped_attempt_is_asked_then_killed_with_all_its_processes(world):
    async def story(world: World) -> None:
        spec = world.spec("stubborn")
        await world.executor.start(spec, "t")
        pids = await world.mark("stubborn")
        await world.executor.stop(spec, "t")
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        for pid in pids:
            await gone(pid)

    world(story)


def test_an_attempt_that_was_never_started_can_be_stopped(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        await world.executor.stop(spec, "t")
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        await world.executor.start(spec, "t")
        await asyncio.gather(*world.executor._drivers)
        assert not world.marks.exists()

    world(story)


def test_a_queued_attempt_can_be_stopped(world):
    async def story(world: World) -> None:
        world.executor = world.new_executor(slots=1)
        await world.executor.start(world.spec("waits"), "t")
        await world.mark("waits")
        spec = world.spec("double")
        await world.executor.start(spec, "t")
        await world.executor.stop(spec, "t")
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        assert key_of(spec.id) not in world.admin.begun  # nor is it said that it began
        world.release()

    world(story)


def test_what_an_attempt_leaves_running_ends_with_it(world):
    async def story(world: World) -> None:
        outcome = await world.run(world.spec("leaves_a_child"))
        await gone(outcome.outputs.values[0].value.integer)

    world(story)


def test_e3_a_living_attempt_is_adopted_and_never_started_beside(world):
    async def story(world: World) -> None:
        spec = world.spec("waits", 5)
        await world.executor.start(spec, "t")
        (pid,) = await world.mark("waits")
        abandoned(world.executor)
        world.executor = world.new_executor()
        await world.executor.recover()
        await world.executor.start(spec, "t")
        assert alive(pid)
        world.release()
        assert (await world.admin.outcome(spec.id)).outputs.values[0].value.integer == 5
        assert len(world.lines()) == 1

    world(story)


def test_e3_an_adopted_attempt_can_be_stopped(world):
    async def story(world: World) -> None:
        spec = world.spec("stubborn", 5)
        await world.executor.start(spec, "t")
        pids = await world.mark("stubborn")
        abandoned(world.executor)
        world.executor = world.new_executor()
        await world.executor.recover()
        await world.executor.stop(spec, "t")
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        for pid in pids:
            await gone(pid)

    world(story)


def test_e3_an_attempt_that_ended_meanwhile_is_told(world):
    async def story(world: World) -> None:
        done, lost = world.spec("waits", 5), world.spec("stubborn")
        await world.executor.start(done, "t")
        await world.executor.start(lost, "t")
        (done_pid,) = await world.mark("waits")
        lost_pid, _ = await world.mark("stubborn")
        abandoned(world.executor)
        world.release()
        os.killpg(lost_pid, signal.SIGKILL)
        await gone(done_pid)
        await gone(lost_pid)
        world.executor = world.new_executor()
        await world.executor.recover()
        assert (await world.admin.outcome(done.id)).outputs.values[0].value.integer == 5
        error = (await world.admin.outcome(lost.id)).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "WorkerLost")

    world(story)


def test_e3_a_runner_that_had_no_go_ahead_is_started_again_as_the_same(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        world.executor._launcher._linux = True
        world.admin.reachable = False
        await world.executor.start(spec, "t")
        folder = world.home / "attempts" / "e1" / "double-1"
        await until(folder.exists)
        abandoned(world.executor)
        world.admin.reachable = True
        world.executor = world.new_executor()
        await world.executor.recover()
        assert (await world.run(spec)).HasField("outputs")
        assert len(world.lines()) == 1

    world(story)


def test_a_graceful_stop_ends_attempts_and_costs_the_user_nothing(world):
    async def story(world: World) -> None:
        spec = world.spec("waits")
        await world.executor.start(spec, "t")
        (pid,) = await world.mark("waits")
        await world.executor.close()
        assert not alive(pid)
        error = world.admin.finished[key_of(spec.id)].outcome.error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "ServerStopped")

    world(story)


def test_a_runner_that_is_not_admitted_leaves_no_process_that_waits_and_no_folder(world):
    async def story(world: World) -> None:
        await world.run(world.spec("double"))
        template = next(iter(world.executor._launcher._templates.values()))
        refused = world.spec("double", attempt=2)
        await world.admin.has_ended_elsewhere(refused.id)
        await world.executor.start(refused, "token")
        await until(lambda: len(world.executor._attempts) == 0)
        await until(lambda: template.is_idle)
        assert [each.name for each in (world.home / "attempts" / "e1").iterdir()] == ["double-1"]

    world(story)


def test_a_runner_that_is_not_admitted_runs_nothing(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        await world.admin.has_ended_elsewhere(spec.id)
        await world.executor.start(spec, "t")
        await asyncio.gather(*world.executor._drivers)
        assert not world.marks.exists()
        await until(lambda: not zombies())

    world(story)


@pytest.mark.parametrize("stopped", [False, True])
def test_e3_an_attempt_of_an_executor_that_is_gone_is_given_up_and_runs_nothing(world, stopped):
    async def story(world: World) -> None:
        spec = world.spec("double")
        begun = attempt_pb2.BeginRequest(id=spec.id, runner_uid="another", executor_id="elsewhere")
        await world.admin.begin(begun)
        await (world.executor.stop if stopped else world.executor.start)(spec, "t")
        async with asyncio.timeout(30), world.admin.changed:
            await world.admin.changed.wait()  # it was told that the other one is there
        assert not world.admin.finished
        if stopped:
            await world.executor.stop(spec, "t")
        world.admin.gone.add("elsewhere")
        outcome = await world.admin.outcome(spec.id)
        assert outcome.HasField("stopped") == stopped
        assert (outcome.error.kind, outcome.error.code) == (
            (errors_pb2.ERROR_KIND_UNSPECIFIED, "")
            if stopped
            else (errors_pb2.ERROR_KIND_SYSTEM, "WorkerLost")
        )
        await asyncio.gather(*world.executor._drivers)
        assert not world.marks.exists()
        assert not any((world.home / "attempts").glob("*/*"))

    world(story)


def test_e3_what_another_executor_says_of_its_attempt_is_waited_for(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        begun = attempt_pb2.BeginRequest(id=spec.id, runner_uid="another", executor_id="elsewhere")
        await world.admin.begin(begun)
        await world.executor.start(spec, "t")
        async with asyncio.timeout(30), world.admin.changed:
            await world.admin.changed.wait()
        outputs = attempt_pb2.Outcome(outputs=literals_pb2.LiteralMap())
        said = attempt_pb2.FinishRequest(id=spec.id, runner_uid="another", outcome=outputs)
        await world.admin.finish(said)
        await asyncio.gather(*world.executor._drivers)
        assert world.admin.finished[key_of(spec.id)] == said
        assert not world.marks.exists()

    world(story)


def asked_after(
    spec: attempt_pb2.AttemptSpec, uid: str, *, stop: bool = False
) -> propeller_pb2.AttemptInquiry:
    return propeller_pb2.AttemptInquiry(attempt=spec.id, token="t", runner_uid=uid, stop=stop)


@pytest.mark.parametrize("stop", [False, True])
def test_e3_an_attempt_that_an_executor_has_and_does_not_know_is_lost_or_stopped(world, stop):
    async def story(world: World) -> None:
        spec = world.spec("double")
        begun = attempt_pb2.BeginRequest(id=spec.id, runner_uid="mine", executor_id=world.executor.id)
        await world.admin.begin(begun)
        for _ in range(2):
            await world.executor.inquire(asked_after(spec, "mine", stop=stop))
        outcome = await world.admin.outcome(spec.id)
        assert outcome.HasField("stopped") == stop
        assert outcome.error.code == ("" if stop else "WorkerLost")
        said = world.admin.finished[key_of(spec.id)]
        assert (said.runner_uid, said.token) == ("mine", "t")
        await asyncio.gather(*world.executor._drivers)
        assert not world.marks.exists()
        assert not any((world.home / "attempts").glob("*/*"))

    world(story)


def test_e3_an_attempt_that_is_asked_after_goes_on(world):
    async def story(world: World) -> None:
        spec = world.spec("waits", 5)
        await world.executor.start(spec, "t")
        await world.mark("waits")
        uid = world.admin.begun[key_of(spec.id)].runner_uid
        await world.executor.inquire(asked_after(spec, uid))
        world.release()
        assert (await world.admin.outcome(spec.id)).outputs.values[0].value.integer == 5
        await asyncio.gather(*world.executor._drivers)
        said = world.admin.finished[key_of(spec.id)]
        await world.executor.inquire(asked_after(spec, uid, stop=True))  # it comes too late
        await asyncio.gather(*world.executor._drivers)
        assert world.admin.finished[key_of(spec.id)] == said
        assert await world.log(spec.id) == b""

    world(story)


def test_e12_an_attempt_is_stopped_for_a_propeller_elsewhere(world):
    async def story(world: World) -> None:
        spec = world.spec("stubborn")
        await world.executor.start(spec, "t")
        pids = await world.mark("stubborn")
        uid = world.admin.begun[key_of(spec.id)].runner_uid
        await world.executor.inquire(asked_after(spec, uid, stop=True))
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        for pid in pids:
            await gone(pid)

    world(story)


async def admitted_and_not_started(world: World, spec: attempt_pb2.AttemptSpec) -> None:
    world.admin.bundles = asyncio.Event()
    await world.executor.start(spec, "t")
    await until(lambda: world.executor._attempts[("e1", spec.id.node, 1)].admitted)


def test_e3_an_attempt_that_was_dropped_before_it_began_is_lost_when_it_is_asked_after(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        await admitted_and_not_started(world, spec)
        uid = world.admin.begun[key_of(spec.id)].runner_uid
        abandoned(world.executor)
        world.executor = world.new_executor()
        await world.executor.recover()
        assert not world.admin.finished
        await world.executor.inquire(asked_after(spec, uid))
        assert (await world.admin.outcome(spec.id)).error.code == "WorkerLost"
        assert not world.marks.exists()

    world(story)


def test_a_graceful_stop_says_what_becomes_of_an_attempt_that_was_admitted_and_has_not_begun(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        await admitted_and_not_started(world, spec)
        await world.executor.close()
        assert world.admin.finished[key_of(spec.id)].outcome.error.code == "ServerStopped"

    world(story)


def test_what_a_power_cut_has_left_half_written_is_dropped(world):
    async def story(world: World) -> None:
        spec = world.spec("waits")
        await world.executor.start(spec, "t")
        (pid,) = await world.mark("waits")
        abandoned(world.executor)
        os.killpg(pid, signal.SIGKILL)
        await gone(pid)
        folder = world.home / "attempts" / "e1" / "waits-1"
        whole = (folder / "spec.pb").read_bytes()
        for left in (b"", whole[: len(whole) // 2]):
            (folder / "spec.pb").write_bytes(left)
            world.executor = world.new_executor()
            await world.executor.recover()
            abandoned(world.executor)
            assert not folder.exists()
            folder.mkdir()

    world(story)


def test_a_mistake_of_the_server_costs_neither_an_attempt_nor_its_outcome(world):
    async def story(world: World) -> None:
        world.admin.failures = 2
        spec = world.spec("waits", 5)
        await world.executor.start(spec, "t")
        await world.mark("waits")
        assert not world.admin.failures
        world.admin.failures = 2
        world.release()
        assert (await world.admin.outcome(spec.id)).HasField("outputs")

    world(story)


def test_an_attempt_without_room_for_its_folder_fails_by_the_platform(world):
    async def story(world: World) -> None:
        # As good as a full disk: the file can't be written.
        (world.home / "attempts" / "e1" / "double-1" / "spec.pb").mkdir(parents=True)
        error = (await world.run(world.spec("double"))).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "RunnerFailed")

    world(story)


def test_an_outcome_waits_for_admin_to_come_back(world):
    async def story(world: World) -> None:
        spec = world.spec("waits", 5)
        await world.executor.start(spec, "t")
        (pid,) = await world.mark("waits")
        world.admin.reachable = False
        world.release()
        await gone(pid)
        world.admin.reachable = True
        assert (await world.admin.outcome(spec.id)).HasField("outputs")

    world(story)


def test_two_processes_never_share_a_home(world):
    async def story(world: World) -> None:
        await world.executor.recover()
        with pytest.raises(errors.UsageError, match="another process runs the attempts"):
            await world.new_executor().recover()

    world(story)
