"""Gates, and nodes that launch other executions."""

import pytest

from typedflow import literal_types, literals
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, ENTITY_KIND_TASK

INT, FLOAT, STRING = literal_types.INT, literal_types.FLOAT, literal_types.STRING
YEAR_MS = 365 * 24 * 3600 * 1000


@pytest.fixture
def made(build):
    made = build()
    made.add_task("use", {"text": STRING}, {"o0": INT})
    made.add_input("text", STRING)
    return made


# Gates


def test_a_signal_gives_a_value_of_its_type(made, build):
    gate = made.add_gate("label")
    gate.gate.signal.type.CopyFrom(STRING)
    gate.gate.timeout_ms = 1_000
    made.add_node("use", {"text": build.of("label")})
    assert made.compiled().workflow.nodes[0] == gate
    gate.gate.signal.type.CopyFrom(INT)
    assert made.only().code == "MismatchingTypes"


def test_an_approval_passes_its_value_on(made, build):
    gate = made.add_gate("approved", {"value": build.given("text")})
    gate.gate.approval.type.CopyFrom(STRING)
    made.add_node("use", {"text": build.of("approved")})
    made.compiled()
    gate.inputs[0].value.CopyFrom(build.value(literals.from_int(1)))
    assert made.only().message == "input `value` of gate `approved` expects str"
    del gate.inputs[:]
    assert made.only().code == "ParameterNotBound"


def test_a_sleep_gives_nothing_and_orders(made, build):
    gate = made.add_gate("pause")
    gate.gate.sleep.duration_ms = 60_000
    node = made.add_node("use", {"text": build.given("text")}, after=["pause"])
    made.compiled()
    node.inputs[0].value.CopyFrom(build.of("pause"))
    assert made.only().code == "VariableNameNotFound"


def test_a_signal_takes_nothing(made, build):
    gate = made.add_gate("label", {"value": build.given("text")})
    gate.gate.signal.type.CopyFrom(STRING)
    assert made.only().code == "VariableNameNotFound"


@pytest.mark.parametrize("kind", ["", "signal", "approval"])
def test_a_gate_says_what_it_waits_for(made, build, kind):
    gate = made.add_gate("wait", {"value": build.given("text")} if kind == "approval" else {})
    if kind:
        getattr(gate.gate, kind).SetInParent()
    assert made.only().code == "GateHasNoType"


def test_the_type_of_a_gate_is_checked(made):
    made.add_gate("wait").gate.signal.type.union.SetInParent()
    found = made.only()
    assert (found.code, found.message) == ("UnsupportedType", "the type of gate `wait` is a union of nothing")


def test_times_of_gates_have_a_range(made):
    gate = made.add_gate("wait")
    gate.gate.signal.type.CopyFrom(STRING)
    gate.gate.timeout_ms = YEAR_MS + 1
    assert made.only().code == "InvalidValue"
    gate.gate.sleep.duration_ms = YEAR_MS + 1
    gate.gate.timeout_ms = 0
    assert made.only().code == "InvalidValue"
    gate.gate.sleep.duration_ms = 1
    gate.gate.timeout_ms = 1
    assert made.only().hint == "leave the timeout out: a sleep ends by itself"


# Launch plans


@pytest.fixture
def launching(build):
    made = build.training()
    made.know_plan("nightly", {"trees": literals.from_int(300)}, {"seed": literals.from_int(7)})
    return made


def test_a_launch_takes_the_plans_inputs_and_gives_the_workflows_outputs(launching, build):
    launching.add_launch("night", plan="nightly")
    launching.add_output("o1", FLOAT, build.of("night"))
    compiled = launching.compiled()
    node = next(each for each in compiled.workflow.nodes if each.id == "night")
    assert node.inputs[0].value.literal == literals.from_int(300)
    reference = node.launch_plan.launch_plan
    assert (reference.kind, reference.version) == (ENTITY_KIND_LAUNCH_PLAN, "v1")
    assert [plan.launch_plan.id for plan in compiled.launch_plans] == [reference]


def test_launch_plans_are_collected_once_and_sorted_by_name(launching, build):
    launching.know_plan("hourly", {}, {})
    for i, plan in enumerate(["nightly", "hourly", "nightly"]):
        launching.add_launch(f"l{i}", plan=plan)
    names = [plan.launch_plan.id.name for plan in launching.compiled().launch_plans]
    assert names == ["pipeline.hourly", "pipeline.nightly"]


def test_what_the_plan_fixes_is_not_given(launching, build):
    launching.add_launch("night", {"seed": build.given("seed")}, plan="nightly")
    found = launching.only()
    assert (found.code, found.node, found.given) == ("FixedInputOverridden", "night", "seed")


def test_the_plans_inputs_are_typed_and_required(launching, build):
    node = launching.add_launch("night", {"trees": build.of("evaluate", "auc")}, plan="nightly")
    assert launching.only().message == "input `trees` of launch plan `nightly` expects int"
    del node.inputs[:]
    launching.launch_plans["pipeline.nightly"].interface.inputs[0].ClearField("default")
    assert launching.only().code == "ParameterNotBound"


def test_a_reference_to_something_else_than_a_launch_plan_leads_nowhere(launching):
    node = launching.add_launch("night", plan="nightly")
    node.launch_plan.launch_plan.kind = ENTITY_KIND_TASK
    assert launching.only().code == "LaunchPlanReferenceNotFound"
    node.launch_plan.launch_plan.Clear()
    assert launching.only().message == "node `night` calls no launch plan"


def test_a_broken_interface_of_a_launch_plan_is_told_once(launching):
    broken = launching.launch_plans["pipeline.nightly"].interface.outputs[0]
    broken.type.union.SetInParent()
    for node in "ab":
        launching.add_launch(node, plan="nightly")
    found = launching.only()
    assert (found.code, found.workflow) == ("UnsupportedType", "pipeline.nightly")
