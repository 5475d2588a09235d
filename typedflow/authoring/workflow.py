"""Workflows: functions whose body, run once with promises, says how tasks are wired."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import Any, Literal, ParamSpec, TypeVar, cast, overload

from typedflow import compiler, errors, literal_types, spelling
from typedflow.authoring import binding, body, context, definitions, failure, signature, source, trace, wiring
from typedflow.authoring.binding import Place
from typedflow.authoring.called import Called
from typedflow.authoring.constant import Constant
from typedflow.authoring.promise import Nothing, Promise
from typedflow.authoring.wiring import Traced, Wiring
from typedflow.compiler import diagnostics
from typedflow.pb import diagnostics_pb2, workflows_pb2

P = ParamSpec("P")
R = TypeVar("R")
FailurePolicy = Literal["fail_fast", "fail_after_running"]

POLICIES = {
    "fail_fast": workflows_pb2.FAILURE_POLICY_FAIL_FAST,
    "fail_after_running": workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING,
}


class WorkflowFunction(Wiring[P, R]):
    """A typed function of task calls; `@workflow` makes it.

    A call runs it here, task after task, on the engine that runs it everywhere, and gives real values. In another
    workflow's body a call puts its nodes there.
    """

    def __init__(
        self,
        function: Callable[P, R],
        failure_policy: FailurePolicy,
        on_failure: Called[..., Any] | None,
        scope: Mapping[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self.function: FunctionType = cast(FunctionType, function)
        super().__init__(self.function.__name__)
        self.failure_policy = failure_policy
        self.on_failure = on_failure
        try:
            self._signature = signature.read(self.function, self.short_name, "workflow", scope)
        except signature.Broken as broken:
            definitions.report(broken.diagnostics)

    @functools.cached_property
    def module(self) -> str:
        """Dotted, under the import root."""
        return source.module_of(self.function)

    @functools.cached_property
    def name(self) -> str:
        """`module.function`: the name under which it is registered."""
        return f"{self.module}.{self.function.__qualname__}".replace(".<locals>", "")

    @functools.cached_property
    def traced(self) -> Traced:
        """Its template and what it calls. The body runs once, when this is first asked for."""
        return _trace(self)

    @functools.cached_property
    def compiled(self) -> workflows_pb2.CompiledWorkflow:
        """What the compiler makes of it. Raises CompileError with every diagnostic."""
        return wiring.compiled(self.traced)

    def resolved(self) -> workflows_pb2.CompiledWorkflow:
        return self.compiled

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return _inline(self, tracing, args, kwargs)

    def __reduce__(self) -> str:
        return self.function.__qualname__


def _trace(workflow: WorkflowFunction[..., Any]) -> Traced:
    read = workflow.signature
    tracing = trace.Trace(workflow.name)
    template = workflows_pb2.WorkflowTemplate(
        id=workflow.reference(),
        interface=read.interface,
        failure_policy=POLICIES[workflow.failure_policy],
        position=source.definition(workflow.function),
        description=signature.first_paragraph(workflow.function.__doc__),
    )
    whole = Place("", template.position, workflow.what)
    inputs = {
        name: tracing.promise("", name, parameter.converter.type, parameter.annotation)
        for name, parameter in read.parameters.items()
    }
    raised: BaseException | None = None
    ended = False
    values: Sequence[Any] = [tracing.gap(output) for output in read.outputs]
    try:
        with context.entered(tracing), tracing.entering(workflow, workflow.short_name, template.position):
            result = workflow.function(**inputs)
            values = body.values(workflow, tracing, result, whole)
    except definitions.AlreadyTold:
        raise
    except errors.DefinitionError as error:
        tracing.mistakes.extend(error.diagnostics or [_mistake_of(error, workflow)])
    except (Exception, SystemExit) as error:  # noqa: BLE001 - the body is the author's, and may raise anything
        raised = error
        tracing.mistakes.append(_mistake_of(error, workflow))
    else:
        ended = True
        tracing.mistakes.extend(tracing.unfinished.values())
    if workflow.on_failure is not None:
        failure.wire(tracing, workflow.on_failure, inputs, whole)
    body.finish(workflow, tracing, values, template)
    code = inspect.unwrap(workflow.function).__code__
    return Traced(template, tracing.called, tracing.mistakes, ended, raised, code, asked=tracing.asked)


def _mistake_of(error: BaseException, workflow: WorkflowFunction[..., Any]) -> diagnostics_pb2.Diagnostic:
    """What the body of a workflow raised, on the author's line."""
    line = source.raised_at(error)
    mistake = diagnostics_pb2.Diagnostic(
        code=diagnostics.WORKFLOW_BODY_RAISED,
        message=f"the body of {workflow.what} raised {type(error).__name__}: {error}",
        workflow=workflow.name,
        position=source.position(line) if line else source.definition(workflow.function),
        hint="it runs before any task does: keep what wires, and put the rest in tasks",
    )
    if isinstance(error, errors.DefinitionError) and error.code != errors.DefinitionError.code:
        mistake.code, mistake.message, mistake.hint = error.code, error.message, error.hint
    return mistake


