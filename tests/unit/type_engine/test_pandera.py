"""pandera models as types: columns in the interface, checks at the producer, and at consumers that ask for more."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import pandera.pandas as pa_pandas
import pandera.polars as pa_polars
import pandera.pyarrow as pa_arrow
import polars as pl
import pyarrow as pa
import pytest
from pandera.typing import DataFrame, Series
from pandera.typing import polars as polars_typing
from pandera.typing.pyarrow import Table

from typedflow import errors, literal_types, type_engine
from typedflow.pb import literals_pb2, types_pb2
from typedflow.type_engine import Data, pandera_schemas

ENGINE = type_engine.standard()


class Tumours(pa_pandas.DataFrameModel):
    mean_radius: float = pa_pandas.Field(ge=0)
    target: int = pa_pandas.Field(isin=[0, 1])


class Rich(Tumours):
    name: str | None
    when: pd.Timestamp
    grade: Series[pd.CategoricalDtype]
    size: Series[pd.Int64Dtype] = pa_pandas.Field(nullable=True)

    @pa_pandas.check("mean_radius")
    def is_small(cls, radii: "pd.Series[float]") -> Any:  # noqa: N805 - pandera makes it a class method
        """Says that it is small."""
        return radii < 100


class Strict(pa_pandas.DataFrameModel):
    target: int

    class Config:
        strict = True


class Own(pa_pandas.DataFrameModel):
    target: int

    class Config:
        strict = "filter"


class Coerced(pa_pandas.DataFrameModel):
    target: float

    class Config:
        coerce = True


class Patterned(pa_pandas.DataFrameModel):
    mean: float = pa_pandas.Field(regex=True, alias="mean_.*")

    class Config:
        strict = True


class ArrowTumours(pa_arrow.DataFrameModel):
    mean_radius: float = pa_arrow.Field(ge=0)
    target: int


class ArrowOwn(pa_arrow.DataFrameModel):
    target: int

    class Config:
        strict = "filter"


class PolarsTumours(pa_polars.DataFrameModel):
    mean_radius: float = pa_polars.Field(ge=0)
    target: int = pa_polars.Field(isin=[0, 1])


class PolarsOwn(pa_polars.DataFrameModel):
    target: int

    class Config:
        strict = "filter"


class PolarsStrict(pa_polars.DataFrameModel):
    target: int

    class Config:
        strict = True


class PolarsRich(pa_polars.DataFrameModel):
    when: Annotated[pl.Datetime, "us", "UTC"]
    grade: Annotated[pl.Enum, ["lo", "hi"]] = pa_polars.Field(nullable=True)
    sizes: Annotated[pl.List, pl.Int8]
    name: str | None


PolarsFrame: Any = polars_typing.DataFrame
COLUMNS: dict[str, Any] = {"mean_radius": [1.0, 2.0], "target": [0, 1]}
GOOD = pd.DataFrame(COLUMNS)


def publish(annotation: Any, value: Any, data: Data) -> literals_pb2.Literal:
    return ENGINE.converter(annotation).to_literal(value, "outputs.o0", data)


def receive(annotation: Any, literal: literals_pb2.Literal, data: Data) -> Any:
    return ENGINE.converter(annotation).from_literal(literal, "inputs.df", data)


def refused(annotation: Any, value: Any, data: Data) -> str:
    with pytest.raises(errors.ConversionError) as caught:
        publish(annotation, value, data)
    return str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (DataFrame[Tumours], "dataframe[mean_radius: float, target: int]"),
        (Table[ArrowTumours], "dataframe[mean_radius: float, target: int]"),
        (DataFrame[Strict], "strict dataframe[target: int]"),
        (DataFrame[Own], "filtered dataframe[target: int]"),
        (DataFrame[Patterned], "dataframe"),
        (PolarsFrame[PolarsTumours], "dataframe[mean_radius: float, target: int]"),
        (PolarsFrame[PolarsStrict], "strict dataframe[target: int]"),
    ],
    ids=repr,
)
def test_a_models_columns_are_in_the_type(annotation: Any, text: str) -> None:
    assert literal_types.text(ENGINE.converter(annotation).type) == text


def test_a_columns_dtype_nullability_and_presence_are_in_the_type() -> None:
    columns = ENGINE.converter(DataFrame[Rich]).type.frame.columns
    assert [(each.name, each.dtype, each.nullable, each.optional) for each in columns] == [
        ("mean_radius", "double", False, False),
        ("target", "int64", False, False),
        ("name", "string", False, True),
        ("when", "timestamp[ns]", False, False),
        ("grade", "", False, False),
        ("size", "int64", True, False),
    ]


def test_polars_dtypes_are_in_the_type() -> None:
    columns = ENGINE.converter(PolarsFrame[PolarsRich]).type.frame.columns
    assert [(each.name, each.dtype, each.nullable, each.optional) for each in columns] == [
        ("when", "timestamp[us, tz=UTC]", False, False),
        ("grade", "dictionary<string, ordered>", True, False),
        ("sizes", "list<int8>", False, False),
        ("name", "string", False, True),
    ]


def test_a_value_of_a_model_is_assignable_to_it_and_to_a_part_of_it(data: Data) -> None:
    for annotation, value in [
        (DataFrame[Tumours], GOOD),
        (Table[ArrowTumours], pa.table(COLUMNS)),
        (PolarsFrame[PolarsTumours], pl.DataFrame(COLUMNS)),
    ]:
        actual = types_pb2.LiteralType(frame=publish(annotation, value, data).frame.type)
        for target in (DataFrame[Tumours], Table[ArrowTumours], DataFrame[Own], pd.DataFrame):
            assert literal_types.is_assignable(actual, ENGINE.converter(target).type) is None
        assert literal_types.is_assignable(actual, ENGINE.converter(DataFrame[Strict]).type) is not None


def test_the_producer_checks_and_tells_the_first_failures_as_a_table(data: Data) -> None:
    bad = pd.DataFrame({"mean_radius": [-1.0] * 12 + [1.0], "target": [0] * 12 + [7]})
    text = refused(DataFrame[Tumours], bad, data)
    assert text.splitlines()[:3] == [
        "outputs.o0: the frame does not fit Tumours: 13 failures",
        "  column       check                        value  row",
        "  mean_radius  greater_than_or_equal_to(0)  -1.0   0",
    ]
    assert text.splitlines()[-1] == "  ... and 3 more"
    assert len(text.splitlines()) == 13


def test_a_missing_column_and_a_wrong_dtype_are_both_told(data: Data) -> None:
    text = refused(DataFrame[Tumours], pd.DataFrame({"mean_radius": [1]}), data)
    assert "column_in_dataframe" in text
    assert "target" in text
    assert "dtype('float64')" in text
    text = refused(DataFrame[Strict], GOOD, data)
    assert "column_in_schema" in text
    assert "mean_radius" in text


def test_arrow_tables_are_checked_too(data: Data) -> None:
    text = refused(Table[ArrowTumours], pa.table({"mean_radius": [-1.0], "target": [1]}), data)
    assert "mean_radius  greater_than_or_equal_to(0)  -1.0" in text


def test_a_frame_goes_between_flavours(data: Data) -> None:
    literal = publish(DataFrame[Tumours], GOOD, data)
    assert receive(Table[ArrowTumours], literal, data).to_pydict() == COLUMNS
    back = publish(Table[ArrowTumours], receive(pa.Table, literal, data), data)
    assert back.frame.content == literal.frame.content
    pd.testing.assert_frame_equal(receive(DataFrame[Tumours], back, data), GOOD)


def test_the_stored_frame_is_what_the_schema_makes_of_it(data: Data) -> None:
    literal = publish(DataFrame[Coerced], GOOD, data)
    assert receive(pd.DataFrame, literal, data)["target"].dtype == np.dtype("float64")
    assert [column.dtype for column in literal.frame.type.columns] == ["double", "double"]


def test_t5_extra_columns_are_kept_unless_the_consumer_reads_only_its_own(data: Data) -> None:
    frame = GOOD.assign(name=pd.Series(["x", "y"], dtype=object), extra=1).set_index(
        pd.Index([7, 8], name="id")
    )
    literal = publish(DataFrame[Tumours], frame, data)
    assert list(receive(DataFrame[Tumours], literal, data)) == ["mean_radius", "target", "name", "extra"]
    pd.testing.assert_frame_equal(receive(DataFrame[Own], literal, data), frame[["target"]])
    assert [column.name for column in publish(DataFrame[Own], frame, data).frame.type.columns] == ["target"]


def test_t5_checks_that_the_source_lacks_run_at_the_consumer(data: Data) -> None:
    loose = publish(DataFrame[Own], GOOD.assign(target=[0, 7]), data)
    literal = publish(pd.DataFrame, GOOD.assign(target=[0, 7]), data)
    assert receive(DataFrame[Own], loose, data)["target"].tolist() == [0, 7]
    with pytest.raises(errors.ConversionError, match="does not fit Tumours: 1 failure") as caught:
        receive(DataFrame[Tumours], literal, data)
    assert caught.value.where == "inputs.df"


def test_t5_checks_that_the_source_has_done_do_not_run_again(data: Data) -> None:
    literal = publish(pd.DataFrame, GOOD.assign(target=[0, 7]), data)
    assert not literal.frame.type.HasField("schema")
    literal.frame.type.schema.CopyFrom(ENGINE.converter(DataFrame[Tumours]).type.frame.schema)
    assert receive(DataFrame[Tumours], literal, data)["target"].tolist() == [0, 7]


FLAVOURS: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    # the library's frame, the model, the model that filters, what makes a frame, and what makes a list of a column
    "pandas": (pd.DataFrame, DataFrame[Tumours], DataFrame[Own], pd.DataFrame, lambda f, c: f[c].tolist()),
    "polars": (pl.DataFrame, PolarsFrame[PolarsTumours], PolarsFrame[PolarsOwn], pl.DataFrame, lambda f, c: list(f[c])),
    "pyarrow": (pa.Table, Table[ArrowTumours], Table[ArrowOwn], pa.table, lambda f, c: f[c].to_pylist()),
}  # fmt: skip
BAD = {"mean_radius": [-1.0, 2.0], "target": [0, 1]}


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_t5_every_flavour_checks_where_the_frame_is_made(flavour: str, data: Data) -> None:
    _, model, _, made, column = FLAVOURS[flavour]
    text = refused(model, made(BAD), data)
    assert "outputs.o0: the frame does not fit" in text
    assert "mean_radius  greater_than_or_equal_to(0)  -1.0" in text
    assert "target" in refused(model, made({"mean_radius": [1.0]}), data)
    assert column(receive(model, publish(model, made(COLUMNS), data), data), "target") == [0, 1]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_t5_every_flavour_checks_at_the_consumer_only_what_the_source_has_not_checked(
    flavour: str, data: Data
) -> None:
    plain, model, _, made, column = FLAVOURS[flavour]
    literal = publish(plain, made(BAD), data)
    with pytest.raises(errors.ConversionError, match="does not fit") as caught:
        receive(model, literal, data)
    assert caught.value.where == "inputs.df"
    literal.frame.type.schema.CopyFrom(ENGINE.converter(model).type.frame.schema)
    assert column(receive(model, literal, data), "mean_radius") == [-1.0, 2.0]
    for other, (_, another, _, _, _) in FLAVOURS.items():
        if other != flavour:  # the checks of another library's model are others
            with pytest.raises(errors.ConversionError, match="does not fit"):
                receive(another, literal, data)


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_t5_every_flavour_that_filters_reads_its_own_columns_only(flavour: str, data: Data) -> None:
    plain, model, own, made, column = FLAVOURS[flavour]
    for annotation in (plain, model):
        received = receive(own, publish(annotation, made(COLUMNS), data), data)
        names = getattr(received, "column_names", None) or list(received.columns)
        assert names == ["target"]
        assert column(received, "target") == [0, 1]
    narrow = publish(own, made(COLUMNS), data)
    assert [each.name for each in narrow.frame.type.columns] == ["target"]
    assert receive(pa.Table, narrow, data).column_names == ["target"]


def test_t5_a_pandas_index_is_no_column_to_a_strict_or_filtering_model_of_another_library(data: Data) -> None:
    indexed = pd.DataFrame({"target": [0, 1]}, index=pd.Index([7, 8], name="id"))
    strict = publish(DataFrame[Strict], indexed, data)
    source, target = (ENGINE.converter(each).type for each in (DataFrame[Strict], PolarsFrame[PolarsStrict]))
    assert literal_types.is_assignable(source, target) is None
    assert receive(PolarsFrame[PolarsStrict], strict, data).columns == ["target"]
    assert receive(PolarsFrame[PolarsOwn], strict, data).columns == ["target"]
    assert receive(Table[ArrowOwn], strict, data).column_names == ["target"]
    assert receive(pl.DataFrame, strict, data).columns == ["target", "id"]


def test_the_digest_of_a_schema_tells_all_that_it_checks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models are written to modules of their own: the digest reads their source."""
    plain = "    x: int\n"
    bodies = {
        "plain": plain,
        "field": "    x: int = pa.Field(ge=1)\n",
        "other field": "    x: int = pa.Field(ge=2)\n",
        "unique": "    x: int = pa.Field(unique=True)\n",
        "nullable": "    x: int = pa.Field(nullable=True)\n",
        "coerce": "    x: int = pa.Field(coerce=True)\n",
        "check": plain + "    @pa.check('x')\n    def low(cls, s):\n        return s < 3\n",
        "other check": plain + "    @pa.check('x')\n    def low(cls, s):\n        return s < 4\n",
        "whole frame": plain + "    @pa.dataframe_check\n    def low(cls, df):\n        return df['x'] < 3\n",
        "parser": plain + "    @pa.parser('x')\n    def fix(cls, s):\n        return s.abs()\n",
        "other parser": plain + "    @pa.parser('x')\n    def fix(cls, s):\n        return -s\n",
        "ordered": plain + "    class Config:\n        ordered = True\n",
        "strict": plain + "    class Config:\n        strict = True\n",
        "index": plain + "    i: Index[int]\n",
    }
    found = {
        body: model_digest(body, f"schema_{i}", tmp_path, monkeypatch)
        for i, body in enumerate(bodies.values())
    }
    assert len(set(found.values())) == len(bodies)
    told = bodies["check"].replace("return", "'''Words.'''\n        # more words\n        return")
    assert model_digest(told, "schema_told", tmp_path, monkeypatch) == found[bodies["check"]]


def model_digest(body: str, module: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (folder / f"{module}.py").write_text(
        f"import pandera.pandas as pa\nfrom pandera.typing import Index\n\n\nclass Model(pa.DataFrameModel):\n{body}"
    )
    monkeypatch.syspath_prepend(str(folder))
    return pandera_schemas.pandas_schema(
        DataFrame.__class_getitem__(importlib.import_module(module).Model)
    ).digest


def test_the_digest_of_a_schema_is_the_same_in_every_process() -> None:
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_pandera as t\n"
        "print(t.pandera_schemas.pandas_schema(t.DataFrame[t.Rich]).digest)\n"
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, here], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == pandera_schemas.pandas_schema(DataFrame[Rich]).digest


def test_a_bare_pandera_frame_is_refused() -> None:
    for annotation in (DataFrame, Table, PolarsFrame):
        with pytest.raises(errors.DefinitionError, match="must name a model") as caught:
            ENGINE.converter(annotation)
        assert caught.value.code == "UnsupportedType"
