"""pandas and Arrow frames: exact round trips, private copies, and one content digest for one meaning."""

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow import errors, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA, Data, frame_digest

ENGINE = type_engine.standard()
PANDAS = ENGINE.converter(pd.DataFrame)
ARROW = ENGINE.converter(pa.Table)

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
STAMPS = st.datetimes(datetime(1700, 1, 1), datetime(2200, 1, 1))  # noqa: DTZ001 - zones are the columns'

INSTANTS = STAMPS.map(lambda moment: moment.replace(tzinfo=UTC))


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


DTYPES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "int64": ("int64", INT64),
    "uint8": ("uint8", st.integers(0, 255)),
    "float64": ("float64", st.floats()),
    "float32": ("float32", st.floats(width=32)),
    "bool": ("bool", st.booleans()),
    "str": ("str", optional(TEXT)),
    "string, python": (pd.StringDtype("python"), optional(TEXT)),
    "string, pyarrow": (pd.StringDtype("pyarrow"), optional(TEXT)),
    "object of str": ("object", optional(TEXT)),
    "object of int": ("object", optional(INT64)),
    "object of bool": ("object", optional(st.booleans())),
    "object of bytes": ("object", optional(st.binary(max_size=4))),
    "object of dates": ("object", optional(st.dates())),
    "object of lists": ("object", optional(st.lists(INT64, min_size=1, max_size=2))),
    "Int64": ("Int64", optional(INT64)),
    "Float64": ("Float64", optional(st.floats(allow_nan=False))),
    "boolean": ("boolean", optional(st.booleans())),
    "datetime64[ns]": ("datetime64[ns]", optional(STAMPS)),
    "datetime64[us, Europe/Berlin]": ("datetime64[us, Europe/Berlin]", optional(STAMPS)),
    "timedelta64[us]": ("timedelta64[us]", optional(st.timedeltas(timedelta(days=-9), timedelta(days=9)))),
    "category": (pd.CategoricalDtype(["b", "a", "c"], ordered=True), optional(st.sampled_from("abc"))),
    "category of ints": (pd.CategoricalDtype([3, 1]), optional(st.sampled_from([1, 3]))),
    "period": ("period[M]", optional(STAMPS)),
    "int64[pyarrow]": ("int64[pyarrow]", optional(INT64)),
    "string[pyarrow]": (pd.ArrowDtype(pa.string()), optional(TEXT)),
    "decimal[pyarrow]": (pd.ArrowDtype(pa.decimal128(10, 2)), optional(st.decimals("-9999", "9999", places=2))),
    "list[pyarrow]": (pd.ArrowDtype(pa.list_(pa.int64())), optional(st.lists(INT64, max_size=2))),
    "timestamp[pyarrow]": (pd.ArrowDtype(pa.timestamp("us", "UTC")), optional(INSTANTS)),
}  # fmt: skip


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(0, 4))
    chosen = draw(st.lists(st.sampled_from(sorted(DTYPES)), max_size=4, unique=True))
    columns = {name: series(draw, name, rows) for name in chosen}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(rows))
    match draw(st.sampled_from(["range", "named", "one", "two", "dates"])):
        case "range":
            pass
        case "named":
            frame.index = pd.RangeIndex(5, 5 + 2 * rows, 2, name="row")
        case "one":
            name = draw(
                st.sampled_from(["str", "int64", "string, python", "object of str", "string[pyarrow]"])
            )
            frame.index = pd.Index(series(draw, name, rows), name=draw(optional(TEXT)))
        case "two":
            levels = [series(draw, name, rows) for name in ("str", "int64")]
            frame.index = pd.MultiIndex.from_arrays(levels, names=["a", None])
        case _:
            frame.index = pd.date_range(
                "2026-01-01", periods=rows, freq=draw(st.sampled_from(["D", "h", "MS"]))
            )
    return frame


