"""PostgreSQL that is killed, is another server's, or becomes another server's: nothing is lost or written twice."""

import collections
import os
import random
import signal

import pytest

from tests.e2e import machines
from typedflow import errors

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

STEPS = """
    import time
    from pathlib import Path
    from typedflow import current_context, map_task, task, workflow

    def note(where: str) -> None:
        mine = current_context()
        with Path(where, "notes").open("a") as notes:
            notes.write(f"{mine.execution_id}/{mine.node} {mine.attempt}\\n")

    @task
    def square(where: str, n: int) -> int:
        note(where)
        time.sleep(0.05)
        return n * n

    @task
    def total(where: str, numbers: list[int]) -> int:
        note(where)
        return sum(numbers)

    @workflow
    def squares(where: str, numbers: list[int]) -> int:
        return total(where=where, numbers=map_task(square)(where=where, n=numbers))

    @task
    def waits(where: str, name: str) -> int:
        note(where)
        while not Path(where, f"{name}.go").exists():
            time.sleep(0.01)
        return len(name)

    @workflow
    def waiting(where: str, name: str) -> int:
        return waits(where=where, name=name)
"""
TOKEN = "whoever is admin"


@pytest.fixture
def database(postgres_server):
    return postgres_server.new_database()


@pytest.fixture
def other(tmp_path):
    """Another machine."""
    folder = tmp_path / "other"
    folder.mkdir()
    made = machines.Machine(folder)
    yield made
    made.close()


def up(machine, database):
    return machine.announced(start(machine, database))


def start(machine, database):
    return machine.start("up", "--port", "0", "--http-port", "0", "--database", database)


def two_services(machine, database):
    admin = machine.start(
        *("admin", "serve", "--port", "0", "--http-port", "0", "--database", database), TYPEDFLOW_TOKEN=TOKEN
    )
    machine.announced(admin)
    return [admin, machine.start("propeller", "run", TYPEDFLOW_TOKEN=TOKEN)]


def launch_waiting(machine, client, name):
    client.register(machine.write("steps_away", STEPS))
    run = client.launch("waiting", inputs={"where": str(machine.folder), "name": name})
    machines.until(lambda: machine.notes, "the task runs")
    return run


def refuses(client, name, inputs, id_):
    """Nothing is answered while the database is away, and it is said why."""
    for call in (lambda: client.launch(name, inputs=inputs), lambda: client.run(id_).phase):
        with pytest.raises(errors.ServerUnreachable) as refused:
            call()
        assert refused.value.code == "DatabaseUnavailable"
        assert "\n" not in refused.value.message


@pytest.mark.parametrize("processes", [1, 2])
def test_e3_a_database_that_is_killed_in_the_middle_costs_nothing_but_time(
    machine, postgres_server, database, processes
):
    services = [up(machine, database)] if processes == 1 else two_services(machine, database)
    chance = random.Random(processes)
    ids = {}

    def five_from(base):
        return {"where": str(machine.folder), "numbers": [base + i for i in range(5)]}

    with machine.client() as client:
        client.register(machine.write("steps_away", STEPS))
        for crash in range(3):
            for base in range(4 * crash, 4 * crash + 4):
                ids[base] = client.launch("squares", inputs=five_from(base)).id
            wanted = len(machine.notes) + chance.randrange(1, 12)
            machines.until(lambda: len(machine.notes) >= wanted, "tasks run")  # noqa: B023 - awaited here
            postgres_server.crash()
            try:
                refuses(client, "squares", five_from(4 * crash), ids[0])
            finally:
                postgres_server.start()
        for base, id_ in ids.items():
            run = client.run(id_).wait(machines.PATIENCE_S)
            assert run.outputs.o0 == sum((base + i) ** 2 for i in range(5))
            assert {each.attempts for each in run.nodes if each.id == "total"} == {1}
        assert len(list(client.runs())) == len(ids)
    assert set(collections.Counter(machine.notes).values()) == {1}
    assert [line for line in machine.notes if not line.endswith(" 1")] == []
    assert len(machine.notes) == 6 * len(ids)
    for service in services:
        assert service.is_running, service.output
        assert "Traceback" not in service.output
        assert "incident" not in service.output


