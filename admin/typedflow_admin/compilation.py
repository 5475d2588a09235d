"""A whole registration compiled: what is sent together may refer to each other, in whatever order it came.

Tasks first, then launch plans, which need no more of a workflow than its interface, then workflows, those that are put
into others before these. Every mistake in anything that was sent is found at once. Touches no database: what is
registered already comes as `Known`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typedflow import compiler, errors, hashing, identifiers, interface
from typedflow.compiler import diagnostics, graph
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    EntityKind,
    Identifier,
)
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan, LaunchPlanTemplate
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow, WorkflowTemplate
from typedflow_admin import registration
from typedflow_admin.registration import Key

Compiled = TaskTemplate | CompiledWorkflow | CompiledLaunchPlan

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Known:
    """What is registered already and referred to; `names` has those of a kind where a reference leads nowhere."""

    tasks: dict[Key, TaskTemplate] = field(default_factory=dict)
    workflows: dict[Key, CompiledWorkflow] = field(default_factory=dict)
    launch_plans: dict[Key, CompiledLaunchPlan] = field(default_factory=dict)
    names: Mapping[EntityKind.ValueType, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checked:
    """One entity that may be stored."""

    template: registration.Template
    compiled: Compiled
    digest: str
    content: str

    @property
    def id(self) -> Identifier:
        """Its identifier."""
        return self.template.id

    @property
    def interface(self) -> Interface:
        """What it takes and gives."""
        return interface_of(self.compiled)

    @property
    def signature(self) -> str:
        """Its interface, printed."""
        return interface.text(self.interface)


def interface_of(compiled: Compiled) -> Interface:
    """What an entity takes and gives."""
    return compiled.workflow.interface if isinstance(compiled, CompiledWorkflow) else compiled.interface


def compile_all(sent: registration.Sent, known: Known) -> list[Checked]:
    """Every entity as it will be stored, sorted by kind and name.

    Raises:
        CompileError: with every mistake in anything that was sent.
        UsageError: with sub-workflows put into their places there are more nodes than a registration may have.
    """
    return _Compilation(sent, known).all()


class _Compilation:
    """One registration, and what has been compiled of it; the compiler's resolver."""

    def __init__(self, sent: registration.Sent, known: Known) -> None:
        self._sent = sent
        self._names = {
            kind: sorted({*known.names.get(kind, ()), *(template.id.name for template in templates)})
            for kind, templates in registration.by_kind(sent)
        }
        self._tasks = known.tasks | {identifiers.key(task.id): task for task in sent.tasks}
        # Until a workflow is compiled, and if it can't be, its interface stands for it.
        self._workflows = known.workflows | {
            identifiers.key(each.id): CompiledWorkflow(
                workflow=WorkflowTemplate(id=each.id, interface=each.interface)
            )
            for each in sent.workflows
        }
        self._plans = dict(known.launch_plans)
        self._nodes = 0

    def all(self) -> list[Checked]:
        """See `compile_all`."""
        tasks = {identifiers.key(each.id): compiler.compile_task(each) for each in self._sent.tasks}
        plans = {identifiers.key(each.id): self._plan(each) for each in self._sent.launch_plans}
        workflows, cycles = self._compile_workflows()
        found: list[Diagnostic] = []
        checked: list[Checked] = []

        def keep(
            template: registration.Template,
            result: compiler.Result[TaskTemplate]
            | compiler.Result[CompiledWorkflow]
            | compiler.Result[CompiledLaunchPlan],
        ) -> None:
            found.extend(result.diagnostics)
            if result.value is not None:
                checked.append(
                    Checked(template, result.value, hashing.of_entity(template), hashing.of_content(template))
                )

        for task in self._sent.tasks:
            keep(task, tasks[identifiers.key(task.id)])
        for number, workflow in enumerate(self._sent.workflows):
            found.extend(cycles.get(number, ()))
            keep(workflow, workflows[number])
        wrong = {
            identifiers.key(each.id)
            for each, result in zip(self._sent.workflows, workflows, strict=True)
            if result.value is None
        }
        for plan in self._sent.launch_plans:
            # Of a workflow that is itself wrong nothing more is said.
            if identifiers.key(_workflow_of(plan)) not in wrong:
                keep(plan, plans[identifiers.key(plan.id)])
        if found:
            # What is wrong with a task is said by every workflow that calls it, too.
            raise errors.CompileError(compiler.unique(found))
        return sorted(checked, key=lambda entity: (entity.id.kind, entity.id.name))

    # Launch plans

    def _plan(self, plan: LaunchPlanTemplate) -> compiler.Result[CompiledLaunchPlan]:
        workflow = self._workflows.get(identifiers.key(_workflow_of(plan)))
        result = compiler.compile_launch_plan(plan, workflow)
        if result.value is not None:
            self._plans[identifiers.key(plan.id)] = result.value
        elif workflow is not None:
            # Who launches it is checked against what it was meant to be.
            fixed = {each.name for each in plan.fixed_inputs.values}
            whole = workflow.workflow.interface
            meant = Interface(
                inputs=[each for each in whole.inputs if each.name not in fixed], outputs=whole.outputs
            )
            self._plans[identifiers.key(plan.id)] = CompiledLaunchPlan(launch_plan=plan, interface=meant)
        return result

    # Workflows

    def _compile_workflows(
        self,
    ) -> tuple[list[compiler.Result[CompiledWorkflow]], Mapping[int, Sequence[Diagnostic]]]:
        """In the order in which they were sent; and those that are part of themselves, by the first of them."""
        workflows = self._sent.workflows
        numbers = {identifiers.key(each.id): number for number, each in enumerate(workflows)}
        upstreams = [
            [numbers[key] for key in map(identifiers.key, registration.referred(each)) if key in numbers]
            for each in workflows
        ]
        order = graph.order(upstreams)
        can_be_whole = set(order.nodes)
        results: dict[int, compiler.Result[CompiledWorkflow]] = {}
        for number in (*order.nodes, *(n for n in range(len(workflows)) if n not in can_be_whole)):
            results[number] = result = compiler.compile_workflow(workflows[number], self)
            if result.value is not None and number in can_be_whole:
                self._count(result.value)
                self._workflows[identifiers.key(workflows[number].id)] = result.value
        cycles = {cycle[0]: [_cycle([workflows[number] for number in cycle])] for cycle in order.cycles}
        return [results[number] for number in range(len(workflows))], cycles

    def _count(self, workflow: CompiledWorkflow) -> None:
        self._nodes += len(workflow.workflow.nodes)
        if self._nodes > registration.MAX_NODES:
            raise errors.UsageError(
                f"with sub-workflows put into their places there are more than {registration.MAX_NODES:,} nodes",
                where=workflow.workflow.id.name,
                hint="register in several calls, or call a launch plan in place of a sub-workflow",
                code="GraphTooLarge",
            )

    # What the compiler asks

    def task(self, id_: Identifier, /) -> TaskTemplate | None:
        """See `compiler.Resolver`."""
        return self._tasks.get(identifiers.key(id_))

    def task_names(self) -> Sequence[str]:
        """See `compiler.Resolver`."""
        return self._names[ENTITY_KIND_TASK]

    def workflow(self, id_: Identifier, /) -> CompiledWorkflow | None:
        """See `compiler.Resolver`."""
        return self._workflows.get(identifiers.key(id_))

    def workflow_names(self) -> Sequence[str]:
        """See `compiler.Resolver`."""
        return self._names[ENTITY_KIND_WORKFLOW]

    def launch_plan(self, id_: Identifier, /) -> CompiledLaunchPlan | None:
        """See `compiler.Resolver`."""
        return self._plans.get(identifiers.key(id_))

    def launch_plan_names(self) -> Sequence[str]:
        """See `compiler.Resolver`."""
        return self._names[ENTITY_KIND_LAUNCH_PLAN]


