"""`watch`, `logs`, `plan`, `recover`, `relaunch`, `signal`, `deck` and `run --from-execution`, as they are typed."""

import json
from pathlib import Path

import pytest

from tests.e2e import machines, terminals

pytestmark = pytest.mark.slow

SOURCE = """
    from pathlib import Path
    from typedflow import Deck, File, LaunchPlan, approve, map_task, task, wait_for_input, workflow

    @task(cache=True)
    def numbers(n: int) -> list[int]:
        return list(range(n))

    @task(cache=True)
    def square(x: int) -> int:
        return x * x

    @task
    def total(xs: list[int], bad: int = 13) -> int:
        Deck("sums").append(f"<b>{sum(xs)}</b>")
        if len(xs) == bad:
            raise ValueError("unlucky")
        return sum(xs)

    @task
    def page(n: int) -> File:
        Path("page.txt").write_text("x" * n)
        return File("page.txt")

    @task
    def length(page: File) -> int:
        return len(Path(page).read_text())

    @workflow
    def sums(n: int) -> int:
        return total(xs=map_task(square)(x=numbers(n=n)))

    @workflow
    def pages(n: int) -> int:
        return length(page=page(n=n))

    @task
    def say(i: int) -> int:
        print("slot", i)
        return i

    @workflow
    def talks(n: int) -> list[int]:
        return map_task(say)(i=numbers(n=n))

    talking = LaunchPlan(talks, name="talking")

    @workflow
    def launches(n: int) -> list[int]:
        return talking.with_overrides(name="talks")(n=n)

    @workflow
    def asks(n: int) -> int:
        return total(xs=[approve(wait_for_input("value", int), "sure"), n])
"""


@pytest.fixture(scope="module")
def terminal(tmp_path_factory):
    machine = machines.Machine(tmp_path_factory.mktemp("work"))
    machine.up()
    made = terminals.Terminal(machine)
    made.run("register", str(machine.write("sums_flow", SOURCE)))
    yield made
    machine.close()


@pytest.fixture(scope="module")
def failed(terminal):
    """An execution whose last node failed."""
    return terminal.read("launch", "sums", "--n", "13", "--wait", code=1)["id"]


@pytest.fixture
def file(terminal):
    return str(terminal.machine.folder / "code/sums_flow.py")


def decisions(record):
    return {node["id"]: node["decision"] for node in record["nodes"]}


def test_c9_a_plan_says_what_runs_and_what_waits_before_and_what_hits_after(terminal, failed):
    assert decisions(terminal.read("plan", "sums", "--n", "7")) == {
        "numbers": "RUN",
        "square": "WAIT",
        "total": "WAIT",
    }
    record = terminal.read("plan", "sums", "--n", "13")
    assert decisions(record) == {"numbers": "HIT", "square": "HIT", "total": "RUN"}
    assert record["nodes"][0]["producer"] == {"execution": failed, "node": "numbers"}
    shown = terminal.run("plan", "sums", "--n", "13").stdout
    assert "1 run, 2 from the cache" in shown


def test_c9_a_plan_launches_nothing(terminal, failed):
    before = terminal.read("get", "executions")
    terminal.run("plan", "sums", "--n", "13")
    assert terminal.read("get", "executions") == before


def test_e12_recover_shows_its_table_first_and_reuses_what_succeeded(terminal, failed):
    done = terminal.run("recover", failed, "--wait", code=1)
    table, _, rest = done.stdout.partition("execution ")
    assert [line.split()[:2] for line in table.splitlines()[1:4]] == [
        ["numbers", "RECOVER"],
        ["square", "RECOVER"],
        ["total", "RUN"],
    ]
    assert "RECOVERED" in rest
    assert "unlucky" in done.stderr


def test_e12_recover_takes_other_inputs_and_nodes_to_run_again(terminal, failed):
    record = terminal.read("recover", failed, "--rerun", "numbers", "--dry-run")
    assert decisions(record) == {"numbers": "RUN", "square": "WAIT", "total": "WAIT"}
    run = terminal.read("recover", failed, "--set", "n=3", "--wait")
    assert (run["phase"], run["inputs"], run["outputs"]) == ("SUCCEEDED", {"n": 3}, {"o0": 5})


