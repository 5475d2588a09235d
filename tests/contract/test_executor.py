"""What every executor promises, shown with real processes on the one for this machine."""

import asyncio
import contextlib
import os
import signal
import textwrap
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from typedflow_propeller import local_processes

from typedflow import errors
from typedflow.dataplane import bundles
from typedflow.pb import attempt_pb2, errors_pb2, literals_pb2, tasks_pb2

CODE = """
    import os, signal, subprocess, sys, time
    from pathlib import Path
    from typedflow import NonRecoverable, task

    def marked(text: str) -> None:
        with open(os.environ["MARKS"], "a") as marks:
            marks.write(text + "\\n")

    @task
    def double(n: int) -> int:
        print("doubling", n)
        os.system("echo from a child")
        marked(f"double {os.getpid()}")
        return 2 * n

    @task
    def raises(n: int) -> int:
        return inner(n)

    def inner(n: int) -> int:
        raise ValueError("n is bad")

    @task
    def gives_up(n: int) -> int:
        raise NonRecoverable("never again")

    @task
    def wrong(n: int) -> int:
        return "text"  # type: ignore

    @task
    def exits(n: int) -> int:
        sys.exit(n)

    @task
    def vanishes(n: int) -> int:
        os._exit(n)

    @task
    def dies(n: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return n

    @task
    def waits(n: int) -> int:
        marked(f"waits {os.getpid()}")
        while not Path(os.environ["MARKS"] + ".go").exists():
            time.sleep(0.01)
        return n

    @task
    def stubborn(n: int) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", program])
        marked(f"stubborn {os.getpid()} {child.pid}")
        time.sleep(60)
        return n

    @task
    def leaves_a_child(n: int) -> int:
        child = subprocess.Popen(["sleep", "60"])
        return child.pid

    @task
    def talks(n: int) -> int:
        line = "x" * 1023 + "\\n"
        for _ in range(n):
            sys.stdout.write(line)
        return n

    @task
    def draws(n: int) -> list[float]:
        import random
        return [random.random()]

    @task
    def large(n: int) -> str:
        return "x" * n

    @task
    def length(s: str) -> int:
        return len(s)

    @task
    def asks(n: int) -> str:
        has_secret = "TYPEDFLOW_SECRET_HF_TOKEN" in os.environ
        return f"{os.environ['COLOUR']},{os.environ['HF']},{has_secret},{Path.cwd().name},{'grpc' in sys.modules}"
"""
THREADED = """
    import threading, time
    from typedflow import task
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()

    @task
    def alone(n: int) -> int:
        return n + 1
"""
BROKEN = """
    from typedflow import task

    raise RuntimeError("no such table")
"""


class Admin:
    """The admin side of attempts, kept in memory: one runner is admitted, one outcome is kept."""

    def __init__(self, bundle: bytes) -> None:
        self._bundle = bundle
        self.begun: dict[str, attempt_pb2.BeginRequest] = {}
        self.finished: dict[str, attempt_pb2.FinishRequest] = {}
        self.changed = asyncio.Condition()
        self.reachable = True
        self.gone: set[str] = set()  # executors

    async def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        self._check()
        key = key_of(request.id)
        if key in self.finished:
            raise errors.StateConflict("it has ended", code="AttemptEnded")
        if self.begun.setdefault(key, request).runner_uid != request.runner_uid:
            raise errors.StateConflict("another runner was admitted", code="AttemptTaken")
        await self._notify()
        return attempt_pb2.BeginResponse()

    async def finish(self, request: attempt_pb2.FinishRequest) -> None:
        self._check()
        kept = attempt_pb2.FinishRequest()
        kept.CopyFrom(request)
        begun = self.begun[key_of(request.id)]
        if begun.runner_uid != request.runner_uid:
            assert not request.outcome.HasField("outputs")
            if key_of(request.id) in self.finished:
                raise errors.StateConflict("it is another's", code="NotAdmitted")
            if begun.executor_id not in self.gone:
                await self._notify()
                raise errors.StateConflict("another runner was admitted", code="AttemptTaken")
        self.finished.setdefault(key_of(request.id), kept)
        await self._notify()

    async def has_ended_elsewhere(self, attempt: attempt_pb2.AttemptId) -> None:
        await self.begin(attempt_pb2.BeginRequest(id=attempt, runner_uid="another"))
        await self.finish(attempt_pb2.FinishRequest(id=attempt, runner_uid="another"))

    async def bundle(self, digest: str, project: str, domain: str) -> bytes:
        self._check()
        assert digest
        assert (project, domain) == ("p", "d")
        return self._bundle

    async def outcome(self, attempt: attempt_pb2.AttemptId) -> attempt_pb2.Outcome:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: key_of(attempt) in self.finished)
        return self.finished[key_of(attempt)].outcome

    def _check(self) -> None:
        if not self.reachable:
            raise errors.ServerUnreachable("gone")

    async def _notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()


