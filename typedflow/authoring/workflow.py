"""Workflows: functions whose body, run once with promises, says how tasks are wired."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Generic, Literal, ParamSpec, TypeVar, cast, overload

from typedflow import compiler, errors, identifiers, spelling
from typedflow.authoring import context, definitions, runner, signature, source, trace
from typedflow.authoring.promise import Nothing, Promise
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2, tasks_pb2, workflows_pb2

P = ParamSpec("P")
R = TypeVar("R")
FailurePolicy = Literal["fail_fast", "fail_after_running"]

_POLICIES = {
    "fail_fast": workflows_pb2.FAILURE_POLICY_FAIL_FAST,
    "fail_after_running": workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING,
}


class Workflow(Generic[P, R]):
    """A typed function of task calls; `@workflow` makes it.

    A call runs it here, task after task, on the engine that runs it everywhere, and gives real values. In another
    workflow's body a call puts its nodes there.
    """

    def __init__(
        self, function: Callable[P, R], failure_policy: FailurePolicy, scope: Mapping[str, Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = cast(FunctionType, function)
        self.short_name = self.function.__name__
        self.failure_policy = failure_policy
        self._signature: signature.Signature | None = None
        try:
            self._signature = signature.read(self.function, self.short_name, "workflow", scope)
        except signature.Broken as broken:
            definitions.report(broken.diagnostics)

    @property
    def signature(self) -> signature.Signature:
        if self._signature is None:
            raise definitions.AlreadyTold(f"workflow `{self.short_name}` has mistakes in its definition")
        return self._signature

    @property
    def broken(self) -> bool:
        """Its definition has mistakes, which were noted."""
        return self._signature is None

    @functools.cached_property
    def module(self) -> str:
        """Dotted, under the import root."""
        return source.module_of(self.function)

    @functools.cached_property
    def name(self) -> str:
        """`module.function`: the name under which it is registered."""
        return f"{self.module}.{self.function.__qualname__}".replace(".<locals>", "")

    def reference(self) -> identifiers_pb2.Identifier:
        """Project, domain and version are those of whoever refers to it."""
        return identifiers.workflow(self.name)

    @functools.cached_property
    def traced(self) -> Traced:
        """Its template and the tasks that it calls. The body runs once, when this is first asked for."""
        return _trace(self)

    @functools.cached_property
    def compiled(self) -> workflows_pb2.CompiledWorkflow:
        """What the compiler makes of it. Raises CompileError with every diagnostic."""
        result = compiler.compile_workflow(self.traced.template, LocalResolver(self.traced.tasks))
        # What the trace could not write down it has told; the compiler sees only that there is nothing.
        noted = self.traced.mistakes
        found = (*noted, *(each for each in result.diagnostics if not (noted and _is_echo(each))))
        if found or result.value is None:
            raise errors.CompileError(found) from self.traced.raised
        return result.value

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        tracing = context.tracing()
        if tracing is not None:
            return cast(R, _inline(self, tracing, args, kwargs))
        return cast(R, runner.current().call_workflow(self, args, kwargs))

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def __reduce__(self) -> str:
        return self.function.__qualname__


class Traced:
    """What tracing a workflow gave.

    Attributes:
        template: with references that leave project, domain and version open.
        tasks: the `Task` objects that it calls, by name.
        mistakes: what the trace found wrong; the compiler finds the rest.
        raised: what the author's code raised in the body.
    """

    __slots__ = ("mistakes", "raised", "tasks", "template")

    def __init__(
        self,
        template: workflows_pb2.WorkflowTemplate,
        tasks: dict[str, Any],
        mistakes: list[diagnostics_pb2.Diagnostic],
        raised: BaseException | None,
    ) -> None:
        self.template = template
        self.tasks = tasks
        self.mistakes = mistakes
        self.raised = raised


class LocalResolver:
    """The compiler's view of tasks that are objects in this process."""

    def __init__(self, tasks: Mapping[str, Any]) -> None:
        self._templates = {name: task.template() for name, task in tasks.items() if not task.broken}

    def task(self, identifier: identifiers_pb2.Identifier) -> tasks_pb2.TaskTemplate | None:
        return self._templates.get(identifier.name)

    def task_names(self) -> Sequence[str]:
        return list(self._templates)


def _trace(workflow: Workflow[Any, Any]) -> Traced:
    read = workflow.signature
    tracing = trace.Trace(workflow.name)
    template = workflows_pb2.WorkflowTemplate(
        id=workflow.reference(),
        interface=read.interface,
        failure_policy=_POLICIES[workflow.failure_policy],
        position=source.definition(workflow.function),
        description=signature.first_paragraph(workflow.function.__doc__),
    )
    inputs = {
        name: Promise(tracing, workflows_pb2.Promise(variable=name), parameter.converter.type)
        for name, parameter in read.parameters.items()
    }
    raised: BaseException | None = None
    try:
        with context.entered(tracing), tracing.entering(workflow, template.position):
            result = workflow.function(**inputs)
    except definitions.AlreadyTold:
        raise
    except errors.DefinitionError as error:
        tracing.mistakes.extend(error.diagnostics or [_mistake_of(error, workflow)])
        values: Sequence[Any] = [tracing.gap(output) for output in read.outputs]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the body is the author's, and may raise anything
        raised = error
        tracing.mistakes.append(_mistake_of(error, workflow))
        values = [tracing.gap(output) for output in read.outputs]
    else:
        values = _values(workflow, tracing, result, trace.Place("", template.position, _what(workflow)))
    for output, value in zip(read.outputs, values, strict=True):
        binding = workflows_pb2.Binding(variable=output.name)
        place = trace.Place("", template.position, f"output `{output.name}` of {_what(workflow)}")
        tracing.bind(binding.value, value, output, place)
        template.outputs.append(binding)
    template.nodes.extend(tracing.nodes)
    return Traced(template, tracing.tasks, tracing.mistakes, raised)


