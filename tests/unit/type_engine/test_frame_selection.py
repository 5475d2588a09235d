"""A consumer that filters reads and keys its own columns only: a selection means what a frame of just these means."""

from typing import Annotated, Any

import numpy as np
import pandas as pd
import pandera.pandas as pan
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pandera.typing import DataFrame

from tests.unit.type_engine.test_frames import frames
from typedflow import Columns, errors, hashing, literal_types, literals, task, type_engine, workflow
from typedflow.pb import literals_pb2
from typedflow.pb.types_pb2 import Column, LiteralType
from typedflow.type_engine import Data

ENGINE = type_engine.standard()
FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.Table}
MAKE: dict[str, Any] = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "arrow": pa.table}
COLUMNS: dict[str, Any] = {"a": [1, 2], "b": ["x", None], "c": [0.5, float("inf")], "d": [[1], [2, 3]]}


def publish(value: Any, data: Data, annotation: Any = None) -> literals_pb2.Literal:
    return ENGINE.converter(annotation or type(value)).to_literal(value, "outputs.df", data)


def receive(literal: literals_pb2.Literal, data: Data, annotation: Any) -> Any:
    return ENGINE.converter(annotation).from_literal(literal, "inputs.df", data)


def filtered(*names: str) -> LiteralType:
    return literal_types.frame([Column(name=name, nullable=True) for name in names], filtered=True)


def actual(literal: literals_pb2.Literal) -> LiteralType:
    return LiteralType(frame=literal.frame.type)


def select(literal: literals_pb2.Literal, *names: str) -> literals_pb2.Literal:
    return literals.convert(literal, actual(literal), filtered(*names))


def meaning(literal: literals_pb2.Literal) -> Any:
    """All of a frame's literal but where its bytes are."""
    frame = literal.frame
    return frame.content, frame.rows, frame.type, list(frame.column_contents), frame.index_content


@pytest.mark.slow
@given(frame=frames().filter(lambda frame: len(frame.columns)), draw=st.data())
def test_c3_a_selection_of_a_pandas_frame_means_what_the_frame_of_these_columns_means(
    frame: pd.DataFrame, draw: st.DataObject, data: Data
) -> None:
    chosen = draw.draw(st.lists(st.sampled_from(list(frame.columns)), min_size=1, unique=True))
    own = frame[[name for name in frame.columns if name in chosen]]
    selection = select(publish(frame, data), *chosen)
    assert meaning(selection) == meaning(publish(own, data))
    pd.testing.assert_frame_equal(
        receive(selection, data, pd.DataFrame), own, check_exact=True, check_freq=True
    )


@pytest.mark.parametrize("library", FRAMES)
@given(chosen=st.lists(st.sampled_from(sorted(COLUMNS)), min_size=1, unique=True))
def test_c3_so_does_one_of_a_frame_of_any_library(library: str, chosen: list[str], data: Data) -> None:
    own = MAKE[library]({name: values for name, values in COLUMNS.items() if name in chosen})
    sent = publish(MAKE[library](COLUMNS), data)
    selection = select(sent, *chosen)
    assert meaning(selection) == meaning(publish(own, data))
    assert selection.frame.blob == sent.frame.blob
    assert hashing.of_literal(selection) == hashing.of_literal(publish(own, data))


@pytest.mark.parametrize(
    "labels", [[0, 1], [("x", "y"), ("x", "z")], pd.Index(["a", "b"], name="labels")], ids=repr
)
def test_c3_the_kind_of_labels_is_in_a_selection(labels: Any, data: Data) -> None:
    frame = pd.DataFrame(
        np.eye(2), columns=pd.MultiIndex.from_tuples(labels) if type(labels[0]) is tuple else labels
    )
    sent = publish(frame, data)
    assert meaning(select(sent, sent.frame.type.columns[0].name)) == meaning(
        publish(frame.iloc[:, [0]], data)
    )


def test_t5_a_selection_keeps_the_frames_own_order_and_what_its_author_asks_for_may_be_missing(
    data: Data,
) -> None:
    sent = publish(pa.table(COLUMNS), data)
    selection = select(sent, "c", "a")
    assert [column.name for column in selection.frame.type.columns] == ["a", "c"]
    assert selection == select(sent, "a", "c")
    target = literal_types.frame(
        [*filtered("a").frame.columns, Column(name="zz", optional=True)], filtered=True
    )
    assert literals.convert(sent, actual(sent), target) == select(sent, "a")
    assert select(selection, "c", "a") is selection


def test_t5_what_is_left_out_is_there_for_nobody_who_is_given_the_selection(data: Data) -> None:
    indexed = pd.DataFrame(COLUMNS, index=pd.Index([7, 8], name="id"))
    selection = select(publish(indexed, data), "a", "b")
    assert list(receive(selection, data, pd.DataFrame)) == ["a", "b"]
    assert list(receive(selection, data, pd.DataFrame).index) == [7, 8]
    assert receive(selection, data, pa.Table).column_names == ["a", "b", "id"]
    assert receive(selection, data, pl.DataFrame).columns == ["a", "b", "id"]
    own = Columns(a=int, c=float | None, strict="filter")
    with pytest.raises(errors.ConversionError, match="the column is missing"):
        receive(selection, data, Annotated[pl.DataFrame, own])
    again = publish(receive(selection, data, pd.DataFrame), data)
    assert meaning(again) == meaning(selection)


