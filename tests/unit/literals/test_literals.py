"""Values one at a time: what is refused and how it is said, constants."""

import datetime as dt
import struct
import zoneinfo

import pytest

from typedflow import errors, literal_types, literals
from typedflow.literal_types import BOOL, FLOAT, INT, NONE, STRING
from typedflow.pb.literals_pb2 import (
    Datetime,
    File,
    Frame,
    List,
    Lists,
    Literal,
    Offloaded,
    RecordColumn,
    Records,
    Union,
)
from typedflow.pb.types_pb2 import Column, LiteralType
from typedflow.pb.workflows_pb2 import PathStep

LAYER = literal_types.record("Layer", {"width": INT, "scale": FLOAT})
CONFIG = literal_types.record(
    "Config", {"layers": literal_types.list_of(LAYER), "name": STRING}, defaults=["name"]
)
NUMBER = literal_types.union(FLOAT, INT)


def numbers(*values: int) -> Literal:
    return literals.from_list(literals.integers(values))


# Single values


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63)])
def test_t2_ints_of_64_bits_are_kept(value: int):
    assert literals.from_int(value).integer == value


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 10**5000], ids=["above", "below", "huge"])
def test_t2_an_int_outside_64_bits_is_refused(value: int):
    with pytest.raises(errors.ConversionError, match="outside the 64 bits"):
        literals.from_int(value)
    with pytest.raises(errors.ConversionError, match="outside 64 bits"):
        literals.integers([1, value])


def test_t2_the_bits_of_a_nan_and_the_sign_of_a_zero_are_kept():
    (odd,) = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000123))
    packed = literals.pack([literals.from_float(odd), literals.from_float(-0.0)])
    kept = [struct.pack("<d", e.float) for e in literals.elements(packed)]
    assert kept == [struct.pack("<d", odd), struct.pack("<d", -0.0)]


def test_half_a_surrogate_pair_is_refused_before_anything_is_written():
    with pytest.raises(errors.ConversionError, match="half a surrogate pair"):
        literals.from_str("a\ud800")
    with pytest.raises(errors.ConversionError, match="half a surrogate pair"):
        literals.strings(["fine", "a\ud800"])


def test_t2_a_datetime_keeps_its_instant_its_offset_and_its_zone():
    berlin = dt.datetime(2024, 7, 1, 12, 30, 0, 123456, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    made = literals.from_datetime(berlin).datetime
    assert made.offset_seconds == 7200
    assert made.zone == "Europe/Berlin"
    assert literals.to_datetime(made) == berlin
    fixed = dt.datetime(1901, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-5, minutes=-30)))
    assert literals.to_datetime(literals.from_datetime(fixed).datetime).isoformat() == fixed.isoformat()


def test_t2_the_two_hours_that_a_clock_shows_twice_are_told_apart():
    zone = zoneinfo.ZoneInfo("Europe/Berlin")
    first = dt.datetime(2024, 10, 27, 2, 30, tzinfo=zone)
    second = first.replace(fold=1)
    one, other = (literals.from_datetime(v).datetime for v in (first, second))
    assert other.epoch_microseconds - one.epoch_microseconds == 3600 * 10**6


def test_t1_a_naive_datetime_is_refused():
    with pytest.raises(errors.ConversionError, match="no time zone"):
        literals.from_datetime(dt.datetime(2024, 1, 1))  # noqa: DTZ001 - what is refused


def test_an_instant_that_python_has_no_datetime_for_is_refused():
    with pytest.raises(errors.ConversionError, match="is no datetime"):
        literals.to_datetime(Datetime(epoch_microseconds=2**62))
    with pytest.raises(errors.ConversionError, match="is no datetime"):
        literals.to_datetime(Datetime(offset_seconds=10**6))


def test_maps_keep_their_order_and_say_when_a_name_is_not_there():
    made = literals.as_map({"b": numbers(1), "a": literals.from_none()})
    assert [v.name for v in made.values] == ["b", "a"]
    assert literals.get(made, "b") == numbers(1)
    assert literals.get(made, "c") is None


# Lists


def test_t6_each_kind_of_element_has_its_column():
    none, whole, real = literals.from_none(), literals.from_int(1), literals.from_float(1.0)
    record = literals.from_record({"a": whole})
    kinds = {
        "nones": [none],
        "booleans": [literals.from_bool(True)],
        "integers": [whole, whole],
        "floats": [real],
        "strings": [literals.from_str("x")],
        "records": [record, record],
        "lists": [numbers(), numbers(1)],
        "literals": [whole, real],
    }
    assert {kind: literals.pack(es).WhichOneof("column") for kind, es in kinds.items()} == {
        k: k for k in kinds
    }
    unlike = [record, literals.from_record({"b": whole})]
    assert literals.pack(unlike).WhichOneof("column") == "literals"
    assert literals.pack([]) == literals.integers([]) == literals.strings([]) == List(nones=0)


