"""NumPy arrays: exact round trips without pickle, private copies, one content digest for one meaning."""

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from typedflow import errors, literal_types, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data

ENGINE = type_engine.standard()
ANY = ENGINE.converter(np.ndarray)
FLOATS = ENGINE.converter(npt.NDArray[np.float64])
MATRIX = ENGINE.converter(np.ndarray[tuple[int, int], np.dtype[np.float32]])

DTYPES = (
    hnp.boolean_dtypes()
    | hnp.integer_dtypes(endianness="?")
    | hnp.unsigned_integer_dtypes(endianness="?")
    | hnp.floating_dtypes(sizes=(16, 32, 64), endianness="?")
    | hnp.complex_number_dtypes(sizes=(64, 128), endianness="?")
    | hnp.datetime64_dtypes(endianness="?")
    | hnp.timedelta64_dtypes(endianness="?")
    | hnp.byte_string_dtypes()
    | hnp.unicode_string_dtypes()
)
STRUCTURED = hnp.nested_dtypes(DTYPES) | hnp.array_dtypes(DTYPES, allow_subarrays=True)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def publish(value: Any, data: Data, converter: type_engine.Converter = ANY) -> literals_pb2.Array:
    return converter.to_literal(value, "outputs.o0", data).array


def receive(array: literals_pb2.Array, data: Data, converter: type_engine.Converter = ANY) -> Any:
    return converter.from_literal(literals_pb2.Literal(array=array), "inputs.x", data)


def same(first: Any, second: Any) -> bool:
    return (first.dtype, first.shape, first.tobytes()) == (second.dtype, second.shape, second.tobytes())


@given(value=hnp.arrays(DTYPES, SHAPES), layout=st.sampled_from(["C", "F", "reversed"]))
def test_t2_an_array_comes_back_with_its_dtype_shape_and_every_bit(
    value: Any, layout: str, data: Data
) -> None:
    laid = np.asfortranarray(value) if layout == "F" and value.ndim else value
    if layout == "reversed":
        laid = value.T[..., ::-1] if value.ndim else value
    array = publish(laid, data)
    back = receive(array, data)
    assert same(back, laid)
    assert type(back) is np.ndarray
    assert back.flags.writeable
    assert back.flags.c_contiguous
    assert publish(back, data) == array
    assert publish(laid.copy(order="C"), data).content == array.content


@given(value=STRUCTURED.flatmap(lambda dtype: hnp.arrays(dtype, hnp.array_shapes(max_dims=2, max_side=3))))
def test_t2_structured_arrays_come_back(value: Any, data: Data) -> None:
    back = receive(publish(value, data), data)
    assert back.dtype == value.dtype
    assert back.shape == value.shape
    assert repr(back.tolist()) == repr(value.tolist())
    assert publish(back, data) == publish(value, data)


def test_c3_the_content_is_dtype_shape_and_elements_and_neither_order_nor_padding(data: Data) -> None:
    value = np.arange(6.0).reshape(2, 3)
    contents = {
        name: publish(each, data).content
        for name, each in {
            "plain": value,
            "flat": value.reshape(6),
            "turned": value.reshape(3, 2),
            "float32": value.astype(np.float32),
            "big endian": value.astype(">f8"),
            "others": value + 1,
            "negative zero": value * -1,
            "none": value[:0],
            "none, the other way": value[:, :0],
        }.items()
    }
    assert len(set(contents.values())) == len(contents)
    assert publish(np.asfortranarray(value), data) == publish(value, data)
    padded = np.dtype([("a", "i1"), ("b", "f8")], align=True)
    first, second = np.frombuffer(b"\0" * 32, padded).copy(), np.frombuffer(b"\xff" * 32, padded).copy()
    second["a"], second["b"] = 0, 0
    assert publish(first, data) == publish(second, data)


