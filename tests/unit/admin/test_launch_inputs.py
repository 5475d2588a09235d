"""What may be given to a launch from outside."""

import pytest
from typedflow_admin import launch_plans

from typedflow import errors, literal_types, literals
from typedflow.pb import interface_pb2, launch_plans_pb2, workflows_pb2

PICKLED = literal_types.custom("pickle:models.Model", literal_types.file("pickle"))
FILE = {"uri": "file:///tmp/a.pickle", "digest": "b3:" + "0" * 64, "size": 1}


def _plan(of) -> tuple[launch_plans_pb2.CompiledLaunchPlan, workflows_pb2.CompiledWorkflow]:
    interface = interface_pb2.Interface(inputs=[interface_pb2.Variable(name="model", type=of)])
    workflow = workflows_pb2.CompiledWorkflow()
    workflow.workflow.interface.CopyFrom(interface)
    return launch_plans_pb2.CompiledLaunchPlan(interface=interface), workflow


@pytest.mark.parametrize(
    "of",
    [PICKLED, literal_types.optional(PICKLED), literal_types.list_of(PICKLED)],
    ids=["itself", "optional", "inside"],
)
@pytest.mark.parametrize("form", ["json", "literal"])
def test_s5_a_pickled_input_is_not_taken_from_a_launch(of, form) -> None:
    given, plain = literals.as_map({}), {}
    if form == "json":
        plain = {"model": FILE}
    else:
        given = literals.as_map({"model": literals.from_str("anything")})
    with pytest.raises(errors.ConversionError, match=r"pickled: it can't be given to a launch") as raised:
        launch_plans.bind(*_plan(of), given, plain)
    assert "inputs.model" in str(raised.value)


def test_none_is_given_where_a_pickled_input_may_be_absent() -> None:
    bound = launch_plans.bind(*_plan(literal_types.optional(PICKLED)), literals.as_map({}), {"model": None})
    assert [each.name for each in bound.values] == ["model"]
