"""NumPy arrays: as `.npy` files without pickle, C order, one content digest for one meaning.

An array comes back with its dtype, byte order included, and its shape, in memory of its own. Its strides do not travel.
Must never write or read a pickle, nor hold a second copy of a large array.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

from blake3 import blake3

from typedflow import errors, literal_types
from typedflow.pb import literals_pb2
from typedflow.type_engine import alternatives, conversion
from typedflow.type_engine.data import Data

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_BLOCK = 1024 * 1024
_LONGEST_HEADER = 1024 * 1024
_TAG = b"typedflow:array:1\0"


def array_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `np.ndarray`, `NDArray[np.float64]`, `np.ndarray[tuple[int, int], np.dtype[np.float32]]`."""
    arguments = get_args(annotation)
    dimensions = _dimensions(arguments[0], annotation) if arguments else None
    return ArrayConverter(_scalar(arguments[1], annotation) if len(arguments) > 1 else None, dimensions)


def _dimensions(shape: Any, annotation: Any) -> int | None:
    """How many axes a shape's annotation says there are; None where it says nothing."""
    if shape is Any or isinstance(shape, TypeVar):
        return None
    sizes = get_args(shape)
    if get_origin(shape) is not tuple or not all(each in (int, Any, ...) for each in sizes):
        hint = "say how many axes there are, as in np.ndarray[tuple[int, int], np.dtype[np.float32]]"
        raise errors.DefinitionError(
            f"{alternatives.text(annotation)} is not a supported type", hint=hint, code="UnsupportedType"
        )
    return None if ... in sizes else len(sizes)


def _scalar(dtype: Any, annotation: Any) -> type | None:
    """The scalar class that the annotation's dtype names; None where it is any."""
    import numpy as np

    inner = get_args(dtype)
    scalar: Any = inner[0] if get_origin(dtype) is np.dtype and inner else dtype
    scalar = get_origin(scalar) or scalar  # np.floating[Any]
    if scalar in (Any, np.generic, np.dtype) or isinstance(scalar, TypeVar):
        return None
    if not isinstance(scalar, type) or not issubclass(scalar, np.generic) or issubclass(scalar, np.object_):
        hint = "name one scalar type of NumPy's, as in NDArray[np.float64]"
        raise errors.DefinitionError(
            f"{alternatives.text(annotation)} is not a supported type", hint=hint, code="UnsupportedType"
        )
    return scalar


class ArrayConverter(conversion.Converter):
    """Arrays of one scalar type and number of axes, where the annotation says them.

    A scalar type that several dtypes are of (`np.floating`, `np.str_`, `np.datetime64`) is no part of the type that
    travels: values are held against it here.
    """

    def __init__(self, scalar: type | None, dimensions: int | None) -> None:
        import numpy as np

        self._scalar = scalar
        self._dimensions = dimensions
        self._is_one_dtype = scalar is not None and scalar.__module__ == "numpy" and _has_one_dtype(scalar)
        dtype = np.dtype(scalar).name if self._is_one_dtype else ""
        self.type = literal_types.array(dtype, dimensions)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        numpy = sys.modules.get("numpy")
        if numpy is None or type(value) is not numpy.ndarray:
            raise conversion.misfit(path, self.type, value, hint=_array_hint(value, numpy))
        data.require(path, "an array")
        _check_dtype(value.dtype, path)
        self._check(value.dtype, value.shape, path)
        return literals_pb2.Literal(array=_publish(value, data))

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Any:
        if literal.WhichOneof("value") != "array":
            raise conversion.mismatch(path, self.type, literal)
        value = _read(literal.array, data)
        self._check(value.dtype, value.shape, path)
        return value

    def is_exact(self, value: Any) -> bool:
        numpy = sys.modules.get("numpy")
        return (
            numpy is not None and type(value) is numpy.ndarray and not self._problem(value.dtype, value.shape)
        )

    def _check(self, dtype: Any, shape: Sequence[int], path: str) -> None:
        if problem := self._problem(dtype, shape):
            given = literal_types.text(literal_types.array(dtype.name, len(shape)))
            message = f"expected {literal_types.text(self.type)}, got {given}: {problem}"
            hint = (
                f"write .astype(np.{self._scalar.__name__})" if self._scalar and "element" in problem else ""
            )
            raise errors.ConversionError(message, where=path, hint=hint)

    def _problem(self, dtype: Any, shape: Sequence[int]) -> str:
        if self._scalar is not None and not issubclass(dtype.type, self._scalar):
            return f"its elements are {dtype.name}, not {self._scalar.__name__}"
        if self._dimensions is not None and len(shape) != self._dimensions:
            return f"it has the shape {tuple(shape)}, not {self._dimensions} axes"
        return ""


def _has_one_dtype(scalar: type) -> bool:
    import numpy as np

    return scalar not in (np.str_, np.bytes_, np.void, np.datetime64, np.timedelta64) and any(
        each.type is scalar for each in map(np.dtype, "?bhilqBHILQefdFD")
    )


