"""What runs once when an execution has failed: what `@workflow(on_failure=...)` names, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from typedflow import errors, spelling
from typedflow.authoring import context, signature
from typedflow.authoring.promise import Failure, Promise
from typedflow.authoring.trace import Scope, Trace
from typedflow.compiler import diagnostics
from typedflow.pb import workflows_pb2

if TYPE_CHECKING:
    from typedflow.authoring.binding import Place
    from typedflow.authoring.called import Called


@dataclass(frozen=True, slots=True)
class ExecutionError:
    """Why an execution failed, as what is called `on_failure` is told.

    Attributes:
        code: stable: the exception's class name for what a task raised, else a code such as `WorkerLost`.
        kind: `USER` for the task's own doing, `SYSTEM` for the platform's.
        message: what happened.
        node: the path of the node that failed, as in `prep.train`; empty when the execution itself did.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def notify(seed: int, error: ExecutionError) -> None:
        ...     print(f"{error.node} failed for seed {seed}: {error.message}")
        >>> @task
        ... def train(seed: int) -> float:
        ...     return seed / 2
        >>> @workflow(on_failure=notify)
        ... def training(seed: int) -> float:
        ...     return train(seed=seed)
        >>> [node.id for node in training.compiled.workflow.nodes]
        ['train', 'notify']
    """

    code: str
    kind: str
    message: str
    node: str


def wire(tracing: Trace, handler: Called[..., Any], inputs: Mapping[str, Promise], place: Place) -> None:
    """Puts the handler's nodes into the workflow's failure section."""
    arguments = _arguments(tracing, handler, inputs, place)
    section = workflows_pb2.Section(failure=workflows_pb2.FailureSection())
    before = tracing.scope
    tracing.scope = Scope(section=section)
    try:
        with context.entered(tracing):
            handler.typedflow_call(tracing, (), arguments)
    except errors.DefinitionError as error:
        tracing.mistakes.extend(error.diagnostics)
    finally:
        tracing.scope = before


def _arguments(
    tracing: Trace, handler: Called[..., Any], inputs: Mapping[str, Promise], place: Place
) -> dict[str, Promise]:
    given: dict[str, Promise] = {}
    for name, parameter in handler.signature.parameters.items():
        if parameter.annotation is ExecutionError:
            given[name] = Failure(tracing, parameter.converter.type, ExecutionError)
        elif name in inputs:
            given[name] = inputs[name]
        elif parameter.default is signature.NO_DEFAULT:
            nearest = spelling.nearest(name, list(inputs))
            hint = "annotate it `error: ExecutionError`" if name == "error" else ""
            tracing.mistake(
                diagnostics.PARAMETER_NOT_BOUND,
                f"`on_failure` of {place.what} calls {handler.what}, whose input `{name}` is none of the workflow's",
                place,
                hint=hint or (f"did you mean `{nearest}`?" if nearest else "give it a default"),
            )
            given[name] = tracing.gap(parameter)
    return given
