"""T2 at the edges: the first and the last year, zones that others made, NumPy's scalars, decimal contexts."""

import datetime as dt
import decimal
import zoneinfo
from typing import Any

import numpy as np
import pandas as pd
import pytest

from typedflow import errors, literals, type_engine
from typedflow.pb import literals_pb2
from typedflow.type_engine import NO_DATA

ENGINE = type_engine.standard()
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
NEW_YORK = zoneinfo.ZoneInfo("America/New_York")


def there_and_back(annotation: Any, value: Any) -> Any:
    converter = ENGINE.converter(annotation)
    literal = converter.to_literal(value, "inputs.x", NO_DATA)
    assert literals.misfit(literal, converter.type, "inputs.x") == ""
    plain = literals.to_json(literal, converter.type)
    assert literals.from_json(plain, converter.type, "inputs.x") == literal
    return converter.from_literal(
        literals_pb2.Literal.FromString(literal.SerializeToString()), "inputs.x", NO_DATA
    )


def refused(annotation: Any, value: Any) -> str:
    with pytest.raises(errors.ConversionError) as caught:
        ENGINE.converter(annotation).to_literal(value, "inputs.x", NO_DATA)
    return str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=5))),
        dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5))),
        dt.datetime.min.replace(tzinfo=BERLIN),
        dt.datetime.max.replace(tzinfo=NEW_YORK),
    ],
    ids=repr,
)
def test_t2_a_moment_of_the_first_or_last_day_whose_utc_is_in_no_year_comes_back(value: dt.datetime) -> None:
    now = dt.datetime(2024, 7, 1, tzinfo=value.tzinfo)
    for annotation, given in ((dt.datetime, value), (list[dt.datetime], [now, value, now])):
        back = there_and_back(annotation, given)
        assert repr(back) == repr(given)


@pytest.mark.parametrize(
    "moment",
    [
        literals_pb2.Datetime(epoch_microseconds=2**62),
        literals_pb2.Datetime(offset_seconds=90_000),
        literals_pb2.Datetime(epoch_microseconds=-62_135_596_800_000_000, offset_seconds=-1),
    ],
    ids=range(3),
)
def test_t2_a_moment_that_is_in_no_year_is_no_value(moment: literals_pb2.Datetime) -> None:
    one = literals_pb2.Literal(datetime=moment)
    many = literals.from_list(literals.pack([one, literals_pb2.Literal(datetime=literals_pb2.Datetime())]))
    of = ENGINE.converter(dt.datetime).type
    assert "is no datetime" in literals.misfit(one, of, "x")
    assert "is no datetime" in literals.misfit(many, ENGINE.converter(list[dt.datetime]).type, "x")
    with pytest.raises(errors.ConversionError, match="is no datetime"):
        literals.constant(one, of, "x")


def test_t2_a_day_that_is_in_no_year_is_no_value() -> None:
    day = literals_pb2.Literal(date=2**31 - 1)
    assert "is no date" in literals.misfit(day, ENGINE.converter(dt.date).type, "x")
    many = literals.from_list(literals.pack([literals_pb2.Literal(date=0), day]))
    assert "is no date" in literals.misfit(many, ENGINE.converter(list[dt.date]).type, "x")


class Unhashable(dt.tzinfo):
    """As dateutil's zones are."""

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, hours: int) -> None:
        self.offset = dt.timedelta(hours=hours)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unhashable) and other.offset == self.offset

    def utcoffset(self, _when: dt.datetime | None, /) -> dt.timedelta:
        return self.offset

    dst = tzname = utcoffset  # type: ignore[assignment]


def test_t2_moments_of_zones_that_can_not_be_hashed_are_listed() -> None:
    values = [dt.datetime(2024, 1, 1, tzinfo=Unhashable(hours)) for hours in (1, 1, 2)]
    back = there_and_back(list[dt.datetime], values)
    assert [each.isoformat() for each in back] == [each.isoformat() for each in values]
    assert there_and_back(list[dt.datetime], values[:2]) == values[:2]


class Broken(dt.tzinfo):
    """As far as tzinfo itself goes."""


