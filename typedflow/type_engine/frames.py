"""Data frames: of pandas, polars and pyarrow, each with a pandera model, with named columns or with any.

All of them are one thing between tasks, an Arrow table in the store: a pandas frame feeds an Arrow consumer and the
other way round. Must never import a library of frames before a frame is converted, or a model's type is asked for.
"""

from __future__ import annotations

import functools
import sys
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_args

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import (
    alternatives,
    columns,
    conversion,
    frame_digest,
    frame_files,
    pandas_arrow,
    pandera_schemas,
    polars_arrow,
)
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_LARGE = 8 * 1024 * 1024


def pandas_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandas.DataFrame`: any columns, or those of `Annotated[pandas.DataFrame, Columns(...)]`."""
    return PandasConverter(named=_named(annotation))


def polars_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The same of `polars.DataFrame`."""
    return PolarsConverter(named=_named(annotation))


def arrow_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The same of `pyarrow.Table`."""
    return ArrowConverter(named=_named(annotation))


def pandera_pandas_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandera.typing.DataFrame[Model]`."""
    return PandasConverter(pandera_schemas.pandas_schema(annotation))


def pandera_polars_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandera.typing.polars.DataFrame[Model]`."""
    return PolarsConverter(pandera_schemas.polars_schema(annotation))


