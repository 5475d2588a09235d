"""What a launch starts with: the inputs given, the launch plan's defaults and its fixed inputs, put together."""

from __future__ import annotations

import json
from collections.abc import Mapping

from typedflow import errors, interface, literal_types, literals
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.literals_pb2 import LiteralMap, NamedLiteral
from typedflow.pb.workflows_pb2 import CompiledWorkflow


def parse_json(text: str) -> Mapping[str, object]:
    """The JSON object that a client sent as inputs; empty for no text.

    Raises:
        ConversionError: it is no JSON, or no object.
    """
    if not text:
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise errors.ConversionError(f"the inputs are no JSON: {error}", where="inputs_json") from None
    if not isinstance(value, dict):
        raise errors.ConversionError(
            "the inputs are no JSON object", where="inputs_json", hint='write {"name": value, ...}'
        )
    return value


def bind(
    plan: CompiledLaunchPlan,
    workflow: CompiledWorkflow,
    given: LiteralMap,
    plain: Mapping[str, object],
    *,
    from_task: bool = False,
) -> LiteralMap:
    """The workflow's inputs, complete, converted and in order; defaults where nothing is given.

    `from_task`: the values come from tasks, not from outside, so that they may be pickled.

    Raises:
        ConversionError: names everything that is unknown, fixed, missing or mistyped.
    """
    fixed = {value.name: value.value for value in plan.launch_plan.fixed_inputs.values}
    problems = refused(plan, given, plain, from_task=from_task)
    free = LiteralMap(values=[value for value in given.values if value.name not in fixed])
    bound = LiteralMap()
    try:
        bound = interface.bind(
            plan.interface, free, json={name: value for name, value in plain.items() if name not in fixed}
        )
    except errors.ConversionError as error:
        if not problems:
            raise
        problems += error.problems
    if problems:
        raise errors.ConversionError.of(problems)
    values = []
    for variable in workflow.workflow.interface.inputs:
        value = fixed.get(variable.name) or literals.get(bound, variable.name)
        assert value is not None, variable.name
        values.append(NamedLiteral(name=variable.name, value=value))
    return LiteralMap(values=values)


def refused(
    plan: CompiledLaunchPlan, given: LiteralMap, plain: Mapping[str, object], *, from_task: bool = False
) -> list[tuple[str, str]]:
    """What is given and may not be, whatever its value: where, and why."""
    names = {value.name for value in given.values} | plain.keys()
    problems = [
        (f"inputs.{value.name}", "fixed by the launch plan: it can't be given")
        for value in plan.launch_plan.fixed_inputs.values
        if value.name in names
    ]
    return problems if from_task else problems + _pickled(plan, given, plain)


def _pickled(
    plan: CompiledLaunchPlan, given: LiteralMap, plain: Mapping[str, object]
) -> list[tuple[str, str]]:
    """What is given for pickled inputs: only tasks make such values, as whoever reads one runs the code in it."""
    refused = {each.name for each in plan.interface.inputs if literal_types.uses_pickle(each.type)}
    values = {each.name for each in given.values if each.value.WhichOneof("value") not in {None, "none"}}
    values.update(name for name, value in plain.items() if value is not None)
    why = "pickled: it can't be given to a launch, as reading it runs the code in it; have a task make it"
    return [(f"inputs.{name}", why) for name in sorted(refused & values)]
