"""L1, L2, I4: which version of a launch plan is launched when none is named, and the gate before that."""

import sqlite3

import pytest

from typedflow import errors, identifiers
from typedflow.pb import identifiers_pb2, registry_pb2

SAME, COMPATIBLE, BREAKING = (
    registry_pb2.COMPATIBILITY_SAME,
    registry_pb2.COMPATIBILITY_COMPATIBLE,
    registry_pb2.COMPATIBILITY_BREAKING,
)
PLAN = identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN


def activate(admin, version: str, name: str = "m.wf", *, allow_breaking: bool = False):
    request = registry_pb2.ActivateLaunchPlanRequest(
        id=admin.plan(name, version), allow_breaking=allow_breaking
    )
    return admin.registry.ActivateLaunchPlan(request)


def deactivate(admin, version: str = "", name: str = "m.wf"):
    return admin.registry.DeactivateLaunchPlan(
        registry_pb2.DeactivateLaunchPlanRequest(id=admin.plan(name, version))
    )


def active(admin, name: str = "m.wf") -> list[str]:
    """The active versions of a name, of which there is one at most."""
    request = registry_pb2.ListEntitiesRequest(
        kind=PLAN, project=admin.project, domain="development", name=name
    )
    return [each.id.version for each in admin.registry.ListEntities(request).entities if each.active]


def newest(admin, name: str = "m.wf") -> str:
    """The version that is launched when none is named."""
    return str(admin.launch(name).launch_plan.version)


@pytest.fixture
def versions(admin, graph):
    """`v1`; `v2`, which adds an optional input; `v3`, which also wants another that has no default."""
    first, second, third = graph.workflow(), graph.workflow(), graph.workflow()
    for workflow in (second, third):
        workflow.interface.inputs.append(graph.variable("more", 5))
    third.interface.inputs.append(graph.variable("required"))
    for version, workflow in (("v1", first), ("v2", second), ("v3", third)):
        admin.register(graph.task(), workflow, version=version)


def test_l1_what_is_launched_without_a_version_is_the_active_one_else_the_newest(admin, graph, versions):
    admin.register(graph.task(), graph.workflow(), version="v4")
    assert newest(admin) == "v4"
    activate(admin, "v1")
    assert newest(admin) == "v1"
    entity = admin.registry.GetEntity(registry_pb2.GetEntityRequest(id=admin.plan("wf"))).entity
    assert (entity.id.version, entity.active) == ("v1", True)
    admin.register(graph.task(), graph.workflow(), version="v5")
    assert newest(admin) == "v1"
    assert deactivate(admin).deactivated.version == "v1"
    assert newest(admin) == "v5"


def test_l2_a_name_has_one_active_version_at_most(admin, versions):
    assert active(admin) == []
    first = activate(admin, "v1")
    assert not first.HasField("replaced")
    assert not first.HasField("interface")
    second = activate(admin, "v2")
    assert second.replaced.version == "v1"
    assert second.interface.compatibility == COMPATIBLE
    assert [(each.name, each.reason) for each in second.interface.variables] == [
        ("more", "it is new, 5 by default")
    ]
    assert active(admin) == ["v2"]
    again = activate(admin, "v2")
    assert (again.replaced.version, again.interface.compatibility) == ("v2", SAME)
    assert active(admin) == ["v2"]


def test_l2_the_database_itself_refuses_a_second_active_version(admin, versions):
    activate(admin, "v1")
    connection = sqlite3.connect(next(admin.home.rglob("*.db")))
    with connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            "INSERT INTO active_launch_plans SELECT project, domain, name, number + 1, 0, '' FROM active_launch_plans"
        )
    connection.close()


def test_i4_a_breaking_version_is_refused_and_says_what_breaks(admin, refused, versions):
    activate(admin, "v1")
    error = refused(activate, admin, "v3")
    assert isinstance(error, errors.BreakingChange)
    assert error.message == (
        "version `v3` of launch plan `m.wf` breaks what the active version `v1` promises:"
        " input `required`: it is new and required"
    )
    [comparison] = error.comparisons
    assert (comparison.old.version, comparison.new.version) == ("v1", "v3")
    assert [each.name for each in comparison.variables] == ["required"]
    assert error.left_out == 0
    assert active(admin) == ["v1"]
    assert activate(admin, "v3", allow_breaking=True).interface.compatibility == BREAKING
    assert active(admin) == ["v3"]


def test_i4_those_who_refer_to_the_version_that_breaks_are_named(admin, refused, graph, versions):
    for number in range(102):
        caller = graph.workflow(f"m.caller-{number:03}", nodes=["a"])
        node = caller.nodes[0]
        node.launch_plan.launch_plan.CopyFrom(identifiers.launch_plan("m.wf", version="v1"))
        node.inputs[0].variable = "n"
        admin.register(caller, version="w1")
    activate(admin, "v1")
    error = refused(activate, admin, "v3")
    assert isinstance(error, errors.BreakingChange)
    [arrived] = error.comparisons
    assert (len(arrived.affected), arrived.affected_count) == (10, 102)
    whole = activate(admin, "v3", allow_breaking=True).interface
    assert whole.affected_count == 102
    assert [each.name for each in whole.affected] == [f"m.caller-{number:03}" for number in range(100)]
    assert {(each.version, each.kind) for each in whole.affected} == {
        ("w1", identifiers_pb2.ENTITY_KIND_WORKFLOW)
    }


