"""D3: frames are mapped in a store of this machine, and Parquet in a remote one; each reads what the other wrote."""

import datetime as dt
import decimal
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from typedflow import Columns, errors, type_engine
from typedflow.dataplane import digests, folders, objects
from typedflow.type_engine import Data

ENGINE = type_engine.standard()
ARROW = ENGINE.converter(pa.Table)
PANDAS = ENGINE.converter(pd.DataFrame)
POLARS = ENGINE.converter(pl.DataFrame)


class Remote(folders.FolderStore):
    """A store without files on this machine; counts the bytes that are fetched."""

    is_local = False

    def checked_path(self, blob):  # noqa: ARG002
        return None


@pytest.fixture
def remote(tmp_path: Path) -> Data:
    return Data(Remote(tmp_path / "remote"), tmp_path / "files")


@pytest.fixture
def local(tmp_path: Path) -> Data:
    return Data(objects.open_store(str(tmp_path / "local")), tmp_path / "files")


PLAIN = pa.table(
    {
        "i": pa.array([1, None, 3], pa.int16()),
        "u": pa.array([1, 2, 2**64 - 1], pa.uint64()),
        "f": pa.array([0.5, float("nan"), None]),
        "f32": pa.array([-0.0, 1.5, None], pa.float32()),
        "b": [True, None, False],
        "s": ["a", None, "\u00e9"],
        "ls": pa.array(["a", "", None], pa.large_string()),
        "bin": [b"\0", b"", None],
        "d": [dt.date(2020, 1, 1), None, dt.date(1900, 1, 1)],
        "t": pa.array([1, None, -1], pa.timestamp("ns", tz="Europe/Berlin")),
        "us": pa.array([1, None, -1], pa.timestamp("us")),
        "time": pa.array([1, None, 2], pa.time64("us")),
        "dec": [decimal.Decimal("1.50"), None, decimal.Decimal("-2.25")],
        "l": [[1, 2], None, []],
        "ll": [[["a"], None], [], None],
    }
)
ODD = {
    "dictionary": pa.array(["b", "a", None]).dictionary_encode(),
    "duration": pa.array([1, 2, None], pa.duration("s")),
    "seconds": pa.array([1, 2, None], pa.timestamp("s")),
    "half": pa.array([1.5, 2.5, None], pa.float16()),
    "struct": pa.array([{"a": 1}, None, {"a": None}]),
    "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "fixed": pa.array([[1, 2], [3, 4], None], pa.list_(pa.int64(), 2)),
    "null": pa.nulls(3),
    "decimal256": pa.array([decimal.Decimal("1.5"), None, None], pa.decimal256(60, 2)),
    "a.b": pa.array([1, 2, 3]),
}


def test_d3_what_parquet_keeps_exactly_is_parquet_in_a_remote_store_and_comes_back_as_it_was(remote):
    table = PLAIN.replace_schema_metadata({"mine": "kept"})
    literal = ARROW.to_literal(table, "o", remote)
    assert literal.frame.format == "parquet"
    back = ARROW.from_literal(literal, "i", remote)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert ARROW.to_literal(back, "o", remote).frame.content == literal.frame.content
    assert remote.store.read_bytes(literal.frame.blob)[:4] == b"PAR1"


@pytest.mark.parametrize("name", ODD)
def test_d3_what_parquet_would_change_stays_arrow_in_a_remote_store(remote, local, name):
    table = pa.table({name: ODD[name], "other": [1, 2, 3]})
    literal = ARROW.to_literal(table, "o", remote)
    assert literal.frame.format == "arrow"
    back = ARROW.from_literal(literal, "i", remote)
    assert back.schema.equals(table.schema, check_metadata=True)
    assert back.equals(table)
    assert ARROW.to_literal(table, "o", local).frame.content == literal.frame.content


def test_d3_a_frame_has_one_content_wherever_it_is_kept_and_each_reads_what_the_other_wrote(remote, local):
    table = PLAIN.drop_columns(["l", "ll"])  # pandas gives lists as arrays
    there, here = ARROW.to_literal(table, "o", remote), ARROW.to_literal(table, "o", local)
    assert (there.frame.format, here.frame.format) == ("parquet", "arrow")
    assert there.frame.content == here.frame.content
    assert [*there.frame.column_contents] == [*here.frame.column_contents]
    remote.store.put_bytes(local.store.read_bytes(here.frame.blob))
    local.store.put_bytes(remote.store.read_bytes(there.frame.blob))
    for converter in (ARROW, PANDAS, POLARS):
        from_there, from_here = (
            converter.from_literal(there, "i", local),
            converter.from_literal(here, "i", remote),
        )
        assert converter.to_literal(from_there, "o", local).frame.content == (
            converter.to_literal(from_here, "o", local).frame.content
        )


