"""Columns that an annotation names: in the type, and held against every frame of every library."""

import datetime as dt
import inspect
from decimal import Decimal
from typing import Annotated, Any, Optional

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pandera.typing import DataFrame

from typedflow import Columns, File, errors, literal_types, type_engine
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import Data

ENGINE = type_engine.standard()
LIBRARIES: dict[str, tuple[Any, Any]] = {
    "pandas": (pd.DataFrame, pd.DataFrame),
    "polars": (pl.DataFrame, pl.DataFrame),
    "pyarrow": (pa.Table, pa.table),
}
GOOD: dict[str, Any] = {"a": [1, 2], "b": ["x", None], "c": [0.5, 1.5]}
WANTED = Columns(a=int, b=str | None, c="double")


def publish(annotation: Any, value: Any, data: Data) -> literals_pb2.Literal:
    return ENGINE.converter(annotation).to_literal(value, "outputs.o0", data)


def receive(annotation: Any, literal: literals_pb2.Literal, data: Data) -> Any:
    return ENGINE.converter(annotation).from_literal(literal, "inputs.df", data)


def annotated(kind: Any, marker: Any) -> Any:
    return Annotated[kind, marker]


def names(frame: Any) -> list[str]:
    return list(getattr(frame, "column_names", None) or frame.columns)


