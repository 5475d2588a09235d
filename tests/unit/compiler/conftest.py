"""Builds raw templates, as any gRPC client may send them, and one that is broken in each way that has a code."""

from collections.abc import Callable, Mapping, Sequence

import pytest

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.compiler import diagnostics
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan, LaunchPlanTemplate
from typedflow.pb.literals_pb2 import Literal
from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
from typedflow.pb.types_pb2 import Column, LiteralType
from typedflow.pb.workflows_pb2 import BindingValue, CompiledWorkflow, PathStep, Promise, WorkflowTemplate

SOURCE = """\
@workflow
def training(trees: int = 100, seed: int = 7) -> float:
    df = ingest(seed=seed)
    raw = ingest_raw(seed=seed)
    model = train(df=raw, trees=trees)
    return evaluate(model=model, df=df)
"""
"""Where the nodes of `Build.training` stand."""

INT, FLOAT, STRING, BOOL, NONE = (
    literal_types.INT,
    literal_types.FLOAT,
    literal_types.STRING,
    literal_types.BOOL,
    literal_types.NONE,
)
RAW = literal_types.frame([Column(name="mean_radius", dtype="double")])
TUMOURS = literal_types.frame(
    [Column(name="mean_radius", dtype="double"), Column(name="target", dtype="int64")]
)
CONFIG = literal_types.record("Config", {"learning_rate": FLOAT, "layers": literal_types.list_of(INT)})


def nested(depth: int, inner: LiteralType = INT) -> LiteralType:
    """A list of lists, so many levels deep; without limits that `list_of` may have."""
    result = LiteralType()
    current = result
    for _ in range(depth):
        current = current.list.element
    current.CopyFrom(inner)
    return result


class Build:
    """A workflow's template and what it may call."""

    def __init__(self) -> None:
        self.tasks: dict[str, TaskTemplate] = {}
        self.workflows: dict[str, CompiledWorkflow] = {}
        self.launch_plans: dict[str, CompiledLaunchPlan] = {}
        self.template = WorkflowTemplate(id=identifiers.workflow("pipeline.training"))
        self.template.id.project, self.template.id.domain, self.template.id.version = (
            "default",
            "development",
            "v1",
        )
        self.template.position.file, self.template.position.line, self.template.position.column = (
            "pipeline.py",
            2,
            5,
        )
        self.asked: list[Identifier] = []

    # What the compiler asks

    def task(self, identifier: Identifier, /) -> TaskTemplate | None:
        self.asked.append(identifier)
        return self.tasks.get(identifier.name)

    def task_names(self) -> Sequence[str]:
        return list(self.tasks)

    def workflow(self, identifier: Identifier, /) -> CompiledWorkflow | None:
        return self.workflows.get(identifier.name)

    def workflow_names(self) -> Sequence[str]:
        return list(self.workflows)

    def launch_plan(self, identifier: Identifier, /) -> CompiledLaunchPlan | None:
        return self.launch_plans.get(identifier.name)

    def launch_plan_names(self) -> Sequence[str]:
        return list(self.launch_plans)

    def compile(self) -> compiler.Result[CompiledWorkflow]:
        return compiler.compile_workflow(self.template, self)

    def codes(self) -> list[str]:
        return [each.code for each in self.compile().diagnostics]

    def compiled(self) -> CompiledWorkflow:
        result = self.compile()
        assert result.value is not None, result.diagnostics
        return result.value

    def only(self) -> Diagnostic:
        """The one mistake that there is."""
        result = self.compile()
        assert len(result.diagnostics) == 1, result.diagnostics
        assert result.value is None
        return result.diagnostics[0]

    # Templates

    def add_task(
        self,
        name: str,
        inputs: Mapping[str, LiteralType | tuple[LiteralType, Literal]],
        outputs: Mapping[str, LiteralType],
        options: TaskOptions | None = None,
    ) -> TaskTemplate:
        made = TaskTemplate(id=identifiers.task(f"pipeline.{name}"), options=options)
        made.python.module, made.python.qualname = "pipeline", name
        for variable, taken in inputs.items():
            added = made.interface.inputs.add(name=variable)
            if isinstance(taken, tuple):
                added.default.CopyFrom(taken[1])
            added.type.CopyFrom(taken[0] if isinstance(taken, tuple) else taken)
        for variable, output in outputs.items():
            made.interface.outputs.add(name=variable).type.CopyFrom(output)
        self.tasks[made.id.name] = made
        return made

    def add_input(self, name: str, type_: LiteralType, default: Literal | None = None) -> None:
        self.template.interface.inputs.add(name=name, type=type_, default=default)

    def add_node(
        self,
        node_id: str,
        bindings: Mapping[str, BindingValue] | None = None,
        *,
        task: str = "",
        after: Sequence[str] = (),
        at: tuple[int, int] = (0, 0),
    ):
        made = self.template.nodes.add(id=node_id, after=after)
        made.task.task.name = f"pipeline.{task or node_id}"
        if at != (0, 0):
            made.position.file, made.position.line, made.position.column = "pipeline.py", *at
        for variable, value in (bindings or {}).items():
            made.inputs.add(variable=variable).value.CopyFrom(
                value
            )  # a deep one can be copied, but not encoded
        return made

    def add_output(self, name: str, type_: LiteralType, value: BindingValue) -> None:
        self.template.interface.outputs.add(name=name).type.CopyFrom(type_)
        self.template.outputs.add(variable=name, value=value)

    # Bindings

    @staticmethod
    def of(node: str, variable: str = "o0", *path: str | int) -> BindingValue:
        steps = [PathStep(field=step) if isinstance(step, str) else PathStep(index=step) for step in path]
        return BindingValue(promise=Promise(node=node, variable=variable, path=steps))

    @classmethod
    def given(cls, variable: str, *path: str | int) -> BindingValue:
        return cls.of("", variable, *path)

    @staticmethod
    def value(literal: Literal) -> BindingValue:
        return BindingValue(literal=literal)

    @staticmethod
    def many(*elements: BindingValue) -> BindingValue:
        made = BindingValue()
        made.list.elements.extend(elements)
        if not elements:
            made.list.SetInParent()
        return made

    # The workflow of the documentation

    @classmethod
    def training(cls) -> "Build":
        """Right as it is; tests break it."""
        build = cls()
        build.add_task("ingest", {"seed": INT}, {"o0": TUMOURS})
        build.add_task("ingest_raw", {"seed": INT}, {"o0": RAW})
        trees = (INT, literals.from_int(100))
        build.add_task("train", {"df": TUMOURS, "trees": trees}, {"o0": literal_types.file()})
        build.add_task(
            "evaluate", {"model": literal_types.file(), "df": TUMOURS}, {"accuracy": FLOAT, "auc": FLOAT}
        )
        build.add_input("trees", INT, literals.from_int(100))
        build.add_input("seed", INT, literals.from_int(7))
        build.add_node("ingest", {"seed": cls.given("seed")}, at=(3, 10))
        build.add_node("ingest_raw", {"seed": cls.given("seed")}, at=(4, 11))
        build.add_node("train", {"df": cls.of("ingest"), "trees": cls.given("trees")}, at=(5, 13))
        build.add_node("evaluate", {"model": cls.of("train"), "df": cls.of("ingest")}, at=(6, 12))
        build.add_output("o0", FLOAT, cls.of("evaluate", "accuracy"))
        return build

    @property
    def train(self):
        return self.template.nodes[2]


