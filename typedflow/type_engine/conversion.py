"""What a converter is, and how a value that does not fit is told.

Every family of types derives from `Converter`. Must never know any particular type.
"""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from typedflow import errors, literal_types, literals
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine.data import Data

_T = TypeVar("_T")
_R = TypeVar("_R")

Class = type[Any]

Place = Callable[[int], str]
"""The path of a list's element by its index: made only when there is something to say about it."""


class Converter(ABC):
    """Converts the values of one annotation.

    Attributes:
        type: what travels in interfaces, and what literals made here have.
        kind: the class that all exact values are of, not of a subclass; None where there is no such class.
        whole: whether all that is of the class is exact, whatever it holds.
    """

    type: types_pb2.LiteralType
    kind: Class | None = None
    whole: bool = False

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

    def is_exact(self, value: Any) -> bool:
        """Whether the value is of this very type: nothing about it needs conversion. Chooses a union's variant."""
        return type(value) is self.kind

    def keyed(self) -> Converter | None:
        """The converter of a dict of such values where that is more than one value for each key."""
        return None

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        """Many values as one packed list."""
        return literals.pack([self.to_literal(value, place(i), data) for i, value in enumerate(values)])

    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None:
        """The same, into an empty list that is part of a message already: one that is made apart has to be copied."""
        column.CopyFrom(self.to_column(values, place, data))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        """The inverse of `to_column`; takes any packing."""
        return [
            self.from_literal(element, place(i), data) for i, element in enumerate(literals.elements(column))
        ]


class FillingConverter(Converter):
    """Packs many values where they are to be."""

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        column = literals_pb2.List()
        self.fill(column, values, place, data)
        return column

    @abstractmethod
    def fill(self, column: literals_pb2.List, values: Sequence[Any], place: Place, data: Data) -> None: ...


class Marker:
    """What means something to converters in `Annotated[T, ...]` derives from this. All else there is ignored."""


def are_all(cls: Class, values: Sequence[Any]) -> bool:
    """Whether all are of the very class. Counting is by identity, and so faster than a set of the classes."""
    return list(map(type, values)).count(cls) == len(values)


def first(
    values: Sequence[Any],
    fits: Callable[[Any], bool],
    misfit: Callable[[Any, str], errors.ConversionError],
    place: Place,
) -> errors.ConversionError:
    """The error for the first of many values that does not fit; one is known not to."""
    i = next(i for i, value in enumerate(values) if not fits(value))
    return misfit(values[i], place(i))


def at(place: str | Place, read: Callable[[_T], _R], value: _T, i: int = 0) -> _R:
    """What `read` makes of a value; its ConversionError is told with the value's path."""
    try:
        return read(value)
    except errors.ConversionError as error:
        where = place if isinstance(place, str) else place(i)
        raise errors.ConversionError(error.message, where=where, hint=error.hint) from None


def misfit(
    path: str, expected: types_pb2.LiteralType, value: Any, reason: str = "", hint: str = ""
) -> errors.ConversionError:
    """The error for a Python value that is not one of type `expected`; a value that may be secret is not shown."""
    if literal_types.has_sensitive(expected):
        reason = reason or "its value is not shown, because it is Sensitive"
        got = "None" if value is None else f"a {class_name(value)}"
    else:
        got = "None" if value is None else f"{shown(value)} ({class_name(value)})"
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


def refused(
    path: str, expected: types_pb2.LiteralType, name: str, error: Exception
) -> errors.ConversionError:
    """The error for values that the author's own class does not take."""
    why = f": {error}" if str(error) and not literal_types.has_sensitive(expected) else ""
    return errors.ConversionError(f"{name} refuses these values: {type(error).__name__}{why}", where=path)


def class_name(value: Any) -> str:
    """The class of a value: `int`, `numpy.float64`."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def shown(value: Any) -> str:
    """A value's repr, short, on one line, and whatever its class does."""
    try:
        return " ".join(_repr.repr(value).split())[:120]
    except Exception:  # noqa: BLE001 - a message about a bad value must not fail on its repr
        return f"<a {type(value).__name__}>"


def field_step(name: str) -> str:
    """What a field adds to a path: `.rate`, `["learning rate"]`."""
    return f".{name}" if name.isidentifier() else key_step(name)


def key_step(key: str) -> str:
    """What a dict's key adds to a path: `["rate"]`."""
    cut = key if len(key) <= _LONGEST_KEY else f"{key[: _LONGEST_KEY - 3]}..."
    shown = (each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)
    return '["' + "".join(f"\\{each}" if each in '"\\' else each for each in shown) + '"]'


_LONGEST_KEY = 60
_repr = reprlib.Repr()
_repr.maxstring = 80
_repr.maxother = 80
_repr.maxlong = 40
