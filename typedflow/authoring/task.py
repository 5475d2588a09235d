"""Tasks: typed functions that are cached, versioned and run where the engine says."""

from __future__ import annotations

import dataclasses
import functools
import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import Any, ParamSpec, Self, TypeVar, cast, overload

from typedflow import errors, identifiers, task_options
from typedflow.authoring import called, definitions, options, runner, signature, source, trace
from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
from typedflow.pb import identifiers_pb2, tasks_pb2

P = ParamSpec("P")
R = TypeVar("R")


class Task(called.Called[P, R]):
    """A typed step: `@task` makes it of a function, `ContainerTask` of an image.

    In a workflow's body a call makes a node. Elsewhere a call checks the types, runs the function here and gives its
    result.

    Attributes:
        options: the terms on which it runs.
    """

    kind = "task"

    def __init__(self, short_name: str, options: tasks_pb2.TaskOptions) -> None:
        super().__init__(short_name)
        self.options = options

    @property
    @abstractmethod
    def function(self) -> FunctionType:
        """What runs here. Raises UsageError where nothing can."""

    @abstractmethod
    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:
        """The task on the wire.

        Args:
            code: its fingerprint; none for a run in this process.
            bundle: the digest of the bundle that holds its code.
        """

    def reference(self) -> identifiers_pb2.Identifier:
        """Project, domain and version are those of whoever refers to it."""
        return identifiers.task(self.name)

    def resolved(self) -> tasks_pb2.TaskTemplate:
        return self.template()

    def with_overrides(
        self,
        *,
        name: str | None = None,
        cache: bool | Cache | None = None,
        resources: Resources | None = None,
        retries: int | Retry | None = None,
        timeout: timedelta | Timeout | None = None,
        interruptible: bool | None = None,
        image: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """The same task on other terms, for one call: `train.with_overrides(name="big", retries=3)(df=df)`.

        What is not given stays as the task has it. `name` becomes the node's name.
        """
        overrides = options.message(
            cache=cache,
            resources=resources,
            retries=retries,
            timeout=timeout,
            interruptible=interruptible,
            image=image,
            environment=environment,
        )
        if self.terms.overrides is not None:
            overrides = task_options.merge(self.terms.overrides, overrides)
        return self.on_terms(dataclasses.replace(self.named(name), overrides=overrides))

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        node, place = tracing.begin(self.terms, self.short_name, self.what)
        node.task.task.CopyFrom(self.reference())
        if self.terms.overrides is not None:
            node.task.overrides.CopyFrom(self.terms.overrides)
        tracing.give(node, self.signature, args, kwargs, place)
        tracing.nodes.append(node)
        tracing.use(self, place)
        return tracing.promises(self.signature, node.id, self.what)

    def call_here(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return runner.current().call_task(self, args, kwargs)


class FunctionTask(Task[P, R]):
    """A task whose body is a Python function; `@task` makes it."""

    def __init__(
        self,
        function: Callable[P, R],
        task_options: tasks_pb2.TaskOptions,
        cache: Cache | None,
        scope: Mapping[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self._function = cast(FunctionType, function)
        super().__init__(self._function.__name__, task_options)
        self.cache = cache
        try:
            self._signature = signature.read(self._function, self.short_name, self.kind, scope)
        except signature.Broken as broken:
            definitions.report(broken.diagnostics)

    @property
    def function(self) -> FunctionType:
        """What the author wrote."""
        return self._function

    @functools.cached_property
    def module(self) -> str:
        """Dotted, under the import root."""
        return source.module_of(self._function)

    @functools.cached_property
    def name(self) -> str:
        """`module.function`: the name under which it is registered."""
        return f"{self.module}.{self._function.__qualname__}".replace(".<locals>", "")

    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:
        return tasks_pb2.TaskTemplate(
            id=self.reference(),
            interface=self.signature.interface,
            python=tasks_pb2.PythonTarget(
                module=self.module, qualname=self._function.__qualname__, bundle=bundle
            ),
            code=code,
            options=self.options,
            position=source.definition(self._function),
            description=signature.first_paragraph(self._function.__doc__),
        )

    def __reduce__(self) -> str:
        return self._function.__qualname__  # pickled by reference, as the function would be


@overload
def task(function: Callable[P, R], /) -> Task[P, R]: ...


@overload
def task(
    *,
    cache: bool | Cache = False,
    resources: Resources | None = None,
    retries: int | Retry | None = None,
    timeout: timedelta | Timeout | None = None,
    interruptible: bool | None = None,
    image: str | None = None,
    environment: Mapping[str, str] | None = None,
    secrets: Sequence[Secret] = (),
) -> Callable[[Callable[P, R]], Task[P, R]]: ...


def task(
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
) -> Task[P, R] | Callable[[Callable[P, R]], Task[P, R]]:
    """Makes a task of a typed function.

    Args:
        cache: keep results and find them again while code, environment and inputs are the same; a `Cache` says more.
        resources: what it needs to run.
        retries: further attempts after a failure of its own; a `Retry` adds pauses.
        timeout: how long an attempt may take; a `Timeout` has more clocks.
        interruptible: it may run on capacity that can be taken away; means nothing to processes on one machine.
        image: the container image that it runs in on a cluster; processes on one machine use none.
        environment: variables that are set for it; part of the cache key.
        secrets: what it is given as environment variables; never stored or shown.

    Raises:
        DefinitionError: a parameter without a type, a type that has no place in an interface, an illegal option.

    Example:
        >>> @task(cache=True, retries=2)
        ... def double(n: int) -> int:
        ...     return 2 * n
        >>> double(n=21)
        42
    """
    made = decorator(
        FunctionTask,
        "@task",
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
    return made if function is None else cast("Task[P, R]", made(function))


def decorator(
    make: Callable[[FunctionType, tasks_pb2.TaskOptions, Cache | None, Mapping[str, Any]], Any],
    name: str,
    scope: Mapping[str, Any],
    *,
    cache: bool | Cache,
    **terms: Any,
) -> Callable[[Any], Any]:
    """What makes a task of a function, on the terms that `task` describes.

    Args:
        make: the class of the task.
        name: of the decorator, for messages.
        scope: names that annotations may refer to beside the function's globals.
        cache: as `task` takes it.
        terms: the others of its arguments.
    """
    message = tasks_pb2.TaskOptions()
    with definitions.forgiving():
        message = options.message(cache=cache, **terms)

    def made(made_of: Any) -> Any:
        if not isinstance(made_of, FunctionType):
            definitions.forgive(
                errors.DefinitionError(
                    f"{name} is given {made_of!r:.80}, which is not a function",
                    where=definitions.place(source.caller()),
                    hint="put it above a `def`; for a method or a partial, write a function that calls it",
                )
            )
            return made_of  # as it is, so that the rest of the file can be looked at
        return make(made_of, message, cache if isinstance(cache, Cache) else None, scope)

    return made