def _array_hint(value: Any, numpy: Any) -> str:
    if numpy is not None and isinstance(value, numpy.ma.MaskedArray):
        return "write .filled(...), and give the mask beside it where it is wanted"
    if hasattr(value, "to_numpy"):
        return "write .to_numpy()"
    if hasattr(value, "__array__") or isinstance(value, (list, tuple, int, float)):
        return "write np.asarray(...)"
    return ""


def _check_dtype(dtype: Any, path: str) -> None:
    """Raises ConversionError for elements that a `.npy` file can't hold as they are."""
    import numpy as np

    hint = "give the array another dtype, as with .astype(np.float64)"
    if dtype.kind == "T":
        reason, hint = "its strings are of any length", "write .astype(np.str_)"
    elif dtype.hasobject:
        reason, hint = "its elements are Python objects", "give them one dtype, or use list[T]"
    elif any(each.type in (np.longdouble, np.clongdouble) for each in _leaves(dtype)):
        reason = f"{dtype.name} is another type on other machines"
    else:
        try:
            back = np.lib.format.descr_to_dtype(np.lib.format.dtype_to_descr(_plain(dtype)))
        except (TypeError, ValueError):
            back = None
        if back == dtype:
            return
        reason = f"{dtype} is not one of NumPy's own dtypes, or its fields overlap"
    raise errors.ConversionError(
        f"the array can't be carried exactly: {reason}", where=path, hint=hint
    ) from None


def _leaves(dtype: Any) -> Iterator[Any]:
    if dtype.names is None:
        yield dtype.base
        return
    for name in dtype.names:
        yield from _leaves(dtype.fields[name][0].base)


def _plain(dtype: Any) -> Any:
    """The dtype without metadata, which means nothing to its values and which NumPy warns of."""
    import numpy as np

    if dtype.names is not None or dtype.metadata is None:
        return dtype
    return np.dtype(dtype.str)


# Writing


def _publish(array: Any, data: Data) -> literals_pb2.Array:
    """Stores an array block by block. Its content is the digest of the dtype, the shape and the elements in C order."""
    import numpy as np

    descr = np.lib.format.dtype_to_descr(_plain(array.dtype))
    told = json.dumps(descr).encode()
    hasher = blake3(_TAG + struct.pack("<Q", len(told)) + told)
    hasher.update(struct.pack(f"<{array.ndim + 1}Q", array.ndim, *array.shape))

    def written() -> Iterator[Any]:
        yield _header(descr, array.shape)
        for block in _blocks(array):
            hasher.update(block)
            yield block

    blob = data.put_chunks(written())
    content = "b3:" + hasher.hexdigest()
    return literals_pb2.Array(content=content, blob=blob, dtype=array.dtype.name, shape=array.shape)


def _header(descr: Any, shape: tuple[int, ...]) -> bytes:
    text = repr({"descr": descr, "fortran_order": False, "shape": shape})
    encoded, version, width = text.encode(), b"\3\0", 4
    if text.isascii() and len(text) < 60_000:  # what every NumPy reads
        version, width = b"\1\0", 2
    length = len(encoded) + 1
    length += -(8 + width + length) % 64
    return b"\x93NUMPY" + version + length.to_bytes(width, "little") + encoded.ljust(length - 1) + b"\n"


def _blocks(array: Any) -> Iterator[Any]:
    """The elements' bytes in C order, the bytes between fields zeroed."""
    import numpy as np

    if not array.nbytes:
        return
    if array.dtype.names is None and array.flags.c_contiguous:
        flat = array.reshape(-1).view(np.uint8)
        for start in range(0, flat.size, _BLOCK):
            yield flat[start : start + _BLOCK].data
        return
    step = max(1, _BLOCK // array.itemsize)
    walk: Any = np.nditer(array, flags=["external_loop", "buffered"], order="C", buffersize=step)
    for part in walk:
        block: Any = part
        if array.dtype.names is not None:
            block = np.zeros(part.shape, array.dtype)
            _copy_fields(part, block)
        yield block.tobytes()


def _copy_fields(source: Any, target: Any) -> None:
    for name in source.dtype.names:
        if source.dtype.fields[name][0].base.names is None:
            target[name] = source[name]
        else:
            _copy_fields(source[name], target[name])


# Reading


def _read(array: literals_pb2.Array, data: Data) -> Any:
    """The array in memory of its own. Raises IntegrityError where the bytes are gone, damaged or no such array."""
    import numpy as np

    with data.checked_file(array.blob) as path, path.open("rb") as file:
        try:
            value: Any = np.lib.format.read_array(file, allow_pickle=False, max_header_size=_LONGEST_HEADER)
        except (ValueError, EOFError, SyntaxError, TypeError, MemoryError, OverflowError) as error:
            message = f"the stored array can't be read: {error}"
            raise errors.IntegrityError(message, where=array.blob.uri) from None
        if value.shape != tuple(array.shape) or value.dtype.name != array.dtype or file.read(1):
            message = (
                f"the stored array is {value.dtype.name} of {value.shape}, which is not what was noted of it"
            )
            raise errors.IntegrityError(message, where=array.blob.uri)
    return value
