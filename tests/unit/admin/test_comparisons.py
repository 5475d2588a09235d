"""What two versions of an entity differ in, as a client is told."""

import pytest
from typedflow_admin import comparisons

from typedflow import errors, identifiers, literal_types, literals
from typedflow.pb import registry_pb2, tasks_pb2, workflows_pb2

SAME, COMPATIBLE, BREAKING = (
    registry_pb2.COMPATIBILITY_SAME,
    registry_pb2.COMPATIBILITY_COMPATIBLE,
    registry_pb2.COMPATIBILITY_BREAKING,
)
KINDS = {"task": identifiers.task, "workflow": identifiers.workflow, "launch_plan": identifiers.launch_plan}


def compare(admin, kind: str, name: str, old: str = "v1", new: str = "v2"):
    ids = [
        KINDS[kind](name, project=admin.project, domain="development", version=version)
        for version in (old, new)
    ]
    return admin.registry.CompareEntities(registry_pb2.CompareEntitiesRequest(old=ids[0], new=ids[1]))


def told(answer) -> list[tuple[str, str, str]]:
    assert answer.differences_count == len(answer.differences)
    return [(each.path, each.old, each.new) for each in answer.differences]


def test_a_version_is_the_same_as_itself_and_as_its_copy(admin, graph):
    for version in ("v1", "v2"):
        task = graph.task(description=f"as of {version}")
        task.position.line = len(version)
        admin.register(task, graph.workflow(), graph.plan(), version=version)
    for kind, name in (("task", "m.inc"), ("workflow", "m.wf"), ("launch_plan", "nightly")):
        for new in ("v1", "v2"):
            answer = compare(admin, kind, name, new=new)
            assert answer.interface.compatibility == SAME
            assert told(answer) == []
            assert (answer.old.version, answer.new.version) == ("v1", new)


def test_a_graph_is_compared_node_by_node(admin, graph):
    admin.register(graph.task(), graph.task("m.other"), graph.workflow(nodes="abc"), version="v1")
    changed = graph.workflow(nodes="acd")
    changed.nodes[0].inputs[0].value.literal.CopyFrom(literals.from_int(7))
    changed.nodes[0].task.overrides.retry.retries = 2
    changed.nodes[1].task.task.name = "m.other"
    changed.nodes[2].after.append("a")
    changed.failure_policy = workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
    admin.register(graph.task(), graph.task("m.other"), changed, version="v2")
    assert told(compare(admin, "workflow", "wf")) == [
        ("nodes.a.inputs.x", "n", "7"),
        ("nodes.a.overrides", "", "retry { retries: 2 }"),
        ("nodes.c.inputs.x", "b.o0", "a.o0"),
        ("nodes.c.task", "m.inc", "m.other"),
        ("nodes.d", "", "m.inc"),
        ("nodes.b", "m.inc", ""),
        ("outputs.o0", "c.o0", "d.o0"),
        ("failure_policy", "FAIL_FAST", "FAIL_AFTER_RUNNING"),
        ("tasks.m.other", "", "m.other"),
    ]


def with_code(
    task: tasks_pb2.TaskTemplate, python: str = "3.11", **components: str
) -> tasks_pb2.TaskTemplate:
    """The task, whose code is these functions of module `m` and numpy 1 or 2."""
    for name, digest in components.items():
        task.code.components.add(name=f"m.{name}", digest=f"b3:{digest * 64}")
    task.code.fingerprint = "b3:" + "".join(components.values())
    task.code.python = python
    task.code.distributions.add(name="numpy", version="1.26" if python == "3.11" else "2.0")
    return task


def test_code_is_told_once_however_many_tasks_it_is_part_of(admin, graph):
    admin.register(
        with_code(graph.task(), scale="a", gone="b"),
        with_code(graph.task("m.other"), scale="a"),
        graph.workflow(),
        version="v1",
    )
    admin.register(
        with_code(graph.task(retries=2), "3.12", scale="c", new="d"),
        with_code(graph.task("m.other"), "3.12", scale="c"),
        graph.workflow(),
        version="v2",
    )
    code = [
        ("code.m.new", "", "b3:ddddddddd..."),
        ("code.m.scale", "b3:aaaaaaaaa...", "b3:ccccccccc..."),
        ("code.m.gone", "b3:bbbbbbbbb...", ""),
        ("code.python", "3.11", "3.12"),
        ("code.distributions.numpy", "1.26", "2.0"),
    ]
    assert told(compare(admin, "workflow", "m.wf")) == [
        ("tasks.m.inc.options.retry", "", "retries: 2"),
        *code,
    ]
    assert told(compare(admin, "task", "m.inc")) == [("options.retry", "", "retries: 2"), *code]


def test_a_launch_plan_is_compared_with_its_workflow(admin, graph):
    first = graph.plan(default_inputs=graph.ints(n=1))
    admin.register(graph.task(), graph.workflow(), first, version="v1")
    second = graph.plan(fixed_inputs=graph.ints(n=2), max_parallelism=5)
    second.schedule.cron.expression, second.schedule.cron.timezone = "0 2 * * *", "Europe/Berlin"
    admin.register(graph.task(), graph.workflow(nodes="a"), second, version="v2")
    answer = compare(admin, "launch_plan", "nightly")
    assert answer.interface.compatibility == BREAKING
    [variable] = answer.interface.variables
    assert (variable.name, variable.reason) == ("n", "it is not there any more")
    assert told(answer) == [
        ("default_inputs.n", "1", ""),
        ("fixed_inputs.n", "", "2"),
        ("max_parallelism", "0", "5"),
        ("schedule", "", "0 2 * * * Europe/Berlin"),
        ("nodes.b", "m.inc", ""),
        ("outputs.o0", "b.o0", "a.o0"),
    ]