def test_c3_the_content_of_an_array_is_what_the_page_says(data: Data) -> None:
    ints = publish(np.arange(3, dtype="<i4"), data).content
    told = json.dumps("<i4").encode()
    parts = [
        b"typedflow:array:1\0",
        struct.pack("<Q", len(told)),
        told,
        struct.pack("<QQ", 1, 3),
        struct.pack("<3i", 0, 1, 2),
    ]
    assert ints == "b3:" + blake3(b"".join(parts)).hexdigest()
    assert ints == "b3:1a6b9e1833ebec63eb5af14eb48ae368d5a7254a032f3e549008c43077526092"
    told = b'[["a", "<i8"], ["b", "<f4"]]'
    parts = [
        b"typedflow:array:1\0",
        struct.pack("<Q", len(told)),
        told,
        struct.pack("<QQ", 1, 1),
        struct.pack("<qf", 1, 0.5),
    ]
    records = publish(np.array([(1, 0.5)], dtype=[("a", "<i8"), ("b", "<f4")]), data).content
    assert records == "b3:" + blake3(b"".join(parts)).hexdigest()


def test_a_large_array_is_the_same_in_every_order_and_shape(data: Data) -> None:
    value = np.random.default_rng(0).normal(size=(1200, 500))
    wanted = publish(value, data)
    assert publish(np.asfortranarray(value), data) == wanted
    assert publish(np.repeat(value, 2, axis=1)[:, ::2], data) == wanted
    assert same(receive(wanted, data), value)


def test_e15_each_consumer_has_a_private_writable_copy(data: Data) -> None:
    array = publish(np.zeros(3), data)
    first, second = receive(array, data), receive(array, data)
    first[0] = 9
    assert second.tolist() == [0, 0, 0]
    assert receive(array, data).tolist() == [0, 0, 0]


def test_what_is_stored_is_a_file_that_numpy_reads(data: Data) -> None:
    for value in (np.arange(4), np.array(1.5), np.zeros(2, [("ä", "i4")])):
        path = data.local_path(publish(value, data).blob)
        assert path is not None
        assert same(np.load(path, allow_pickle=False), value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (np.ndarray, "ndarray"),
        (npt.NDArray[Any], "ndarray"),
        (npt.NDArray[np.float64], "ndarray[float64]"),
        (npt.NDArray[np.bool_], "ndarray[bool]"),
        (npt.NDArray[np.floating[Any]], "ndarray"),
        (npt.NDArray[np.str_], "ndarray"),
        (np.ndarray[tuple[int, int], np.dtype[np.float32]], "ndarray[float32, 2d]"),
        (np.ndarray[tuple[int, ...], np.dtype[np.int8]], "ndarray[int8]"),
        (np.ndarray[tuple[()], np.dtype[np.int8]], "ndarray[int8, 0d]"),
        (np.ndarray[Any, np.dtype[np.int64]], "ndarray[int64]"),
    ],
    ids=repr,
)
def test_an_annotation_says_the_dtype_and_the_number_of_axes(annotation: Any, text: str) -> None:
    assert literal_types.text(ENGINE.converter(annotation).type) == text


def test_an_annotation_that_says_something_else_is_refused() -> None:
    for annotation in (
        npt.NDArray[np.object_],
        np.ndarray[tuple[int, str], np.dtype[np.float64]],  # type: ignore[type-var]
        np.ndarray[tuple[int], np.dtype[np.float32 | np.float64]],
        np.ndarray[int, np.dtype[np.float64]],  # type: ignore[type-var]
    ):
        with pytest.raises(errors.DefinitionError, match="is not a supported type") as caught:
            ENGINE.converter(annotation)
        assert caught.value.hint


def test_a_dtype_or_a_number_of_axes_that_does_not_fit_is_told_with_its_place(data: Data) -> None:
    for converter, value, words in [
        (FLOATS, np.zeros(2, np.float32), "expected ndarray[float64], got ndarray[float32, 1d]"),
        (MATRIX, np.zeros((2, 2)), "its elements are float64, not float32"),
        (MATRIX, np.zeros(3, np.float32), "it has the shape (3,), not 2 axes"),
        (
            ENGINE.converter(npt.NDArray[np.floating[Any]]),
            np.zeros(2, int),
            "its elements are int64, not floating",
        ),
        (ENGINE.converter(npt.NDArray[np.datetime64]), np.zeros(2), "not datetime64"),
    ]:
        with pytest.raises(errors.ConversionError) as caught:
            publish(value, data, converter)
        assert caught.value.where == "outputs.o0"
        assert words in caught.value.message
        with pytest.raises(errors.ConversionError) as caught:
            receive(publish(value, data), data, converter)
        assert caught.value.where == "inputs.x"
    assert receive(publish(np.zeros(2, ">f8"), data, FLOATS), data, FLOATS).dtype == np.dtype(">f8")