def pandera_arrow_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandera.typing.pyarrow.Table[Model]`."""
    return ArrowConverter(pandera_schemas.arrow_schema(annotation))


def _named(annotation: Any) -> columns.Columns | None:
    """The columns that an annotation names by `Columns` or by a pyarrow.Schema; None where it names none."""
    found = []
    for each in get_args(annotation):
        if isinstance(each, columns.Columns):
            found.append(each)
        elif alternatives.qualified_name(type(each)) == "pyarrow.lib.Schema":
            found.append(columns.of_schema(each))
    if len(found) > 1:
        message = f"{alternatives.text(annotation)} says twice which columns there are"
        raise errors.DefinitionError(message, hint="put all of them into one", code="UnsupportedType")
    return found[0] if found else None


class FrameConverter(conversion.Converter):
    """Frames of one library; with a pandera schema, with named columns, or of any columns.

    The producer's values are checked before they are stored. A consumer with the same schema does not check again; one
    with another does. Named columns are held against every frame: that costs no look at a value.
    """

    def __init__(
        self, schema: pandera_schemas.Schema | None = None, *, named: columns.Columns | None = None
    ) -> None:
        self._schema = schema
        self._named = named
        strict: object = False
        self._own: Callable[[Sequence[str]], list[str]] | None = None
        if schema is not None:
            self.type = types_pb2.LiteralType(frame=schema.type)
            strict = schema.strict
            self._own = schema.wanted
        elif named is not None:
            self.type = columns.frame_type(named)
            strict = named.strict
            self._own = named.wanted
        else:
            self.type = literal_types.frame()
        self._filters = strict == "filter"
        self._refuses_more = strict is True

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not self.is_exact(value):
            raise conversion.misfit(path, self.type, value, hint=self._hint(value))
        data.require(path, "a data frame")
        if self._schema is not None:
            value = self._schema.validate(value, path)
        elif self._filters:
            value = self._select(value)
        table = self._to_table(value, path)
        actual = self._checked_type(table, path)
        if self._schema is not None:
            actual.schema.CopyFrom(self._schema.type.schema)
        try:
            contents, (blob, form) = _published(table, data)
        except frame_digest.Unsupported as error:
            hint = "use a struct, or a column for each of its types"
            raise errors.ConversionError(f"{error} can't be in a frame", where=path, hint=hint) from None
        frame = literals_pb2.Frame(
            content=contents.whole,
            blob=blob,
            format=form,
            rows=table.num_rows,
            type=actual,
            column_contents=contents.columns,
            index_content=contents.index,
        )
        return literals_pb2.Literal(frame=frame)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "frame":
            raise conversion.mismatch(path, self.type, literal)
        table = frame_files.read(literal.frame, path, data, functools.partial(self._wanted, literal.frame))
        self._checked_type(table, path)
        if self._refuses_more and not self._has_index:
            table = table.drop_columns(pandas_arrow.index_columns(table))
        value = self._from_table(table, path)
        if self._schema is not None and self._schema.digest != literal.frame.type.schema.digest:
            value = self._schema.validate(value, path)
        return value

    def is_exact(self, value: Any) -> bool:
        # Where its library was never imported, nothing is one of its frames.
        library = sys.modules.get(self._class[0])
        return library is not None and isinstance(value, getattr(library, self._class[1]))

    def _checked_type(self, table: Any, path: str) -> types_pb2.FrameType:
        actual = _actual_type(table, path)
        if self._named is not None and (problems := columns.misfits(actual.columns, self._named, path)):
            raise errors.ConversionError.of(problems)
        return actual

    def _wanted(self, frame: literals_pb2.Frame, arrow_schema: Any) -> set[str]:
        """The columns that are read: of those that the frame has, as its object may hold more; and the index."""
        index = pandas_arrow.index_columns(arrow_schema)
        names = [column.name for column in frame.type.columns]
        if lacking := sorted(set(names) - set(arrow_schema.names)):
            message = f"the stored frame has no column {lacking[0]!r}"
            raise errors.IntegrityError(message, where=frame.blob.uri)
        if not self._filters:
            return {*names, *index}
        assert self._own is not None
        own = set(self._own(names))
        return {*own, *index} if self._has_index else own

    def _select(self, value: Any) -> Any:
        """A frame's own columns; those that are missing are told later."""
        assert self._own is not None
        return value.select(self._own(value.schema.names))

    _class: tuple[str, str]
    """Module and name of the library's frames."""
    _has_index = False

    @abstractmethod
    def _to_table(self, value: Any, path: str) -> Any: ...

    @abstractmethod
    def _from_table(self, table: Any, path: str) -> Any: ...

    @abstractmethod
    def _hint(self, value: Any) -> str: ...


class PandasConverter(FrameConverter):
    """pandas frames: a private, writable copy for each consumer."""

    _class = "pandas", "DataFrame"
    _has_index = True

    def _select(self, value: Any) -> Any:
        assert self._own is not None
        return value[self._own(value.columns)]

    def _to_table(self, value: Any, path: str) -> Any:
        return pandas_arrow.to_table(value, path)

    def _from_table(self, table: Any, _path: str) -> Any:
        return pandas_arrow.to_frame(table)

    def _hint(self, value: Any) -> str:
        if _is_lazy(value):
            return "write .collect().to_pandas()"
        if hasattr(value, "to_pandas"):
            return "write .to_pandas()"
        return "write .to_frame()" if hasattr(value, "to_frame") else ""


class PolarsConverter(FrameConverter):
    """polars frames: on memory that is mapped from the stored file where types allow. A pandas index is columns."""

    _class = "polars", "DataFrame"

    def _select(self, value: Any) -> Any:
        assert self._own is not None
        return value.select(self._own(value.columns))

    def _to_table(self, value: Any, path: str) -> Any:
        return polars_arrow.to_table(value, path)

    def _from_table(self, table: Any, path: str) -> Any:
        return polars_arrow.from_table(table, path)

    def _hint(self, value: Any) -> str:
        if _is_lazy(value):
            return "write .collect()"
        if hasattr(value, "to_frame"):
            return "write .to_frame()"
        if hasattr(value, "iloc"):
            return "write pl.from_pandas(...)"
        return "write pl.from_arrow(...)" if hasattr(value, "schema") else ""


class ArrowConverter(FrameConverter):
    """Arrow tables: mapped from the stored file where that is on this machine. A pandas index is columns."""

    _class = "pyarrow", "Table"

    def _to_table(self, value: Any, _path: str) -> Any:
        return value

    def _from_table(self, table: Any, _path: str) -> Any:
        return table

    def _hint(self, value: Any) -> str:
        if _is_lazy(value):
            return "write .collect().to_arrow()"
        if hasattr(value, "to_arrow"):
            return "write .to_arrow()"
        return "write pyarrow.Table.from_pandas(...)" if hasattr(value, "columns") else ""


def _published(table: Any, data: Data) -> tuple[frame_digest.Contents, tuple[literals_pb2.Blob, str]]:
    """The content of a table, and where it was written; a large one is digested while it is written."""
    described = pandas_arrow.described(table)
    if table.nbytes < _LARGE:
        return frame_digest.of_table(table, described), frame_files.write(table, data)
    from concurrent import futures  # noqa: PLC0415 - small frames need no thread

    with futures.ThreadPoolExecutor(1, "typedflow-digest") as pool:
        contents = pool.submit(frame_digest.of_table, table, described)
        written = frame_files.write(table, data)
        return contents.result(), written


def _is_lazy(value: Any) -> bool:
    return type(value).__name__ == "LazyFrame"


def _actual_type(table: Any, path: str) -> types_pb2.FrameType:
    """What the table really has: all columns, and no other."""
    names = table.schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise errors.ConversionError(
            f"there are several columns {twice!r}", where=path, hint="give each a name of its own"
        )
    index = set(pandas_arrow.index_columns(table))
    actual = [
        types_pb2.Column(
            name=field.name, dtype=frame_digest.logical_type(field.type), nullable=column.null_count > 0
        )
        for field, column in zip(table.schema, table.columns, strict=True)
        if field.name not in index
    ]
    return types_pb2.FrameType(columns=actual, strict=True)
