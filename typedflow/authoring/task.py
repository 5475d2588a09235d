"""Tasks: typed functions that are cached, versioned and run where the engine says."""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from types import FunctionType
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

from typedflow import errors, identifiers, task_options
from typedflow.authoring import (
    context,
    definitions,
    options,
    promise,
    runner,
    signature,
    source,
    trace,
)
from typedflow.authoring.options import Cache, Resources, Retry, Secret, Timeout
from typedflow.compiler import diagnostics
from typedflow.pb import identifiers_pb2, tasks_pb2

P = ParamSpec("P")
R = TypeVar("R")


class Task(Generic[P, R]):
    """A typed function; `@task` makes it.

    In a workflow's body a call makes a node. Elsewhere a call checks the types, runs the function here and gives its
    result.

    Attributes:
        function: what the author wrote.
        signature: its parameters and outputs.
        options: the terms on which it runs.
    """

    def __init__(
        self,
        function: Callable[P, R],
        task_options: tasks_pb2.TaskOptions,
        cache: Cache | None,
        scope: Mapping[str, Any],
    ) -> None:
        functools.update_wrapper(self, function)
        self.function = cast(FunctionType, function)
        self.options = task_options
        self.cache = cache
        self.short_name = self.function.__name__
        self._call = trace.Call()
        self._signature: signature.Signature | None = None
        try:
            self._signature = signature.read(self.function, self.short_name, "task", scope)
        except signature.Broken as broken:
            definitions.report(broken.diagnostics)

    @property
    def signature(self) -> signature.Signature:
        if self._signature is None:
            raise definitions.AlreadyTold(f"task `{self.short_name}` has mistakes in its definition")
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

    def is_same(self, other: Task[..., Any]) -> bool:
        """Whether both are one definition, on whatever terms; two definitions can have one name."""
        return self._signature is other._signature

    def reference(self) -> identifiers_pb2.Identifier:
        """Project, domain and version are those of whoever refers to it."""
        return identifiers.task(self.name)

    def template(self, code: tasks_pb2.Code | None = None, bundle: str = "") -> tasks_pb2.TaskTemplate:
        """The task on the wire.

        Args:
            code: its fingerprint; none for a run in this process.
            bundle: the digest of the bundle that holds its code.
        """
        return tasks_pb2.TaskTemplate(
            id=self.reference(),
            interface=self.signature.interface,
            python=tasks_pb2.PythonTarget(
                module=self.module, qualname=self.function.__qualname__, bundle=bundle
            ),
            code=code,
            options=self.options,
            position=source.definition(self.function),
            description=signature.first_paragraph(self.function.__doc__),
        )

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
    ) -> Task[P, R]:
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
        if self._call.overrides is not None:
            overrides = task_options.merge(self._call.overrides, overrides)
        if name is not None:
            wrong = identifiers.check_node_id(str(name))
            if wrong or "." in name:
                raise errors.DefinitionError(
                    f"with_overrides(name={name!r}): {wrong or 'a dot belongs to sub-workflows'}",
                    where=definitions.place(source.caller()),
                    code=diagnostics.INVALID_NAME,
                    hint="use letters, digits, `_` and `-`, a letter first",
                )
        return self._called(
            dataclasses.replace(self._call, overrides=overrides, name=name or self._call.name)
        )

    def after(self, *results: object) -> Task[P, R]:
        """The same task, for one call, to start only once those calls have succeeded: `train.after(checked)(df=df)`."""
        first = tuple(each for result in results for each in promise.of_result(result))
        return self._called(dataclasses.replace(self._call, after=self._call.after + first))

    def _called(self, call: trace.Call) -> Task[P, R]:
        copied: Task[P, R] = object.__new__(type(self))
        copied.__dict__.update(self.__dict__)
        copied.__dict__["_call"] = call
        return copied

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        tracing = context.tracing()
        if tracing is not None:
            return cast(R, tracing.call(self, self._call, args, kwargs))
        return cast(R, runner.current().call_task(self, args, kwargs))

    def __repr__(self) -> str:
        return f"<task {self.name}>"

    def __reduce__(self) -> str:
        return self.function.__qualname__  # pickled by reference, as the function would be


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
    scope = sys._getframe(1).f_locals
    try:
        message = options.message(
            cache=cache,
            resources=resources,
            retries=retries,
            timeout=timeout,
            interruptible=interruptible,
            image=image,
            environment=environment,
            secrets=secrets,
        )
    except errors.DefinitionError as error:
        error.where = error.where or definitions.place(source.caller())
        raise

    def make(made_of: Callable[P, R]) -> Task[P, R]:
        if not isinstance(made_of, FunctionType):
            raise errors.DefinitionError(
                f"@task is given {made_of!r:.80}, which is not a function",
                where=definitions.place(source.caller()),
                hint="put it above a `def`; for a method or a partial, write a function that calls it",
            )
        return Task(made_of, message, cache if isinstance(cache, Cache) else None, scope)

    return make if function is None else make(function)