@pytest.mark.parametrize("library", LIBRARIES)
def test_named_columns_are_in_the_type(library: str) -> None:
    kind, _ = LIBRARIES[library]
    text = literal_types.text(ENGINE.converter(annotated(kind, WANTED)).type)
    assert text == "dataframe[a: int, b: str | None, c: float]"
    strict = ENGINE.converter(annotated(kind, Columns(a=int, strict=True))).type
    assert literal_types.text(strict) == "strict dataframe[a: int]"
    fields: list[pa.Field[Any]] = [
        pa.field("a", pa.int64(), nullable=False),
        pa.field("b", pa.large_string()),
    ]
    by_schema = ENGINE.converter(annotated(kind, pa.schema(fields))).type
    assert literal_types.text(by_schema) == "dataframe[a: int, b: str | None]"
    assert literal_types.is_assignable(strict, ENGINE.converter(annotated(kind, Columns(a=int))).type) is None


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_frame_that_fits_goes_through_with_its_other_columns(library: str, data: Data) -> None:
    kind, made = LIBRARIES[library]
    annotation = annotated(kind, WANTED)
    literal = publish(annotation, made({**GOOD, "more": [1, 2]}), data)
    actual = types_pb2.LiteralType(frame=literal.frame.type)
    assert literal_types.is_assignable(actual, ENGINE.converter(annotation).type) is None
    assert names(receive(annotation, literal, data)) == ["a", "b", "c", "more"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_all_that_does_not_fit_is_told_at_once_on_both_sides(library: str, data: Data) -> None:
    kind, made = LIBRARIES[library]
    bad = made({"a": [1.5, 2.5], "bb": ["x", "y"], "c": [0.5, None]})
    wanted = annotated(kind, Columns(a=int, b=str, c=float, strict=True))
    for where, convert in [
        ("outputs.o0", lambda: publish(wanted, bad, data)),
        ("inputs.df", lambda: receive(wanted, publish(kind, bad, data), data)),
    ]:
        with pytest.raises(errors.ConversionError) as caught:
            convert()
        assert [path for path, _ in caught.value.problems] == [
            f"{where}[{name!r}]" for name in ("a", "b", "c", "bb")
        ]
        told = str(caught.value)
        assert "expected a column of int64, got one of double" in told
        assert "the column is missing: did you mean `bb`?" in told
        assert "expected no nulls: write `double | None`" in told
        assert "this column must not be there" in told


@pytest.mark.parametrize("library", LIBRARIES)
def test_t5_a_consumer_may_read_its_own_columns_only(library: str, data: Data) -> None:
    kind, made = LIBRARIES[library]
    own = annotated(kind, Columns(a=int, strict="filter"))
    wide = publish(kind, made({**GOOD, "more": [1, 2]}), data)
    assert names(receive(own, wide, data)) == ["a"]
    narrow = publish(own, made(GOOD), data)
    assert [each.name for each in narrow.frame.type.columns] == ["a"]
    assert narrow.frame.content == publish(kind, made({"a": [1, 2]}), data).frame.content
    assert publish(own, receive(own, wide, data), data).frame.content == narrow.frame.content
    with pytest.raises(errors.ConversionError, match="is missing"):
        publish(own, made({"b": [1]}), data)


def test_a_pandas_index_is_no_column(data: Data) -> None:
    frame = pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", "y"], name="id"))
    strict = Columns(a=int, strict=True)
    literal = publish(Annotated[pd.DataFrame, strict], frame, data)
    pd.testing.assert_frame_equal(receive(Annotated[pd.DataFrame, strict], literal, data), frame)
    assert names(receive(Annotated[pl.DataFrame, strict], literal, data)) == ["a"]
    assert names(receive(Annotated[pa.Table, strict], literal, data)) == ["a"]


DTYPES: dict[str, tuple[Any, str, bool]] = {
    "bool": (bool, "bool", False),
    "optional": (Optional[int], "int64", True),  # noqa: UP045 - tried
    "bytes": (bytes, "binary", False),
    "any": (Any, "", True),
    "numpy": (np.float32, "float", False),
    "numpy bool": (np.bool_, "bool", False),
    "numpy's name": ("float32", "float", False),
    "python's name": ("int | None", "int64", True),
    "timestamp": ("timestamp[us]", "timestamp[us]", False),
    "zoned": ("timestamp[ns, tz=Europe/Berlin] | None", "timestamp[ns, tz=Europe/Berlin]", True),
    "date": ("date", "date32[day]", False),
    "category": ("dictionary<string>", "dictionary<string>", False),
    "list": ("list<int64>", "list<int64>", False),
    "decimal": ("decimal128(12, 2)", "decimal128(12, 2)", False),
    "arrow": (pa.list_(pa.large_string()), "list<string>", False),
}


@pytest.mark.parametrize("name", DTYPES)
def test_a_column_is_written_in_any_of_these_ways(name: str) -> None:
    spec, dtype, nullable = DTYPES[name]
    (column,) = Columns({"odd name": spec}).columns
    assert (column.name, column.dtype, column.nullable) == ("odd name", dtype, nullable)


def test_what_is_no_type_of_a_column_is_refused_with_what_to_write() -> None:
    for spec, words in [
        (dt.datetime, "timestamp[us, tz=UTC]"),
        (dt.date, "date32[day]"),
        (Decimal, "decimal128(12, 2)"),
        ("strng", "did you mean 'string'"),
        ("timestamp", "timestamp[us]"),
        (int | str, "a column has one type"),
        (list[int], "name an Arrow type"),
        (5, "name an Arrow type"),
    ]:
        with pytest.raises(errors.DefinitionError, match="column 'x'") as caught:
            Columns(x=spec)
        assert words in caught.value.hint, spec
    wrong: Any
    for wrong in (
        lambda: Columns(strict=False),
        lambda: Columns({1: int}),  # type: ignore[dict-item]
        lambda: Columns(a=int, strict="yes"),  # type: ignore[arg-type]
        lambda: Columns({"a": int}, a=str),
        lambda: ENGINE.converter(Annotated[pd.DataFrame, WANTED, Columns(z=int)]),
        lambda: ENGINE.converter(Annotated[pd.DataFrame, WANTED, pa.schema([("z", pa.int64())])]),
        lambda: ENGINE.converter(Annotated[pd.DataFrame, pa.schema([("z", pa.int64()), ("z", pa.int64())])]),
        lambda: ENGINE.converter(Annotated[File, WANTED]),
        lambda: ENGINE.converter(Annotated[DataFrame[Any], WANTED]),
    ):
        with pytest.raises(errors.DefinitionError) as caught:
            wrong()
        assert caught.value.code == "UnsupportedType", inspect.getsource(wrong)


def test_a_schema_on_what_is_no_frame_means_nothing_to_us() -> None:
    assert ENGINE.converter(Annotated[int, pa.schema([])]).type == literal_types.INT


def test_columns_are_equal_when_they_say_the_same() -> None:
    assert Columns(a=int) == Columns({"a": "int64"})
    assert hash(Columns(a=int)) == hash(Columns({"a": "int64"}))
    assert (
        len(
            {
                Columns(a=int),
                Columns(a=float),
                Columns(a=int | None),
                Columns(a=int, strict=True),
                Columns(b=int),
            }
        )
        == 5
    )
    assert repr(WANTED) == "Columns({'a': 'int64', 'b': 'string | None', 'c': 'double'})"
    assert eval(repr(WANTED)) == WANTED
