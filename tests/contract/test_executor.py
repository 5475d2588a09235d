"""What every executor promises, shown with real processes on the one for this machine."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.contract.worlds import World, key_of, until, zombies
from typedflow import errors
from typedflow.pb import attempt_pb2, errors_pb2, tasks_pb2


def test_a_task_runs_and_its_log_is_kept(world):
    async def story(world: World) -> None:
        spec = world.spec("double", 21)
        outcome = await world.run(spec)
        assert outcome.outputs.values[0].name == "o0"
        assert outcome.outputs.values[0].value.integer == 42
        assert outcome.usage.wall_seconds > 0
        assert await world.log(spec.id, follow=True) == b"doubling 21\nfrom a child\n"
        folder = world.home / "attempts" / "e1" / "double-1"
        assert [path.name for path in folder.iterdir()] == ["log"]

    world(story)


def test_a_started_attempt_is_not_started_again(world):
    async def story(world: World) -> None:
        spec = world.spec("double")
        await world.executor.start(spec, "t")
        await world.executor.start(spec, "t")
        await world.admin.outcome(spec.id)
        await asyncio.gather(*world.executor._drivers)
        await world.executor.start(spec, "t")
        await asyncio.gather(*world.executor._drivers)
        assert len(world.lines()) == 1

    world(story)


@pytest.mark.parametrize(
    ("task", "n", "kind", "code", "words"),
    [
        ("raises", 1, "USER", "ValueError", "n is bad"),
        ("wrong", 1, "USER", "InvalidValue", "outputs.o0"),
        ("exits", 3, "USER", "SystemExit", "exited (3)"),
        ("exits", 0, "USER", "SystemExit", "exited (0)"),
        ("vanishes", 7, "USER", "ExitCode", "status 7"),
        ("vanishes", 0, "USER", "ExitCode", "status 0"),
        ("dies", 1, "SYSTEM", "WorkerLost", "SIGKILL"),
    ],
)
def test_e5_a_failure_says_whose_it_is(world, task, n, kind, code, words):
    async def story(world: World) -> None:
        error = (await world.run(world.spec(task, n))).error
        assert errors_pb2.ErrorKind.Name(error.kind) == f"ERROR_KIND_{kind}"
        assert error.code == code
        assert words in error.message
        assert error.node == task
        assert not error.non_recoverable
        await until(lambda: not zombies())

    world(story)


def test_a_traceback_has_the_frames_of_the_author_only(world):
    async def story(world: World) -> None:
        error = (await world.run(world.spec("raises"))).error
        assert 'File "steps.py", line' in error.traceback
        assert "in inner" in error.traceback
        assert "run_task" not in error.traceback
        assert error.traceback.endswith("ValueError: n is bad\n")

    world(story)


def test_e5_non_recoverable_says_so(world):
    async def story(world: World) -> None:
        error = (await world.run(world.spec("gives_up"))).error
        assert error.non_recoverable
        assert error.code == "NonRecoverable"

    world(story)


def test_a_module_that_raises_at_import_is_the_authors_failure(world):
    async def story(world: World) -> None:
        spec = world.spec("any", module="broken")
        error = (await world.run(spec)).error
        assert (error.kind, error.code) == (errors_pb2.ERROR_KIND_USER, "RuntimeError")
        assert 'File "broken.py", line 4' in error.traceback
        assert b"no such table" in await world.log(spec.id)

    world(story)


def test_a_module_that_starts_threads_is_not_forked(world):
    async def story(world: World) -> None:
        outcome = await world.run(world.spec("alone", 1, module="threaded"))
        assert outcome.outputs.values[0].value.integer == 2
        assert len(world.executor._launcher._unfit) == 1
        await until(lambda: not zombies())

    world(story)


def test_without_forks_and_descriptors_of_processes_all_is_the_same(world, monkeypatch):
    async def story(world: World) -> None:
        world.executor._launcher._linux = False
        monkeypatch.delattr(os, "pidfd_open")
        assert (await world.run(world.spec("double", 4))).outputs.values[0].value.integer == 8
        assert (await world.run(world.spec("raises"))).error.code == "ValueError"
        assert (await world.run(world.spec("dies"))).error.code == "WorkerLost"
        assert (await world.run(world.spec("any", module="broken"))).error.code == "RuntimeError"
        await until(lambda: not zombies())

    world(story)


def test_children_of_a_template_draw_different_numbers(world):
    async def story(world: World) -> None:
        first = await world.run(world.spec("draws", attempt=1))
        second = await world.run(world.spec("draws", attempt=2))
        assert first.outputs != second.outputs

    world(story)


def test_a_task_has_its_environment_and_its_secrets_and_nobody_elses(world, monkeypatch):
    monkeypatch.setenv("TYPEDFLOW_SECRET_HF_TOKEN", "hush")

    async def story(world: World) -> None:
        spec = world.spec("asks", secrets=[tasks_pb2.SecretReference(group="hf", key="token", env="HF")])
        spec.options.environment.add(name="COLOUR", value="red")
        assert (await world.run(spec)).outputs.values[0].value.string == "red,hush,False,work,False"

    world(story)


def test_a_secret_that_is_not_there_is_named(world):
    async def story(world: World) -> None:
        spec = world.spec("double", secrets=[tasks_pb2.SecretReference(group="hf", key="token", env="HF")])
        error = (await world.run(spec)).error
        assert error.code == "SecretNotFound"
        assert "TYPEDFLOW_SECRET_HF_TOKEN" in error.message

    world(story)


def test_d2_a_large_output_travels_by_reference_and_is_loaded_again(world):
    async def story(world: World) -> None:
        made = await world.run(world.spec("large", 3_000_000))
        output = made.outputs.values[0].value
        assert output.offloaded.blob.size > 3_000_000
        assert made.ByteSize() < 1_000
        spec = world.spec("length")
        spec.inputs.values[0].name = "s"
        spec.inputs.values[0].value.CopyFrom(output)
        assert (await world.run(spec)).outputs.values[0].value.integer == 3_000_000

    world(story)


def test_a_huge_log_is_read_in_pieces_while_it_is_written(world):
    async def story(world: World) -> None:
        spec = world.spec("talks", 20_000)
        await world.executor.start(spec, "t")
        sizes = [len(piece.data) async for piece in world.executor.read_log(spec.id, follow=True)]
        assert sum(sizes) == 20_000 * 1024
        assert max(sizes) <= 64 * 1024

    world(story)


def test_no_more_run_at_once_than_there_are_slots(world):
    async def story(world: World) -> None:
        world.executor = world.new_executor(slots=1)
        waiting, next_one = world.spec("waits"), world.spec("double")
        await world.executor.start(waiting, "t")
        await world.mark("waits")
        await world.executor.start(next_one, "t")
        assert key_of(next_one.id) not in world.admin.begun
        assert await world.log(next_one.id) == b""
        world.release()
        await world.admin.outcome(next_one.id)

    world(story)


def test_a_gpu_that_is_not_here_is_said(world):
    if any(Path("/dev").glob("nvidia[0-9]*")):
        pytest.skip("this machine has a GPU")

    async def story(world: World) -> None:
        wanted = tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(gpu="1", cpu="64"))
        spec = world.spec("double", resources=wanted)
        await world.run(spec)
        assert world.admin.begun[key_of(spec.id)].note == (
            "no GPU here: runs on CPU; asks for 64 CPUs, this machine has 4"
        )

    world(story)


def test_an_idle_template_ends(world):
    async def story(world: World) -> None:
        world.executor._launcher._idle_s = 0.05
        await world.run(world.spec("double"))
        await until(lambda: not world.executor._launcher._templates)
        await until(lambda: not zombies())
        assert (await world.run(world.spec("double", attempt=2))).HasField("outputs")

    world(story)


@pytest.mark.slow
def test_templates_do_not_pile_up(world):
    async def story(world: World) -> None:
        for number in range(12):
            spec = world.spec("double", attempt=number + 1)
            spec.options.environment.add(name="NUMBER", value=str(number))
            await world.run(spec)
            await asyncio.gather(*world.executor._drivers)
        assert len(world.executor._launcher._templates) == 8
        await until(lambda: not zombies())

    world(story)


def test_a_log_that_is_not_here_is_not_found(world):
    async def story(world: World) -> None:
        with pytest.raises(errors.NotFound, match="attempt 3"):
            await world.log(attempt_pb2.AttemptId(execution_id="e9", node="x", attempt=3))

    world(story)
