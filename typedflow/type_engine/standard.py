"""The registry that typedflow uses: every family that it knows.

Must never import a library of frames: those are registered by name.
"""

from __future__ import annotations

import datetime as dt
import types
from typing import TYPE_CHECKING, Any, Union

from typedflow.type_engine import containers, files, frames, records, registry, scalars

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
    engine.register(files.File, files.file_converter, markers=(files.Format,))
    for name in ("pandas.DataFrame", "pandas.core.frame.DataFrame"):
        engine.register_name(name, frames.pandas_converter)
    engine.register_name("pyarrow.lib.Table", frames.arrow_converter)
    engine.register_name("pandera.typing.pandas.DataFrame", frames.pandera_pandas_converter)
    engine.register_name("pandera.typing.pyarrow.Table", frames.pandera_arrow_converter)
    engine.register_predicate(records.is_dataclass, records.dataclass_converter)
    return engine


def _scalar(annotation: Any, _engine: registry.TypeEngine) -> Converter:
    return _SCALARS[annotation]
