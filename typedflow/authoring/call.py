"""A task's function called with literals: convert the inputs, call, convert the outputs.

The one way in which a task's body is run with typed values, in this process and in an attempt's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from typedflow import errors, type_engine
from typedflow.authoring import context
from typedflow.authoring.task import Task
from typedflow.pb import literals_pb2
from typedflow.type_engine import author_errors


def run(
    task: Task[..., Any],
    inputs: literals_pb2.LiteralMap,
    running: context.TaskContext,
    data: type_engine.Data,
    *,
    function: Callable[..., Any] | None = None,
    converting: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
) -> literals_pb2.LiteralMap:
    """Runs the task's body, or `function` in its place, and gives its outputs in order.

    Each call gets its own copy of every value.

    Args:
        converting: what is around conversions, and not around the body.

    Raises:
        ConversionError: an input or an output that does not fit its type; whatever the body raises passes as it is.
    """
    with converting():
        given = arguments(task, inputs, data)
    with context.entered(running):
        result = (function or task.function)(**given)
        # In here, because a generator's body runs while its elements are written.
        return author_errors.as_they_are(lambda: _outputs(task, result, data, converting))


def arguments(
    task: Task[..., Any], inputs: literals_pb2.LiteralMap, data: type_engine.Data
) -> dict[str, Any]:
    """What the task's function is called with. Raises ConversionError for an input that does not fit its type."""
    given = {each.name: each.value for each in inputs.values}
    made = {}
    for name, parameter in task.signature.parameters.items():
        literal = given.get(name)
        if literal is None:
            raise errors.ConversionError(
                "there is no value", where=f"inputs.{name}", hint="register the workflow again"
            )
        made[name] = parameter.converter.from_literal(literal, f"inputs.{name}", data)
    return made


def _outputs(
    task: Task[..., Any],
    result: Any,
    data: type_engine.Data,
    converting: Callable[[], contextlib.AbstractContextManager[None]],
) -> literals_pb2.LiteralMap:
    outputs = literals_pb2.LiteralMap()
    values = task.signature.values(result, task.short_name)
    with converting():
        for output, value in zip(task.signature.outputs, values, strict=True):
            literal = output.converter.to_literal(value, f"outputs.{output.name}", data)
            outputs.values.add(name=output.name, value=literal)
    return outputs