def key_of(attempt: attempt_pb2.AttemptId) -> str:
    return f"{attempt.execution_id}/{attempt.node}/{attempt.attempt}"


class World:
    """A home, an admin, and executors on them, one after the other."""

    def __init__(self, folder: Path) -> None:
        root = folder / "code"
        root.mkdir()
        files = {"steps.py": CODE, "threaded.py": THREADED, "broken.py": BROKEN}
        for name, text in files.items():
            (root / name).write_text(textwrap.dedent(text), "utf-8")
        self.bundle = bundles.build([root / name for name in files], roots=[root])
        self.admin = Admin(self.bundle.data)
        self.home = folder / "home"
        self.store_url = str(folder / "objects")
        self.marks = folder / "marks"
        self.executors: list[local_processes.LocalProcesses] = []
        self.executor = self.new_executor()

    def new_executor(self, slots: int = 4, **more: Any) -> local_processes.LocalProcesses:
        made = local_processes.LocalProcesses(
            self.home, self.admin, store_url=self.store_url, slots=slots, grace_s=0.3, **more
        )
        self.executors.append(made)
        return made

    def spec(self, task: str, n: int = 1, *, attempt: int = 1, module: str = "steps", **options: Any):
        return attempt_pb2.AttemptSpec(
            id=attempt_pb2.AttemptId(execution_id="e1", node=task, attempt=attempt),
            task=f"{module}.{task}",
            project="p",
            domain="d",
            python=tasks_pb2.PythonTarget(module=module, qualname=task, bundle=self.bundle.digest),
            inputs=literals_pb2.LiteralMap(
                values=[literals_pb2.NamedLiteral(name="n", value=literals_pb2.Literal(integer=n))]
            ),
            options=tasks_pb2.TaskOptions(
                environment=[tasks_pb2.EnvironmentVariable(name="MARKS", value=str(self.marks))], **options
            ),
        )

    async def run(self, spec: attempt_pb2.AttemptSpec) -> attempt_pb2.Outcome:
        await self.executor.start(spec, f"token of {key_of(spec.id)}")
        return await self.admin.outcome(spec.id)

    async def mark(self, name: str) -> list[int]:
        """The numbers that a task has written under its name, once it has."""
        await until(lambda: self.marks.exists() and f"{name} " in self.marks.read_text())
        return [
            int(number) for line in self.lines() if line.startswith(f"{name} ") for number in line.split()[1:]
        ]

    def lines(self) -> list[str]:
        return self.marks.read_text().splitlines()

    def release(self) -> None:
        Path(f"{self.marks}.go").touch()

    async def log(self, attempt: attempt_pb2.AttemptId, *, follow: bool = False) -> bytes:
        return b"".join([piece.data async for piece in self.executor.read_log(attempt, follow=follow)])


@pytest.fixture
def world(tmp_path: Path) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Runs a story in a world of its own."""

    def tell(story: Callable[[World], Awaitable[None]]) -> None:
        async def whole() -> None:
            world = World(tmp_path)
            try:
                await story(world)
            finally:
                world.admin.reachable = True
                await world.executor.close()
                for each in world.executors:
                    await each._launcher.ended()

        asyncio.run(whole())

    return tell


def abandoned(executor: local_processes.LocalProcesses) -> None:
    """Takes an executor away as SIGKILL of its process would: nothing is said or stopped, its templates are alone."""
    for driver in executor._drivers:
        driver.cancel()
    executor._watch.close()
    executor._launcher.close()
    if executor._lock is not None:
        executor._lock.close()


def alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


async def until(true: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - files and processes have no events
            await asyncio.sleep(0.01)


async def gone(pid: int) -> None:
    await until(lambda: not alive(pid))


def zombies() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = path.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent) == os.getpid():
                found.append(path.parent.name)
    return found


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


def test_an_idle_template_ends(world):
    async def story(world: World) -> None:
        world.executor._launcher._idle_s = 0.05
        await world.run(world.spec("double"))
        await until(lambda: not world.executor._launcher._templates)
        await until(lambda: not zombies())
        assert (await world.run(world.spec("double", attempt=2))).HasField("outputs")

    world(story)


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


def test_two_processes_never_share_a_home(world):
    async def story(world: World) -> None:
        await world.executor.recover()
        with pytest.raises(errors.UsageError, match="another process runs the attempts"):
            await world.new_executor().recover()

    world(story)


def test_a_log_that_is_not_here_is_not_found(world):
    async def story(world: World) -> None:
        with pytest.raises(errors.NotFound, match="attempt 3"):
            await world.log(attempt_pb2.AttemptId(execution_id="e9", node="x", attempt=3))

    world(story)
