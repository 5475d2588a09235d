"""W1, W2, W5: what is registered together refers to each other, in whatever order it came, and to what was there."""

import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, event
from typedflow_admin import registration

from typedflow import errors, identifiers, literal_types
from typedflow.pb import executions_pb2, registry_pb2, workflows_pb2


def calls(graph, name: str, called: str, version: str = ""):
    """A workflow with another as its only part."""
    made = graph.workflow(name, nodes=["sub"])
    made.nodes[0].workflow.workflow.CopyFrom(identifiers.workflow(called, version=version))
    made.nodes[0].inputs[0].variable = "n"
    return made


def launches(graph, name: str, launched: str, version: str = ""):
    """A workflow that launches another execution and waits for it."""
    made = graph.workflow(name, nodes=["child"])
    made.nodes[0].launch_plan.launch_plan.CopyFrom(identifiers.launch_plan(launched, version=version))
    made.nodes[0].inputs[0].variable = "n"
    return made


def compiled(admin, name: str, version: str = ""):
    id_ = identifiers.workflow(name, project=admin.project, domain="development", version=version)
    return admin.registry.GetEntity(registry_pb2.GetEntityRequest(id=id_)).entity.workflow


def codes(error: errors.TypedflowError) -> list[tuple[str, str]]:
    assert isinstance(error, errors.CompileError), error
    return [(each.code, each.workflow) for each in error.diagnostics]


def test_a_workflow_is_put_into_another_in_whatever_order_they_are_sent(admin, graph):
    parts = (calls(graph, "m.outer", "m.middle"), calls(graph, "m.middle", "m.wf"), graph.workflow())
    for version, order in enumerate(itertools.permutations(parts)):
        admin.register(graph.task(), *order, version=f"v{version}")
        outer = compiled(admin, "m.outer", f"v{version}")
        assert [node.id for node in outer.workflow.nodes] == ["sub.sub.a", "sub.sub.b"]
        assert [task.id.name for task in outer.tasks] == ["m.inc"]
        assert all(node.HasField("task") for node in outer.workflow.nodes)


