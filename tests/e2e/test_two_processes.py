"""Admin and propeller as two processes with one object store, as they run in production."""

import os
import signal

import pytest
from typedflow_propeller import attempt_folder

from tests.e2e import machines

STEPS = """
    import os
    import time
    from pathlib import Path
    from typedflow import File, LaunchPlan, task, workflow

    def note(where: str, text: str) -> None:
        with Path(where, "notes").open("a") as notes:
            notes.write(text + "\\n")

    @task
    def waits(where: str, name: str) -> int:
        print("waiting for", name)
        note(where, f"{name} {os.getpid()}")
        while not Path(where, f"{name}.go").exists():
            time.sleep(0.01)
        return len(name)

    @task
    def page(where: str, length: int) -> File:
        note(where, f"page {os.getpid()}")
        Path("page.txt").write_text("x" * length)
        return File("page.txt")

    @workflow
    def paged(where: str, name: str) -> File:
        return page(where=where, length=waits(where=where, name=name))

    @task
    def together(where: str, i: int) -> None:
        note(where, f"+{i}")
        time.sleep(0.05)
        note(where, f"-{i}")

    @workflow
    def crowd(where: str) -> None:
        for i in range(8):
            together(where=where, i=i)

    pairs = LaunchPlan(crowd, name="pairs", max_parallelism=2)
"""

# Admin whose leases end soon, so that what a killed propeller held is handed out again soon.
ADMIN = """
import os
from pathlib import Path
from typedflow import services
from typedflow_admin import server

options = server.Options(Path(os.environ["TYPEDFLOW_HOME"]), port=0, http_port=0, lease_ms=2_000)
with services.stop_signals() as stopped, server.EmbeddedServer(options, propeller=False):
    stopped.wait()
"""


def most_at_once(notes):
    at_once = most = 0
    for line in notes:
        at_once += {"+": 1, "-": -1}[line[0]]
        most = max(most, at_once)
    return most


def test_an_execution_goes_all_the_way_through_admin_and_propeller(machine):
    admin = machine.announced(machine.start("admin", "serve", "--port", "0", "--http-port", "0"))
    propeller = machine.start("propeller", "run", "--slots", "4")
    with machine.client() as client:
        client.register(machine.write("steps_of_two", STEPS))
        run = client.launch("paged", inputs={"where": str(machine.folder), "name": "gate"})
        machine.open_gate("gate")
        assert run.wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"
        assert b"".join(client.logs(run.id, "waits")) == b"waiting for gate\n"
        assert [(each.id, each.phase, each.attempts) for each in run.nodes] == [
            ("waits", "SUCCEEDED", 1),
            ("page", "SUCCEEDED", 1),
        ]

        (machine.folder / "notes").unlink()
        client.launch("crowd", inputs={"where": str(machine.folder)}).wait(machines.PATIENCE_S)
        assert most_at_once(machine.notes) > 2  # there is room for more than the launch plan allows
        (machine.folder / "notes").unlink()
        client.launch("pairs", inputs={"where": str(machine.folder)}).wait(machines.PATIENCE_S)
        assert len(machine.notes) == 16
        assert most_at_once(machine.notes) <= 2

        running = client.launch("paged", inputs={"where": str(machine.folder), "name": "never"})
        machine.pid("never")

    assert propeller.stop() == 0, propeller.output
    assert "Traceback" not in propeller.output
    with machine.client() as client:
        assert client.run(running.id).phase == "RUNNING"
    assert admin.stop() == 0, admin.output
    assert "Traceback" not in admin.output
    assert not (machine.home / "server.json").exists()
    assert machine.processes() == []


@pytest.mark.slow
def test_e3_another_propeller_finishes_what_a_killed_one_began(machine):
    machine.announced(machine.start(python=ADMIN))
    propeller = machine.start("propeller", "run")
    with machine.client() as client:
        client.register(machine.write("steps_handed_over", STEPS))
        run = client.launch("paged", inputs={"where": str(machine.folder), "name": "gate"})
        attempt = machine.pid("gate")
        propeller.kill()
        machine.start("propeller", "run")
        machine.open_gate("gate")
        assert run.wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"
        assert [each.attempts for each in run.nodes] == [1, 1]
        assert machine.runs() == {"gate": 1, "page": 1}
        assert machine.pid("gate") == attempt


def elsewhere(machine, name):
    """A propeller whose attempts are in a home of their own."""
    home, store = machine.folder / name, machine.home / "objects"
    return machine.start(
        *("propeller", "run", "--admin", machine.info.grpc, "--home", str(home), "--store", str(store)),
        TYPEDFLOW_TOKEN=machine.info.token,
    )


