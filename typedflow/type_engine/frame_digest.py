"""The content digest of a frame: what it means, and not how it lies in memory.

Each column has a digest of its own (logical type, which values are null, the others' values, and what a library adds to
it), so has the index, and the whole is made of these (`literals.frame_content`): a selection of columns has its content
without being read. Chunks, slices, bytes under nulls, schema metadata, the width of offsets and of dictionary indices
play no part; NaN is one value and is not null; -0.0 is not 0.0. The rules have numbers and golden vectors: see
docs/hashing.md.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from blake3 import blake3

from typedflow import literals

_COLUMN = b"typedflow:column:1\0"
_INDEX = b"typedflow:index:1\0"
_BLOCK = 512 * 1024

_SHORT_NAMES = {
    "large_string": "string",
    "string_view": "string",
    "large_binary": "binary",
    "binary_view": "binary",
}


class Unsupported(Exception):
    """A type whose values have no canonical form here; the message names it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Described:
    """What a library adds to a table, each in canonical bytes; nothing where a plain table gives the same frame.

    Attributes:
        index_columns: those of the table that are an index and no columns of the frame.
        columns: by name.
        index: beyond the values of its columns.
    """

    index_columns: Sequence[str] = ()
    columns: Mapping[str, bytes] = dataclasses.field(default_factory=dict)
    index: bytes = b""


@dataclasses.dataclass(frozen=True, slots=True)
class Contents:
    """The digests of a frame: of all of it, of each column in order, and of the index where it has one."""

    whole: str
    columns: tuple[bytes, ...]
    index: bytes


def of_table(table: Any, described: Described | None = None) -> Contents:
    """The digests of a pyarrow.Table; of a plain one where nothing is described.

    Raises:
        Unsupported: a column of a type such as a union's.
    """
    described = described or Described()
    digests = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        try:
            digests[name] = _of_column(column, described.columns.get(name, b""))
        except Unsupported as error:
            raise Unsupported(f"column {name!r}: {error}") from None
    levels = [(name, digests.pop(name)) for name in described.index_columns]
    index = _of_index(levels, described.index) if levels or described.index else b""
    columns = tuple(digests.values())
    whole = literals.frame_content(table.num_rows, list(digests), columns, index)
    return Contents(whole, columns, index)


def _of_index(levels: Sequence[tuple[str, bytes]], described: bytes) -> bytes:
    hasher = blake3(_INDEX)
    hasher.update(struct.pack("<Q", len(levels)))
    for name, digest in levels:
        _put(hasher, name.encode())
        hasher.update(digest)
    _put(hasher, described)
    return hasher.digest()


def _of_column(column: Any, described: bytes) -> bytes:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type) and column.num_chunks > 1:
        column = column.unify_dictionaries()
    if column.num_chunks == 1:
        array = column.chunk(0)
    else:
        array = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    hasher = blake3(_COLUMN)
    _put(hasher, logical_type(column.type).encode())
    _put(hasher, described)
    _values(hasher, array)
    return hasher.digest()


