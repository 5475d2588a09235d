"""Several clients at once, and what is as large as it may be: the registry keeps its promises."""

from concurrent.futures import ThreadPoolExecutor

import grpc

from typedflow import errors, identifiers, rpc
from typedflow.pb import identifiers_pb2, registry_pb2, workflows_pb2

PLAN = identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN


def outcomes(calls) -> list[errors.TypedflowError | None]:
    """What each of some calls that are made at once ended with."""

    def one(call) -> errors.TypedflowError | None:
        try:
            call()
        except grpc.RpcError as error:
            return rpc.error_from(error)
        return None

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def activate(admin, version: str, name: str = "m.wf", *, allow_breaking: bool = False):
    request = registry_pb2.ActivateLaunchPlanRequest(
        id=admin.plan(name, version), allow_breaking=allow_breaking
    )
    return admin.registry.ActivateLaunchPlan(request)


def active(admin, name: str = "m.wf") -> list[str]:
    request = registry_pb2.ListEntitiesRequest(
        kind=PLAN, project=admin.project, domain="development", name=name
    )
    return [each.id.version for each in admin.registry.ListEntities(request).entities if each.active]


def test_l2_versions_that_are_activated_at_once_leave_one_active(admin, graph):
    for number in range(4):
        workflow = graph.workflow()
        workflow.description = str(number)
        admin.register(graph.task(), workflow, version=f"v{number}")
    done = outcomes([lambda n=n: activate(admin, f"v{n % 4}") for n in range(24)])
    assert done == [None] * 24
    assert len(active(admin)) == 1


def test_i4_of_two_versions_that_break_each_other_the_first_to_be_activated_stays(admin, graph):
    for version, extra in (("v1", "left"), ("v2", "right")):
        workflow = graph.workflow()
        workflow.interface.inputs.append(graph.variable(extra))
        admin.register(graph.task(), workflow, version=version)
    done = outcomes([lambda v=v: activate(admin, v) for v in ("v1", "v2")])
    assert sorted(type(each).__name__ for each in done) == ["BreakingChange", "NoneType"]
    assert active(admin) == ["v1" if done[0] is None else "v2"]


def test_i2_of_other_content_under_one_version_that_comes_at_once_one_is_kept(admin, graph):
    def register(number: int) -> None:
        admin.register(graph.task(retries=number), graph.workflow(), version="v1", activate=True)

    done = outcomes([lambda n=n: register(n) for n in (1, 2, 3, 1, 2, 3)])
    kept = [number for number, each in zip((1, 2, 3, 1, 2, 3), done, strict=True) if each is None]
    assert len(set(kept)) == 1
    assert len(kept) == 2
    assert {type(each).__name__ for each in done} == {"VersionConflict", "NoneType"}
    assert active(admin) == ["v1"]


def test_w5_the_same_content_that_comes_at_once_is_registered_once(admin, graph):
    done = outcomes([lambda: admin.register(graph.task(), graph.workflow(), activate=True)] * 8)
    assert done == [None] * 8
    assert len(active(admin)) == 1


def test_s5_whatever_breaks_is_told_within_the_limits_of_an_error(admin, graph, refused):
    names = [f"{'ä' * 200}{number}" for number in range(300)]
    old, new = graph.workflow(), graph.workflow()
    new.interface.inputs.extend(graph.variable(name) for name in names)
    admin.register(graph.task(), old, version="v1")
    admin.register(graph.task(), new, version="v2")
    for number in range(120):
        caller = workflows_pb2.WorkflowTemplate(id=identifiers.workflow(f"{'c' * 200}.{'d' * 40}{number}"))
        node = caller.nodes.add(id="start")
        node.launch_plan.launch_plan.CopyFrom(admin.plan("m.wf", "v1"))
        admin.register(caller, version="v1")
    activate(admin, "v1")
    error = refused(activate, admin, "v2")
    assert isinstance(error, errors.BreakingChange)
    assert error.comparisons[0].affected_count == 120
    response = activate(admin, "v2", allow_breaking=True)
    assert len(response.interface.variables) == 300
    assert len(response.interface.affected) == 100


def test_i4_those_who_refer_from_other_projects_are_named(admin, graph, refused):
    old, new = graph.workflow(), graph.workflow()
    new.interface.inputs.append(graph.variable("more"))
    admin.register(graph.task(), old, version="v1")
    admin.register(graph.task(), new, version="v2")
    activate(admin, "v1")
    elsewhere = workflows_pb2.WorkflowTemplate(id=identifiers.workflow("other.wf", project="q"))
    elsewhere.nodes.add(id="start").launch_plan.launch_plan.CopyFrom(admin.plan("m.wf", "v1"))
    admin.register(elsewhere, version="w")
    error = refused(activate, admin, "v2")
    assert ("q", "other.wf", "w") in {(e.project, e.name, e.version) for e in error.comparisons[0].affected}
