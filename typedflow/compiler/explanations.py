"""What the codes of mistakes mean, and how to mend them; docs/errors.md is generated from the table here.

For people who read about a code, so nothing that compiles or defines may load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from typedflow.compiler import diagnostics


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a code means (one sentence), how to fix the mistake, and the smallest example of it."""

    code: str
    meaning: str
    fix: str
    example: str


EXPLANATIONS: Final = (
    Explanation(
        diagnostics.AMBIGUOUS_MAP_INPUT,
        "An input of a map fits both as a list of which each slot gets an element and as one value for all slots.",
        'Say which inputs are mapped: `map_task(f, over=("x",))`.',
        "map_task(count)(items=rows)             # count(items: list[int] | int)",
    ),
    Explanation(
        diagnostics.AMBIGUOUS_UNION_BINDING,
        "A list that holds results of other nodes fits more than one of a union's lists, in different ways.",
        "Make the list in a task that returns the variant that is meant, or narrow the parameter's annotation.",
        'merge(values=[count(), "x"])           # merge(values: list[int | None] | list[int | str])',
    ),
    Explanation(
        diagnostics.BRANCH_HAS_NO_CONDITION,
        "A conditional has no case with a condition, or a case before the last has none.",
        "Begin with `.if_(...)`, and give every further case but the last a condition.",
        'conditional("size").else_().then(small(n=n))',
    ),
    Explanation(
        diagnostics.BRANCH_HAS_NO_DEFAULT,
        "A conditional does not say what is done when none of its conditions is true.",
        'End it with `.else_().then(...)`, or with `.else_().fail("why")`.',
        'conditional("size").if_(n > 10).then(big(n=n))',
    ),
    Explanation(
        diagnostics.CONDITION_TYPE_MISMATCH,
        "A condition compares values of different types, orders values that have no order, or is no bool.",
        "Compare values of one type; convert one in a task. Only numbers, texts, bytes and times have an order.",
        'conditional("size").if_(n > "10")       # n is an int',
    ),
    Explanation(
        diagnostics.CYCLE_DETECTED,
        "Some nodes wait for each other in a circle, so that none of them can ever start.",
        "Take one of the named edges out: a binding, or a node in `after`.",
        "# node `a` binds an output of `b`, and `b` one of `a`",
    ),
    Explanation(
        diagnostics.DUPLICATE_NODE_ID,
        "Two nodes of one workflow have the same id.",
        "Give one of them another name: `train.with_overrides(name=...)`.",
        'train.with_overrides(name="fit")(df=a); train.with_overrides(name="fit")(df=b)',
    ),
    Explanation(
        diagnostics.DUPLICATE_VARIABLE,
        "An interface has two inputs, or two outputs, of the same name.",
        "Rename one of them.",
        'Interface(inputs=[Variable(name="df"), Variable(name="df")])',
    ),
    Explanation(
        diagnostics.FIELD_NOT_FOUND,
        "A promise is followed into a field, or by an index, that a value of its type does not have.",
        "Use a field of a record, a key of a dict, an index of a list or a tuple; `T | None` has none of them.",
        "train(rate=config.learning_rat)         # Config has `learning_rate`",
    ),
    Explanation(
        diagnostics.FIXED_INPUT_OVERRIDDEN,
        "An input that a launch plan fixes is given another value: as a default, or at launch.",
        "Leave the input out, or make it a default input instead of a fixed one.",
        'LaunchPlan(training, name="nightly", default_inputs={"seed": 1}, fixed_inputs={"seed": 7})',
    ),
    Explanation(
        diagnostics.GATE_HAS_NO_TYPE,
        "A gate that waits for a value, or for somebody's approval of one, does not say of which type.",
        'Give the type: `wait_for_input("label", str)`.',
        'GateNode(signal=SignalGate(prompt="label?"))',
    ),
    Explanation(
        diagnostics.GRAPH_TOO_LARGE,
        "A workflow has more than 100,000 nodes (of sub-workflows too), or its defaults are larger than 64 MiB.",
        "Work over many elements in one task, or split the workflow; pass large values by reference, as files.",
        "for i in range(1_000_000): score(i=i)",
    ),
    Explanation(
        diagnostics.ILLEGAL_ENUM_VALUE,
        "A value is none of an enum's members; or a message has a number that is none of an enum of the IDL.",
        "Give one of the members; the help has the nearest. Clients are generated from the release of `idl/` in use.",
        'paint(color="gren")                     # paint(color: Color), which has "green"',
    ),
    Explanation(
        diagnostics.INCOMPATIBLE_UNION_BINDING,
        "A list that holds results of other nodes fits none of the lists among the variants of a union.",
        "Make every element fit one of the variants, or widen the parameter's annotation.",
        "merge(values=[count(), name()])         # merge(values: list[int] | list[str])",
    ),
    Explanation(
        diagnostics.INVALID_NAME,
        "A name has characters that it may not have, or is empty, or too long.",
        "Entities, nodes and variables have letters, digits and `_`; the message says what else is allowed.",
        'train.with_overrides(name="my node")(df=df)',
    ),
    Explanation(
        diagnostics.INVALID_RESOURCE,
        "A resource is not a quantity as Kubernetes writes them, or a limit is below its request.",
        'Write `"500m"` or `"4"` for cpu, `"16Gi"` for memory and ephemeral storage, a whole number from 1 for gpu.',
        'Resources(mem="16 GB")',
    ),
    Explanation(
        diagnostics.INVALID_SCHEDULE,
        "A launch plan's schedule can't work: its cron expression, time zone or period is wrong, or an input lacks.",
        "Correct what the message names; nobody is asked at a tick, so each input needs a default or a fixed value.",
        'LaunchPlan(training, name="nightly", schedule=Cron("0 25 * * *"))',
    ),
    Explanation(
        diagnostics.INVALID_VALUE,
        "A constant, a default or a setting does not fit its type or its range.",
        "Give a value of the expected type; `expected` and `given` say what did not fit, and where.",
        'train(df=df, trees="many")              # train(df: ..., trees: int)',
    ),
    Explanation(
        diagnostics.LAUNCH_PLAN_REFERENCE_NOT_FOUND,
        "A node launches a launch plan that is neither in the registration nor registered before, or names none.",
        "Register the launch plan together with the workflow, or correct its name, project, domain or version.",
        'LaunchPlanNode(launch_plan=Identifier(name="pipeline.nigthly"))',
    ),
    Explanation(
        diagnostics.MAP_INPUT_NOT_LIST,
        "A map is over an input that is no list, or over nothing at all.",
        "Give a list of the values that the slots get, one each; a value that is the same for all stays out of `over`.",
        "map_task(score)(row=first)              # score(row: Row), and `first` is one Row",
    ),
    Explanation(
        diagnostics.MAP_LENGTHS_DIFFER,
        "The lists that a map is over have different lengths, so that some slots would lack a value.",
        "Give lists of one length, or pass what is the same for all slots as one value.",
        "map_task(add)(a=[1, 2, 3], b=[1, 2])",
    ),
    Explanation(
        diagnostics.MISMATCHING_BRANCH_OUTPUTS,
        "The cases of a conditional do not all give the same outputs of the same types.",
        "Let every case give the same outputs, or fail.",
        'conditional("size").if_(n > 10).then(big(n=n)).else_().then(name(n=n))   # an int, or a str',
    ),
    Explanation(
        diagnostics.MISMATCHING_TYPES,
        "What is wired into an input or an output is not of its type.",
        "Wire in something that fits (the help names one if there is one), convert it in a task, or change a type.",
        "evaluate(model=ingest(seed=7))          # a dataframe where a File is expected",
    ),
    Explanation(
        diagnostics.MISSING_ANNOTATION,
        "A parameter or a result has no type.",
        "Annotate it: every input and output of a task or workflow has a type.",
        "@task\ndef train(df): ...",
    ),
    Explanation(
        diagnostics.MISSING_IMAGE,
        "A container task names no image.",
        'Give it one: `ContainerTask(..., image="registry/tool:1.2")`.',
        'TaskTemplate(id=Identifier(name="align"), container=ContainerTarget(command=["align"]))',
    ),
    Explanation(
        diagnostics.MISSING_TARGET,
        "A task names no function that could run.",
        "Define the task with `@task`, or set `python.module` and `python.qualname` of its template.",
        'TaskTemplate(id=Identifier(name="train"))',
    ),
    Explanation(
        diagnostics.NESTING_TOO_DEEP,
        "A type, a value or a condition is nested to more than 24 levels.",
        "Flatten it, or pass it as a file.",
        "list[list[list[...]]]                   # 25 times",
    ),
    Explanation(
        diagnostics.NODE_OUT_OF_SCOPE,
        "A node is taken from where it can't be: from a case of a conditional, or from a failure handler.",
        "Take the value from the conditional's output, or move the consumer into the same case.",
        'size = conditional("size").if_(n > 10).then(a := big(n=n)).else_().fail("small"); use(a)   # use(size)',
    ),
    Explanation(
        diagnostics.NODE_REFERENCE_NOT_FOUND,
        "A binding, or `after`, names a node that the workflow does not have.",
        "Name one of the workflow's nodes; the help has the nearest name.",
        'Promise(node="ingset", variable="o0")',
    ),
    Explanation(
        diagnostics.NO_ENTRY_NODE_FOUND,
        "No node can be the first: every node waits for another one, or runs only after a failure.",
        "Take one of the edges out that the cycles name.",
        "# a workflow of two nodes that wait for each other",
    ),
    Explanation(
        diagnostics.NO_NODES_FOUND,
        "A workflow has no node.",
        "Call at least one task in its body.",
        "@workflow\ndef training(seed: int) -> int:\n    return seed",
    ),
    Explanation(
        diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE,
        "One input or output is given two values.",
        "Keep one of them.",
        "train(frame, df=frame)                  # `df` is the first parameter",
    ),
    Explanation(
        diagnostics.PARAMETER_NOT_BOUND,
        "An input without a default, or an output, is given no value.",
        "Pass it, or give the parameter a default.",
        "train()                                 # train(df: DataFrame[Tumours])",
    ),
    Explanation(
        diagnostics.PROMISE_USED_AS_VALUE,
        "A workflow's body uses a result as if the task had run: in `if`, `for`, `len`, arithmetic or a text.",
        "Do it in a task; a workflow's body only wires tasks together, before any of them runs.",
        "n = count(df=df)\nif n > 10: ...",
    ),
    Explanation(
        diagnostics.TASK_REFERENCE_NOT_FOUND,
        "A node calls a task that is neither in the registration nor registered before, or names none.",
        "Register the task together with the workflow, or correct its name, project, domain or version.",
        'TaskNode(task=Identifier(name="pipeline.trian"))',
    ),
    Explanation(
        diagnostics.TOO_MANY_MISTAKES,
        "There are 1,000 mistakes or more in one entity, and only the first of them are listed.",
        "Mend those that are listed, then look again.",
        "# a generated workflow of 100,000 nodes, each of which is wired wrongly",
    ),
    Explanation(
        diagnostics.UNKNOWN_INPUT,
        "A launch plan, or a launch, gives an input that there is not.",
        "Use one of the workflow's inputs; the help has the nearest name.",
        'LaunchPlan(training, name="nightly", default_inputs={"tres": 300})',
    ),
    Explanation(
        diagnostics.UNREACHABLE_NODES,
        "Nodes can never start: what they wait for is in a cycle, or waits for a node that does not exist.",
        "Mend the cycle or the reference that the message names; these nodes are right as soon as that is.",
        "# `a` and `b` wait for each other, and `c` waits for `b`",
    ),
    Explanation(
        diagnostics.UNSUPPORTED_TYPE,
        "A type has no place in an interface, or is not well formed.",
        "Use a supported type; register a transformer for your own.",
        "@task\ndef train(lock: threading.Lock) -> int: ...",
    ),
    Explanation(
        diagnostics.VARIABLE_NAME_NOT_FOUND,
        "A call gives an input, or a promise names an output, that there is not.",
        "Use one of the names of the interface; the help has the nearest one.",
        "train(df=df, tree=100)                  # the parameter is `trees`",
    ),
    Explanation(
        diagnostics.WORKFLOW_BODY_RAISED,
        "A workflow's body raised an exception while it was run to see what it wires.",
        "Correct the line that is named. The body runs before any task does: what needs values belongs in tasks.",
        "import json\n@workflow\ndef training(seed: int) -> str:\n    return json.dumps(count(seed=seed))",
    ),
    Explanation(
        diagnostics.WORKFLOW_REFERENCE_NOT_FOUND,
        "A launch plan or a node is of a workflow that is neither in the registration nor registered, or names none.",
        "Register the workflow together with what refers to it, or correct its name, project, domain or version.",
        'LaunchPlanTemplate(workflow=Identifier(name="pipeline.trainign"))',
    ),
)
