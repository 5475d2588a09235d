"""Frames as Arrow IPC files in the store.

Written uncompressed, so that a reader on the same machine maps the file and copies nothing. Bytes are checked against
their digest before Arrow sees them.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from typedflow import errors
from typedflow.pb import literals_pb2
from typedflow.type_engine.data import Data

FORMAT = "arrow"
_IN_MEMORY = 4 * 1024 * 1024


def write(table: Any, data: Data) -> literals_pb2.Blob:
    """Publishes a pyarrow.Table. A large one goes through a file: memory does not hold it twice."""
    import pyarrow as pa

    if table.nbytes <= _IN_MEMORY:
        sink = pa.BufferOutputStream()
        _write(table, sink)
        return data.put_bytes(sink.getvalue().to_pybytes())
    with data.new_file("frame.arrow") as path:
        with pa.OSFile(str(path), "wb") as file:
            _write(table, file)
        return data.put_file(path)


def read(frame: literals_pb2.Frame, path: str, data: Data, wanted: Callable[[Any], Container[str]]) -> Any:
    """The pyarrow.Table of a frame, mapped from a file.

    Args:
        wanted: given the pyarrow.Schema, says which columns to read.

    Raises:
        ConversionError: it is in a format that is not read here.
        IntegrityError: its bytes are gone, damaged, or no Arrow file.
    """
    import pyarrow as pa

    if frame.format != FORMAT:
        raise errors.ConversionError(
            f"the frame is stored as {frame.format!r}, which is not read here", where=path
        )
    local = data.checked_path(frame.blob)
    if local is None:
        local = data.new_folder() / "frame.arrow"
        data.fetch(frame.blob, local)
    try:
        source = pa.memory_map(str(local))
        reader = pa.ipc.open_file(source)
        names = wanted(reader.schema)
        chosen = [i for i, name in enumerate(reader.schema.names) if name in names]
        if len(chosen) < len(reader.schema.names):
            source.seek(0)
            reader = pa.ipc.open_file(source, options=pa.ipc.IpcReadOptions(included_fields=chosen))
        return reader.read_all()
    except pa.ArrowInvalid as error:
        raise errors.IntegrityError(
            f"the stored frame can't be read: {error}", where=frame.blob.uri
        ) from None


def _write(table: Any, sink: Any) -> None:
    import pyarrow as pa

    # Arrow's file format has one dictionary per column, and keeps it with a batch only, be that of no rows.
    table = table.unify_dictionaries()
    with pa.ipc.new_file(sink, table.schema) as writer:
        if table.num_rows:
            writer.write_table(table)
        elif table.num_columns:
            arrays = [
                column.chunk(0) if column.num_chunks else pa.array([], column.type)
                for column in table.columns
            ]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=table.schema))
