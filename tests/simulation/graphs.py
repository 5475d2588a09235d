"""Workflows as a plan has them (plain JSON), the templates that they stand for, and what every node has to give.

A task's outputs are a pure function of its name, its code and its inputs; so what each node of an execution must have
given can be worked out here, without any engine, and is compared with what it gave.

A source is the name of a node, `x` (the workflow's input), a number, or `[source, index]` for an element of a list.
"""

import contextlib
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from typedflow import compiler, literals
from typedflow.pb import (
    attempt_pb2,
    launch_plans_pb2,
    literals_pb2,
    types_pb2,
    workflows_pb2,
)
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    Identifier,
)
from typedflow.pb.interface_pb2 import Variable
from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate

Node = dict[str, Any]
Workflow = dict[str, Any]

INT = types_pb2.LiteralType(simple=types_pb2.SIMPLE_TYPE_INT)
MAYBE = types_pb2.LiteralType(
    union=types_pb2.UnionType(variants=[INT, types_pb2.LiteralType(simple=types_pb2.SIMPLE_TYPE_NONE)])
)
INTS = types_pb2.LiteralType(list=types_pb2.ListType(element=INT))
MAYBES = types_pb2.LiteralType(list=types_pb2.ListType(element=MAYBE))
TYPES = {"i": INT, "l": INTS, "m": MAYBES}
OPERATORS: dict[str, tuple[workflows_pb2.Operator.ValueType, Callable[[int, int], bool]]] = {
    "<": (workflows_pb2.OPERATOR_LESS, lambda left, right: left < right),
    "==": (workflows_pb2.OPERATOR_EQUAL, lambda left, right: left == right),
    ">=": (workflows_pb2.OPERATOR_GREATER_OR_EQUAL, lambda left, right: left >= right),
}
LARGEST = 10  # results are small, so that tasks meet the same inputs again


# What tasks compute.


def function(name: str, code: str, values: Sequence[object]) -> Any:
    """What a task of that name (`t1.il-i`: takes an int and a list, gives an int) and code gives."""
    drawn = zlib.crc32(repr((name, code, values)).encode())
    if name.endswith("l"):
        return [(drawn >> 3 * place) % LARGEST for place in range((drawn >> 20) % 4)]
    return drawn % LARGEST


def compute(spec: attempt_pb2.AttemptSpec) -> literals_pb2.LiteralMap:
    """What an attempt gives."""
    values = [plain(each.value) for each in spec.inputs.values]
    return literals.as_map({"o0": literal(function(spec.task, spec.manifest.code, values))})


def plain(literal: literals_pb2.Literal) -> Any:
    """The value of a literal."""
    match literal.WhichOneof("value"):
        case "integer":
            return literal.integer
        case "list":
            return [plain(each) for each in literals.elements(literal.list)]
        case "union":
            return plain(literal.union.value)
        case kind:
            assert kind == "none", kind
            return None


def literal(value: Any) -> literals_pb2.Literal:
    """The literal of an int or a list of them."""
    if isinstance(value, int):
        return literals_pb2.Literal(integer=value)
    return literals_pb2.Literal(list=literals_pb2.List(integers=literals_pb2.Integers(values=value)))


# Templates.


def nodes_of(workflow: Workflow) -> Iterator[Node]:
    """All nodes, with those of branches and of the failure section."""
    todo = [*workflow["nodes"], *workflow.get("failure", ())]
    for node in todo:
        yield node
        for case in node.get("cases", ()):
            todo.extend(case["nodes"])


def find(workflow: Workflow, path: str) -> Node:
    """The node of a path; of a slot its map's."""
    for node in nodes_of(workflow):
        id_ = node["id"]
        if path == id_ or path.startswith(f"{id_}["):
            return node
        if node["kind"] == "dynamic" and path.startswith(f"{id_}."):
            inner = path[len(id_) + 1 :]
            for graph in node["graphs"]:
                with contextlib.suppress(KeyError):
                    return find(graph, inner)
    raise KeyError(path)


def gives(node: Node) -> str:
    """The letter of the type of a node's output; empty: it has none."""
    match node["kind"]:
        case "sleep":
            return ""
        case "map":
            return "l" if node.get("ratio") is None else "m"
        case "task":
            return str(node["gives"])
        case _:
            return "i"


