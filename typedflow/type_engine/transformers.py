"""`Transformer`: how values of a type that typedflow does not know travel as values of one that it does.

What an author writes and what a plug-in brings. Must never know an engine: it is the same in all of them.
"""

from __future__ import annotations

import contextlib
import re
import typing
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from typedflow import errors

if TYPE_CHECKING:
    from pathlib import Path

    from typedflow.type_engine.data import Data

_Value = TypeVar("_Value")
_Raw = TypeVar("_Raw")

_NAME = re.compile(r"[^\W\d]\w*(\.([^\W\d]\w*|<locals>))*")
_LONGEST_NAME = 200


class Transformer(ABC, Generic[_Value, _Raw]):
    """How values of one class travel: as values of another type, which may be any that typedflow takes.

        @register_transformer
        class MoleculeTransformer(Transformer[Molecule, str]):
            def encode(self, value: Molecule) -> str:
                return value.smiles()

            def decode(self, raw: str) -> Molecule:
                return Molecule.parse(raw)

    Attributes:
        name: what the type is called in interfaces; only a type of the same name and representation takes its place.
            The class's module and qualified name where it is empty. Another name is how the form of what travels is
            changed: values of the old one are then no longer taken for values of the new.
        subclasses: whether instances of subclasses travel too: only where `decode` gives back what `encode` was given.
        python_type: the class, read from `Transformer[Molecule, ...]`; may be set on an instance instead.
        representation: the annotation of what travels, likewise.
    """

    name: str = ""
    subclasses: bool = False
    python_type: Any = None
    representation: Any = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        arguments = _arguments(cls)
        if arguments is not None:
            cls.python_type, cls.representation = arguments

    @abstractmethod
    def encode(self, value: _Value) -> _Raw:
        """What travels for a value. Whatever it raises is told with the place of the value."""

    @abstractmethod
    def decode(self, raw: _Raw) -> _Value:
        """The value again: an instance of the class. `raw` is private to it. What it raises is told likewise."""

    def new_folder(self) -> Path:
        """An empty folder for files, while a value is under way.

        In `encode` it is gone when what travels has been published; in `decode` it stays as long as the files that the
        task received.

        Raises:
            UsageError: no value is under way.
            ConversionError: there is no place for files, as in a definition.
        """
        place = _UNDER_WAY.get()
        if place is None:
            raise errors.UsageError("new_folder() is for encode() and decode() while a value is converted")
        place.data.require(place.path, "a value that is made of files")
        folder = place.data.new_folder()
        place.folders.append(folder)
        return folder


def wire_name(transformer: Transformer[Any, Any]) -> str:
    """What the type is called in interfaces."""
    of = transformer.python_type
    return transformer.name or f"{of.__module__}.{of.__qualname__}"


def check(transformer: object) -> Transformer[Any, Any]:
    """A transformer that can be registered, made where a class is given. Raises DefinitionError."""
    if isinstance(transformer, type) and issubclass(transformer, Transformer):
        made_from = transformer
        try:
            transformer = made_from()
        except TypeError as error:
            hint = "define encode() and decode(), or give a Transformer that is made already"
            raise _wrong(f"{made_from.__qualname__} can't be made without arguments: {error}", hint) from None
    if not isinstance(transformer, Transformer):
        hint = "derive its class from Transformer[Type, Representation]"
        raise _wrong(f"{transformer!r:.80} is not a Transformer", hint)
    label, of = type(transformer).__qualname__, transformer.python_type
    if of is None or isinstance(of, (TypeVar, str, typing.ForwardRef)):
        hint = "say it with the classes themselves, as in `class X(Transformer[Molecule, str])`"
        raise _wrong(f"`{label}` does not say which type it is for", hint)
    origin = typing.get_origin(of)
    if not isinstance(of, type) or origin is not None:
        hint = f"make it one for `{origin.__qualname__}`" if isinstance(origin, type) else ""
        raise _wrong(f"`{label}` is for {of!r}, and a transformer is for a class", hint)
    name: object = wire_name(transformer)
    if not isinstance(name, str) or len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        hint = 'write it as a module and a class, as in name = "chemistry.Molecule"'
        raise _wrong(f"`{label}` has the name {name!r:.80}, which is not the name of a type", hint)
    return transformer


def _wrong(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint)


# What `Transformer[A, B]` says


def _arguments(cls: type) -> tuple[Any, Any] | None:
    """The class and the representation that a subclass names in its bases, through generic ones; None for neither."""
    for base in cls.__dict__.get("__orig_bases__", ()):
        origin = typing.get_origin(base)
        if not isinstance(origin, type) or not issubclass(origin, Transformer):
            continue
        given = typing.get_args(base)
        if origin is Transformer:
            return given[0], given[1]
        parameters = dict(zip(getattr(origin, "__parameters__", ()), given, strict=False))
        return _filled(origin.python_type, parameters), _filled(origin.representation, parameters)
    return None


def _filled(annotation: Any, parameters: dict[Any, Any]) -> Any:
    """The annotation with its type variables replaced."""
    if isinstance(annotation, TypeVar):
        return parameters.get(annotation, annotation)
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation
    free = getattr(annotation, "__parameters__", ())
    return annotation[tuple(parameters.get(each, each) for each in free)] if free else annotation


# Where files go while a value is under way


@dataclass(frozen=True, slots=True)
class _Place:
    data: Data
    path: str
    folders: list[Path] = field(default_factory=list)


_UNDER_WAY: ContextVar[_Place | None] = ContextVar("typedflow_value_under_way", default=None)


@contextlib.contextmanager
def under_way(data: Data, path: str, *, keep: bool) -> Iterator[None]:
    """While values are converted: `new_folder` makes its folders there; they are gone afterwards unless kept."""
    place = _Place(data, path)
    token = _UNDER_WAY.set(place)
    try:
        yield
    finally:
        _UNDER_WAY.reset(token)
        if place.folders and not keep:
            import shutil  # noqa: PLC0415 - most transformers make no files

            for folder in place.folders:
                shutil.rmtree(folder, ignore_errors=True)