def test_c3_the_index_counts_for_who_filters_and_another_frames_columns_do_not(data: Data) -> None:
    plain = pd.DataFrame(COLUMNS)
    contents = {
        name: select(publish(frame, data), "a").frame.content
        for name, frame in {
            "plain": plain,
            "another column": plain.assign(b=["y", "z"], e=1),
            "index": plain.set_index(pd.Index([7, 8])),
            "another index": plain.set_index(pd.Index([7, 9])),
            "its name": plain.set_index(pd.Index([7, 8], name="id")),
            "a range": plain.set_index(pd.RangeIndex(1, 3)),
        }.items()
    }
    assert contents.pop("another column") == contents["plain"]
    assert len(set(contents.values())) == len(contents)


def test_t5_a_selection_says_nothing_of_what_the_whole_was_checked_for(data: Data) -> None:
    class Two(pan.DataFrameModel):
        a: int
        b: str = pan.Field(nullable=True)

        @pan.dataframe_check
        @classmethod
        def has_both(cls, df: pd.DataFrame) -> bool:
            return {"a", "b"} <= set(df.columns)

    sent = publish(pd.DataFrame(COLUMNS), data, DataFrame[Two])
    assert sent.frame.type.schema.digest
    assert not select(sent, "a").frame.type.schema.digest
    assert select(sent, *COLUMNS) is sent


def test_a_frame_that_lacks_what_its_literal_says_is_an_error_of_the_store(data: Data) -> None:
    literal = publish(pa.table({"a": [1]}), data)
    literal.frame.type.columns.add(name="b", dtype="int64")
    literal.frame.column_contents.append(bytes(32))
    with pytest.raises(errors.IntegrityError, match="no column 'b'"):
        receive(literal, data, pa.Table)


class OwnColumn(pan.DataFrameModel):
    a: int

    class Config:
        strict = "filter"


CONSUMERS: dict[str, Any] = {
    "pandas": Annotated[pd.DataFrame, Columns(a=int, strict="filter")],
    "polars": Annotated[pl.DataFrame, Columns(a=int, strict="filter")],
    "arrow": Annotated[pa.Table, Columns(a=int, strict="filter")],
    "pandera": DataFrame[OwnColumn],
    "optional": Annotated[pd.DataFrame, Columns(a=int, strict="filter")] | None,
}


@pytest.mark.parametrize("consumer", CONSUMERS)
@pytest.mark.parametrize("producer", FRAMES)
def test_c3_a_cached_consumer_that_filters_runs_again_only_when_its_own_columns_change(
    producer: str, consumer: str, typedflow_cache: object
) -> None:
    seen: list[list[str]] = []
    make = MAKE[producer]

    def made(a: int, extra: dict[str, int]) -> Any:
        return make({"a": [a], "b": ["x"], **{name: [value] for name, value in extra.items()}})

    def read(df: Any) -> int:
        seen.append(list(getattr(df, "column_names", None) or df.columns))
        return int(df["a"][0].as_py() if isinstance(df, pa.Table) else df["a"][0])

    made.__annotations__["return"] = Annotated[FRAMES[producer], Columns(a=int, b=str)]
    read.__annotations__["df"] = CONSUMERS[consumer]
    make_task, read_task = task(made), task(cache=True)(read)

    def flow(a: int, extra: dict[str, int]) -> int:
        return read_task(df=make_task(a=a, extra=extra))

    run = workflow(flow)
    assert [run(a=1, extra={}), run(a=1, extra={"c": 3}), run(a=1, extra={"c": 4, "d": 5})] == [1, 1, 1]
    assert seen == [["a"]]
    assert run(a=2, extra={}) == 2
    assert seen == [["a"], ["a"]]


def test_c3_to_arrow_an_index_is_columns_so_its_place_among_them_counts(data: Data) -> None:
    sent = publish(pd.DataFrame({"a": [1], "b": [2]}, index=pd.Index([7], name="id")), data)
    table = receive(sent, data, pa.Table)
    contents = {
        publish(table.select(names), data).frame.content for names in (["id", "a", "b"], ["a", "id", "b"])
    }
    assert len(contents | {sent.frame.content}) == 3
    assert publish(table.select(["a", "b", "id"]), data).frame.content == sent.frame.content
    assert receive(
        select(publish(table.select(["id", "a", "b"]), data), "b"), data, pa.Table
    ).column_names == ["id", "b"]


def test_a_table_whose_index_was_taken_out_is_the_plain_frame_that_it_comes_back_as(data: Data) -> None:
    table = pa.Table.from_pandas(pd.DataFrame({"a": [1, 2]}), preserve_index=False)
    literal = publish(table, data)
    assert literal.frame.content == publish(pd.DataFrame({"a": [1, 2]}), data).frame.content
    pd.testing.assert_frame_equal(receive(literal, data, pd.DataFrame), pd.DataFrame({"a": [1, 2]}))
