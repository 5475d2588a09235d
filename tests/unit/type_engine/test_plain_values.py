"""Plain values, lists, unions and dataclasses: what goes in comes out, and what does not fit is told where."""

import functools
import math
import operator
import zoneinfo
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal, Optional

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow import errors, literal_types, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA

ENGINE = type_engine.standard()


@dataclass
class Layer:
    width: int
    rates: list[float] = field(default_factory=list)
    name: str | None = None


@dataclass
class Config:
    layers: list[Layer]
    grid: list[list[int]]
    best: Layer | None = None
    flags: list[bool] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


@dataclass
class Wider(Layer):
    depth: int = 0


@dataclass
class Node:
    children: "list[Node]"


@dataclass
class Derived:
    n: int
    twice: int = field(init=False, default=0)


@dataclass
class Seeded:
    n: int
    seed: InitVar[int]


@dataclass
class Holds:
    table: set[int]


INTS = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LAYERS = st.builds(Layer, INTS, st.lists(st.floats()), st.none() | TEXT)
ZONES = st.sampled_from(
    [
        UTC,
        timezone(timedelta(hours=-3, minutes=-30)),
        zoneinfo.ZoneInfo("Europe/Berlin"),
        zoneinfo.ZoneInfo("UTC"),
    ]
)
# By way of UTC, as a clock that is put forward skips an hour, and `fold` means something only when it is put back.
MOMENTS = st.tuples(
    st.datetimes(timezones=st.just(UTC)).filter(lambda moment: 2 < moment.year < 9998), ZONES
).map(lambda pair: pair[0].replace(fold=0).astimezone(pair[1]))
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    None: st.none(),
    bool: st.booleans(),
    int: INTS,
    float: st.floats(),
    str: TEXT,
    datetime: MOMENTS,
    int | None: st.none() | INTS,
    float | int: st.floats() | INTS,
    str | bool | None: TEXT | st.booleans() | st.none(),
    list[int] | list[str]: st.lists(INTS) | st.lists(TEXT, min_size=1),
    Layer: LAYERS,
    Config: st.builds(
        Config, st.lists(LAYERS), st.lists(st.lists(INTS)), st.none() | LAYERS, st.lists(st.booleans())
    ),
}  # fmt: skip


def there_and_back(annotation: Any, value: Any) -> Any:
    converter = ENGINE.converter(annotation)
    return converter.from_literal(converter.to_literal(value, "inputs.x", NO_DATA), "inputs.x", NO_DATA)


def refused(annotation: Any, value: Any) -> errors.ConversionError:
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(annotation).to_literal(value, "inputs.x", NO_DATA)
    return caught.value


def same(a: Any, b: Any) -> bool:
    """Equality that tells -0.0 from 0.0, NaN from all else, and types and time zones apart."""
    return repr(a) == repr(b)


@pytest.mark.parametrize("annotation", VALUES, ids=str)
@given(draw=st.data())
def test_t2_a_value_comes_back_as_it_was(annotation: Any, draw: st.DataObject) -> None:
    value = draw.draw(VALUES[annotation])
    assert same(there_and_back(annotation, value), value)


@pytest.mark.parametrize("annotation", VALUES, ids=str)
@given(draw=st.data())
def test_t6_a_list_is_packed_as_its_literals_would_be(annotation: Any, draw: st.DataObject) -> None:
    values = draw.draw(st.lists(VALUES[annotation], max_size=5))
    element = ENGINE.converter(annotation)
    listed = ENGINE.converter(list[annotation])
    literal = listed.to_literal(values, "x", NO_DATA)
    assert literal.list == literals.pack([element.to_literal(value, "x", NO_DATA) for value in values])
    assert same(listed.from_literal(literal, "x", NO_DATA), values)


