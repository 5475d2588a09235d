"""Whatever tasks do, it is told well, and the server stays up."""

import contextlib
import re
from pathlib import Path

import pytest

from tests.e2e import authors, machines
from typedflow import errors

BAD = """
    import atexit
    import os
    import resource
    import signal
    import subprocess
    import sys
    import time
    from dataclasses import dataclass
    from datetime import timedelta
    from pathlib import Path
    from typedflow import Deck, File, Resources, current_context, task, workflow

    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    @dataclass
    class Point:
        x: int

    def inner(n: int) -> int:
        raise ValueError(f"n is {n}: ü")

    @task
    def raises(n: int) -> int:
        try:
            return inner(n)
        except ValueError as error:
            raise LookupError("not found") from error

    @task
    def mistypes(n: int) -> list[Point]:
        return [Point(1), Point("two")]  # type: ignore

    @task
    def unlisted(n: int) -> int:
        return (i for i in range(n))  # type: ignore

    @task
    def fileless(n: int) -> File:
        return File("missing.csv")

    @task
    def vanishes(n: int) -> int:
        os._exit(n)

    @task
    def exits(n: int) -> int:
        sys.exit("enough")

    @task
    def exits_well(n: int) -> int:
        os._exit(0)

    @task
    def crashes(n: int) -> int:
        os.kill(os.getpid(), signal.SIGSEGV)
        return n

    @task
    def talks(n: int) -> int:
        line = "x" * 1023 + "\\n"
        for _ in range(n):
            sys.stdout.write(line)
        return n

    @task
    def babbles(n: int) -> int:
        os.write(1, bytes(range(256)))
        print("\\udcff after", flush=True)
        return n

    @task
    def leaves(n: int) -> int:
        child = subprocess.Popen(["sleep", "1000"])
        return child.pid

    @task
    def detaches(n: int) -> int:
        if os.fork() == 0:
            os.close(1)
            os.close(2)
            signal.pause()
        return n

    @task
    def mute(n: int) -> int:
        raise Mute

    @task
    def closes(n: int) -> int:
        os.close(1)
        sys.stderr.close()
        return n

    @task
    def recurses(n: int) -> int:
        return recurses.function(n + 1)

    @task
    def interrupts(n: int) -> int:
        raise KeyboardInterrupt

    @task
    def vast(n: int) -> int:
        raise ValueError("v" * (40 << 20))

    @task(resources=Resources(mem="64Mi"))
    def hoards(n: int) -> int:
        kept = bytearray(b"x") * (n << 20)
        signal.pause()
        return len(kept)

    @task
    def leaves_a_daemon(n: int) -> int:
        read, write = os.pipe()
        if os.fork() == 0:
            os.setsid()
            if (pid := os.fork()) == 0:
                signal.pause()
            os.write(write, b"%d" % pid)
            os._exit(0)
        os.wait()
        return int(os.read(read, 20))

    @task(timeout=timedelta(seconds=1))
    def hangs(n: int) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print(os.getpid())
        time.sleep(100)
        return n

    @task
    def exits_at_exit(n: int) -> int:
        atexit.register(os._exit, 5)
        return n

    @task
    def forgets(n: int) -> File:
        path = current_context().working_folder / "gone.txt"
        path.write_text("x")
        file = File(path)
        path.unlink()
        return file

    @task
    def makes(n: int) -> File:
        path = current_context().working_folder / "made.txt"
        path.write_text("made")
        return File(path)

    @task
    def scribbles(file: File) -> str:
        with open(file, "a") as opened:
            opened.write(" and changed")
        return Path(file).read_text()

    @task
    def reads(file: File, after: str) -> str:
        return Path(file).read_text()

    @workflow
    def only_scribbles(n: int) -> str:
        file = makes(n=n)
        return reads(file=file, after=scribbles(file=file))

    @task
    def fills_the_disk(n: int) -> int:
        resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))
        with open("data", "wb") as file:
            file.write(bytes(2 * n))
        return n

    @task(retries=1)
    def goes_on(n: int) -> int:
        checkpoint = current_context().checkpoint
        done = int(checkpoint.read() or b"0")
        checkpoint.write(b"%d" % (done + n))
        Deck("progress").append_text(f"{done} < {done + n}")
        if not done:
            raise RuntimeError("half way")
        return done

    @task(resources=Resources(gpu="1"))
    def graphics(n: int) -> int:
        return n
"""
OUTPUTS = {"mistypes": "list[Point]", "fileless": "File", "forgets": "File", "makes": "File"}
OF_NO_NUMBER = ("scribbles", "reads")
GOOD = """
    from typedflow import task, workflow

    @task
    def twice(n: int) -> int:
        return 2 * n

    @workflow
    def doubled(n: int) -> int:
        return twice(n=n)
"""