def _workflow_of(plan: LaunchPlanTemplate) -> Identifier:
    return registration.completed(plan.workflow, plan.id, ENTITY_KIND_WORKFLOW)


def _cycle(workflows: Sequence[WorkflowTemplate]) -> Diagnostic:
    """That each of these has the one before as a part, and the first the last."""
    first, last = workflows[0], workflows[-1]
    names = [each.id.name for each in reversed(workflows)]
    many = len(names) > _SHOWN
    shown = ", ".join([*(f"`{name}`" for name in names[:_SHOWN]), *(["..."] if many else [])])
    way = " -> ".join([first.id.name, *names[:_SHOWN], *(["...", first.id.name] if many else [])])
    node = next(
        each
        for each in first.nodes
        if each.HasField("workflow")
        and identifiers.key(registration.completed(each.workflow.workflow, first.id, ENTITY_KIND_WORKFLOW))
        == identifiers.key(last.id)
    )
    return diagnostics.make(
        diagnostics.CYCLE_DETECTED,
        f"workflow {shown} is a part of itself"
        if len(names) == 1
        else f"workflows {shown} are parts of each other",
        workflow=first.id.name,
        node=node.id,
        position=node.position if node.HasField("position") else None,
        given=way,
        label=way,
        hint="launch one of them in place of calling it: a launch plan's execution is its own",
    )
