"""What can be wrong with a template: one stable code for each kind of mistake, and what to say about it.

A code never changes its meaning and is never used again for another; docs/errors.md is generated from the table here.
Whoever makes a diagnostic, the compiler or the authoring layer, takes its code from this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from typedflow.pb.diagnostics_pb2 import Diagnostic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.identifiers_pb2 import SourcePosition

AMBIGUOUS_UNION_BINDING: Final = "AmbiguousUnionBinding"
CYCLE_DETECTED: Final = "CycleDetected"
DUPLICATE_NODE_ID: Final = "DuplicateNodeId"
DUPLICATE_VARIABLE: Final = "DuplicateVariable"
FIELD_NOT_FOUND: Final = "FieldNotFound"
FIXED_INPUT_OVERRIDDEN: Final = "FixedInputOverridden"
GRAPH_TOO_LARGE: Final = "GraphTooLarge"
ILLEGAL_ENUM_VALUE: Final = "IllegalEnumValue"
INCOMPATIBLE_UNION_BINDING: Final = "IncompatibleUnionBinding"
INVALID_NAME: Final = "InvalidName"
INVALID_RESOURCE: Final = "InvalidResource"
INVALID_VALUE: Final = "InvalidValue"
MISMATCHING_TYPES: Final = "MismatchingTypes"
MISSING_ANNOTATION: Final = "MissingAnnotation"
MISSING_TARGET: Final = "MissingTarget"
NESTING_TOO_DEEP: Final = "NestingTooDeep"
NODE_REFERENCE_NOT_FOUND: Final = "NodeReferenceNotFound"
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
WORKFLOW_REFERENCE_NOT_FOUND: Final = "WorkflowReferenceNotFound"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means (one sentence), how to fix the mistake, and the smallest example of it."""

    code: str
    meaning: str
    fix: str
    example: str