@given(st.lists(VALUES[Config], max_size=3))
def test_a_list_that_came_unpacked_reads_the_same(values: list[Config]) -> None:
    converter = ENGINE.converter(list[Config])
    element = ENGINE.converter(Config)
    literal = literals_pb2.Literal()
    literal.list.literals.SetInParent()
    literal.list.literals.values.extend(element.to_literal(value, "x", NO_DATA) for value in values)
    assert same(converter.from_literal(literal, "x", NO_DATA), values)


@given(st.floats(), st.integers(-(2**63), 2**63 - 1))
def test_t2_numpy_scalars_convert_when_they_are_exact(x: float, n: int) -> None:
    assert same(there_and_back(float, np.float64(x)), x)
    assert there_and_back(int, np.int64(n)) == n
    assert there_and_back(list[int], [np.int64(n), n]) == [n, n]
    assert there_and_back(bool, np.bool_(n % 2)) is bool(n % 2)


def test_t2_a_numpy_scalar_of_another_kind_is_refused() -> None:
    assert "float64" in refused(int, np.float64(3.0)).message
    assert "timedelta64" in refused(int, np.timedelta64(3, "s")).message
    assert "no exact float" in refused(float, np.int64(2**53 + 1)).message
    refused(float, np.longdouble("0.1"))
    refused(bool, np.int64(1))


def test_t5_an_int_that_is_exact_is_a_float_and_any_other_is_not() -> None:
    assert same(there_and_back(float, 3), 3.0)
    assert same(there_and_back(list[float], [1, 0.5]), [1.0, 0.5])
    assert "no exact float" in refused(float, 2**53 + 1).message
    assert "no exact float" in refused(float, 10**400).message


@pytest.mark.parametrize(
    ("annotation", "value", "where", "words"),
    [
        (int, True, "inputs.x", "expected int, got True (bool)"),
        (int, 1.0, "inputs.x", "expected int, got 1.0 (float)"),
        (int, 2**63, "inputs.x", "does not fit 64 bits"),
        (int, None, "inputs.x", "expected int, got None"),
        (bool, 1, "inputs.x", "expected bool, got 1 (int)"),
        (str, b"x", "inputs.x", "expected str, got b'x' (bytes)"),
        (str, "\ud800", "inputs.x", "surrogates"),
        (datetime, datetime.fromisoformat("2026-01-01"), "inputs.x", "no time zone"),
        (datetime, pd.Timestamp("2026-01-01T00:00:00.000000001Z"), "inputs.x", "nanoseconds"),
        (datetime, pd.NaT, "inputs.x", "expected datetime"),
        (None, 0, "inputs.x", "expected None"),
        (list[int], (1, 2), "inputs.x", "expected list[int], got (1, 2) (tuple)"),
        (list[int], [1, 2, "three"], "inputs.x[2]", "expected int, got 'three' (str)"),
        (list[int], [1, -(2**63) - 1], "inputs.x[1]", "64 bits"),
        (list[str], ["a", "\udfff"], "inputs.x[1]", "surrogates"),
        (list[list[bool]], [[True], [], [False, 1]], "inputs.x[2][1]", "expected bool"),
        (list[None], [None, 0], "inputs.x[1]", "expected None"),
        (Config, Config([Layer(1), Layer(2, [0.5, "half"])], []), "inputs.x.layers[1].rates[1]", "got 'half'"),  # type: ignore[list-item]
        (list[Config], [Config([], [[1], [2, None]])], "inputs.x[0].grid[1][1]", "expected int, got None"),  # type: ignore[list-item]
        (Config | None, Config([Layer("wide")], []), "inputs.x.layers[0].width", "expected int"),  # type: ignore[arg-type]
        (Layer, {"width": 1}, "inputs.x", "expected Layer, got {'width': 1} (dict)"),
        (list[Layer], [Layer(1), None], "inputs.x[1]", "expected Layer"),
        (Layer, Wider(1), "inputs.x", "a subclass would come back as Layer itself"),
        (int | str, 1.5, "inputs.x", "expected int | str, got 1.5 (float)"),
    ],
)  # fmt: skip
def test_t2_what_does_not_fit_is_told_with_its_path(
    annotation: Any, value: Any, where: str, words: str
) -> None:
    error = refused(annotation, value)
    assert (error.where, words in error.message) == (where, True), str(error)