def test_an_index_outside_a_list_says_how_long_it_is():
    with pytest.raises(IndexError, match="index 2 is outside a list of 2"):
        literals.element(literals.integers([1, 2]), 2)
    with pytest.raises(IndexError, match="index -3"):
        literals.element(literals.integers([1, 2]), -3)


@pytest.mark.parametrize(
    ("column", "wrong"),
    [
        (List(nones=2**60), "times None"),
        (List(records=Records(length=2**60)), "records without fields"),
        (
            List(records=Records(length=2, columns=[RecordColumn(name="a", values=literals.integers([1]))])),
            "1 values of field `a` for 2 records",
        ),
        (
            List(
                records=Records(
                    length=1,
                    columns=[RecordColumn(name="a", values=literals.integers([1])) for _ in range(2)],
                )
            ),
            "a field has two columns",
        ),
        (List(lists=Lists(lengths=[2], elements=literals.integers([1]))), "1 elements for lists that have 2"),
        (List(lists=Lists(lengths=[2**60], elements=List(nones=2**60))), "times None"),
    ],
    ids=["nones", "records", "short", "twice", "lists", "inside"],
)
def test_s5_a_list_whose_columns_contradict_each_other_is_refused(column: List, wrong: str):
    assert wrong in literals.malformed(column)
    for target in (literal_types.list_of(NONE), literal_types.list_of(literal_types.optional(INT))):
        with pytest.raises(errors.ConversionError, match="contradicts itself") as caught:
            literals.constant(Literal(list=column), target, "inputs.x")
        assert caught.value.where == "inputs.x"


# Paths


def test_follow_goes_into_records_and_lists():
    value = literals.from_record({"layers": literals.from_list(literals.pack([numbers(1, 2), numbers(3)]))})
    path = [PathStep(field="layers"), PathStep(index=-2), PathStep(index=1)]
    assert literals.follow(value, path) == literals.from_int(2)
    assert literals.follow(value, []) is value


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([PathStep(field="layer")], "a record with `layers` has no field `layer`"),
        ([PathStep(field="layers"), PathStep(index=7)], ".layers: index 7 is outside a list of 1"),
        ([PathStep(index=0)], "a record with `layers` has no elements"),
        (
            [PathStep(field="layers"), PathStep(index=0), PathStep(field="x")],
            ".layers[0]: 3 (int) has no field `x`",
        ),
    ],
    ids=["field", "index", "no list", "no record"],
)
def test_follow_names_the_step_that_leads_nowhere(path: list[PathStep], message: str):
    value = literals.from_record({"layers": numbers(3)})
    with pytest.raises(errors.ConversionError) as caught:
        literals.follow(value, path)
    assert str(caught.value) == message


# Shape


OFFLOADED = Literal(offloaded=Offloaded(content="b3:" + "0" * 64))
CONTRADICTION = Literal(
    list=List(records=Records(length=2, columns=[RecordColumn(name="width", values=literals.integers([1]))]))
)


@pytest.mark.parametrize(
    ("value", "of", "said"),
    [
        (literals.from_str("a"), INT, 'x: expected int, got "a" (str)'),
        (Literal(), INT, "x: expected int, got nothing"),
        (Literal(), LiteralType(), "x: expected "),
        (numbers(1), literal_types.list_of(FLOAT), "x[]: expected float, got integers"),
        (
            literals.from_list(literals.pack([numbers(1), literals.from_list(literals.strings(["a"]))])),
            literal_types.list_of(literal_types.list_of(INT)),
            'x[][1]: expected int, got "a" (str)',
        ),
        (Literal(union=Union(variant=2)), NUMBER, "x: variant 2 of a union that has 2"),
        (literals.from_int(1), NUMBER, "x: expected float | int, got 1 (int)"),
        (CONTRADICTION, literal_types.list_of(LAYER), "a list that contradicts itself"),
        (literals.from_record({"scale": literals.from_float(1.0)}), LAYER, "field `width` is missing"),
        (
            literals.from_record({"scale": literals.from_float(1.0), "width": literals.from_int(1)}),
            LAYER,
            "its fields are `width`, `scale`, in this order",
        ),
        (
            literals.from_record({"width": literals.from_int(1), "scale": literals.from_none()}),
            LAYER,
            "x.scale: expected float, got None",
        ),
        (Literal(file=File(format="json")), literal_types.file("csv"), "got a file of format `json`"),
        (literals.from_none(), literal_types.frame(), "got None"),
    ],
    ids=range(13),
)
def test_s5_a_value_that_is_not_of_its_type_is_told_with_the_place(
    value: Literal, of: LiteralType, said: str
):
    assert said in literals.misfit(value, of, "x")


@pytest.mark.parametrize(
    "of", [INT, NUMBER, CONFIG, literal_types.list_of(LAYER), literal_types.frame()], ids=literal_types.text
)
def test_d2_what_travels_by_reference_is_taken_on_trust(of: LiteralType):
    assert literals.misfit(OFFLOADED, of, "x") == ""


