"""Values of types that a transformer takes: encoded, they travel as what it says they travel as.

Must never let through what is not promised: neither what `encode` is not for, nor what `decode` should not give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion, transformers
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.transformers import Transformer

_Published = TypeVar("_Published")


class CustomConverter(conversion.Converter):
    """The instances of one class, by its transformer and the converter of what travels."""

    def __init__(self, transformer: Transformer[Any, Any], representation: conversion.Converter) -> None:
        self._transformer = transformer
        self._representation = representation
        self._class: type = transformer.python_type
        self._name = transformers.wire_name(transformer)
        self.type = literal_types.custom(self._name, representation.type)
        self.kind = None if transformer.subclasses else self._class
        self.whole = not transformer.subclasses

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        with transformers.under_way(data, path, keep=False):
            raw = self._encode(value, path)
            return self._published(lambda: self._representation.to_literal(raw, path, data))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        raw = self._representation.from_literal(literal, path, data)
        with transformers.under_way(data, path, keep=True):
            return self._decode(raw, path)

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, self._class) if self.kind is None else type(value) is self._class

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        with transformers.under_way(data, place(0), keep=False):
            raw = [self._encode(value, place(i)) for i, value in enumerate(values)]
            return self._published(lambda: self._representation.to_column(raw, place, data))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        raw = self._representation.from_column(column, place, data)
        with transformers.under_way(data, place(0), keep=True):
            return [self._decode(each, place(i)) for i, each in enumerate(raw)]

    def _encode(self, value: Any, path: str) -> Any:
        if not self.is_exact(value):
            hint = ""
            if isinstance(value, self._class):
                hint = f"its transformer takes {self._class.__qualname__} itself, and none of its subclasses"
            raise conversion.misfit(path, self.type, value, hint=hint)
        try:
            return self._transformer.encode(value)
        except Exception as error:
            raise self._failed("encode", path, error) from error

    def _decode(self, raw: Any, path: str) -> Any:
        try:
            value = self._transformer.decode(raw)
        except Exception as error:
            raise self._failed("decode", path, error) from error
        if not self.is_exact(value):
            message = f"decode() of the transformer of {self._name} gave a {conversion.class_name(value)}"
            wanted = alternatives.text(self._class)
            raise errors.ConversionError(message, where=path, hint=f"have it return {wanted}, as it promises")
        return value

    def _published(self, publish: Callable[[], _Published]) -> _Published:
        """What travels, converted: where it is not what the transformer promises, that is told of the transformer."""
        try:
            return publish()
        except errors.ConversionError as error:
            message = f"encode() of the transformer of {self._name}: {error.message}"
            raise errors.ConversionError(message, where=error.where, hint=error.hint) from None

    def _failed(self, step: str, path: str, error: Exception) -> errors.TypedflowError:
        if isinstance(error, errors.IntegrityError):
            return error  # of what is stored, and not of the transformer
        why = "" if literal_types.has_sensitive(self.type) else f": {_why(error)}"
        message = f"{step}() of the transformer of {self._name} failed with {type(error).__name__}{why}"
        hint = error.hint if isinstance(error, errors.TypedflowError) else ""
        return errors.ConversionError(message, where=path, hint=hint)


def _why(error: Exception) -> str:
    said = error.message if isinstance(error, errors.TypedflowError) else str(error)
    return " ".join(said.split())[:300] or "it does not say why"


class Transformers:
    """The transformers of one engine, by class. Those of installed distributions are found when nothing else is."""

    def __init__(self) -> None:
        self._factories: dict[type, _Factory] = {}

    def add(self, transformer: Transformer[Any, Any]) -> None:
        """Takes a transformer. One of the same class replaces it: its module, or its cell, was run again.

        Raises:
            DefinitionError: the type has another transformer, or another type goes by its name.
        """
        of, name = transformer.python_type, transformers.wire_name(transformer)
        before = self._factories.get(of)
        if before is not None and not _is_again(before.transformer, transformer):
            message = f"{alternatives.text(of)} has a transformer already, `{_label(before.transformer)}`"
            raise errors.DefinitionError(message, hint=f"register that or `{_label(transformer)}`, not both")
        for other, factory in list(self._factories.items()):
            if other is of or transformers.wire_name(factory.transformer) != name:
                continue
            if alternatives.qualified_name(other) == alternatives.qualified_name(of):
                del self._factories[other]  # the class itself was made again
                continue
            message = f"{alternatives.text(other)} goes by the name {name} already"
            hint = f"give `{_label(transformer)}` a name of its own"
            raise errors.DefinitionError(message, hint=hint)
        self._factories[of] = _Factory(transformer)

    def get(self, annotation: Any) -> _Factory | None:
        """The factory of a class that was registered."""
        return self._factories.get(annotation) if isinstance(annotation, type) else None

    def find(self, annotation: Any) -> _Factory | None:
        """The factory of a class that nothing else takes: from an installed distribution.

        Raises:
            DefinitionError: a distribution's transformer can't be used; only another form of the class has one.
        """
        of = get_origin(annotation) or annotation
        if not isinstance(of, type) or of.__module__ == "builtins":
            return None
        factory = self.get(of) or self._installed(of)
        if factory is not None and of is not annotation:
            message = f"{alternatives.text(annotation)} has arguments, which its transformer knows nothing of"
            raise _unsupported(message, f"annotate it `{of.__qualname__}`")
        if factory is None:
            base = next((each for each in of.__mro__[1:] if self.get(each) is not None), None)
            if base is not None:
                message = f"{alternatives.text(of)} has no transformer, only {alternatives.text(base)} has"
                takes = self._factories[base].transformer.subclasses
                hint = (
                    f", or annotate it `{base.__qualname__}`, whose transformer takes subclasses"
                    if takes
                    else ""
                )
                raise _unsupported(message, f"register one for it{hint}")
        return factory

    def _installed(self, of: type) -> _Factory | None:
        from typedflow.type_engine import installed  # noqa: PLC0415 - reads what is installed

        transformer = installed.find(of)
        if transformer is not None:
            self.add(transformer)
        return self.get(of)


class _Factory:
    """Makes the converter of a class that has a transformer: a `registry.Factory`, which is not imported from below."""

    def __init__(self, transformer: Transformer[Any, Any]) -> None:
        self.transformer = transformer

    def __call__(self, _annotation: Any, engine: Any) -> conversion.Converter:
        name = transformers.wire_name(self.transformer)
        try:
            representation = engine.converter(self.transformer.representation)
        except errors.DefinitionError as error:
            message = f"what {name} travels as: {error.message}"
            raise errors.DefinitionError(message, hint=error.hint, code=error.code) from None
        return CustomConverter(self.transformer, representation)


def _is_again(one: Transformer[Any, Any], other: Transformer[Any, Any]) -> bool:
    return alternatives.qualified_name(type(one)) == alternatives.qualified_name(type(other))


def _label(transformer: Transformer[Any, Any]) -> str:
    return alternatives.qualified_name(type(transformer))


def _unsupported(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
