"""The families that the first annotation of theirs loads: files, folders, frames, arrays, tensors, streams.

They are registered by qualified name, so that neither they nor a library of theirs is imported for a task of plain
values. Must never import one of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.type_engine import registry
    from typedflow.type_engine.conversion import Converter

_ROOM = "typedflow.type_engine"
_COLUMNS = (f"{_ROOM}.columns.Columns", "pyarrow.lib.Schema")
_FORMAT = (f"{_ROOM}.files.Format",)

# Qualified names, where their factory is, and what it understands in `Annotated`.
_FAMILIES: Sequence[tuple[tuple[str, ...], str, str, tuple[str, ...]]] = (
    ((f"{_ROOM}.files.File",), "files", "file_converter", _FORMAT),
    ((f"{_ROOM}.directories.Directory",), "directories", "directory_converter", _FORMAT),
    (("pandas.DataFrame", "pandas.core.frame.DataFrame"), "frames", "pandas_converter", _COLUMNS),
    (("polars.DataFrame", "polars.dataframe.frame.DataFrame"), "frames", "polars_converter", _COLUMNS),
    (("pyarrow.lib.Table",), "frames", "arrow_converter", _COLUMNS),
    (("pandera.typing.pandas.DataFrame",), "frames", "pandera_pandas_converter", ()),
    (("pandera.typing.polars.DataFrame",), "frames", "pandera_polars_converter", ()),
    (("pandera.typing.pyarrow.Table",), "frames", "pandera_arrow_converter", ()),
    (("numpy.ndarray",), "arrays", "array_converter", ()),
    (("torch.Tensor",), "torch_tensors", "tensor_converter", ()),
    (
        ("collections.abc.Iterator", "collections.abc.Iterable", "collections.abc.Generator"),
        "streams",
        "stream_converter",
        (),
    ),
)


def register(engine: registry.TypeEngine) -> None:
    """Gives an engine all of these families."""
    for names, module, factory, markers in _FAMILIES:
        later = _Later(module, factory)
        for name in names:
            engine.register_name(name, later, markers=markers)
    engine.register_last(_is_torch_module, _Later("torch_modules", "module_converter"))
    engine.register_marker(f"{_ROOM}.pickles.Pickle", _Later("pickles", "pickle_converter"))


def _is_torch_module(annotation: Any) -> bool:
    bases = annotation.__mro__ if isinstance(annotation, type) else ()
    return any(
        base.__qualname__ == "Module" and base.__module__ == "torch.nn.modules.module" for base in bases
    )


class _Later:
    """A factory that is imported when it is first asked for a converter."""

    def __init__(self, module: str, factory: str) -> None:
        self._place = f"{_ROOM}.{module}", factory

    def __call__(self, annotation: Any, engine: registry.TypeEngine) -> Converter:
        module, factory = self._place
        made: Converter = getattr(importlib.import_module(module), factory)(annotation, engine)
        return made