def test_e12_recover_takes_other_code(terminal, failed, file):
    terminal.machine.write("sums_flow", SOURCE.replace("bad: int = 13", "bad: int = 14"))
    version = terminal.read("register", file)["version"]
    run = terminal.read("recover", failed, "--version", version, "--wait")
    assert {node["id"]: node["phase"] for node in run["nodes"]} == {
        "numbers": "RECOVERED",
        "square": "SUCCEEDED",
        "total": "SUCCEEDED",
    }
    assert run["nodes"][1]["slots"]["hits"] == 13
    terminal.machine.write("sums_flow", SOURCE)
    terminal.run("register", file)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "m=3"), "there is no input `m`"),
        (("--set", "n=many"), "expected int"),
        (("--rerun", "nmbers"), "nmbers"),
        (("--version", "v404"), "v404"),
    ],
)
def test_what_can_not_be_recovered_so_is_told(terminal, failed, words, said):
    done = terminal.run("recover", failed, *words, code=2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_e12_relaunch_has_the_same_inputs(terminal, failed):
    again = terminal.read("relaunch", failed, "--wait", code=1)
    assert again["id"] != failed
    assert again["inputs"] == {"n": 13}


def test_e11_a_signal_is_read_by_the_type_that_is_waited_for(terminal):
    id_ = terminal.read("launch", "asks", "--n", "2")["id"]
    assert "expected int" in terminal.run("signal", id_, "value", "five", code=2).stderr
    assert "value" in terminal.run("signal", id_, "valeu", "5", code=2).stderr
    terminal.run("signal", id_, "value", "5")
    assert "`approve` or `reject`" in terminal.run("signal", id_, "sure", "maybe", code=2).stderr
    terminal.run("signal", id_, "sure", "approve")
    with terminal.machine.client() as client:
        assert client.run(id_).wait(machines.PATIENCE_S).outputs.o0 == 7


def test_a_report_is_read_as_it_was_written(terminal, failed, tmp_path):
    shown = terminal.run("deck", failed, "total").stdout
    assert "<b>650</b>" in shown
    target = tmp_path / "report.html"
    terminal.run("deck", failed, "total", "--save", str(target))
    assert target.read_text() == shown
    assert "has no report" in terminal.run("deck", failed, "numbers", code=2).stderr


def test_one_step_runs_here_on_a_nodes_real_inputs(terminal, failed, file):
    done = terminal.run("run", file, "--from-execution", failed, "--node", "total", code=1)
    assert "ValueError: unlucky" in done.stderr
    assert 'File "sums_flow.py"' in done.stderr
    record = terminal.read("run", file, "--from-execution", failed, "--node", "total", "--input", "bad=0")
    assert record["outputs"] == {"o0": 650}
    assert terminal.read("run", file, "--from-execution", failed, "--node", "square[4]")["outputs"] == {
        "o0": 16
    }


def test_one_step_runs_here_on_files(terminal, file):
    id_ = terminal.read("launch", "pages", "--n", "5", "--wait")["id"]
    record = terminal.read("run", file, "--from-execution", id_, "--node", "length")
    assert record["outputs"] == {"o0": 5}


def test_what_one_step_can_not_be_is_told(terminal, failed, file):
    for words, said in (
        (("--node", "total"), "go together"),
        (("--from-execution", failed, "--node", "totl"), "totl"),
        (("--from-execution", failed, "--node", "total", "--input", "x=1"), "there are xs"),
    ):
        assert said in terminal.run("run", file, *words, code=2).stderr


def test_slots_are_listed_by_their_map(terminal, failed):
    nodes = json.loads(terminal.run("get", "nodes", failed, "-o", "json").stdout)
    assert [node["id"] for node in nodes] == ["numbers", "square", "total"]
    assert nodes[1]["slots"]["succeeded"] == 13
    slots = terminal.read("get", "nodes", failed, "--of", "square")
    assert [slot["id"] for slot in slots] == [f"square[{i}]" for i in range(13)]


def test_a_map_some_of_whose_slots_run_says_which(terminal, failed):
    lines = terminal.run("plan", "sums", "--n", "14").stdout.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["numbers", "RUN"], ["square", "WAIT"]]
    record = terminal.read("recover", failed, "--rerun", "square[4]", "--dry-run")
    assert decisions(record)["square[4]"] == "RUN"
    shown = terminal.run("recover", failed, "--rerun", "square[4]", "--dry-run").stdout
    assert "12 of 13 slots from the cache" in shown
    assert [line.split()[0] for line in shown.splitlines()[1:-1]] == [
        "numbers",
        "square",
        "square[4]",
        "total",
    ]


def test_what_slots_wrote_is_read_one_by_one_or_together(terminal):
    id_ = terminal.read("launch", "talks", "--n", "3", "--wait")["id"]
    assert terminal.run("logs", id_, "say[1]").stdout == "slot 1\n"
    assert terminal.run("logs", id_, "say").stdout.split("\n\n") == [
        "==> say[0] <==\nslot 0",
        "==> say[1] <==\nslot 1",
        "==> say[2] <==\nslot 2\n",
    ]
    assert f"`typedflow logs {id_} say`" in terminal.run("logs", id_).stderr
    assert "no node `say[3]`" in terminal.run("logs", id_, "say[3]", code=2).stderr
    assert "did you mean `say`?" in terminal.run("logs", id_, "sya", code=2).stderr
    assert "say which" in terminal.run("logs", id_, "say", "-f", code=2).stderr


