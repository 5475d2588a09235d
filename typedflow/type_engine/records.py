"""Values with named fields, as records: what dataclasses, tuples, NamedTuples, TypedDicts and pydantic models share.

A record is made and remade field by field; the author's own class runs as it would for anyone. Many records are packed
column by column, without a literal per cell.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import conversion
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


class FieldsConverter(conversion.Converter):
    """What has named fields: how it is read. What of it is written is left to those that derive from this.

    Attributes:
        fields: the converter of each field, in declared order.
    """

    def __init__(self, fields: Mapping[str, conversion.Converter], of: types_pb2.LiteralType) -> None:
        self.fields = dict(fields)
        self.type = of
        self._may_lack = frozenset(
            each.name for each in of.record.fields if each.has_default or each.optional
        )

    @abstractmethod
    def _made(self, cells: Mapping[str, Sequence[Any]], count: int, place: Place) -> list[Any]:
        """Instances from what each of them holds, a sequence for each field; fields that may lack may be absent."""

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "record":
            raise conversion.mismatch(path, self.type, literal)
        given = {field.name: field.value for field in literal.record.fields}
        cells = {
            name: (converter.from_literal(given[name], path + self._step(name), data),)
            for name, converter in self.fields.items()
            if self._has(name, given, path)
        }
        return self._made(cells, 1, lambda _: path)[0]

    def from_column(self, column: literals_pb2.List, place: Place, data: Data) -> list[Any]:
        if column.WhichOneof("column") != "records":
            return super().from_column(column, place, data)
        given = {each.name: each.values for each in column.records.columns}
        cells = {
            name: converter.from_column(given[name], self._within(place, name), data)
            for name, converter in self.fields.items()
            if self._has(name, given, place)
        }
        return self._made(cells, column.records.length, place)

    def _has(self, name: str, given: Mapping[str, object], place: str | Place) -> bool:
        """Whether the field is given. Raises ConversionError where it must be and is not."""
        if name in given:
            return True
        if name not in self._may_lack:
            where = place if isinstance(place, str) else place(0)
            message = f"field `{name}` of {literal_types.text(self.type)} is missing"
            raise errors.ConversionError(message, where=where)
        return False

    def _step(self, name: str) -> str:
        """What a field adds to a path."""
        return f".{name}"

    def _within(self, place: Place, name: str) -> Place:
        return lambda i: place(i) + self._step(name)


class RecordConverter(FieldsConverter):
    """What has all of its fields: the instances of one class, not of its subclasses, since the class comes back."""

    whole = True

    @abstractmethod
    def _cells(self, values: Sequence[Any], place: Place) -> Sequence[Sequence[Any]]:
        """What instances hold, a sequence for each field.

        Raises ConversionError for what is no instance, or would not come back as it is.
        """

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        cells = self._cells((value,), lambda _: path)
        fields = [
            literals_pb2.FieldValue(
                name=name, value=converter.to_literal(cell[0], path + self._step(name), data)
            )
            for (name, converter), cell in zip(self.fields.items(), cells, strict=True)
        ]
        return literals_pb2.Literal(record=literals_pb2.Record(fields=fields))

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        columns = [
            literals_pb2.RecordColumn(
                name=name, values=converter.to_column(cells, self._within(place, name), data)
            )
            for (name, converter), cells in zip(self.fields.items(), self._cells(values, place), strict=True)
        ]
        return literals_pb2.List(records=literals_pb2.Records(length=len(values), columns=columns))


class ClassConverter(RecordConverter):
    """The instances of an author's class, which may refuse what it is made from."""

    def __init__(
        self, cls: type[Any], fields: Mapping[str, conversion.Converter], of: types_pb2.LiteralType
    ) -> None:
        super().__init__(fields, of)
        self.kind = self._class = cls

    def _made(self, cells: Mapping[str, Sequence[Any]], count: int, place: Place) -> list[Any]:
        if self._by_place(cells):
            try:
                return list(map(self._class, *cells.values()))
            except Exception:  # noqa: BLE001, S110 - the author's class may raise anything; below is found for which values
                pass
        return [self._new(row, place, i) for i, row in enumerate(by_name(cells, count))]

    def _by_place(self, cells: Mapping[str, Sequence[Any]]) -> bool:
        """Whether the class takes these fields by their places, in this order."""
        return False

    def _new(self, values: dict[str, Any], place: Place, i: int) -> Any:
        """An instance. Raises ConversionError that tells why the class refuses the values."""
        try:
            return self._class(**values)
        except Exception as error:
            told = self._refused(error, place(i))
            if not literal_types.has_sensitive(self.type):
                raise told from error
        raise told  # outside of the handler: the error that may show a secret is not kept with it

    def _refused(self, error: Exception, path: str) -> errors.ConversionError:
        why = "" if literal_types.has_sensitive(self.type) or not str(error) else f": {error}"
        message = f"{self.type.record.name} refuses these values: {type(error).__name__}{why}"
        return errors.ConversionError(message, where=path)

    def _check(self, value: Any, path: str) -> None:
        if type(value) is self._class:
            return
        reason, hint = "", ""
        if isinstance(value, self._class):
            reason = f"a subclass would come back as {self._class.__name__} itself"
        elif isinstance(value, dict):
            hint = f"write {self._class.__name__}(**...)"
        raise conversion.misfit(path, self.type, value, reason, hint)

    def _check_all(self, values: Sequence[Any], place: Place) -> None:
        if not conversion.are_all(self._class, values):
            for i, value in enumerate(values):
                self._check(value, place(i))


def by_name(cells: Mapping[str, Sequence[Any]], count: int) -> list[dict[str, Any]]:
    """Each instance's fields by name."""
    if not cells:
        return [{} for _ in range(count)]
    names = tuple(cells)
    return [dict(zip(names, row, strict=True)) for row in zip(*cells.values(), strict=True)]


def converters(
    name: str, annotations: Mapping[str, Any], engine: TypeEngine
) -> dict[str, conversion.Converter]:
    """The converters of a class's fields. Raises DefinitionError that names the field."""
    made = {}
    for field, annotation in annotations.items():
        try:
            made[field] = engine.converter(annotation)
        except errors.DefinitionError as error:
            message = f"`{name}.{field}`: {error.message}"
            raise errors.DefinitionError(message, hint=error.hint, code=error.code) from None
    return made


def unsupported(message: str, hint: str) -> errors.DefinitionError:
    """The error for a class whose instances could not come back."""
    return errors.DefinitionError(message, hint=hint, code="UnsupportedType")
