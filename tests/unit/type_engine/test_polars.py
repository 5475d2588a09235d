"""polars frames: exact round trips through Arrow, and one content digest with an equal frame of another library."""

import subprocess
import sys
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal
from polars.testing.parametric import dataframes

from typedflow import errors, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data

ENGINE = type_engine.standard()
POLARS = ENGINE.converter(pl.DataFrame)
PANDAS = ENGINE.converter(pd.DataFrame)
ARROW = ENGINE.converter(pa.Table)


def publish(value: Any, data: Data, converter: type_engine.Converter = POLARS) -> literals_pb2.Literal:
    return converter.to_literal(value, "outputs.df", data)


def receive(literal: literals_pb2.Literal, data: Data, converter: type_engine.Converter = POLARS) -> Any:
    return converter.from_literal(literal, "inputs.df", data)


EVERY_DTYPE = pl.DataFrame(
    {
        "int": pl.Series([1, None, -(2**63)], dtype=pl.Int64),
        "uint8": pl.Series([1, None, 255], dtype=pl.UInt8),
        "float": [1.5, None, float("nan")],
        "float32": pl.Series([-0.0, None, float("inf")], dtype=pl.Float32),
        "bool": [True, None, False],
        "str": ["a", None, "ü" * 20],
        "bytes": [b"a", None, b""],
        "date": [date(2026, 1, 1), None, date(1, 1, 1)],
        "time": [time(1, 2, 3, 4), None, time(0)],
        "datetime": pl.Series([datetime(2026, 1, 1, tzinfo=UTC), None, None], dtype=pl.Datetime("ns", "Europe/Berlin")),
        "local": pl.Series([datetime(2026, 1, 1), None, None], dtype=pl.Datetime("ms")),  # noqa: DTZ001 - local
        "duration": [timedelta(days=1), None, timedelta(microseconds=1)],
        "decimal": pl.Series([Decimal("1.20"), None, Decimal("-3.00")], dtype=pl.Decimal(20, 2)),
        "categorical": pl.Series(["b", None, "a"], dtype=pl.Categorical),
        "enum": pl.Series(["b", None, "a"], dtype=pl.Enum(["z", "b", "a"])),
        "list": [[1, None], None, []],
        "lists of categories": pl.Series([["y", "x"], None, ["x"]], dtype=pl.List(pl.Categorical)),
        "array": pl.Series([[1, 2], None, [3, 4]], dtype=pl.Array(pl.Int8, 2)),
        "struct": [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
        "null": [None, None, None],
    }
)  # fmt: skip


def test_t2_every_dtype_comes_back(data: Data) -> None:
    for sent in (
        EVERY_DTYPE,
        EVERY_DTYPE.clear(),
        EVERY_DTYPE.slice(1, 1),
        pl.concat([EVERY_DTYPE] * 2, rechunk=False),
    ):
        back = receive(publish(sent, data), data)
        assert back.schema == sent.schema
        assert_frame_equal(back, sent, categorical_as_str=True)
        assert publish(back, data).frame.content == publish(sent, data).frame.content


ARROW_HAS = [
    pl.Boolean, pl.Int8, pl.Int64, pl.UInt16, pl.Float32, pl.Float64, pl.String, pl.Binary, pl.Date, pl.Time,
    pl.Datetime, pl.Duration, pl.List, pl.Array, pl.Struct, pl.Categorical, pl.Enum,
]  # fmt: skip


@given(sent=dataframes(max_cols=4, max_size=4, allowed_dtypes=ARROW_HAS, allow_null=True, allow_chunks=True))
def test_t2_a_polars_frame_comes_back_exactly(sent: pl.DataFrame, data: Data) -> None:
    if sent.height and not sent.width:
        return
    back = receive(publish(sent, data), data)
    assert back.schema == sent.schema
    assert_frame_equal(back, sent, check_exact=True)


PLAIN = {
    "int": st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3),
    "float": st.lists(st.floats(allow_nan=False), min_size=3, max_size=3),
    "str": st.lists(
        st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3), min_size=3, max_size=3
    ),
    "bool": st.lists(st.booleans(), min_size=3, max_size=3),
}


@given(columns=st.fixed_dictionaries(PLAIN))
def test_c3_an_equal_frame_of_arrow_has_the_same_content_and_one_of_pandas_too(
    columns: Any, data: Data
) -> None:
    fields: dict[str, pa.DataType] = {
        "int": pa.int64(),
        "float": pa.float64(),
        "str": pa.string(),
        "bool": pa.bool_(),
    }
    types = pa.schema(fields)
    table = pa.table(columns, schema=types)
    frame = publish(
        pl.DataFrame(
            columns, schema={"int": pl.Int64, "float": pl.Float64, "str": pl.String, "bool": pl.Boolean}
        ),
        data,
    )
    assert frame.frame.content == publish(table, data, ARROW).frame.content
    assert publish(receive(frame, data, ARROW), data, ARROW).frame.content == frame.frame.content
    assert receive(frame, data, ARROW).cast(types).equals(table)


def test_c3_an_equal_frame_of_pandas_has_the_same_content(data: Data) -> None:
    columns: dict[str, Any] = {"i": [1, 2], "s": ["a", None], "f": [0.5, None], "b": [True, False]}
    sent = publish(pl.DataFrame(columns), data)
    assert publish(pd.DataFrame(columns), data, PANDAS).frame.content == sent.frame.content
    there = receive(sent, data, PANDAS)
    assert publish(there, data, PANDAS).frame.content == sent.frame.content
    assert_frame_equal(receive(publish(there, data, PANDAS), data), pl.DataFrame(columns))