def ambiguous_union_binding() -> Build:
    build = Build.training()
    optional = literal_types.list_of(literal_types.optional(INT))
    either = literal_types.list_of(literal_types.union(INT, STRING))
    build.add_task("merge", {"values": literal_types.union(optional, either)}, {})
    build.add_node("merge", {"values": Build.many(Build.given("seed"), Build.value(literals.from_str("x")))})
    return build


def cycle_detected() -> Build:
    build = Build.training()
    build.template.nodes[0].after.append("evaluate")
    return build


def duplicate_node_id() -> Build:
    build = Build.training()
    build.add_node("train", {"df": Build.of("ingest")}, at=(5, 13))
    return build


def duplicate_variable() -> Build:
    build = Build.training()
    build.add_input("seed", INT)
    return build


def field_not_found() -> Build:
    build = Build.training()
    build.add_input("config", CONFIG)
    build.add_task("tune", {"rate": FLOAT}, {})
    build.add_node("tune", {"rate": Build.given("config", "learning_rat")})
    return build


def graph_too_large() -> Build:
    build = Build()
    build.add_task("ingest", {}, {})
    build.add_node("ingest")
    build.template.nodes.extend([build.template.nodes[0]] * 100_000)
    return build


def illegal_enum_value() -> Build:
    build = Build.training()
    build.template.failure_policy = 17  # type: ignore[assignment]
    return build


def incompatible_union_binding() -> Build:
    build = Build.training()
    lists = literal_types.union(literal_types.list_of(STRING), literal_types.list_of(BOOL))
    build.add_task("merge", {"values": lists}, {})
    build.add_node("merge", {"values": Build.many(Build.given("seed"), Build.value(literals.from_str("x")))})
    return build


def invalid_name() -> Build:
    build = Build.training()
    build.add_node("my node", {"df": Build.of("ingest")}, task="train", at=(5, 13))
    return build


def invalid_resource() -> Build:
    build = Build.training()
    build.train.task.overrides.resources.requests.memory = "16 GB"
    return build


def invalid_value() -> Build:
    build = Build.training()
    build.train.inputs[1].value.literal.string = "many"
    return build


def mismatching_types() -> Build:
    build = Build.training()
    build.train.inputs[0].value.promise.node = "ingest_raw"
    return build


def missing_annotation() -> Build:
    build = Build.training()
    build.template.interface.inputs[1].ClearField("type")
    build.template.interface.inputs[1].ClearField("default")
    return build


