"""What to write in place of a type that is not supported.

Words for people only: nothing here decides whether a type is supported.
"""

from __future__ import annotations

import typing
from typing import Any, get_origin

SUPPORTED = (
    "None, bool, int, float, str, bytes, date, datetime, timedelta, Decimal, Enum, Literal, list, dict[str, T], tuple, "
    "X | Y, dataclasses, NamedTuple, TypedDict, pydantic models, File, Directory, frames of pandas, polars and "
    "pyarrow, pandera's DataFrame[Model], numpy.ndarray and Iterator[T]"
)

_INSTEAD = {
    "builtins.set": "use list[T]",
    "builtins.frozenset": "use list[T]",
    "collections.abc.Set": "use list[T]",
    "collections.abc.Collection": "use list[T]",
    "collections.OrderedDict": "use dict[str, T], which keeps its order",
    "collections.defaultdict": "use dict[str, T]",
    "collections.Counter": "use dict[str, int]",
    "collections.deque": "use list[T]",
    "fractions.Fraction": "use Decimal, or a dataclass of two ints",
    "pydantic.types.SecretStr": "use Annotated[str, Sensitive]",
    "builtins.bytearray": "use bytes",
    "builtins.complex": "use a dataclass of two floats",
    "builtins.object": "say which type it is",
    "typing.Any": "say which type it is; what has no type can't be checked before it runs",
    "collections.abc.AsyncIterable": "use Iterator[T]: a stream is written and read without an event loop",
    "collections.abc.AsyncIterator": "use Iterator[T]: a stream is written and read without an event loop",
    "collections.abc.AsyncGenerator": "use Iterator[T]: a stream is written and read without an event loop",
    "datetime.time": "use str",
    "uuid.UUID": "use str, or bytes",
    "pathlib.Path": "use File: it travels between machines",
    "pathlib._local.Path": "use File: it travels between machines",
    "pathlib.PosixPath": "use File: it travels between machines",
    "os.PathLike": "use File: it travels between machines",
    "pandas.Series": "use a pandas.DataFrame of one column",
    "pandas.core.series.Series": "use a pandas.DataFrame of one column",
    "polars.series.series.Series": "use a polars.DataFrame of one column",
    "polars.lazyframe.frame.LazyFrame": "use polars.DataFrame, and .collect() what is returned",
    "pandera.typing.polars.LazyFrame": "use pandera.typing.polars.DataFrame[Model], and .collect() what is returned",
    "pyarrow.lib.RecordBatch": "use pyarrow.Table",
    "collections.abc.Callable": "code is no value: pass a name, and choose the function by it in the task",
    "builtins.type": "code is no value: pass a name, and choose the class by it in the task",
    "re.Pattern": "use str",
}
_SCALARS = {
    "float": "float", "int": "int", "uint": "int", "bool": "bool", "str": "str", "datetime64": "datetime",
    "timedelta64": "timedelta",
}  # fmt: skip


def hint(annotation: Any) -> str:
    """What to do about it: the nearest supported type where one is known, else all that are supported."""
    instead = _INSTEAD.get(qualified_name(get_origin(annotation) or annotation)) or _by_kind(annotation)
    return instead or f"supported are {SUPPORTED}"


def _by_kind(annotation: Any) -> str:
    if isinstance(annotation, typing.TypeVar):
        return f"say what `{annotation.__name__}` is, as in `Box[int]`"
    if isinstance(annotation, str):
        return "the name it refers to can't be found: import it, or define it in the module"
    if isinstance(annotation, list | tuple) and annotation:
        inside = ", ".join(each.__name__ if isinstance(each, type) else str(each) for each in annotation)
        return f"write `{type(annotation).__name__}[{inside}]`"
    if not isinstance(annotation, type):
        return ""
    if annotation.__module__ == "numpy":
        plain = next(
            (kind for prefix, kind in _SCALARS.items() if annotation.__name__.startswith(prefix)), ""
        )
        return f"use {plain}; an ndarray keeps its element type" if plain else ""
    if issubclass(annotation, dict):
        return "use dict[str, T], or a TypedDict"
    if issubclass(annotation, tuple):
        return "make it a NamedTuple"
    if any(hasattr(annotation, name) for name in ("fit", "predict", "state_dict")):
        return f"save it, as with joblib.dump, and use File; or pickle it, Annotated[{annotation.__name__}, Pickle]"
    if annotation.__module__ != "builtins":
        return f"make `{annotation.__name__}` a dataclass, or register a Transformer of it"
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
