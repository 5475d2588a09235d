"""Which inputs of a mapped call are lists of which each slot gets one element, told by the values themselves.

For calls that run here; a workflow's map is told by the types of what it is bound to, which the compiler does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typedflow import errors, type_engine
from typedflow.authoring import hints, signature
from typedflow.authoring.mapping import MapTask
from typedflow.compiler import diagnostics


def over(mapped: MapTask[Any], given: Mapping[str, Any], data: type_engine.Data) -> list[str]:
    """The inputs of which each slot gets one element. Raises ConversionError where that is not clear."""
    what = f"map of {mapped.task.what}"
    found = [name for name in given if _is_mapped(mapped, name, given[name], data)]
    unknown = [name for name in mapped.over if name not in given]
    if unknown:
        raise errors.ConversionError(f"there is no input `{unknown[0]}` to map over", where=what)
    if not found:
        raise errors.ConversionError(
            "no input is given a list of what the task takes",
            where=what,
            hint="give a list to an input, or call the task itself",
            code=diagnostics.MAP_INPUT_NOT_LIST,
        )
    lengths = {name: len(given[name]) for name in found}
    if len(set(lengths.values())) > 1:
        raise errors.ConversionError(
            f"the mapped lists are of several lengths: {', '.join(f'`{n}` {c}' for n, c in lengths.items())}",
            where=what,
            code=diagnostics.MAP_LENGTHS_DIFFER,
        )
    return found


def _is_mapped(mapped: MapTask[Any], name: str, value: Any, data: type_engine.Data) -> bool:
    if name in mapped.over and isinstance(value, list):
        return True
    if mapped.over or not isinstance(value, list):
        if name in mapped.over:
            raise errors.ConversionError(
                f"expected a list, got {value!r:.80}", where=name, code=diagnostics.MAP_INPUT_NOT_LIST
            )
        return False
    parameter = mapped.task.signature.parameters[name]
    whole = _fits(parameter.converter, value, data)
    slots = _fits(signature.types().converter(hints.list_of(parameter.annotation)), value, data)
    if whole and slots:
        raise errors.ConversionError(
            "this list may be one value for all slots, or one for each",
            where=name,
            hint=f"say which: `over=({name!r},)` maps it",
            code=diagnostics.AMBIGUOUS_MAP_INPUT,
        )
    return not whole


def _fits(converter: type_engine.Converter, value: Any, data: type_engine.Data) -> bool:
    try:
        converter.to_literal(value, "", data)
    except errors.ConversionError:
        return False
    return True
