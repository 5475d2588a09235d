"""Registration: everything or nothing, compiled here, versions that never change."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from typedflow_admin import registration

from typedflow import errors, identifiers, rpc
from typedflow.pb import data_pb2, identifiers_pb2, registry_pb2

NEW, UNCHANGED, CHANGED = registry_pb2.CHANGE_NEW, registry_pb2.CHANGE_UNCHANGED, registry_pb2.CHANGE_CHANGED


def refused(call, *arguments, **named):
    """The error that the server raised."""
    with pytest.raises(grpc.RpcError) as failure:
        call(*arguments, **named)
    return rpc.error_from(failure.value)


def get(admin, kind: str, name: str, version: str = ""):
    make = {"task": identifiers.task, "workflow": identifiers.workflow, "plan": identifiers.launch_plan}[kind]
    id_ = make(name, project=admin.project, domain="development", version=version)
    return admin.registry.GetEntity(registry_pb2.GetEntityRequest(id=id_)).entity


def test_what_is_registered_is_found_again_compiled_and_with_its_principal(admin, graph):
    answer = admin.register(graph.task(), graph.workflow(), version="v1")
    assert answer.version == "v1"
    assert [(e.id.name, e.change) for e in answer.entities] == [("m.inc", NEW), ("m.wf", NEW), ("m.wf", NEW)]
    workflow = get(admin, "workflow", "m.wf")
    assert workflow.principal.startswith("local:")
    assert workflow.workflow.tasks[0].id.version == "v1"
    assert get(admin, "plan", "m.wf").launch_plan.interface.inputs[0].name == "n"


def test_i1_the_same_again_changes_nothing(admin, graph):
    first = admin.register(graph.task(), graph.workflow(), version="v1")
    number = get(admin, "workflow", "m.wf").created_at_us
    again = admin.register(graph.workflow(), graph.task(), version="v1")
    assert {e.change for e in again.entities} == {UNCHANGED}
    assert [e.id for e in again.entities] == [e.id for e in first.entities]
    assert get(admin, "workflow", "m.wf").created_at_us == number


def test_i2_other_content_under_a_version_is_refused_and_says_what_differs(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    error = refused(admin.register, graph.task(retries=3), graph.workflow("m.other"), version="v1")
    assert isinstance(error, errors.VersionConflict)
    assert "version `v1` of task `m.inc` exists with other content: options.retry" in error.message
    assert isinstance(refused(get, admin, "workflow", "m.other"), errors.NotFound)


def test_without_a_version_there_is_one_of_the_content(admin, graph):
    first = admin.register(graph.task(), graph.workflow())
    assert admin.register(graph.workflow(), graph.task()).version == first.version
    other = admin.register(graph.task(retries=1), graph.workflow())
    assert other.version != first.version
    assert [e.change for e in other.entities] == [CHANGED, UNCHANGED, UNCHANGED]


def versions(admin, kind, name: str) -> list[str]:
    """All the versions of a name, as a client sees them."""
    request = registry_pb2.ListEntitiesRequest(
        kind=kind, project=admin.project, domain="development", name=name
    )
    return [entity.id.version for entity in admin.registry.ListEntities(request).entities]


def test_l1_what_is_registered_again_without_a_version_is_the_newest(admin, graph):
    first = admin.register(graph.task(), graph.workflow())
    second = admin.register(graph.task(retries=1), graph.workflow())
    created = get(admin, "plan", "m.wf", first.version).created_at_us
    dry = admin.register(graph.task(), graph.workflow(), dry_run=True)
    assert get(admin, "plan", "m.wf").id.version == second.version
    again = admin.register(graph.task(), graph.workflow())
    assert dry == again
    assert again.version == first.version
    assert [e.change for e in again.entities] == [CHANGED, UNCHANGED, UNCHANGED]
    assert [get(admin, kind, "m.wf").id.version for kind in ("workflow", "plan")] == [first.version] * 2
    assert get(admin, "task", "m.inc").id.version == first.version
    assert get(admin, "plan", "m.wf").created_at_us == created
    assert versions(admin, identifiers_pb2.ENTITY_KIND_TASK, "m.inc") == [first.version, second.version]
    assert admin.launch().launch_plan.version == first.version


def test_i1_a_version_that_is_named_and_there_already_stays_in_its_place(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    admin.register(graph.task(retries=1), graph.workflow(), version="v2")
    again = admin.register(graph.task(), graph.workflow(), version="v1")
    assert {e.change for e in again.entities} == {UNCHANGED}
    assert get(admin, "task", "m.inc").id.version == "v2"
    assert versions(admin, identifiers_pb2.ENTITY_KIND_TASK, "m.inc") == ["v2", "v1"]


def test_l1_a_template_with_a_version_of_its_own_stays_while_the_others_become_the_newest(admin, graph):
    named = graph.task()
    named.id.version = "v1"
    workflow = graph.workflow()
    for node in workflow.nodes:
        node.task.task.version = "v1"
    first = admin.register(named, workflow)
    admin.register(graph.task(retries=1), graph.workflow(), version="v2")
    again = admin.register(named, workflow)
    assert [e.change for e in again.entities] == [UNCHANGED, CHANGED, UNCHANGED]
    assert get(admin, "task", "m.inc").id.version == "v2"
    assert get(admin, "workflow", "m.wf").id.version == again.version == first.version


def test_l1_the_same_registrations_at_once_are_as_one(admin, graph):
    first = admin.register(graph.task(), graph.workflow())
    admin.register(graph.task(retries=1), graph.workflow())
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: admin.register(graph.task(), graph.workflow()), range(8)))
    assert {answer.version for answer in answers} == {first.version}
    assert sorted(answer.entities[0].change for answer in answers) == [UNCHANGED] * 7 + [CHANGED]
    assert versions(admin, identifiers_pb2.ENTITY_KIND_TASK, "m.inc")[0] == first.version
    assert len(versions(admin, identifiers_pb2.ENTITY_KIND_TASK, "m.inc")) == 2


def test_w3_what_is_wrong_with_a_task_is_said_once(admin, graph):
    task = graph.task()
    task.interface.outputs.append(task.interface.outputs[0])
    error = refused(admin.register, task, graph.workflow(), graph.workflow("m.other"))
    assert isinstance(error, errors.CompileError)
    assert len(error.diagnostics) == len({d.SerializeToString() for d in error.diagnostics}) == 1


def test_w5_the_server_compiles_itself_and_finds_every_mistake(admin, graph):
    wrong = graph.workflow()
    wrong.nodes[0].inputs[0].variable = "y"
    wrong.nodes[1].task.task.name = "m.absent"
    error = refused(admin.register, graph.task(), wrong)
    assert isinstance(error, errors.CompileError)
    codes = [diagnostic.code for diagnostic in error.diagnostics]
    assert {"ParameterNotBound", "VariableNameNotFound", "TaskReferenceNotFound"} <= set(codes)
    assert isinstance(refused(get, admin, "task", "m.inc"), errors.NotFound)


def test_many_diagnostics_reach_a_client_with_the_usual_limits(admin, graph):
    wrong = graph.workflow(nodes=[f"n{number}" for number in range(200)])
    for node in wrong.nodes:
        node.inputs[0].variable = "wrong"
    error = refused(admin.register, graph.task(), wrong)
    assert isinstance(error, errors.CompileError)
    assert 1 < len(error.diagnostics) < 400


def test_a_dry_run_says_what_would_change_and_keeps_nothing(admin, graph):
    task = graph.task()
    task.python.bundle = "b3:" + "0" * 64
    answer = admin.register(task, graph.workflow(), dry_run=True)
    assert {e.change for e in answer.entities} == {NEW}
    assert isinstance(refused(get, admin, "task", "m.inc"), errors.NotFound)


def test_d4_a_bundle_must_be_there_before_its_tasks(admin, graph):
    task = graph.task()
    task.python.bundle = "b3:" + "1" * 64
    error = refused(admin.register, task)
    assert isinstance(error, errors.StateConflict)
    assert task.python.bundle in error.message
    assert admin.data.FindMissingBundles(
        data_pb2.FindMissingBundlesRequest(project="p", domain="d", digests=[task.python.bundle])
    ).digests == [task.python.bundle]


def test_a_workflow_may_call_a_task_that_was_registered_before(admin, graph):
    admin.register(graph.task(), version="v1")
    workflow = graph.workflow()
    for node in workflow.nodes:
        node.task.task.version = "v1"
    admin.register(workflow, version="v2")
    assert get(admin, "workflow", "m.wf").workflow.tasks[0].id.version == "v1"


def test_i1_a_unique_last_part_of_a_name_is_enough(admin, graph):
    admin.register(graph.task("m.inc"), graph.task("m.prep.scale"), graph.task("n.prep.scale"))
    assert get(admin, "task", "inc").id.name == "m.inc"
    assert get(admin, "task", "m.prep.scale").id.name == "m.prep.scale"
    ambiguous = refused(get, admin, "task", "scale")
    assert isinstance(ambiguous, errors.UsageError)
    assert "`m.prep.scale`, `n.prep.scale`" in ambiguous.message
    unknown = refused(get, admin, "task", "m.icn")
    assert isinstance(unknown, errors.NotFound)
    assert unknown.hint == "did you mean `m.inc`?"
    version = refused(get, admin, "task", "inc", "v9")
    assert "there is no version `v9` of task `m.inc`" in version.message


def test_lists_are_paged_and_their_tokens_are_theirs_alone(admin, graph):
    admin.register(*[graph.task(f"m.t{number}") for number in range(5)], version="v1")
    request = registry_pb2.ListEntitiesRequest(
        kind=identifiers_pb2.ENTITY_KIND_TASK, project=admin.project, domain="development", page_size=2
    )
    names = []
    while True:
        answer = admin.registry.ListEntities(request)
        names += [entity.id.name for entity in answer.entities]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert names == [f"m.t{number}" for number in range(5)]
    assert answer.entities[0].signature == "(x: int) -> int"
    request.domain = "production"
    for token in (request.page_token, "no token", "bm8"):
        request.page_token = token
        assert refused(admin.registry.ListEntities, request).code == "InvalidPageToken"


def test_versions_of_a_name_are_listed_newest_first(admin, graph):
    for number in range(3):
        admin.register(graph.task(retries=number), version=f"v{number}")
    request = registry_pb2.ListEntitiesRequest(
        kind=identifiers_pb2.ENTITY_KIND_TASK,
        project=admin.project,
        domain="development",
        name="inc",
        page_size=2,
    )
    first = admin.registry.ListEntities(request)
    request.page_token = first.next_page_token
    rest = admin.registry.ListEntities(request)
    assert [e.id.version for e in (*first.entities, *rest.entities)] == ["v2", "v1", "v0"]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"project": "Not A Label", "domain": "d"}, "header.project"),
        ({"project": "p", "domain": "d", "version": "a b"}, "header.version"),
        ({"project": "", "domain": "d"}, "project"),
    ],
)
def test_s5_a_malformed_header_is_refused_with_its_place(admin, graph, header, message):
    requests = [
        registry_pb2.RegisterRequest(header=registry_pb2.RegisterHeader(**header)),
        registry_pb2.RegisterRequest(tasks=[graph.task()]),
    ]
    error = refused(admin.registry.Register, iter(requests))
    assert isinstance(error, errors.UsageError)
    assert message in str(error)


def test_s5_a_stream_that_is_no_registration_is_refused(admin, graph):
    header = registry_pb2.RegisterRequest(header=registry_pb2.RegisterHeader(project="p", domain="d"))
    body = registry_pb2.RegisterRequest(tasks=[graph.task()])
    for requests in ([], [header], [body], [header, header, body]):
        assert isinstance(refused(admin.registry.Register, iter(requests)), errors.UsageError)


def test_s5_two_templates_of_one_name_that_differ_are_refused(admin, graph):
    error = refused(admin.register, graph.task(), graph.task(retries=1))
    assert "sent twice" in error.message
    assert len(admin.register(graph.task(), graph.task()).entities) == 1


def test_w4_a_registration_that_is_too_large_is_refused(admin, graph, monkeypatch):
    monkeypatch.setattr(registration, "MAX_NODES", 3)
    admin.register(graph.task(), graph.workflow(nodes=["a", "b", "c"]))
    error = refused(admin.register, graph.task(), graph.workflow(nodes=["a", "b", "c", "d"]))
    assert error.code == "GraphTooLarge"
    monkeypatch.setattr(registration, "MAX_BYTES", 100)
    assert refused(admin.register, graph.task(), graph.workflow()).code == "GraphTooLarge"