def series(draw: st.DrawFn, name: str, rows: int) -> "pd.Series[Any]":
    dtype, values = DTYPES[name]
    drawn = draw(st.lists(values, min_size=rows, max_size=rows))
    if dtype == "object":
        made = pd.Series([None] * rows, dtype=object)
        for i, value in enumerate(drawn):
            made.iat[i] = value
        return made
    if name == "period":
        return pd.Series(pd.PeriodIndex(pd.DatetimeIndex(drawn), freq="M"))
    if name == "datetime64[us, Europe/Berlin]":
        return pd.Series(
            pd.DatetimeIndex(drawn, dtype="datetime64[us]").tz_localize("UTC").tz_convert("Europe/Berlin")
        )
    return pd.Series(pd.array(drawn, dtype=dtype))


def publish(value: Any, data: Data, converter: type_engine.Converter = PANDAS) -> literals_pb2.Literal:
    return converter.to_literal(value, "outputs.df", data)


def there_and_back(value: Any, data: Data, converter: type_engine.Converter = PANDAS) -> Any:
    return converter.from_literal(publish(value, data, converter), "inputs.df", data)


@given(frame=frames())
def test_t2_a_pandas_frame_comes_back_exactly(frame: pd.DataFrame, data: Data) -> None:
    back = there_and_back(frame, data)
    pd.testing.assert_frame_equal(frame, back, check_exact=True, check_freq=True)
    for name in frame:
        assert [type(value) for value in frame[name]] == [type(value) for value in back[name]]


@given(frame=frames())
def test_c3_a_frame_that_went_through_has_the_content_that_it_had(frame: pd.DataFrame, data: Data) -> None:
    literal = publish(frame, data)
    assert (
        publish(PANDAS.from_literal(literal, "inputs.df", data), data).frame.content == literal.frame.content
    )
    assert (
        publish(ARROW.from_literal(literal, "inputs.df", data), data, ARROW).frame.content
        == literal.frame.content
    )


ODD = {
    "empty": pd.DataFrame(),
    "an index only": pd.DataFrame(index=[1, 2, 3]),
    "labels of ints": pd.DataFrame(np.eye(2)),
    "labels of pairs": pd.DataFrame(
        np.eye(2), columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)], names=["k", "l"])
    ),
    "named labels": pd.DataFrame({"a": [1]}, columns=pd.Index(["a"], name="columns")),
    "a falling range": pd.DataFrame({"a": [1, 2, 3]}, index=pd.RangeIndex(3, 0, -1)),
    "every other row": pd.DataFrame({"a": [1, 2, 3, 4]}).iloc[::2],
    "objects and NaN": pd.DataFrame({"a": pd.Series(["x", float("nan")], dtype=object)}),
    "objects and NA": pd.DataFrame({"a": pd.Series(["x", pd.NA], dtype=object)}),
    "all None": pd.DataFrame({"a": [None, None]}),
    "no category": pd.DataFrame({"a": pd.Categorical([None, None])}),
    "decimals": pd.DataFrame({"a": [Decimal("1.50"), None, Decimal("2.25")]}),
    "floats": pd.DataFrame({"a": [float("nan"), -0.0, float("inf"), 0.0]}),
    "intervals": pd.DataFrame({"a": pd.interval_range(0, 3)}),
    "a missing label of a row": pd.DataFrame({"a": [1, 2]}, index=pd.Index(["x", None], dtype=object)),
}


@pytest.mark.parametrize("name", ODD)
def test_t2_an_odd_frame_comes_back_exactly(name: str, data: Data) -> None:
    frame = ODD[name]
    back = there_and_back(frame, data)
    pd.testing.assert_frame_equal(frame, back, check_exact=True)
    if name == "floats":
        assert list(np.signbit(back["a"])) == list(np.signbit(frame["a"]))


