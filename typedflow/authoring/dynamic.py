"""Dynamic tasks: functions whose body runs with real values and says which tasks are to run, and how they are wired.

A body is run as a task's is, once in each attempt, and traced as a workflow's is; what comes of it is checked by the
compiler that checks workflows. Nothing that it calls runs in here.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, ClassVar, Final, ParamSpec, TypeVar, cast, overload

from typedflow import errors, identifiers, type_engine
from typedflow.authoring import body, call, context, definitions, source, trace, wiring
from typedflow.authoring.binding import Place
from typedflow.authoring.called import Called
from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
from typedflow.authoring.task import FunctionTask, Task, decorator
from typedflow.authoring.wiring import Traced
from typedflow.pb import attempt_pb2, diagnostics_pb2, interface_pb2, literals_pb2, tasks_pb2, workflows_pb2
from typedflow.type_engine import author_errors

P = ParamSpec("P")
R = TypeVar("R")

_LARGEST_INSIDE: Final = 128 * 1024
"""Bytes of a value that travels in the graph, which has to stay small however many nodes are given it.

What is offloaded has to be more than 64 KiB: see docs/hashing.md.
"""


class Miswired(errors.CompileError, errors.NonRecoverable):
    """What a dynamic task's body has wired is wrong; the same inputs would be wired in the same way again."""


