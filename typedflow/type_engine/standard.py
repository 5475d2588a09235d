"""The registry that typedflow uses: every family that it knows.

Must never import a library of frames, nor the families of files and of frames: those are registered by name, and the
first annotation of theirs loads them.
"""

from __future__ import annotations

import datetime as dt
import types
from typing import TYPE_CHECKING, Any, Union

from typedflow.type_engine import containers, records, registry, scalars

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
    engine.register_name(
        "typedflow.type_engine.files.File", _file, markers=("typedflow.type_engine.files.Format",)
    )
    for name in ("pandas.DataFrame", "pandas.core.frame.DataFrame"):
        engine.register_name(name, _pandas)
    engine.register_name("pyarrow.lib.Table", _arrow)
    engine.register_name("pandera.typing.pandas.DataFrame", _pandera_pandas)
    engine.register_name("pandera.typing.pyarrow.Table", _pandera_arrow)
    engine.register_predicate(records.is_dataclass, records.dataclass_converter)
    return engine


def _scalar(annotation: Any, _engine: registry.TypeEngine) -> Converter:
    return _SCALARS[annotation]


def _file(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import files

    return files.file_converter(annotation, engine)


def _pandas(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import frames

    return frames.pandas_converter(annotation, engine)


def _arrow(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import frames

    return frames.arrow_converter(annotation, engine)


def _pandera_pandas(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import frames

    return frames.pandera_pandas_converter(annotation, engine)


def _pandera_arrow(annotation: Any, engine: registry.TypeEngine) -> Converter:
    from typedflow.type_engine import frames

    return frames.pandera_arrow_converter(annotation, engine)
