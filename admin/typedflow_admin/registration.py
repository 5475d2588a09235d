"""What a registration sends: gathered within its limits, and every template given its whole identifier.

`receive` and then `complete`; `compilation` checks what comes out. Touches no database.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from blake3 import blake3

from typedflow import errors, hashing, identifiers
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    EntityKind,
    Identifier,
)
from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate
from typedflow.pb.registry_pb2 import RegisterHeader, RegisterRequest
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import Node, WorkflowTemplate

Template = TaskTemplate | WorkflowTemplate | LaunchPlanTemplate
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
    for kind, templates in by_kind(sent):
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
    """What is referred to but not sent, completed, each once."""
    there = {identifiers.key(template.id) for template in sent.templates()}
    wanted = {identifiers.key(id_): id_ for template in sent.templates() for id_ in referred(template)}
    return [id_ for key, id_ in wanted.items() if key not in there]


def referred(template: Template) -> list[Identifier]:
    """What a template refers to, completed, each once."""
    if isinstance(template, LaunchPlanTemplate):
        return [completed(template.workflow, template.id, ENTITY_KIND_WORKFLOW)]
    if isinstance(template, TaskTemplate):
        return []
    as_written: dict[Key, Identifier] = {}  # most nodes refer to what others refer to
    for node in template.nodes:
        if (reference := _reference(node)) is not None:
            kind, id_ = reference
            as_written.setdefault((kind, id_.project, id_.domain, id_.name, id_.version), id_)
    found = [
        completed(id_, template.id, EntityKind.ValueType(kind)) for (kind, *_), id_ in as_written.items()
    ]
    return list({identifiers.key(id_): id_ for id_ in found}.values())


def _reference(node: Node) -> tuple[EntityKind.ValueType, Identifier] | None:
    """What a node runs, where that is registered under a name of its own."""
    match node.WhichOneof("target"):
        case "task":
            return ENTITY_KIND_TASK, node.task.task
        case "map":
            return ENTITY_KIND_TASK, node.map.task
        case "workflow":
            return ENTITY_KIND_WORKFLOW, node.workflow.workflow
        case "launch_plan":
            return ENTITY_KIND_LAUNCH_PLAN, node.launch_plan.launch_plan
        case _:
            return None


def completed(reference: Identifier, referrer: Identifier, kind: EntityKind.ValueType) -> Identifier:
    """A reference with the parts that it leaves out, which are those of the template that refers."""
    return Identifier(
        kind=kind,
        project=reference.project or referrer.project,
        domain=reference.domain or referrer.domain,
        name=reference.name,
        version=reference.version or referrer.version,
    )


def by_kind(sent: Sent) -> tuple[tuple[EntityKind.ValueType, Sequence[Template]], ...]:
    """The templates that were sent, by what they are."""
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
