"""What a body that was traced has returned: its outputs, each bound to what gives it its value.

Of a workflow's body, and of a dynamic task's. What is of another form than the signature says is noted in the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from typedflow import errors, literal_types
from typedflow.authoring import binding, trace
from typedflow.authoring.binding import Place
from typedflow.authoring.called import Called
from typedflow.authoring.promise import Nothing
from typedflow.compiler import diagnostics
from typedflow.pb import workflows_pb2


def values(called: Called[..., Any], tracing: trace.Trace, result: Any, place: Place) -> Sequence[Any]:
    """What the body returned, output by output; gaps where it is of another form, which is noted."""
    read = called.signature
    if not read.outputs and isinstance(result, Nothing):
        return ()  # `return last()` of a workflow that gives nothing
    if result is None and read.outputs and not read.takes_none:
        expected = ", ".join(literal_types.text(output.converter.type) for output in read.outputs)
        tracing.mistake(
            diagnostics.INVALID_VALUE,
            f"{called.what} returns nothing, and is to give {expected}",
            place,
            expected=expected,
            given="None",
            hint="end its body with `return ...`, or annotate it `-> None`",
        )
        return [tracing.gap(output) for output in read.outputs]
    try:
        return read.values(result, called.short_name)
    except errors.ConversionError as error:
        tracing.mistake(diagnostics.MISMATCHING_TYPES, error.message, place, hint=error.hint)
        return [tracing.gap(output) for output in read.outputs]


def finish(
    called: Called[..., Any],
    tracing: trace.Trace,
    values: Sequence[Any],
    template: workflows_pb2.WorkflowTemplate,
) -> None:
    """Puts what was traced, and the outputs' bindings, into the template."""
    read = called.signature
    for output, value in zip(read.outputs, values, strict=True):
        bound = workflows_pb2.Binding(variable=output.name)
        place = Place("", template.position, read.output_text(output.name, called.what))
        binding.bind(tracing, bound.value, value, output, place)
        template.outputs.append(bound)
    template.nodes.extend(tracing.nodes)