@pytest.mark.parametrize(
    ("frame", "where", "words"),
    [
        (pd.DataFrame({"m": [1, "a"]}), "outputs.df", "column m"),
        (pd.DataFrame({"m": [1 + 2j]}), "outputs.df", "column m"),
        (pd.DataFrame({"m": pd.arrays.SparseArray([0, 1])}), "outputs.df", "column m"),
        (pd.DataFrame({"m": [(1, 2)]}), "outputs.df['m'][0]", "tuple, not list"),
        (
            pd.DataFrame({"m": pd.Series([1, np.int64(2)], dtype=object)}),
            "outputs.df['m'][1]",
            "int64, not int",
        ),
        (pd.DataFrame({"m": pd.Series([None, float("nan")], dtype=object)}), "outputs.df['m']", "None, nan"),
        (pd.DataFrame([[1, 2]], columns=["m", "m"]), "outputs.df", "several columns 'm'"),
        (pd.DataFrame({1: [1], "m": [2]}), "outputs.df", "labels are of several types"),
        (pd.DataFrame({"m": [1]}, index=pd.Index([1], name=0)), "outputs.df.index", "the index's name 0"),
    ],
    ids=[
        "mixed",
        "complex",
        "sparse",
        "tuples",
        "numpy ints",
        "two kinds of missing",
        "twice",
        "mixed labels",
        "name 0",
    ],
)
def test_t2_what_arrow_can_not_carry_is_an_error_that_names_the_column(
    frame: pd.DataFrame, where: str, words: str, data: Data
) -> None:
    with pytest.raises(errors.ConversionError) as caught:
        publish(frame, data)
    assert (caught.value.where, words in caught.value.message) == (where, True), str(caught.value)
    assert caught.value.hint


def test_a_value_that_is_no_frame_is_told_what_to_write(data: Data) -> None:
    frame, table = pd.DataFrame({"a": [1]}), pa.table({"a": [1]})
    for converter, value, hint in [
        (PANDAS, table, "to_pandas"),
        (ARROW, frame, "from_pandas"),
        (PANDAS, frame["a"], "to_frame"),
        (PANDAS, {"a": [1]}, ""),
    ]:
        with pytest.raises(errors.ConversionError, match="expected dataframe") as caught:
            publish(value, data, converter)
        assert hint in caught.value.hint
    with pytest.raises(errors.ConversionError, match="expected dataframe"):
        PANDAS.from_literal(literals.from_int(1), "inputs.df", data)
    with pytest.raises(errors.ConversionError, match="can't be written here as a constant"):
        PANDAS.to_literal(frame, "df", NO_DATA)
    with pytest.raises(errors.ConversionError, match="several columns 'a'"):
        publish(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), data, ARROW)
    union = pa.UnionArray.from_dense(pa.array([0], pa.int8()), pa.array([0], pa.int32()), [pa.array([1])])
    with pytest.raises(errors.ConversionError, match="column 'a': Arrow's dense_union"):
        publish(pa.table({"a": union}), data, ARROW)


def test_a_frame_literal_tells_what_the_frame_has(data: Data) -> None:
    frame = pd.DataFrame({"x": [0.5, None], "n": [1, 2], "s": ["a", "b"]}, index=pd.Index([7, 8], name="id"))
    literal = publish(frame, data).frame
    told = [(column.name, column.dtype, column.nullable) for column in literal.type.columns]
    assert told == [("x", "double", True), ("n", "int64", False), ("s", "string", False)]
    assert (literal.rows, literal.format, literal.type.strict) == (2, "arrow", True)


def test_e15_each_pandas_consumer_has_a_private_writable_copy(data: Data) -> None:
    literal = publish(pd.DataFrame({"x": np.arange(4.0), "s": list("abcd")}), data)
    table = ARROW.from_literal(literal, "inputs.df", data)
    first, second = (PANDAS.from_literal(literal, "inputs.df", data) for _ in range(2))
    first.iloc[0, 0] = 9.0
    first["x"].to_numpy(copy=False)
    first.loc[1, "s"] = "spoilt"
    first.iloc[:, 0] += 1
    assert second["x"].tolist() == [0.0, 1.0, 2.0, 3.0]
    assert table["x"].to_pylist() == [0.0, 1.0, 2.0, 3.0]
    assert PANDAS.from_literal(literal, "inputs.df", data)["s"].tolist() == list("abcd")


