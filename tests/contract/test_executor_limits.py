"""What an attempt may take of the machine: memory, GPUs, the disk that its log is on, and nothing once it has ended."""

import asyncio

import pytest
from typedflow_propeller import machine

from tests.contract.worlds import World, abandoned, alive, gone, key_of, until
from typedflow.dataplane import objects
from typedflow.pb import errors_pb2, tasks_pb2

MI = 1 << 20


def memory(limit: str) -> tasks_pb2.Resources:
    return tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(memory=limit))


@pytest.mark.parametrize("task", ["hoards", "hoards_in_a_grandchild"])
def test_a_task_that_holds_too_much_memory_is_killed_whole_and_told(world, task):
    async def story(world: World) -> None:
        spec = world.spec(task, 150, resources=memory("100Mi"))
        error = (await world.run(spec)).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_USER, "OutOfMemory")
        assert "and may use 100Mi" in error.message
        assert 'Resources(mem="256Mi")' in error.message
        for pid in await world.mark(task):
            await gone(pid)

    world(story)


def test_what_a_task_shares_with_its_template_is_not_counted_against_it(world):
    async def story(world: World) -> None:
        spec = world.spec("shares", 8, resources=memory("100Mi"))  # eight processes that hold the same 60 MiB
        assert (await world.run(spec)).outputs.values[0].value.integer == 8

    world(story)


def test_an_adopted_attempt_is_watched_too(world):
    async def story(world: World) -> None:
        spec = world.spec("hoards_later", 200, resources=memory("100Mi"))
        await world.executor.start(spec, "t")
        await world.mark("hoards_later")
        abandoned(world.executor)
        world.executor = world.new_executor()
        await world.executor.recover()
        world.release()
        assert (await world.admin.outcome(spec.id)).error.code == "OutOfMemory"

    world(story)


def test_attempts_have_gpus_to_themselves(world):
    async def story(world: World) -> None:
        shared = machine.Machine(8, gpus=("0", "1", "GPU-7"))
        world.executor = world.new_executor(shared=shared)
        asking = tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(gpu="2"))
        first = world.spec("sees", 1, resources=asking)
        second = world.spec("sees", 2, attempt=2, resources=asking)
        none = world.spec("sees", 3, attempt=3)
        own = world.spec("sees", 4, attempt=4)
        own.options.environment.add(name="CUDA_VISIBLE_DEVICES", value="mine")
        for spec in (first, second, none, own):
            await world.executor.start(spec, "t")
        await until(lambda: len(world.saw()) == 3)
        assert world.saw() == {1: "0,1", 3: "", 4: "mine"}
        world.release()
        await world.admin.outcome(second.id)
        assert world.saw()[2] == "GPU-7,0"

    world(story)


def test_an_adopted_attempt_keeps_its_gpus(world):
    async def story(world: World) -> None:
        shared = machine.Machine(8, gpus=("0", "1"))
        asking = tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(gpu="1"))
        world.executor = world.new_executor(shared=shared)
        await world.executor.start(world.spec("sees", 1, resources=asking), "t")
        await until(lambda: 1 in world.saw())
        abandoned(world.executor)
        world.executor = world.new_executor(shared=shared)
        await world.executor.recover()
        await world.executor.start(world.spec("sees", 2, attempt=2, resources=asking), "t")
        await until(lambda: 2 in world.saw())
        assert world.saw() == {1: "0", 2: "1"}
        world.release()

    world(story)


def test_what_a_machine_lacks_is_noted_and_logged_once(world, caplog):
    async def story(world: World) -> None:
        world.executor = world.new_executor(shared=machine.Machine(4, 1 << 30))
        for attempt in (1, 2):
            spec = world.spec("double", attempt=attempt, resources=memory("64Gi"))
            assert (await world.run(spec)).HasField("outputs")
            note = world.admin.begun[key_of(spec.id)].note
            assert note == "asks for 64Gi of memory, this machine has 1Gi"
        assert [each.message for each in caplog.records if "64Gi" in each.message] == [
            "task steps.double: asks for 64Gi of memory, this machine has 1Gi"
        ]

    world(story)


