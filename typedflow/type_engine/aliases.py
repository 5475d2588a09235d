"""Names for other annotations: `NewType`, and `type` statements (`typing_extensions.TypeAliasType`).

A value is converted as one of what the name stands for.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any, get_args, get_origin

if TYPE_CHECKING:
    from typedflow.type_engine import conversion
    from typedflow.type_engine.registry import TypeEngine


def is_alias(annotation: Any) -> bool:
    """Whether the annotation is a name for another."""
    return isinstance(annotation, typing.NewType) or _is_type_alias(get_origin(annotation) or annotation)


def alias_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of what the name stands for, with the arguments put in that a generic one is given."""
    if isinstance(annotation, typing.NewType):
        return engine.converter(annotation.__supertype__)
    origin = get_origin(annotation)
    value = (origin or annotation).__value__
    return engine.converter(value if origin is None else value[get_args(annotation)])


def _is_type_alias(annotation: Any) -> bool:
    return type(annotation).__name__ == "TypeAliasType" and hasattr(annotation, "__value__")
