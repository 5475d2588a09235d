"""A workflow's template to a graph that can run, or everything that is wrong with it.

Pure: (template, what it refers to) in, the same bytes out, always. It takes any message from anybody and answers with
diagnostics, never with an exception, in time linear in nodes and edges. The passes: names, sections, calls, bindings,
order; each goes on after a mistake and leaves out what would only repeat it. When nothing is wrong, the workflows that
are called are put in the place of their nodes, and what comes out is compiled again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import identifiers
from typedflow.compiler import (
    bindings,
    branches,
    calls,
    diagnostics,
    fitting,
    gates,
    inlining,
    interfaces,
    maps,
    ordering,
    promises,
    references,
    sections,
    terms,
)
from typedflow.compiler.report import OUTPUTS, Report, cut, short
from typedflow.compiler.result import Result
from typedflow.pb import workflows_pb2
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_WORKFLOW
from typedflow.pb.workflows_pb2 import Binding, CompiledWorkflow, FailurePolicy, Node, WorkflowTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.pb.tasks_pb2 import TaskOptions
    from typedflow.pb.types_pb2 import LiteralType

MOST_NODES: Final = 100_000
MOST_DEFAULT_BYTES: Final = 64 * 1024 * 1024
MOST_ROUNDS: Final = 24
"""Of putting workflows in whose own nodes call workflows: what is compiled has none of these."""


def compile_workflow(template: WorkflowTemplate, resolver: calls.Resolver) -> Result[CompiledWorkflow]:
    """Checks a workflow and all that it calls; gives it with every binding converted and every default filled in.

    Nodes are in topological order, ties in the author's. Mistakes come in the author's order too: of what is called and
    the workflow itself, of each node (its inputs in the order of the interface), of the outputs.
    """
    compiled = _compiled(template, resolver)
    rounds = 0
    while compiled.result.value is not None and compiled.put_in:
        rounds += 1
        if rounds > MOST_ROUNDS:
            return _refused(template, diagnostics.NESTING_TOO_DEEP, "workflows call each other without end")
        try:
            whole = inlining.Inlining(compiled.put_in).template(compiled.result.value.workflow)
        except inlining.TooLarge:
            message = (
                f"the workflows that it calls come to more than {inlining.MOST_BYTES >> 20} MiB together"
            )
            return _refused(template, diagnostics.GRAPH_TOO_LARGE, message)
        except inlining.LeadsNowhere as error:
            message = f"node `{cut(error.node, 100)}` takes a part of an input that there is not"
            return _refused(template, diagnostics.FIELD_NOT_FOUND, message, error.reason)
        resolver = inlining.Inlined(resolver, compiled.put_in.values())
        compiled = _compiled(whole, resolver)
    return compiled.result


def _compiled(template: WorkflowTemplate, resolver: calls.Resolver) -> _Workflow:
    report = Report(
        template.id.name, template.position if template.HasField("position") else None, template.nodes
    )
    made = _Workflow(template, resolver, report)
    made.compile()
    return made


def _refused(
    template: WorkflowTemplate, code: str, message: str, label: str = ""
) -> Result[CompiledWorkflow]:
    report = Report(template.id.name, template.position if template.HasField("position") else None)
    report.add(code, f"workflow `{cut(short(template.id.name), 100)}`: {message}", label=label)
    return Result(None, report.diagnostics())


class _Workflow:
    """One compilation: what the passes leave for each other.

    Attributes:
        result: what came of it.
        put_in: by the id of the node, the workflows whose nodes are to take its place.
    """

    def __init__(self, template: WorkflowTemplate, resolver: calls.Resolver, report: Report) -> None:
        self.result: Result[CompiledWorkflow] = Result(None)
        self.put_in: dict[str, CompiledWorkflow] = {}
        self._template = template
        self._report = report
        self._owner = f"workflow `{cut(short(template.id.name), 100)}`"
        self._nodes = template.nodes
        self._types = interfaces.Types()
        self._calls = calls.Calls(resolver, template.id, self._types, report)
        self._maps = maps.Maps(self._types, report)
        self._called: list[calls.Call | None] = []
        self._handling: dict[int, bool] = {}  # by id of a call, which lives as long
        self._default_bytes = 0

    def compile(self) -> None:
        """All passes; what comes of them is in `result` and `put_in`."""
        if self._too_many(len(self._nodes)):
            self.result = Result(None, self._report.diagnostics())
            return
        self._id = references.check(self._template.id, ENTITY_KIND_WORKFLOW, self._report)
        self._interface = interfaces.check(self._template.interface, self._owner, self._types, self._report)
        self._inputs = {name: each.type for name, each in self._interface.inputs.items()}
        index = self._numbers()
        self._sections = sections.Sections(self._nodes, index, self._report)
        self._called = [self._call(number, node) for number, node in enumerate(self._nodes)]
        if self._too_many(len(self._nodes) + self._count_put_in()):
            self.result = Result(None, self._report.diagnostics())
            return
        self._sources = promises.Promises(index, self._outputs, self._sections, self._report)
        self._fitting = fitting.Fitting(self._nodes, self._called, self._calls, self._sources)
        self._binder = bindings.Binder(self._sources, self._fitting.hint)
        self._branches = branches.Branches(self._binder, self._sources)
        self._ordering = ordering.Ordering(self._nodes, self._sections, self._report)
        self._check_itself()
        nodes = [self._node(number, node) for number, node in enumerate(self._nodes)]
        self._sources.begin(OUTPUTS, sections.ALWAYS)
        given = {
            name: interfaces.Input(type_, None, False, 0) for name, type_ in self._interface.outputs.items()
        }
        wanted = calls.Wanted.of(given, "output", self._owner)
        outputs = self._bind(self._template.outputs, wanted, OUTPUTS)
        self._check_defaults()
        order = self._ordering.nodes()
        value = None if len(self._report) else self._assembled([nodes[number] for number in order], outputs)
        self.result = Result(value, self._report.diagnostics())

    # The workflow itself

    def _check_itself(self) -> None:
        if self._template.failure_policy not in FailurePolicy.values():
            self._report.add(
                diagnostics.ILLEGAL_ENUM_VALUE,
                f"the failure policy of {self._owner} is none",
                expected=", ".join(FailurePolicy.keys()[1:]),
                given=str(self._template.failure_policy),
            )
        if not self._nodes:
            self._report.add(
                diagnostics.NO_NODES_FOUND,
                f"{self._owner} has no node",
                expected="at least one node",
                hint="call a task in its body",
            )

    def _check_defaults(self) -> None:
        if self._default_bytes > MOST_DEFAULT_BYTES:
            self._report.add(
                diagnostics.GRAPH_TOO_LARGE,
                f"the defaults that the nodes of {self._owner} take are too large together",
                expected=f"at most {MOST_DEFAULT_BYTES >> 20} MiB",
                given=f"{self._default_bytes >> 20} MiB",
                hint="make the large default a file, or the output of a task",
            )

    # Names

    def _numbers(self) -> dict[str, int]:
        """Nodes by id; of two with one id the first."""
        index: dict[str, int] = {}
        for number, node in enumerate(self._nodes):
            wrong = identifiers.check_node_id(node.id)
            if wrong:
                self._report.add(
                    diagnostics.INVALID_NAME,
                    f"the id of a node is not legal: {wrong}",
                    at=number,
                    given=node.id,
                )
            if node.id in index:
                self._report.add(
                    diagnostics.DUPLICATE_NODE_ID,
                    f"there is more than one node `{cut(node.id, 100)}`",
                    at=number,
                    given=node.id,
                    hint="give one of them another name",
                )
            else:
                index[node.id] = number
        return index

    def _too_many(self, count: int) -> bool:
        if count <= MOST_NODES:
            return False
        whose = "" if count == len(self._nodes) else ", those of the workflows that it calls included"
        self._report.add(
            diagnostics.GRAPH_TOO_LARGE,
            f"a workflow has at most {MOST_NODES:,} nodes{whose}",
            expected=f"at most {MOST_NODES:,}",
            given=f"{count:,}",
        )
        return True

    # Calls

    def _call(self, number: int, node: Node) -> calls.Call | None:
        """What a node calls, or is; None when there is no such thing, which is noted."""
        match node.WhichOneof("target"):
            case "branch":
                return branches.call(node, self._types, self._report, number)
            case "gate":
                return gates.call(node, self._types, self._report, number)
            case "launch_plan":
                reference, kind = node.launch_plan.launch_plan, calls.LAUNCH_PLAN
            case "workflow":
                reference, kind = node.workflow.workflow, calls.WORKFLOW
            case "map":
                reference, kind = node.map.task, calls.TASK
            case _:
                reference, kind = node.task.task, calls.TASK
        call = self._calls.call(reference, kind)
        if call is None and kind is calls.WORKFLOW and self._calls.is_own(reference):
            self._report.add(
                diagnostics.CYCLE_DETECTED,
                f"{self._owner} is a part of itself",
                at=number,
                hint="launch it in place of calling it: a launch plan's execution is its own",
            )
            return None
        if call is None:
            self._calls.missing(reference, kind, node.id, number)
            return None
        if self._handles_failures(call):
            self._report.add(
                diagnostics.INVALID_VALUE,
                f"{call.owner} has an `on_failure` of its own, which is for executions of it alone",
                at=number,
                hint="launch it as an execution of its own, by a LaunchPlan, or handle failures in the outer workflow",
            )
        return self._maps.call(node.map, call) if node.HasField("map") else call

    def _handles_failures(self, call: calls.Call) -> bool:
        """Whether it is a workflow that runs something when it has failed."""
        if not isinstance(call.entity, CompiledWorkflow):
            return False
        known = self._handling.get(id(call))
        if known is None:
            known = any(each.section.HasField("failure") for each in call.entity.workflow.nodes)
            self._handling[id(call)] = known
        return known

    def _count_put_in(self) -> int:
        """How many nodes more there are when the workflows that are called are put in."""
        more = 0
        counts: dict[int, int] = {}
        for node, call in zip(self._nodes, self._called, strict=True):
            if call is None or not isinstance(call.entity, CompiledWorkflow):
                continue
            if call.entity.workflow.nodes:
                self.put_in.setdefault(node.id, call.entity)
                if id(call) not in counts:
                    counts[id(call)] = len(call.entity.workflow.nodes)
                more += counts[id(call)] - 1
        return more

    def _outputs(self, node: int) -> Mapping[str, LiteralType | None] | None:
        if node == promises.WORKFLOW:
            return self._inputs
        call = self._called[node]
        return None if call is None else call.outputs

    # Bindings

    def _node(self, number: int, node: Node) -> Node:
        made = Node(id=node.id)
        sources = self._sources
        sources.begin(number, self._sections.of[number])
        for after in dict.fromkeys(node.after):
            if sources.wait_for(after, f"node `{cut(node.id, 100)}` is to run after") is not None:
                made.after.append(after)
        if node.HasField("section"):
            made.section.CopyFrom(node.section)
        if node.HasField("position"):
            made.position.CopyFrom(node.position)
        call = self._called[number]
        if call is None:
            for binding in node.inputs:  # their references can be checked even so
                what = f"input `{cut(binding.variable, 100)}` of node `{cut(node.id, 100)}`"
                self._binder.bind(binding.value, None, what)
        elif node.HasField("map"):
            self._map(number, node, call, made)
        else:
            made.inputs.extend(self._bind(node.inputs, call.wanted, number))
            self._target(number, node, call, made)
        if not node.HasField("branch"):
            self._ordering.waits(number, sources.upstreams, sources.dangling)
        return made

    def _target(self, number: int, node: Node, call: calls.Call, made: Node) -> None:
        """Writes what a node that is no map does."""
        match node.WhichOneof("target"):
            case "branch":
                cases = self._branches.check_conditions(node)
                self._ordering.waits(number, self._sources.upstreams, self._sources.dangling)
                checked = self._branches.check_outputs(number, node, call.outputs, cases)
                made.branch.CopyFrom(checked)
                self._ordering.gives(number, self._sources.upstreams, self._sources.dangling)
            case "gate":
                made.gate.CopyFrom(node.gate)
            case "launch_plan":
                made.launch_plan.launch_plan.CopyFrom(call.reference)
            case "workflow":
                made.workflow.workflow.CopyFrom(call.reference)
            case _:
                made.task.task.CopyFrom(call.reference)
                if node.task.HasField("overrides"):
                    made.task.overrides.CopyFrom(self._terms(node.task.overrides, call, number))

    def _map(self, number: int, node: Node, call: calls.Call, made: Node) -> None:
        self._maps.check_ranges(node.map, call.owner, number)
        wanted, mapped = self._maps.wanted(node.map, call, node.inputs, self._binder, number)
        made.inputs.extend(self._bind(node.inputs, wanted, number))
        self._maps.check_lengths(made.inputs, mapped, call.owner, number)
        made.map.task.CopyFrom(call.reference)
        made.map.over.extend(mapped)
        made.map.concurrency = node.map.concurrency
        if node.map.HasField("min_success_ratio") and node.map.min_success_ratio != 1:
            made.map.min_success_ratio = node.map.min_success_ratio
        if node.map.HasField("overrides"):
            made.map.overrides.CopyFrom(self._terms(node.map.overrides, call, number))

    def _terms(self, overrides: TaskOptions, call: calls.Call, number: int) -> TaskOptions:
        return terms.check(overrides, call.wanted.variables, call.owner, self._report, number)

    def _bind(self, given: Iterable[Binding], wanted: calls.Wanted, at: int) -> list[Binding]:
        """The bindings of a place in the order of its interface; those that are wrong are noted and left out."""
        by_name = self._by_name(given, wanted, at)
        meant = self._meant(by_name, wanted)
        made = []
        for name, variable in wanted.variables.items():
            bound = by_name.pop(name, None)
            if bound is not None:
                value = self._binder.bind(bound.value, variable.type, wanted.whats[name])
                if value is not None:
                    made.append(bound if value is bound.value else Binding(variable=name, value=value))
            elif name in wanted.defaults:
                self._default_bytes += variable.size
                if self._default_bytes <= MOST_DEFAULT_BYTES:
                    made.append(wanted.defaults[name])
            elif not variable.optional and name not in meant:
                self._not_bound(variable.type, wanted.whats[name], at)
        for name, binding in by_name.items():
            if name in wanted.fixed:
                self._report.add(
                    diagnostics.FIXED_INPUT_OVERRIDDEN,
                    f"{wanted.kind} `{name}` of {wanted.owner} is fixed, and is given another value",
                    at=at,
                    given=name,
                    hint="leave it out",
                )
            else:
                self._report.add(
                    diagnostics.VARIABLE_NAME_NOT_FOUND,
                    f"{wanted.owner} has no {wanted.kind} `{cut(name, 100)}`",
                    at=at,
                    expected=promises.some_of(wanted.variables),
                    given=name,
                    hint=self._report.did_you_mean(name, wanted.variables),
                )
            self._binder.bind(binding.value, None, f"`{cut(name, 100)}`")
        return made

    def _meant(self, given: Mapping[str, Binding], wanted: calls.Wanted) -> set[str]:
        """What misspelt names stand for: that it is not given is not said, as the help says what to do."""
        unknown = [name for name in given if name not in wanted.variables]
        return {self._report.nearest(name, wanted.variables) for name in unknown}

    def _by_name(self, given: Iterable[Binding], wanted: calls.Wanted, at: int) -> dict[str, Binding]:
        by_name: dict[str, Binding] = {}
        for binding in given:
            if by_name.setdefault(binding.variable, binding) is not binding:
                what = wanted.whats.get(binding.variable, f"`{cut(binding.variable, 100)}`")
                self._report.add(
                    diagnostics.PARAMETER_BOUND_MORE_THAN_ONCE,
                    f"{what} is given more than once",
                    at=at,
                    given=binding.variable,
                    hint="keep one of them",
                )
                self._binder.bind(binding.value, None, what)
        return by_name

    def _not_bound(self, type_: LiteralType | None, what: str, at: int) -> None:
        self._report.add(
            diagnostics.PARAMETER_NOT_BOUND,
            f"{what} is not given",
            at=at,
            expected="" if type_ is None else self._report.text(type_),
            given="nothing",
            hint="" if type_ is None else self._fitting.hint(type_, at),
        )

    # The result

    def _assembled(self, nodes: Iterable[Node], outputs: Iterable[Binding]) -> CompiledWorkflow:
        template = self._template
        workflow = WorkflowTemplate(
            id=self._id,
            interface=self._interface.message,
            nodes=nodes,
            outputs=outputs,
            failure_policy=template.failure_policy or workflows_pb2.FAILURE_POLICY_FAIL_FAST,
            position=template.position if template.HasField("position") else None,
            description=template.description,
        )
        return CompiledWorkflow(
            workflow=workflow, tasks=self._calls.tasks(), launch_plans=self._calls.launch_plans()
        )