def test_a_log_that_grows_without_end_keeps_its_beginning_and_its_end(world):
    async def story(world: World) -> None:
        limit = 4 * MI
        world.executor = world.new_executor(log_limit=limit)
        spec = world.spec("chatters", 48)
        assert (await world.run(spec)).HasField("outputs")
        await asyncio.gather(*world.executor._drivers)
        path = world.home / "attempts" / "e1" / "chatters-1" / "log"
        assert path.stat().st_size == 48 * MI
        assert path.stat().st_blocks * 512 <= limit + MI
        log = await world.log(spec.id)
        assert log.startswith(b"00000000\n")
        assert log.endswith(b"%08d\n" % (48 * MI // 9 - 1) + b"x" * (48 * MI % 9))
        note = log.index(b"[typedflow:")
        left_out = int(log[note:].split()[1].replace(b",", b""))
        said = log[note - 1 : log.index(b"]", note) + 2]
        assert len(log) - len(said) + left_out == 48 * MI
        # Wherever a reader goes on, it gets what the whole has from there.
        position, pieces = 0, []
        while True:
            async for piece in world.executor.read_log(spec.id, follow=False, offset=position):
                pieces.append(piece.data)
                position = piece.next
                break
            else:
                break
        assert b"".join(pieces) == log

    world(story)


def test_a_log_is_followed_while_its_middle_is_taken_out(world):
    async def story(world: World) -> None:
        world.executor = world.new_executor(log_limit=4 * MI)
        spec = world.spec("chatters", 64)
        await world.executor.start(spec, "t")
        seen = missing = 0
        async for piece in world.executor.read_log(spec.id, follow=True):
            if piece.data.startswith(b"\n[typedflow:"):
                missing += int(piece.data.split()[1].replace(b",", b""))
            else:
                assert b"\0" not in piece.data
                seen += len(piece.data)
            assert piece.next == seen + missing
        assert seen + missing == 64 * MI

    world(story)


def test_a_log_stays_bounded_when_the_server_is_gone(world):
    async def story(world: World) -> None:
        spec = world.spec("chatters_then_waits", 100)
        await world.executor.start(spec, "t")
        await world.mark("chatters_then_waits")
        path = world.home / "attempts" / "e1" / "chatters_then_waits-1" / "log"
        abandoned(world.executor)
        await until(lambda: path.stat().st_blocks * 512 <= 66 * MI)
        assert path.stat().st_size == 100 * MI
        world.executor = world.new_executor()
        await world.executor.recover()
        world.release()
        await world.admin.outcome(spec.id)

    world(story)


@pytest.mark.parametrize("forked", [True, False])
@pytest.mark.parametrize("task", ["daemonizes", "daemonizes_and_dies", "daemonizes_and_exits"])
def test_a_daemon_that_an_attempt_leaves_in_a_session_of_its_own_ends_with_it(world, task, forked):
    async def story(world: World) -> None:
        world.executor._launcher._linux = forked
        await world.run(world.spec(task))
        for pid in await world.mark(task):
            await gone(pid)

    world(story)


@pytest.mark.parametrize("adopted", [False, True])
@pytest.mark.parametrize("task", ["daemonizes_and_waits", "stubborn_daemon"])
def test_e12_a_stop_reaches_what_is_in_other_sessions(world, task, adopted):
    async def story(world: World) -> None:
        spec = world.spec(task)
        await world.executor.start(spec, "t")
        pids = await world.mark(task)
        assert all(alive(pid) for pid in pids)
        if adopted:
            abandoned(world.executor)
            world.executor = world.new_executor()
            await world.executor.recover()
        await world.executor.stop(spec, "t")
        assert (await world.admin.outcome(spec.id)).HasField("stopped")
        for pid in pids:
            await gone(pid)

    world(story)


def test_the_copy_of_a_task_that_has_forked_says_nothing_of_it(world):
    async def story(world: World) -> None:
        outcome = await world.run(world.spec("forks", 5))
        assert outcome.outputs.values[0].value.integer == 5

    world(story)


def test_e14_what_a_killed_attempt_has_saved_goes_with_its_failure_and_is_given_to_the_next(world):
    async def story(world: World) -> None:
        first = world.spec("saves_and_dies", 1)
        lost = await world.run(first)
        assert lost.error.code == "WorkerLost"
        second = world.spec("saves_and_dies", 1, attempt=2)
        second.checkpoint.CopyFrom(lost.checkpoint)
        done = await world.run(second)
        assert done.outputs.values[0].value.integer == 1
        assert not done.HasField("checkpoint")  # it succeeded: nobody comes after it

    world(story)


def test_e14_a_stopped_attempt_leaves_its_checkpoint(world):
    async def story(world: World) -> None:
        spec = world.spec("saves_and_waits", 7)
        await world.executor.start(spec, "t")
        await world.mark("saves_and_waits")
        await world.executor.stop(spec, "t")
        outcome = await world.admin.outcome(spec.id)
        assert outcome.HasField("stopped")
        assert outcome.checkpoint.file.blob.size == 1

    world(story)


def test_a_report_is_stored_whether_the_task_succeeds_or_raises(world):
    async def story(world: World) -> None:
        for attempt, n in ((1, 1), (2, 0)):
            outcome = await world.run(world.spec("reports", n, attempt=attempt))
            assert outcome.HasField("error") == (n == 0)
            assert b"<h2>losses</h2>" in objects.open_store(world.store_url).read_bytes(outcome.deck)

    world(story)


def test_a_task_that_may_write_no_file_any_more_fails_and_says_so(world):
    async def story(world: World) -> None:
        error = (await world.run(world.spec("fills_the_disk", 1000))).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_USER, "OSError")
        assert "File too large" in error.message
        error = (await world.run(world.spec("fills_the_disk", 0, attempt=2))).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_SYSTEM, "RunnerFailed")
        assert "is the disk full?" in error.message

    world(story)