class DynamicTask(FunctionTask[P, R]):
    """A task whose body says, with real values at hand, which tasks are to run; `@dynamic` makes it."""

    kind: ClassVar[str] = "dynamic task"

    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:
        made = super().template(code, bundle)
        made.dynamic = True
        return made

    def expand(
        self,
        inputs: literals_pb2.LiteralMap,
        running: context.TaskContext,
        data: type_engine.Data,
        describe: Callable[[Task[..., Any]], tasks_pb2.TaskTemplate],
        converting: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> attempt_pb2.Expanded | literals_pb2.LiteralMap:
        """Runs the body, and gives the graph that it says; or the outputs, where it calls nothing.

        Args:
            inputs: of the task.
            running: what the body may ask about itself.
            data: where inputs come from, and where the bytes of values go that the body gives to what it calls.
            describe: a task that is called as a registration has it.
            converting: what is around the conversion of inputs, and not around the body.

        Raises:
            ConversionError: an input that does not fit its type.
            Miswired: the wiring is wrong; it has every diagnostic. Whatever else the body raises passes as it is.
        """
        from typedflow.dataplane import offload  # noqa: PLC0415 - no definition moves bytes

        keep = functools.partial(offload.offload, store=data.store, limit=_LARGEST_INSIDE)
        with converting():
            arguments = call.arguments(self, inputs, data)
        traced = self.trace(arguments, running, data, keep)
        found = outputs(traced)
        if found is not None:
            return found
        compiled = compiled_of(traced)
        wanted = {identifiers.key(each.id) for each in compiled.tasks}
        called = {
            key: each for key, each in traced.tasks().items() if key in wanted and not is_elsewhere(each)
        }
        try:
            described = [describe(each) for each in called.values()]
        except errors.CompileError as error:
            raise _wrong(error.diagnostics) from None
        # As it is compiled, so that workflows that are called have been put in: they need not be registered.
        return attempt_pb2.Expanded(workflow=compiled.workflow, tasks=described)

    def trace(
        self,
        arguments: Mapping[str, Any],
        running: context.TaskContext,
        data: type_engine.Data,
        keep: Callable[[literals_pb2.Literal], literals_pb2.Literal] = lambda literal: literal,
    ) -> Traced:
        """Runs the body with these values, and gives what it has wired. Raises as `expand` does.

        `keep` is what is done with the literals of the values that the body gives to what it calls.
        """
        tracing = trace.Trace(self.name, data=data, running=running, keep=keep)
        template = workflows_pb2.WorkflowTemplate(
            id=identifiers.workflow(self.name),
            interface=interface_pb2.Interface(outputs=self.signature.interface.outputs),
            position=source.definition(self._function),
        )
        whole = Place("", template.position, self.what)
        values: Sequence[Any] = [tracing.gap(output) for output in self.signature.outputs]
        ended = False
        try:
            with context.entered(tracing):
                result = author_errors.as_they_are(lambda: self.function(**arguments))
        except (errors.DefinitionError, errors.CompileError) as error:
            tracing.mistakes.extend(definitions.as_diagnostics(error))
            raised: BaseException | None = error
        except Exception as error:
            if tracing.mistakes:  # what is noted came first, and may be why
                raise _wrong(tracing.mistakes) from error
            raise
        else:
            raised = None
            ended = True
            values = body.values(self, tracing, result, whole)
            tracing.mistakes.extend(tracing.unfinished.values())
        body.finish(self, tracing, values, template)
        code = inspect.unwrap(self.function).__code__
        return Traced(template, tracing.called, tracing.mistakes, ended, raised, code, asked=tracing.asked)


def compiled_of(traced: Traced) -> workflows_pb2.CompiledWorkflow:
    """What the compiler makes of what a body has wired. Raises Miswired."""
    try:
        return wiring.compiled(traced)
    except errors.CompileError as error:
        raise _wrong(error.diagnostics) from error.__cause__


def outputs(traced: Traced) -> literals_pb2.LiteralMap | None:
    """What a body gives that has called nothing; None for one that has, or whose mistakes are to be told."""
    if traced.template.nodes or traced.mistakes or not traced.ended:
        return None
    found = literals_pb2.LiteralMap()
    for each in traced.template.outputs:
        found.values.add(name=each.variable, value=each.value.literal)
    return found


def is_elsewhere(task: Called[..., Any]) -> bool:
    """Whether a task is registered elsewhere: its reference says under which version."""
    return bool(task.reference().version)


def _wrong(mistakes: Sequence[diagnostics_pb2.Diagnostic]) -> Miswired:
    return Miswired(definitions.in_order(definitions.once(mistakes)))


@overload
def dynamic(function: Callable[P, R], /) -> DynamicTask[P, R]: ...


@overload
def dynamic(
    *,
    cache: bool | Cache = False,
    resources: Resources | None = None,
    retries: int | Retry | None = None,
    timeout: timedelta | Timeout | None = None,
    interruptible: bool | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
) -> Callable[[Callable[P, R]], DynamicTask[P, R]]: ...


def dynamic(
    function: Callable[P, R] | None = None,
    /,
    *,
    cache: bool | Cache = False,
    resources: Resources | None = None,
    retries: int | Retry | None = None,
    timeout: timedelta | Timeout | None = None,
    interruptible: bool | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
) -> DynamicTask[P, R] | Callable[[Callable[P, R]], DynamicTask[P, R]]:
    """Makes a task of a typed function whose body calls tasks, as a workflow's does, but with real values.

    The body runs when the task does: it may loop over what it is given, decide with `if`, read files. What it calls
    (tasks, maps, conditionals, gates, launch plans, workflows, other dynamic tasks) becomes a graph that runs in the
    task's place, each node with its own cache, retries and place in the list of nodes. What it returns, promises, plain
    values, or lists and records of both, is what the task gives. Arguments are those of `task`; they are the terms on
    which the body runs, and `cache` keeps what the whole gives.

    Raises:
        DefinitionError: as `task` does.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def total(values: list[int]) -> int:
        ...     return sum(values)
        >>> @dynamic
        ... def tree(values: list[int]) -> int:
        ...     if len(values) <= 2:
        ...         return total(values=values)
        ...     half = len(values) // 2
        ...     return total(values=[tree(values=values[:half]), tree(values=values[half:])])
        >>> @workflow
        ... def summed(values: list[int]) -> int:
        ...     return tree(values=values)
        >>> summed(values=[1, 2, 3, 4, 5])
        15
    """
    made = decorator(
        DynamicTask,
        "@dynamic",
        sys._getframe(1).f_locals,
        cache=cache,
        resources=resources,
        retries=retries,
        timeout=timeout,
        interruptible=interruptible,
        image=image,
        environment=environment,
        secrets=secrets,
    )
    return made if function is None else cast("DynamicTask[P, R]", made(function))
