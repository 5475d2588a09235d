"""Whatever is killed, executions end right, and what has run does not run again."""

import functools
import os
import random
import signal

import pytest

from tests.e2e import machines

STEPS = """
    import os
    import subprocess
    import time
    from pathlib import Path
    from typedflow import task, workflow

    def note(where: str, text: str) -> None:
        with Path(where, "notes").open("a") as notes:
            notes.write(text + "\\n")

    @task
    def step(where: str, name: str, n: int) -> int:
        note(where, f"{name} {os.getpid()}")
        while not Path(where, f"{name}.go").exists():
            time.sleep(0.01)
        return n + 1

    @workflow
    def chain(where: str) -> int:
        n = step.with_overrides(name="first")(where=where, name="first", n=0)
        n = step.with_overrides(name="second")(where=where, name="second", n=n)
        n = step.with_overrides(name="third")(where=where, name="third", n=n)
        n = step.with_overrides(name="fourth")(where=where, name="fourth", n=n)
        return step.with_overrides(name="fifth")(where=where, name="fifth", n=n)

    @workflow
    def single(where: str, name: str) -> int:
        return step(where=where, name=name, n=0)

    @task
    def family(where: str) -> int:
        child = subprocess.Popen(["sleep", "1000"])
        note(where, f"family {os.getpid()} {child.pid}")
        child.wait()
        return 0

    @workflow
    def with_child(where: str) -> int:
        return step(where=where, name="after", n=family(where=where))
"""
SQUARES = """
    import os
    from pathlib import Path
    from typedflow import Cache, task, workflow

    @task(cache=Cache(ignored_inputs=("where",)))
    def square(where: str, base: int, offset: int) -> int:
        with Path(where, "notes").open("a") as notes:
            notes.write(f"square-{base + offset} {os.getpid()}\\n")
        return (base + offset) ** 2

    @task(cache=Cache(ignored_inputs=("where",)))
    def total(where: str, numbers: list[int]) -> int:
        with Path(where, "notes").open("a") as notes:
            notes.write(f"total-{numbers[0]} {os.getpid()}\\n")
        return sum(numbers)

    @workflow
    def squares(where: str, base: int) -> int:
        return total(where=where, numbers=[square(where=where, base=base, offset=i) for i in range(9)])
"""


def node(run, name):
    return next(each for each in run.nodes if each.id == name)


def has_notes(machine, count):
    return len(machine.notes) >= count


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def living(tmp_path_factory):
    """A machine whose server stays up through several tests, with the steps registered."""
    made = machines.Machine(tmp_path_factory.mktemp("machine"))
    try:
        made.up()
        with made.client() as client:
            client.register(made.write("steps_of_living", STEPS))
        yield made
    finally:
        made.close()


def test_e3_a_killed_server_loses_nothing_and_runs_nothing_twice(machine):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("steps", STEPS))
        run = client.launch("chain", inputs={"where": str(machine.folder)})
        machine.open_gate("first")
        ends_alone = machine.pid("second")

    # The second node ends while nobody watches.
    server.kill()
    assert is_alive(ends_alone)
    machine.open_gate("second")
    machines.until(lambda: ends_alone not in machine.processes(), "the second node ends")
    server = machine.up()
    lives_on = machine.pid("third")

    # The third lives through it and is adopted.
    server.kill()
    server = machine.up()
    assert is_alive(lives_on)
    with machine.client() as client:
        assert client.run(run.id).phase == "RUNNING"
    machine.open_gate("third")
    dies = machine.pid("fourth")

    # The fourth is killed too.
    server.kill()
    os.kill(dies, signal.SIGKILL)
    machine.up()
    machines.until(lambda: machine.runs()["fourth"] == 2, "the fourth node runs again")
    assert machine.pid("fourth") != dies
    machine.open_gate("fourth")
    machine.open_gate("fifth")

    with machine.client() as client:
        run = client.run(run.id).wait(machines.PATIENCE_S)
        assert run.outputs.o0 == 5
        assert machine.runs() == {"first": 1, "second": 1, "third": 1, "fourth": 2, "fifth": 1}
        assert {each.id: each.attempts for each in run.nodes} == machine.runs()


