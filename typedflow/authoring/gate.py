"""Gates: nodes that wait for a person or for a time, holding no pod and no thread."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar, cast, overload

from typedflow import errors
from typedflow.authoring import binding, called, definitions, hints, promise, signature, source, trace
from typedflow.authoring.binding import Place
from typedflow.authoring.options import milliseconds
from typedflow.authoring.promise import Nothing, Promise
from typedflow.compiler import diagnostics
from typedflow.pb import types_pb2, workflows_pb2

T = TypeVar("T")


@overload
def wait_for_input(
    name: str,
    type_: type[T],
    *,
    timeout: timedelta | None = None,
    prompt: str = "",
    after: Sequence[object] = (),
) -> T: ...


@overload
def wait_for_input(
    name: str,
    type_: object,
    *,
    timeout: timedelta | None = None,
    prompt: str = "",
    after: Sequence[object] = (),
) -> Any: ...


def wait_for_input(
    name: str,
    type_: Any,
    *,
    timeout: timedelta | None = None,
    prompt: str = "",
    after: Sequence[object] = (),
) -> Any:
    """A value that somebody gives while the execution waits: `typedflow signal ID NAME VALUE`.

    Args:
        name: of the node, by which the value is given.
        type_: of the value.
        timeout: after which the node fails; None waits for ever.
        prompt: what whoever is asked reads.
        after: results of calls that come first.

    Raises:
        StateConflict: this is no workflow's body.
        DefinitionError: a type that has no place in an interface, a name that is not legal.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def train(rate: float) -> float:
        ...     return rate
        >>> @workflow
        ... def tuned() -> float:
        ...     return train(rate=wait_for_input("rate", float, timeout=timedelta(days=1), prompt="Learning rate?"))
        >>> [node.id for node in tuned.compiled.workflow.nodes]
        ['rate', 'train']
    """
    tracing = called.body_of("wait_for_input(...)")
    try:
        found = signature.types().converter(type_).type
    except errors.DefinitionError as error:
        error.where = definitions.place(source.caller())
        raise
    node, _ = _begin(tracing, name, "wait_for_input", after)
    node.gate.signal.type.CopyFrom(found)
    node.gate.signal.prompt = prompt
    node.gate.timeout_ms = milliseconds("wait_for_input(timeout=...)", timeout)
    return _done(tracing, node, found, type_)


def approve(
    value: T, name: str, *, timeout: timedelta | None = None, prompt: str = "", after: Sequence[object] = ()
) -> T:
    """Passes a value on once somebody agrees, and fails when somebody does not.

    Args:
        value: what is to be approved: what a call gave.
        name: of the node, by which it is approved.
        timeout: after which the node fails; None waits for ever.
        prompt: what whoever is asked reads.
        after: results of calls that come first.

    Raises:
        StateConflict: this is no workflow's body.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def train(n: int) -> float:
        ...     return n / 2
        >>> @workflow
        ... def reviewed(n: int) -> float:
        ...     return approve(train(n=n), "review", prompt="Good enough?")
        >>> [node.id for node in reviewed.compiled.workflow.nodes]
        ['train', 'review']
    """
    tracing = called.body_of("approve(...)")
    node, place = _begin(tracing, name, "approve", after)
    gate = node.gate
    gate.approval.prompt = prompt
    gate.timeout_ms = milliseconds("approve(timeout=...)", timeout)
    if isinstance(value, Promise):
        type_, annotation = value.typedflow_type, value.typedflow_annotation
    else:
        type_, annotation = _kind(value)
    gate.approval.type.CopyFrom(type_)
    bound = node.inputs.add(variable="value")
    binding.bind_as(tracing, bound.value, value, annotation, place.input("value"))
    return cast(T, _done(tracing, node, type_, annotation))


def sleep(duration: timedelta, *, name: str = "", after: Sequence[object] = ()) -> object:
    """Waits for a time; what it gives is good for `after`: `train.after(sleep(timedelta(hours=1)))(df=df)`.

    Args:
        duration: how long, known when the workflow is defined.
        name: of the node; `sleep`, `sleep-2`, ... when none is given.
        after: results of calls that come first.

    Raises:
        StateConflict: this is no workflow's body.
        DefinitionError: the duration is none.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def train(n: int) -> int:
        ...     return n
        >>> @workflow
        ... def patient(n: int) -> int:
        ...     return train.after(sleep(timedelta(minutes=5), name="cool"))(n=n)
        >>> [node.id for node in patient.compiled.workflow.nodes]
        ['cool', 'train']
    """
    tracing = called.body_of("sleep(...)")
    if not isinstance(duration, timedelta):
        raise errors.DefinitionError(
            f"sleep({duration!r:.80}) is given a {type(duration).__name__}",
            where=definitions.place(source.caller()),
            code=diagnostics.INVALID_VALUE,
            hint="give it a timedelta; it must be known before the workflow runs",
        )
    node, _ = _begin(tracing, name, "sleep", after)
    node.gate.sleep.duration_ms = milliseconds("sleep(...)", duration)
    tracing.nodes.append(node)
    return Nothing(tracing, node.id, [node.id])


def _begin(
    tracing: trace.Trace, name: str, function: str, after: Sequence[object]
) -> tuple[workflows_pb2.Node, Place]:
    named = called.node_name(name, function) if name or function != "sleep" else ""
    first = tuple(each for result in after for each in promise.of_result(result))
    return tracing.begin(trace.Call(name=named, after=first), function, f"{function} `{named or function}`")


def _kind(value: object) -> tuple[types_pb2.LiteralType, Any]:
    """Of a constant, by its class."""
    try:
        return signature.types().converter(type(value)).type, type(value)
    except errors.DefinitionError:
        return types_pb2.LiteralType(), hints.UNKNOWN


def _done(
    tracing: trace.Trace, node: workflows_pb2.Node, type_: types_pb2.LiteralType, annotation: Any
) -> Promise:
    tracing.nodes.append(node)
    tracing.asked[node.id] = annotation
    return tracing.promise(node.id, "o0", type_, annotation)