def test_a_workflow_that_was_registered_before_is_put_into_a_new_one(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    admin.register(calls(graph, "m.outer", "m.wf", "v1"), version="v2")
    outer = compiled(admin, "m.outer")
    assert [node.id for node in outer.workflow.nodes] == ["sub.a", "sub.b"]
    assert {node.task.task.version for node in outer.workflow.nodes} == {"v1"}


def test_a_launch_plan_is_launched_that_is_sent_or_was_registered_before(admin, graph):
    admin.register(
        launches(graph, "m.parent", "m.nightly"), graph.plan(), graph.workflow(), graph.task(), version="v1"
    )
    admin.register(launches(graph, "m.later", "m.nightly", "v1"), version="v2")
    for name in ("m.parent", "m.later"):
        [plan] = compiled(admin, name).launch_plans
        assert (plan.launch_plan.id.name, plan.launch_plan.id.version) == ("m.nightly", "v1")
        assert [each.name for each in plan.interface.inputs] == ["n"]


def test_a_workflow_may_launch_its_own_launch_plan(admin, graph):
    admin.register(launches(graph, "m.again", "m.again"), version="v1")
    [plan] = compiled(admin, "m.again").launch_plans
    assert plan.launch_plan.id.name == "m.again"


@pytest.mark.parametrize("names", [["m.a"], ["m.a", "m.b"], ["m.a", "m.b", "m.c"]])
def test_w2_workflows_that_are_parts_of_each_other_are_told_as_a_cycle(admin, refused, graph, names):
    following = [*names[1:], names[0]]
    sent = [calls(graph, name, part) for name, part in zip(names, following, strict=True)]
    error = refused(admin.register, *sent, calls(graph, "m.outside", "m.a"), version="v1")
    [found] = error.diagnostics
    assert (found.code, found.workflow, found.node) == ("CycleDetected", "m.a", "sub")
    assert found.given.split(" -> ") == [*names, "m.a"]
    assert found.hint


def test_w2_every_other_mistake_is_told_beside_a_cycle(admin, refused, graph):
    cyclic = calls(graph, "m.a", "m.a")
    cyclic.nodes[0].inputs[0].variable = "m"
    wrong = graph.workflow()
    wrong.nodes[0].task.task.name = "m.absent"
    error = refused(admin.register, graph.task(), cyclic, wrong, version="v1")
    assert {code for code, _ in codes(error)} == {
        "CycleDetected",
        "VariableNameNotFound",
        "TaskReferenceNotFound",
    }


def test_a_wrong_part_is_told_once_and_not_by_those_that_have_it(admin, refused, graph):
    wrong = graph.workflow()
    wrong.nodes[0].inputs[0].variable = "y"
    sent = (calls(graph, "m.outer", "m.wf"), launches(graph, "m.parent", "m.wf"), wrong, graph.plan())
    error = refused(admin.register, graph.task(), *sent, version="v1")
    assert {workflow for _, workflow in codes(error)} == {"m.wf"}


def test_a_wrong_launch_plan_is_told_once_and_not_by_who_launches_it(admin, refused, graph):
    plan = graph.plan(default_inputs=graph.ints(unknown=3))
    sent = (launches(graph, "m.parent", "m.nightly"), graph.workflow(), plan)
    error = refused(admin.register, graph.task(), *sent, version="v1")
    assert codes(error) == [("UnknownInput", "m.nightly")]


def test_w3_what_is_referred_to_and_not_there_is_told_with_the_nearest_name(admin, refused, graph):
    admin.register(graph.task(), graph.workflow("m.known"), version="v1")
    sent = (calls(graph, "m.outer", "m.knwn"), launches(graph, "m.parent", "m.knwn"))
    error = refused(admin.register, *sent, version="v2")
    assert codes(error) == [
        ("WorkflowReferenceNotFound", "m.outer"),
        ("LaunchPlanReferenceNotFound", "m.parent"),
    ]
    assert all("m.known" in each.hint for each in error.diagnostics)


def test_w4_parts_of_parts_count(admin, refused, graph, monkeypatch):
    monkeypatch.setattr(registration, "MAX_NODES", 10)
    inner = graph.workflow("m.w0", nodes=["a", "b"])
    doubled = []
    for number in (1, 2, 3):
        made = graph.workflow(f"m.w{number}", nodes=["a", "b"])
        for node in made.nodes:
            node.workflow.workflow.CopyFrom(identifiers.workflow(f"m.w{number - 1}"))
            node.inputs[0].variable = "n"
        doubled.append(made)
    admin.register(graph.task(), inner, doubled[0], version="v1")
    error = refused(admin.register, graph.task(), inner, *doubled, version="v2")
    assert error.code == "GraphTooLarge"
    assert "with sub-workflows put into their places" in error.message


def test_what_cannot_run_yet_is_registered_and_not_launched(admin, refused, graph):
    program = graph.task()
    program.ClearField("python")
    program.container.image = "busybox:1.36"
    program.container.command.extend(["/bin/inc", "{{inputs.x}}"])
    gate = workflows_pb2.GateNode(signal=workflows_pb2.SignalGate(type=literal_types.INT))
    asking = graph.workflow("m.asking", nodes=["wait"])
    asking.nodes[0].gate.CopyFrom(gate)
    del asking.nodes[0].inputs[:]
    admin.register(program, graph.workflow(), asking, launches(graph, "m.parent", "m.wf"), version="v1")
    error = refused(admin.launch, "m.wf", id="once")
    assert isinstance(error, errors.Unimplemented)
    assert "`m.inc`" in error.message
    request = executions_pb2.ListExecutionsRequest(project=admin.project, domain="development")
    assert not admin.executions.ListExecutions(request).executions
    assert admin.launch("m.asking", id="once").id == "once"
    assert admin.launch("m.parent").phase == executions_pb2.PHASE_QUEUED


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is said to databases."""
    said: list[str] = []

    def listen(_connection, _cursor, statement: str, *_rest: object) -> None:
        said.append(statement)

    event.listen(Engine, "before_cursor_execute", listen)
    yield said
    event.remove(Engine, "before_cursor_execute", listen)


def test_a_registration_asks_the_database_as_often_whatever_its_size(admin, graph, statements):
    counts = []
    for number, size in enumerate((2, 2, 40, 40)):
        sent = [graph.task()]
        for part in range(size):
            workflow = graph.workflow(f"m.w{size}-{part}")
            workflow.interface.inputs.append(graph.variable(f"new{number}"))
            sent.append(workflow)
        statements.clear()
        admin.register(*sent, version=f"v{number}", activate=True, allow_breaking=True)
        counts.append(len(statements))
    # The digests in what is written are looked for among what is condemned, hundreds at a time.
    assert counts[2] - counts[0] in (0, 2)
    assert counts[3] - counts[1] in (0, 2)