@pytest.fixture(scope="module")
def author(typedflow_server, tmp_path_factory):
    """Somebody who has registered all of them, each in a workflow of its own, beside a good one."""
    folder = tmp_path_factory.mktemp("author")
    workflows = "".join(
        f"    @workflow\n    def only_{name}(n: int) -> {OUTPUTS.get(name, 'int')}:\n        return {name}(n=n)\n\n"
        for name in re.findall(r"@task.*\n    def (\w+)", BAD)
        if name not in OF_NO_NUMBER
    )
    with authors.of_a_project_of_their_own(typedflow_server, folder) as made:
        made.register("bad_module", BAD + workflows)
        made.register("good_module", GOOD)
        yield made


@pytest.fixture(autouse=True)
def _server_stays_up(author):
    yield
    assert author.outputs("doubled", n=21).o0 == 42


def failed(author, name, n=1):
    """Launches, and gives the one node's error after all said of it agrees."""
    run = author.run(f"only_{name}", n=n)
    assert run.phase == "FAILED"
    node = run.nodes[0]
    assert node.phase == "FAILED"
    assert run.message.error == node.message.error
    assert run.message.error.node == name
    with pytest.raises(errors.ExecutionFailed, match=re.escape(run.id)) as refused:
        run.wait()
    assert refused.value.exit_code == 1
    return run.message.error


def is_alive(pid):
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def test_what_a_task_raises_is_told_with_the_authors_lines_only(author):
    error = failed(author, "raises", n=7)
    assert (error.code, error.message) == ("LookupError", "not found")
    assert (
        error.traceback
        == """Traceback (most recent call last):
  File "bad_module.py", line 28, in raises
    return inner(n)
           ^^^^^^^^
  File "bad_module.py", line 23, in inner
    raise ValueError(f"n is {n}: ü")
ValueError: n is 7: ü

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "bad_module.py", line 30, in raises
    raise LookupError("not found") from error
LookupError: not found
"""
    )


def test_t2_a_result_of_the_wrong_type_is_told_with_its_path(author):
    error = failed(author, "mistypes")
    assert "outputs.o0[1].x" in error.message
    assert "expected int, got 'two' (str)" in error.message
    assert "generator" in failed(author, "unlisted").message
    missing = failed(author, "fileless")
    assert "missing.csv" in missing.message
    assert "gone.txt" in failed(author, "forgets").message


@pytest.mark.parametrize(
    ("name", "n", "code", "told"),
    [
        ("vanishes", 3, "ExitCode", "exited with status 3"),
        ("exits_well", 3, "ExitCode", "exited with status 0"),
        ("exits", 1, "SystemExit", "'enough'"),
        ("interrupts", 1, "KeyboardInterrupt", "KeyboardInterrupt"),
        ("mute", 1, "Mute", "Mute"),
        ("recurses", 1, "RecursionError", "recursion"),
        ("vast", 1, "ValueError", "characters left out"),
    ],
)
def test_e5_however_a_task_ends_itself_is_its_own_failure(author, name, n, code, told):
    error = failed(author, name, n)
    assert error.kind == 1
    assert error.code == code
    assert told in error.message
    assert len(error.message) < 20_000


@pytest.mark.slow
def test_e5_a_crash_is_retried_on_the_systems_budget_and_then_told(author):
    run = author.run("only_crashes", n=1)
    assert (run.phase, run.message.error.code) == ("FAILED", "WorkerLost")
    assert "SIGSEGV" in run.message.error.message
    assert run.nodes[0].attempts == 4


def test_a_large_log_is_kept_whole_and_goes_through_the_server_in_pieces(author):
    lines = 20 * 1024
    run = author.run("only_talks", n=lines)
    assert run.phase == "SUCCEEDED"
    Path("/proc/self/clear_refs").write_text("5")  # the peak is measured from here
    before = resident("VmRSS")
    total = count = 0
    for piece in author.client.logs(run.id, "talks"):
        total += len(piece)
        count += piece.count(b"\n")
    assert (total, count) == (lines * 1024, lines)
    assert resident("VmHWM") - before < 15 << 20  # the server is in this process


