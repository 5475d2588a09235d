"""What a state tells of changes to whoever stores them."""

from tests.scenarios import transcripts
from typedflow import engine


def execution_changed(state: engine.State) -> bool:
    """Read anew: a checker takes an attribute to stay as it was."""
    return state.execution_changed


def begin() -> tuple[engine.Graph, engine.State]:
    graph = engine.Graph(transcripts.compile_lines(["a", "b <- a"]))
    return graph, engine.State(graph)


def test_nodes_that_changed_are_given_once():
    graph, state = begin()
    engine.step(graph, state, transcripts.event(0, "start", []))
    engine.step(graph, state, transcripts.event(1, "started", ["a", "1"]))
    engine.step(graph, state, transcripts.event(2, "ok", ["a", "1", "5"]))
    assert state.take_changed() == [0, 1]
    assert state.take_changed() == []


def test_a_change_of_the_execution_can_be_read_before_and_after_taking_nodes():
    graph, state = begin()
    assert not execution_changed(state)
    engine.step(graph, state, transcripts.event(0, "start", []))
    assert execution_changed(state)
    state.take_changed()
    assert execution_changed(state)
    engine.step(graph, state, transcripts.event(1, "started", ["a", "1"]))
    assert not execution_changed(state)


def test_a_change_of_the_execution_outlasts_later_steps_until_it_is_taken():
    graph, state = begin()
    engine.step(graph, state, transcripts.event(0, "start", []))
    engine.step(graph, state, transcripts.event(1, "started", ["a", "1"]))
    state.take_changed()
    assert execution_changed(state)
    state.take_changed()
    assert not execution_changed(state)


def test_done_is_said_once_every_node_has_ended():
    graph, state = begin()
    for kind, arguments in [("start", []), ("ok", ["a", "1", "5"])]:
        engine.step(graph, state, transcripts.event(0, kind, arguments))
        assert not state.done
    engine.step(graph, state, transcripts.event(0, "ok", ["b", "1", "5"]))
    assert state.done