@pytest.mark.parametrize(
    ("value", "words", "hint"),
    [
        (np.array([1, "a"], dtype=object), "are Python objects", "list[T]"),
        (np.zeros(1, [("a", "i4"), ("o", object)]), "are Python objects", "list[T]"),
        (np.ma.masked_array([1.0], mask=[True]), "expected ndarray, got", ".filled("),
        (np.zeros(2).view(np.recarray), "expected ndarray, got", "np.asarray("),
        ([1.0, 2.0], "expected ndarray, got", "np.asarray("),
        (np.float64(1), "expected ndarray, got", "np.asarray("),
        (None, "expected ndarray, got None", ""),
        (np.zeros(1, np.longdouble), "another type on other machines", ".astype("),
        (np.array(["a"], np.dtypes.StringDType()), "can't be carried exactly", ".astype("),
        (
            np.zeros(1, np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [0, 2]})),
            "overlap",
            ".astype(",
        ),
    ],
)
def test_what_can_not_be_carried_exactly_is_refused(value: Any, words: str, hint: str, data: Data) -> None:
    with pytest.raises(errors.ConversionError) as caught:
        publish(value, data)
    assert caught.value.where == "outputs.o0"
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_a_constant_of_a_definition_can_not_be_an_array() -> None:
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        ANY.to_literal(np.zeros(1), "x", NO_DATA)


def test_arrays_in_a_list_and_in_a_union_keep_their_places(data: Data) -> None:
    several = ENGINE.converter(list[npt.NDArray[np.float64]])
    literal = several.to_literal([np.zeros(2), np.ones(3)], "outputs.o0", data)
    assert [each.tolist() for each in several.from_literal(literal, "inputs.xs", data)] == [[0, 0], [1, 1, 1]]
    with pytest.raises(errors.ConversionError) as caught:
        several.to_literal([np.zeros(2), np.zeros(2, int)], "outputs.o0", data)
    assert caught.value.where == "outputs.o0[1]"
    either = ENGINE.converter(npt.NDArray[np.int64] | npt.NDArray[np.float64] | None)
    assert either.to_literal(np.zeros(2), "outputs.o0", data).union.variant == 1
    assert either.to_literal(None, "outputs.o0", data).union.variant == 2


def test_damaged_bytes_and_what_is_no_such_array_are_told(data: Data) -> None:
    array = publish(np.arange(1000), data)
    with pytest.raises(errors.ConversionError, match="a literal that holds integer"):
        ANY.from_literal(literals.from_int(1), "inputs.x", data)
    for dtype, shape in (("int32", [1000]), ("int64", [10, 100])):
        other = literals_pb2.Array(content=array.content, blob=array.blob, dtype=dtype, shape=shape)
        with pytest.raises(errors.IntegrityError, match="not what was noted of it"):
            receive(other, data)
    for content in (b"", b"no array at all", b"\x93NUMPY\1\0\x10\0{'descr': 'O'  }"):
        bad = literals_pb2.Array(blob=data.put_bytes(content), dtype="int64", shape=[1])
        with pytest.raises(errors.IntegrityError) as caught:
            receive(bad, data)
        assert caught.value.where == bad.blob.uri
    stored = data.local_path(array.blob)
    assert stored is not None
    damaged = bytearray(stored.read_bytes())
    damaged[-1] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(damaged)
    with pytest.raises(errors.IntegrityError, match="not what its name says") as caught:
        receive(array, data)
    assert caught.value.where == str(stored)


@pytest.mark.slow
def test_d1_writing_a_large_array_holds_no_second_copy(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < 40 * 1024, "KiB more than the array itself"


GROWTH = """
import pathlib, resource, sys
import numpy as np
from typedflow import type_engine
from typedflow.dataplane import objects
folder = pathlib.Path(sys.argv[1])
data = type_engine.Data(objects.FolderStore(folder / "store"), folder / "files")
converter = type_engine.standard().converter(np.ndarray)
converter.to_literal(np.ones((10, 1000)), "o0", data)
value = np.asfortranarray(np.random.default_rng(0).normal(size=(4000, 5000)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
converter.to_literal(value, "o0", data)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