def test_a_version_that_is_not_there_or_not_named_is_not_activated(admin, refused, versions):
    assert "no version `v9`" in refused(activate, admin, "v9").message
    assert refused(activate, admin, "v1", "m.unknown").hint
    assert refused(activate, admin, "").where == "id.version"
    assert active(admin) == []


def test_deactivating_what_is_not_active_changes_nothing(admin, refused, versions):
    assert not deactivate(admin).HasField("deactivated")
    activate(admin, "v1")
    error = refused(deactivate, admin, "v2")
    assert "`v2` of launch plan `m.wf` is not active, `v1` is" in error.message
    assert active(admin) == ["v1"]
    assert deactivate(admin, "v1").deactivated.version == "v1"
    assert active(admin) == []


def test_l2_what_is_registered_can_be_made_active_with_it(admin, graph):
    admin.register(graph.task(), graph.workflow(), graph.plan(), version="v1", activate=True)
    assert (active(admin), active(admin, "m.nightly")) == (["v1"], ["v1"])
    admin.register(graph.task(), graph.workflow(), version="v2", activate=True)
    assert (active(admin), active(admin, "m.nightly")) == (["v2"], ["v1"])
    admin.register(graph.task(), graph.workflow(), version="v1", activate=True)
    assert active(admin) == ["v1"]


def test_l2_the_same_content_registered_again_can_be_made_active(admin, graph):
    first = admin.register(graph.task(), graph.workflow())
    admin.register(graph.task(retries=1), graph.workflow(), activate=True)
    again = admin.register(graph.task(), graph.workflow(), activate=True)
    assert active(admin) == [first.version] == [again.version]


@pytest.mark.parametrize("dry_run", [True, False])
def test_i2_a_registration_that_may_not_be_activated_leaves_nothing(admin, refused, graph, dry_run):
    admin.register(graph.task(), graph.workflow(), graph.plan(), version="v1", activate=True)
    breaking = graph.workflow()
    breaking.interface.inputs[0].name = "m"
    for binding in breaking.nodes[0].inputs:
        binding.value.promise.variable = "m"
    sent = (graph.task(), graph.task("m.new"), breaking, graph.plan())
    error = refused(admin.register, *sent, version="v2", activate=True, dry_run=dry_run)
    assert isinstance(error, errors.BreakingChange)
    assert [each.new.name for each in error.comparisons] == ["m.nightly", "m.wf"]
    assert [[v.name for v in each.variables] for each in error.comparisons] == [["n"], ["n"]]
    assert active(admin) == ["v1"]
    unknown = registry_pb2.GetEntityRequest(
        id=identifiers.task("m.new", project=admin.project, domain="development")
    )
    assert isinstance(refused(admin.registry.GetEntity, unknown), errors.NotFound)
    done = admin.register(*sent, version="v2", activate=True, allow_breaking=True, dry_run=dry_run)
    assert {each.id.name: each.interface.compatibility for each in done.entities if each.id.kind == PLAN} == {
        "m.nightly": BREAKING,
        "m.wf": BREAKING,
    }
    assert active(admin) == (["v1"] if dry_run else ["v2"])


def test_i4_a_registration_is_compared_with_the_active_version_else_the_newest(admin, graph):
    def compared(answer) -> dict[str, tuple[str, int]]:
        return {
            f"{each.id.kind} {each.id.name}": (each.interface.old.version, each.interface.compatibility)
            for each in answer.entities
        }

    first = admin.register(graph.task(), graph.workflow(), version="v1")
    assert not any(each.HasField("interface") for each in first.entities)
    activate(admin, "v1")
    wider = graph.workflow()
    wider.interface.inputs.append(graph.variable("more", 5))
    second = admin.register(graph.task(retries=1), wider, version="v2")
    assert compared(second) == {
        "1 m.inc": ("v1", SAME),
        "2 m.wf": ("v1", COMPATIBLE),
        "3 m.wf": ("v1", COMPATIBLE),
    }
    third = admin.register(graph.task(), graph.workflow(), version="v3")
    assert compared(third) == {
        "1 m.inc": ("v2", SAME),
        "2 m.wf": ("v2", BREAKING),
        "3 m.wf": ("v1", SAME),
    }
    [workflow] = [each for each in third.entities if each.id.kind == identifiers_pb2.ENTITY_KIND_WORKFLOW]
    assert workflow.interface.affected_count == 1
    [plan] = workflow.interface.affected
    assert (plan.kind, plan.name, plan.version) == (PLAN, "m.wf", "v2")


def test_i4_a_fixed_input_is_a_promise_taken_back(admin, refused, graph):
    admin.register(graph.task(), graph.workflow(), graph.plan(), version="v1", activate=True)
    fixed = graph.plan(fixed_inputs=graph.ints(n=3))
    error = refused(admin.register, graph.task(), graph.workflow(), fixed, version="v2", activate=True)
    assert "launch plan `m.nightly`" in error.message
    assert "input `n`: it is not there any more" in error.message
