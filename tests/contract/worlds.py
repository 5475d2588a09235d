"""A home, an admin in memory and real processes: where the executor for this machine is tried."""

import asyncio
import contextlib
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typedflow_propeller import local_processes

from typedflow import errors
from typedflow.dataplane import bundles
from typedflow.pb import attempt_pb2, literals_pb2, tasks_pb2

CODE = """
    import os, resource, signal, subprocess, sys, time
    from pathlib import Path
    from typedflow import Deck, NonRecoverable, current_context, task

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

    def held(n: int) -> bytearray:
        return bytearray(b"x") * (n << 20)

    @task
    def hoards(n: int) -> int:
        marked(f"hoards {os.getpid()}")
        kept = held(n)
        time.sleep(60)
        return len(kept)

    @task
    def hoards_in_a_grandchild(n: int) -> int:
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.setpgid(0, 0)
                marked(f"hoards_in_a_grandchild {os.getpid()} {os.getppid()}")
                kept = held(n)
                time.sleep(60)
            time.sleep(60)
        time.sleep(60)
        return n

    @task
    def hoards_later(n: int) -> int:
        marked(f"hoards_later {os.getpid()}")
        while not Path(os.environ["MARKS"] + ".go").exists():
            time.sleep(0.01)
        kept = held(n)
        time.sleep(60)
        return len(kept)

    @task
    def shares(n: int) -> int:
        kept = held(60)
        for _ in range(n):
            if os.fork() == 0:
                time.sleep(60)
        time.sleep(1)  # long enough to be looked at
        return n

    @task
    def sees(n: int) -> int:
        marked(f"sees {n} [{os.environ.get('CUDA_VISIBLE_DEVICES')}]")
        while not Path(os.environ["MARKS"] + ".go").exists():
            time.sleep(0.01)
        return n

    def chatter(n: int) -> None:
        lines = n * (1 << 20) // 9
        for start in range(0, lines, 10000):
            end = min(lines, start + 10000)
            os.write(1, b"".join(b"%08d\\n" % line for line in range(start, end)))
        os.write(1, b"x" * (n * (1 << 20) % 9))

    @task
    def chatters(n: int) -> int:
        chatter(n)
        return n

    @task
    def chatters_then_waits(n: int) -> int:
        chatter(n)
        marked("chatters_then_waits 1")
        while not Path(os.environ["MARKS"] + ".go").exists():
            time.sleep(0.01)
        return n

    def daemon(name: str, leader: bool = True) -> None:
        program = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
        if os.fork() == 0:
            os.setsid()
            spawned = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
            copied = os.fork()
            if copied == 0:
                os.setsid()
                time.sleep(60)
            marked(f"{name} {spawned.pid} {copied}")
            os._exit(0)
        os.wait()

    @task
    def daemonizes(n: int) -> int:
        daemon("daemonizes")
        return n

    @task
    def daemonizes_and_dies(n: int) -> int:
        daemon("daemonizes_and_dies")
        os.kill(os.getpid(), signal.SIGKILL)
        return n

    @task
    def daemonizes_and_exits(n: int) -> int:
        daemon("daemonizes_and_exits")
        os._exit(3)

    @task
    def daemonizes_and_waits(n: int) -> int:
        daemon("daemonizes_and_waits")
        time.sleep(60)
        return n

    @task
    def stubborn_daemon(n: int) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        daemon("stubborn_daemon")
        time.sleep(60)
        return n

    @task
    def forks(n: int) -> int:
        if os.fork() == 0:
            return -1
        os.wait()
        return n

    @task
    def saves_and_dies(n: int) -> int:
        checkpoint = current_context().checkpoint
        done = int(checkpoint.read() or b"0")
        if done < n:
            checkpoint.write(str(done + 1).encode())
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    @task
    def saves_and_waits(n: int) -> int:
        current_context().checkpoint.write(str(n).encode())
        marked("saves_and_waits 1")
        time.sleep(60)
        return n

    @task
    def reports(n: int) -> float:
        Deck("losses").append_text("0.5")
        return 1 / n

    @task
    def fills_the_disk(n: int) -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))
        with open("data", "wb") as file:
            file.write(bytes(2 * n))
        return n

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
        self.failures = 0  # so many of the next calls meet a mistake of the server's
        self.bundles: asyncio.Event | None = None  # bundles wait for it

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
        begun = self.begun.get(key_of(request.id))
        if begun is None:
            assert not request.outcome.HasField("outputs")
        elif begun.runner_uid != request.runner_uid:
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
        if self.bundles is not None:
            await self.bundles.wait()
        return self._bundle

    async def outcome(self, attempt: attempt_pb2.AttemptId) -> attempt_pb2.Outcome:
        async with asyncio.timeout(30), self.changed:
            await self.changed.wait_for(lambda: key_of(attempt) in self.finished)
        return self.finished[key_of(attempt)].outcome

    def _check(self) -> None:
        if not self.reachable:
            raise errors.ServerUnreachable("gone")
        if self.failures:
            self.failures -= 1
            raise errors.ServerFailed("incident 1")

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

    def saw(self) -> dict[int, str]:
        """What GPUs tasks have seen, by their number."""
        lines = [
            line.split() for line in (self.lines() if self.marks.exists() else ()) if line.startswith("sees ")
        ]
        return {int(words[1]): words[2].strip("[]") for words in lines}

    def release(self) -> None:
        Path(f"{self.marks}.go").touch()

    async def log(self, attempt: attempt_pb2.AttemptId, *, follow: bool = False) -> bytes:
        return b"".join([piece.data async for piece in self.executor.read_log(attempt, follow=follow)])


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