class Compiler:
    """Compiles the workflows of a plan, each once; a resolver of what they refer to."""

    def __init__(self, workflows: Sequence[Workflow]) -> None:
        self.workflows = workflows
        self._compiled: dict[int, workflows_pb2.CompiledWorkflow] = {}
        self._tasks: dict[tuple[str, str], TaskTemplate] = {}
        self._graphs: dict[str, Workflow] = {}
        self._expanded: dict[str, workflows_pb2.CompiledWorkflow] = {}

    def compiled(self, place: int) -> workflows_pb2.CompiledWorkflow:
        if place not in self._compiled:
            self._compiled[place] = self.compile(self.workflows[place], f"w{place}")
        return self._compiled[place]

    def compile(self, workflow: Workflow, name: str) -> workflows_pb2.CompiledWorkflow:
        result = compiler.compile_workflow(self.template(workflow, name), self)
        if result.value is None:
            raise AssertionError(f"{[each.message for each in result.diagnostics]} in {workflow}")
        return result.value

    def expansion(self, graph: Workflow) -> workflows_pb2.WorkflowTemplate:
        """What a dynamic task that gives this graph says: its name stands for it."""
        name = f"g{zlib.crc32(repr(graph).encode())}"
        self._graphs[name] = graph
        return workflows_pb2.WorkflowTemplate(id=Identifier(name=name))

    def expanded(self, name: str) -> workflows_pb2.CompiledWorkflow:
        """That graph, compiled."""
        if name not in self._expanded:
            self._expanded[name] = self.compile(self._graphs[name], name)
        return self._expanded[name]

    # The resolver.

    def task(self, id: Identifier) -> TaskTemplate | None:  # noqa: A002 - as the compiler calls it
        key = (id.name, id.version)
        if key not in self._tasks:
            result = compiler.compile_task(_task(id.name, id.version))
            assert result.value is not None, [each.message for each in result.diagnostics]
            self._tasks[key] = result.value
        return self._tasks[key]

    def task_names(self) -> Sequence[str]:
        return ()

    def workflow(self, id: Identifier) -> workflows_pb2.CompiledWorkflow | None:  # noqa: A002
        return self.compiled(int(id.name.removeprefix("w")))

    def workflow_names(self) -> Sequence[str]:
        return ()

    def launch_plan(self, id: Identifier) -> launch_plans_pb2.CompiledLaunchPlan | None:  # noqa: A002
        compiled = self.compiled(int(id.name.removeprefix("w")))
        plan = launch_plans_pb2.LaunchPlanTemplate(id=id, workflow=compiled.workflow.id)
        return launch_plans_pb2.CompiledLaunchPlan(launch_plan=plan, interface=compiled.workflow.interface)

    def launch_plan_names(self) -> Sequence[str]:
        return ()

    def template(self, workflow: Workflow, name: str) -> workflows_pb2.WorkflowTemplate:
        made = workflows_pb2.WorkflowTemplate(id=_identifier(ENTITY_KIND_WORKFLOW, name))
        if workflow.get("input", True):
            made.interface.inputs.add(name="x", type=INT)
        kinds = {node["id"]: gives(node) for node in nodes_of(workflow)}
        for node in workflow["nodes"]:
            self._add(made, node, kinds, None)
        for node in workflow.get("failure", ()):
            section = workflows_pb2.Section(failure=workflows_pb2.FailureSection())
            self._add(made, node, kinds, section)
        if workflow.get("out") is not None:
            made.interface.outputs.add(name="o0", type=TYPES[_letter(workflow["out"], kinds)])
            _bind(made.outputs.add(variable="o0").value, workflow["out"])
        if workflow.get("policy") == "after":
            made.failure_policy = workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
        return made

    def _add(
        self,
        made: workflows_pb2.WorkflowTemplate,
        node: Node,
        kinds: Mapping[str, str],
        section: workflows_pb2.Section | None,
    ) -> None:
        added = made.nodes.add(id=node["id"], after=node.get("after", ()))
        if section is not None:
            added.section.CopyFrom(section)
        match node["kind"]:
            case "task" | "dynamic":
                added.task.task.CopyFrom(_identifier(ENTITY_KIND_TASK, task_name(node, kinds), code(node)))
                added.task.overrides.CopyFrom(options(node))
                _bind_all(added, node["in"])
            case "map":
                name = task_name(node, kinds)
                added.map.task.CopyFrom(_identifier(ENTITY_KIND_TASK, name, code(node)))
                added.map.overrides.CopyFrom(options(node))
                added.map.over.append("i0")
                added.map.concurrency = node.get("concurrency", 0)
                if node.get("ratio") is not None:
                    added.map.min_success_ratio = node["ratio"]
                _bind_all(added, [node["over"], *node["in"]])
            case "signal":
                added.gate.signal.type.CopyFrom(INT)
                added.gate.timeout_ms = node.get("timeout_ms", 0)
            case "approval":
                added.gate.approval.type.CopyFrom(INT)
                added.gate.timeout_ms = node.get("timeout_ms", 0)
                _bind(added.inputs.add(variable="value").value, node["in"][0])
            case "sleep":
                added.gate.sleep.duration_ms = node["ms"]
            case "child":
                plan = _identifier(ENTITY_KIND_LAUNCH_PLAN, f"w{node['workflow']}")
                added.launch_plan.launch_plan.CopyFrom(plan)
                _bind(added.inputs.add(variable="x").value, node["in"][0])
            case kind:
                assert kind == "branch", kind
                self._add_branch(made, added, node, kinds)

    def _add_branch(
        self,
        made: workflows_pb2.WorkflowTemplate,
        added: workflows_pb2.Node,
        node: Node,
        kinds: Mapping[str, str],
    ) -> None:
        added.branch.outputs.add(name="o0", type=INT)
        for number, case in enumerate(node["cases"]):
            told = added.branch.cases.add()
            if "if" in case:
                left, operator, right = case["if"]
                comparison = told.condition.comparison
                comparison.operator = OPERATORS[operator][0]
                _bind(comparison.left, left)
                _bind(comparison.right, right)
            if "fail" in case:
                told.fail = case["fail"]
            else:
                _bind(told.outputs.bindings.add(variable="o0").value, case["out"])
            section = workflows_pb2.Section()
            section.branch.node, section.branch.case = node["id"], number
            for member in case["nodes"]:
                self._add(made, member, kinds, section)


