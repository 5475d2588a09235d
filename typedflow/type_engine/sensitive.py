"""Values that are shown to nobody: `Annotated[T, Sensitive]`.

What goes wrong with one is told by its path and what was expected there, and by nothing else: the converter of `T` may
say what it likes, its words end here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

_R = TypeVar("_R")


class Sensitive(conversion.Marker):
    """Marks a type whose values are shown to nobody: `Annotated[str, Sensitive]`.

    They travel and are stored as any other, but answers, messages and the console have `***` in their place, and what
    is Sensitive can't be given where it would not be.
    """


class SensitiveConverter(conversion.Converter):
    """The converter of `T`, silent.

    Attributes:
        shown: the converter of `T` itself.
    """

    def __init__(self, shown: conversion.Converter) -> None:
        self.shown = shown
        self.type = literal_types.sensitive(shown.type)
        self.kind, self.whole = shown.kind, shown.whole

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        return self._quietly(lambda: self.shown.to_literal(value, path, data), path)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        return self._quietly(lambda: self.shown.from_literal(literal, path, data), path)

    def is_exact(self, value: Any) -> bool:
        return self.shown.is_exact(value)

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        try:
            return self.shown.to_column(values, place, data)
        except errors.ConversionError:
            pass
        return super().to_column(values, place, data)

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        try:
            return self.shown.from_column(column, place, data)
        except errors.ConversionError:
            pass
        return super().from_column(column, place, data)

    def _quietly(self, convert: Callable[[], _R], path: str) -> _R:
        try:
            return convert()
        except errors.ConversionError:
            pass
        # Outside of the handler, so that the error that may show the value is not kept with this one.
        message = f"expected {literal_types.text(self.type)}, and what is given is something else"
        raise errors.ConversionError(message, where=path)
