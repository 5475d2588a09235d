"""What is kept elsewhere, inside of records, dicts, lists and tuples."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest

from typedflow import Columns, Directory, File, errors, type_engine
from typedflow.type_engine import Data

ENGINE = type_engine.standard()


@dataclass
class Shard:
    name: str
    weights: npt.NDArray[np.float32]
    table: Annotated[pl.DataFrame, Columns(a=int)]
    files: Directory
    report: File | None = None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x.txt").write_text("x")
    return tmp_path / "d"


def shard(i: int, folder: Path) -> Shard:
    return Shard(
        name=str(i),
        weights=np.full(i, i, np.float32),
        table=pl.DataFrame({"a": [i]}),
        files=Directory(folder),
        report=File(folder / "x.txt") if i % 2 else None,
    )


def there_and_back(annotation: Any, value: Any, data: Data) -> Any:
    converter = ENGINE.converter(annotation)
    return converter.from_literal(converter.to_literal(value, "outputs.o0", data), "inputs.x", data)


def told(each: Shard) -> tuple[Any, ...]:
    report = each.report.path.read_text() if each.report else None
    return each.name, each.weights.tolist(), each.table["a"].to_list(), list(each.files), report


@pytest.mark.parametrize("annotation", [list[Shard], tuple[Shard, ...], Iterator[Shard]], ids=repr)
def test_many_records_of_all_of_them_come_back(annotation: Any, folder: Path, data: Data) -> None:
    shards = [shard(i, folder) for i in range(3)]
    given = tuple(shards) if annotation == tuple[Shard, ...] else shards
    back = list(there_and_back(annotation, given, data))
    assert [told(each) for each in back] == [
        ("0", [], [0], ["x.txt"], None),
        ("1", [1.0], [1], ["x.txt"], "x"),
        ("2", [2.0, 2.0], [2], ["x.txt"], None),
    ]


def test_a_dict_of_each_comes_back(folder: Path, data: Data) -> None:
    back = there_and_back(dict[str, Directory], {"b": Directory(folder), "a": Directory(folder)}, data)
    assert [(name, list(each)) for name, each in back.items()] == [("b", ["x.txt"]), ("a", ["x.txt"])]
    arrays = there_and_back(dict[str, np.ndarray], {"x": np.arange(2), "y": np.zeros((0, 3))}, data)
    assert {name: each.shape for name, each in arrays.items()} == {"x": (2,), "y": (0, 3)}
    frames = there_and_back(dict[str, list[pd.DataFrame]], {"x": [pd.DataFrame({"a": [1]})]}, data)
    pd.testing.assert_frame_equal(frames["x"][0], pd.DataFrame({"a": [1]}))


def test_what_does_not_fit_deep_inside_is_told_with_its_whole_path(folder: Path, data: Data) -> None:
    good, bad = shard(1, folder), shard(2, folder)
    bad.table = pl.DataFrame({"a": ["text"]})
    for annotation, value, where in [
        (list[Shard], [good, bad], "outputs.o0[1].table['a']"),
        (dict[str, Shard], {"x": bad}, "outputs.o0[\"x\"].table['a']"),
        (Iterator[Shard], iter([good, bad]), "outputs.o0[1].table['a']"),
    ]:
        with pytest.raises(errors.ConversionError, match="expected a column of int64") as caught:
            ENGINE.converter(annotation).to_literal(value, "outputs.o0", data)
        assert caught.value.where == where