def task_name(node: Node, kinds: Mapping[str, str]) -> str:
    """Says what it takes and gives, so that nothing else need be known of a task."""
    if node["kind"] == "map":
        return f"t{node['task']}.{'i' * (1 + len(node['in']))}-i"
    takes = "".join(_letter(source, kinds) for source in node["in"])
    prefix = "d" if node["kind"] == "dynamic" else "t"
    return f"{prefix}{node['task']}.{takes}-{gives(node)}"


def code(node: Node) -> str:
    return f"c{node.get('code', 0)}"


def options(node: Node) -> TaskOptions:
    """The node's own."""
    told = node.get("options", {})
    made = TaskOptions()
    if told.get("cache"):
        made.cache.enabled = True
        made.cache.serialize = told.get("serialize", False)
        made.cache.max_age_ms = told.get("max_age_ms", 0)
    if told.get("retries"):
        made.retry.retries = told["retries"]
        made.retry.backoff_ms = told.get("backoff_ms", 0)
        made.retry.factor = told.get("factor", 0)
    for name in ("run_ms", "queued_ms", "deadline_ms"):
        if told.get(name):
            setattr(made.timeouts, name, told[name])
    return made


def _task(name: str, version: str) -> TaskTemplate:
    takes, _, result = name.partition(".")[2].partition("-")
    made = TaskTemplate(id=_identifier(ENTITY_KIND_TASK, name, version), dynamic=name.startswith("d"))
    for number, letter in enumerate(takes):
        made.interface.inputs.append(Variable(name=f"i{number}", type=TYPES[letter]))
    made.interface.outputs.append(Variable(name="o0", type=TYPES[result]))
    made.python.module, made.python.qualname, made.python.bundle = (
        "m",
        name.partition(".")[0],
        "b3:" + 64 * "0",
    )
    made.code.fingerprint = version
    return made


def _identifier(kind: Any, name: str, version: str = "v") -> Identifier:
    return Identifier(kind=kind, project="p", domain="d", name=name, version=version)


def _letter(source: Any, kinds: Mapping[str, str]) -> str:
    if isinstance(source, str) and source != "x":
        return kinds[source]
    return "i"


def _bind_all(node: workflows_pb2.Node, sources: Sequence[Any]) -> None:
    for number, source in enumerate(sources):
        _bind(node.inputs.add(variable=f"i{number}").value, source)


def _bind(value: workflows_pb2.BindingValue, source: Any) -> None:
    if isinstance(source, int):
        value.literal.integer = source
    elif isinstance(source, list):
        _bind(value, source[0])
        value.promise.path.add(index=source[1])
    elif source == "x":
        value.promise.variable = "x"
    else:
        value.promise.node, value.promise.variable = source, "o0"


