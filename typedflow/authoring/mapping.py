"""Maps: one task run for each element of a list, as one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, TypeVar, overload

from typedflow import errors, literal_types, type_engine
from typedflow.authoring import binding, context, definitions, hints, runner, signature, source, trace
from typedflow.authoring.binding import Place
from typedflow.authoring.options import Cache, Resources, Retry, Timeout
from typedflow.authoring.promise import Nothing, Promise, is_known
from typedflow.authoring.task import Task
from typedflow.compiler import diagnostics
from typedflow.pb import workflows_pb2

R = TypeVar("R")
Several = TypeVar("Several", bound=tuple[Any, ...])


class MapTask(Generic[R]):
    """A task to be run for each element of its mapped inputs; `map_task` makes it.

    Attributes:
        task: what runs.
        over: the inputs that are lists of which each slot gets one element; empty: those that fit as lists only.
        concurrency: slots that may run at once; None is as many as the execution may.
        min_success_ratio: of the slots; None is all.
    """

    def __init__(
        self,
        task: Task[..., Any],
        over: tuple[str, ...],
        concurrency: int | None,
        min_success_ratio: float | None,
    ) -> None:
        self.task = task
        self.over = over
        self.concurrency = concurrency
        self.min_success_ratio = min_success_ratio

    @property
    def optional(self) -> bool:
        """Slots may fail, and give None then."""
        return self.min_success_ratio is not None and self.min_success_ratio < 1

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
    ) -> MapTask[R]:
        """The same on other terms, for one call; each holds for every slot. `name` becomes the node's name."""
        changed = self.task.with_overrides(
            name=name,
            cache=cache,
            resources=resources,
            retries=retries,
            timeout=timeout,
            interruptible=interruptible,
            image=image,
            environment=environment,
        )
        return MapTask(changed, self.over, self.concurrency, self.min_success_ratio)

    def after(self, *results: object) -> MapTask[R]:
        """The same, for one call, to start only once those calls have succeeded."""
        return MapTask(self.task.after(*results), self.over, self.concurrency, self.min_success_ratio)

    def __call__(self, **inputs: Any) -> R:
        """The list of what the slots give; of a task with several outputs, a list for each of them."""
        tracing = context.tracing()
        if tracing is not None:
            return self.typedflow_call(tracing, (), inputs)  # type: ignore[no-any-return]  # promises of it
        return runner.current().call_map(self, inputs)  # type: ignore[no-any-return]  # as the task's outputs are

    def typedflow_call(self, tracing: trace.Trace, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Makes the node."""
        task = self.task
        node, place = tracing.begin(task.terms, task.short_name, f"map of {task.what}")
        made = node.map
        made.task.CopyFrom(task.reference())
        made.over.extend(self.over)
        made.concurrency = self.concurrency or 0
        if self.min_success_ratio is not None:
            made.min_success_ratio = self.min_success_ratio
        if task.terms.overrides is not None:
            made.overrides.CopyFrom(task.terms.overrides)
        given = tracing.arguments(task.signature, args, kwargs, place)
        for variable, value in given.items():
            bound = workflows_pb2.Binding(variable=variable)
            parameter = task.signature.parameters.get(variable)
            self._bind(tracing, bound.value, value, parameter, place.input(variable))
            node.inputs.append(bound)
        if not self.over and any(each.value.literal.HasField("offloaded") for each in node.inputs):
            made.over.extend(self._found(tracing, given))
        tracing.nodes.append(node)
        tracing.use(task, place)
        return self._promises(tracing, node.id, place)

    def _bind(
        self,
        tracing: trace.Trace,
        target: workflows_pb2.BindingValue,
        value: Any,
        parameter: signature.Parameter | None,
        place: Place,
    ) -> None:
        """A list of elements or one value for all; the compiler has the last word on which it is."""
        if parameter is None or isinstance(value, Promise):
            binding.bind(tracing, target, value, parameter, place)
        elif isinstance(value, list) and (
            parameter.name in self.over or not _fits(value, parameter, tracing.data)
        ):
            binding.bind_as(tracing, target, value, hints.list_of(parameter.annotation), place)
        else:
            binding.bind(tracing, target, value, parameter, place)

    def _found(self, tracing: trace.Trace, given: Mapping[str, Any]) -> list[str]:
        """The inputs that fit as lists only: the compiler can't see it of a value that is stored elsewhere.

        None where that can't be told of one here either.
        """
        found = []
        for name, value in given.items():
            parameter = self.task.signature.parameters.get(name)
            if parameter is None:
                return []
            as_one, as_list = _ways(value, parameter, tracing.data)
            if as_one == as_list:
                return []
            if as_list:
                found.append(name)
        return found

    def _promises(self, tracing: trace.Trace, node: str, place: Place) -> Any:
        read = self.task.signature
        if not read.outputs:
            return Nothing(tracing, node, [node])
        made = []
        for output in read.outputs:
            type_, annotation = output.converter.type, output.annotation
            if self.optional:
                type_, annotation = literal_types.optional(type_), hints.optional(annotation)
            listed = literal_types.list_of(type_)
            made.append(tracing.promise(node, output.name, listed, hints.list_of(annotation)))
        return tracing.result(read, made, node, place.what)

    def __repr__(self) -> str:
        return f"<map of {self.task!r}>"


def _fits(value: list[Any], parameter: signature.Parameter, data: type_engine.Data) -> bool:
    """Whether a list is one value of the parameter, as far as that can be told here."""
    ways = hints.apart(parameter.annotation, value)
    if ways:
        return any(
            isinstance(part.value, list) == _is_list(part.annotation)
            for way in ways
            for part in way.parts[:1]
        )
    if binding.holds_promise(value):
        return False
    return _converts(value, parameter.converter, data)


def _converts(value: Any, converter: type_engine.Converter, data: type_engine.Data) -> bool:
    try:
        converter.to_literal(value, "", data)
    except errors.ConversionError:
        return False
    return True


def _ways(value: Any, parameter: signature.Parameter, data: type_engine.Data) -> tuple[bool, bool]:
    """Whether it fits as one value for all slots, and whether as a list of one for each."""
    listed = hints.list_of(parameter.annotation)
    if isinstance(value, Promise):
        if not is_known(value):
            return True, True
        of = parameter.converter.type
        wanted = (of, literal_types.list_of(of))
        one, many = (literal_types.is_assignable(value.typedflow_type, each) is None for each in wanted)
        return one, many
    if binding.holds_promise(value):
        as_one = not isinstance(value, list) or _fits(value, parameter, data)
        return as_one, not as_one
    many_of = signature.types().converter(listed)
    return _converts(value, parameter.converter, data), _converts(value, many_of, data)


def _is_list(annotation: Any) -> bool:
    return bool(hints.apart(annotation, []))


@overload
def map_task(
    task: Task[..., Several],
    *,
    concurrency: int | None = None,
    min_success_ratio: float | None = None,
    over: Sequence[str] = (),
) -> MapTask[Any]: ...


@overload
def map_task(
    task: Task[..., R],
    *,
    concurrency: int | None = None,
    min_success_ratio: None = None,
    over: Sequence[str] = (),
) -> MapTask[list[R]]: ...


@overload
def map_task(
    task: Task[..., R],
    *,
    concurrency: int | None = None,
    min_success_ratio: float,
    over: Sequence[str] = (),
) -> MapTask[list[R | None]]: ...


def map_task(
    task: Task[..., Any],
    *,
    concurrency: int | None = None,
    min_success_ratio: float | None = None,
    over: Sequence[str] = (),
) -> MapTask[Any]:
    """A task as one that takes lists and runs once for each of their elements: `map_task(f)(x=xs, const=c)`.

    An input is mapped when what it is given fits a list of the parameter's type, and the same for all slots when it
    fits the type itself; where it may be either, `over` says. Mapped lists are of one length. Result i is slot i's.

    Args:
        task: what runs in each slot, on terms of its own as `with_overrides` gives them.
        concurrency: how many slots may run at once; None is as many as the execution may.
        min_success_ratio: which part of the slots has to succeed, rounded up; None is all. Below 1, results are None
            where a slot failed.
        over: the inputs that are mapped, where their types do not say it.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def scale(x: float, by: float) -> float:
        ...     return x * by
        >>> @workflow
        ... def scaled(xs: list[float], by: float = 2.0) -> list[float]:
        ...     return map_task(scale, concurrency=8)(x=xs, by=by)
        >>> [node.id for node in scaled.compiled.workflow.nodes]
        ['scale']
        >>> map_task(scale)(x=[1.0, 2.0], by=3.0)
        [3.0, 6.0]
    """
    if not isinstance(task, Task):
        raise _wrong(
            f"map_task is given {task!r:.80}, which is not a task", "map a task that calls what it needs"
        )
    if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
        raise _wrong(f"map_task(concurrency={concurrency!r})", "a number from 1, or None for no limit")
    if min_success_ratio is not None and not _is_ratio(min_success_ratio):
        raise _wrong(f"map_task(min_success_ratio={min_success_ratio!r})", "a number from 0 to 1")
    names = (over,) if isinstance(over, str) else tuple(over)
    if isinstance(over, str) or not all(isinstance(name, str) for name in names):
        raise _wrong(f"map_task(over={over!r:.80}) is not names of inputs", f"write over=({names[0]!r},)")
    return MapTask(task, names, concurrency, min_success_ratio)


def _is_ratio(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _wrong(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(
        message, where=definitions.place(source.caller()), code=diagnostics.INVALID_VALUE, hint=hint
    )
