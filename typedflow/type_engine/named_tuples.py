"""NamedTuples as records. That of a whole return is several outputs, and is not seen here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_origin

from typedflow import literal_types
from typedflow.type_engine import conversion, field_types, records
from typedflow.type_engine.conversion import Place

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def is_named_tuple(annotation: Any) -> bool:
    """Whether the annotation is a NamedTuple, or a generic one with arguments."""
    cls = get_origin(annotation) or annotation
    return isinstance(cls, type) and issubclass(cls, tuple) and hasattr(cls, "_fields")


def named_tuple_converter(annotation: Any, engine: TypeEngine) -> conversion.Converter:
    """The converter of a NamedTuple. Raises DefinitionError for fields without types."""
    cls = get_origin(annotation) or annotation
    name = field_types.name(annotation)
    hints = field_types.of(annotation)
    untyped = [field for field in cls._fields if field not in hints]
    if untyped:
        hint = f"write `class {cls.__name__}(typing.NamedTuple):` with a type for each field"
        raise records.unsupported(f"`{name}.{untyped[0]}` has no type", hint)
    annotations = {field: hints[field] for field in cls._fields}
    return NamedTupleConverter(cls, name, records.converters(name, annotations, engine))


class NamedTupleConverter(records.ClassConverter):
    """The instances of one NamedTuple."""

    def __init__(self, cls: type[Any], name: str, fields: Mapping[str, conversion.Converter]) -> None:
        types = {field: converter.type for field, converter in fields.items()}
        super().__init__(cls, fields, literal_types.record(name, types, defaults=cls._field_defaults))

    def _cells(self, values: Sequence[Any], place: Place) -> Sequence[Sequence[Any]]:
        self._check_all(values, place)
        return list(zip(*values, strict=True))

    def _by_place(self, cells: Mapping[str, Sequence[Any]]) -> bool:
        return bool(cells) and len(cells) == len(self.fields)