def _what(workflow: Workflow[Any, Any]) -> str:
    return f"workflow `{workflow.short_name}`"


def _mistake_of(error: BaseException, workflow: Workflow[Any, Any]) -> diagnostics_pb2.Diagnostic:
    """What the body of a workflow raised, on the author's line."""
    line = source.raised_at(error)
    mistake = diagnostics_pb2.Diagnostic(
        code=diagnostics.WORKFLOW_BODY_RAISED,
        message=f"the body of {_what(workflow)} raised {type(error).__name__}: {error}",
        workflow=workflow.name,
        position=source.position(line) if line else source.definition(workflow.function),
        hint="it runs before any task does: keep what wires, and put the rest in tasks",
    )
    if isinstance(error, errors.DefinitionError) and error.code != errors.DefinitionError.code:
        mistake.code, mistake.message, mistake.hint = error.code, error.message, error.hint
    return mistake


def _values(
    workflow: Workflow[Any, Any], tracing: trace.Trace, result: Any, place: trace.Place
) -> Sequence[Any]:
    """What the body returned, output by output; gaps where it is of another form, which is noted."""
    read = workflow.signature
    if not read.outputs and isinstance(result, Nothing):
        return ()  # `return last()` of a workflow that gives nothing
    try:
        return read.values(result, workflow.short_name)
    except errors.ConversionError as error:
        tracing.mistake(diagnostics.MISMATCHING_TYPES, error.message, place, hint=error.hint)
        return [tracing.gap(output) for output in read.outputs]


def _is_echo(diagnostic: diagnostics_pb2.Diagnostic) -> bool:
    if diagnostic.code == diagnostics.PARAMETER_NOT_BOUND:
        return diagnostic.message.endswith("is bound to nothing")
    return diagnostic.code == diagnostics.NO_NODES_FOUND


def _inline(
    workflow: Workflow[Any, Any], tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    read = workflow.signature
    what = _what(workflow)
    position = source.caller()
    before = len(tracing.nodes)
    with tracing.inside(workflow.short_name) as node, tracing.entering(workflow, position):
        place = trace.Place(node, position, what)
        given = _arguments(workflow, tracing, tracing.arguments(read, args, kwargs, place), place)
        values = _values(workflow, tracing, workflow.function(**given), place)
        if not read.outputs:
            return Nothing(tracing, node, [each.id for each in tracing.nodes[before:]])
        checked = [
            tracing.checked(value, output, trace.Place(node, position, f"output `{output.name}` of {what}"))
            for output, value in zip(read.outputs, values, strict=True)
        ]
        return tracing.result(read, checked, node, what)


def _arguments(
    workflow: Workflow[Any, Any], tracing: trace.Trace, given: Mapping[str, Any], place: trace.Place
) -> dict[str, Any]:
    """An inlined call's arguments, each checked against its parameter."""
    parameters = workflow.signature.parameters
    for name in given:
        if name not in parameters:
            nearest = spelling.nearest(name, list(parameters))
            tracing.mistake(
                diagnostics.VARIABLE_NAME_NOT_FOUND,
                f"{place.what} has no input `{name}`",
                place,
                given=name,
                hint=f"did you mean `{nearest}`?" if nearest else "",
            )
    arguments = {}
    for name, parameter in parameters.items():
        at = trace.Place(place.node, place.position, f"input `{name}` of {place.what}")
        if name in given:
            arguments[name] = tracing.checked(given[name], parameter, at)
        elif parameter.default is not signature.NO_DEFAULT:
            arguments[name] = parameter.default
        else:
            tracing.mistake(diagnostics.PARAMETER_NOT_BOUND, f"{at.what} is not given", place)
            arguments[name] = tracing.gap(parameter)
    return arguments


@overload
def workflow(function: Callable[P, R], /) -> Workflow[P, R]: ...


@overload
def workflow(
    *, failure_policy: FailurePolicy = "fail_fast"
) -> Callable[[Callable[P, R]], Workflow[P, R]]: ...


def workflow(
    function: Callable[P, R] | None = None, /, *, failure_policy: FailurePolicy = "fail_fast"
) -> Workflow[P, R] | Callable[[Callable[P, R]], Workflow[P, R]]:
    """Makes a workflow of a typed function whose body calls tasks.

    The body runs once, with promises in place of values, when the workflow is first needed; it should only wire.

    Args:
        failure_policy: `fail_fast` aborts the rest at the first failed node, `fail_after_running` lets finish what can.

    Raises:
        DefinitionError: a parameter without a type, a type that has no place in an interface.

    Example:
        >>> from typedflow import task
        >>> @task
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> @workflow
        ... def quadruple(n: int) -> int:
        ...     return double(n=double(n=n))
        >>> quadruple(n=10)
        40
    """
    scope = sys._getframe(1).f_locals
    if failure_policy not in _POLICIES:
        raise errors.DefinitionError(
            f"@workflow(failure_policy={failure_policy!r})",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_VALUE,
            hint=f"write one of {', '.join(_POLICIES)}",
        )

    def make(made_of: Callable[P, R]) -> Workflow[P, R]:
        if not isinstance(made_of, FunctionType):
            raise errors.DefinitionError(
                f"@workflow is given {made_of!r:.80}, which is not a function",
                where=definitions.place(source.caller()),
                hint="put it above a `def`",
            )
        return Workflow(made_of, failure_policy, scope)

    return make if function is None else make(function)