def test_a_pandas_timestamp_without_nanoseconds_is_a_datetime() -> None:
    moment = pd.Timestamp("2026-01-01T12:00:00.5", tz="Europe/Berlin")
    assert there_and_back(datetime, moment) == moment.to_pydatetime()


def test_a_value_whose_repr_raises_is_still_told() -> None:
    class Rude:
        def __repr__(self) -> str:
            raise RuntimeError

    assert "Rude" in refused(int, Rude()).message
    assert len(refused(int, "x" * 10_000).message) < 200


@pytest.mark.parametrize(
    ("annotation", "value", "variant"),
    [
        (float | int, 3, 1),
        (int | float, 3.0, 1),
        (float | str, 3, 0),
        (bool | int, 1, 1),
        (int | bool, True, 1),
        (None | int, None, 0),
        (Optional[int], None, 1),  # noqa: UP045 - as authors may write it
        (list[float] | list[int], [1, 2], 1),
        (list[float] | list[int], [1, 0.5], 0),
        (Layer | Wider, Wider(1), 1),
    ],
)
def test_t4_a_value_takes_the_equal_variant_else_the_first_that_loses_nothing(
    annotation: Any, value: Any, variant: int
) -> None:
    literal = ENGINE.converter(annotation).to_literal(value, "x", NO_DATA)
    assert literal.union.variant == variant


def test_t4_variants_keep_their_declared_order_however_alike_two_unions_are() -> None:
    first, second = ENGINE.converter(int | str), ENGINE.converter(str | int)
    assert literal_types.text(first.type) == "int | str"
    assert literal_types.text(second.type) == "str | int"
    assert literal_types.text(ENGINE.converter(list[str | int]).type) == "list[str | int]"
    assert literal_types.text(ENGINE.converter(list[int | str]).type) == "list[int | str]"


def test_t4_a_repeated_variant_is_an_error_at_definition() -> None:
    with pytest.raises(errors.DefinitionError):
        ENGINE.converter(pd.DataFrame | pa.Table)


def test_t4_a_union_has_as_many_variants_as_a_registration_takes() -> None:
    variants: list[Any] = [Literal[f"v{i}"] for i in range(65)]
    values = [f"v{i}" for i in range(64)]
    most: Any = functools.reduce(operator.or_, variants[:64])
    converter = ENGINE.converter(list[most])
    column = converter.to_literal(values, "x", NO_DATA)
    assert converter.from_literal(column, "x", NO_DATA) == values
    assert literals.misfit(column, converter.type, "x") == ""
    with pytest.raises(errors.DefinitionError, match="at most 64 variants, and this one has 65"):
        ENGINE.converter(most | variants[64])


def test_t3_an_unknown_type_is_an_error_that_says_what_to_write() -> None:
    hints = {
        dict: "dict[str, int]",
        dict[int, str]: "list of a dataclass",
        tuple: "tuple[int, ...]",
        set[int]: "list[T]",
        pd.Series: "pandas.DataFrame",
        bytearray: "bytes",
        Any: "say which type",
        list: "list[int]",
        object: "say which type",
        "Missing": "can't be found",
        type("Model", (), {"fit": None}): "joblib",
        type("Thing", (), {}): "dataclass",
        5: "supported are",
        Annotated[dict, "doc"]: "dict[str, int]",
    }
    for annotation, words in hints.items():
        with pytest.raises(errors.DefinitionError) as caught:
            ENGINE.converter(annotation)
        assert caught.value.code == "UnsupportedType"
        assert words in caught.value.hint, str(caught.value)