@pytest.mark.slow
def test_of_a_log_that_is_too_large_the_server_gives_both_ends_and_says_what_is_missing(author):
    lines = 100 * 1024
    run = author.run("only_talks", n=lines)
    log = author.log(run, "talks")
    assert len(log) < 66 << 20
    left_out = int(
        re.findall(rb"typedflow: ([0-9,]+) bytes of the log are left out", log)[0].replace(b",", b"")
    )
    note = len(b"\n[typedflow:  bytes of the log are left out here]\n") + len(f"{left_out:,}")
    assert len(log) - note + left_out == lines * 1024


def resident(which):
    """Of this process' memory, in bytes."""
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{which}:\s+(\d+) kB", status)[0]) << 10


def test_a_log_is_what_was_written_byte_by_byte(author):
    run = author.run("only_babbles", n=1)
    assert run.phase == "SUCCEEDED"
    assert author.log(run, "babbles") == bytes(range(256)) + b"\\udcff after\n"
    closed = author.run("only_closes", n=5)
    assert closed.outputs.o0 == 5


def test_what_a_task_leaves_running_ends_with_it(author):
    left = author.outputs("only_leaves", n=1).o0
    machines.until(lambda: not is_alive(left), "what the task left is gone")


def test_a_daemon_in_a_session_of_its_own_ends_with_the_task_that_left_it(author):
    left = author.outputs("only_leaves_a_daemon", n=1).o0
    machines.until(lambda: not is_alive(left), "what the task left is gone")


def test_a_task_that_holds_more_memory_than_it_asked_for_is_told_what_to_write(author):
    error = failed(author, "hoards", n=100)
    assert error.code == "OutOfMemory"
    assert "and may use 64Mi" in error.message
    assert 'Resources(mem="128Mi")' in error.message or 'Resources(mem="256Mi")' in error.message


def test_a_task_that_hangs_and_will_not_hear_is_killed_when_its_time_is_up(author):
    run = author.run("only_hangs", n=1)
    assert (run.phase, run.message.error.code) == ("FAILED", "TimedOut")
    machines.until(lambda: author.log(run, "hangs").endswith(b"\n"), "it has said who it is")
    machines.until(lambda: not is_alive(int(author.log(run, "hangs"))), "it is gone")


def test_what_happens_at_the_exit_of_a_process_is_after_the_result(author):
    assert author.outputs("only_exits_at_exit", n=6).o0 == 6


def test_what_a_task_writes_into_its_input_is_its_own(author):
    assert author.outputs("only_scribbles", n=1).o0 == "made"


def test_a_task_that_can_write_no_more_fails_with_what_the_system_said(author):
    error = failed(author, "fills_the_disk", n=1000)
    assert (error.code, error.kind) == ("OSError", 1)
    assert "File too large" in error.message


def test_e14_what_an_attempt_has_saved_the_next_one_goes_on_with(author):
    run = author.run("only_goes_on", n=4)
    assert (run.phase, run.outputs.o0) == ("SUCCEEDED", 4)
    assert run.nodes[0].attempts == 2


def test_a_forked_child_that_outlives_its_task_does_not_hold_it_up(author):
    assert author.outputs("only_detaches", n=9).o0 == 9


def test_a_module_that_can_be_imported_where_it_is_registered_only_fails_its_attempts(author, monkeypatch):
    monkeypatch.setenv("REGISTERED_HERE", "1")
    text = """
        import os
        from typedflow import task, workflow

        HOST = os.environ["REGISTERED_HERE"]

        @task
        def hosted() -> str:
            return HOST

        @workflow
        def host() -> str:
            return hosted()
    """
    author.register("bound_module", text)
    author.register(
        "crashing_module",
        text.replace(
            'HOST = os.environ["REGISTERED_HERE"]', 'HOST = os.environ.get("REGISTERED_HERE") or os._exit(9)'
        )
        .replace("hosted", "rehosted")
        .replace("host()", "crashed()"),
    )
    monkeypatch.delenv("REGISTERED_HERE")
    run = author.run("host")
    assert (run.phase, run.message.error.code) == ("FAILED", "KeyError")
    assert "REGISTERED_HERE" in run.error
    assert 'File "bound_module.py", line 5, in <module>' in run.message.error.traceback
    assert run.message.error.kind == 1
    crashed = author.run("crashed")
    assert (crashed.phase, crashed.message.error.code) == ("FAILED", "ExitCode")
    assert "status 9" in crashed.error


@pytest.mark.skipif(any(Path("/dev").glob("nvidia[0-9]*")), reason="there is a GPU here")
def test_a_task_that_wants_a_gpu_says_that_it_ran_without(author):
    run = author.run("only_graphics", n=3)
    assert run.outputs.o0 == 3
    assert run.nodes[0].note == "no GPU here: runs on CPU"