@pytest.mark.slow
def test_e3_kills_in_heavy_traffic_change_no_result(machine):
    chance = random.Random(20_240)
    server = machine.up()
    ids = {}
    with machine.client() as client:
        client.register(machine.write("squares_module", SQUARES))
        for base in (0, 100, 200, 300):
            ids[base] = client.launch("squares", inputs={"where": str(machine.folder), "base": base}).id
    for ran in sorted(chance.sample(range(2, 36), 3)):
        machines.until(functools.partial(has_notes, machine, ran), f"{ran} tasks have run")
        server.kill()
        server = machine.up()
    with machine.client() as client:
        for base, id_ in ids.items():
            expected = sum((base + i) ** 2 for i in range(9))
            assert client.run(id_).wait(machines.PATIENCE_S).outputs.o0 == expected
        assert len(machine.runs()) == 40
        assert set(machine.runs().values()) == {1}
        for base in ids:
            again = client.launch("squares", inputs={"where": "elsewhere", "base": base}).wait(
                machines.PATIENCE_S
            )
            assert again.outputs.o0 == sum((base + i) ** 2 for i in range(9))
            assert {each.cache for each in again.nodes} == {"HIT"}
    assert len(machine.notes) == 40


@pytest.mark.slow
def test_a_stopped_server_ends_its_attempts_and_the_next_one_runs_them_again(machine):
    server = machine.up()
    with machine.client() as client:
        client.register(machine.write("steps_stopped", STEPS))
        ended = client.launch("single", inputs={"where": str(machine.folder), "name": "before"})
        machine.open_gate("before")
        ended.wait(machines.PATIENCE_S)
        running = client.launch("single", inputs={"where": str(machine.folder), "name": "during"})
        machine.pid("during")

    assert server.stop() == 0, server.output
    assert machine.processes() == []

    machine.up()
    with machine.client() as client:
        assert [each.id for each in client.runs()] == [running.id, ended.id]
        assert client.run(ended.id).outputs.o0 == 1
        machine.open_gate("during")
        assert client.run(running.id).wait(machines.PATIENCE_S).outputs.o0 == 1
        assert machine.runs() == {"before": 1, "during": 2}
        assert node(client.run(running.id), "step").attempts == 2


def test_e5_a_killed_attempt_is_the_platforms_failure_and_runs_again(living):
    with living.client() as client:
        run = client.launch("single", inputs={"where": str(living.folder), "name": "killed"})
        os.kill(living.pid("killed"), signal.SIGKILL)
        living.open_gate("killed")
        assert run.wait(machines.PATIENCE_S).outputs.o0 == 1
        assert node(run, "step").attempts == 2
        assert living.runs()["killed"] == 2


def test_e3_a_killed_template_touches_neither_what_runs_nor_what_comes(living):
    with living.client() as client:
        run = client.launch("single", inputs={"where": str(living.folder), "name": "orphaned"})
        attempt = living.pid("orphaned")
        templates = living.processes("run_task template")
        assert attempt in templates  # a fork looks as what it was forked from
        templates.remove(attempt)
        assert len(templates) == 1
        os.kill(templates[0], signal.SIGKILL)
        later = client.launch("single", inputs={"where": str(living.folder), "name": "later"})
        living.open_gate("orphaned")
        living.open_gate("later")
        for each in (run, later):
            assert each.wait(machines.PATIENCE_S).outputs.o0 == 1
            assert node(each, "step").attempts == 1
        assert (living.runs()["orphaned"], living.runs()["later"]) == (1, 1)


def test_e12_an_abort_ends_the_tasks_whole_family_and_says_why(living):
    with living.client() as client:
        run = client.launch("with_child", inputs={"where": str(living.folder)})
        parent = living.pid("family")
        assert len(living.processes("sleep 1000")) == 1
        run.abort("wrong inputs")
        run.wait(machines.PATIENCE_S, check=False)
        assert run.phase == "ABORTED"
        assert "wrong inputs" in run.error
        assert node(run, "family").phase == "ABORTED"
        assert node(run, "step").phase == "SKIPPED"
        assert "aborted" in node(run, "step").reason
        assert living.processes("sleep 1000") == []
        assert parent not in living.processes()
        run.abort("again")
        assert "wrong inputs" in run.refresh().error


def test_a_second_server_on_one_home_is_refused_and_says_who_has_it(living):
    second = living.start("up", "--port", "0", "--http-port", "0")
    assert second.process.wait(machines.PATIENCE_S) == 2
    assert "error[HomeInUse]" in second.output
    assert str(living.info.pid) in second.output
    assert str(living.home) in second.output
    assert "Traceback" not in second.output
    with living.client() as client:
        living.open_gate("undisturbed")
        run = client.launch("single", inputs={"where": str(living.folder), "name": "undisturbed"})
        assert run.wait(machines.PATIENCE_S).outputs.o0 == 1
