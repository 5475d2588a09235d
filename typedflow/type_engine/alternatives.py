"""What to write in place of a type that is not supported.

Words for people only: nothing here decides whether a type is supported.
"""

from __future__ import annotations

import enum
from typing import Any, get_origin

SUPPORTED = (
    "None, bool, int, float, str, datetime, list, X | Y, dataclasses, File, pandas.DataFrame, pyarrow.Table "
    "and pandera's DataFrame[Model]"
)

_INSTEAD = {
    "builtins.dict": "use a dataclass, whose fields have names and types",
    "builtins.tuple": "use a dataclass, or list[T] where all are of one type; a task's whole result may be a tuple",
    "builtins.set": "use list[T]",
    "builtins.frozenset": "use list[T]",
    "builtins.bytes": "write them to a file and use File",
    "builtins.bytearray": "write them to a file and use File",
    "builtins.complex": "use a dataclass of two floats",
    "builtins.object": "say which type it is",
    "typing.Any": "say which type it is; what has no type can't be checked before it runs",
    "collections.abc.Sequence": "use list[T]",
    "collections.abc.Iterable": "use list[T]",
    "collections.abc.Iterator": "use list[T]",
    "collections.abc.Generator": "use list[T]",
    "collections.abc.Mapping": "use a dataclass, whose fields have names and types",
    "typing.Literal": "use str or int",
    "datetime.date": "use datetime with a time zone, or str",
    "datetime.time": "use str",
    "datetime.timedelta": "use float, in seconds",
    "decimal.Decimal": "use str, or int in the smallest unit",
    "uuid.UUID": "use str",
    "pathlib.Path": "use File: it travels between machines",
    "pathlib._local.Path": "use File: it travels between machines",
    "pathlib.PosixPath": "use File: it travels between machines",
    "os.PathLike": "use File: it travels between machines",
    "numpy.ndarray": "use list[float], a pandas.DataFrame, or save it to a File",
    "pandas.Series": "use a pandas.DataFrame of one column",
    "pandas.core.series.Series": "use a pandas.DataFrame of one column",
    "polars.DataFrame": "use pyarrow.Table: polars.from_arrow and to_arrow do not copy",
    "polars.dataframe.frame.DataFrame": "use pyarrow.Table: polars.from_arrow and to_arrow do not copy",
    "pyarrow.lib.RecordBatch": "use pyarrow.Table",
}


def hint(annotation: Any) -> str:
    """What to do about it: the nearest supported type where one is known, else all that are supported."""
    instead = _INSTEAD.get(qualified_name(get_origin(annotation) or annotation)) or _by_kind(annotation)
    return instead or f"supported are {SUPPORTED}"


def _by_kind(annotation: Any) -> str:
    if isinstance(annotation, str):
        return "the name it refers to can't be found: import it, or define it in the module"
    if not isinstance(annotation, type):
        return ""
    if issubclass(annotation, enum.Enum):
        return "use str or int, and make the member of it inside the task"
    if issubclass(annotation, dict):
        return _INSTEAD["builtins.dict"]
    if issubclass(annotation, tuple):
        return "make it a dataclass; only a task's whole result may be a NamedTuple"
    if any(hasattr(annotation, name) for name in ("fit", "predict", "state_dict")):
        return "save it, as with joblib.dump, and use File"
    if annotation.__module__ != "builtins":
        return f"make `{annotation.__name__}` a dataclass, or save it to a File; supported are {SUPPORTED}"
    return ""


def text(annotation: Any) -> str:
    """The annotation as its author would write it: `dict[str, int]`, `numpy.ndarray`."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__qualname__ if annotation.__module__ == "builtins" else qualified_name(annotation)
    return repr(annotation).replace("typing.", "")


def qualified_name(annotation: Any) -> str:
    """Module and qualified name, or nothing for what has none."""
    module, name = (
        getattr(annotation, "__module__", ""),
        getattr(annotation, "__qualname__", getattr(annotation, "_name", "")),
    )
    return f"{module}.{name}" if isinstance(module, str) and isinstance(name, str) and name else ""
