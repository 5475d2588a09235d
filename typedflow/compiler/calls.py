"""What a workflow's nodes call: each entity is resolved and checked once, however many nodes call it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from typedflow import identifiers
from typedflow.compiler import diagnostics, interfaces, references, task
from typedflow.compiler.report import Report, cut, short
from typedflow.pb.identifiers_pb2 import (
    ENTITY_KIND_LAUNCH_PLAN,
    ENTITY_KIND_TASK,
    ENTITY_KIND_WORKFLOW,
    Identifier,
)
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import Binding, BindingValue, CompiledWorkflow

if TYPE_CHECKING:
    from typedflow.pb.identifiers_pb2 import EntityKind
    from typedflow.pb.types_pb2 import LiteralType

Entity: TypeAlias = TaskTemplate | CompiledWorkflow | CompiledLaunchPlan
Key: TypeAlias = tuple[int, str, str, str, str]


class Resolver(Protocol):
    """Where the compiler finds what a template refers to."""

    def task(self, id: Identifier, /) -> TaskTemplate | None:  # noqa: A002 - the field is called `id` everywhere
        """The task of a reference whose empty parts were filled; None when there is none."""
        ...

    def task_names(self) -> Sequence[str]:
        """The tasks that there are, for hints."""
        ...

    def workflow(self, id: Identifier, /) -> CompiledWorkflow | None:  # noqa: A002 - as above
        """The workflow of a reference whose empty parts were filled; None when there is none.

        One without nodes stands for a workflow of which only the interface is known here.
        """
        ...

    def workflow_names(self) -> Sequence[str]:
        """The workflows that there are, for hints."""
        ...

    def launch_plan(self, id: Identifier, /) -> CompiledLaunchPlan | None:  # noqa: A002 - as above
        """The launch plan of a reference whose empty parts were filled; None when there is none."""
        ...

    def launch_plan_names(self) -> Sequence[str]:
        """The launch plans that there are, for hints."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Variables that are to be bound: what a node calls takes, or a workflow's outputs (`kind`).

    `whats` says what each is called in messages; `defaults` are the bindings of those that need not be given; `fixed`
    are those that may not be given.
    """

    variables: Mapping[str, interfaces.Input]
    kind: str
    owner: str
    whats: Mapping[str, str]
    defaults: Mapping[str, Binding]
    fixed: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        variables: Mapping[str, interfaces.Input],
        kind: str,
        owner: str,
        fixed: frozenset[str] = frozenset(),
    ) -> Wanted:
        whats = {name: f"{kind} `{name}` of {owner}" for name in variables}
        if kind == "output" and list(variables) == ["o0"]:  # the author gave it no name
            whats = {"o0": f"the result of {owner}"}
        defaults = {
            name: Binding(variable=name, value=BindingValue(literal=each.default))
            for name, each in variables.items()
            if each.default is not None
        }
        return cls(variables, kind, owner, whats, defaults, fixed)


@dataclass(frozen=True, slots=True)
class Call:
    """What a node calls, as the node sees it; `reference` is complete, and empty where nothing is referred to."""

    owner: str
    wanted: Wanted
    outputs: Mapping[str, LiteralType | None]
    reference: Identifier = field(default_factory=Identifier)
    entity: Entity | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of entity that nodes call: its name, and the code for one that there is not."""

    kind: EntityKind.ValueType
    word: str
    code: str


TASK: Final = Kind(ENTITY_KIND_TASK, "task", diagnostics.TASK_REFERENCE_NOT_FOUND)
WORKFLOW: Final = Kind(ENTITY_KIND_WORKFLOW, "workflow", diagnostics.WORKFLOW_REFERENCE_NOT_FOUND)
LAUNCH_PLAN: Final = Kind(ENTITY_KIND_LAUNCH_PLAN, "launch plan", diagnostics.LAUNCH_PLAN_REFERENCE_NOT_FOUND)


