"""A direct call's arguments, by name and checked, and what a checked value is to whoever gets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from typedflow import errors, spelling, type_engine
from typedflow.authoring import signature
from typedflow.type_engine import author_errors


def by_name(
    read: signature.Signature, args: Sequence[Any], kwargs: Mapping[str, Any], what: str
) -> dict[str, Any]:
    """A call's arguments by name, defaults filled in. Raises ConversionError that names everything wrong with them."""
    names = list(read.parameters)
    wrong = []
    if len(args) > len(names):
        wrong.append(f"it takes {len(names)} values, not {len(args)}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name not in read.parameters:
            nearest = spelling.nearest(name, names)
            wrong.append(f"it has no input `{name}`" + (f", did you mean `{nearest}`?" if nearest else ""))
        elif name in given:
            wrong.append(f"input `{name}` is given twice")
        given[name] = value
    for name, parameter in read.parameters.items():
        if name not in given:
            if parameter.default is signature.NO_DEFAULT:
                wrong.append(f"input `{name}` is missing")
            given[name] = parameter.default
    if wrong:
        raise errors.ConversionError("; ".join(wrong), where=what)
    return {name: given[name] for name in names}


def checked(read: signature.Signature, given: Mapping[str, Any], data: type_engine.Data) -> dict[str, Any]:
    """Each argument as a task would get it. Raises ConversionError for one that does not fit; names the path."""
    return author_errors.as_they_are(
        lambda: {name: value_of(read.parameters[name], value, name, data) for name, value in given.items()}
    )


def value_of(
    variable: signature.Parameter | signature.Output, value: Any, path: str, data: type_engine.Data
) -> Any:
    """The value as a task would get it; what is dear to copy (files, folders, frames, arrays) as it is."""
    literal = variable.converter.to_literal(value, path, data)
    if literal.WhichOneof("value") in ("file", "directory", "frame", "array"):
        return value
    return variable.converter.from_literal(literal, path, data)
