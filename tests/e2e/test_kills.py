"""A hundred launches while admin, propeller and workers are killed at random: all end right, on each database."""

import collections
import functools
import os
import random
import signal

import pytest

from tests.e2e import machines

LAUNCHES = 100
KILLS = 18
TOKEN = "the same whenever admin is started"
SUMS = """
    from pathlib import Path
    from typedflow import Cache, File, Retry, current_context, map_task, task, workflow

    def note(where: str) -> None:
        mine = current_context()
        with Path(where, "notes").open("a") as notes:
            notes.write(f"{mine.execution_id}/{mine.node} {mine.attempt}\\n")

    @task(cache=Cache(ignored_inputs=("where",)))
    def square(where: str, n: int) -> int:
        note(where)
        return n * n

    @task
    def page(where: str, n: int) -> File:
        note(where)
        Path("page.txt").write_text("x" * n)
        return File("page.txt")

    @task(retries=1)
    def total(where: str, numbers: list[int], page: File) -> int:
        note(where)
        if current_context().attempt == 1:
            raise RuntimeError("the first attempt always fails")
        return sum(numbers) + len(Path(page).read_text())

    @workflow
    def sums(where: str, numbers: list[int], size: int) -> int:
        squares = map_task(square)(where=where, n=numbers)
        return total(where=where, numbers=squares, page=page(where=where, n=size))
"""
# Admin whose leases end soon, so that what a killed propeller held is handed out again soon.
ADMIN = """
import os
from pathlib import Path
from typedflow import services
from typedflow_admin import server

options = server.Options(
    Path(os.environ["TYPEDFLOW_HOME"]), port=int(os.environ["PORT"]), http_port=0, lease_ms=2_000,
    database=os.environ["DATABASE"], token=os.environ["TYPEDFLOW_TOKEN"],
)
with services.stop_signals() as stopped, server.EmbeddedServer(options, propeller=False):
    stopped.wait()
"""


class Cluster:
    """Admin and a propeller as processes, each started again when it is killed."""

    def __init__(self, machine, database):
        self._machine = machine
        self._database = database
        self._port = 0
        self._admin = self._start_admin()
        self._port = machine.info.grpc.rpartition(":")[2]
        self._propeller = self._start_propeller()

    def _start_admin(self):
        variables = {"PORT": str(self._port), "DATABASE": self._database, "TYPEDFLOW_TOKEN": TOKEN}
        return self._machine.announced(self._machine.start(python=ADMIN, **variables))

    def _start_propeller(self):
        return self._machine.start("propeller", "run", "--slots", "3", TYPEDFLOW_TOKEN=TOKEN)

    def kill(self, what):
        """Gives whether there was something to kill."""
        match what:
            case "admin":
                self._admin.kill()
                self._admin = self._start_admin()
            case "propeller":
                self._propeller.kill()
                self._propeller = self._start_propeller()
            case "worker":
                workers = self._machine.processes("run_task")
                for pid in workers:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                return bool(workers)
            case _:
                raise AssertionError(what)
        return True


def has_notes(machine, count):
    return len(machine.notes) >= count


def expected(base):
    return sum((base + i) ** 2 for i in range(4)) + base


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request):
    return "" if request.param == "sqlite" else request.getfixturevalue("postgres_server").new_database()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_e3_a_hundred_launches_end_right_whatever_is_killed(machine, database):
    chance = random.Random(20_241)
    cluster = Cluster(machine, database)
    runs: dict[int, str] = {}
    with machine.client() as client:
        client.register(machine.write("sums_module", SUMS))
    killed: collections.Counter[str] = collections.Counter()
    for kill in range(KILLS):
        with machine.client() as client:
            for base in range(len(runs), (kill + 1) * LAUNCHES // KILLS):
                inputs = {"where": str(machine.folder), "numbers": [base + i for i in range(4)], "size": base}
                runs[base] = client.launch("sums", inputs=inputs).id
        wanted = len(machine.notes) + chance.randrange(1, 15)
        machines.until(functools.partial(has_notes, machine, wanted), "tasks run")
        victim = ["admin", "propeller", "worker"][kill % 3]
        killed[victim] += cluster.kill(victim)
    assert len(runs) == LAUNCHES
    assert killed.total() >= 15, killed
    with machine.client() as client:
        ended = {base: client.run(id_).wait(machines.PATIENCE_S) for base, id_ in runs.items()}
        for base, run in ended.items():
            assert run.outputs.o0 == expected(base), (base, run.id)
        attempts = {f"{run.id}/{each.id}": each.attempts for run in ended.values() for each in run.nodes}
    # At most one runner of an attempt ran the author's code, and none after the one that succeeded.
    assert max(collections.Counter(machine.notes).values()) == 1
    for line in machine.notes:
        node, attempt = line.split()
        if node in attempts:  # slots of maps are not listed with the nodes
            assert int(attempt) <= attempts[node], line