def test_who_waits_for_an_execution_does_not_notice_that_the_database_was_away(
    machine, postgres_server, database
):
    up(machine, database)
    with machine.client() as client:
        client.register(machine.write("steps_away", STEPS))
    inputs = ("--input", f"where={machine.folder}", "--input", "name=gate")
    waits = machine.start("launch", "waiting", "--wait", *inputs)
    machines.until(lambda: machine.notes, "the task runs")
    postgres_server.crash()
    try:
        machine.open_gate("gate")
        machines.until(lambda: not machine.processes("run_task child"), "the task ends")
        assert waits.is_running, waits.output
    finally:
        postgres_server.start()
    assert waits.process.wait(machines.PATIENCE_S) == 0, waits.output
    assert "o0  4" in waits.output


def test_a_second_server_on_one_database_is_refused_also_after_the_database_was_away(
    machine, other, postgres_server, database
):
    first = up(machine, database)

    def refused():
        second = start(other, database)
        assert second.process.wait(machines.PATIENCE_S) == 2
        assert "error[DatabaseInUse]: another server has this database" in second.output
        assert database in second.output
        assert "Traceback" not in second.output

    refused()
    postgres_server.crash()
    postgres_server.start()
    machines.until(lambda: has_the_lock(database), "the first server holds the database again")
    refused()
    with machine.client() as client:
        run = launch_waiting(machine, client, "gate")
        machine.open_gate("gate")
        assert run.wait(machines.PATIENCE_S).outputs.o0 == 4
    assert first.stop() == 0
    up(other, database)


def has_the_lock(database):
    """Whether somebody holds the database as servers do."""
    return asked(
        database,
        "SELECT count(*) FROM pg_locks JOIN pg_database ON oid = database"
        " WHERE locktype = 'advisory' AND datname = current_database()",
    )


def asked(database, question):
    """What a database answers, in one number."""
    import psycopg  # comes with the extra `postgres`, and this file is read without it too

    with psycopg.connect(database, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


@pytest.mark.parametrize("processes", [1, 2])
def test_e2_a_server_whose_database_was_taken_over_writes_nothing_more_and_ends(
    machine, other, database, processes
):
    server = up(machine, database) if processes == 1 else two_services(machine, database)[0]
    with machine.client() as client:
        run = launch_waiting(machine, client, "gate")
        # The first machine sleeps for so long that PostgreSQL has closed its connections.
        os.kill(server.process.pid, signal.SIGSTOP)
        asked(
            database,
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        machines.until(lambda: not has_the_lock(database), "the first server's connections are closed")
        up(other, database)
        os.kill(server.process.pid, signal.SIGCONT)
        with pytest.raises(errors.ServerUnreachable):
            client.launch("waiting", inputs={"where": str(machine.folder), "name": "never"})
    assert server.process.wait(machines.PATIENCE_S) == 2
    assert (
        "error[DatabaseInUse]: the server stopped: another server has taken over its database"
        in server.output
    )
    assert "Traceback" not in server.output
    assert not (machine.home / "server.json").exists()
    with other.client() as client:
        assert [each.id for each in client.runs()] == [run.id]
        assert client.run(run.id).phase == "RUNNING"


def test_a_server_whose_database_is_not_there_says_so(machine, postgres_server, database):
    postgres_server.crash()
    try:
        server = start(machine, database)
        assert server.process.wait(machines.PATIENCE_S) == 2
    finally:
        postgres_server.start()
    assert "error[DatabaseUnfit]: this can't be a server's database" in server.output
    assert "Connection refused" in server.output
    assert "Traceback" not in server.output
    missing = start(machine, database + "_missing")
    assert missing.process.wait(machines.PATIENCE_S) == 2
    assert "does not exist" in missing.output
    assert "Traceback" not in missing.output
