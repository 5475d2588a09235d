"""TypedDicts as records: plain dicts whose keys and their types are declared.

A key that is NotRequired and absent stays absent. What comes back has its keys in declared order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_origin

from typedflow import errors, literal_types, literals, spelling
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, field_types, records
from typedflow.type_engine.conversion import Place
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def is_typed_dict(annotation: Any) -> bool:
    """Whether the annotation is a TypedDict of `typing` or of `typing_extensions`, or a generic one with arguments."""
    cls = get_origin(annotation) or annotation
    return isinstance(cls, type) and issubclass(cls, dict) and hasattr(cls, "__required_keys__")


def typed_dict_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a TypedDict."""
    cls = get_origin(annotation) or annotation
    name = field_types.name(annotation)
    annotations, optional = {}, set()
    for key, hint in field_types.of(annotation).items():
        annotations[key], said = field_types.unwrapped(hint)
        # What the annotation itself says goes first: where it is a string, Python's own sets of keys do not know of it.
        if "NotRequired" in said or ("Required" not in said and key not in cls.__required_keys__):
            optional.add(key)
    return TypedDictConverter(name, records.converters(name, annotations, engine), optional)


class TypedDictConverter(records.FieldsConverter):
    """Dicts with the keys of one TypedDict."""

    kind = dict

    def __init__(self, name: str, fields: Mapping[str, conversion.Converter], optional: set[str]) -> None:
        types = {field: converter.type for field, converter in fields.items()}
        super().__init__(fields, literal_types.record(name, types, optional=optional))
        self._required = [key for key in fields if key not in optional]

    def is_exact(self, value: Any) -> bool:
        if type(value) is not dict or not value.keys() <= self.fields.keys():
            return False
        return all(key in value for key in self._required) and all(
            self.fields[key].is_exact(each) for key, each in value.items()
        )

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        self._check(value, path)
        fields = [
            literals_pb2.FieldValue(
                name=key, value=converter.to_literal(value[key], path + self._step(key), data)
            )
            for key, converter in self.fields.items()
            if key in value
        ]
        return literals_pb2.Literal(record=literals_pb2.Record(fields=fields))

    def to_column(self, values: Sequence[Any], place: Place, data: Data) -> literals_pb2.List:
        if not values:
            return literals_pb2.List(nones=0)
        for i, value in enumerate(values):
            if type(value) is not dict or value.keys() != self.fields.keys():
                self._check(value, place(i))
        present = [key for key in self.fields if key in values[0]]
        if any(value.keys() != values[0].keys() for value in values):
            return literals.pack([self.to_literal(value, place(i), data) for i, value in enumerate(values)])
        columns = [
            literals_pb2.RecordColumn(
                name=key,
                values=self.fields[key].to_column(
                    [value[key] for value in values], self._within(place, key), data
                ),
            )
            for key in present
        ]
        return literals_pb2.List(records=literals_pb2.Records(length=len(values), columns=columns))

    def _check(self, value: Any, path: str) -> None:
        if type(value) is not dict:
            hint = "write dict(...)" if isinstance(value, Mapping) else ""
            raise conversion.misfit(path, self.type, value, hint=hint)
        for key in value:
            if key not in self.fields:
                near = spelling.nearest(key, self.fields) if isinstance(key, str) else None
                where = path + (self._step(key) if isinstance(key, str) else f"[{conversion.shown(key)}]")
                message = f"{literal_types.text(self.type)} has no such key"
                raise errors.ConversionError(
                    message, where=where, hint=f"did you mean `{near}`?" if near else "leave it out"
                )
        missing = next((key for key in self._required if key not in value), None)
        if missing is not None:
            message = f"key `{missing}` of {literal_types.text(self.type)} is missing"
            raise errors.ConversionError(message, where=path)

    def _made(self, cells: Mapping[str, Sequence[Any]], count: int, place: Place) -> list[Any]:
        return records.by_name(cells, count)

    def _step(self, name: str) -> str:
        return conversion.field_step(name)
