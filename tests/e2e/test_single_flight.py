"""C7: of many executions that want one result one makes it, whoever is killed; with real processes."""

import os
import signal

import pytest

from tests.e2e import machines

STEPS = """
    import os
    import time
    from pathlib import Path
    from typedflow import Cache, current_context, task, workflow

    def note(where: str, text: str) -> None:
        with Path(where, "notes").open("a") as notes:
            notes.write(text + "\\n")

    @task(cache=Cache(serialize=True, ignored_inputs=("where", "name")))
    def made(where: str, name: str, n: int) -> str:
        mine = current_context()
        note(where, f"{name} {os.getpid()} {mine.execution_id}")
        while not Path(where, f"{name}.go").exists():
            time.sleep(0.01)
        return f"{n} by {mine.execution_id}"

    @workflow
    def wanted(where: str, name: str, n: int) -> str:
        return made(where=where, name=name, n=n)

    @task
    def other(where: str) -> int:
        return len(where)

    @workflow
    def beside(where: str) -> int:
        return other(where=where)
"""
# Admin whose leases end soon, so that what a lost holder held is soon another's.
ADMIN = """
import os
from pathlib import Path
from typedflow import services
from typedflow_admin import server

options = server.Options(Path(os.environ["TYPEDFLOW_HOME"]), port=0, http_port=0, lease_ms=2_000)
with services.stop_signals() as stopped, server.EmbeddedServer(options, propeller=False):
    stopped.wait()
"""
LAUNCHES = 6


def launch(client, machine, name, count=LAUNCHES, n=1):
    inputs = {"where": str(machine.folder), "name": name, "n": n}
    return [client.launch("wanted", inputs=inputs) for _ in range(count)]


def holder(machine, name):
    """The execution whose attempt ran last, and its process."""
    pid = machine.pid(name)
    return next(line.split()[2] for line in machine.notes if line.split()[:2] == [name, str(pid)]), pid


def ended(client, runs):
    """How the cache was for each, and what they gave, once all have succeeded."""
    waited = [client.run(run.id).wait(machines.PATIENCE_S) for run in runs]
    assert [run.phase for run in waited] == ["SUCCEEDED"] * len(runs)
    return [run.nodes[0].cache for run in waited], {run.outputs.o0 for run in waited}


def statuses(count):
    return ["HIT"] * (count - 1) + ["POPULATED"]


@pytest.mark.slow
def test_c7_one_makes_it_while_the_others_wait_and_hold_no_slot(machine):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("single_flight", STEPS))
        runs = launch(client, machine, "first")
        _, pid = holder(machine, "first")
        # There are two slots: who waits has none of them.
        beside = client.launch("beside", inputs={"where": "abc"}).wait(machines.PATIENCE_S)
        assert beside.outputs.o0 == 3
        assert machine.runs() == {"first": 1}

        # Its worker is killed: whoever makes it now, the others wait again.
        os.kill(pid, signal.SIGKILL)
        machines.until(lambda: machine.runs()["first"] == 2, "it runs again")

    # The server is killed while the holder's worker lives on, which it finds again.
    server.kill()
    server = machine.up()
    with machine.client() as client:
        beside = client.launch("beside", inputs={"where": "abcd"}).wait(machines.PATIENCE_S)
        assert beside.outputs.o0 == 4
        assert machine.runs() == {"first": 2}
        made_by, _ = holder(machine, "first")

        # Its execution is aborted: another one is the holder.
        client.run(made_by).abort()
        machines.until(lambda: machine.runs()["first"] == 3, "it runs a third time")
        made_by, pid = holder(machine, "first")
    # Both die at once.
    server.kill()
    os.kill(pid, signal.SIGKILL)
    machine.up()
    machines.until(lambda: machine.runs()["first"] == 4, "it runs a fourth time")
    machine.open_gate("first")
    with machine.client() as client:
        last, _ = holder(machine, "first")
        kept = [run for run in runs if client.run(run.id).phase != "ABORTED"]
        assert len(kept) == LAUNCHES - 1
        how, gave = ended(client, kept)
        assert (sorted(how), gave) == (statuses(LAUNCHES - 1), {f"1 by {last}"})
        assert machine.runs() == {"first": 4}


def propeller(machine, name):
    """A propeller whose attempts are in a home of their own."""
    home, store = machine.folder / name, machine.home / "objects"
    return machine.start(
        *("propeller", "run", "--admin", machine.info.grpc, "--home", str(home), "--store", str(store)),
        TYPEDFLOW_TOKEN=machine.info.token,
    )


@pytest.mark.slow
def test_c7_a_holder_that_stands_still_is_no_holder_and_what_it_says_late_changes_nothing(machine):
    machine.announced(machine.start(python=ADMIN))
    first = propeller(machine, "first")
    with machine.client() as client:
        client.register(machine.write("single_flight_lost", STEPS))
        (held,) = launch(client, machine, "late", count=1)
        _, lost = holder(machine, "late")
        first.process.send_signal(signal.SIGSTOP)
        second = propeller(machine, "second")
        waiting = launch(client, machine, "late", count=3)
        machines.until(lambda: machine.runs()["late"] == 2, "another makes it")
        assert lost in machine.processes()

        # All go on: the one that was lost, too, and it comes to its end; nobody knows yet.
        machine.open_gate("late")
        how, gave = ended(client, [held, *waiting])
        first.process.send_signal(signal.SIGCONT)
        machines.until(lambda: lost not in machine.processes(), "the lost one ends")
        late = launch(client, machine, "late", count=2)
        assert ended(client, late)[0] == ["HIT", "HIT"]
        assert ended(client, [held, *waiting]) == (how, gave)
        assert how.count("POPULATED") == 1, how
        assert len(gave) == 1
        assert machine.runs() == {"late": 2}
        assert first.is_running, first.output
        assert second.is_running, second.output