@given(
    st.lists(
        st.tuples(
            st.none() | st.integers(-(2**63), 2**63 - 1),
            st.none() | st.floats(),
            st.none() | st.text(st.characters(exclude_categories=["Cs"])),
            st.none() | st.lists(st.none() | st.booleans(), max_size=3),
        ),
        max_size=20,
    )
)
@settings(max_examples=50)
def test_d3_any_table_comes_back_from_parquet_with_its_content(tmp_path_factory, rows):
    folder = tmp_path_factory.getbasetemp() / "any"
    data = Data(Remote(folder / "store"), folder / "files")
    columns = list(zip(*rows, strict=True)) or [(), (), (), ()]
    types = [pa.int64(), pa.float64(), pa.string(), pa.list_(pa.bool_())]
    table = pa.table({f"c{n}": pa.array(c, t) for n, (c, t) in enumerate(zip(columns, types, strict=True))})
    literal = ARROW.to_literal(table, "o", data)
    assert literal.frame.format == "parquet"
    back = ARROW.from_literal(literal, "i", data)
    assert back.schema == table.schema
    assert ARROW.to_literal(back, "o", data).frame.content == literal.frame.content


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b": ["x", None]}, index=pd.Index(["r", "s"], name="row")),
        pd.DataFrame(
            {
                "a": pd.array([1, None], dtype="Int64"),
                "t": pd.Series([pd.Timestamp("2020-01-01", tz="UTC"), pd.NaT]),
            }
        ),
        pd.DataFrame({"c": pd.Categorical(["b", "a"], categories=["c", "b", "a"], ordered=True)}),
        pd.DataFrame(index=pd.RangeIndex(5)),
    ],
)
def test_d3_pandas_frames_come_back_from_a_remote_store_exactly(remote, frame):
    back = PANDAS.from_literal(PANDAS.to_literal(frame, "o", remote), "i", remote)
    pd.testing.assert_frame_equal(back, frame)


def test_d3_only_the_chunks_of_wanted_columns_are_fetched_from_a_large_frame(remote, monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", 100_000)
    numbers = np.random.default_rng(0).random((20_000, 10))
    wide = pa.table({f"c{n}": pa.array(numbers[:, n]) for n in range(10)})  # 1.6 MB, incompressible
    literal = ARROW.to_literal(wide, "o", remote)
    read: list[int] = []
    opened: Any = Remote.open

    def counting(self, blob):
        file = opened(self, blob)
        raw = file.raw
        inner = raw._read

        def noted(start, length):
            read.append(length)
            return inner(start, length)

        raw._read = noted
        return file

    monkeypatch.setattr(Remote, "open", counting)
    own = ENGINE.converter(Annotated[pa.Table, Columns(c3=float, strict="filter")])
    table = own.from_literal(literal, "i", remote)
    assert table.column_names == ["c3"]
    assert table["c3"].to_numpy().tolist() == numbers[:, 3].tolist()
    assert sum(read) < 600_000
    assert ARROW.from_literal(literal, "i", remote).num_columns == 10


def test_d1_a_damaged_parquet_file_is_told_and_not_read(remote):
    literal = ARROW.to_literal(PLAIN, "o", remote)
    stored = remote.store.root / literal.frame.blob.uri
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.chmod(0o644)
    stored.write_bytes(content)
    with pytest.raises(errors.IntegrityError, match="not what its name says"):
        ARROW.from_literal(literal, "i", remote)
    literal.frame.blob.CopyFrom(remote.put_bytes(b"PAR1 and no more"))
    with pytest.raises(errors.IntegrityError, match="can't be read"):
        ARROW.from_literal(literal, "i", remote)


def test_d3_arrow_and_polars_consumers_get_the_stored_bytes_themselves(local):
    table = pa.table({"x": pa.array(np.arange(1_000_000.0)), "s": ["text"] * 1_000_000})
    literal = ARROW.to_literal(table, "o", local)
    size = literal.frame.blob.size
    before = pa.total_allocated_bytes()
    mapped = ARROW.from_literal(literal, "i", local)
    assert pa.total_allocated_bytes() - before < size / 100
    assert mapped.equals(table)
    assert POLARS.from_literal(literal, "i", local)["x"].sum() == 999_999 * 500_000.0


def test_d3_a_task_that_writes_to_what_it_is_given_changes_no_object(local):
    literal = PANDAS.to_literal(pd.DataFrame({"x": np.arange(1000.0)}), "o", local)
    for converter, values in ((ARROW, lambda t: t["x"].to_numpy()), (POLARS, lambda f: f["x"].to_numpy())):
        shared = values(converter.from_literal(literal, "i", local))
        assert not shared.flags.writeable
        with pytest.raises(ValueError, match=r"read-only|WRITEABLE"):
            shared[0] = 1.0
        with pytest.raises(ValueError, match="WRITEABLE"):
            shared.flags.writeable = True
    own = PANDAS.from_literal(literal, "i", local)
    own["x"] += 1
    own.iloc[0, 0] = -1.0
    assert PANDAS.from_literal(literal, "i", local)["x"].tolist() == list(range(1000))


def test_d3_a_task_that_makes_a_stored_file_writable_and_writes_is_found_out_at_the_next_read(local):
    literal = ARROW.to_literal(pa.table({"x": pa.array(np.arange(1000.0))}), "o", local)
    stored = local.local_path(literal.frame.blob)
    assert stored is not None
    assert stored.stat().st_mode & 0o222 == 0
    stored.chmod(0o644)
    with stored.open("r+b") as file:
        file.seek(500)
        file.write(b"mine")
    with pytest.raises(errors.IntegrityError, match="not what its name says"):
        ARROW.from_literal(literal, "i", local)
    with pytest.raises(
        errors.IntegrityError, match="no longer there"
    ):  # put aside: whoever looks it up makes it again
        ARROW.from_literal(literal, "i", local)
    assert (
        ARROW.to_literal(pa.table({"x": pa.array(np.arange(1000.0))}), "o", local).frame.blob
        == literal.frame.blob
    )
    assert ARROW.from_literal(literal, "i", local)["x"].to_pylist() == list(range(1000))
