"""The registry that typedflow uses: every family that it knows.

Must never import a library of frames, nor the families of files and of frames: those are registered by name, see
`families`, and the first annotation of theirs loads them.
"""

from __future__ import annotations

import datetime as dt
import types
from typing import TYPE_CHECKING, Any, Union

from typedflow.type_engine import containers, families, records, registry, scalars

if TYPE_CHECKING:
    from typedflow.type_engine.conversion import Converter

_SCALARS: dict[Any, Converter] = {
    None: scalars.NoneConverter(),
    type(None): scalars.NoneConverter(),
    bool: scalars.BoolConverter(),
    int: scalars.IntConverter(),
    float: scalars.FloatConverter(),
    str: scalars.StringConverter(),
    dt.datetime: scalars.DatetimeConverter(),
}


def standard() -> registry.TypeEngine:
    """A fresh registry of all types that typedflow supports by itself."""
    engine = registry.TypeEngine()
    for annotation in _SCALARS:
        engine.register(annotation, _scalar)
    engine.register_origin(list, containers.list_converter)
    for origin in (Union, types.UnionType):
        engine.register_origin(origin, containers.union_converter)
    families.register(engine)
    engine.register_predicate(records.is_dataclass, records.dataclass_converter)
    return engine


def _scalar(annotation: Any, _engine: registry.TypeEngine) -> Converter:
    return _SCALARS[annotation]