def test_t2_a_field_with_a_default_may_be_left_out():
    layers = {"layers": literals.from_list(literals.empty())}
    assert literals.misfit(literals.from_record(layers), CONFIG, "x") == ""


# Constants


def test_t5_a_constant_int_that_is_exact_feeds_a_float():
    assert literals.constant(literals.from_int(2**53), FLOAT, "x") == literals.from_float(2.0**53)
    assert literals.constant(literals.from_int(-(2**63)), FLOAT, "x") == literals.from_float(-(2.0**63))
    assert literals.constant(numbers(1, 2), literal_types.list_of(FLOAT), "x").list == literals.floats(
        [1.0, 2.0]
    )
    big = literals.constant(numbers(2**60), literal_types.list_of(FLOAT), "x")
    assert big.list == literals.floats([2.0**60])


def test_t5_a_constant_int_that_is_not_exact_as_a_float_is_refused_where_it_stands():
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(numbers(1, 2**53 + 1), literal_types.list_of(FLOAT), "inputs.x")
    assert (
        str(caught.value)
        == "inputs.x[1]: expected float, got 9007199254740993 (int): it is not exact as a float"
    )


@pytest.mark.parametrize(
    ("literal", "target"),
    [
        (literals.from_bool(True), INT),
        (literals.from_float(1.0), INT),
        (literals.from_int(1), BOOL),
        (literals.from_str("1"), INT),
        (literals.from_none(), STRING),
        (Literal(), INT),
    ],
    ids=["bool to int", "float to int", "int to bool", "str to int", "None to str", "nothing"],
)
def test_t2_nothing_else_turns_into_something_else(literal: Literal, target: LiteralType):
    with pytest.raises(errors.ConversionError):
        literals.constant(literal, target, "x")


def test_t4_a_constant_takes_the_equal_variant_else_the_first_that_loses_nothing():
    assert literals.constant(literals.from_int(1), NUMBER, "x").union.variant == 1
    only_float = literal_types.union(STRING, FLOAT)
    assert literals.constant(literals.from_int(1), only_float, "x").union == Union(
        variant=1, value=literals.from_float(1.0)
    )
    lists = literal_types.union(literal_types.list_of(FLOAT), literal_types.list_of(INT))
    assert literals.constant(numbers(1), lists, "x").union.variant == 1


def test_t4_a_constant_that_names_its_variant_keeps_it():
    lists = literal_types.union(literal_types.list_of(FLOAT), literal_types.list_of(INT))
    tagged = Literal(union=Union(variant=1, value=numbers()))
    assert literals.constant(tagged, lists, "x") is tagged
    wrong = Literal(union=Union(variant=9, value=numbers(1)))
    assert literals.constant(wrong, lists, "x").union.variant == 1


def test_a_constant_that_fits_as_it_is_is_the_same_message():
    value = literals.from_record(
        {"layers": literals.from_list(literals.empty()), "name": literals.from_str("x")}
    )
    assert literals.constant(value, CONFIG, "x") is value


def test_records_of_a_constant_are_put_in_the_order_of_the_type_without_what_it_lacks():
    one = literals.from_record(
        {"scale": literals.from_int(2), "more": literals.from_none(), "width": literals.from_int(1)}
    )
    expected = literals.from_record({"width": literals.from_int(1), "scale": literals.from_float(2.0)})
    assert literals.constant(one, LAYER, "x") == expected
    many = literals.constant(literals.from_list(literals.pack([one, one])), literal_types.list_of(LAYER), "x")
    assert many.list == literals.pack([expected, expected])


def test_a_record_of_a_list_that_does_not_fit_is_named_by_its_place():
    good = literals.from_record({"width": literals.from_int(1), "scale": literals.from_int(2)})
    bad = literals.from_record({"width": literals.from_int(1), "scale": literals.from_int(2**53 + 1)})
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(literals.from_list(literals.pack([good, bad])), literal_types.list_of(LAYER), "x")
    assert caught.value.where == "x[1].scale"


def test_a_constant_file_or_frame_fits_by_format_and_columns():
    csv = Literal(file=File(content="b3:0", format="csv"))
    assert literals.constant(csv, literal_types.file("csv"), "x") is csv
    with pytest.raises(errors.ConversionError, match=r"expected File\[json\], got a file of format `csv`"):
        literals.constant(csv, literal_types.file("json"), "x")
    column = Column(name="a", dtype="int64")
    frame = Literal(
        frame=Frame(content="b3:0", type=literal_types.frame([column]).frame, column_contents=[bytes(32)])
    )
    assert literals.constant(frame, literal_types.frame([column], strict=True), "x") is frame
    with pytest.raises(errors.ConversionError, match="column `b` is missing"):
        literals.constant(frame, literal_types.frame([Column(name="b", dtype="int64")]), "x")


def test_convert_refuses_what_is_not_assignable():
    with pytest.raises(errors.ConversionError, match="expected float, got int"):
        literals.convert(literals.from_int(1), INT, FLOAT)