def test_c3_the_content_of_categories_does_not_hang_on_what_the_process_has_seen(data: Data) -> None:
    program = (
        "import polars as pl, sys, pathlib\n"
        "from typedflow import type_engine\nfrom typedflow.dataplane import objects\n"
        "kept = pl.Series(sys.argv[2].split(), dtype=pl.Categorical)\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "data = type_engine.Data(objects.FolderStore(folder), folder)\n"
        "frame = pl.DataFrame({'c': pl.Series(['b', 'a', 'b'], dtype=pl.Categorical)})\n"
        "print(type_engine.standard().converter(pl.DataFrame).to_literal(frame, 'o0', data).frame.content)\n"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", program, str(data.folder / "other"), seen],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seen in ("a b", "b a", "z")
    }
    assert len(found) == 1


def test_an_index_and_categories_of_pandas_arrive(data: Data) -> None:
    frame = pd.DataFrame(
        {
            "grade": pd.Categorical(["lo", "hi", None], categories=["lo", "mid", "hi"], ordered=True),
            "kind": pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]),
            "number": pd.Categorical([3, 1, 3]),
        },
        index=pd.Index([7, 8, 9], name="id"),
    )
    received = receive(publish(frame, data, PANDAS), data)
    assert received.schema["grade"] == pl.Enum(["lo", "mid", "hi"])
    assert received.to_dict(as_series=False) == {
        "grade": ["lo", "hi", None],
        "kind": ["b", "a", "b"],
        "number": [3, 1, 3],
        "id": [7, 8, 9],
    }


@pytest.mark.parametrize(
    ("frame", "where"),
    [
        (pl.DataFrame({"x": [1], "o": pl.Series([object()], dtype=pl.Object)}), "outputs.df['o']"),
        (pl.DataFrame({"x": [1], "big": pl.Series([1], dtype=pl.Int128)}), "outputs.df['big']"),
        (pl.DataFrame(height=3), "outputs.df"),
    ],
    ids=["objects", "128 bits", "no columns"],
)
def test_t2_what_arrow_can_not_carry_is_an_error_that_names_the_column(
    frame: Any, where: str, data: Data
) -> None:
    with pytest.raises(errors.ConversionError) as caught:
        publish(frame, data)
    assert caught.value.where == where
    assert caught.value.hint


def test_what_polars_does_not_have_is_an_error_that_names_the_column(data: Data) -> None:
    for column in (pa.array([None], pa.decimal256(50, 2)), pa.array([None], pa.month_day_nano_interval())):
        literal = publish(pa.table({"x": [1], "odd": column}), data, ARROW)
        with pytest.raises(errors.ConversionError, match="polars has no") as caught:
            receive(literal, data)
        assert caught.value.where == "inputs.df['odd']"


def test_a_value_that_is_no_frame_is_told_what_to_write(data: Data) -> None:
    frame = pl.DataFrame({"a": [1]})
    for converter, value, hint in [
        (POLARS, frame.lazy(), ".collect()"),
        (ARROW, frame.lazy(), ".collect().to_arrow()"),
        (PANDAS, frame.lazy(), ".collect().to_pandas()"),
        (PANDAS, frame, ".to_pandas()"),
        (ARROW, frame, ".to_arrow()"),
        (POLARS, frame["a"], ".to_frame()"),
        (POLARS, pd.DataFrame({"a": [1]}), "pl.from_pandas("),
        (POLARS, frame.to_arrow(), "pl.from_arrow("),
        (POLARS, {"a": [1]}, ""),
    ]:
        with pytest.raises(errors.ConversionError, match="expected dataframe") as caught:
            publish(value, data, converter)
        assert hint in caught.value.hint
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        POLARS.to_literal(frame, "df", NO_DATA)
    with pytest.raises(errors.DefinitionError, match="not a supported type") as refused:
        ENGINE.converter(pl.LazyFrame)
    assert ".collect()" in refused.value.hint


def test_a_damaged_frame_is_told_and_not_read(data: Data) -> None:
    literal = publish(pl.DataFrame({"x": [1, 2, 3], "mark": ["damaged polars"] * 3}), data)
    stored = data.local_path(literal.frame.blob)
    assert stored is not None
    content = bytearray(stored.read_bytes())
    content[content.index(b"damaged")] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    with pytest.raises(errors.IntegrityError) as caught:
        receive(literal, data)
    assert caught.value.where == str(stored)


def test_a_polars_frame_goes_through_without_pandas(data: Data) -> None:
    program = (
        "import polars as pl, sys, pathlib\n"
        "from typedflow import type_engine\nfrom typedflow.dataplane import objects\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "data = type_engine.Data(objects.FolderStore(folder), folder)\n"
        "converter = type_engine.standard().converter(pl.DataFrame)\n"
        "sent = pl.DataFrame({'a': [1, 2]})\n"
        "assert converter.from_literal(converter.to_literal(sent, 'o0', data), 'df', data).equals(sent)\n"
        "print(sorted({'pandas', 'pandera'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(data.folder / "alone")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "[]\n"