class Calls:
    """Resolves the calls of one workflow."""

    def __init__(
        self, resolver: Resolver, workflow: Identifier, types: interfaces.Types, report: Report
    ) -> None:
        self._resolver = resolver
        self._workflow = workflow
        self._types = types
        self._report = report
        self._known: dict[Key, Call | None] = {}
        self._names: dict[int, Callable[[], Sequence[str]]] = {
            ENTITY_KIND_TASK: resolver.task_names,
            ENTITY_KIND_WORKFLOW: resolver.workflow_names,
            ENTITY_KIND_LAUNCH_PLAN: resolver.launch_plan_names,
        }

    def call(self, reference: Identifier, kind: Kind) -> Call | None:
        """What a reference leads to; None when there is no such entity. What is wrong with it is noted, once."""
        if reference.kind not in (0, kind.kind):
            return None
        filled = references.fill(reference, self._workflow, kind.kind)
        key = identifiers.key(filled)
        if key not in self._known:
            self._known[key], found = self._resolve(filled)
            self._report.include(found.diagnostics())
        return self._known[key]

    def is_own(self, reference: Identifier) -> bool:
        """Whether a reference is to the workflow that refers itself."""
        filled = references.fill(reference, self._workflow, ENTITY_KIND_WORKFLOW)
        own = references.fill(self._workflow, self._workflow, ENTITY_KIND_WORKFLOW)
        return bool(filled.name) and filled == own

    def missing(self, reference: Identifier, kind: Kind, node: str, at: int) -> None:
        """Notes that a node calls what there is not."""
        shown = identifiers.text(reference)
        if reference.name:
            message = f"node `{cut(node, 100)}` calls {kind.word} `{cut(shown, 200)}`, which there is not"
        else:
            message = f"node `{cut(node, 100)}` calls no {kind.word}"
        near = self._report.did_you_mean(reference.name, self._names[kind.kind]())
        hint = near or f"register the {kind.word} first, or together with the workflow"
        self._report.add(kind.code, message, at=at, given=shown, hint=hint)

    def tasks(self) -> list[TaskTemplate]:
        """Every task that is called, once, sorted by name and version."""
        return [each for each in self._entities() if isinstance(each, TaskTemplate)]

    def launch_plans(self) -> list[CompiledLaunchPlan]:
        """Every launch plan that is launched, likewise."""
        return [each for each in self._entities() if isinstance(each, CompiledLaunchPlan)]

    def others(self, most: int) -> list[Call]:
        """Tasks that could be called but are not, as far as they are easy to find."""
        found = []
        for name in self._resolver.task_names()[:most]:
            filled = references.fill(identifiers.task(name), self._workflow, ENTITY_KIND_TASK)
            call = None if identifiers.key(filled) in self._known else self._resolve(filled)[0]
            if call is not None:
                found.append(call)
        return found

    def _entities(self) -> list[Entity]:
        calls = [call for call in self._known.values() if call is not None]
        calls.sort(
            key=lambda call: (call.reference.name, call.reference.version, identifiers.key(call.reference))
        )
        return [call.entity for call in calls if call.entity is not None]

    def _resolve(self, reference: Identifier) -> tuple[Call | None, Report]:
        """The call, and what is wrong with the entity itself."""
        report = Report(reference.name, None)
        if not reference.name:
            return None, report
        if reference.kind == ENTITY_KIND_WORKFLOW:
            return self._workflow_call(reference, report), report
        if reference.kind == ENTITY_KIND_LAUNCH_PLAN:
            return self._launch_plan_call(reference, report), report
        return self._task_call(reference, report), report

    def _task_call(self, reference: Identifier, report: Report) -> Call | None:
        template = self._resolver.task(reference)
        if template is None:
            return None
        checked = task.check(template, self._types)
        checked.template.id.CopyFrom(reference)
        report.include(checked.diagnostics)
        return self._of(reference, TASK, checked.interface, checked.template)

    def _workflow_call(self, reference: Identifier, report: Report) -> Call | None:
        compiled = self._resolver.workflow(reference)
        if compiled is None:
            return None
        owner = _owner(reference, WORKFLOW)
        interface = interfaces.check(compiled.workflow.interface, owner, self._types, report)
        return self._of(reference, WORKFLOW, interface, compiled)

    def _launch_plan_call(self, reference: Identifier, report: Report) -> Call | None:
        compiled = self._resolver.launch_plan(reference)
        if compiled is None:
            return None
        owner = _owner(reference, LAUNCH_PLAN)
        interface = interfaces.check(compiled.interface, owner, self._types, report)
        made = CompiledLaunchPlan()
        made.CopyFrom(compiled)
        made.interface.CopyFrom(interface.message)
        made.launch_plan.id.CopyFrom(reference)
        fixed = frozenset(each.name for each in compiled.launch_plan.fixed_inputs.values)
        return self._of(reference, LAUNCH_PLAN, interface, made, fixed)

    def _of(
        self,
        reference: Identifier,
        kind: Kind,
        interface: interfaces.Checked,
        entity: Entity,
        fixed: frozenset[str] = frozenset(),
    ) -> Call:
        owner = _owner(reference, kind)
        wanted = Wanted.of(interface.inputs, "input", owner, fixed)
        return Call(owner, wanted, interface.outputs, reference, entity)


def _owner(reference: Identifier, kind: Kind) -> str:
    return f"{kind.word} `{cut(short(reference.name), 100)}`"
