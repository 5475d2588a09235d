"""E10: what dynamic tasks say is to be done."""

import pytest

from tests.unit.admin.execution_world import (
    World,
    binding,
    calls,
    constant,
    promise,
    task,
    variable,
    workflow,
)
from typedflow import errors, identifiers, literal_types, literals
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    interface_pb2,
    propeller_pb2,
    tasks_pb2,
    workflows_pb2,
)

TUNE = task("m.tune", dynamic=True)
ONE = {"x": literals.from_int(1)}


def graph(
    *nodes: workflows_pb2.Node, gives=literal_types.INT, of: str = ""
) -> workflows_pb2.WorkflowTemplate:
    output = binding(promise(of or nodes[-1].id), "o0")
    return workflows_pb2.WorkflowTemplate(
        id=identifiers.workflow("m.tune"),
        interface=interface_pb2.Interface(outputs=[variable("o0", gives)]),
        nodes=nodes,
        outputs=[output],
    )


HANDLER = calls("clean", "m.inc", constant(literals.from_int(2)))
HANDLER.section.failure.SetInParent()


@pytest.fixture
def launched(world: World) -> str:
    world.register(task(), TUNE, workflow(calls("tune", "m.tune", promise("", "n"))))
    id_ = world.launch(inputs_json='{"n": 1}').id
    world.hold()
    return id_


def say(
    world: World, execution_id: str, whole: workflows_pb2.WorkflowTemplate, *tasks: tasks_pb2.TaskTemplate
) -> events_pb2.Event:
    """What the propeller is told when a task says that this is to be done."""
    begun = world.begin(world.spec(execution_id, "tune", TUNE, ONE))
    for _ in range(2):
        world.finish(
            begun, expanded=attempt_pb2.Expanded(workflow=whole, tasks=tasks), usage={"wall_seconds": 1.0}
        )
    told = [event for event in world.inbox(execution_id) if event.WhichOneof("kind") != "attempt_started"]
    assert len(told) == 1
    return told[0]


def test_e10_a_graph_is_compiled_against_what_is_registered_and_what_is_sent(world, launched):
    whole = graph(
        calls("fit", "m.inc", constant(literals.from_int(2))), calls("last", "m.new", promise("fit"))
    )
    event = say(world, launched, whole, task("m.new"))
    expanded = event.attempt_expanded
    assert (expanded.node, expanded.attempt, expanded.usage.wall_seconds) == ("tune", 1, 1.0)
    assert [(each.id.name, each.id.project, each.id.version) for each in expanded.graph.tasks] == [
        ("m.inc", "p", "v1"),
        ("m.new", "p", "v1"),
    ]
    assert [node.id for node in expanded.graph.workflow.nodes] == ["fit", "last"]
    with pytest.raises(errors.NotFound):
        world.launch("m.tune", inputs_json='{"x": 1}')


@pytest.mark.parametrize(
    ("whole", "code", "said"),
    [
        (
            graph(calls("fit", "m.absent", constant(literals.from_int(2)))),
            "TaskReferenceNotFound",
            "m.absent",
        ),
        (graph(calls("fit", "m.inc", constant(literals.from_str("2")))), "InvalidValue", "expects int"),
        (
            graph(calls("fit", "m.inc", constant(literals.from_int(2))), gives=literal_types.FLOAT),
            "MismatchingTypes",
            "float",
        ),
        (graph(of="fit"), "NoNodesFound", "node `fit`"),
        (
            graph(calls("fit", "m.inc", constant(literals.from_int(2))), HANDLER, of="fit"),
            "InvalidValue",
            "`clean`",
        ),
        (
            graph(calls("fit", "m.new", constant(literals.from_str("x" * 9_000_000)))),
            "GraphTooLarge",
            "MiB",
        ),
    ],
    ids=["no such task", "wrong wiring", "other outputs", "no node", "a handler", "too large"],
)
def test_e10_a_graph_that_is_wrong_fails_the_attempt_for_good(world, launched, whole, code, said):
    text = task("m.new", literal_types.STRING)
    text.options.cache.enabled = True
    event = say(world, launched, whole, text)
    error = event.attempt_failed.error
    assert (error.kind, error.non_recoverable, error.node) == (errors_pb2.ERROR_KIND_USER, True, "tune")
    assert error.code == code
    assert said in error.message
    assert len(error.message) < 20_000
    shown = world.run(world.records.get(executions_pb2.GetAttemptRequest(execution_id=launched, node="tune")))
    assert shown.outcome.error == error