# What nodes have to give.


class Never(Exception):
    """The node can't have succeeded."""


class Expected:
    """What nodes must have given, by path, where they succeeded; slots that failed are told by `failed`."""

    def __init__(
        self,
        workflows: Sequence[Workflow],
        workflow: Workflow,
        x: int | None,
        signals: Mapping[str, Any],
        failed: Callable[[str], bool],
        prefix: str = "",
    ) -> None:
        self._workflows = workflows
        self._x = x
        self._signals = signals
        self._failed = failed
        self._prefix = prefix
        self._nodes = {node["id"]: node for node in nodes_of(workflow)}
        self._kinds = {id_: gives(node) for id_, node in self._nodes.items()}
        self._out = workflow.get("out")
        self._known: dict[str, Any] = {}

    def output(self) -> Any:
        return None if self._out is None else self.source(self._out)

    def value(self, id_: str) -> Any:
        """Raises Never."""
        if id_ not in self._known:
            self._known[id_] = self._value(self._nodes[id_])
        return self._known[id_]

    def at(self, path: str) -> Any:
        """What the node (or slot, or node of a dynamic node's graph) of this path must give. Raises Never."""
        if path in self._nodes:
            return self.value(path)
        name, _, rest = path.partition("[")
        if rest and name in self._nodes:
            return self.slot(name, int(rest.removesuffix("]")))
        id_, _, inner = path.partition(".")
        return self.inner(id_).at(inner)

    def slot(self, id_: str, slot: int) -> Any:
        """What a map's slot must give."""
        node = self._nodes[id_]
        values = [self.source(node["over"])[slot], *(self.source(each) for each in node["in"])]
        return function(task_name(node, self._kinds), code(node), values)

    def inner(self, id_: str) -> "Expected":
        """Of a dynamic node's graph."""
        node = self._nodes[id_]
        graph = node["graphs"][dynamic_choice(node, self._kinds, [self.source(each) for each in node["in"]])]
        return Expected(
            self._workflows, graph, None, self._signals, self._failed, prefix=f"{self._prefix}{id_}."
        )

    def source(self, source: Any) -> Any:
        if isinstance(source, int):
            return source
        if isinstance(source, list):
            values = self.source(source[0])
            if not -len(values) <= source[1] < len(values):
                raise Never
            return values[source[1]]
        return self._x if source == "x" else self.value(source)

    def _value(self, node: Node) -> Any:
        match node["kind"]:
            case "task":
                values = [self.source(each) for each in node["in"]]
                return function(task_name(node, self._kinds), code(node), values)
            case "dynamic":
                return self.inner(node["id"]).output()
            case "map":
                return self._map(node)
            case "signal":
                path = self._prefix + node["id"]
                if path not in self._signals:
                    raise Never
                return self._signals[path]
            case "approval":
                return self.source(node["in"][0])
            case "sleep":
                return None
            case "child":
                of = self._workflows[node["workflow"]]
                child = Expected(self._workflows, of, self.source(node["in"][0]), {}, lambda _: False)
                return child.output()
            case _:
                return self._branch(node)

    def _map(self, node: Node) -> list[Any]:
        count = len(self.source(node["over"]))
        paths = [f"{self._prefix}{node['id']}[{slot}]" for slot in range(count)]
        results = [
            None if self._failed(path) else self.slot(node["id"], slot) for slot, path in enumerate(paths)
        ]
        needed = math.ceil((1.0 if node.get("ratio") is None else node["ratio"]) * count)
        if sum(each is not None for each in results) < needed:
            raise Never
        return results

    def _branch(self, node: Node) -> Any:
        case = node["cases"][self.case(node["id"])]
        if "fail" in case:
            raise Never
        return self.source(case["out"])

    def case(self, id_: str) -> int:
        """The case that runs."""
        cases = self._nodes[id_]["cases"]
        for number, case in enumerate(cases):
            if "if" not in case:
                return number
            left, operator, right = case["if"]
            if OPERATORS[operator][1](self.source(left), self.source(right)):
                return number
        raise AssertionError("a branch has a case else")


def dynamic_name(template: workflows_pb2.WorkflowTemplate) -> str:
    """By which `Compiler.expanded` knows it."""
    return template.id.name


def dynamic_choice(node: Node, kinds: Mapping[str, str], values: Sequence[Any]) -> int:
    """Which of its graphs a dynamic node gives."""
    chosen = function(task_name(node, kinds), code(node), values)
    return int(chosen) % len(node["graphs"])
