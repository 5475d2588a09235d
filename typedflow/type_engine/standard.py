"""The registry that typedflow uses: every family that it knows.

Must never import a library of frames, nor the families of files and of frames: those are registered by name, see
`families`, and the first annotation of theirs loads them.
"""

from __future__ import annotations

import datetime as dt
import decimal
import types
from collections import abc
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

_ORIGINS: dict[Any, registry.Factory] = {
    list: containers.list_converter,
    abc.Sequence: containers.list_converter,
    abc.MutableSequence: containers.list_converter,
    dict: containers.dict_converter,
    abc.Mapping: containers.dict_converter,
    abc.MutableMapping: containers.dict_converter,
    tuple: tuples.tuple_converter,
    Union: unions.union_converter,
    types.UnionType: unions.union_converter,
    Literal: enums.literal_converter,
}


def standard() -> registry.TypeEngine:
    """A fresh registry of all types that typedflow supports by itself."""
    engine = registry.TypeEngine()
    for annotation in _SCALARS:
        engine.register(annotation, _scalar)
    for origin, factory in _ORIGINS.items():
        engine.register_origin(origin, factory)
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
    from typedflow.type_engine import pydantic_models  # noqa: PLC0415 - it loads pydantic

    return pydantic_models.model_converter(annotation, engine)