class Renamed(dt.tzinfo):
    key = "Berlin, Europe"

    def utcoffset(self, _when: dt.datetime | None, /) -> dt.timedelta:
        return dt.timedelta(hours=1)

    dst = tzname = utcoffset  # type: ignore[assignment]


@pytest.mark.parametrize("annotation", [dt.datetime, list[dt.datetime]])
def test_t2_a_zone_that_does_not_tell_or_is_known_to_nobody_is_refused_before_it_travels(
    annotation: Any,
) -> None:
    for zone, why in (
        (
            Broken(),  # type: ignore[abstract]
            "Broken, does not tell how far it is from UTC",
        ),
        (Renamed(), "is not known here"),
    ):
        value = dt.datetime(2024, 1, 1, tzinfo=zone)
        assert why in refused(annotation, [value] if annotation is not dt.datetime else value)


def test_t2_no_time_is_told_as_that() -> None:
    assert "it is no time" in refused(dt.datetime, pd.NaT)


@pytest.mark.parametrize("digits", ["1E+500", "NaN", "-Infinity", "sNaN12", "1E+999999999999999999"])
def test_t2_a_decimal_is_written_one_way_whatever_the_authors_context_is(digits: str) -> None:
    value = decimal.Decimal(digits)
    with decimal.localcontext() as context:
        context.capitals, context.prec, context.Emax = 0, 2, 3
        context.traps[decimal.FloatOperation] = context.traps[decimal.Inexact] = True
        assert there_and_back(decimal.Decimal, value).as_tuple() == value.as_tuple()
        assert there_and_back(list[decimal.Decimal], [value])[0].as_tuple() == value.as_tuple()


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(3), np.int64(2**62 + 1)], ids=repr)
@pytest.mark.parametrize("annotation", [float | int, int | float, float | int | None])
def test_t4_an_int_of_numpy_is_an_int_wherever_the_union_has_it(annotation: Any, value: Any) -> None:
    back = there_and_back(annotation, value)
    assert type(back) is int
    assert back == value
    assert type(there_and_back(list[annotation], [1.5, value])[1]) is int


def test_t4_a_float_of_numpy_is_a_float_wherever_the_union_has_it() -> None:
    assert type(there_and_back(int | float, np.float32(2))) is float


@pytest.mark.parametrize(
    ("annotation", "value", "plain"),
    [
        (bytes, np.bytes_(b"ab"), b"ab"),
        (dt.timedelta, np.timedelta64(90, "s"), dt.timedelta(seconds=90)),
        (dt.date, np.datetime64("2024-02-29"), dt.date(2024, 2, 29)),
    ],
)
def test_t2_scalars_of_numpy_that_are_exact_are_taken(annotation: Any, value: Any, plain: Any) -> None:
    assert there_and_back(annotation, value) == plain
    assert there_and_back(list[annotation], [plain, value]) == [plain, plain]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (dt.timedelta, np.timedelta64(1, "ns")),
        (dt.timedelta, np.timedelta64(1, "M")),
        (dt.date, np.datetime64("NaT")),
    ],
)
def test_t2_scalars_of_numpy_that_are_not_exact_are_refused(annotation: Any, value: Any) -> None:
    assert "expected" in refused(annotation, value)


@pytest.mark.parametrize("cls", [int, float])
def test_t2_a_number_of_a_subclass_is_refused_with_what_to_write(cls: type) -> None:
    assert f"write {cls.__name__}(...)" in refused(cls, type("Mine", (cls,), {})(3))


def test_t2_many_spans_are_those_that_numpy_makes_and_those_that_it_can_not() -> None:
    spans = [dt.timedelta(microseconds=each) for each in (-(2**63), 2**63 - 1, -1, 0, *range(2000))]
    assert there_and_back(list[dt.timedelta], spans) == spans
    assert there_and_back(list[dt.timedelta], spans[1:]) == spans[1:]


def test_t2_a_value_that_is_neither_of_an_optional_in_a_list_is_told_as_that() -> None:
    assert refused(list[int | None], [1, None, "a"]).startswith("inputs.x[2]: expected int | None, got ")