def test_e10_code_that_was_not_uploaded_is_told(world, launched):
    other = task("m.new")
    other.python.bundle = "b3:" + "0" * 64
    event = say(world, launched, graph(calls("fit", "m.new", constant(literals.from_int(2)))), other)
    assert event.attempt_failed.error.code == "BundleMissing"


def test_e10_only_a_dynamic_task_gives_a_graph(world, launched):
    spec = world.spec(launched, "tune", task(), ONE)
    begun = world.begin(spec)
    whole = graph(calls("fit", "m.inc", constant(literals.from_int(2))))
    with pytest.raises(errors.UsageError, match="gives values"):
        world.finish(begun, expanded=attempt_pb2.Expanded(workflow=whole))
    begun.runner_uid = "another"
    with pytest.raises(errors.StateConflict):
        world.finish(begun, expanded=attempt_pb2.Expanded(workflow=whole))


def test_c8_what_a_dynamic_task_gives_in_the_end_is_cached(world, launched):
    spec = world.spec(launched, "tune", TUNE, ONE)
    begun = world.begin(spec)
    whole = graph(calls("fit", "m.inc", constant(literals.from_int(2))))
    world.finish(begun, expanded=attempt_pb2.Expanded(workflow=whole), usage={"wall_seconds": 1.0})
    found = world.read(lambda t: t.catalog.find([spec.cache_key]))
    assert found == {}
    outputs = literals.as_map({"o0": literals.from_int(3)})
    given = propeller_pb2.DynamicOutputs(node="tune", attempt=1, outputs=outputs)
    world.commit(launched, dynamic_outputs=[given])
    entry = catalog_pb2.CatalogEntry.FromString(
        world.read(lambda t: t.catalog.find([spec.cache_key]))[spec.cache_key].entry
    )
    assert (entry.outputs, entry.execution_id, entry.usage.wall_seconds) == (outputs, launched, 1.0)


def test_c8_what_nobody_said_is_not_cached(world, launched):
    outputs = literals.as_map({"o0": literals.from_int(3)})
    given = [
        propeller_pb2.DynamicOutputs(node=node, attempt=attempt, outputs=outputs)
        for node, attempt in (("tune", 0), ("tune", 7), ("absent", 1))
    ]
    world.commit(launched, dynamic_outputs=given)
    assert world.read(lambda t: t.catalog.page("", "", "", 0, 9)) == []


def test_s3_parts_of_a_dynamic_task_show_nothing_sensitive(world, launched):
    secret = literal_types.sensitive(literal_types.STRING)
    login = task("m.login", literal_types.INT, secret)
    whole = graph(
        calls("login", "m.login", constant(literals.from_int(2))),
        calls("fit", "m.inc", constant(literals.from_int(2))),
    )
    say(world, launched, whole, login)
    rows = [
        executions_pb2.NodeExecution(
            id=path,
            parent="tune",
            position=position,
            phase=executions_pb2.PHASE_SUCCEEDED,
            outputs=literals.as_map({"o0": value}),
        )
        for path, position, value in (
            ("tune.login", 5, literals.from_str("hunter2")),
            ("tune.fit", 6, literals.from_int(3)),
        )
    ]
    world.commit(launched, nodes=rows)
    shown = world.nodes(launched)
    assert list(shown) == ["tune", "tune.login", "tune.fit"]
    assert b"hunter2" not in shown["tune.login"].SerializeToString()
    assert shown["tune.fit"].outputs == rows[1].outputs
