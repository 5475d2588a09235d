"""The registry that typedflow uses: every family that it knows.

Must never import a library of frames, nor the families of files and of frames: those are registered by name, see
`families`, and the first annotation of theirs loads them.
"""

from __future__ import annotations

import collections.abc as abc
import datetime as dt
import decimal
import types
from typing import TYPE_CHECKING, Any, Literal, Union

from typedflow.type_engine import (
    aliases,
    containers,
    dataclass_records,
    enums,
    families,
    named_tuples,
    registry,
    scalars,
    times,
    tuples,
    typed_dicts,
    unions,
)

if TYPE_CHECKING:
    from typedflow.type_engine.conversion import Converter

_SCALARS: dict[Any, Converter] = {
    None: scalars.NoneConverter(),
    type(None): scalars.NoneConverter(),
    bool: scalars.BoolConverter(),
    int: scalars.IntConverter(),
    float: scalars.FloatConverter(),
    str: scalars.StringConverter(),
    bytes: scalars.BytesConverter(),
    decimal.Decimal: scalars.DecimalConverter(),
    dt.datetime: times.DatetimeConverter(),
    dt.date: times.DateConverter(),
    dt.timedelta: times.DurationConverter(),
}


def standard() -> registry.TypeEngine:
    """A fresh registry of all types that typedflow supports by itself."""
    engine = registry.TypeEngine()
    for annotation in _SCALARS:
        engine.register(annotation, _scalar)
    for origin in (list, abc.Sequence, abc.MutableSequence):
        engine.register_origin(origin, containers.list_converter)
    for origin in (dict, abc.Mapping, abc.MutableMapping):
        engine.register_origin(origin, containers.dict_converter)
    engine.register_origin(tuple, tuples.tuple_converter)
    for origin in (Union, types.UnionType):
        engine.register_origin(origin, unions.union_converter)
    engine.register_origin(Literal, enums.literal_converter)
    families.register(engine)
    engine.register_predicate(enums.is_enum, enums.enum_converter)
    engine.register_predicate(named_tuples.is_named_tuple, named_tuples.named_tuple_converter)
    engine.register_predicate(typed_dicts.is_typed_dict, typed_dicts.typed_dict_converter)
    engine.register_predicate(dataclass_records.is_dataclass, dataclass_records.dataclass_converter)
    engine.register_predicate(_is_model, _model)
    engine.register_predicate(aliases.is_alias, aliases.alias_converter)
    return engine


def _scalar(annotation: Any, _engine: registry.TypeEngine) -> Converter:
    return _SCALARS[annotation]


def _is_model(annotation: Any) -> bool:
    bases = getattr(annotation, "__mro__", ()) if isinstance(annotation, type) else ()
    return any(base.__module__ == "pydantic.main" and base.__qualname__ == "BaseModel" for base in bases[1:])


def _model(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import pydantic_models

    return pydantic_models.model_converter(annotation, engine)