def logical_type(t: Any) -> str:
    """An Arrow type without what is only layout: `int64`, `string`, `timestamp[us, tz=UTC]`, `dictionary<string>`."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(t):
        return f"dictionary<{logical_type(t.value_type)}{', ordered' if t.ordered else ''}>"
    if types.is_map(t):
        return f"map<{logical_type(t.key_type)}, {logical_type(t.item_type)}>"
    if types.is_fixed_size_list(t):
        return f"list<{logical_type(t.value_type)}>[{t.list_size}]"
    if _is_list(t):
        return f"list<{logical_type(t.value_type)}>"
    if types.is_struct(t):
        return f"struct<{', '.join(f'{field.name}: {logical_type(field.type)}' for field in t)}>"
    if types.is_run_end_encoded(t):
        return logical_type(t.value_type)
    if isinstance(t, pa.BaseExtensionType):
        return f"extension<{t.extension_name}: {logical_type(t.storage_type)}>"
    return _SHORT_NAMES.get(str(t), str(t))


def _values(hasher: Any, array: Any) -> None:
    """Feeds which values are null, then the values."""
    import pyarrow as pa

    if pa.types.is_run_end_encoded(array.type):
        import pyarrow.compute as pc

        _values(hasher, pc.call_function("run_end_decode", [array]))
        return
    if isinstance(array.type, pa.BaseExtensionType):
        _put(
            hasher,
            array.type.__arrow_ext_serialize__() if hasattr(array.type, "__arrow_ext_serialize__") else b"",
        )
        _values(hasher, array.storage)
        return
    hasher.update(struct.pack("<Q", len(array)))
    if pa.types.is_null(array.type):
        return
    if pa.types.is_dictionary(array.type):
        _dictionary(hasher, array)
        return
    _validity(hasher, array)
    _writer(array.type)(hasher, array)


def _validity(hasher: Any, array: Any) -> None:
    if array.null_count == 0:
        _put(hasher, b"")
        return
    import numpy as np

    _put(hasher, np.packbits(_nulls(array), bitorder="little"))


def _nulls(array: Any) -> Any:
    """A NumPy mask: True where the value is null."""
    return array.is_null().to_numpy(zero_copy_only=False)


def _writer(t: Any) -> Callable[[Any, Any], None]:
    import pyarrow as pa

    types = pa.types
    if types.is_boolean(t):
        return _booleans
    if types.is_string(t) or types.is_large_string(t) or types.is_binary(t) or types.is_large_binary(t):
        return _strings
    if types.is_string_view(t) or types.is_binary_view(t):
        return _string_views
    if types.is_map(t) or types.is_fixed_size_list(t) or _is_list(t):
        return _lists
    if types.is_struct(t):
        return _struct
    if types.is_union(t):
        raise Unsupported(f"Arrow's {t}")
    return _fixed_width


def _fixed_width(hasher: Any, array: Any) -> None:
    """Numbers, dates, times, decimals: their bytes in order, null ones zeroed, every NaN the same."""
    import numpy as np
    import pyarrow as pa

    try:
        width = array.type.bit_width // 8
    except ValueError:
        raise Unsupported(f"Arrow's {array.type}") from None
    if pa.types.is_floating(array.type):
        dtype = np.dtype(f"<f{width}")
    elif width in (1, 2, 4, 8):
        dtype = np.dtype(f"<u{width}")
    else:
        dtype = np.dtype((np.void, width))
    buffer = array.buffers()[1]
    if buffer is None or not len(array):
        _put(hasher, b"")
        return
    values = np.frombuffer(buffer, dtype, count=len(array), offset=array.offset * width)
    zeroed = _nulls(array) if array.null_count else None
    hasher.update(struct.pack("<Q", values.nbytes))
    step = max(1, _BLOCK // width)  # what is looked at is still in the processor's cache when it is digested
    for start in range(0, len(values), step):
        block = values[start : start + step]
        nan = np.isnan(block) if dtype.kind == "f" else None
        if nan is not None and nan.any():
            block = np.where(nan, dtype.type(np.nan), block)
        if zeroed is not None:
            block = block.copy()
            block[zeroed[start : start + step]] = np.zeros((), dtype)
        hasher.update(block.view(np.uint8))


def _booleans(hasher: Any, array: Any) -> None:
    import numpy as np
    import pyarrow.compute as pc

    filled = pc.fill_null(array, False) if array.null_count else array
    _put(hasher, np.packbits(filled.to_numpy(zero_copy_only=False), bitorder="little"))


def _strings(hasher: Any, array: Any) -> None:
    """Lengths of 64 bits, then the bytes one after another."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if array.null_count:
        empty: Any = b"" if pa.types.is_binary(array.type) or pa.types.is_large_binary(array.type) else ""
        array = pc.fill_null(array, pa.scalar(empty, array.type))
    if not len(array):
        _put(hasher, b"")
        _put(hasher, b"")
        return
    wide = pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type)
    dtype = np.dtype("<i8") if wide else np.dtype("<i4")
    _, offsets_buffer, data = array.buffers()
    offsets = np.frombuffer(offsets_buffer, dtype, count=len(array) + 1, offset=array.offset * dtype.itemsize)
    _put(hasher, np.diff(offsets).astype("<i8").view(np.uint8))
    _put(hasher, memoryview(data)[int(offsets[0]) : int(offsets[-1])] if data is not None else b"")


def _string_views(hasher: Any, array: Any) -> None:
    import pyarrow as pa

    _strings(
        hasher, array.cast(pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary())
    )


def _lists(hasher: Any, array: Any) -> None:
    """Lengths of 64 bits, then the elements of lists that are not null, one after another."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_map(array.type):
        entries = pa.struct([pa.field("key", array.type.key_type), pa.field("value", array.type.item_type)])
        array = array.cast(pa.list_(entries))
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    _put(hasher, lengths.to_numpy(zero_copy_only=False).astype("<i8").view(np.uint8))
    _values(hasher, array.flatten())


def _struct(hasher: Any, array: Any) -> None:
    for field, values in zip(array.type, array.flatten(), strict=True):
        _put(hasher, field.name.encode("utf-8", "surrogatepass"))
        _values(hasher, values)


def _dictionary(hasher: Any, array: Any) -> None:
    """The categories in order, then each value's place among them."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    categories, indices = array.dictionary, array.indices
    distinct = pc.unique(categories.drop_null())
    if len(distinct) != len(categories):
        places = pc.index_in(categories, value_set=distinct)
        indices = places.take(indices)
    if len(indices) and indices.null_count < len(indices):
        codes = pc.fill_null(indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    else:
        codes = np.full(len(indices), -1, dtype="<i8")
    _values(hasher, distinct)
    _put(hasher, np.ascontiguousarray(codes, dtype="<i8").view(np.uint8))


def _is_list(t: Any) -> bool:
    import pyarrow as pa

    types = pa.types
    return bool(
        types.is_list(t) or types.is_large_list(t) or types.is_list_view(t) or types.is_large_list_view(t)
    )


def _put(hasher: Any, data: Any) -> None:
    """Feeds bytes after their length, so that no two sequences of them look alike."""
    view = memoryview(data).cast("B")
    hasher.update(struct.pack("<Q", view.nbytes))
    hasher.update(view)
