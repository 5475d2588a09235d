"""Inputs of a launch on their way out: Python values as plain JSON, where that says all of them.

JSON is converted by the server, which knows the types. What has no plain form (a file, a frame, an array) goes as a
literal, and its bytes are uploaded before.
"""

from __future__ import annotations

import dataclasses
import enum
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from typedflow import errors, literals, type_engine
from typedflow.authoring import signature

_PLAIN = frozenset({"simple", "enum", "custom"})


def travels_as_json(value: Any) -> bool:
    """Whether a value is plain, or is made of parts: those are looked at by `as_json`."""
    if isinstance(value, enum.Enum):
        return False
    return (
        value is None
        or isinstance(value, (bool, int, float, str, list, tuple, Mapping))
        or dataclasses.is_dataclass(value)
        or hasattr(type(value), "model_fields")
        or _is_numpy_scalar(value)
    )


def as_json(value: Any, path: str) -> str:
    """A value as JSON.

    Raises:
        ConversionError: something in it has no plain form.
    """
    try:
        return json.dumps(_plain(value, path, set()))
    except RecursionError:
        raise errors.ConversionError("it is nested too deep", where=path) from None


def _plain(value: Any, path: str, around: set[int]) -> object:
    """The plain form; `around` are the containers that a value is in, which it must not hold itself."""
    if isinstance(value, enum.Enum):
        return _by_type(value, path)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if _is_numpy_scalar(value):
        return value.item()
    if isinstance(value, datetime):
        return value.isoformat()
    fields = _fields(value)
    if fields is None and not isinstance(value, (list, tuple)):
        return _by_type(value, path)
    if id(value) in around:
        raise errors.ConversionError("it holds itself", where=path)
    around.add(id(value))
    try:
        if fields is None:
            return [_plain(each, path, around) for each in value]
        for name in fields:
            if not isinstance(name, str):
                raise errors.ConversionError(
                    f"the key {name!r} is no str", where=path, hint="the keys of a dict are str"
                )
        return {name: _plain(each, path, around) for name, each in fields.items()}
    finally:
        around.discard(id(value))


def _fields(value: Any) -> Mapping[Any, Any] | None:
    """The parts of a value that go by name; None when it has none."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return dict(value._asdict())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
    if hasattr(type(value), "model_fields"):
        return {name: getattr(value, name) for name in type(value).model_fields}
    return None


def _by_type(value: Any, path: str) -> object:
    """The plain form of a value whose class says what it is: bytes, a date, a member of an Enum."""
    try:
        converter = signature.types().converter(type(value))
    except errors.DefinitionError:
        converter = None
    if converter is None or converter.type.WhichOneof("type") not in _PLAIN:
        raise errors.ConversionError(
            f"{type(value).__name__} has no plain form",
            where=path,
            hint="give a plain value; a file or a frame can only be an input by itself",
        )
    return literals.to_json(converter.to_literal(value, path, type_engine.NO_DATA), converter.type)


def _is_numpy_scalar(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0