def _inline(
    workflow: WorkflowFunction[..., Any],
    tracing: trace.Trace,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
) -> Any:
    read, what, terms = workflow.signature, workflow.what, workflow.terms
    position = source.caller()
    before = len(tracing.nodes)
    with (
        tracing.inside(workflow.short_name, terms.name) as node,
        tracing.entering(workflow, workflow.short_name, position),
    ):
        place = Place(node, position, what)
        if workflow.on_failure is not None:
            tracing.mistake(
                diagnostics.INVALID_VALUE,
                f"{what} has an `on_failure` of its own, which is for executions of it alone",
                place,
                hint="launch it as an execution of its own, by a LaunchPlan, or handle failures in the outer workflow",
            )
        given = _arguments(workflow, tracing, tracing.arguments(read, args, kwargs, place), place)
        values = body.values(workflow, tracing, workflow.function(**given), place)
        nodes = tracing.nodes[before:]
        first = [
            id_
            for each in terms.after
            if binding.is_own(tracing, each, place)
            for id_ in each.typedflow_nodes
        ]
        for each in compiler.begins(nodes) if first else ():
            each.after.extend(dict.fromkeys(first))
        last = [each.id for each in compiler.ends(nodes)]
        if not read.outputs:
            return Nothing(tracing, node, last)
        checked = [
            _checked(tracing, value, output, Place(node, position, read.output_text(output.name, what)), last)
            for output, value in zip(read.outputs, values, strict=True)
        ]
        return tracing.result(read, checked, node, what)


def _arguments(
    workflow: WorkflowFunction[..., Any], tracing: trace.Trace, given: Mapping[str, Any], place: Place
) -> dict[str, Any]:
    """An inlined call's arguments, each checked against its parameter."""
    parameters = workflow.signature.parameters
    meant = set()
    for name in given:
        if name not in parameters:
            nearest = spelling.nearest(name, list(parameters))
            meant.add(nearest)
            tracing.mistake(
                diagnostics.VARIABLE_NAME_NOT_FOUND,
                f"{place.what} has no input `{name}`",
                place,
                expected=", ".join(f"`{each}`" for each in parameters),
                given=name,
                hint=f"did you mean `{nearest}`?" if nearest else "",
            )
    arguments = {}
    for name, parameter in parameters.items():
        at = place.input(name)
        if name in given:
            arguments[name] = _checked(tracing, given[name], parameter, at)
        elif parameter.default is not signature.NO_DEFAULT:
            arguments[name] = _checked(tracing, parameter.default, parameter, at)
        else:
            if name not in meant:
                tracing.mistake(
                    diagnostics.PARAMETER_NOT_BOUND,
                    f"{at.what} is not given",
                    place,
                    expected=literal_types.text(parameter.converter.type),
                )
            arguments[name] = tracing.gap(parameter)
    return arguments


def _checked(
    tracing: trace.Trace,
    value: Any,
    variable: signature.Parameter | signature.Output,
    place: Place,
    last: Sequence[str] | None = None,
) -> Any:
    """A sub-workflow's input or output, of which inlining leaves nothing to compile; a gap if it does not fit.

    Who waits for an output waits for all of the sub-workflow, with its `last` nodes.
    """
    if isinstance(value, Promise):
        fits = binding.is_usable(tracing, value, place) and binding.is_assignable(
            tracing, value, variable.converter.type, place
        )
        if fits:
            return value.typedflow_taken_as(variable.converter.type, variable.annotation, last)
    elif binding.holds_promise(value):
        seen = len(tracing.mistakes)
        binding.bind(tracing, workflows_pb2.BindingValue(), value, variable, place)
        fits = len(tracing.mistakes) == seen
    else:
        made = binding.literal(tracing, value, variable.converter, place)
        if made is not None:
            type_, annotation = variable.converter.type, variable.annotation
            return Constant(tracing, variable.name, made, type_, annotation, last or ())
        fits = False
    return value if fits else tracing.gap(variable)


def _check_options(failure_policy: str, on_failure: object) -> None:
    if failure_policy not in POLICIES:
        raise errors.DefinitionError(
            f"@workflow(failure_policy={failure_policy!r}) is no policy",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_VALUE,
            hint=f"write one of {', '.join(POLICIES)}",
        )
    if on_failure is not None and not isinstance(on_failure, Called):
        raise errors.DefinitionError(
            f"@workflow(on_failure={on_failure!r:.80}) is no task or workflow",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_VALUE,
            hint="give it the task itself, as in `on_failure=notify`",
        )


@overload
def workflow(function: Callable[P, R], /) -> WorkflowFunction[P, R]: ...


@overload
def workflow(
    *, failure_policy: FailurePolicy = "fail_fast", on_failure: Called[..., Any] | None = None
) -> Callable[[Callable[P, R]], WorkflowFunction[P, R]]: ...


def workflow(
    function: Callable[P, R] | None = None,
    /,
    *,
    failure_policy: FailurePolicy = "fail_fast",
    on_failure: Called[..., Any] | None = None,
) -> WorkflowFunction[P, R] | Callable[[Callable[P, R]], WorkflowFunction[P, R]]:
    """Makes a workflow of a typed function whose body calls tasks.

    The body runs once, with promises in place of values, when the workflow is first needed; it should only wire.

    Args:
        failure_policy: `fail_fast` aborts the rest at the first failed node, `fail_after_running` lets finish what can.
        on_failure: a task or workflow that runs once when an execution has failed. Its parameters are inputs of this
            workflow by name, and `error: ExecutionError` if it wants to know why.

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
    with definitions.forgiving():
        _check_options(failure_policy, on_failure)

    def make(made_of: Callable[P, R]) -> WorkflowFunction[P, R]:
        if not isinstance(made_of, FunctionType):
            definitions.forgive(
                errors.DefinitionError(
                    f"@workflow is given {made_of!r:.80}, which is not a function",
                    where=definitions.place(source.caller()),
                    hint="put it above a `def`",
                )
            )
            return cast(
                "WorkflowFunction[P, R]", made_of
            )  # as it is, so that the rest of the file can be looked at
        return WorkflowFunction(
            made_of,
            failure_policy if failure_policy in POLICIES else "fail_fast",
            on_failure if isinstance(on_failure, Called) else None,
            scope,
        )

    return make if function is None else make(function)
