"""The tasks that a workflow's nodes call: each is resolved and checked once, however many nodes call it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from typedflow import identifiers, literal_types
from typedflow.compiler import interfaces, references, task
from typedflow.compiler.report import OUTPUTS, cut, short
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_TASK
from typedflow.pb.workflows_pb2 import Binding, BindingValue

if TYPE_CHECKING:
    from typedflow.compiler.report import Report
    from typedflow.pb.identifiers_pb2 import Identifier
    from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
    from typedflow.pb.tasks_pb2 import TaskTemplate
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import CompiledWorkflow, Node


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
    """Variables that are to be bound: a task's inputs, or a workflow's outputs (`kind`).

    `whats` says what each is called in messages; `defaults` are the bindings of those that need not be given.
    """

    variables: Mapping[str, interfaces.Input]
    kind: str
    owner: str
    whats: Mapping[str, str]
    defaults: Mapping[str, Binding]

    @classmethod
    def of(cls, variables: Mapping[str, interfaces.Input], kind: str, owner: str) -> Wanted:
        whats = {name: f"{kind} `{name}` of {owner}" for name in variables}
        defaults = {
            name: Binding(variable=name, value=BindingValue(literal=each.default))
            for name, each in variables.items()
            if each.default is not None
        }
        return cls(variables, kind, owner, whats, defaults)


@dataclass(frozen=True, slots=True)
class Call:
    """A task as the nodes that call it see it; `reference` is complete."""

    reference: Identifier
    checked: task.CheckedTask
    owner: str
    wanted: Wanted

    @property
    def outputs(self) -> Mapping[str, LiteralType | None]:
        return self.checked.interface.outputs


class Calls:
    """Resolves the calls of one workflow."""

    def __init__(
        self, resolver: Resolver, workflow: Identifier, types: interfaces.Types, report: Report
    ) -> None:
        self._resolver = resolver
        self._workflow = workflow
        self._types = types
        self._report = report
        self._known: dict[tuple[int, str, str, str, str], Call | None] = {}

    def call(self, reference: Identifier) -> Call | None:
        """What a reference leads to; None when there is no such task. What is wrong with the task is noted, once."""
        if reference.kind not in (0, ENTITY_KIND_TASK):
            return None
        filled = references.fill(reference, self._workflow, ENTITY_KIND_TASK)
        key = identifiers.key(filled)
        if key not in self._known:
            self._known[key] = call = self._resolve(filled)
            if call is not None:
                self._report.include(call.checked.diagnostics)
        return self._known[key]

    def all(self) -> list[Call]:
        """Every task that is called, once, sorted by name and version."""
        return sorted(
            (call for call in self._known.values() if call is not None),
            key=lambda call: (call.reference.name, call.reference.version, identifiers.key(call.reference)),
        )

    def nearest(self, name: str) -> str:
        """A hint with the task that was likely meant."""
        return self._report.did_you_mean(name, self._resolver.task_names())

    def others(self, most: int) -> list[Call]:
        """Tasks that could be called but are not, as far as they are easy to find."""
        found = []
        for name in self._resolver.task_names()[:most]:
            filled = references.fill(identifiers.task(name), self._workflow, ENTITY_KIND_TASK)
            call = None if identifiers.key(filled) in self._known else self._resolve(filled)
            if call is not None:
                found.append(call)
        return found

    def _resolve(self, reference: Identifier) -> Call | None:
        template = self._resolver.task(reference) if reference.name else None
        if template is None:
            return None
        checked = task.check(template, self._types)
        checked.template.id.CopyFrom(reference)
        owner = f"task `{cut(short(reference.name), 100)}`"
        return Call(reference, checked, owner, Wanted.of(checked.interface.inputs, "input", owner))


_MOST_COMPARISONS: Final = 300
_MOST_OTHERS: Final = 100
_DISTINCTIVE: Final = ("frame", "file", "record")


class Fitting:
    """Hints for a variable that was given something wrong: what else there is that gives values of its type."""

    def __init__(self, nodes: Sequence[Node], called: Sequence[Call | None], calls: Calls) -> None:
        self._nodes = nodes
        self._called = called
        self._calls = calls
        self._comparisons = 0
        self._offers: list[tuple[int, str, LiteralType]] | None = None
        self._known: dict[int, list[tuple[int, str, LiteralType]]] = {}

    def hint(self, target: LiteralType, at: int) -> str:
        """What gives the type, before the node `at`; empty when nothing does.

        An int may come from anywhere, so there is no hint for such a type.
        """
        if not _distinctive(target):
            return ""
        offers = self._known.get(id(target))
        if offers is None:
            offers = self._known[id(target)] = [each for each in self._all() if self._fits(each[2], target)]
        limit = len(self._nodes) if at == OUTPUTS else at
        for node, name, type_ in offers:
            if node < limit:
                return f"`{name}` gives {literal_types.text(type_)}"
        return ""

    def _fits(self, source: LiteralType, target: LiteralType) -> bool:
        self._comparisons += 1
        return self._comparisons <= _MOST_COMPARISONS and literal_types.is_assignable(source, target) is None

    def _all(self) -> list[tuple[int, str, LiteralType]]:
        """What each task gives, with the first node that calls it; then what tasks give that no node calls."""
        if self._offers is None:
            first: dict[int, tuple[int, str, Call]] = {}
            for number, call in enumerate(self._called):
                if call is not None:
                    first.setdefault(id(call), (number, self._nodes[number].id, call))
            offering = list(first.values())
            offering += [(-1, short(call.reference.name), call) for call in self._calls.others(_MOST_OTHERS)]
            self._offers = [
                (number, cut(name if variable == "o0" else f"{name}.{variable}", 200), type_)
                for number, name, call in offering
                for variable, type_ in call.outputs.items()
                if type_ is not None
            ]
        return self._offers


def _distinctive(type_: LiteralType) -> bool:
    match type_.WhichOneof("type"):
        case "list":
            return _distinctive(type_.list.element)
        case "union":
            return any(_distinctive(variant) for variant in type_.union.variants)
        case kind:
            return kind in _DISTINCTIVE
