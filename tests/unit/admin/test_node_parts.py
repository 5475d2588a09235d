"""Parts of maps and dynamic tasks: how they are listed and watched, and that what is Sensitive is in none."""

import asyncio

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
from typedflow.pb import executions_pb2, workflows_pb2

SUCCEEDED, FAILED, WAITING = (
    executions_pb2.PHASE_SUCCEEDED,
    executions_pb2.PHASE_FAILED,
    executions_pb2.PHASE_WAITING,
)
SECRET = literal_types.sensitive(literal_types.STRING)


def part(path: str, position: int, parent: str = "", phase=executions_pb2.PHASE_RUNNING, **fields):
    return executions_pb2.NodeExecution(id=path, position=position, parent=parent, phase=phase, **fields)


def given(text: str):
    return literals.as_map({"o0": literals.from_str(text)})


@pytest.fixture
def launched(world: World) -> str:
    """A map of a task that gives what is Sensitive, with two slots, and everything else that gives such."""
    login = task("m.login", literal_types.INT, SECRET)
    mapped = workflows_pb2.Node(id="m", inputs=[binding(promise("", "n"))])
    mapped.map.task.CopyFrom(identifiers.task("m.login"))
    inner = workflow(calls("a", "m.login", constant(literals.from_int(1))), name="m.inner")
    inner.interface.outputs.append(variable("o0", SECRET))
    inner.outputs.append(binding(promise("a"), "o0"))
    sub = workflows_pb2.Node(id="sub", inputs=[binding(constant(literals.from_int(1)), "n")])
    sub.launch_plan.launch_plan.CopyFrom(identifiers.launch_plan("m.inner"))
    branch = workflows_pb2.Node(id="pick")
    case = branch.branch.cases.add()
    case.condition.value.CopyFrom(constant(literals.from_bool(True)))
    case.outputs.bindings.append(binding(promise("sub"), "o0"))
    branch.branch.cases.add().outputs.bindings.append(binding(promise("sub"), "o0"))
    branch.branch.outputs.append(variable("o0", SECRET))
    check = workflows_pb2.Node(id="check", inputs=[binding(promise("sub"), "value")])
    check.gate.approval.type.CopyFrom(SECRET)
    whole = workflow(mapped, sub, branch, check, takes=literal_types.list_of(literal_types.INT))
    world.register(login, inner, whole)
    id_ = world.launch(inputs_json='{"n": [1, 2]}').id
    world.hold()
    return id_


def test_nodes_are_there_from_the_start_with_what_they_are(world, launched):
    shown = world.nodes(launched)
    assert [(node.id, node.kind, node.task) for node in shown.values()] == [
        ("m", executions_pb2.NODE_KIND_MAP, "m.login"),
        ("sub", executions_pb2.NODE_KIND_LAUNCH_PLAN, ""),
        ("pick", executions_pb2.NODE_KIND_BRANCH, ""),
        ("check", executions_pb2.NODE_KIND_GATE, ""),
    ]
    assert [node.position for node in shown.values()] == [0, 1, 2, 3]


def test_slots_are_listed_by_their_map_only(world, launched):
    world.commit(launched, nodes=[part("m[0]", 4, "m", FAILED), part("m[1]", 5, "m", SUCCEEDED)])
    assert list(world.nodes(launched)) == ["m", "sub", "pick", "check"]
    assert list(world.nodes(launched, parent="m")) == ["m[0]", "m[1]"]
    assert list(world.nodes(launched, parent="m", phases=[FAILED])) == ["m[0]"]
    assert list(world.nodes(launched, phases=[SUCCEEDED])) == []
    with pytest.raises(errors.NotFound) as refused:
        world.nodes(launched, parent="n")
    assert refused.value.where == "parent"


def test_a_page_of_parts_goes_on_where_it_ended(world, launched):
    world.commit(launched, nodes=[part(f"m[{slot}]", 4 + slot, "m") for slot in range(5)])
    request = executions_pb2.ListNodesRequest(execution_id=launched, parent="m", page_size=2)
    found = []
    while True:
        answer = world.run(world.executions.list_nodes(request))
        found += [node.id for node in answer.nodes]
        if not answer.next_page_token:
            break
        request.page_token = answer.next_page_token
    assert found == [f"m[{slot}]" for slot in range(5)]
    request.parent = ""
    with pytest.raises(errors.UsageError) as refused:
        world.run(world.executions.list_nodes(request))
    assert refused.value.code == "InvalidPageToken"


@pytest.mark.parametrize("slots", [False, True])
def test_a_watch_tells_of_slots_only_when_asked_to(world, launched, slots):
    world.commit(launched, nodes=[part("m[0]", 4, "m"), part("m[1].fit", 5, "m[1]"), part("sub", 1)])
    world.end(launched)

    async def told() -> list[executions_pb2.WatchExecutionResponse]:
        return [each async for each in world.executions.watch(launched, slots=slots)]

    answers = asyncio.run(told())
    nodes = [node.id for each in answers for node in each.nodes]
    assert nodes == ["m", "sub", "pick", "check", *(["m[0]", "m[1].fit"] if slots else [])]
    assert [each.HasField("execution") for each in answers] == [*([False] * (len(answers) - 1)), True]


def test_s3_nothing_sensitive_is_in_any_kind_of_node(world, launched):
    whole = literals.as_map({"o0": literals.from_list(literals.pack([literals.from_str("hunter2")] * 2))})
    waiting = executions_pb2.Wait(approval=literals.from_str("hunter2"), prompt="well?")
    world.commit(
        launched,
        nodes=[
            part("m", 0, outputs=whole),
            part("m[0]", 4, "m", outputs=given("hunter2")),
            part("sub", 1, outputs=given("hunter2")),
            part("pick", 2, outputs=given("hunter2")),
            part("check", 3, phase=WAITING, waiting=waiting, outputs=given("hunter2")),
        ],
    )
    shown = world.nodes(launched) | world.nodes(launched, parent="m")
    assert len(shown) == 5
    for node in shown.values():
        assert b"hunter2" not in node.SerializeToString(), node.id
        assert [each.name for each in node.outputs.values] == ["o0"]
    assert shown["check"].waiting.prompt == "well?"


@pytest.mark.parametrize("node", [part("", 0), part("a", 2**31)], ids=["no path", "no place"])
def test_a_node_that_there_can_not_be_is_refused(world, launched, node):
    with pytest.raises(errors.UsageError, match="a node that there can't be"):
        world.commit(launched, nodes=[node])
    assert world.lease(launched).version == 0
