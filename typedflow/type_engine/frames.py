"""Data frames: pandas.DataFrame, pyarrow.Table, and both with a pandera model.

All of them are one thing between tasks, an Arrow table in the store: a pandas frame feeds an Arrow consumer and the
other way round. Must never import a library of frames before a frame is converted, or a model's type is asked for.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import conversion, frame_digest, frame_files, pandas_arrow, pandera_schemas
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


def pandas_converter(_annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandas.DataFrame`: any columns."""
    return PandasConverter(None)


def arrow_converter(_annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pyarrow.Table`: any columns."""
    return ArrowConverter(None)


def pandera_pandas_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandera.typing.DataFrame[Model]`."""
    return PandasConverter(pandera_schemas.pandas_schema(annotation))


def pandera_arrow_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `pandera.typing.pyarrow.Table[Model]`."""
    return ArrowConverter(pandera_schemas.arrow_schema(annotation))


class FrameConverter(conversion.Converter):
    """Frames of one library, with a pandera schema or without.

    The producer's values are checked before they are stored. A consumer with the same schema does not check again; one
    with another does.
    """

    def __init__(self, schema: pandera_schemas.Schema | None) -> None:
        self._schema = schema
        self.type = literal_types.frame() if schema is None else types_pb2.LiteralType(frame=schema.type)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not self.is_exact(value):
            raise conversion.misfit(path, self.type, value, hint=self._hint(value))
        data.require(path, "a data frame")
        if self._schema is not None:
            value = self._schema.validate(value, path)
        table = self._to_table(value, path)
        actual = _actual_type(table, path)
        if self._schema is not None:
            actual.schema.CopyFrom(self._schema.type.schema)
        try:
            content = frame_digest.of_table(table, pandas_arrow.described(table))
        except frame_digest.Unsupported as error:
            hint = "use a struct, or a column for each of its types"
            raise errors.ConversionError(f"{error} can't be in a frame", where=path, hint=hint) from None
        blob = frame_files.write(table, data)
        frame = literals_pb2.Frame(
            content=content, blob=blob, format=frame_files.FORMAT, rows=table.num_rows, type=actual
        )
        return literals_pb2.Literal(frame=frame)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "frame":
            raise conversion.mismatch(path, self.type, literal)
        schema = self._schema
        table = frame_files.read(
            literal.frame, path, data, self._wanted if schema is not None and schema.filters else None
        )
        value = self._from_table(table)
        if schema is not None and schema.digest != literal.frame.type.schema.digest:
            value = schema.validate(value, path)
        return value

    def _wanted(self, arrow_schema: Any) -> set[str]:
        """The columns that a filtering schema reads: its own, and the index."""
        assert self._schema is not None
        return {*self._schema.wanted(arrow_schema.names), *pandas_arrow.index_columns(arrow_schema)}

    @abstractmethod
    def _to_table(self, value: Any, path: str) -> Any: ...

    @abstractmethod
    def _from_table(self, table: Any) -> Any: ...

    @abstractmethod
    def _hint(self, value: Any) -> str: ...


class PandasConverter(FrameConverter):
    """pandas frames: a private, writable copy for each consumer."""

    def is_exact(self, value: Any) -> bool:
        pandas = sys.modules.get("pandas")  # where it was never imported, nothing is one of its frames
        return pandas is not None and isinstance(value, pandas.DataFrame)

    def _to_table(self, value: Any, path: str) -> Any:
        return pandas_arrow.to_table(value, path)

    def _from_table(self, table: Any) -> Any:
        return pandas_arrow.to_frame(table)

    def _hint(self, value: Any) -> str:
        return (
            "write .to_pandas()"
            if hasattr(value, "to_pandas")
            else "write .to_frame()"
            if hasattr(value, "to_frame")
            else ""
        )


class ArrowConverter(FrameConverter):
    """Arrow tables: mapped from the stored file where that is on this machine."""

    def is_exact(self, value: Any) -> bool:
        pyarrow = sys.modules.get("pyarrow")
        return pyarrow is not None and isinstance(value, pyarrow.Table)

    def _to_table(self, value: Any, _path: str) -> Any:
        return value

    def _from_table(self, table: Any) -> Any:
        return table

    def _hint(self, value: Any) -> str:
        if hasattr(value, "to_arrow"):
            return "write .to_arrow()"
        return "write pyarrow.Table.from_pandas(...)" if hasattr(value, "columns") else ""


def _actual_type(table: Any, path: str) -> types_pb2.FrameType:
    """What the table really has: all columns, and no other."""
    names = table.schema.names
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise errors.ConversionError(
            f"there are several columns {twice!r}", where=path, hint="give each a name of its own"
        )
    index = set(pandas_arrow.index_columns(table))
    columns = [
        types_pb2.Column(
            name=field.name, dtype=frame_digest.logical_type(field.type), nullable=column.null_count > 0
        )
        for field, column in zip(table.schema, table.columns, strict=True)
        if field.name not in index
    ]
    return types_pb2.FrameType(columns=columns, strict=True)