def test_i4_an_interface_is_compared_and_those_whom_it_breaks_are_named(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    changed = graph.task()
    changed.interface.inputs[0].type.CopyFrom(literal_types.optional(literal_types.INT))
    changed.interface.outputs.append(graph.variable("more"))
    changed.interface.inputs.append(graph.variable("y", 3))
    admin.register(changed, graph.workflow(), version="v2")
    answer = compare(admin, "task", "m.inc")
    assert answer.interface.compatibility == COMPATIBLE
    assert answer.interface.affected_count == 0
    assert told(answer) == []
    back = compare(admin, "task", "m.inc", "v2", "v1").interface
    assert back.compatibility == BREAKING
    assert [(each.name, each.version) for each in back.affected] == [("m.wf", "v2")]
    in_workflow = told(compare(admin, "workflow", "m.wf"))
    assert in_workflow[-1] == (
        "tasks.m.inc.interface",
        "(x: int) -> int",
        "(x: int | None, y: int = 3) -> (o0: int, more: int)",
    )


def test_interfaces_that_read_the_same_are_told_apart_by_what_differs(admin, refused, graph):
    def with_config(*fields: str):
        task = graph.task()
        config = literal_types.optional(
            literal_types.record("Config", dict.fromkeys(fields, literal_types.INT))
        )
        default = literals.from_json(None, config, "config")
        task.interface.inputs.add(name="config", type=config, default=default)
        return task

    def described():
        task = with_config()
        task.interface.inputs[0].description = "how many"
        return task

    admin.register(with_config(), graph.workflow(), version="v1")
    admin.register(with_config("width"), graph.workflow(), version="v2")
    path, old, new = told(compare(admin, "workflow", "m.wf"))[-1]
    shown = "(x: int, config: Config | None = None) -> int"
    assert (path, old) == ("tasks.m.inc.interface", shown)
    assert new == "one whose input `config` differs: it may be Config: field `width` is missing"
    error = refused(admin.register, described(), version="v1")
    assert error.message.endswith(f"interface: {shown} became one with other descriptions")


def test_s3_what_is_given_to_a_sensitive_input_is_not_told(admin, graph):
    secret = literal_types.sensitive(literal_types.STRING)
    for version, word in (("v1", "hunter2"), ("v2", "hunter3")):
        task, workflow = graph.task(), graph.workflow(nodes="a")
        task.interface.inputs.add(name="key", type=secret)
        workflow.interface.inputs.add(name="token", type=secret)
        workflow.nodes[0].inputs.add(variable="key").value.literal.CopyFrom(literals.from_str(word))
        plan = graph.plan(fixed_inputs=literals.as_map({"token": literals.from_str(word)}))
        admin.register(task, workflow, plan, version=version)
    answer = compare(admin, "launch_plan", "nightly")
    assert told(answer) == [
        ("fixed_inputs.token", "***", "***"),
        ("nodes.a.inputs.key", "***", "***"),
    ]
    assert "hunter" not in str(answer)


def test_s3_a_refused_version_does_not_tell_a_sensitive_input(admin, refused, graph):
    secret = literal_types.sensitive(literal_types.STRING)

    def sent(word: str):
        task, workflow = graph.task(), graph.workflow(nodes="a")
        task.interface.inputs.add(name="key", type=secret)
        workflow.nodes[0].inputs.add(variable="key").value.literal.CopyFrom(literals.from_str(word))
        return task, workflow

    admin.register(*sent("hunter2"), version="v1")
    error = refused(admin.register, *sent("hunter3"), version="v1")
    assert isinstance(error, errors.VersionConflict)
    assert error.message.endswith("nodes.a.inputs.key: *** became ***")


def test_differences_are_counted_beyond_those_that_are_told(admin, graph, monkeypatch):
    monkeypatch.setattr(comparisons, "MOST_DIFFERENCES", 3)
    admin.register(graph.task(), graph.workflow(nodes="a"), version="v1")
    admin.register(graph.task(), graph.workflow(nodes="abcdefgh"), version="v2")
    answer = compare(admin, "workflow", "m.wf")
    assert [each.path for each in answer.differences] == ["nodes.b", "nodes.c", "nodes.d"]
    assert answer.differences_count == 8


def test_l1_without_a_version_the_active_one_is_compared(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1", activate=True)
    admin.register(graph.task(), graph.workflow(), version="v2")
    answer = compare(admin, "launch_plan", "m.wf", "", "v2")
    assert (answer.old.version, answer.new.version) == ("v1", "v2")
    assert compare(admin, "workflow", "m.wf", "").old.version == "v2"


def test_what_cannot_be_compared_is_refused(admin, refused, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    unknown = refused(compare, admin, "workflow", "m.wf")
    assert "there is no version `v2` of workflow `m.wf`" in unknown.message
    task, plan = (
        make("m.wf", project=admin.project, domain="development")
        for make in (identifiers.task, identifiers.launch_plan)
    )
    request = registry_pb2.CompareEntitiesRequest(old=task, new=plan)
    assert refused(admin.registry.CompareEntities, request).where == "new.kind"


@pytest.mark.parametrize("count", [1, 2_000])
def test_a_large_graph_is_compared(admin, graph, count):
    admin.register(graph.task(), graph.workflow(nodes=[f"n{n}" for n in range(count)]), version="v1")
    changed = graph.workflow(nodes=[f"n{n}" for n in range(count)])
    changed.nodes[-1].inputs[0].value.literal.CopyFrom(literals.from_int(1))
    admin.register(graph.task(), changed, version="v2")
    [only] = told(compare(admin, "workflow", "m.wf"))
    assert only[0] == f"nodes.n{count - 1}.inputs.x"
