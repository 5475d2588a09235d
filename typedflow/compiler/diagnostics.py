"""What can be wrong with a template: one stable code for each kind of mistake.

A code never changes its meaning and is never used again for another; `explanations` says what each of them means.
Whoever makes a diagnostic, the compiler or the authoring layer, takes its code from this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow.pb.diagnostics_pb2 import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.identifiers_pb2 import SourcePosition

AMBIGUOUS_MAP_INPUT: Final = "AmbiguousMapInput"
AMBIGUOUS_UNION_BINDING: Final = "AmbiguousUnionBinding"
BRANCH_HAS_NO_CONDITION: Final = "BranchHasNoCondition"
BRANCH_HAS_NO_DEFAULT: Final = "BranchHasNoDefault"
CONDITION_TYPE_MISMATCH: Final = "ConditionTypeMismatch"
CYCLE_DETECTED: Final = "CycleDetected"
DUPLICATE_NODE_ID: Final = "DuplicateNodeId"
DUPLICATE_VARIABLE: Final = "DuplicateVariable"
FIELD_NOT_FOUND: Final = "FieldNotFound"
FIXED_INPUT_OVERRIDDEN: Final = "FixedInputOverridden"
GATE_HAS_NO_TYPE: Final = "GateHasNoType"
GRAPH_TOO_LARGE: Final = "GraphTooLarge"
ILLEGAL_ENUM_VALUE: Final = "IllegalEnumValue"
INCOMPATIBLE_UNION_BINDING: Final = "IncompatibleUnionBinding"
INVALID_NAME: Final = "InvalidName"
INVALID_RESOURCE: Final = "InvalidResource"
INVALID_SCHEDULE: Final = "InvalidSchedule"
INVALID_VALUE: Final = "InvalidValue"
LAUNCH_PLAN_REFERENCE_NOT_FOUND: Final = "LaunchPlanReferenceNotFound"
MAP_INPUT_NOT_LIST: Final = "MapInputNotList"
MAP_LENGTHS_DIFFER: Final = "MapLengthsDiffer"
MISMATCHING_BRANCH_OUTPUTS: Final = "MismatchingBranchOutputs"
MISMATCHING_TYPES: Final = "MismatchingTypes"
MISSING_ANNOTATION: Final = "MissingAnnotation"
MISSING_IMAGE: Final = "MissingImage"
MISSING_TARGET: Final = "MissingTarget"
NESTING_TOO_DEEP: Final = "NestingTooDeep"
NODE_OUT_OF_SCOPE: Final = "NodeOutOfScope"
NODE_REFERENCE_NOT_FOUND: Final = "NodeReferenceNotFound"
NO_ENTRY_NODE_FOUND: Final = "NoEntryNodeFound"
NO_NODES_FOUND: Final = "NoNodesFound"
PARAMETER_BOUND_MORE_THAN_ONCE: Final = "ParameterBoundMoreThanOnce"
PARAMETER_NOT_BOUND: Final = "ParameterNotBound"
PROMISE_USED_AS_VALUE: Final = "PromiseUsedAsValue"
TASK_REFERENCE_NOT_FOUND: Final = "TaskReferenceNotFound"
TOO_MANY_MISTAKES: Final = "TooManyMistakes"
UNKNOWN_INPUT: Final = "UnknownInput"
UNREACHABLE_NODES: Final = "UnreachableNodes"
UNSUPPORTED_TYPE: Final = "UnsupportedType"
VARIABLE_NAME_NOT_FOUND: Final = "VariableNameNotFound"
WORKFLOW_BODY_RAISED: Final = "WorkflowBodyRaised"
WORKFLOW_REFERENCE_NOT_FOUND: Final = "WorkflowReferenceNotFound"

_LONGEST_TYPE: Final = 160


def make(
    code: str,
    message: str,
    *,
    workflow: str = "",
    node: str = "",
    position: SourcePosition | None = None,
    expected: str = "",
    given: str = "",
    label: str = "",
    hint: str = "",
) -> Diagnostic:
    """A diagnostic; see its message in `idl/` for what the parts are."""
    return Diagnostic(
        code=code,
        message=message,
        workflow=workflow,
        node=node,
        position=position,
        expected=expected,
        given=given,
        label=label,
        hint=hint,
    )


def brief(said: str, *types: str) -> str:
    """A sentence with the types in it cut where they are long, so that what differs is seen; fields have the whole."""
    for whole in types:
        if len(whole) > _LONGEST_TYPE:
            begin = whole[:_LONGEST_TYPE]
            begin = begin.rpartition(", ")[0] or begin
            said = said.replace(whole, f"{begin}, ...{']' if '[' in begin else ''}")
    return said


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, in order: a task's mistakes come with the task and with every workflow that calls it."""
    return tuple({each.SerializeToString(deterministic=True): each for each in diagnostics}.values())
