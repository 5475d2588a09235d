"""One registration, from what was sent to the rows that say it: completed, compiled, compared. Touches no database.

The order is: `receive` gathers the stream within its limits, `complete` gives every template its whole identifier,
`compile_all` checks everything and finds every mistake at once. The registry stores what comes out.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from blake3 import blake3

from typedflow import compiler, errors, hashing, identifiers, interface
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
from typedflow.pb.registry_pb2 import RegisterHeader, RegisterRequest
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow, WorkflowTemplate

Template = TaskTemplate | WorkflowTemplate | LaunchPlanTemplate
Compiled = TaskTemplate | CompiledWorkflow | CompiledLaunchPlan
Key = tuple[int, str, str, str, str]
T = TypeVar("T", TaskTemplate, WorkflowTemplate, LaunchPlanTemplate)

MAX_BYTES = 64 * 1024 * 1024
MAX_NODES = 100_000


@dataclass(slots=True)
class Sent:
    """What a client sent, with whole identifiers once it is completed."""

    header: RegisterHeader = field(default_factory=RegisterHeader)
    tasks: list[TaskTemplate] = field(default_factory=list)
    workflows: list[WorkflowTemplate] = field(default_factory=list)
    launch_plans: list[LaunchPlanTemplate] = field(default_factory=list)

    def templates(self) -> Iterator[Template]:
        """All of them."""
        yield from self.tasks
        yield from self.workflows
        yield from self.launch_plans


@dataclass(frozen=True, slots=True)
class Known:
    """What is registered already and referred to."""

    tasks: dict[Key, TaskTemplate]
    workflows: dict[Key, CompiledWorkflow]
    task_names: Sequence[str]


@dataclass(frozen=True, slots=True)
class Checked:
    """One entity that may be stored."""

    template: Template
    compiled: Compiled
    digest: str
    content: str

    @property
    def id(self) -> Identifier:
        """Its identifier."""
        return self.template.id

    @property
    def signature(self) -> str:
        """Its interface, printed."""
        return interface.text(self._interface())

    def _interface(self) -> Interface:
        if isinstance(self.compiled, CompiledWorkflow):
            return self.compiled.workflow.interface
        return self.compiled.interface


async def receive(requests: AsyncIterable[RegisterRequest]) -> Sent:
    """Everything in the stream.

    Raises:
        UsageError: no header, nothing registered, or more than is allowed.
    """
    sent, size, nodes, first = Sent(), 0, 0, True
    async for request in requests:
        if first != request.HasField("header"):
            problem = "the first message has no header" if first else "a message after the first has a header"
            raise errors.UsageError(problem, where="header", code="InvalidRequest")
        if first:
            sent.header.CopyFrom(request.header)
            first = False
        size += request.ByteSize()
        nodes += sum(len(workflow.nodes) for workflow in request.workflows)
        if size > MAX_BYTES or nodes > MAX_NODES:
            raise errors.UsageError(
                f"a registration has at most {MAX_NODES:,} nodes and {MAX_BYTES >> 20} MiB of templates",
                hint="register in several calls",
                code="GraphTooLarge",
            )
        sent.tasks.extend(request.tasks)
        sent.workflows.extend(request.workflows)
        sent.launch_plans.extend(request.launch_plans)
    if not (sent.tasks or sent.workflows or sent.launch_plans):
        raise errors.UsageError("there is nothing to register", code="InvalidRequest")
    return sent


def complete(sent: Sent) -> str:
    """Fills every identifier, adds the default launch plans, drops repetitions; says which version was given.

    Raises:
        UsageError: a part of an identifier is missing or malformed, or two templates of one identifier differ.
    """
    _check_header(sent.header)
    for kind, templates in _by_kind(sent):
        for template in templates:
            id_ = template.id
            if id_.kind not in (0, kind):
                raise errors.UsageError(
                    "a template whose identifier is of another kind", where=id_.name, code="InvalidName"
                )
            id_.kind = kind
            id_.project = id_.project or sent.header.project
            id_.domain = id_.domain or sent.header.domain
    version = sent.header.version or _hashed_version(sent)
    for template in sent.templates():
        template.id.version = template.id.version or version
        _check_identifier(template.id)
    sent.tasks[:] = _without_repetitions(sent.tasks)
    sent.workflows[:] = _without_repetitions(sent.workflows)
    sent.launch_plans[:] = _without_repetitions(sent.launch_plans)
    sent.launch_plans.extend(_default_launch_plans(sent))
    return version


def references(sent: Sent) -> list[Identifier]:
    """The tasks and workflows that are referred to but not sent, completed, each once."""
    there = {identifiers.key(template.id) for template in sent.templates()}
    wanted: dict[Key, Identifier] = {}
    for workflow in sent.workflows:
        for node in workflow.nodes:
            id_ = completed(node.task.task, workflow.id, ENTITY_KIND_TASK)
            wanted.setdefault(identifiers.key(id_), id_)
    for plan in sent.launch_plans:
        id_ = completed(plan.workflow, plan.id, ENTITY_KIND_WORKFLOW)
        wanted.setdefault(identifiers.key(id_), id_)
    return [id_ for key, id_ in wanted.items() if key not in there]


def completed(reference: Identifier, referrer: Identifier, kind: EntityKind.ValueType) -> Identifier:
    """A reference with the parts that it leaves out, which are those of the template that refers."""
    return Identifier(
        kind=kind,
        project=reference.project or referrer.project,
        domain=reference.domain or referrer.domain,
        name=reference.name,
        version=reference.version or referrer.version,
    )


def compile_all(sent: Sent, known: Known) -> list[Checked]:
    """Every entity as it will be stored, sorted by kind and name.

    Raises:
        CompileError: with every mistake in anything that was sent.
    """
    diagnostics: list[Diagnostic] = []
    checked: list[Checked] = []

    def keep(
        template: Template,
        result: compiler.Result[TaskTemplate]
        | compiler.Result[CompiledWorkflow]
        | compiler.Result[CompiledLaunchPlan],
    ) -> bool:
        diagnostics.extend(result.diagnostics)
        if result.value is not None:
            checked.append(
                Checked(template, result.value, hashing.of_entity(template), hashing.of_content(template))
            )
        return result.value is not None

    for task in sent.tasks:
        keep(task, compiler.compile_task(task))
    resolver = _Resolver(sent, known)
    workflows: dict[Key, CompiledWorkflow | None] = dict(known.workflows)
    for workflow in sent.workflows:
        result = compiler.compile_workflow(workflow, resolver)
        keep(workflow, result)
        workflows[identifiers.key(workflow.id)] = result.value
    for plan in sent.launch_plans:
        key = identifiers.key(completed(plan.workflow, plan.id, ENTITY_KIND_WORKFLOW))
        target = workflows.get(key)
        # Of a workflow that is itself wrong nothing more is said.
        if target is not None or key not in workflows:
            keep(plan, compiler.compile_launch_plan(plan, target))
    if diagnostics:
        # What is wrong with a task is said by every workflow that calls it, too.
        raise errors.CompileError(compiler.unique(diagnostics))
    return sorted(checked, key=lambda entity: (entity.id.kind, entity.id.name))


class _Resolver:
    """Finds tasks among what was sent, then among what is registered."""

    def __init__(self, sent: Sent, known: Known) -> None:
        self._tasks = known.tasks | {identifiers.key(task.id): task for task in sent.tasks}
        self._names = sorted({*known.task_names, *(task.id.name for task in sent.tasks)})

    def task(self, id_: Identifier) -> TaskTemplate | None:
        return self._tasks.get(identifiers.key(id_))

    def task_names(self) -> Sequence[str]:
        return self._names


def _by_kind(sent: Sent) -> tuple[tuple[EntityKind.ValueType, Sequence[Template]], ...]:
    return (
        (ENTITY_KIND_TASK, sent.tasks),
        (ENTITY_KIND_WORKFLOW, sent.workflows),
        (ENTITY_KIND_LAUNCH_PLAN, sent.launch_plans),
    )


def _check_header(header: RegisterHeader) -> None:
    checks: tuple[tuple[str, str, Callable[[str], str]], ...] = (
        ("project", header.project, identifiers.check_label),
        ("domain", header.domain, identifiers.check_label),
        ("version", header.version, identifiers.check_version),
    )
    for name, value, check in checks:
        if value and (problem := check(value)):
            raise errors.UsageError(problem, where=f"header.{name}", code="InvalidName")


def _check_identifier(id_: Identifier) -> None:
    for name, problem in (
        ("project", identifiers.check_label(id_.project)),
        ("domain", identifiers.check_label(id_.domain)),
        ("name", identifiers.check_name(id_.name)),
        ("version", identifiers.check_version(id_.version)),
    ):
        if problem:
            raise errors.UsageError(f"{name}: {problem}", where=id_.name, code="InvalidName")


def _hashed_version(sent: Sent) -> str:
    """A version that is the same for the same templates, in whatever order they came."""
    contents = sorted(hashing.of_content(template) for template in sent.templates())
    return blake3("\n".join(contents).encode()).hexdigest(8)


def _without_repetitions(templates: Iterable[T]) -> list[T]:
    found: dict[Key, T] = {}
    for template in templates:
        first = found.setdefault(identifiers.key(template.id), template)
        if first != template:
            raise errors.UsageError(
                f"`{identifiers.text(template.id)}` is sent twice, with different content",
                code="InvalidRequest",
            )
    return list(found.values())


def _default_launch_plans(sent: Sent) -> list[LaunchPlanTemplate]:
    """A launch plan of its own name for each workflow that has none."""
    there = {identifiers.key(plan.id) for plan in sent.launch_plans}
    plans = []
    for workflow in sent.workflows:
        id_ = completed(workflow.id, workflow.id, ENTITY_KIND_LAUNCH_PLAN)
        if identifiers.key(id_) not in there:
            plans.append(
                LaunchPlanTemplate(
                    id=id_, workflow=workflow.id, position=workflow.position, description=workflow.description
                )
            )
    return plans
