"""Attempts as people see them, and what they leave behind."""

import pytest

from tests.unit.admin.execution_world import World, calls, promise, task, workflow
from typedflow import errors, literal_types, literals
from typedflow.pb import attempt_pb2, errors_pb2, executions_pb2, literals_pb2

SECRET = literal_types.sensitive(literal_types.STRING)
DIGEST = "b3:" + "a" * 64
BLOB = literals_pb2.Blob(uri="file:///o", digest=DIGEST, size=10)
FILE = literals_pb2.Literal(file=literals_pb2.File(blob=BLOB))


@pytest.fixture
def login():
    return task("m.login", SECRET, SECRET)


@pytest.fixture
def launched(world: World, login) -> str:
    world.register(task(), login, workflow(calls("a", "m.login", promise("", "n")), takes=SECRET))
    id_ = world.launch(inputs_json='{"n": "hunter1"}').id
    world.hold()
    return id_


def get(
    world: World, execution_id: str, node: str = "a", attempt: int = 0
) -> executions_pb2.GetAttemptResponse:
    request = executions_pb2.GetAttemptRequest(execution_id=execution_id, node=node, attempt=attempt)
    return world.run(world.records.get(request))


def test_s3_an_attempt_shows_nothing_sensitive(world, launched, login):
    begun = world.begin(world.spec(launched, "a", login, {"x": literals.from_str("hunter1")}))
    running = get(world, launched)
    assert running.begun_at_us
    assert not running.HasField("outcome")
    world.finish(begun, outputs=literals.as_map({"o0": literals.from_str("hunter2")}))
    shown = get(world, launched, attempt=1)
    assert b"hunter" not in shown.SerializeToString()
    assert list(shown.spec.manifest.inputs) == []
    assert (shown.task.id.name, shown.task.id.version) == ("m.login", "v1")
    assert [each.name for each in shown.outcome.outputs.values] == ["o0"]
    assert shown.ended_at_us


def test_what_is_no_attempt_is_said(world, launched, login):
    with pytest.raises(errors.StateConflict, match="was not tried"):
        get(world, launched)
    with pytest.raises(errors.NotFound, match="has no attempt 2"):
        get(world, launched, attempt=2)
    with pytest.raises(errors.NotFound, match="has no node `b`"):
        get(world, launched, "b")
    with pytest.raises(errors.NotFound):
        get(world, "x-absent")


@pytest.mark.parametrize("result", ["error", "stopped"])
def test_e14_what_an_attempt_leaves_is_told_for_the_next(world, launched, login, result):
    begun = world.begin(world.spec(launched, "a", login, {"x": literals.from_str("hunter1")}))
    outcome = errors_pb2.ExecutionError(code="E") if result == "error" else attempt_pb2.Stopped()
    world.finish(begun, **{result: outcome}, checkpoint=FILE, deck=BLOB)
    kind = {"error": "attempt_failed", "stopped": "attempt_stopped"}[result]
    told = world.told(launched, kind)
    assert [each.checkpoint for each in told] == [FILE]
    if result == "error":
        assert [each.deck for each in told] == [BLOB]


@pytest.mark.parametrize(
    ("left", "where"),
    [
        ({"checkpoint": literals.from_int(3)}, "outcome.checkpoint"),
        ({"checkpoint": literals_pb2.Literal()}, "outcome.checkpoint"),
        ({"deck": literals_pb2.Blob(uri="file:///o", digest="b3:zz")}, "outcome.deck"),
        ({"deck": literals_pb2.Blob(uri="file:///o", digest=DIGEST, size=17 << 20)}, "outcome.deck"),
    ],
)
def test_s5_what_no_attempt_leaves_is_refused(world, launched, login, left, where):
    begun = world.begin(world.spec(launched, "a", login, {"x": literals.from_str("hunter1")}))
    with pytest.raises(errors.UsageError) as refused:
        world.finish(begun, error=errors_pb2.ExecutionError(code="E"), **left)
    assert refused.value.where == where
    assert world.told(launched, "attempt_failed") == []
