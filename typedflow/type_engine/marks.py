"""What an author's own function says that a value means: `Annotated[T, HashMethod(f)]`.

It takes the place of the value's digest in cache keys, and changes nothing else about the type. Only whole inputs and
outputs have such a place: what is inside of another value is hashed with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from typedflow import errors
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion
from typedflow.type_engine.data import Data


@dataclass(frozen=True, slots=True)
class HashMethod(conversion.Marker):
    """Says what a value means to the cache: `Annotated[Model, HashMethod(lambda model: model.version)]`.

    Two values for which the function gives the same text are the same to every task that is given them, so what was
    made of one is taken for the other: you vouch for it. It counts where the value is made, in a task's output or in an
    input that a launch or a call gives.

    Args:
        function: takes the value and gives a text. It must give the same for the same value, in every process.

    Example:
        >>> from typing import Annotated
        >>> from typedflow import task
        >>> @task
        ... def load(day: str) -> Annotated[list[float], HashMethod(lambda rows: f"{len(rows)} rows")]:
        ...     return [1.0, 2.0]
        >>> load(day="today")
        [1.0, 2.0]
    """

    function: Callable[[Any], str]

    def __repr__(self) -> str:
        return f"HashMethod({getattr(self.function, '__name__', 'the function')})"

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise errors.DefinitionError(
                f"HashMethod({self.function!r:.80}) is given no function",
                hint="give it one that takes the value and gives a text, as in HashMethod(digest_of)",
            )


class SaidConverter(conversion.Converter):
    """The converter of `T`, whose literals say what they mean.

    Attributes:
        unsaid: the converter of `T` itself.
    """

    def __init__(self, unsaid: conversion.Converter, method: HashMethod) -> None:
        self.unsaid = unsaid
        self.type = unsaid.type
        self.kind, self.whole = unsaid.kind, unsaid.whole
        self._method = method

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        from typedflow import hashing  # noqa: PLC0415 - no definition hashes anything

        literal = self.unsaid.to_literal(value, path, data)
        try:
            said: object = self._method.function(value)
        except Exception as error:
            why = f"{self._method!r} raised {type(error).__name__}"
            raise errors.ConversionError(why, where=path) from error
        if not isinstance(said, str) or not said:
            got = f"a {conversion.class_name(said)}" if said != "" else "an empty text"
            raise errors.ConversionError(
                f"{self._method!r} gave {got}", where=path, hint="let it give a text"
            )
        made = literals_pb2.Literal()
        made.CopyFrom(literal)  # converters may keep what they give
        made.content = hashing.of_said(said)
        return made

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        return self.unsaid.from_literal(literal, path, data)

    def is_exact(self, value: Any) -> bool:
        return self.unsaid.is_exact(value)


def take(annotation: Any) -> tuple[HashMethod | None, Any]:
    """What is said of the annotation's values, and the annotation without it. Raises DefinitionError for two."""
    if get_origin(annotation) is not Annotated:
        return None, annotation
    whole, *metadata = get_args(annotation)
    said = [each for each in metadata if isinstance(each, HashMethod)]
    if any(each is HashMethod for each in metadata):
        raise _unsupported("HashMethod is given no function", "write it as HashMethod(digest_of)")
    if not said:
        return None, annotation
    if len(said) > 1:
        raise _unsupported(f"{alternatives.text(whole)} has two HashMethods", "keep one of them")
    others = [each for each in metadata if each is not said[0]]
    return said[0], Annotated[(whole, *others)] if others else whole


def converter(unsaid: conversion.Converter, method: HashMethod, annotation: Any) -> SaidConverter:
    """The converter of what is marked. Raises DefinitionError for a stream, which is gone once it is read."""
    if unsaid.type.HasField("stream"):
        raise _unsupported(
            f"a HashMethod can't read {alternatives.text(annotation)}: it would be gone then", "give a list"
        )
    return SaidConverter(unsaid, method)


def nested(annotation: Any) -> errors.DefinitionError:
    """That a part of a value is marked."""
    return _unsupported(
        f"{alternatives.text(annotation)} is a part of another type, and a HashMethod is of whole inputs and outputs",
        "mark the whole, as in Annotated[list[T] | None, HashMethod(f)]",
    )


def _unsupported(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
