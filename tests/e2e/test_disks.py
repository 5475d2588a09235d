"""E3, E5: a disk that is full or read-only, under everything that a server and its tasks write."""

import resource

import pytest

from tests.e2e import disks, machines
from typedflow import errors

STEPS = """
    import os
    import time
    from pathlib import Path
    from typedflow import File, current_context, task, workflow

    def wait(where: str, name: str) -> None:
        with Path(where, "notes").open("a") as notes:
            notes.write(f"{name} {os.getpid()}\\n")
        while not Path(where, f"{name}.go").exists():
            time.sleep(0.01)

    @task
    def waits(where: str, name: str) -> int:
        wait(where, name)
        return len(name)

    @task
    def page(n: int) -> File:
        Path("page.txt").write_text("x" * n)
        return File("page.txt")

    @workflow
    def paged(where: str, name: str) -> File:
        return page(n=waits(where=where, name=name))

    @task
    def large(where: str, name: str) -> str:
        wait(where, name)
        return "x" * 3_000_000

    @workflow
    def only_large(where: str, name: str) -> str:
        return large(where=where, name=name)

    @task(retries=1)
    def saves(where: str, name: str) -> None:
        wait(where, name)
        current_context().checkpoint.write(b"x" * 100_000)

    @workflow
    def only_saves(where: str, name: str) -> None:
        saves(where=where, name=name)

    @task
    def prints(where: str, name: str) -> None:
        wait(where, name)
        print("x" * 100_000, flush=True)

    @workflow
    def only_prints(where: str, name: str) -> None:
        prints(where=where, name=name)
"""


@pytest.fixture(params=disks.WAYS, ids=lambda way: way.__name__.lower())
def disk(request, machine):
    """What a machine's home is on."""
    made = request.param(machine)
    with made.there():
        yield made
        machine.close()


def launch(machine, client, workflow, name="gate"):
    run = client.launch(workflow, inputs={"where": str(machine.folder), "name": name})
    machine.pid(name)
    return run


def test_e3_a_home_that_is_full_holds_everything_up_and_costs_nothing(machine, disk):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("steps_full", STEPS))
        run = launch(machine, client, "paged")
        attempt = machine.pid("gate")
        disk.fill()
        machine.open_gate("gate")
        for call in (
            lambda: client.launch("paged", inputs={"where": str(machine.folder), "name": "never"}),
            lambda: client.register(machine.write("steps_more", STEPS)),
            run.abort,
        ):
            with pytest.raises(errors.ServerUnreachable) as refused:
                call()
            assert refused.value.code in ("DatabaseUnavailable", "DiskFull", "StorageError", "Storage"), (
                refused.value
            )
        machines.until(lambda: attempt not in machine.processes(), "the task ends, whatever it can write")
        assert [each.id for each in client.runs()] == [run.id]
        assert run.refresh().phase == "RUNNING"
        disk.free()
        assert run.wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"
        assert machine.runs() == {"gate": run.nodes[0].attempts}
    assert server.stop() == 0
    assert "Traceback" not in server.output
    assert "incident" not in server.output


@pytest.mark.slow
def test_e3_a_server_that_is_stopped_while_its_disk_is_full_goes_on_when_there_is_room(machine, disk):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("steps_stopped_full", STEPS))
        run = launch(machine, client, "paged")
    disk.fill()
    code = server.stop()
    assert code == 0 or isinstance(disk, disks.Limited)  # its last words go to a file, which is limited too
    assert machine.processes() == []
    assert "Traceback" not in server.output
    disk.free()
    machine.up()
    machine.open_gate("gate")
    with machine.client() as client:
        assert client.run(run.id).wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workflow", "size", "code", "attempts", "told"),
    [
        ("only_large", 0, "RunnerFailed", 4, "the outcome could not be written (is the disk full?)"),
        ("only_large", 1_000_000, "StorageError", 4, "File too large"),
        ("only_saves", 50_000, "StorageError", 4, "File too large"),
        ("only_prints", 50_000, "OSError", 1, "File too large"),
    ],
)
def test_e5_a_task_that_can_write_no_more_says_what_and_runs_when_there_is_room(
    machine, workflow, size, code, attempts, told
):
    machine.up()
    disk = disks.Limited(machine)
    with machine.client() as client:
        client.register(machine.write("steps_unwritten", STEPS))
        run = launch(machine, client, workflow)
        disk.fill("run_task", size)
        machine.open_gate("gate")
        run.wait(machines.PATIENCE_S, check=False)
        assert (run.phase, run.message.error.code, run.nodes[0].attempts) == ("FAILED", code, attempts), (
            run.error
        )
        assert told in run.error
        disk.free()
        launch(machine, client, workflow).wait(machines.PATIENCE_S)


UP = """
import ctypes
import os
import resource
import struct
import sys
from typedflow import cli

limit, *sys.argv[1:] = os.environ["ARGUMENTS"].split()
resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), resource.RLIM_INFINITY))
# Nothing is read-only to root, until it gives up its capabilities.
assert ctypes.CDLL(None).capset(struct.pack("Ii", 0x20080522, 0), bytes(24)) == 0
cli.main()
"""


def refused(machine, *codes, command="up --port 0 --http-port 0", limit=resource.RLIM_INFINITY):
    """What a command says that can't do with the home."""
    service = machine.start(python=UP, ARGUMENTS=f"{limit} {command}")
    assert service.process.wait(machines.PATIENCE_S) == 2, service.output
    assert "Traceback" not in service.output
    assert service.output.partition("error[")[2].partition("]")[0] in codes, service.output
    assert str(machine.home) in service.output
    return service.output


@pytest.mark.slow
def test_a_server_that_can_not_start_on_a_full_disk_says_so(machine, disk):
    if isinstance(disk, disks.Limited):
        assert machine.up().stop() == 0
        refused(machine, "HomeUnfit", "DatabaseUnfit", limit=2_000)  # what it says is in a file, too
    else:
        disk.fill()
        refused(machine, "HomeUnfit", "DatabaseUnfit")
        disk.free()
    assert machine.up().stop() == 0


@pytest.fixture
def read_only(machine):
    """A machine whose home nobody may write to."""
    assert machine.up().stop() == 0
    for path in [machine.home, *machine.home.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return machine


@pytest.mark.slow
def test_a_server_that_can_not_write_to_its_home_says_so(read_only):
    assert "Permission denied" in refused(read_only, "HomeUnfit")
    (read_only.home / "server.lock").chmod(0o644)
    assert "readonly database" in refused(read_only, "DatabaseUnfit")
    read_only.home.chmod(0o755)
    assert "readonly database" in refused(read_only, "DatabaseUnfit")
    read_only.home.chmod(0o555)
    (read_only.home / "typedflow.db").chmod(0o644)
    assert "database" in refused(read_only, "DatabaseUnfit")


def test_a_propeller_that_can_not_write_to_its_home_says_so(machine):
    machine.home.mkdir(0o555)
    said = refused(machine, "HomeUnfit", command="propeller run --admin 127.0.0.1:1 --token x")
    assert "this can't be an executor's home: Permission denied" in said