def test_of_what_was_launched_the_log_is_elsewhere(terminal):
    run = terminal.read("launch", "launches", "--n", "2", "--wait")
    child = run["nodes"][0]["execution"]
    assert f"`typedflow logs {child}`" in terminal.run("logs", run["id"]).stderr
    assert f"`typedflow logs {child}`" in terminal.run("logs", run["id"], "talks", code=2).stderr


def test_an_execution_says_what_it_comes_from(terminal, failed):
    run = terminal.read("launch", "launches", "--n", "2", "--wait")
    child = terminal.read("get", "executions", run["nodes"][0]["execution"])
    assert child["parent"] == {"execution": run["id"], "node": "talks"}
    recovery = terminal.read("recover", failed, "--set", "n=2", "--wait")
    assert recovery["recovered_from"] == failed
    relaunched = terminal.read("relaunch", run["id"], "--wait")
    assert relaunched["relaunched_from"] == run["id"]
    listed = terminal.run("get", "executions").stdout
    assert f"recovers {failed}" in listed
    assert f"talks of {run['id']}" in listed
    assert f"relaunches   {run['id']}" not in terminal.run("get", "executions", run["id"]).stdout


def test_watch_shows_what_becomes_of_an_execution(terminal, failed):
    id_ = terminal.read("launch", "asks", "--n", "3")["id"]
    watching = terminal.machine.start("watch", id_)
    machines.until(lambda: "waits for a value: int" in watching.output, "the gate is shown")
    terminal.run("signal", id_, "value", "4")
    terminal.run("signal", id_, "sure", "approve")
    assert watching.process.wait(machines.PATIENCE_S) == 0
    assert "  o0  7" in watching.output
    assert terminal.read("watch", id_)["outputs"] == {"o0": 7}
    done = terminal.run("watch", failed, code=1)
    assert "unlucky" in done.stderr
    assert f"`typedflow recover {failed}`" in done.stderr
    assert "total" in done.stdout
    assert "no execution `nope`" in terminal.run("watch", "nope", code=2).stderr


def test_e11_who_answers_second_is_told_that_the_first_counts(terminal):
    id_ = terminal.read("launch", "asks", "--n", "3")["id"]
    terminal.run("signal", id_, "value", "4")
    with terminal.machine.client() as client:
        machines.until(
            lambda: any(each.id == "value" and each.ended_at_us for each in client.nodes(id_)),
            "it is answered",
        )
    assert "the first answer counts" in terminal.run("signal", id_, "value", "5", code=2).stderr
    terminal.run("abort", id_)


def test_of_what_nobody_ran_there_is_no_log_to_look_at(terminal):
    id_ = terminal.read("launch", "asks", "--n", "3")["id"]
    terminal.run("signal", id_, "value", "4")
    terminal.run("signal", id_, "sure", "reject", "--reason", "too small")
    done = terminal.run("watch", id_, code=1)
    assert "too small" in done.stderr
    assert "typedflow logs" not in done.stderr
    assert f"typedflow recover {id_}" in done.stderr


def test_one_step_of_what_the_cache_gave_runs_on_the_inputs_of_what_made_it(terminal, failed, file):
    id_ = terminal.read("launch", "sums", "--n", "13", "--wait", code=1)["id"]
    done = terminal.run("run", file, "--from-execution", id_, "--node", "square[5]")
    assert "in execution x" in done.stdout
    assert id_ not in done.stdout
    assert "  o0  25" in done.stdout
    assert "is a map" in terminal.run("run", file, "--from-execution", id_, "--node", "square", code=2).stderr


def test_a_file_that_one_step_gave_is_there(terminal, file):
    id_ = terminal.read("launch", "pages", "--n", "5", "--wait")["id"]
    shown = terminal.run("run", file, "--from-execution", id_, "--node", "page").stdout
    path, size = shown.splitlines()[-1].split()[1:3]
    assert (Path(path).read_text(), size) == ("xxxxx", "(5")


def test_what_has_no_parts_says_so(terminal, failed):
    done = terminal.run("get", "nodes", failed, "--of", "total")
    assert (done.stdout, "has no parts" in done.stderr) == ("", True)


def test_a_cached_result_that_nobody_asked_for_is_no_riddle(terminal, failed):
    assert (
        "total  DISABLED (the task has no cache=True)"
        in terminal.run("cache", "explain", failed, "total").stdout
    )


def test_examples_in_help_keep_their_lines(terminal):
    shown = terminal.run("recover", "--help").stdout
    assert "    typedflow recover x0c5 --version v2 --set lr=1e-4 --rerun evaluate --wait\n" in shown
    assert "\\b" not in shown
