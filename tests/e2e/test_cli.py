"""The command line against a server, as its users meet it: what they read, what programs read, and exit codes."""

import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from tests.e2e import machines, terminals
from typedflow import settings

STEPS = """
    import time
    from pathlib import Path
    from typedflow import File, LaunchPlan, task, workflow

    @task(cache=True)
    def double(n: int) -> int:
        \"\"\"Twice as much.\"\"\"
        print("doubling", n)
        return 2 * n

    @task
    def fails(n: int) -> int:
        print("about to fail")
        raise ValueError(f"no {n}")

    @task
    def mistypes(n: int) -> int:
        return "x"  # type: ignore

    @task
    def waits(where: str) -> None:
        while not Path(where, "go").exists():
            time.sleep(0.01)

    @task
    def size(file: File) -> int:
        return file.size

    @workflow
    def quadruple(n: int, version: int = 1) -> int:
        \"\"\"Four times as much.

        Args:
            n: of what.
        \"\"\"
        return double(n=double(n=n))

    @workflow
    def failing(n: int = 3) -> int:
        return double(n=fails(n=n))

    @workflow
    def mistyping(n: int = 3) -> int:
        return mistypes(n=n)

    @workflow
    def waiting(where: str) -> None:
        waits(where=where)

    @workflow
    def measured(file: File) -> int:
        return size(file=file)

    ten = LaunchPlan(quadruple, name="ten", fixed_inputs={"n": 10})
"""
MISWIRED = (
    STEPS
    + """
    @workflow
    def wrong() -> int:
        return double(n="three")
"""
)