def test_t3_an_unsupported_part_is_named_with_its_field() -> None:
    with pytest.raises(errors.DefinitionError, match=r"`Holds.table`: set\[int\] is not a supported type"):
        ENGINE.converter(list[Holds | None])


@pytest.mark.parametrize(
    ("cls", "words"), [(Node, "holds itself"), (Derived, "init=False"), (Seeded, "InitVar")]
)
def test_a_dataclass_that_could_not_come_back_is_refused(cls: type, words: str) -> None:
    with pytest.raises(errors.DefinitionError, match=words) as caught:
        ENGINE.converter(cls)
    assert caught.value.code == "UnsupportedType"
    assert caught.value.hint


def test_t1_a_type_nests_to_24_levels_and_no_deeper() -> None:
    annotation: Any = int
    for _ in range(24):
        annotation = list[annotation]
    assert literal_types.depth(ENGINE.converter(annotation).type) == 24
    with pytest.raises(errors.DefinitionError) as caught:
        ENGINE.converter(list[annotation])
    assert caught.value.code == "NestingTooDeep"
    for _ in range(400):
        annotation = list[annotation]
    with pytest.raises(errors.DefinitionError) as caught:
        ENGINE.converter(annotation)
    assert caught.value.code == "NestingTooDeep"


def test_a_field_that_was_left_out_has_its_class_default() -> None:
    converter = ENGINE.converter(Layer)
    literal = converter.to_literal(Layer(1), "x", NO_DATA)
    del literal.record.fields[1:]
    assert converter.from_literal(literal, "x", NO_DATA) == Layer(1)
    del literal.record.fields[:]
    with pytest.raises(errors.ConversionError, match="field `width` of Layer is missing"):
        converter.from_literal(literal, "x", NO_DATA)


def test_what_a_dataclass_refuses_is_told_with_the_path() -> None:
    converter = ENGINE.converter(list[Strict])
    literal = converter.to_literal([Strict(low=1, high=2), Strict(low=3, high=3)], "x", NO_DATA)
    literal.list.records.columns[0].values.integers.values[1] = 9
    with pytest.raises(errors.ConversionError) as caught:
        converter.from_literal(literal, "inputs.x", NO_DATA)
    assert str(caught.value) == "inputs.x[1]: Strict refuses these values: ValueError: low is above high"


def test_a_literal_of_another_type_is_refused() -> None:
    for annotation in (*VALUES, list[int]):
        other = literals.from_str("x") if annotation is not str else literals.from_int(1)
        with pytest.raises(errors.ConversionError) as caught:
            ENGINE.converter(annotation).from_literal(other, "inputs.x", NO_DATA)
        assert caught.value.where == "inputs.x"


def test_a_record_type_says_which_fields_have_defaults() -> None:
    fields = ENGINE.converter(Layer).type.record.fields
    assert [(each.name, each.has_default) for each in fields] == [
        ("width", False),
        ("rates", True),
        ("name", True),
    ]


def test_an_annotation_has_one_converter_and_a_registry_stands_alone() -> None:
    assert ENGINE.converter(list[Config]) is ENGINE.converter(list[Config])
    with pytest.raises(errors.DefinitionError):
        type_engine.TypeEngine().converter(int)


def test_metadata_that_means_nothing_here_is_ignored_and_ours_in_the_wrong_place_is_not() -> None:
    assert ENGINE.converter(Annotated[int, "doc", {"a": 1}.get]).type == literal_types.INT
    with pytest.raises(errors.DefinitionError, match="says nothing about int"):
        ENGINE.converter(Annotated[int, type_engine.Format("csv")])


def test_a_received_value_is_the_consumers_own() -> None:
    converter = ENGINE.converter(Config)
    literal = converter.to_literal(Config([Layer(1, [0.5])], [[1]]), "x", NO_DATA)
    converter.from_literal(literal, "x", NO_DATA).layers[0].rates.append(math.pi)
    assert converter.from_literal(literal, "x", NO_DATA) == Config([Layer(1, [0.5])], [[1]])
