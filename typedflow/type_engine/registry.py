"""The registry: which converter an annotation has.

An annotation is looked up by itself, then by the qualified name of its class, then by its origin (`list` of
`list[int]`), then among the transformers, then by predicates in the order of their registration, and at last among the
transformers that installed distributions bring. What is registered is a factory of converters;
the converter of an annotation is made once. Must never import a library for the sake of its types: those are
registered by name.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from typing import Annotated, Any, get_args, get_origin

from typedflow import errors, literal_types
from typedflow.type_engine import alternatives, custom, marks, sensitive, transformers
from typedflow.type_engine.conversion import Converter, Marker

__all__ = ["MOST_LEVELS", "Factory", "Marker", "TypeEngine"]

MOST_LEVELS = 24
"""How deep a type may be nested."""

_MOST_UNDER_WAY = 16 * MOST_LEVELS
"""Annotations within each other: more than levels, as an alias and what is Annotated are none of their own."""

Factory = Callable[[Any, "TypeEngine"], Converter]
"""Makes the converter of an annotation; asks the engine for those of its parts. Raises DefinitionError."""


class TypeEngine:
    """Converters by annotation. An instance stands alone: what is registered in one is unknown to others.

    engine = TypeEngine()
    engine.register(int, lambda annotation, engine: IntConverter())
    engine.converter(int).type    # literal_types.INT
    """

    def __init__(self) -> None:
        self._exact: dict[Any, Factory] = {}
        self._named: dict[str, Factory] = {}
        self._origins: dict[Any, Factory] = {}
        self._predicates: list[tuple[Callable[[Any], bool], Factory]] = []
        self._markers: dict[Factory, frozenset[str]] = {}
        self._last: list[tuple[Callable[[Any], bool], Factory]] = []
        self._marked: dict[str, Factory] = {}
        self._transformers = custom.Transformers()
        self._made: dict[Any, Converter] = {}
        self._said: dict[
            Any, Converter
        ] = {}  # of what is marked by a HashMethod: only whole variables may be
        self._under_way: list[Any] = []
        self._lock = threading.RLock()

    def register(self, annotation: Any, factory: Factory, *, markers: Sequence[type[Marker]] = ()) -> None:
        """Gives one annotation a converter.

        Args:
            markers: what the factory understands in `Annotated[annotation, ...]`; it is then handed the whole of it.
        """
        self._exact[annotation] = factory
        self._markers[factory] = frozenset(alternatives.qualified_name(each) for each in markers)

    def register_name(self, qualified: str, factory: Factory, *, markers: Sequence[str] = ()) -> None:
        """The same by modules and qualified names, `pandas.DataFrame`, without importing any of them."""
        self._named[qualified] = factory
        self._markers[factory] = frozenset(markers)

    def register_origin(self, origin: Any, factory: Factory) -> None:
        """Gives all annotations of one origin converters: `list` is that of `list[int]`."""
        self._origins[origin] = factory

    def register_predicate(self, accepts: Callable[[Any], bool], factory: Factory) -> None:
        """Gives converters to the annotations for which `accepts` is true and which nothing else takes."""
        self._predicates.append((accepts, factory))

    def register_last(self, accepts: Callable[[Any], bool], factory: Factory) -> None:
        """The same for what has no transformer either, and may be given one."""
        self._last.append((accepts, factory))

    def register_marker(self, qualified: str, factory: Factory) -> None:
        """Gives every `Annotated[T, marker]` a converter, whatever `T` is, by the marker's qualified name."""
        self._marked[qualified] = factory

    def register_transformer(self, transformer: transformers.Transformer[Any, Any]) -> None:
        """Gives a class that nothing else takes a converter.

        Raises:
            DefinitionError: something else takes it, or it, or its name, has another transformer.
        """
        of = transformer.python_type
        with self._lock:
            if self._transformers.get(of) is None and self.takes(of):
                message = f"{alternatives.text(of)} is one of typedflow's own types, and needs no transformer"
                raise errors.DefinitionError(
                    message, hint="leave it out, or make a class of your own around it"
                )
            self._transformers.add(transformer)
            self._said.clear()
            self._made.clear()  # what was made before keeps its converters; what is asked for again is made anew

    def takes(self, annotation: Any) -> bool:
        """Whether the annotation is taken by something that no transformer can replace, or was given one."""
        if self._find(annotation) is None:
            return False
        try:
            self.converter(annotation)
        except errors.DefinitionError:
            return False
        return True

    def converter(self, annotation: Any) -> Converter:
        """The converter of an annotation, the same one each time.

        Raises:
            DefinitionError: it is not supported (code UnsupportedType) or too deep (NestingTooDeep).
        """
        # `int | str` equals `str | int`, but their variants are tagged in declared order; their texts differ.
        key = annotation if type(annotation) is type else (annotation, repr(annotation))
        try:
            made = self._made.get(key)
        except TypeError:  # it can't be hashed, as metadata that is a list can't: it is made each time
            with self._lock:
                return self._make(annotation)
        if made is not None:
            return made
        with self._lock:
            made = self._said.get(key) if not self._under_way else None
            if made is None:
                made = self._make(annotation)
                kept = self._said if isinstance(made, marks.SaidConverter) else self._made
                kept[key] = made
        return made

    def _make(self, annotation: Any) -> Converter:
        # Arguments of a generic class are put in anew each time, so that it is equal to itself, and not the same.
        if any(each is annotation or each == annotation for each in self._under_way):
            message = f"{alternatives.text(annotation)} holds itself"
            raise errors.DefinitionError(message, hint="keep ids in place of objects", code="UnsupportedType")
        if len(self._under_way) > _MOST_UNDER_WAY:
            raise _too_deep(annotation)
        method, rest = marks.take(annotation)
        if method is not None:
            if self._under_way:
                raise marks.nested(annotation)
            return marks.converter(self.converter(rest), method, rest)
        said, rest = _take_sensitive(annotation)
        if said:
            return sensitive.SensitiveConverter(self.converter(rest))
        self._under_way.append(annotation)
        try:
            factory, whole = self._factory(annotation)
            made = factory(whole, self)
        except RecursionError:
            raise _too_deep(annotation) from None
        finally:
            self._under_way.pop()
        if literal_types.depth(made.type) > MOST_LEVELS:
            raise _too_deep(annotation)
        return made

    def _factory(self, annotation: Any) -> tuple[Factory, Any]:
        """The factory that takes the annotation, and what to hand it."""
        whole = annotation
        metadata: Sequence[Any] = ()
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
        for each in metadata:
            kind = each if isinstance(each, type) else type(each)
            taking_all = self._marked.get(alternatives.qualified_name(kind))
            if taking_all is not None:
                return taking_all, whole
        if not isinstance(annotation, Hashable) or isinstance(
            annotation, tuple
        ):  # a value: `[int]` for `list[int]`
            raise _unsupported(annotation)
        factory = self._find(annotation) or self._transformers.find(annotation)
        if factory is None:
            factory = next((factory for accepts, factory in self._last if accepts(annotation)), None)
        if factory is None:
            raise _unsupported(annotation)
        understood = self._markers.get(factory, frozenset())
        marked = False
        for each in metadata:
            if not understood.isdisjoint(map(alternatives.qualified_name, type(each).__mro__)):
                marked = True
            elif isinstance(each, Marker) or _is_marker_class(each):
                message = f"{each!r} says nothing about {alternatives.text(annotation)}"
                raise errors.DefinitionError(
                    message, hint=f"leave it out of {alternatives.text(whole)}", code="UnsupportedType"
                )
        return factory, whole if marked else annotation

    def _find(self, annotation: Any) -> Factory | None:
        origin = get_origin(annotation)
        try:
            factory = self._exact.get(annotation)
        except TypeError:
            factory = None  # it can't be hashed, so nobody has registered it
        if factory is None:
            factory = self._named.get(alternatives.qualified_name(origin or annotation))
        if factory is None:
            factory = self._origins.get(origin or annotation)
        if factory is None:
            factory = self._transformers.get(annotation)
        if factory is None:
            factory = next((factory for accepts, factory in self._predicates if accepts(annotation)), None)
        return factory


def _take_sensitive(annotation: Any) -> tuple[bool, Any]:
    """Whether the annotation is marked as Sensitive, and what it is without the mark."""
    if get_origin(annotation) is not Annotated:
        return False, annotation
    whole, *metadata = get_args(annotation)
    others = [
        each
        for each in metadata
        if each is not sensitive.Sensitive and not isinstance(each, sensitive.Sensitive)
    ]
    if len(others) == len(metadata):
        return False, annotation
    return True, Annotated[(whole, *others)] if others else whole


def _is_marker_class(metadata: Any) -> bool:
    return isinstance(metadata, type) and issubclass(metadata, Marker)


def _unsupported(annotation: Any) -> errors.DefinitionError:
    message = f"{alternatives.text(annotation)} is not a supported type"
    return errors.DefinitionError(message, hint=alternatives.hint(annotation), code="UnsupportedType")


def _too_deep(annotation: Any) -> errors.DefinitionError:
    message = f"{alternatives.text(annotation)[:80]} is nested deeper than {MOST_LEVELS} levels"
    return errors.DefinitionError(message, hint="flatten it, or keep it in a File", code="NestingTooDeep")