EXPLANATIONS: Final = (
    Explanation(
        AMBIGUOUS_UNION_BINDING,
        "A list that holds results of other nodes fits more than one of a union's lists, in different ways.",
        "Make the list in a task that returns the variant that is meant, or narrow the parameter's annotation.",
        'merge(values=[count(), "x"])           # merge(values: list[int | None] | list[int | str])',
    ),
    Explanation(
        CYCLE_DETECTED,
        "Some nodes wait for each other in a circle, so that none of them can ever start.",
        "Take one of the named edges out: a binding, or a node in `after`.",
        "# node `a` binds an output of `b`, and `b` one of `a`",
    ),
    Explanation(
        DUPLICATE_NODE_ID,
        "Two nodes of one workflow have the same id.",
        "Give one of them another name: `train.with_overrides(name=...)`.",
        'train.with_overrides(name="fit")(df=a); train.with_overrides(name="fit")(df=b)',
    ),
    Explanation(
        DUPLICATE_VARIABLE,
        "An interface has two inputs, or two outputs, of the same name.",
        "Rename one of them.",
        'Interface(inputs=[Variable(name="df"), Variable(name="df")])',
    ),
    Explanation(
        FIELD_NOT_FOUND,
        "A promise is followed into a field, or by an index, that a value of its type does not have.",
        "Use one of the type's fields; only records have fields, only lists have elements, and `T | None` has neither.",
        "train(rate=config.learning_rat)         # Config has `learning_rate`",
    ),
    Explanation(
        FIXED_INPUT_OVERRIDDEN,
        "An input that a launch plan fixes is given another value: as a default, or at launch.",
        "Leave the input out, or make it a default input instead of a fixed one.",
        'LaunchPlan(training, name="nightly", default_inputs={"seed": 1}, fixed_inputs={"seed": 7})',
    ),
    Explanation(
        GRAPH_TOO_LARGE,
        "A workflow has more than 100,000 nodes, or its filled-in defaults are larger than 64 MiB.",
        "Work over many elements in one task, or split the workflow; pass large values by reference, as files.",
        "for i in range(1_000_000): score(i=i)",
    ),
    Explanation(
        ILLEGAL_ENUM_VALUE,
        "A message has a number that is none of an enum's values, as only a program that writes templates itself can.",
        "Use a value of the enum; regenerate the client from the same release of `idl/` as the server.",
        "WorkflowTemplate(failure_policy=17)",
    ),
    Explanation(
        INCOMPATIBLE_UNION_BINDING,
        "A list that holds results of other nodes fits none of the lists among the variants of a union.",
        "Make every element fit one of the variants, or widen the parameter's annotation.",
        "merge(values=[count(), name()])         # merge(values: list[int] | list[str])",
    ),
    Explanation(
        INVALID_NAME,
        "A name has characters that it may not have, or is empty, or too long.",
        "Entities, nodes and variables have letters, digits and `_`; the message says what else is allowed.",
        'train.with_overrides(name="my node")(df=df)',
    ),
    Explanation(
        INVALID_RESOURCE,
        "A resource is not a quantity as Kubernetes writes them, or a limit is below its request.",
        'Write `"500m"` or `"4"` for cpu, `"16Gi"` for memory and ephemeral storage, a whole number from 1 for gpu.',
        'Resources(mem="16 GB")',
    ),
    Explanation(
        INVALID_VALUE,
        "A constant, a default or a setting does not fit its type or its range.",
        "Give a value of the expected type; `expected` and `given` say what did not fit, and where.",
        'train(df=df, trees="many")              # train(df: ..., trees: int)',
    ),
    Explanation(
        MISMATCHING_TYPES,
        "What is wired into an input or an output is not of its type.",
        "Wire in something that fits (the help names one if there is one), convert it in a task, or change a type.",
        "evaluate(model=ingest(seed=7))          # a dataframe where a File is expected",
    ),
    Explanation(
        MISSING_ANNOTATION,
        "A parameter or a result has no type.",
        "Annotate it: every input and output of a task or workflow has a type.",
        "@task\ndef train(df): ...",
    ),
    Explanation(
        MISSING_TARGET,
        "A task names no function that could run.",
        "Define the task with `@task`, or set `python.module` and `python.qualname` of its template.",
        'TaskTemplate(id=Identifier(name="train"))',
    ),
    Explanation(
        NESTING_TOO_DEEP,
        "A type or a value is nested to more than 24 levels of lists, unions and records.",
        "Flatten it, or pass it as a file.",
        "list[list[list[...]]]                   # 25 times",
    ),
    Explanation(
        NODE_REFERENCE_NOT_FOUND,
        "A binding, or `after`, names a node that the workflow does not have.",
        "Name one of the workflow's nodes; the help has the nearest name.",
        'Promise(node="ingset", variable="o0")',
    ),
    Explanation(
        NO_NODES_FOUND,
        "A workflow calls no task.",
        "Call at least one task in its body.",
        "@workflow\ndef training(seed: int) -> int:\n    return seed",
    ),
    Explanation(
        PARAMETER_BOUND_MORE_THAN_ONCE,
        "One input or output is given two values.",
        "Keep one of them.",
        "train(frame, df=frame)                  # `df` is the first parameter",
    ),
    Explanation(
        PARAMETER_NOT_BOUND,
        "An input without a default, or an output, is given no value.",
        "Pass it, or give the parameter a default.",
        "train()                                 # train(df: DataFrame[Tumours])",
    ),
    Explanation(
        PROMISE_USED_AS_VALUE,
        "A workflow's body uses a result as if the task had run: in `if`, `for`, `len`, arithmetic or a text.",
        "Do it in a task; a workflow's body only wires tasks together, before any of them runs.",
        "n = count(df=df)\nif n > 10: ...",
    ),
    Explanation(
        TASK_REFERENCE_NOT_FOUND,
        "A node calls a task that is neither in the registration nor registered before, or names none.",
        "Register the task together with the workflow, or correct its name, project, domain or version.",
        'TaskNode(task=Identifier(name="pipeline.trian"))',
    ),
    Explanation(
        TOO_MANY_MISTAKES,
        "There are 1,000 mistakes or more in one entity, and only the first of them are listed.",
        "Mend those that are listed, then look again.",
        "# a generated workflow of 100,000 nodes, each of which is wired wrongly",
    ),
    Explanation(
        UNKNOWN_INPUT,
        "A launch plan, or a launch, gives an input that there is not.",
        "Use one of the workflow's inputs; the help has the nearest name.",
        'LaunchPlan(training, name="nightly", default_inputs={"tres": 300})',
    ),
    Explanation(
        UNREACHABLE_NODES,
        "Nodes can never start: what they wait for is in a cycle, or waits for a node that does not exist.",
        "Mend the cycle or the reference that the message names; these nodes are right as soon as that is.",
        "# `a` and `b` wait for each other, and `c` waits for `b`",
    ),
    Explanation(
        UNSUPPORTED_TYPE,
        "A type has no place in an interface, or is not well formed.",
        "Use a supported type; register a transformer for your own.",
        "@task\ndef train(lock: threading.Lock) -> int: ...",
    ),
    Explanation(
        VARIABLE_NAME_NOT_FOUND,
        "A call gives an input, or a promise names an output, that there is not.",
        "Use one of the names of the interface; the help has the nearest one.",
        "train(df=df, tree=100)                  # the parameter is `trees`",
    ),
    Explanation(
        WORKFLOW_REFERENCE_NOT_FOUND,
        "A launch plan is of a workflow that is neither in the registration nor registered before, or names none.",
        "Register the workflow together with the launch plan, or correct its name, project, domain or version.",
        'LaunchPlanTemplate(workflow=Identifier(name="pipeline.trainign"))',
    ),
)


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


def unique(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Each once, in order: a task's mistakes come with the task and with every workflow that calls it."""
    return tuple({each.SerializeToString(deterministic=True): each for each in diagnostics}.values())
