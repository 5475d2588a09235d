"""The cost of an event is that of what it touches: the largest workflows stay linear, and nothing recurses."""

import pytest

from tests.scenarios import transcripts
from typedflow import engine, literals
from typedflow.engine import stages
from typedflow.pb import events_pb2, executions_pb2, literals_pb2, types_pb2, workflows_pb2

pytestmark = pytest.mark.slow

LARGEST = 100_000
INT = types_pb2.LiteralType(simple=types_pb2.SIMPLE_TYPE_INT)


def largest(upstream) -> engine.Graph:
    """As many nodes as there may be; `upstream(i)` is the one before node i, or -1."""
    compiled = workflows_pb2.CompiledWorkflow()
    compiled.workflow.id.name = "w"
    task = compiled.tasks.add()
    task.id.name = "t"
    task.interface.inputs.add(name="a", type=INT)
    task.interface.outputs.add(name="o0", type=INT)
    for i in range(LARGEST):
        node = compiled.workflow.nodes.add(id=f"n{i}")
        node.task.task.name = "t"
        value = node.inputs.add(variable="a").value
        if upstream(i) < 0:
            value.literal.integer = 1
        else:
            value.promise.node, value.promise.variable = f"n{upstream(i)}", "o0"
    return engine.Graph(compiled)


def started() -> events_pb2.Event:
    return events_pb2.Event(time_us=1, execution_started=events_pb2.ExecutionStarted(max_parallelism=100))


def run(graph: engine.Graph, state: engine.State) -> None:
    outputs = literals_pb2.LiteralMap()
    outputs.values.add(name="o0").value.integer = 2
    todo = engine.step(graph, state, started())
    performed = 0
    while todo:
        action = todo.pop()
        if not isinstance(action, engine.StartAttempt):
            continue
        performed += 1
        succeeded = events_pb2.AttemptSucceeded(node=graph.ids[action.node], attempt=1, outputs=outputs)
        todo += engine.step(graph, state, events_pb2.Event(time_us=2, attempt_succeeded=succeeded))
    assert performed == LARGEST


@pytest.fixture(scope="module")
def chain():
    return largest(lambda i: i - 1)


@pytest.fixture(scope="module")
def fan_out():
    return largest(lambda i: min(i, 1) - 1)


@pytest.mark.parametrize("shape", ["chain", "fan_out"])
def test_w4_the_largest_workflow_runs_to_its_end(shape, request):
    graph = request.getfixturevalue(shape)
    state = engine.State(graph)
    run(graph, state)
    assert state.phase == executions_pb2.PHASE_SUCCEEDED
    assert state.take_changed()
    assert engine.pending(graph, state) == [engine.FinishExecution()]


def test_w4_a_failure_at_the_head_of_the_longest_chain_skips_all_of_it(chain):
    state = engine.State(chain)
    engine.step(chain, state, started())
    failed = events_pb2.AttemptFailed(node="n0", attempt=1)
    assert engine.step(chain, state, events_pb2.Event(attempt_failed=failed)) == [engine.FinishExecution()]
    assert state.stages.count(stages.SKIPPED) == LARGEST - 1


def many(count: int) -> literals_pb2.LiteralMap:
    outputs = literals_pb2.LiteralMap()
    outputs.values.add(name="o0").value.list.CopyFrom(literals.integers(range(count)))
    return outputs


def mapped() -> tuple[engine.Graph, engine.State]:
    """A map whose 100,000 slots are known."""
    graph = engine.Graph(transcripts.compile_lines(["a <- x", "m <- a* | map", "output m"]))
    state = engine.State(graph)
    engine.step(graph, state, transcripts.event(0, "start", []))
    return graph, state


def test_e9_a_map_of_the_most_slots_runs_with_no_more_than_a_thousand_begun():
    graph, state = mapped()
    first = events_pb2.AttemptSucceeded(node="a", attempt=1, outputs=many(LARGEST))
    todo = engine.step(graph, state, events_pb2.Event(time_us=1, attempt_succeeded=first))
    assert len(todo) == 1_000
    while todo:
        action = todo.pop()
        if isinstance(action, engine.FinishExecution):
            break
        assert isinstance(action, engine.StartAttempt)
        slot = state.slot(action.node)
        assert engine.inputs(graph, state, action.node).values[0].value.integer == slot
        ended = transcripts.event(2, "ok", [state.path(action.node), "1", str(slot * 2)])
        todo += engine.step(graph, state, ended)
        assert state.slots[1].active <= 1_000
    assert state.phase == executions_pb2.PHASE_SUCCEEDED
    assert state.results is not None
    assert list(state.results.values[0].value.list.integers.values) == list(range(0, 2 * LARGEST, 2))


def test_e9_an_abort_of_a_large_map_tells_only_of_slots_that_had_begun():
    graph, state = mapped()
    first = events_pb2.AttemptSucceeded(node="a", attempt=1, outputs=many(LARGEST))
    engine.step(graph, state, events_pb2.Event(time_us=1, attempt_succeeded=first))
    state.take_changed()
    assert len(engine.step(graph, state, transcripts.event(2, "abort", ["alice"]))) == 1_000
    assert len(state.take_changed()) == 1_000 + len(["m"])
    assert state.stages.count(stages.SKIPPED) == LARGEST - 1_000


def test_e11_twenty_thousand_gates_in_a_row_pass_at_once():
    count = 20_000
    lines = [
        "g0 | signal",
        *(f"g{i} <- g{i - 1} | approval" for i in range(1, count)),
        f"output g{count - 1}",
    ]
    graph = engine.Graph(transcripts.compile_lines(lines))
    state = engine.State(graph)
    answers = ["signal=g0:5", *(f"signal=g{i}:yes" for i in range(1, count))]
    assert engine.step(graph, state, transcripts.event(0, "start", answers)) == [engine.FinishExecution()]
    assert state.phase == executions_pb2.PHASE_SUCCEEDED