WITHOUT_NULLS: dict[str, list[Any]] = {
    "int64": [1, 1, 0],
    "float64": [1.0, 1.0, 0.5],
    "bool": [True, True, False],
    "str": ["a", "a", "b"],
    "object": ["a", "a", "b"],
    "string": ["a", "a", "b"],
    "Int64": [1, 1, 0],
    "boolean": [True, True, False],
    "datetime64[ns]": ["2026-01-01", "2026-01-01", "2026-01-02"],
    "datetime64[us, Europe/Berlin]": ["2026-01-01", "2026-01-01", "2026-01-02"],
    "timedelta64[us]": ["1s", "1s", "2s"],
    "category": ["a", "a", "b"],
    "period[M]": ["2026-01", "2026-01", "2026-02"],
    "int64[pyarrow]": [1, 1, 0],
}


@pytest.mark.parametrize("dtype", WITHOUT_NULLS)
def test_e15_a_column_of_any_dtype_may_be_written_to(dtype: Any, data: Data) -> None:
    sent = pd.DataFrame({"x": WITHOUT_NULLS[dtype]}).astype(dtype)
    literal = publish(sent, data)
    frame = PANDAS.from_literal(literal, "inputs.df", data)
    frame.iloc[0, 0] = frame.iloc[2, 0]
    frame["x"].array[1] = frame["x"].array[2]
    assert frame.iloc[0, 0] == frame.iloc[2, 0]
    pd.testing.assert_frame_equal(PANDAS.from_literal(literal, "inputs.df", data), sent)


def test_e15_the_blocks_of_a_single_column_are_writable_too(data: Data) -> None:
    literal = publish(pd.DataFrame({"x": np.arange(1_000_000)}), data)
    frame = PANDAS.from_literal(literal, "inputs.df", data)
    assert all(block.values.flags.writeable for block in frame._mgr.blocks)
    frame.iloc[0, 0] = -1
    assert PANDAS.from_literal(literal, "inputs.df", data).iloc[0, 0] == 0


def test_d3_arrow_consumers_share_the_stored_file(data: Data) -> None:
    literal = publish(pa.table({"x": pa.array(np.arange(1_000_000))}), data, ARROW)
    before = pa.total_allocated_bytes()
    table = ARROW.from_literal(literal, "inputs.df", data)
    assert table["x"][999_999].as_py() == 999_999
    assert pa.total_allocated_bytes() - before < 100_000


def test_an_arrow_task_may_change_what_pandas_made(data: Data) -> None:
    index = pd.date_range("2026-01-01", periods=4, freq="D", name="day")
    columns = {
        "s": pd.array(list("abcd"), dtype="string[python]"),
        "o": pd.Series(list("abcd"), dtype=object, index=index),
    }
    made = publish(
        pd.DataFrame(columns, index=index).assign(n=pd.array([1, 2, 3, None], dtype="Int64")), data
    )
    table = ARROW.from_literal(made, "inputs.df", data)
    mask = pa.array([True, False, True, False])
    changed = {
        "rows": table.filter(mask),
        "no index": table.drop_columns(["day"]),
        "a column more": table.append_column("extra", pa.array(["p", "q", "r", "s"])),
        "another type": table.set_column(0, "s", pa.array([1, 2, 3, 4])),
        "another order": table.select(["day", "n", "o", "s"]),
        "no rows": table.slice(0, 0),
    }
    for name, sent in changed.items():
        frame = PANDAS.from_literal(publish(sent, data, ARROW), "inputs.df", data)
        assert {column: frame[column].tolist()[:3] for column in ("o", "s")} == {
            column: sent[column].to_pylist()[:3] for column in ("o", "s")
        }, name
        assert list(frame) == [column for column in sent.schema.names if column != "day"], name


def test_a_damaged_frame_is_told_and_not_read(data: Data) -> None:
    literal = publish(pa.table({"x": [1, 2, 3], "mark": ["damaged here"] * 3}), data, ARROW)
    stored = data.local_path(literal.frame.blob)
    assert stored is not None
    content = bytearray(stored.read_bytes())
    content[content.index(b"damaged")] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    with pytest.raises(errors.IntegrityError):
        ARROW.from_literal(literal, "inputs.df", data)


