"""Dataclasses as records, also frozen ones, with slots, keyword-only, inherited and generic ones.

`__init__` and `__post_init__` run as they would for anyone.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Mapping, Sequence
from types import FunctionType
from typing import TYPE_CHECKING, Any, get_origin

from typedflow import errors, literal_types
from typedflow.type_engine import conversion, field_types, records
from typedflow.type_engine.conversion import Place

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def is_dataclass(annotation: Any) -> bool:
    """Whether the annotation is a dataclass, or a generic one with arguments; not an instance of one."""
    cls = get_origin(annotation) or annotation
    return isinstance(cls, type) and dataclasses.is_dataclass(cls)


def dataclass_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a dataclass. Raises DefinitionError for fields that could not be given back to `__init__`."""
    cls = get_origin(annotation) or annotation
    name = field_types.name(annotation)
    for field in cls.__dataclass_fields__.values():
        if isinstance(field.type, dataclasses.InitVar) or str(field.type).startswith(
            ("InitVar", "dataclasses.InitVar")
        ):
            message = f"`{name}.{field.name}` is an InitVar, whose value the object does not keep"
            raise records.unsupported(message, "make it a field")
    fields = dataclasses.fields(cls)
    for field in fields:
        if not field.init:
            message = f"`{name}.{field.name}` has init=False, so it can't be given back to __init__"
            raise records.unsupported(message, "make it a property, or an ordinary field with a default")
    hints = field_types.of(annotation)
    annotations = {field.name: field_types.unwrapped(hints[field.name])[0] for field in fields}
    return DataclassConverter(cls, name, records.converters(name, annotations, engine))


class DataclassConverter(records.ClassConverter):
    """The instances of one dataclass."""

    def __init__(self, cls: type, name: str, fields: Mapping[str, conversion.Converter]) -> None:
        missing = dataclasses.MISSING
        defaults = (
            field.name
            for field in dataclasses.fields(cls)
            if field.default is not missing or field.default_factory is not missing
        )
        types = {field: converter.type for field, converter in fields.items()}
        super().__init__(cls, fields, literal_types.record(name, types, defaults=defaults))
        self._places = _places(cls)
        self._row: Callable[[Any], Any] = operator.attrgetter(*fields) if fields else lambda _: ()

    def _cells(self, values: Sequence[Any], place: Place) -> Sequence[Sequence[Any]]:
        self._check_all(values, place)
        try:
            rows = list(map(self._row, values))
        except AttributeError:
            raise self._deleted(values, place) from None
        return [rows] if len(self.fields) == 1 else list(zip(*rows, strict=True))

    def _by_place(self, cells: Mapping[str, Sequence[Any]]) -> bool:
        return bool(cells) and tuple(cells) == self._places[: len(cells)]

    def _deleted(self, values: Sequence[Any], place: Place) -> errors.ConversionError:
        i, name = next(
            (i, name) for i, value in enumerate(values) for name in self.fields if not hasattr(value, name)
        )
        return errors.ConversionError(
            "this field has no value", where=f"{place(i)}.{name}", hint="it was deleted"
        )


def _places(cls: type) -> tuple[str, ...]:
    """The arguments that a class takes by their places, where its own `__init__` says so."""
    init = cls.__init__  # type: ignore[misc]  # of the class, whose fields it takes
    if not isinstance(init, FunctionType) or "__new__" in {
        name for base in cls.__mro__[:-1] for name in vars(base)
    }:
        return ()
    return init.__code__.co_varnames[1 : init.__code__.co_argcount]
