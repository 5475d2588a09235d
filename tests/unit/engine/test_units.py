"""Units have paths, and what attempts leave is kept with them."""

import pytest

from tests.scenarios import transcripts
from typedflow import engine, literals
from typedflow.pb import events_pb2, executions_pb2


def begin(*lines: str, settings: tuple[str, ...] = ()) -> tuple[engine.Graph, engine.State]:
    graph = engine.Graph(transcripts.compile_lines(list(lines)))
    state = engine.State(graph)
    engine.step(graph, state, transcripts.event(0, "start", list(settings)))
    return graph, state


def expand(graph: engine.Graph, state: engine.State, node: str, *lines: str) -> None:
    event = events_pb2.Event(time_us=1)
    event.attempt_expanded.node, event.attempt_expanded.attempt = node, 1
    event.attempt_expanded.graph.CopyFrom(transcripts.compile_lines(list(lines), inner=True))
    engine.step(graph, state, event)


def test_a_slot_is_known_by_its_maps_path_and_its_number():
    graph, state = begin("a <- x", "m <- a* | map")
    engine.step(graph, state, transcripts.event(1, "ok", ["a", "1", "4,5"]))
    unit = state.unit("m[1]")
    assert (state.path(unit), state.parent(unit), state.slot(unit)) == ("m[1]", 1, 1)
    assert state.place(unit) == (graph, 1)
    assert engine.kind(graph, state, unit) == executions_pb2.NODE_KIND_TASK
    assert engine.task(graph, state, unit) is graph.tasks[1]


@pytest.mark.parametrize(
    "path", ["", "m[2]", "m[01]", "m[-1]", "m[1", "m[]", "m[1][0]", "a[0]", "z", "m[99999999999]"]
)
def test_a_path_of_nothing_is_of_no_unit(path):
    graph, state = begin("a <- x", "m <- a* | map")
    engine.step(graph, state, transcripts.event(1, "ok", ["a", "1", "4,5"]))
    assert state.unit(path) == -1


def test_e14_the_latest_checkpoint_is_for_the_next_attempt():
    graph, state = begin("a <- x | retries=5")
    assert engine.checkpoint(graph, state, 0) is None
    for attempt, saved in enumerate([3, 4, None], 1):
        event = transcripts.event(attempt, "failed", ["a", str(attempt), "Broken"])
        if saved is not None:
            event.attempt_failed.checkpoint.CopyFrom(literals.from_int(saved))
        engine.step(graph, state, event)
    assert engine.checkpoint(graph, state, 0) == literals.from_int(4)


def test_the_latest_report_is_shown():
    graph, state = begin("a <- x | retries=1")
    failed = transcripts.event(1, "failed", ["a", "1", "Broken"])
    failed.attempt_failed.deck.uri = "first"
    succeeded = transcripts.event(1, "ok", ["a", "2", "5"])
    succeeded.attempt_succeeded.deck.uri = "second"
    for event, uri in ((failed, "first"), (succeeded, "second")):
        engine.step(graph, state, event)
        assert engine.node_execution(graph, state, 0).deck.uri == uri


def test_e10_a_node_of_a_dynamic_graph_may_not_have_the_path_of_another():
    compiled = transcripts.compile_lines(["d | dynamic", "e"])
    compiled.workflow.nodes[1].id = "d.n"
    graph = engine.Graph(compiled)
    state = engine.State(graph)
    engine.step(graph, state, transcripts.event(0, "start", []))
    expand(graph, state, "d", "n", "output n")
    shown = engine.node_execution(graph, state, 0)
    assert (shown.phase, shown.error.code) == (executions_pb2.PHASE_FAILED, "DuplicateNodeId")


def test_e10_dynamic_tasks_are_nested_at_most_sixteen_deep():
    graph, state = begin("d | dynamic")
    path = "d"
    for _ in range(16):
        expand(graph, state, path, "d | dynamic", "output d")
        path += ".d"
    assert state.unit(path) == 16
    expand(graph, state, path, "d | dynamic", "output d")
    assert state.error is not None
    assert (state.error.code, state.error.node) == ("NestingTooDeep", path)


def test_e9_the_share_of_slots_is_rounded_up_as_it_is_written():
    assert [engine.needed_slots(0.55, 100), engine.needed_slots(0.7, 10), engine.needed_slots(0.5, 3)] == [
        55,
        7,
        2,
    ]
    assert [engine.needed_slots(0.0, 5), engine.needed_slots(1.0, 5), engine.needed_slots(1e-05, 5)] == [
        0,
        5,
        1,
    ]


def test_e12_what_is_inside_of_a_named_map_runs_again():
    graph, state = begin("l <- x", "m <- l* | map", settings=("recover=earlier", "rerun=m"))
    actions = engine.step(graph, state, transcripts.event(1, "hit", ["l", "4,5", "recovered"]))
    assert [type(action) for action in actions] == [engine.StartAttempt] * 2


def test_a_kind_is_told_of_each_node():
    graph, state = begin(
        "a <- x",
        "m <- a* | map",
        "if k: x == 1 -> 2; else -> 3",
        "s | signal",
        "p <- x | launch",
        "d | dynamic",
    )
    kinds = [executions_pb2.NodeKind.Name(engine.kind(graph, state, unit)) for unit in range(len(state))]
    assert [kind.removeprefix("NODE_KIND_") for kind in kinds] == [
        "TASK", "MAP", "BRANCH", "GATE", "LAUNCH_PLAN", "DYNAMIC",
    ]  # fmt: skip