@pytest.mark.slow
def test_e3_an_attempt_whose_machine_is_away_runs_again_elsewhere_and_counts_once(machine):
    machine.announced(machine.start(python=ADMIN))
    first = elsewhere(machine, "first")
    with machine.client() as client:
        client.register(machine.write("steps_elsewhere", STEPS))
        run = client.launch("paged", inputs={"where": str(machine.folder), "name": "gate"})
        lost = machine.pid("gate")
        first.kill()
        second = elsewhere(machine, "second")
        machines.until(lambda: machine.runs()["gate"] == 2, "the attempt runs again")
        machine.open_gate("gate")
        assert run.wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"
        nodes = [(each.id, each.phase, each.attempts) for each in run.nodes]
        assert nodes == [("waits", "SUCCEEDED", 2), ("page", "SUCCEEDED", 1)]

        # The one that was lost has ended too; its machine comes back, and what it says changes nothing.
        machines.until(lambda: lost not in machine.processes(), "the lost attempt ends")
        attempts = machine.folder / "first" / "attempts"
        assert list(attempt_folder.unfinished(attempts))
        elsewhere(machine, "first")
        machines.until(lambda: not list(attempt_folder.unfinished(attempts)), "its outcome is refused")
        assert [(each.id, each.phase, each.attempts) for each in run.nodes] == nodes
        assert second.is_running


@pytest.mark.slow
def test_e3_an_execution_whose_machine_is_gone_can_be_aborted(machine):
    machine.announced(machine.start(python=ADMIN))
    first = elsewhere(machine, "first")
    with machine.client() as client:
        client.register(machine.write("steps_gone", STEPS))
        run = client.launch("paged", inputs={"where": str(machine.folder), "name": "never"})
        attempt = machine.pid("never")
        first.kill()
        os.kill(attempt, signal.SIGKILL)
        run.abort()
        elsewhere(machine, "second")
        assert run.wait(machines.PATIENCE_S, check=False).phase == "ABORTED"
        assert machine.runs() == {"never": 1}


@pytest.mark.slow
def test_e3_a_propeller_survives_the_admin_that_it_works_for(machine):
    admin = machine.announced(machine.start(python=ADMIN))
    address = machine.info.grpc
    token = machine.info.token
    propeller = machine.start("propeller", "run", "--admin", address, TYPEDFLOW_TOKEN=token)
    with machine.client() as client:
        client.register(machine.write("steps_of_survivor", STEPS))
        run = client.launch("paged", inputs={"where": str(machine.folder), "name": "gate"})
        attempt = machine.pid("gate")
    admin.kill()
    machine.open_gate("gate")
    machines.until(lambda: attempt not in machine.processes(), "the attempt ends while there is no admin")
    port = address.rpartition(":")[2]
    again = ADMIN.replace("port=0,", f"port={port}, token={token!r},", 1)
    machine.announced(machine.start(python=again))
    with machine.client() as client:
        assert client.run(run.id).wait(machines.PATIENCE_S).outputs.o0.read_bytes() == b"xxxx"
        assert machine.runs() == {"gate": 1, "page": 1}
    assert propeller.is_running


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A machine with an admin and nothing else."""
    made = machines.Machine(tmp_path_factory.mktemp("machine"))
    try:
        made.announced(made.start("admin", "serve", "--port", "0", "--http-port", "0"))
        yield made
    finally:
        made.close()


def test_s1_a_propeller_with_a_wrong_token_is_refused(served):
    propeller = served.start("propeller", "run", "--token", "guessed")
    assert propeller.process.wait(machines.PATIENCE_S) == 4, propeller.output
    assert "error[PermissionDenied]" in propeller.output
    assert "guessed" not in propeller.output
    assert "Traceback" not in propeller.output


def test_a_second_propeller_on_one_home_is_refused(served):
    first = served.start("propeller", "run")
    machines.until(
        lambda: (served.home / "executor-id").exists() or not first.is_running,
        "the first propeller has the home",
    )
    second = served.start("propeller", "run")
    machines.until(lambda: not (first.is_running and second.is_running), "one of the two gives up")
    refused = second if first.is_running else first
    assert refused.process.returncode == 2
    assert "error[HomeInUse]" in refused.output
    assert "Traceback" not in refused.output


def test_a_propeller_that_knows_no_admin_says_how_to_give_it_one(machine):
    propeller = machine.start("propeller", "run")
    assert propeller.process.wait(machines.PATIENCE_S) == 2
    assert "no admin is known" in propeller.output
    assert "--admin" in propeller.output
