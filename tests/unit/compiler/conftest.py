"""Builds raw templates, as any gRPC client may send them."""

from collections.abc import Mapping, Sequence

import pytest

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.identifiers_pb2 import Identifier
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan, LaunchPlanTemplate
from typedflow.pb.literals_pb2 import Literal
from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
from typedflow.pb.types_pb2 import Column, LiteralType
from typedflow.pb.workflows_pb2 import (
    BindingValue,
    Comparison,
    CompiledWorkflow,
    Condition,
    Operator,
    PathStep,
    Promise,
    WorkflowTemplate,
)

SOURCE = """\
@workflow
def training(trees: int = 100, seed: int = 7) -> float:
    df = ingest(seed=seed)
    raw = ingest_raw(seed=seed)
    model = train(df=raw, trees=trees)
    return evaluate(model=model, df=df)

@workflow
def sizes(trees: int) -> None:
    size = conditional("size").if_(trees > 10).then(big(n=trees)).else_().then(0)
    report(n=size)
    paint(color="gren")
"""
"""Where the nodes of `Build.training`, and of those that break it, stand."""

INT, FLOAT = literal_types.INT, literal_types.FLOAT
RAW = literal_types.frame([Column(name="mean_radius", dtype="double")])
TUMOURS = literal_types.frame(
    [Column(name="mean_radius", dtype="double"), Column(name="target", dtype="int64")]
)


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

    # Control flow

    def add_map(
        self, node_id: str, bindings: Mapping[str, BindingValue], *, task: str = "", over: Sequence[str] = ()
    ):
        made = self.add_node(node_id, bindings)
        made.map.task.name = f"pipeline.{task or node_id}"
        made.map.over.extend(over)
        return made

    def add_branch(self, node_id: str, outputs: Mapping[str, LiteralType], *, after: Sequence[str] = ()):
        """One without cases; `case` adds them."""
        made = self.template.nodes.add(id=node_id, after=after)
        made.branch.SetInParent()
        for name, type_ in outputs.items():
            made.branch.outputs.add(name=name).type.CopyFrom(type_)
        return made

    @staticmethod
    def case(
        branch, condition: Condition | None, gives: Mapping[str, BindingValue] | None = None, fail: str = ""
    ):
        made = branch.branch.cases.add(condition=condition)
        if fail:
            made.fail = fail
            return made
        made.outputs.SetInParent()
        for variable, value in (gives or {}).items():
            made.outputs.bindings.add(variable=variable, value=value)
        return made

    @staticmethod
    def put(node, branch: str, case: int):
        """Puts a node into a case."""
        node.section.branch.node, node.section.branch.case = branch, case
        return node

    @staticmethod
    def compare(left: BindingValue, sign: str, right: BindingValue) -> Condition:
        signs = ["==", "!=", "<", "<=", ">", ">="]
        operator = Operator.values()[signs.index(sign) + 1]
        return Condition(comparison=Comparison(operator=operator, left=left, right=right))

    def add_gate(self, node_id: str, bindings: Mapping[str, BindingValue] | None = None):
        made = self.template.nodes.add(id=node_id)
        made.gate.SetInParent()
        for variable, value in (bindings or {}).items():
            made.inputs.add(variable=variable, value=value)
        return made

    def add_launch(self, node_id: str, bindings: Mapping[str, BindingValue] | None = None, *, plan: str):
        made = self.template.nodes.add(id=node_id)
        made.launch_plan.launch_plan.name = f"pipeline.{plan}"
        for variable, value in (bindings or {}).items():
            made.inputs.add(variable=variable, value=value)
        return made

    def add_call(self, node_id: str, bindings: Mapping[str, BindingValue] | None = None, *, workflow: str):
        made = self.template.nodes.add(id=node_id)
        made.workflow.workflow.name = f"pipeline.{workflow}"
        for variable, value in (bindings or {}).items():
            made.inputs.add(variable=variable, value=value)
        return made

    def know_plan(
        self, name: str, defaults: Mapping[str, Literal], fixed: Mapping[str, Literal]
    ) -> CompiledLaunchPlan:
        """Makes a launch plan of this workflow as it is now known."""
        template = LaunchPlanTemplate(
            id=identifiers.launch_plan(f"pipeline.{name}"),
            workflow=self.template.id,
            default_inputs=literals.as_map(defaults),
            fixed_inputs=literals.as_map(fixed),
        )
        made = compiler.compile_launch_plan(template, self.compiled()).value
        assert made is not None
        self.launch_plans[template.id.name] = made
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

    @staticmethod
    def dict(**values: BindingValue) -> BindingValue:
        made = BindingValue()
        made.dict.keys.extend(values)
        made.dict.values.extend(values.values())
        return made

    @staticmethod
    def record(**fields: BindingValue) -> BindingValue:
        made = BindingValue()
        made.record.SetInParent()
        for name, value in fields.items():
            made.record.fields.add(name=name, value=value)
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


@pytest.fixture
def build() -> type[Build]:
    """The class: `build()` is an empty workflow, `build.training()` that of the documentation."""
    return Build


@pytest.fixture
def training() -> Build:
    return Build.training()


@pytest.fixture
def source() -> str:
    return SOURCE
