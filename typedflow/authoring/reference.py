"""References to what is registered elsewhere: a stub function says what it takes and gives.

The stub is the author's word on it, which wiring is checked against here; a server checks against the real one. None of
them is registered with the file that they stand in.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, NoReturn, ParamSpec, Protocol, Self, TypeVar

from typedflow import errors, identifiers
from typedflow.authoring import definitions, signature, source, trace
from typedflow.authoring.called import Called
from typedflow.authoring.task import Task
from typedflow.compiler import diagnostics
from typedflow.pb import identifiers_pb2, launch_plans_pb2, tasks_pb2, workflows_pb2

P = ParamSpec("P")
R = TypeVar("R")


class Elsewhere(Called[P, R]):
    """What is registered elsewhere, under this identifier; the stub's signature is what is known of it here."""

    def __init__(
        self, stub: FunctionType, identifier: identifiers_pb2.Identifier, read: signature.Signature | None
    ) -> None:
        functools.update_wrapper(self, stub)
        Called.__init__(self, stub.__name__)  # not a Task's, whose terms are none of the stub's
        self._stub = stub
        self._identifier = identifier
        self._signature = read

    @property
    def name(self) -> str:
        """The full name under which it is registered."""
        return self._identifier.name

    def reference(self) -> identifiers_pb2.Identifier:
        return self._identifier

    def is_same(self, other: Called[..., Any]) -> bool:
        """Two stubs that say the same of one thing are one."""
        return isinstance(other, Elsewhere) and self.signature.interface == other.signature.interface


class ReferenceTask(Elsewhere[P, R], Task[P, R]):
    """A task that is registered elsewhere; `reference_task` makes it."""

    def __init__(
        self, stub: FunctionType, identifier: identifiers_pb2.Identifier, read: signature.Signature | None
    ) -> None:
        super().__init__(stub, identifier, read)
        self.options: tasks_pb2.TaskOptions = tasks_pb2.TaskOptions()

    @property
    def function(self) -> FunctionType:
        """There is none here."""
        _not_here(self, hint="mock it: `with typedflow.testing.mock_task(TASK, returns=...):`")

    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:
        """What is known of it here; for the compiler in this process, not for a registration."""
        return tasks_pb2.TaskTemplate(
            id=self._identifier,
            interface=self.signature.interface,
            python=tasks_pb2.PythonTarget(
                module=source.module_of(self._stub), qualname=self._stub.__qualname__, bundle=bundle
            ),
            code=code,
        )


