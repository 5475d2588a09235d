"""What is seen of an execution while it runs."""

import io
import re

from rich.console import Console

from typedflow.cli import progress
from typedflow.pb import catalog_pb2, errors_pb2, executions_pb2

SECOND = 1_000_000


def node(id_: str, phase: str, **fields: object) -> executions_pb2.NodeExecution:
    made = executions_pb2.NodeExecution(id=id_, phase=executions_pb2.Phase.Value(f"PHASE_{phase}"))
    made.MergeFrom(executions_pb2.NodeExecution(**fields))  # type: ignore[arg-type]  # each test names its own
    return made


def change(*nodes: executions_pb2.NodeExecution) -> executions_pb2.WatchExecutionResponse:
    return executions_pb2.WatchExecutionResponse(nodes=nodes)


HIT = node(
    "ingest",
    "SUCCEEDED",
    cache=catalog_pb2.CACHE_STATUS_HIT,
    ended_at_us=5 * SECOND,
    saved=catalog_pb2.Usage(wall_seconds=2.5),
)
DONE = node(
    "train",
    "SUCCEEDED",
    cache=catalog_pb2.CACHE_STATUS_POPULATED,
    started_at_us=5 * SECOND,
    ended_at_us=6 * SECOND,
    attempts=2,
    note="no GPU here: runs on CPU",
)
FAILED = node(
    "report",
    "FAILED",
    started_at_us=5 * SECOND,
    ended_at_us=6 * SECOND,
    error=errors_pb2.ExecutionError(code="ValueError", message="no ink\nat all"),
)


def test_in_a_pipe_each_change_of_a_node_is_one_line(capsys):
    with progress.of() as shown:
        shown.take(change(node("ingest", "QUEUED"), node("train", "QUEUED")))
        shown.take(change(HIT, node("train", "RUNNING", started_at_us=5 * SECOND)))
        shown.take(change(node("train", "RUNNING", started_at_us=5 * SECOND)))
        shown.take(change(DONE))
    assert capsys.readouterr().out.splitlines() == [
        "   ingest  SUCCEEDED  HIT           0.00 s  saved 2.50 s",
        "   train   RUNNING",
        "   train   SUCCEEDED  POPULATED     1.00 s  no GPU here: runs on CPU, attempt 2",
    ]


def test_changes_that_come_together_are_told_in_the_order_in_which_they_were(capsys):
    def ended(id_, second):
        return node(id_, "SUCCEEDED", started_at_us=SECOND, ended_at_us=second * SECOND)

    with progress.of() as shown:
        shown.take(change(ended("tune", 4), ended("after", 3), ended("tune.fit", 2), ended("tune.best", 4)))
    told = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert told == ["tune.fit", "after", "tune.best", "tune"]


def test_a_map_has_a_line_for_each_tenth(capsys):
    with progress.of() as shown:
        for count in range(200):
            counts = executions_pb2.SlotCounts(total=200, succeeded=count, running=1)
            shown.take(change(node("m", "RUNNING", started_at_us=SECOND, slots=counts)))
        done = executions_pb2.SlotCounts(total=200, succeeded=200)
        shown.take(change(node("m", "SUCCEEDED", started_at_us=SECOND, ended_at_us=2 * SECOND, slots=done)))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "   m  RUNNING    20 of 200, 1 running"
    assert len(lines) == 11
    assert lines[-1].endswith("1.00 s  200 of 200")


def test_what_a_dynamic_task_made_stands_below_it():
    listed = [
        node("tune", "SUCCEEDED"),
        node("last", "QUEUED"),
        node("tune.fit", "SUCCEEDED", parent="tune"),
        node("tune.deep", "SUCCEEDED", parent="tune"),
        node("tune.deep.x", "SUCCEEDED", parent="tune.deep"),
        node("of[3]", "QUEUED", parent="of"),
    ]
    told = [each.id for each in progress.in_place(listed)]
    assert told == ["tune", "tune.fit", "tune.deep", "tune.deep.x", "last", "of[3]"]


def test_why_a_node_failed_is_its_error_in_one_line():
    assert progress.note(FAILED) == "ValueError: no ink"


def test_a_failure_after_retries_says_which_attempt_it_was():
    failed = node("report", "FAILED", attempts=3, error=FAILED.error)
    assert progress.note(failed) == "ValueError: no ink (attempt 3)"


def test_what_a_program_reads_is_not_mixed_with_progress(capsys):
    with progress.of(err=True) as shown:
        shown.take(change(DONE))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "train" in captured.err


def live(height: int, *nodes: executions_pb2.NodeExecution) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=100, height=height)
    with progress.Live(console) as shown:
        shown.take(change(*nodes))
    return re.sub(r"\x1b\[\?25[lh]", "", stream.getvalue())  # hides and shows the cursor


def test_on_a_terminal_every_node_has_a_row():
    drawn = live(40, HIT, DONE, FAILED, node("mail", "SKIPPED", reason="upstream_failed"))
    rows = [line.split() for line in drawn.splitlines() if line.strip()]
    said = {row[1]: row[2:] for row in rows if len(row) > 2}
    assert said["ingest"] == ["SUCCEEDED", "HIT", "0.00", "s", "saved", "2.50", "s"]
    assert said["report"][-3:] == ["ValueError:", "no", "ink"]
    assert said["mail"] == ["SKIPPED", "what", "it", "needs", "failed"]


def test_of_many_nodes_those_that_matter_are_shown_and_the_others_counted():
    many = [node(f"n{i}", "SUCCEEDED", ended_at_us=SECOND) for i in range(500)]
    drawn = live(12, *many[:250], node("busy", "RUNNING", started_at_us=SECOND), FAILED, *many[250:])
    assert "busy" in drawn
    assert "report" in drawn
    assert "and 496 SUCCEEDED" in drawn
