"""A workflow's template to a graph that can run, or everything that is wrong with it.

Pure: (template, what it refers to) in, the same bytes out, always. It takes any message from anybody and answers with
diagnostics, never with an exception, in time linear in nodes and edges. The passes: names, calls, bindings, order; each
goes on after a mistake and leaves out what would only repeat it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import identifiers
from typedflow.compiler import bindings, calls, diagnostics, graph, interfaces, references, terms
from typedflow.compiler.report import OUTPUTS, Report, cut, listed, short
from typedflow.compiler.result import Result
from typedflow.pb import workflows_pb2
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_WORKFLOW
from typedflow.pb.workflows_pb2 import Binding, CompiledWorkflow, FailurePolicy, Node, WorkflowTemplate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.pb.types_pb2 import LiteralType

MOST_NODES: Final = 100_000
MOST_DEFAULT_BYTES: Final = 64 * 1024 * 1024


def compile_workflow(template: WorkflowTemplate, resolver: calls.Resolver) -> Result[CompiledWorkflow]:
    """Checks a workflow and the tasks that it calls; gives it with every binding converted and every default filled in.

    Nodes are in topological order, ties in the author's. Mistakes come in the author's order too: of the tasks and the
    workflow itself, of each node (its inputs in the order of the interface), of the outputs.
    """
    report = Report(
        template.id.name, template.position if template.HasField("position") else None, template.nodes
    )
    if len(template.nodes) > MOST_NODES:
        message = f"a workflow has at most {MOST_NODES:,} nodes"
        report.add(
            diagnostics.GRAPH_TOO_LARGE,
            message,
            expected=f"at most {MOST_NODES:,}",
            given=f"{len(template.nodes):,}",
        )
        return Result(None, report.diagnostics())
    return _Workflow(template, resolver, report).compiled()


class _Workflow:
    """One compilation: what the passes leave for each other."""

    def __init__(self, template: WorkflowTemplate, resolver: calls.Resolver, report: Report) -> None:
        self._template = template
        self._report = report
        self._owner = f"workflow `{cut(short(template.id.name), 100)}`"
        self._nodes = list(template.nodes)
        types = interfaces.Types()
        self._id = references.check(template.id, ENTITY_KIND_WORKFLOW, report)
        self._interface = interfaces.check(template.interface, self._owner, types, report)
        self._inputs = {name: each.type for name, each in self._interface.inputs.items()}
        self._calls = calls.Calls(resolver, template.id, types, report)
        self._default_bytes = 0
        self._index = self._numbers()
        self._called = [self._call(number, node) for number, node in enumerate(self._nodes)]
        self._fitting = calls.Fitting(self._nodes, self._called, self._calls)
        self._binder = bindings.Binder(self._index, self._outputs, self._fitting.hint, report)

    def compiled(self) -> Result[CompiledWorkflow]:
        self._check_itself()
        nodes: list[Node] = []
        upstreams: list[list[int]] = []
        dangling: list[int] = []
        for number, node in enumerate(self._nodes):
            self._binder.begin(number)
            nodes.append(self._node(number, node))
            upstreams.append(list(self._binder.upstreams))
            if self._binder.dangling:
                dangling.append(number)
        self._binder.begin(OUTPUTS)
        given = {
            name: interfaces.Input(type_, None, False, 0) for name, type_ in self._interface.outputs.items()
        }
        wanted = calls.Wanted.of(given, "output", self._owner)
        outputs = self._bind(self._template.outputs, wanted, OUTPUTS)
        self._check_defaults()
        order = graph.order(upstreams)
        self._check_order(order, upstreams, dangling)
        if len(self._report):
            return Result(None, self._report.diagnostics())
        return Result(self._assembled([nodes[number] for number in order.nodes], outputs))

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
                f"{self._owner} calls no task",
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

    # Calls

    def _call(self, number: int, node: Node) -> calls.Call | None:
        reference = node.task.task
        call = self._calls.call(reference)
        if call is None:
            shown = identifiers.text(reference)
            if node.WhichOneof("target") is None or not reference.name:
                message = f"node `{cut(node.id, 100)}` calls no task"
            else:
                message = f"node `{cut(node.id, 100)}` calls task `{cut(shown, 200)}`, which there is not"
            hint = (
                self._calls.nearest(reference.name)
                or "register the task first, or together with the workflow"
            )
            self._report.add(diagnostics.TASK_REFERENCE_NOT_FOUND, message, at=number, given=shown, hint=hint)
        return call

    def _outputs(self, node: int) -> Mapping[str, LiteralType | None] | None:
        if node == bindings.WORKFLOW:
            return self._inputs
        call = self._called[node]
        return None if call is None else call.outputs

    # Bindings

    def _node(self, number: int, node: Node) -> Node:
        made = Node(id=node.id)
        for after in dict.fromkeys(node.after):
            if self._binder.wait_for(after, f"node `{cut(node.id, 100)}` is to run after") is not None:
                made.after.append(after)
        call = self._called[number]
        if call is None:
            for binding in node.inputs:  # their references can be checked even so
                what = f"input `{cut(binding.variable, 100)}` of node `{cut(node.id, 100)}`"
                self._binder.bind(binding.value, None, what)
            return made
        made.inputs.extend(self._bind(node.inputs, call.wanted, number))
        made.task.task.CopyFrom(call.reference)
        if node.task.HasField("overrides"):
            overrides = terms.check(
                node.task.overrides, call.wanted.variables, call.owner, self._report, number
            )
            made.task.overrides.CopyFrom(overrides)
        if node.HasField("position"):
            made.position.CopyFrom(node.position)
        return made

    def _bind(self, given: Iterable[Binding], wanted: calls.Wanted, at: int) -> list[Binding]:
        """The bindings of a place in the order of its interface; those that are wrong are noted and left out."""
        by_name = self._by_name(given, wanted, at)
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
            elif not variable.optional:
                self._not_bound(variable.type, wanted.whats[name], at)
        for name, binding in by_name.items():
            self._report.add(
                diagnostics.VARIABLE_NAME_NOT_FOUND,
                f"{wanted.owner} has no {wanted.kind} `{cut(name, 100)}`",
                at=at,
                expected=bindings.some_of(wanted.variables),
                given=name,
                hint=self._report.did_you_mean(name, wanted.variables),
            )
            self._binder.bind(binding.value, None, f"`{cut(name, 100)}`")
        return made

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

    # Order

    def _check_order(self, order: graph.Order, upstreams: list[list[int]], dangling: list[int]) -> None:
        for cycle in order.cycles:
            names = [self._nodes[number].id for number in cycle]
            message = (
                f"nodes {listed(names)} wait for each other"
                if len(names) > 1
                else f"node {listed(names)} waits for itself"
            )
            way = " -> ".join(
                cut(name, 100) for name in [*names[:10], *(["..."] if len(names) > 10 else []), names[0]]
            )
            hint = "take one of these edges out"
            self._report.add(
                diagnostics.CYCLE_DETECTED, message, at=cycle[0], given=way, label=way, hint=hint
            )
        roots = {*order.members, *dangling}
        if not roots:
            return
        stuck = sorted(graph.behind(roots, upstreams) - roots)
        if stuck:
            waited = sorted(
                {upstream for number in stuck for upstream in upstreams[number] if upstream in roots}
            )
            names = [self._nodes[number].id for number in stuck]
            self._report.add(
                diagnostics.UNREACHABLE_NODES,
                f"{'nodes' if len(names) > 1 else 'node'} {listed(names)} can never start",
                at=stuck[0],
                given=bindings.some_of(names),
                label=f"what comes before can never end: {listed([self._nodes[number].id for number in waited])}",
                hint="mend what is wrong there first",
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
            workflow=workflow, tasks=[call.checked.template for call in self._calls.all()]
        )