def missing_target() -> Build:
    build = Build.training()
    build.tasks["pipeline.train"].ClearField("python")
    return build


def nesting_too_deep() -> Build:
    build = Build.training()
    build.add_input("deep", nested(25))
    return build


def no_nodes_found() -> Build:
    build = Build()
    build.add_input("seed", INT)
    build.add_output("o0", INT, Build.given("seed"))
    return build


def node_reference_not_found() -> Build:
    build = Build.training()
    build.template.nodes[3].inputs[1].value.promise.node = "ingset"
    return build


def parameter_bound_more_than_once() -> Build:
    build = Build.training()
    build.train.inputs.add(variable="df", value=Build.of("ingest"))
    return build


def parameter_not_bound() -> Build:
    build = Build.training()
    del build.train.inputs[0]
    return build


def task_reference_not_found() -> Build:
    build = Build.training()
    build.train.task.task.name = "pipeline.trian"
    return build


def too_many_mistakes() -> Build:
    build = Build()
    build.add_task("ingest", {"seed": INT}, {})
    for i in range(1_001):
        build.add_node(f"n{i}", task="ingest")
    return build


def unreachable_nodes() -> Build:
    build = Build.training()
    build.template.nodes[0].after.append("ingest_raw")
    build.template.nodes[1].after.append("ingest")
    return build


def unsupported_type() -> Build:
    build = Build.training()
    variants = [STRING, INT, STRING]
    type_ = LiteralType()
    type_.union.variants.extend(variants)
    build.add_input("either", type_)
    return build


def variable_name_not_found() -> Build:
    build = Build.training()
    build.train.inputs[1].variable = "tree"
    return build


def plan(build: Build, workflow: bool = True) -> tuple[Diagnostic, ...]:
    template = LaunchPlanTemplate(
        id=identifiers.launch_plan("pipeline.nightly"),
        workflow=identifiers.workflow("pipeline.training"),
        default_inputs=literals.as_map({"trees": literals.from_int(300), "tres": literals.from_int(1)}),
        fixed_inputs=literals.as_map({"trees": literals.from_int(7)}),
    )
    return compiler.compile_launch_plan(template, build.compiled() if workflow else None).diagnostics


def promise_used_as_value() -> tuple[Diagnostic, ...]:
    position = Build.training().train.position
    made = diagnostics.make(
        diagnostics.PROMISE_USED_AS_VALUE,
        "the result of `ingest_raw` is used as a number, but no task has run yet",
        workflow="pipeline.training",
        position=position,
        hint="compute with it in a task",
    )
    return (made,)


def workflow_body_raised() -> tuple[Diagnostic, ...]:
    made = diagnostics.make(
        diagnostics.WORKFLOW_BODY_RAISED,
        "the body of workflow `training` raised ValueError: unknown region",
        workflow="pipeline.training",
        position=Build.training().train.position,
        hint="it runs before any task does: keep what wires, and put the rest in tasks",
    )
    return (made,)


WORKFLOWS = (
    ambiguous_union_binding,
    cycle_detected,
    duplicate_node_id,
    duplicate_variable,
    field_not_found,
    graph_too_large,
    illegal_enum_value,
    incompatible_union_binding,
    invalid_name,
    invalid_resource,
    invalid_value,
    mismatching_types,
    missing_annotation,
    missing_target,
    nesting_too_deep,
    no_nodes_found,
    node_reference_not_found,
    parameter_bound_more_than_once,
    parameter_not_bound,
    task_reference_not_found,
    too_many_mistakes,
    unreachable_nodes,
    unsupported_type,
    variable_name_not_found,
)


def found_in(broken: Callable[[], Build]) -> Callable[[], tuple[Diagnostic, ...]]:
    return lambda: broken().compile().diagnostics


def code_of(broken: Callable[[], Build]) -> str:
    return "".join(word.capitalize() for word in broken.__name__.split("_"))


BROKEN: dict[str, Callable[[], tuple[Diagnostic, ...]]] = {
    **{code_of(broken): found_in(broken) for broken in WORKFLOWS},
    diagnostics.FIXED_INPUT_OVERRIDDEN: lambda: plan(Build.training()),
    diagnostics.PROMISE_USED_AS_VALUE: promise_used_as_value,
    diagnostics.UNKNOWN_INPUT: lambda: plan(Build.training()),
    diagnostics.WORKFLOW_BODY_RAISED: workflow_body_raised,
    diagnostics.WORKFLOW_REFERENCE_NOT_FOUND: lambda: plan(Build.training(), workflow=False),
}


@pytest.fixture
def build() -> type[Build]:
    """The class: `build()` is an empty workflow, `build.training()` that of the documentation."""
    return Build


@pytest.fixture
def training() -> Build:
    return Build.training()


@pytest.fixture
def broken() -> dict[str, Callable[[], tuple[Diagnostic, ...]]]:
    """By code, a template's mistakes, among them one of that code."""
    return BROKEN


@pytest.fixture
def source() -> str:
    return SOURCE
