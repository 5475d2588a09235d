"""Values of each kind: into a literal and out, along a path, between types, as constants, and how they are named."""

import datetime as dt
import decimal
import math

import pytest

from typedflow import errors, literal_types, literals
from typedflow.literal_types import BYTES, DECIMAL, FLOAT, INT, STRING, EnumValue
from typedflow.pb.literals_pb2 import Array, Directory, File, Frame, Literal, Offloaded, Stream, Union
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import PathStep

COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})
PAIR = literal_types.tuple_of(INT, STRING)
MOLECULE = literal_types.custom("chemistry.Molecule", literal_types.dict_of(FLOAT))
PARTIAL = literal_types.record("Partial", {"a": INT, "b": INT}, optional=["b"])


def numbers(*values: int) -> Literal:
    return literals.from_list(literals.integers(values))


def counts(**values: int) -> Literal:
    return literals.from_dict({k: literals.from_int(v) for k, v in values.items()})


def refused(literal: Literal, target: LiteralType) -> errors.ConversionError:
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(literal, target, "x")
    return caught.value


# Into a literal and out of it


@pytest.mark.parametrize("day", [dt.date.min, dt.date(1969, 12, 31), dt.date(2024, 2, 29), dt.date.max])
def test_t2_days_are_kept(day: dt.date):
    assert literals.to_date(literals.from_date(day).date) == day


def test_a_day_that_python_has_no_date_for_is_refused():
    for days in (2**31 - 1, -(2**31)):
        with pytest.raises(errors.ConversionError, match="is no date"):
            literals.to_date(days)


@pytest.mark.parametrize(
    "span", [dt.timedelta(0), dt.timedelta(microseconds=-1), dt.timedelta(days=106_751_991)]
)
def test_t2_spans_are_kept(span: dt.timedelta):
    assert literals.to_duration(literals.from_duration(span).duration) == span


@pytest.mark.parametrize("span", [dt.timedelta.max, dt.timedelta.min], ids=["max", "min"])
def test_a_span_of_more_microseconds_than_64_bits_is_refused(span: dt.timedelta):
    with pytest.raises(errors.ConversionError, match="more microseconds than 64 bits hold"):
        literals.from_duration(span)


@pytest.mark.parametrize(
    "text", ["0", "-0", "1.10", "1E+5", "0E-10", "NaN", "-sNaN123", "-Infinity", "1" * 100]
)
def test_t2_every_digit_of_a_decimal_is_kept(text: str):
    made = literals.from_decimal(decimal.Decimal(text))
    assert made.decimal == text
    assert literals.to_decimal(text).compare_total(decimal.Decimal(text)) == 0


def test_how_a_program_sets_up_decimals_does_not_show():
    with decimal.localcontext(decimal.Context(prec=2, capitals=0)) as context:
        context.traps[decimal.InvalidOperation] = False
        assert literals.from_decimal(decimal.Decimal("1.234E+99")).decimal == "1.234E+99"
        with pytest.raises(errors.ConversionError):
            literals.to_decimal("one")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("one", '"one" is no decimal number'),
        ("1e5", "is not how Python writes"),
        (" 1", "is not how"),
        ("1_0", "is not"),
    ],
)
def test_a_text_that_is_no_decimal_or_is_written_in_another_way_is_refused(text: str, said: str):
    with pytest.raises(errors.ConversionError) as caught:
        literals.to_decimal(text)
    assert said in caught.value.message
    assert said in literals.misfit(Literal(decimal=text), DECIMAL, "x")
    column = literals.from_list(literals.pack([Literal(decimal=text)]))
    assert said in literals.misfit(column, literal_types.list_of(DECIMAL), "x")
    assert refused(column, literal_types.list_of(DECIMAL)).where == "x[0]"


def test_a_key_with_half_a_surrogate_pair_is_refused():
    for make in (
        lambda: literals.from_dict({"\ud800": literals.from_none()}),
        lambda: literals.dicts([1], ["\ud800"], literals.nones(1)),
    ):
        with pytest.raises(errors.ConversionError, match="half a surrogate pair"):
            make()


