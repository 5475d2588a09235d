"""What workflows have in common, written as functions or built by programs: a template, and what is compiled of it."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, ParamSpec, TypeVar

from typedflow import compiler, errors, identifiers
from typedflow.authoring import definitions, resolver, runner, source
from typedflow.authoring.called import Called
from typedflow.authoring.task import Task
from typedflow.authoring.trace import Key
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, workflows_pb2

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Traced:
    """What tracing a workflow gave.

    Attributes:
        template: with references that leave project, domain and version open.
        called: the tasks, workflows and launch plans that its nodes call, by the key of their identifiers.
        mistakes: what the trace found wrong; the compiler finds the rest.
        ended: the body came to its end; where it did not, nodes are missing.
        raised: what the author's code raised in the body.
        body: the code that was run, if it is a function's.
        outputs_at: where each output was added, if it was by itself.
        asked: by the names of gates, the annotations of what they are given.
    """

    template: workflows_pb2.WorkflowTemplate
    called: Mapping[Key, Called[..., Any]]
    mistakes: list[diagnostics_pb2.Diagnostic]
    ended: bool = True
    raised: BaseException | None = None
    body: CodeType | None = None
    outputs_at: Mapping[str, identifiers_pb2.SourcePosition] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)

    def tasks(self) -> dict[Key, Task[..., Any]]:
        """The tasks that its nodes call, and those of the workflows whose nodes take the place of one."""
        found: dict[Key, Task[..., Any]] = {}
        for key, each in self.called.items():
            if isinstance(each, Task):
                found[key] = each
            elif isinstance(each, Wiring):
                found.update(each.traced.tasks())
        return found

    def launch_plans(self) -> dict[Key, Called[..., Any]]:
        """The launch plans that its nodes launch, likewise."""
        found: dict[Key, Called[..., Any]] = {}
        for key, each in self.called.items():
            if isinstance(each, Wiring):
                found.update(each.traced.launch_plans())
            elif each.reference().kind == identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN:
                found[key] = each
        return found

    def questions(self) -> dict[str, Any]:
        """By the names of gates, the annotations of what they are given, likewise."""
        found = dict(self.asked)
        for node in self.template.nodes:
            if node.HasField("workflow"):
                called = self.called.get(identifiers.key(node.workflow.workflow))
                if isinstance(called, Wiring):
                    inside = called.traced.questions()
                    found.update((f"{node.id}.{name}", annotation) for name, annotation in inside.items())
        return found


class Wiring(Called[P, R]):
    """A workflow whose nodes are known here."""

    kind = "workflow"

    @property
    @abstractmethod
    def module(self) -> str:
        """Dotted, under the import root."""

    @property
    @abstractmethod
    def traced(self) -> Traced:
        """Its template, and what its nodes call."""

    def reference(self) -> identifiers_pb2.Identifier:
        """Project, domain and version are those of whoever refers to it."""
        return identifiers.workflow(self.name)

    @property
    def compiled(self) -> workflows_pb2.CompiledWorkflow:
        """What the compiler makes of it. Raises CompileError with every diagnostic."""
        return compiled(self.traced)

    def tasks(self) -> dict[Key, Task[..., Any]]:
        """The tasks that its nodes call, and those of the workflows whose nodes take the place of one."""
        return self.traced.tasks()

    def call_here(self, args: Any, kwargs: Any) -> Any:
        return runner.current().call_workflow(self, args, kwargs)


def compiled(traced: Traced) -> workflows_pb2.CompiledWorkflow:
    """What the compiler makes of a trace. Raises CompileError with every diagnostic."""
    result = compiler.compile_workflow(traced.template, resolver.LocalResolver(traced.called))
    # What the trace could not write down it has told; the compiler sees only that there is nothing.
    told = {each.code for each in traced.mistakes}
    if told & _UNFINISHED or not traced.ended:
        told |= _OF_BRANCHES
    all_of_them = (*traced.mistakes, *(each for each in result.diagnostics if not _is_echo(each, told)))
    placed = [_where_returned(each, traced) for each in all_of_them]
    found = definitions.in_order(definitions.once(placed))
    if found or result.value is None:
        raise errors.CompileError(found) from traced.raised
    return result.value


def _where_returned(diagnostic: diagnostics_pb2.Diagnostic, traced: Traced) -> diagnostics_pb2.Diagnostic:
    """What is wrong with an output, on the line that returns it; a template knows the workflow's line alone."""
    found = None if diagnostic.node else _OF_OUTPUT.match(diagnostic.message)
    if found is None or diagnostic.position != traced.template.position:
        return diagnostic
    position = traced.outputs_at.get(found["name"] or "o0")
    if position is None and traced.body is not None:
        position = source.returned(traced.body)
    moved = diagnostics_pb2.Diagnostic()
    moved.CopyFrom(diagnostic)
    moved.position.CopyFrom(position or diagnostic.position)
    return moved


def _is_echo(diagnostic: diagnostics_pb2.Diagnostic, told: set[str]) -> bool:
    """Whether the compiler says again what the trace has told, on a better line."""
    if not told:
        return False
    match diagnostic.code:
        case diagnostics.PARAMETER_NOT_BOUND:
            return diagnostic.message.endswith("is bound to nothing")
        case diagnostics.NO_NODES_FOUND:
            return True
        case diagnostics.FIELD_NOT_FOUND as code:
            return code in told
        case code:
            return code in told and code in _OF_BRANCHES


_OF_OUTPUT = re.compile(r"(the result|output `(?P<name>\w+)`) of workflow `")
_UNFINISHED = {diagnostics.BRANCH_HAS_NO_CONDITION, diagnostics.BRANCH_HAS_NO_DEFAULT}
_OF_BRANCHES = {
    *_UNFINISHED,
    diagnostics.MISMATCHING_BRANCH_OUTPUTS,
    diagnostics.NODE_OUT_OF_SCOPE,
}