class ReferenceWorkflow(Elsewhere[P, R]):
    """A workflow that is registered elsewhere; a call puts its nodes there when the caller is registered."""

    kind = "workflow"

    def with_overrides(self, *, name: str | None = None) -> Self:
        """The same, for one call; `name` becomes the node's name."""
        return self.on_terms(self.named(name))

    def resolved(self) -> workflows_pb2.CompiledWorkflow:
        template = workflows_pb2.WorkflowTemplate(id=self._identifier, interface=self.signature.interface)
        return workflows_pb2.CompiledWorkflow(workflow=template)

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return wire(self, tracing, args, kwargs)

    def call_here(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002
        _not_here(self, hint="launch it where it is registered")


class ReferenceLaunchPlan(Elsewhere[P, R]):
    """A launch plan that is registered elsewhere; a call launches an execution of its own."""

    kind = "launch plan"

    def with_overrides(self, *, name: str | None = None) -> Self:
        """The same, for one call; `name` becomes the node's name."""
        return self.on_terms(self.named(name))

    def resolved(self) -> launch_plans_pb2.CompiledLaunchPlan:
        template = launch_plans_pb2.LaunchPlanTemplate(id=self._identifier)
        return launch_plans_pb2.CompiledLaunchPlan(launch_plan=template, interface=self.signature.interface)

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        node, place = tracing.begin(self.terms, self.short_name, self.what)
        node.launch_plan.launch_plan.CopyFrom(self._identifier)
        tracing.give(node, self.signature, args, kwargs, place)
        tracing.nodes.append(node)
        tracing.use(self, place)
        return tracing.promises(self.signature, node.id, self.what)

    def call_here(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002
        _not_here(self, hint="launch it where it is registered")


def wire(
    called: Called[..., Any], tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """A node that a workflow's own nodes take the place of when it is compiled."""
    node, place = tracing.begin(called.terms, called.short_name, called.what)
    node.workflow.workflow.CopyFrom(called.reference())
    tracing.give(node, called.signature, args, kwargs, place)
    tracing.nodes.append(node)
    tracing.use(called, place)
    return tracing.promises(called.signature, node.id, called.what)


def reference_task(
    *, name: str, version: str, project: str = "", domain: str = ""
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Makes a task that is registered elsewhere one that can be called here.

    Args:
        name: the full name under which it is registered, as in `features.scale`.
        version: of the task.
        project: where it is; empty is where the caller is registered.
        domain: likewise.

    Raises:
        DefinitionError: a name that is not legal, a parameter without a type.

    Example:
        >>> from typedflow import workflow
        >>> @reference_task(name="features.scale", version="v3")
        ... def scale(x: float, by: float) -> float:
        ...     ...
        >>> @workflow
        ... def scaled(x: float) -> float:
        ...     return scale(x=x, by=2.0)
        >>> scaled.compiled.workflow.nodes[0].task.task.version
        'v3'
    """
    return _reference(
        ReferenceTask,
        "reference_task",
        identifiers.task(name, project=project, domain=domain, version=version),
    )


def reference_workflow(
    *, name: str, version: str, project: str = "", domain: str = ""
) -> Callable[[Callable[P, R]], ReferenceWorkflow[P, R]]:
    """Makes a workflow that is registered elsewhere one that can be called here.

    Arguments are those of `reference_task`.

    Example:
        >>> @reference_workflow(name="features.prepare", version="v3")
        ... def prepare(day: str) -> list[float]:
        ...     ...
        >>> prepare.name
        'features.prepare'
    """
    identifier = identifiers.workflow(name, project=project, domain=domain, version=version)
    return _reference(ReferenceWorkflow, "reference_workflow", identifier)


def reference_launch_plan(
    *, name: str, version: str, project: str = "", domain: str = ""
) -> Callable[[Callable[P, R]], ReferenceLaunchPlan[P, R]]:
    """Makes a launch plan that is registered elsewhere one that can be called here.

    Arguments are those of `reference_task`.

    Example:
        >>> @reference_launch_plan(name="features.nightly", version="v3")
        ... def nightly(day: str = "today") -> list[float]:
        ...     ...
        >>> nightly.name
        'features.nightly'
    """
    identifier = identifiers.launch_plan(name, project=project, domain=domain, version=version)
    return _reference(ReferenceLaunchPlan, "reference_launch_plan", identifier)


class _Make(Protocol):
    kind: str

    def __call__(
        self, stub: FunctionType, identifier: identifiers_pb2.Identifier, read: signature.Signature | None, /
    ) -> Any: ...


def _reference(make: _Make, decorator: str, identifier: identifiers_pb2.Identifier) -> Callable[..., Any]:
    wrong = {
        "name": identifiers.check_name(identifier.name),
        "version": identifiers.check_version(identifier.version),
        "project": identifiers.check_label(identifier.project) if identifier.project else "",
        "domain": identifiers.check_label(identifier.domain) if identifier.domain else "",
    }
    for part, problem in wrong.items():
        if problem:
            raise errors.DefinitionError(
                f"@{decorator}({part}={getattr(identifier, part)!r}): {problem}",
                where=definitions.place(source.caller()),
                code=diagnostics.INVALID_NAME,
            )
    scope = sys._getframe(2).f_locals

    def made(stub: Callable[..., Any]) -> Any:
        if not isinstance(stub, FunctionType):
            raise errors.DefinitionError(
                f"@{decorator} is given {stub!r:.80}, which is not a function",
                where=definitions.place(source.caller()),
                hint="put it above a `def` whose signature is what the other takes and gives",
            )
        read = None
        try:
            read = signature.read(stub, stub.__name__, make.kind, scope)
        except signature.Broken as broken:
            definitions.report(broken.diagnostics)
        return make(stub, identifier, read)

    return made


def _not_here(called: Called[..., Any], hint: str) -> NoReturn:
    raise errors.UsageError(
        f"{called.what} is registered elsewhere, as `{identifiers.text(called.reference())}`, so it can't run here",
        code="NotHere",
        hint=hint,
    )