@pytest.fixture
def terminal(machine):
    """A terminal on a machine without a server."""
    return terminals.Terminal(machine)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A terminal on a machine with a server that knows STEPS."""
    machine = machines.Machine(tmp_path_factory.mktemp("cli"))
    machine.up()
    made = terminals.Terminal(machine)
    made.run("register", str(machine.write("steps", STEPS)), "--version", "v1")
    yield made
    machine.close()


def test_a_waited_for_launch_shows_each_node_and_the_outputs(served):
    lines = served.run("launch", "quadruple", "--n", "100", "--wait").stdout.splitlines()
    assert lines[0].startswith("execution ")
    assert [line.split()[:3] for line in lines if "SUCCEEDED" in line] == [
        ["double", "SUCCEEDED", "POPULATED"],
        ["double-2", "SUCCEEDED", "POPULATED"],
    ]
    assert lines[-2:] == ["outputs", "  o0  400"]
    again = served.run("launch", "steps.quadruple", "--n=100", "--wait").stdout
    assert again.count(" HIT ") == 2
    assert again.count("saved") == 2


def test_programs_read_an_execution_as_documented(served):
    launched = served.read("launch", "quadruple", "--n", "5", "--wait")
    assert list(launched) == [
        "id", "project", "domain", "launch_plan", "phase", "inputs", "outputs", "error", "started_at", "ended_at",
        "nodes",
    ]  # fmt: skip
    assert launched["launch_plan"] == {"name": "steps.quadruple", "version": "v1"}
    assert (launched["phase"], launched["inputs"], launched["outputs"]) == (
        "SUCCEEDED",
        {"n": 5, "version": 1},
        {"o0": 20},
    )
    assert launched["error"] is None
    assert list(launched["nodes"][0]) == [
        "id", "task", "phase", "reason", "cache", "cache_reason", "attempts", "started_at", "ended_at",
        "error",
    ]  # fmt: skip
    assert (launched["nodes"][0]["task"], launched["nodes"][0]["attempts"]) == ("steps.double", 1)
    assert served.read("get", "executions", launched["id"]) == launched
    assert served.read("get", "nodes", launched["id"]) == launched["nodes"]
    newest = served.read("get", "executions", "--launch-plan", "quadruple", "--limit", "1")
    assert newest == [{name: launched[name] for name in launched if name != "nodes"}]


def test_inputs_come_from_options_pairs_files_and_standard_input(served):
    assert served.read("launch", "ten", "--wait")["outputs"] == {"o0": 40}
    by_pair = served.read(
        "launch", "quadruple", "--n", "1", "--input", "version=2", "--version", "v1", "--wait"
    )
    assert by_pair["inputs"] == {"n": 1, "version": 2}
    done = served.run(
        "launch", "quadruple", "--inputs-file", "-", "--wait", "-o", "json", stdin='{"n": 2, "version": 3}'
    )
    assert json.loads(done.stdout)["outputs"] == {"o0": 8}
    path = served.machine.folder / "five"
    path.write_bytes(b"12345")
    assert served.read("launch", "measured", "--file", "five", "--wait")["outputs"] == {"o0": 5}


def test_a_launch_may_make_some_or_all_nodes_anew(served):
    def caches(*arguments: str) -> list[str]:
        launched = served.read("launch", "quadruple", "--wait", "--n", "7", *arguments)
        return [node["cache"] for node in launched["nodes"]]

    assert caches() == ["POPULATED", "POPULATED"]
    assert caches("--overwrite-cache", "double-2") == ["HIT", "POPULATED"]
    assert caches("--overwrite-cache", "double", "double-2") == ["POPULATED", "POPULATED"]
    assert caches("--overwrite-cache") == ["POPULATED", "POPULATED"]
    said = served.run("launch", "quadruple", "--n", "7", "--overwrite-cache", "dobule", code=2).stderr
    assert "did you mean `double`?" in said


def test_the_help_of_launch_is_made_from_the_interface(served):
    shown = served.run("launch", "quadruple", "--help").stdout
    assert "Four times as much." in shown
    assert "--n int" in shown
    assert "of what.  [required]" in shown
    assert "--input version=..." in shown
    assert "--overwrite-cache" in shown


def test_a_task_that_raises_fails_the_launch_with_1_and_its_own_lines(served):
    done = served.run("launch", "failing", "--wait", code=1)
    assert "  --> node fails" in done.stderr
    assert "FAILED: ValueError: no 3" in done.stderr
    assert 'File "steps.py", line' in done.stderr
    assert "typedflow logs" in done.stderr
    failed = served.read("launch", "failing", "--wait", code=1)
    assert failed["error"] == {"code": "ValueError", "kind": "USER", "message": "no 3", "node": "fails"}
    assert [node["phase"] for node in failed["nodes"]] == ["FAILED", "SKIPPED"]
    assert served.run("logs", failed["id"], "fails").stdout.startswith("about to fail\n")
    assert served.run("logs", failed["id"]).stdout.startswith("about to fail\n")


def test_a_result_of_the_wrong_type_fails_the_launch_with_its_path(served):
    assert (
        "outputs.o0: expected int, got 'x' (str)"
        in served.run("launch", "mistyping", "--wait", code=1).stderr
    )


def test_logs_of_several_nodes_have_headings(served):
    launched = served.read("launch", "quadruple", "--wait", "--n", "31", "--overwrite-cache")
    assert (
        served.run("logs", launched["id"]).stdout
        == "==> double <==\ndoubling 31\n\n==> double-2 <==\ndoubling 62\n"
    )
    assert served.run("logs", launched["id"], "double-2", "-f", "--attempt", "1").stdout == "doubling 62\n"
    assert "did you mean `double`?" in served.run("logs", launched["id"], "dubble", code=2).stderr
    assert "say which" in served.run("logs", launched["id"], "-f", "--attempt", "1", code=2).stderr


def test_what_a_whole_execution_writes_can_be_followed_from_before_its_first_task_began(served):
    launched = served.read("launch", "quadruple", "--n", "33")
    followed = served.run("logs", launched["id"], "-f").stdout
    assert followed == "==> double <==\ndoubling 33\n\n==> double-2 <==\ndoubling 66\n"


def test_an_input_that_a_launch_plan_has_fixed_is_told_apart_from_a_misspelt_one(served):
    for given in (("--n", "3"), ("--n=3",), ("--input", "n=3")):
        said = served.run("launch", "ten", *given, code=2).stderr
        assert "input `n` is fixed by launch plan `steps.ten`" in said
        assert "launch `steps.quadruple`" in said


def test_an_execution_of_which_nothing_ran_has_no_logs_and_says_so(served):
    served.read("launch", "quadruple", "--wait", "--n", "34")
    launched = served.read("launch", "quadruple", "--wait", "--n", "34")
    assert f"typedflow get nodes {launched['id']}" in served.run("logs", launched["id"]).stderr


def test_where_nothing_is_registered_a_list_says_where_it_looked(served):
    assert "no tasks in empty/development" in served.run("get", "tasks", "--project", "empty").stderr
    assert (
        "no executions in empty/development" in served.run("get", "executions", "--project", "empty").stderr
    )
    assert served.read("get", "workflows", "--project", "empty") == []


def test_an_abort_ends_an_execution_and_is_told_with_its_reason(served):
    id_ = served.read("launch", "waiting", "--where", str(served.machine.folder))["id"]
    served.run("abort", id_, "--reason", "too slow")

    def state() -> object:
        return served.read("get", "executions", id_)["phase"]

    machines.until(lambda: state() == "ABORTED", "the execution is aborted")
    assert "too slow" in served.run("get", "executions", id_).stdout
    assert "has ended already" in served.run("abort", id_).stdout


def test_what_is_registered_is_listed_with_its_signature(served):
    tasks = served.read("get", "tasks")
    assert [task["name"] for task in tasks] == [
        f"steps.{n}" for n in ("double", "fails", "mistypes", "size", "waits")
    ]
    assert tasks[0]["signature"] == "(n: int) -> int"
    table = served.run("get", "workflows", "quadruple").stdout.splitlines()
    assert table[0].split() == ["NAME", "VERSION", "SIGNATURE", "REGISTERED"]
    assert "(n: int, version: int = 1) -> int" in table[1]
    yaml = served.run("get", "launch-plans", "ten", "-o", "yaml").stdout
    assert yaml.startswith("- name: steps.ten\n  version: v1\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["launch", "quadrupel"], "did you mean"),
        (["launch", "quadruple", "--version", "v9"], "v9"),
        (["launch", "quadruple"], "missing --n (int)"),
        (["launch", "quadruple", "--n", "three"], "expected int"),
        (["launch", "quadruple", "--m", "3"], "No such option '--m'"),
        (["get", "executions", "nope"], "`nope`"),
        (["get", "tasks", "dubble"], "`dubble`"),
        (["abort", "nope"], "`nope`"),
        (["logs", "nope"], "`nope`"),
    ],
)
def test_unknown_names_and_values_exit_with_2_and_a_hint(served, arguments, message):
    said = served.run(*arguments, code=2).stderr
    assert said.startswith("error[")
    assert message in said
    assert " help: " in said


def test_a_dry_run_registers_nothing_and_wrong_wiring_neither(served):
    path = served.machine.write("later", STEPS)
    assert "would register" in served.run("register", str(path), "--dry-run").stdout
    broken = served.machine.write("broken", MISWIRED)
    said = served.run("register", str(broken), code=2).stderr
    assert 'double(n="three")' in said
    assert said.endswith("nothing registered\n")
    assert {task["name"].partition(".")[0] for task in served.read("get", "tasks")} == {"steps"}


def test_other_content_under_a_registered_version_is_refused(served):
    path = served.machine.write("steps", STEPS.replace("2 * n", "n + n"))
    try:
        said = served.run("register", str(path), "--version", "v1", code=2).stderr
    finally:
        served.machine.write("steps", STEPS)
    assert said.startswith("error[VersionConflict]")


def test_a_wrong_token_exits_with_4(served):
    said = served.run("get", "executions", code=4, TYPEDFLOW_TOKEN="wrong").stderr
    assert said.startswith("error[PermissionDenied]")
    assert "TYPEDFLOW_TOKEN" in said


def test_a_server_that_is_down_exits_with_3(terminal):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        said = terminal.run("get", "executions", code=3, TYPEDFLOW_ADMIN=address).stderr
    assert said.startswith("error[ServerUnreachable]: no typedflow server answers")
    assert f"--> {address}" in said


@pytest.mark.parametrize("option", ["--port", "--http-port"])
def test_a_port_in_use_exits_with_2_and_names_the_option(terminal, option):
    other = "--http-port" if option == "--port" else "--port"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = terminal.run("up", option, str(taken.getsockname()[1]), other, "0", code=2).stderr
    assert said.startswith("error[AddressRefused]")
    assert f"--> {option}" in said


def test_up_says_where_it_is_and_ends_in_order(machine):
    service = machine.up()
    machines.until(lambda: "Ctrl-C stops it" in service.output, "it says where it is")
    assert machine.info.grpc in service.output
    assert machine.info.http in service.output
    service.process.send_signal(signal.SIGINT)
    assert service.process.wait(machines.PATIENCE_S) == 0
    assert settings.server_json(machine.home) is None


def test_ctrl_c_stops_the_waiting_and_not_the_execution(served):
    machine = served.machine
    waiting = machine.start("launch", "waiting", "--where", str(machine.folder), "--wait")
    machines.until(lambda: "RUNNING" in waiting.output, "the task runs")
    waiting.process.send_signal(signal.SIGINT)
    assert waiting.process.wait(machines.PATIENCE_S) == 130
    id_ = waiting.output.split()[1]
    assert f"execution {id_} goes on" in waiting.output
    assert served.read("get", "executions", id_)["phase"] == "RUNNING"
    served.run("abort", id_)


def test_a_reader_that_goes_away_is_no_failure_of_ours(served):
    reading, writing = os.pipe()
    command = [sys.executable, "-c", "from typedflow import cli; cli.main()", "get", "tasks"]
    environment = {**os.environ, "TYPEDFLOW_HOME": str(served.machine.home)}
    os.close(reading)
    done = subprocess.run(
        command, env=environment, stdout=writing, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_run_needs_no_server_and_keeps_its_cache(terminal):
    path = str(terminal.machine.write("steps", STEPS))
    first = terminal.read("run", path, "quadruple", "--n", "3")
    assert first["outputs"] == {"o0": 12}
    assert [node["cache"] for node in first["nodes"]] == ["POPULATED", "POPULATED"]
    shown = terminal.run("run", path, "quadruple", "--n", "3").stdout
    assert shown.count(" HIT ") == 2
    assert shown.endswith("outputs\n  o0  12\n")
    assert settings.server_json(terminal.machine.home) is None
    assert "ValueError: no 3" in terminal.run("run", path, "failing", code=1).stderr


def test_what_an_authors_class_refuses_starts_no_run(terminal):
    path = terminal.machine.write(
        "ranges",
        """
        from dataclasses import dataclass
        from typedflow import task, workflow

        @dataclass
        class Range:
            low: int
            high: int

            def __post_init__(self) -> None:
                if self.low > self.high:
                    raise ValueError(f"{self.low} is above {self.high}")

        @task
        def width(ranges: list[Range], other: Range) -> int:
            return ranges[0].high - ranges[0].low

        @workflow
        def widths(ranges: list[Range], other: Range = Range(1, 2)) -> int:
            return width(ranges=ranges, other=other)
        """,
    )
    given = ["--ranges", '[{"low": 1, "high": 3}, {"low": 9, "high": 3}]', "--other", '{"low": 5, "high": 4}']
    told = terminal.run("run", str(path), "widths", *given, code=2).stderr
    assert "ranges[1]: " in told
    assert "9 is above 3" in told
    assert "5 is above 4" in told
    assert not (terminal.machine.home / "typedflow.db").exists()
    given[1] = '[{"low": 1, "high": 3}]'
    assert terminal.read("run", str(path), "widths", *given[:2])["outputs"] == {"o0": 2}


def test_run_attaches_to_the_server_that_is_up(served):
    path = str(served.machine.write("attached", STEPS))
    ran = served.read("run", path, "quadruple", "--n", "3")
    assert served.read("get", "executions", ran["id"])["outputs"] == {"o0": 12}
    remote = served.read("run", path, "quadruple", "--n", "4", "--remote")
    assert remote["outputs"] == {"o0": 16}


@pytest.mark.slow
def test_run_starts_anew_where_a_killed_server_left_its_address(terminal):
    terminal.machine.up().kill()
    assert settings.server_json(terminal.machine.home) is not None
    path = str(terminal.machine.write("steps", STEPS))
    assert terminal.read("run", path, "quadruple", "--n", "3")["outputs"] == {"o0": 12}


@pytest.mark.slow
def test_a_run_outlives_the_server_that_it_found(machine):
    server = machine.up()
    path = machine.write("steps", STEPS)
    running = machine.start("run", str(path), "waiting", "--where", str(machine.folder))
    machines.until(lambda: "RUNNING" in running.output, "the task runs")
    server.stop()
    (machine.folder / "go").touch()
    assert running.process.wait(machines.PATIENCE_S) == 0
    assert "going on with another" in running.output


def test_ctrl_c_aborts_a_run(machine):
    path = machine.write("steps", STEPS)
    running = machine.start("run", str(path), "waiting", "--where", str(machine.folder))
    machines.until(lambda: "RUNNING" in running.output, "the task runs")
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(machines.PATIENCE_S) == 130
    assert "aborted; what had finished is in the cache" in running.output
    machines.until(lambda: not machine.processes(), "nothing of it is left")


def test_who_waits_when_the_server_is_lost_hears_that_the_execution_goes_on(machine):
    machine.up()
    machine.write("steps", STEPS)
    running = machine.start(
        "run",
        str(machine.folder / "code" / "steps.py"),
        "waiting",
        "--where",
        str(machine.folder),
        "--remote",
    )
    machines.until(lambda: "RUNNING" in running.output, "the task runs")
    os.kill(machine.info.pid, signal.SIGKILL)
    assert running.process.wait(machines.PATIENCE_S) == 3
    assert "when the server is up again the execution goes on" in running.output