@pytest.mark.parametrize("value", ["red", 1, True, 1.5, b"blue"])
def test_what_travels_for_a_member_is_its_value(value: EnumValue):
    made = literals.from_member(value)
    target = literal_types.choice(value)
    assert literals.misfit(made, target, "x") == ""
    assert literals.constant(made, target, "x") is made
    column = literals.from_list(literals.pack([made, made]))
    assert column.list.WhichOneof("column") != "literals"
    assert literals.misfit(column, literal_types.list_of(target), "x") == ""


# Paths


def test_follow_goes_into_dicts_and_tuples():
    pair = literals.from_tuple([numbers(1, 2), literals.from_str("a")])
    value = literals.from_dict({"p": pair, "q": pair})
    path = [PathStep(key="q"), PathStep(index=-2), PathStep(index=1)]
    assert literals.follow(value, path) == literals.from_int(2)
    assert literals.follow(pair, [PathStep(index=1)]) == literals.follow(pair, [PathStep(field="1")])


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ([PathStep(key="c")], 'a dict with `a`, `b` has no key "c"'),
        ([PathStep(key="a"), PathStep(key="b")], '["a"]: 1 (int) has no key "b"'),
        ([PathStep(field="a")], "a dict with `a`, `b` has no field `a`"),
        ([PathStep(index=0)], "a dict with `a`, `b` has no elements"),
    ],
    ids=["key", "no dict", "field", "index"],
)
def test_follow_names_the_key_that_leads_nowhere(path: list[PathStep], message: str):
    with pytest.raises(errors.ConversionError) as caught:
        literals.follow(counts(a=1, b=2), path)
    assert str(caught.value) == message


@pytest.mark.parametrize("index", [2, -3])
def test_an_index_outside_a_tuple_says_how_long_it_is(index: int):
    pair = literals.from_tuple([numbers(1), literals.from_str("a")])
    with pytest.raises(errors.ConversionError, match=f"index {index} is outside a tuple of 2"):
        literals.follow(pair, [PathStep(index=index)])


# Between types


def test_t5_a_list_feeds_an_iterator_as_the_list_that_it_is():
    target = literal_types.stream_of(literal_types.optional(INT))
    made = literals.convert(numbers(1, 2), literal_types.list_of(INT), target)
    assert made.list.WhichOneof("column") == "unions"
    assert literals.misfit(made, target, "x") == ""
    stream = Literal(stream=Stream(content="b3:0", length=2))
    assert literals.convert(stream, literal_types.stream_of(INT), literal_types.stream_of(INT)) is stream


def test_t5_a_dict_is_converted_value_by_value():
    source, target = literal_types.dict_of(INT), literal_types.dict_of(literal_types.optional(INT))
    made = literals.convert(counts(b=1, a=2), source, target)
    assert list(made.dict.keys) == ["b", "a"]
    assert made.dict.values.unions.columns[0] == literals.integers([1, 2])
    column = literals.from_list(literals.pack([counts(b=1), counts(a=2)]))
    many = literals.convert(column, literal_types.list_of(source), literal_types.list_of(target))
    assert list(literals.elements(many.list)) == [
        literals.convert(e, source, target) for e in literals.elements(column.list)
    ]


def test_t5_two_variants_that_become_one_keep_the_order_of_the_values():
    source = literal_types.union(literal_types.choice("a"), STRING, INT)
    target = literal_types.union(INT, STRING)
    values = [(1, literals.from_str("z")), (0, literals.from_str("a")), (2, literals.from_int(1))]
    column = literals.pack([Literal(union=Union(variant=v, value=e)) for v, e in values])
    made = literals.convert(
        literals.from_list(column), literal_types.list_of(source), literal_types.list_of(target)
    )
    assert list(made.list.unions.variants) == [1, 1, 0]
    assert made.list.unions.columns[1] == literals.strings(["z", "a"])


def test_t5_a_field_that_may_be_missing_stays_missing():
    source = literal_types.record("Source", {"a": INT, "c": INT})
    value = literals.from_record({"a": literals.from_int(1), "c": literals.from_int(2)})
    assert literals.convert(value, source, PARTIAL) == literals.from_record({"a": literals.from_int(1)})


