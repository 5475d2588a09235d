"""A launch plan against the workflow that it launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.compiler import constants, diagnostics, interfaces, references, schedules
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import Report, cut, short
from typedflow.compiler.result import Result
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, ENTITY_KIND_WORKFLOW
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan, LaunchPlanTemplate
from typedflow.pb.literals_pb2 import LiteralMap

if TYPE_CHECKING:
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.workflows_pb2 import CompiledWorkflow


def compile_launch_plan(
    template: LaunchPlanTemplate, workflow: CompiledWorkflow | None
) -> Result[CompiledLaunchPlan]:
    """Checks a launch plan; gives it with its inputs converted and in the workflow's order, and its own interface.

    `workflow` is what its reference was resolved to; None: there is none.
    """
    report = Report(template.id.name, template.position if template.HasField("position") else None)
    plan = f"launch plan `{cut(short(template.id.name), 100)}`"
    made = LaunchPlanTemplate()
    made.CopyFrom(template)
    made.id.CopyFrom(references.check(template.id, ENTITY_KIND_LAUNCH_PLAN, report))
    made.workflow.CopyFrom(references.fill(template.workflow, template.id, ENTITY_KIND_WORKFLOW))
    if template.workflow.kind not in (0, ENTITY_KIND_WORKFLOW) or workflow is None:
        report.add(
            diagnostics.WORKFLOW_REFERENCE_NOT_FOUND,
            f"{plan} is of workflow `{cut(template.workflow.name, 200)}`, which there is not",
            given=template.workflow.name,
            hint="register the workflow first, or together with the launch plan",
        )
        return Result(None, report.diagnostics())
    called = f"workflow `{cut(short(workflow.workflow.id.name), 100)}`"
    interface = interfaces.check(workflow.workflow.interface, called, interfaces.Types(), report)
    defaults = _given(template.default_inputs, "default", interface, plan, called, report)
    fixed = _given(template.fixed_inputs, "fixed", interface, plan, called, report)
    for name in fixed:
        if name in defaults:
            report.add(
                diagnostics.FIXED_INPUT_OVERRIDDEN,
                f"input `{name}` of {plan} has both a default and a fixed value",
                given=name,
                hint="keep one of them",
            )
    free = _interface(interface.message, defaults, fixed)
    if template.HasField("schedule"):
        schedules.check(template.schedule, free, fixed, plan, report)
    if len(report):
        return Result(None, report.diagnostics())
    made.default_inputs.CopyFrom(_in_order(defaults, interface))
    made.fixed_inputs.CopyFrom(_in_order(fixed, interface))
    return Result(CompiledLaunchPlan(launch_plan=made, interface=free))


def _given(
    values: LiteralMap, kind: str, interface: interfaces.Checked, plan: str, called: str, report: Report
) -> dict[str, Literal | None]:
    """Values by name, converted; None for one that does not fit."""
    given: dict[str, Literal | None] = {}
    for value in values.values:
        what = f"{kind} input `{cut(value.name, 100)}` of {plan}"
        variable = interface.inputs.get(value.name)
        if variable is None:
            report.add(
                diagnostics.UNKNOWN_INPUT,
                f"{what}: {called} has no such input",
                expected=some_of(interface.inputs),
                given=value.name,
                hint=report.did_you_mean(value.name, interface.inputs),
            )
        elif value.name in given:
            report.add(
                diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE,
                f"{what} is given more than once",
                given=value.name,
                hint="keep one of them",
            )
        elif variable.type is None:
            given[value.name] = None
        else:
            given[value.name] = constants.convert(value.value, variable.type, what, report)
    return given


def _in_order(values: dict[str, Literal | None], interface: interfaces.Checked) -> LiteralMap:
    result = LiteralMap()
    for name in interface.inputs:
        if name in values:
            result.values.add(name=name, value=values[name])
    return result


def _interface(
    of: Interface, defaults: dict[str, Literal | None], fixed: dict[str, Literal | None]
) -> Interface:
    """The workflow's, without what is fixed, and with the launch plan's defaults."""
    result = Interface(outputs=of.outputs)
    for variable in of.inputs:
        if variable.name not in fixed:
            made = result.inputs.add()
            made.CopyFrom(variable)
            default = defaults.get(variable.name)
            if default is not None:
                made.default.CopyFrom(default)
    return result
