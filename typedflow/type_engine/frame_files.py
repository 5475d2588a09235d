"""Frames as files in the store.

In a store on this machine they are uncompressed Arrow IPC files, which a reader maps without copying anything; in a
remote one they are Parquet, small on the way and read by columns, where Parquet gives back exactly what it was given.
Every file can be read from either. Bytes are checked against their digest before Arrow sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, cast

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.pb import literals_pb2
from typedflow.type_engine.data import Data

ARROW = "arrow"
PARQUET = "parquet"
_IN_MEMORY = 4 * 1024 * 1024


def write(table: Any, data: Data) -> tuple[literals_pb2.Blob, str]:
    """Publishes a pyarrow.Table, in one pass; gives where it is and its format."""
    import pyarrow as pa

    put: Callable[[Any, Any], None]
    if data.is_local:
        form, put = ARROW, _write_arrow
    elif _is_exact_in_parquet(table.schema):
        form, put = PARQUET, _write_parquet
    else:
        form, put = ARROW, _write_compressed
    if table.nbytes <= _IN_MEMORY:
        sink = pa.BufferOutputStream()
        put(table, sink)
        return data.put_bytes(sink.getvalue().to_pybytes()), form

    def written(file: Any) -> None:
        with pa.PythonFile(file, "w") as sink:
            put(table, sink)

    return data.put_written(written), form


def read(frame: literals_pb2.Frame, path: str, data: Data, wanted: Callable[[Any], Container[str]]) -> Any:
    """The pyarrow.Table of a frame, mapped from a file where it is one.

    Args:
        wanted: given the pyarrow.Schema, says which columns to read.

    Raises:
        ConversionError: it is in a format that is not read here.
        IntegrityError: its bytes are gone, damaged, or no such file.
    """
    import pyarrow as pa

    if frame.format not in (ARROW, PARQUET):
        raise errors.ConversionError(
            f"the frame is stored as {frame.format!r}, which is not read here", where=path
        )
    try:
        if frame.format == PARQUET:
            return _read_parquet(frame, data, wanted)
        return _read_arrow(_mapped(frame.blob, data), wanted)
    except pa.ArrowInvalid as error:
        raise errors.IntegrityError(
            f"the stored frame can't be read: {error}", where=frame.blob.uri
        ) from None


def _mapped(blob: literals_pb2.Blob, data: Data) -> Any:
    """The bytes of a checked object as an Arrow file, for reading only: nobody can write to what is mapped."""
    import pyarrow as pa

    local = data.checked_path(blob)
    if local is None:
        local = data.new_folder() / "frame"
        data.fetch(blob, local)
    return pa.memory_map(str(local))


# Arrow


def _write_arrow(table: Any, sink: Any, options: Any = None) -> None:
    import pyarrow as pa

    # Arrow's file format has one dictionary per column, and keeps it with a batch only, be that of no rows.
    table = table.unify_dictionaries()
    with pa.ipc.new_file(sink, table.schema, options=options) as writer:
        if table.num_rows:
            writer.write_table(table)
        elif table.num_columns:
            arrays = [
                column.chunk(0) if column.num_chunks else pa.array([], column.type)
                for column in table.columns
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=table.schema))


def _write_compressed(table: Any, sink: Any) -> None:
    import pyarrow as pa

    _write_arrow(table, sink, pa.ipc.IpcWriteOptions(compression="zstd"))


def _read_arrow(source: Any, wanted: Callable[[Any], Container[str]]) -> Any:
    import pyarrow as pa

    reader = pa.ipc.open_file(source)
    names = wanted(reader.schema)
    chosen = [i for i, name in enumerate(reader.schema.names) if name in names]
    if len(chosen) < len(reader.schema.names):
        source.seek(0)
        reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=chosen))
    return reader.read_all()


# Parquet


def _is_exact_in_parquet(schema: Any) -> bool:
    """Whether Parquet gives back every column as it was: its names and types, and all that pandas noted."""
    names = schema.names
    plain = all(name and "." not in name for name in names)  # a dot means a way into a struct
    return bool(names) and plain and all(_is_exact(field.type) and not field.metadata for field in schema)


def _is_exact(t: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    if types.is_list(t) or types.is_large_list(t):
        return _is_exact(t.value_type)
    if types.is_timestamp(t) or types.is_time64(t):
        return t.unit in ("us", "ns")
    return bool(
        types.is_boolean(t)
        or types.is_integer(t)
        or types.is_float32(t)
        or types.is_float64(t)
        or types.is_string(t)
        or types.is_large_string(t)
        or types.is_binary(t)
        or types.is_large_binary(t)
        or types.is_date32(t)
        or types.is_decimal128(t)
    )


def _write_parquet(table: Any, sink: Any) -> None:
    from pyarrow import parquet

    parquet.write_table(table, sink, compression="zstd", store_schema=True, use_compliant_nested_type=False)


def _read_parquet(frame: literals_pb2.Frame, data: Data, wanted: Callable[[Any], Container[str]]) -> Any:
    """Reads the wanted columns; of a large file only the chunks that hold them, when others are not wanted."""
    import pyarrow as pa
    from pyarrow import parquet

    source: Any
    if frame.blob.size <= digests.CHUNK_SIZE:
        source = pa.BufferReader(data.store.read_bytes(frame.blob))
    else:
        source = pa.PythonFile(cast("Any", data.open(frame.blob)), "r")
    with source, parquet.ParquetFile(source) as file:
        schema = file.schema_arrow
        names = wanted(schema)
        chosen = [name for name in schema.names if name in names]
        if len(chosen) < len(schema.names):
            table = file.read(columns=chosen, use_pandas_metadata=False).select(chosen)
        elif frame.blob.size <= digests.CHUNK_SIZE:
            table = file.read()
        else:  # its chunks come in parallel that way
            with _mapped(frame.blob, data) as mapped, parquet.ParquetFile(mapped) as whole:
                table = whole.read()
    return table.cast(_as_given(table.schema))


def _as_given(schema: Any) -> Any:
    """The schema without what reading Parquet adds to it: each column's number in the file."""
    for place, field in enumerate(schema):
        if field.metadata:
            schema = schema.set(place, field.remove_metadata())
    return schema