def test_what_is_sensitive_converts_as_what_is_not():
    target = literal_types.sensitive(literal_types.optional(STRING))
    made = literals.convert(literals.from_str("a"), literal_types.sensitive(STRING), target)
    assert made.union == Union(variant=0, value=literals.from_str("a"))


# Constants


def test_a_value_that_is_none_of_an_enums_is_told_with_the_nearest_of_them():
    error = refused(literals.from_str("gren"), COLOR)
    assert error.code == "IllegalEnumValue"
    assert error.message == "expected Color, got \"gren\" (str): its values are 'red', 'green'"
    assert error.hint == "did you mean 'green'?"
    assert refused(literals.from_str("RED"), COLOR).hint == "`Color.RED` travels as its value: give 'red'"
    assert refused(literals.from_int(1), COLOR).code == "IllegalEnumValue"
    assert refused(numbers(1), COLOR).code == "InvalidValue"
    in_a_list = refused(literals.from_list(literals.strings(["red", "blue"])), literal_types.list_of(COLOR))
    assert (in_a_list.where, in_a_list.code) == ("x[1]", "IllegalEnumValue")
    assert refused(literals.from_str("gren"), literal_types.optional(COLOR)).code == "IllegalEnumValue"


def test_of_an_enum_with_many_values_the_first_are_told():
    assert refused(literals.from_int(-1), literal_types.choice(*range(100))).message.endswith("9 and 90 more")


def test_true_is_not_the_member_1():
    assert refused(literals.from_bool(True), literal_types.choice(1)).code == "IllegalEnumValue"
    assert refused(literals.from_int(1), literal_types.choice(True)).code == "IllegalEnumValue"
    assert literals.constant(literals.from_int(1), literal_types.choice(1.0), "x") == literals.from_float(1.0)
    nan = literals.from_float(math.nan)
    assert literals.constant(nan, literal_types.choice(math.nan), "x") is nan


def test_nothing_is_said_of_a_sensitive_value_or_of_what_it_is_near():
    error = refused(literals.from_str("gren"), literal_types.sensitive(COLOR))
    assert str(error) == "x: expected Sensitive[Color], got a sensitive value that is none"
    of_both = literal_types.union(INT, literal_types.sensitive(COLOR))
    assert "gren" not in str(refused(literals.from_str("gren"), of_both))
    inside = literal_types.sensitive(literal_types.dict_of(INT))
    assert str(refused(literals.from_dict({"key": literals.from_str("v")}), inside)).startswith(
        "x: expected Sens"
    )


@pytest.mark.parametrize(
    ("literal", "target", "said"),
    [
        (
            literals.from_dict({"a": literals.from_str("b")}),
            literal_types.dict_of(INT),
            'x["a"]: expected int, got "b"',
        ),
        (
            literals.from_list(literals.pack([counts(a=1), counts(b=2**53 + 1)])),
            literal_types.list_of(literal_types.dict_of(FLOAT)),
            'x[1]["b"]: expected float, got 9007199254740993 (int): it is not exact',
        ),
        (
            literals.from_list(literals.pack([numbers(), numbers(1, 2**53 + 1)])),
            literal_types.list_of(literal_types.list_of(FLOAT)),
            "x[1][1]: expected float",
        ),
        (literals.from_tuple([literals.from_int(1)]), PAIR, "it has 1 elements, not 2"),
        (literals.from_tuple([literals.from_int(1)] * 2), PAIR, "x[1]: expected str, got 1 (int)"),
        (literals.from_record({"b": literals.from_int(1)}), PARTIAL, "field `a` is missing"),
        (
            Literal(directory=Directory(format="csv")),
            literal_types.directory("json"),
            "got a directory of format `csv`",
        ),
        (Literal(directory=Directory()), literal_types.file(), "expected File, got a directory"),
        (
            Literal(array=Array(dtype="int8", shape=[2])),
            literal_types.array("int16"),
            "expected ndarray[int16], got ndarray[int8, 1d]",
        ),
        (
            Literal(array=Array(dtype="int8", shape=[2])),
            literal_types.array("int8", 2),
            "expected ndarray[int8, 2d], got ndarray[int8, 1d]",
        ),
        (counts(a=1), literal_types.stream_of(INT), "expected Iterator[int], got a dict with `a`"),
        (numbers(1), MOLECULE, "expected dict[str, float], got a list"),
    ],
    ids=range(12),
)
def test_t2_a_constant_that_does_not_fit_is_told_with_its_place(
    literal: Literal, target: LiteralType, said: str
):
    assert said in str(refused(literal, target))
    assert literals.misfit(literal, target, "x")


