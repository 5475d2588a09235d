"""Dataclasses as records.

A record is made and remade field by field; `__init__` and `__post_init__` of the author's class run as they would for
anyone. Many records are packed column by column, without a literal per cell.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def is_dataclass(annotation: Any) -> bool:
    """Whether the annotation is a dataclass itself, not an instance of one."""
    return isinstance(annotation, type) and dataclasses.is_dataclass(annotation)


def dataclass_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a dataclass. Raises DefinitionError for fields that could not be given back to `__init__`."""
    name = annotation.__name__
    for field in annotation.__dataclass_fields__.values():
        if isinstance(field.type, dataclasses.InitVar) or str(field.type).startswith(
            ("InitVar", "dataclasses.InitVar")
        ):
            raise _unsupported(
                f"`{name}.{field.name}` is an InitVar, whose value the object does not keep",
                "make it a field",
            )
    for field in dataclasses.fields(annotation):
        if not field.init:
            hint = "make it a property, or an ordinary field with a default"
            raise _unsupported(
                f"`{name}.{field.name}` has init=False, so it can't be given back to __init__", hint
            )
    try:
        hints = typing.get_type_hints(annotation, include_extras=True)
    except (NameError, AttributeError, TypeError, SyntaxError) as error:
        hint = "import it, or define it, in the class's module"
        raise _unsupported(f"the fields' types of `{name}` can't be read: {error}", hint) from None
    converters = {}
    for field in dataclasses.fields(annotation):
        try:
            converters[field.name] = engine.converter(hints[field.name])
        except errors.DefinitionError as error:
            message = f"`{name}.{field.name}`: {error.message}"
            raise errors.DefinitionError(message, hint=error.hint, code=error.code) from None
    return RecordConverter(annotation, converters)


class RecordConverter(conversion.Converter):
    """The instances of one dataclass, not of its subclasses: what comes back is the class itself."""

    def __init__(self, cls: type, fields: Mapping[str, conversion.Converter]) -> None:
        self._class = cls
        self._fields = tuple(fields.items())
        missing = dataclasses.MISSING
        self._defaults = frozenset(
            field.name
            for field in dataclasses.fields(cls)
            if field.default is not missing or field.default_factory is not missing
        )
        types = {name: converter.type for name, converter in self._fields}
        self.type = literal_types.record(cls.__name__, types, defaults=self._defaults)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        fields = [
            literals_pb2.FieldValue(
                name=name, value=converter.to_literal(self._get(value, name, path), f"{path}.{name}", data)
            )
            for name, converter in self._fields
        ]
        return literals_pb2.Literal(record=literals_pb2.Record(fields=fields))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "record":
            raise conversion.mismatch(path, self.type, literal)
        given = {field.name: field.value for field in literal.record.fields}
        values = {}
        for name, converter in self._fields:
            if name in given:
                values[name] = converter.from_literal(given[name], f"{path}.{name}", data)
            elif name not in self._defaults:
                raise self._missing(name, path)
        return self._make(values, path)

    def is_exact(self, value: Any) -> bool:
        return type(value) is self._class

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        for i, value in enumerate(values):
            if type(value) is not self._class:
                self._check(value, place(i))
        columns = []
        for name, converter in self._fields:
            cells = [self._get(value, name, place, i) for i, value in enumerate(values)]
            packed = converter.to_column(cells, _field_place(place, name), data)
            columns.append(literals_pb2.RecordColumn(name=name, values=packed))
        return literals_pb2.List(records=literals_pb2.Records(length=len(values), columns=columns))

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "records":
            return super().from_column(column, place, data)
        given = {each.name: each.values for each in column.records.columns}
        cells = {}
        for name, converter in self._fields:
            if name in given:
                cells[name] = converter.from_column(given[name], _field_place(place, name), data)
            elif name not in self._defaults:
                raise self._missing(name, place(0))
        if not cells:
            return [self._make({}, place(i)) for i in range(column.records.length)]
        names = tuple(cells)
        rows = enumerate(zip(*cells.values(), strict=True))
        return [self._make(dict(zip(names, row, strict=True)), place, i) for i, row in rows]

    def _check(self, value: Any, path: str) -> None:
        if type(value) is self._class:
            return
        reason, hint = "", ""
        if isinstance(value, self._class):
            reason = f"a subclass would come back as {self._class.__name__} itself"
        elif isinstance(value, dict):
            hint = f"write {self._class.__name__}(**...)"
        raise conversion.misfit(path, self.type, value, reason, hint)

    def _get(self, value: Any, name: str, path: str | Place, i: int = 0) -> Any:
        try:
            return getattr(value, name)
        except AttributeError:
            where = path if isinstance(path, str) else path(i)
            raise errors.ConversionError(
                "this field has no value", where=f"{where}.{name}", hint="it was deleted"
            ) from None

    def _missing(self, name: str, path: str) -> errors.ConversionError:
        return errors.ConversionError(
            f"field `{name}` of {literal_types.text(self.type)} is missing", where=path
        )

    def _make(self, values: dict[str, Any], path: str | Place, i: int = 0) -> Any:
        try:
            return self._class(**values)
        except Exception as error:
            where = path if isinstance(path, str) else path(i)
            message = f"{self._class.__name__} refuses these values: {type(error).__name__}: {error}"
            raise errors.ConversionError(message, where=where) from error


def _field_place(place: Place, name: str) -> Place:
    return lambda i: f"{place(i)}.{name}"


def _unsupported(message: str, hint: str) -> errors.DefinitionError:
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
