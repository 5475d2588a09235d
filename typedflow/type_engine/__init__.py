"""Values: from Python objects to literals and back, by their annotations.

    engine = type_engine.standard()
    converter = engine.converter(list[float])
    literal = converter.to_literal([0.5, 1.0], "inputs.rates", data)

The registry is an instance that dispatches on annotations; each family of types has a module. Nothing here pickles a
value, guesses a type from a value, or changes one silently: what does not fit is an error that names the place.
Libraries of frames are imported when a value of theirs is first converted, and not before; the families of files and
of frames are themselves loaded by the first annotation that is one of theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.type_engine.conversion import Converter
from typedflow.type_engine.data import NO_DATA, Data
from typedflow.type_engine.registry import TypeEngine
from typedflow.type_engine.standard import standard

if TYPE_CHECKING:
    from typedflow.type_engine.files import File, Format

__all__ = ["NO_DATA", "Converter", "Data", "File", "Format", "TypeEngine", "standard"]


def __getattr__(name: str) -> object:
    """Loads the family of files when it is first named."""
    if name not in ("File", "Format"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from typedflow.type_engine import files

    return getattr(files, name)