def test_t5_constants_in_containers_become_what_is_asked_for():
    floats = literals.from_list(literals.floats([1.0]))
    assert literals.constant(counts(a=1), MOLECULE, "x").dict.values == literals.floats([1.0])
    assert literals.constant(numbers(1), literal_types.stream_of(FLOAT), "x") == floats
    nested = literals.from_list(literals.pack([numbers(), numbers(1)]))
    made = literals.constant(nested, literal_types.list_of(literal_types.list_of(FLOAT)), "x")
    assert made.list.lists.elements == literals.floats([1.0])
    dicts = literals.from_list(literals.pack([counts(a=1), counts(b=2)]))
    made = literals.constant(dicts, literal_types.list_of(literal_types.dict_of(FLOAT)), "x")
    assert made.list.dicts.values == literals.floats([1.0, 2.0])
    pair = literals.from_tuple([literals.from_int(1), literals.from_str("a")])
    wanted = literal_types.tuple_of(FLOAT, literal_types.optional(STRING))
    assert literals.misfit(literals.constant(pair, wanted, "x"), wanted, "x") == ""


def test_t4_a_column_takes_the_first_variant_that_all_its_values_are_of():
    target = literal_types.list_of(literal_types.union(BYTES, FLOAT, INT))
    made = literals.constant(numbers(1, 2), target, "x")
    assert list(made.list.unions.variants) == [2, 2]
    mixed = literal_types.list_of(literal_types.union(literal_types.choice(1), INT))
    assert list(literals.constant(numbers(1, 2), mixed, "x").list.unions.variants) == [0, 1]


def test_d2_what_travels_by_reference_inside_a_container_is_passed_on():
    far = Literal(offloaded=Offloaded(content="b3:" + "0" * 64))
    value = literals.from_dict({"a": far})
    target = literal_types.dict_of(literal_types.list_of(INT))
    assert literals.constant(value, target, "x") is value
    assert literals.misfit(value, target, "x") == ""


# How they are named


@pytest.mark.parametrize(
    ("literal", "said"),
    [
        (literals.from_bytes(b"ab"), "b'ab' (bytes)"),
        (literals.from_bytes(b"x" * 99), "99 bytes, b'xxxxxxxx'... (bytes)"),
        (literals.from_date(dt.date(2024, 2, 29)), "2024-02-29 (date)"),
        (Literal(date=2**31 - 1), "2147483647 days after 1970-01-01 (date)"),
        (literals.from_duration(dt.timedelta(hours=1)), "1:00:00 (timedelta)"),
        (literals.from_decimal(decimal.Decimal("1.10")), "1.10 (Decimal)"),
        (counts(a=1), "a dict with `a`"),
        (counts(), "a dict with no keys"),
        (Literal(directory=Directory(format="csv")), "a directory of format `csv`"),
        (Literal(file=File()), "a file"),
        (Literal(frame=Frame()), "a data frame"),
        (Literal(array=Array(dtype="int8", shape=[2, 3])), "ndarray[int8, 2d]"),
        (Literal(stream=Stream(length=3)), "a stream of 3"),
        (literals.from_dict({"k" * 99: literals.from_none()}), "a dict with `" + "k" * 57 + "...`"),
    ],
    ids=range(14),
)
def test_a_value_is_named_in_a_few_words(literal: Literal, said: str):
    assert literals.describe(literal) == said