def test_a_frame_in_a_format_of_the_future_is_refused(data: Data) -> None:
    literal = publish(pa.table({"x": [1]}), data, ARROW)
    literal.frame.format = "future"
    with pytest.raises(errors.ConversionError, match="stored as 'future'"):
        ARROW.from_literal(literal, "inputs.df", data)


def test_c3_chunks_slices_bytes_under_nulls_and_layout_play_no_part() -> None:
    plain = pa.table(
        {"n": pa.array([1, None, 3], pa.int64()), "s": ["a", None, "ccc"], "b": [True, None, False]}
    )
    want = frame_digest.of_table(plain)
    chunked = pa.concat_tables([plain.slice(0, 1), plain.slice(1, 2)])
    longer = pa.concat_tables([plain.slice(2, 1), plain, plain.slice(0, 1)]).combine_chunks().slice(1, 3)
    under = plain.set_column(0, "n", pa.array(np.array([1, 99, 3]), mask=np.array([False, True, False])))
    large = plain.set_column(1, "s", plain["s"].cast(pa.large_string()))
    view = plain.set_column(1, "s", plain["s"].cast(pa.string_view()))
    noted = plain.replace_schema_metadata({"made by": "a library, 1.2.3"})
    for name, table in locals().copy().items():
        if isinstance(table, pa.Table):
            assert frame_digest.of_table(table) == want, name


DIFFERENT = {
    "plain": pa.table({"x": [1, 2]}),
    "name": pa.table({"y": [1, 2]}),
    "order of rows": pa.table({"x": [2, 1]}),
    "type": pa.table({"x": pa.array([1, 2], pa.int32())}),
    "unsigned": pa.table({"x": pa.array([1, 2], pa.uint64())}),
    "null": pa.table({"x": [1, None]}),
    "zero for null": pa.table({"x": [1, 0]}),
    "fewer": pa.table({"x": [1]}),
    "none": pa.table({"x": pa.array([], pa.int64())}),
    "two": pa.table({"x": [1, 2], "y": [1, 2]}),
    "two, other order": pa.table({"y": [1, 2], "x": [1, 2]}),
    "float": pa.table({"x": [1.0, 0.0]}),
    "negative zero": pa.table({"x": [1.0, -0.0]}),
    "nan": pa.table({"x": [1.0, float("nan")]}),
    "float null": pa.table({"x": [1.0, None]}),
    "split here": pa.table({"x": ["ab", "c"]}),
    "split there": pa.table({"x": ["a", "bc"]}),
    "bytes": pa.table({"x": [b"ab", b"c"]}),
    "categories": pa.table({"x": pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", "b"]))}),
    "more categories": pa.table({"x": pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", "b", "c"]))}),
    "other order of categories": pa.table({"x": pa.DictionaryArray.from_arrays([1, 0], pa.array(["b", "a"]))}),
    "ordered categories": pa.table({"x": pa.DictionaryArray.from_arrays([0, 1], pa.array(["a", "b"]), ordered=True)}),
    "lists": pa.table({"x": [[1], [2, 3]]}),
    "other lists": pa.table({"x": [[1, 2], [3]]}),
    "empty list": pa.table({"x": [[1, 2, 3], []]}),
    "null list": pa.table({"x": [[1, 2, 3], None]}),
    "struct": pa.table({"x": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}),
    "null struct": pa.table({"x": [{"a": 1, "b": 2}, None]}),
    "struct of nulls": pa.table({"x": [{"a": 1, "b": 2}, {"a": None, "b": None}]}),
    "map": pa.table({"x": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64()))}),
    "decimal": pa.table({"x": [Decimal("1.5"), Decimal("2.5")]}),
    "dates": pa.table({"x": [date(2026, 1, 1), None]}),
    "instants": pa.table({"x": pa.array([1, 2], pa.timestamp("us", "UTC"))}),
    "local times": pa.table({"x": pa.array([1, 2], pa.timestamp("us"))}),
    "fixed lists": pa.table({"x": pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))}),
    "nulls": pa.table({"x": pa.nulls(2)}),
    "booleans": pa.table({"x": [True, False]}),
    "no columns": pa.table({}),
}  # fmt: skip


