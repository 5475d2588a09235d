"""What a converter is, and how a value that does not fit is told.

Every family of types derives from `Converter`. Must never know any particular type.
"""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine.data import Data

Place = Callable[[int], str]
"""The path of a list's element by its index: made only when there is something to say about it."""


class Converter(ABC):
    """Converts the values of one annotation.

    Attributes:
        type: what travels in interfaces, and what literals made here have.
    """

    type: types_pb2.LiteralType

    @abstractmethod
    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        """The value as a literal of `type`.

        Args:
            value: what a task returned, or a caller passed.
            path: where it is, for messages: `outputs.model`, `inputs.config.layers[3].width`.
            data: where the bytes of files and frames go.

        Raises:
            ConversionError: the value does not fit; names the path, what was expected and what came.
        """

    @abstractmethod
    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        """The Python value of a literal of `type`; a private copy, which its receiver may change.

        Raises:
            ConversionError: the literal is of another type.
            IntegrityError: bytes that it refers to are gone or damaged.
        """

    @abstractmethod
    def is_exact(self, value: Any) -> bool:
        """Whether the value is of this very type: nothing about it needs conversion. Chooses a union's variant."""

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        """Many values as one packed list."""
        return literals.pack([self.to_literal(value, place(i), data) for i, value in enumerate(values)])

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        """The inverse of `to_column`; takes any packing."""
        return [
            self.from_literal(element, place(i), data) for i, element in enumerate(literals.elements(column))
        ]


def misfit(
    path: str, expected: types_pb2.LiteralType, value: Any, reason: str = "", hint: str = ""
) -> errors.ConversionError:
    """The error for a Python value that is not one of type `expected`."""
    kind = type(value)
    named = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    got = "None" if value is None else f"{shown(value)} ({named})"
    message = f"expected {literal_types.text(expected)}, got {got}"
    return errors.ConversionError(f"{message}: {reason}" if reason else message, where=path, hint=hint)


def mismatch(
    path: str, expected: types_pb2.LiteralType, literal: literals_pb2.Literal
) -> errors.ConversionError:
    """The error for a literal that is not one of type `expected`."""
    kind = literal.WhichOneof("value") or "nothing"
    return errors.ConversionError(
        f"expected {literal_types.text(expected)}, got a literal that holds {kind}", where=path
    )


def shown(value: Any) -> str:
    """A value's repr, short, on one line, and whatever its class does."""
    try:
        return " ".join(_repr.repr(value).split())[:120]
    except Exception:  # noqa: BLE001 - a message about a bad value must not fail on its repr
        return f"<a {type(value).__name__}>"


_repr = reprlib.Repr()
_repr.maxstring = 80
_repr.maxother = 80
_repr.maxlong = 40