def test_c3_what_means_something_else_has_another_digest() -> None:
    found = {frame_digest.of_table(table): name for name, table in DIFFERENT.items()}
    assert sorted(found.values()) == sorted(DIFFERENT)


@pytest.mark.parametrize("name", DIFFERENT)
def test_c3_every_type_is_the_same_in_chunks_and_in_slices(name: str) -> None:
    table = DIFFERENT[name]
    doubled = pa.concat_tables([table, table])
    middle = pa.concat_tables([doubled.slice(i, 1) for i in range(1, doubled.num_rows)] or [doubled])
    assert frame_digest.of_table(middle) == frame_digest.of_table(doubled.combine_chunks().slice(1))
    assert frame_digest.of_table(doubled.slice(0, table.num_rows)) == frame_digest.of_table(table)


def test_c3_the_digest_of_a_frame_never_changes(repository: Path) -> None:
    golden = json.loads((repository / "tests" / "golden" / "frames.json").read_text())
    assert {name: frame_digest.of_table(table).whole for name, table in DIFFERENT.items()} == golden


def test_c3_nan_is_one_value_whatever_its_bits_are() -> None:
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype="uint64").view("float64")
    usual = np.array([np.nan, np.nan])
    assert frame_digest.of_table(pa.table({"x": pa.array(odd)})) == frame_digest.of_table(
        pa.table({"x": pa.array(usual)})
    )


def test_c3_codes_of_a_dictionary_play_no_part() -> None:
    plain = pa.DictionaryArray.from_arrays(pa.array([0, 1, None]), pa.array(["a", "b"]))
    wide = pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None], pa.int64()), pa.array(["a", "b"], pa.large_string())
    )
    twice = pa.DictionaryArray.from_arrays(pa.array([2, 1, None]), pa.array(["a", "b", "a"]))
    null = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "b", None]))
    digests = {frame_digest.of_table(pa.table({"x": array})) for array in (plain, wide, twice, null)}
    assert len(digests) == 1


def test_c3_a_pandas_frame_and_an_arrow_table_that_mean_the_same_have_one_content(data: Data) -> None:
    columns: dict[str, Any] = {"x": [0.5, 1.5], "n": [1, 2], "s": ["a", "b"], "b": [True, False]}
    plain = publish(pd.DataFrame(columns), data).frame
    assert plain.content == publish(pa.table(columns), data, ARROW).frame.content
    others = [
        pd.DataFrame(columns, index=[5, 6]),
        pd.DataFrame(columns, index=pd.RangeIndex(2, name="row")),
        pd.DataFrame(columns, index=pd.RangeIndex(1, 3)),
        pd.DataFrame(columns).astype({"n": "Int64"}),
        pd.DataFrame(columns).astype({"s": object}),
        pd.DataFrame(columns).rename_axis(columns="labels"),
        pd.DataFrame(columns).set_index("n"),
    ]
    contents = [publish(frame, data).frame.content for frame in others]
    assert len({plain.content, *contents}) == len(others) + 1


def test_c3_labels_that_are_numbers_are_told_from_text(data: Data) -> None:
    numbers = publish(pd.DataFrame({0: [1]}), data).frame
    assert numbers.content != publish(pd.DataFrame({"0": [1]}), data).frame.content


def test_nothing_of_frames_is_imported_for_plain_values() -> None:
    program = (
        "import sys\n"
        "from typedflow import type_engine\n"
        "engine = type_engine.standard()\n"
        "converter = engine.converter(list[int | None])\n"
        "literal = converter.to_literal([1, None], 'x', type_engine.NO_DATA)\n"
        "assert converter.from_literal(literal, 'x', type_engine.NO_DATA) == [1, None]\n"
        "heavy = {'numpy', 'pandas', 'pyarrow', 'pandera', 'fsspec'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
