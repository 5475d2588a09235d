"""Values as plain JSON: what each type's look like, what is refused and how it is said, and that nothing is lost."""

import datetime as dt
import decimal
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typedflow import errors, literal_types, literals
from typedflow.literal_types import BOOL, BYTES, DATE, DATETIME, DECIMAL, DURATION, FLOAT, INT, NONE, STRING
from typedflow.pb.literals_pb2 import (
    Array,
    Blob,
    Datetime,
    Directory,
    DirectoryEntry,
    File,
    Frame,
    Integers,
    List,
    Lists,
    Literal,
    Stream,
    Union,
)
from typedflow.pb.types_pb2 import Column, LiteralType

LAYER = literal_types.record("Layer", {"width": INT, "scale": FLOAT})
CONFIG = literal_types.record(
    "Config", {"layers": literal_types.list_of(LAYER), "name": STRING}, defaults=["name"]
)
COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})


def numbers(*values: int) -> Literal:
    return literals.from_list(literals.integers(values))


# Types and values


NAMES = st.sampled_from(["a", "b", "$type", "value", "a.b"])
SIMPLE = [NONE, BOOL, INT, FLOAT, STRING, DATETIME, BYTES, DATE, DURATION, DECIMAL]
MEMBERS: list[literal_types.EnumValue]
MEMBERS = ["a", "NaN", "YQ==", "", 0, 1, True, 0.0, -0.0, 1.0, math.nan, b"a", b""]
ENUMS = st.lists(st.sampled_from(MEMBERS), min_size=1, max_size=6, unique_by=literal_types.value_key).map(
    lambda members: literal_types.choice(*members)
)


def nested(inner: st.SearchStrategy[LiteralType]) -> st.SearchStrategy[LiteralType]:
    several = st.lists(
        inner.filter(lambda t: not t.HasField("union")),
        min_size=2,
        max_size=4,
        unique_by=literal_types.structure,
    )
    return st.one_of(
        several.map(lambda variants: literal_types.union(*variants)),
        inner.map(literal_types.list_of),
        inner.map(literal_types.dict_of),
        inner.map(literal_types.stream_of),
        inner.map(lambda t: literal_types.custom("x.Y", t)),
        st.lists(inner, max_size=3).map(lambda ts: literal_types.tuple_of(*ts)),
        st.builds(
            literal_types.record,
            st.sampled_from(["", "R"]),
            st.dictionaries(NAMES, inner, max_size=3),
            optional=st.lists(NAMES, max_size=2),
        ),
    )


TYPES = st.recursive(st.one_of(st.sampled_from(SIMPLE), ENUMS), nested, max_leaves=6)
TEXTS = st.one_of(
    st.sampled_from(["", "NaN", "YQ==", "2024-01-01", "2024-01-01T00:00:00Z", "PT1S", "1.5", "$type"]),
    st.text(st.characters(exclude_categories=["Cs"])),
)
INT64 = st.one_of(st.sampled_from([0, 1, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
VALUES = {
    NONE.simple: st.builds(literals.from_none),
    BOOL.simple: st.booleans().map(literals.from_bool),
    INT.simple: INT64.map(literals.from_int),
    FLOAT.simple: st.one_of(st.sampled_from([0.0, -0.0, math.nan]), st.floats(allow_nan=False)).map(
        literals.from_float
    ),
    STRING.simple: TEXTS.map(literals.from_str),
    DATETIME.simple: st.builds(
        Datetime,
        epoch_microseconds=st.integers(-(2**55), 2**55),
        offset_seconds=st.one_of(st.sampled_from([0, 3600, -19800]), st.integers(-86399, 86399)),
        zone=st.sampled_from(["", "Europe/Berlin", "Etc/GMT+5", "UTC"]),
    ).map(lambda at: Literal(datetime=at)),
    BYTES.simple: st.binary().map(literals.from_bytes),
    DATE.simple: st.dates().map(literals.from_date),
    DURATION.simple: INT64.map(lambda micros: Literal(duration=micros)),
    DECIMAL.simple: st.decimals().map(literals.from_decimal),
}


@st.composite
def values(draw: st.DrawFn, t: LiteralType) -> Literal:
    match t.WhichOneof("type"):
        case "simple":
            return draw(VALUES[t.simple])
        case "enum":
            return literals.from_member(literal_types.member_value(draw(st.sampled_from(t.enum.members))))
        case "list" | "stream":
            (element,) = literal_types.children(t)
            return literals.from_list(literals.pack(draw(st.lists(values(element), max_size=4))))
        case "dict":
            return literals.from_dict(draw(st.dictionaries(NAMES, values(t.dict.value), max_size=3)))
        case "union":
            place = draw(st.integers(0, len(t.union.variants) - 1))
            return Literal(union=Union(variant=place, value=draw(values(t.union.variants[place]))))
        case "record":
            kept = [f for f in t.record.fields if not f.optional or draw(st.booleans())]
            return literals.from_record({f.name: draw(values(f.type)) for f in kept})
        case _:
            return draw(values(t.custom.representation))


def read(value: object, target: LiteralType) -> Literal:
    """A value as it comes out of the text of a JSON document."""
    return literals.from_json(json.loads(json.dumps(value, allow_nan=False)), target, "x")


def refusal(value: object, target: LiteralType) -> str:
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json(value, target, "x")
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "target", "plain"),
    [
        (literals.from_none(), NONE, None),
        (literals.from_int(5), INT, 5),
        (literals.from_float(math.inf), FLOAT, "Infinity"),
        (literals.from_float(-math.inf), FLOAT, "-Infinity"),
        (Literal(union=Union(variant=0, value=literals.from_int(5))), literal_types.optional(INT), 5),
        (
            Literal(union=Union(variant=1, value=literals.from_float(math.nan))),
            literal_types.union(STRING, FLOAT),
            {"$type": "float", "value": "NaN"},
        ),
        (
            Literal(union=Union(variant=1, value=Literal(datetime=Datetime(epoch_microseconds=500_000)))),
            literal_types.union(STRING, DATETIME),
            {"$type": "datetime", "value": "1970-01-01T00:00:00.500000Z"},
        ),
        (
            Literal(union=Union(variant=1, value=literals.from_record({"x": numbers()}))),
            literal_types.union(
                literal_types.record("C", {"x": literal_types.list_of(INT)}),
                literal_types.record("C", {"x": literal_types.list_of(STRING)}),
            ),
            {"$type": 1, "value": {"x": []}},
        ),
    ],
    ids=["None", "int", "Infinity", "-Infinity", "optional", "NaN or str", "datetime or str", "alike"],
)
def test_json_is_plain_and_tagged_only_where_forms_clash(value: Literal, target: LiteralType, plain: object):
    assert literals.to_json(value, target) == plain
    assert literals.to_json(literals.from_json(plain, target, "x"), target) == plain


def test_json_of_a_file_and_a_frame_says_what_they_are_and_where():
    blob = Blob(uri="s3://b/k", digest="b3:1", size=3)
    assert literals.to_json(Literal(file=File(content="b3:0", blob=blob, format="csv", name="x.csv"))) == {
        "uri": "s3://b/k",
        "digest": "b3:1",
        "size": 3,
        "format": "csv",
    }
    frame = Frame(
        content="b3:0", blob=blob, rows=7, type=literal_types.frame([Column(name="a", dtype="int64")]).frame
    )
    assert literals.to_json(Literal(frame=frame)) == {
        "uri": "s3://b/k",
        "digest": "b3:1",
        "rows": 7,
        "columns": [{"name": "a", "dtype": "int64"}],
    }


@pytest.mark.parametrize(
    "value", ["data.csv", {"uri": "s3://b/k", "digest": "b3:1", "size": 3, "format": "csv"}]
)
@pytest.mark.parametrize("target", [literal_types.file(), literal_types.frame()], ids=["File", "dataframe"])
def test_s5_files_and_frames_are_not_taken_from_json(value: object, target: LiteralType):
    with pytest.raises(errors.ConversionError, match="upload it with a client"):
        literals.from_json(value, target, "inputs.data")


@pytest.mark.parametrize(
    ("value", "target", "message"),
    [
        (True, INT, "x: expected int, got true (bool)"),
        (5.0, INT, "x: expected int, got 5.0 (float)"),
        ("x", INT, 'x: expected int, got "x" (str)'),
        (None, STRING, "x: expected str, got null"),
        (1, STRING, "x: expected str, got 1 (int)"),
        (2**53 + 1, FLOAT, "x: expected float: 9007199254740993 (int) is not exact as a float"),
        (10**400, FLOAT, "x: expected float: an int of 1329 bits is not exact as a float"),
        (2**63, INT, "x: expected int: 9223372036854775808 is outside the 64 bits of an int"),
        (
            [1, 2**63],
            literal_types.list_of(INT),
            "x[1]: expected int: 9223372036854775808 is outside the 64 bits of an int",
        ),
        ("2024-01-01T00:00:00", DATETIME, "x: expected datetime: 2024-01-01T00:00:00 has no time zone"),
        ("yesterday", DATETIME, 'x: expected datetime: "yesterday" is not RFC 3339'),
        ({"a": 1}, literal_types.list_of(INT), "x: expected list[int], got an object with `a`"),
        ([1], LAYER, "x: expected Layer, got an array of 1"),
        ("x", literal_types.optional(INT), 'x: expected int | None, got "x" (str)'),
        (
            {"$type": "str", "value": 1},
            literal_types.optional(INT),
            "x: expected one of `int`, `None` as `$type`",
        ),
        ({"width": 1, "scale": "y"}, literal_types.optional(LAYER), 'x.scale: expected float, got "y" (str)'),
    ],
    ids=range(16),
)
def test_t2_what_does_not_fit_is_refused_with_its_path_its_type_and_its_value(
    value: object, target: LiteralType, message: str
):
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json(value, target, "x")
    assert str(caught.value).startswith(message)


def test_every_part_of_a_json_value_that_does_not_fit_is_told_at_once():
    value = {"layers": [{"width": "1", "scale": 1}, {"scale": None, "colour": 1}], "nam": "x"}
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json(value, CONFIG, "inputs.config")
    assert caught.value.problems == (
        ("inputs.config.nam", "unknown field: did you mean `name`?"),
        ("inputs.config.layers[0].width", 'expected int, got "1" (str)'),
        ("inputs.config.layers[1].colour", "unknown field: there are `width`, `scale`"),
        ("inputs.config.layers[1].width", "missing: expected int"),
        ("inputs.config.layers[1].scale", "expected float, got null"),
    )
    assert "5 values do not fit" in str(caught.value)


def test_a_long_list_of_misfits_is_an_error_of_bounded_size():
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json(["x"] * 100_000, literal_types.list_of(INT), "x")
    assert len(caught.value.problems) == 100
    assert str(caught.value).endswith("and 80 more")


def test_a_field_with_a_default_may_be_left_out_of_json():
    made = literals.from_json({"layers": []}, CONFIG, "x")
    assert [f.name for f in made.record.fields] == ["layers"]


def test_an_offset_in_json_is_kept():
    made = literals.from_json("2024-07-01T12:00:00+02:00", DATETIME, "x")
    assert made.datetime.offset_seconds == 7200
    assert literals.to_json(made) == "2024-07-01T12:00:00+02:00"


def test_lists_from_json_are_packed():
    assert literals.from_json([1, 2], literal_types.list_of(FLOAT), "x").list == literals.floats([1.0, 2.0])
    assert literals.from_json([[], [1]], literal_types.list_of(literal_types.list_of(INT)), "x").list == List(
        lists=Lists(lengths=[0, 1], elements=List(integers=Integers(values=[1])))
    )


# Each type's form


@pytest.mark.parametrize(
    ("value", "target", "plain"),
    [
        (literals.from_bytes(b"hello"), BYTES, "aGVsbG8="),
        (literals.from_bytes(b""), BYTES, ""),
        (literals.from_date(dt.date(2024, 2, 29)), DATE, "2024-02-29"),
        (literals.from_decimal(decimal.Decimal("-1.500E+40")), DECIMAL, "-1.500E+40"),
        (literals.from_decimal(decimal.Decimal("NaN123")), DECIMAL, "NaN123"),
        (Literal(duration=0), DURATION, "PT0S"),
        (Literal(duration=93_784_000_005), DURATION, "P1DT2H3M4.000005S"),
        (Literal(duration=-60_500_000), DURATION, "-PT1M0.5S"),
        (Literal(duration=86_400_000_000), DURATION, "P1D"),
        (Literal(duration=-(2**63)), DURATION, "-P106751991DT4H54.775808S"),
        (
            Literal(datetime=Datetime(epoch_microseconds=0, offset_seconds=3600, zone="Europe/Berlin")),
            DATETIME,
            "1970-01-01T01:00:00+01:00[Europe/Berlin]",
        ),
        (literals.from_member("red"), COLOR, "red"),
        (literals.from_member(b"hello"), literal_types.choice("a", b"hello"), "aGVsbG8="),
        (
            literals.from_member(math.nan),
            literal_types.choice("NaN", math.nan),
            {"$type": "float", "value": "NaN"},
        ),
        (
            literals.from_dict({"b": literals.from_int(1), "a": literals.from_int(2)}),
            literal_types.dict_of(INT),
            {"b": 1, "a": 2},
        ),
        (
            literals.from_tuple([literals.from_int(1), literals.from_str("x")]),
            literal_types.tuple_of(INT, STRING),
            [1, "x"],
        ),
        (numbers(1, 2), literal_types.stream_of(INT), [1, 2]),
        (numbers(1), literal_types.custom("chemistry.Molecule", literal_types.list_of(INT)), [1]),
    ],
    ids=range(18),
)
def test_every_type_has_a_form_that_is_read_as_the_same_value(value, target, plain):
    assert literals.to_json(value, target) == plain
    assert bits(read(plain, target)) == bits(value)


def test_what_is_kept_outside_says_what_it_is_and_where():
    blob = Blob(uri="s3://b/k", digest="b3:1", size=3)
    entries = [DirectoryEntry(path="a.csv", blob=blob), DirectoryEntry(path="empty")]
    tree = Directory(content="b3:0", format="csv", entries=entries)
    assert literals.to_json(Literal(directory=tree)) == {
        "digest": "b3:0",
        "files": 1,
        "size": 3,
        "format": "csv",
    }
    assert literals.to_json(Literal(array=Array(blob=blob, dtype="int64", shape=[2, 3]))) == {
        "uri": "s3://b/k",
        "digest": "b3:1",
        "dtype": "int64",
        "shape": [2, 3],
    }
    stream = Literal(stream=Stream(blob=blob, length=7))
    shown = {"uri": "s3://b/k", "digest": "b3:1", "length": 7}
    assert literals.to_json(stream) == literals.to_json(stream, literal_types.stream_of(INT)) == shown


@pytest.mark.parametrize(
    ("plain", "target", "value"),
    [
        (dt.date(2024, 5, 1), DATE, literals.from_date(dt.date(2024, 5, 1))),
        (
            dt.datetime(2024, 5, 1, tzinfo=dt.UTC),
            DATETIME,
            literals.from_datetime(dt.datetime(2024, 5, 1, tzinfo=dt.UTC)),
        ),
        (b"x", BYTES, literals.from_bytes(b"x")),
        (12, DECIMAL, literals.from_decimal(decimal.Decimal(12))),
        ("P2W", DURATION, Literal(duration=14 * 86_400_000_000)),
        ("PT90M", DURATION, Literal(duration=5_400_000_000)),
        ("2024-05-01T12:00Z", DATETIME, Literal(datetime=Datetime(epoch_microseconds=1714564800000000))),
        (1, literal_types.choice(1.0), literals.from_float(1.0)),
        (12, literal_types.optional(DECIMAL), Literal(union=Union(variant=0, value=Literal(decimal="12")))),
    ],
    ids=range(9),
)
def test_what_stands_for_one_value_only_is_taken_for_it(plain, target, value):
    assert bits(literals.from_json(plain, target, "x")) == bits(value)


@pytest.mark.parametrize(
    ("plain", "target", "message"),
    [
        (
            0.1,
            DECIMAL,
            'x: expected Decimal: 0.1 (float) has lost digits already (put it in quotes, as in "0.1")',
        ),
        ("1_000", DECIMAL, 'x: expected Decimal: "1_000" is no decimal number'),
        (True, DECIMAL, 'x: expected Decimal, got true (bool) (a text, as in "12.50")'),
        ("2024-02-30", DATE, 'x: expected date: "2024-02-30" is no date (as in 2024-05-01)'),
        ("20240201", DATE, 'x: expected date: "20240201" is no date'),
        (dt.datetime(2024, 1, 1), DATE, "x: expected date: 2024-01-01T00:00:00 has a time of day"),  # noqa: DTZ001
        (dt.datetime(2024, 1, 1), DATETIME, "x: expected datetime: 2024-01-01T00:00:00 has no time zone"),  # noqa: DTZ001
        (dt.date(2024, 1, 1), DATETIME, "x: expected datetime: 2024-01-01 has no time of day"),
        (dt.date(2024, 1, 1), STRING, "x: expected str: 2024-01-01 (date) is no text (put it in quotes)"),
        (
            "2024-01-01T00:00:00.1234567Z",
            DATETIME,
            'x: expected datetime: "2024-01-01T00:00:00.1234567Z" is more exact than a microsecond',
        ),
        (
            "P1M",
            DURATION,
            'x: expected timedelta: "P1M" is no ISO 8601 duration; years and months have no fixed',
        ),
        (
            "1:30",
            DURATION,
            'x: expected timedelta: "1:30" is no ISO 8601 duration (as in P1DT2H30M or PT0.5S)',
        ),
        ("P", DURATION, 'x: expected timedelta: "P" is no'),
        ("PT", DURATION, 'x: expected timedelta: "PT" is no'),
        (
            "P106751992D",
            DURATION,
            'x: expected timedelta: "P106751992D" has more microseconds than 64 bits hold',
        ),
        ("PT" + "9" * 5000 + "S", DURATION, "x: expected timedelta: "),
        ("a", BYTES, 'x: expected bytes: "a" is not base64 (as in "aGVsbG8=", which is b"hello")'),
        ("gren", COLOR, 'x: expected Color, got "gren" (str): did you mean "green"?'),
        (5, COLOR, 'x: expected Color, got 5 (int): it is one of "red" (str), "green" (str)'),
        (
            ["a"],
            literal_types.tuple_of(STRING, INT),
            "x: expected tuple[str, int], got an array of 1: it has 2",
        ),
        (["a", "b"], literal_types.tuple_of(STRING, INT), 'x[1]: expected int, got "b" (str)'),
        ({"a": 1, "b": "x"}, literal_types.dict_of(INT), 'x["b"]: expected int, got "x" (str)'),
        ({1: 1}, literal_types.dict_of(INT), "x: expected dict[str, int], got the key 1 (int): keys are str"),
        (
            "x",
            literal_types.custom("chemistry.Molecule", literal_types.list_of(INT)),
            'x: expected chemistry.Molecule, got "x" (str)',
        ),
        (
            {"uri": "s3://b/k"},
            literal_types.directory(),
            "x: expected Directory, got an object with `uri`: its bytes",
        ),
        ([[1]], literal_types.array(), "x: expected ndarray, got an array of 1: its bytes"),
        ("\ud800", STRING, "x: expected str: '\\ud800' has half a surrogate pair"),
        (
            ["a", "\ud800"],
            literal_types.list_of(STRING),
            "x[1]: expected str: '\\ud800' has half a surrogate pair",
        ),
        ({"\ud800": 1}, literal_types.dict_of(INT), "x: the key '\\ud800' has half a surrogate pair"),
        (
            2**63,
            literal_types.optional(INT),
            "x: expected int: 9223372036854775808 is outside the 64 bits of an int",
        ),
    ],
    ids=range(30),
)
def test_t2_what_does_not_fit_a_type_is_refused_with_what_was_meant(plain, target, message):
    assert refusal(plain, target).startswith(message)


def test_a_value_that_is_no_member_has_a_code_of_its_own():
    target = literal_types.record("Car", {"color": COLOR})
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json({"color": "gren"}, target, "inputs.car")
    assert (caught.value.code, caught.value.where) == ("IllegalEnumValue", "inputs.car.color")


def test_of_the_records_that_are_possible_the_one_that_fits_best_says_what_is_wrong():
    other = literal_types.record("Other", {"a": INT, "b": INT, "c": INT})
    assert refusal({"width": 1, "scale": "y"}, literal_types.union(other, LAYER)) == (
        'x.scale: expected float, got "y" (str)'
    )


def test_a_field_that_may_be_missing_stays_missing():
    target = literal_types.record("Options", {"a": INT, "b": INT}, optional=["b"])
    assert bits(read({"a": 1}, target)) == bits(literals.from_record({"a": literals.from_int(1)}))


@pytest.mark.parametrize("name", ["fields", "load", "_schema", "a.b", "", "Meta", "context"])
def test_a_field_may_have_any_name(name):
    target = literal_types.record("Odd", {name: INT})
    assert bits(read({name: 1}, target)) == bits(literals.from_record({name: literals.from_int(1)}))
    step = f".{name}" if name.isidentifier() else f'["{name}"]'
    assert refusal({name: "x"}, target) == f'x{step}: expected int, got "x" (str)'


def test_a_type_that_is_nested_too_deep_is_refused():
    deep = INT
    for _ in range(literal_types.MAX_DEPTH + 1):
        deep = literal_types.list_of(deep)
    assert "nested to 25 levels" in refusal([], deep)


def test_a_value_that_is_nested_as_deep_as_types_may_be_is_read():
    deep = literal_types.record("R", {"a": INT})
    value: dict[str, object] = {"a": 1}
    for _ in range((literal_types.MAX_DEPTH - 1) // 2):
        deep, value = literal_types.record("R", {"a": literal_types.optional(deep)}), {"a": value}
    assert literals.to_json(read(value, deep), deep) == value


def test_a_hundred_thousand_unknown_fields_are_an_error_of_bounded_size():
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json({f"f{i}": 1 for i in range(100_000)}, CONFIG, "x")
    assert len(caught.value.problems) == 100


# Sensitive values


SECRET = literal_types.sensitive(STRING)
VAULT = literal_types.record("Vault", {"user": STRING, "password": SECRET})


@pytest.mark.parametrize(
    ("value", "target", "plain"),
    [
        (literals.from_str("pw"), SECRET, "***"),
        (
            literals.from_record({"user": literals.from_str("me"), "password": literals.from_str("pw")}),
            VAULT,
            {"user": "me", "password": "***"},
        ),
        (literals.from_list(literals.strings(["pw", "pw"])), literal_types.list_of(SECRET), ["***", "***"]),
        (literals.from_dict({"a": literals.from_str("pw")}), literal_types.dict_of(SECRET), {"a": "***"}),
        (
            literals.from_dict({"pw": literals.from_str("pw")}),
            literal_types.sensitive(literal_types.dict_of(STRING)),
            "***",
        ),
        (
            Literal(union=Union(variant=0, value=literals.from_str("pw"))),
            literal_types.optional(SECRET),
            "***",
        ),
        (literals.from_str("pw"), literal_types.custom("x.Y", SECRET), "***"),
        (literals.from_str("pw"), VAULT, "***"),
        (literals.from_record({"other": literals.from_str("pw")}), VAULT, {"other": "***"}),
        (
            Literal(union=Union(variant=7, value=literals.from_str("pw"))),
            literal_types.optional(SECRET),
            "***",
        ),
        (literals.from_record({"password": literals.from_str("pw")}), literal_types.list_of(VAULT), "***"),
    ],
    ids=range(11),
)
def test_a_sensitive_value_is_not_shown_even_where_it_does_not_fit_its_type(value, target, plain):
    assert literals.to_json(value, target) == plain


def test_s3_what_is_taken_out_of_a_value_leaves_the_rest_as_it_was():
    user = literals.from_record({"user": literals.from_str("me"), "password": literals.from_str("pw")})
    of = literal_types.optional(literal_types.dict_of(literal_types.list_of(VAULT)))
    users = literals.from_dict({"a": literals.from_list(literals.pack([user, user]))})
    shown = literals.redacted(Literal(union=Union(variant=0, value=users)), of)
    assert b"pw" not in bits(shown)
    hidden = {"user": "me", "password": "***"}
    assert literals.to_json(shown) == literals.to_json(shown, of) == {"a": [hidden, hidden]}
    assert literals.redacted(user, CONFIG) is user


@pytest.mark.parametrize(
    "value",
    [literals.from_str("pw"), Literal(union=Union(variant=7, value=literals.from_str("pw"))), Literal()],
    ids=["str", "variant", "nothing"],
)
@pytest.mark.parametrize(
    "of", [VAULT, literal_types.list_of(VAULT), literal_types.optional(VAULT)], ids=literal_types.text
)
def test_s3_what_is_not_of_a_type_that_has_secrets_is_taken_out_whole(value, of):
    assert literals.redacted(value, of) == Literal()


@given(TYPES.flatmap(lambda t: st.tuples(st.just(t), values(t), st.randoms())))
def test_s3_a_value_is_shown_alike_with_and_without_what_was_taken_out(drawn):
    t, literal, random = drawn
    of = marked(t, random)
    shown = literals.redacted(literal, of)
    assert literals.to_json(shown, of) == literals.to_json(literal, of)
    assert literals.to_json(literals.redacted(shown, of), of) == literals.to_json(shown, of)


def marked(t: LiteralType, random) -> LiteralType:
    """The type with some of its parts Sensitive."""
    made = LiteralType()
    made.CopyFrom(t)
    todo = [made]
    while todo:
        part = todo.pop()
        part.sensitive = random.random() < 0.3
        todo += literal_types.children(part)
    return made


@pytest.mark.parametrize(
    ("plain", "target"),
    [
        (31337, SECRET),
        ("31337", literal_types.sensitive(INT)),
        ("31337", literal_types.sensitive(DATETIME)),
        ("31337", literal_types.optional(literal_types.sensitive(INT))),
        ({"user": "me", "password": 31337}, VAULT),
        ({"31337": 31337}, literal_types.sensitive(literal_types.dict_of(STRING))),
        ({"31337": 31337}, literal_types.sensitive(VAULT)),
        ({"user": 31337, "password": ""}, literal_types.sensitive(VAULT)),
        ([["31337"]], literal_types.sensitive(literal_types.list_of(literal_types.list_of(INT)))),
        ("31337", literal_types.sensitive(COLOR)),
        ("31337", literal_types.custom("x.Y", literal_types.sensitive(INT))),
        (["31337"], literal_types.sensitive(literal_types.tuple_of(INT))),
        ("31337", literal_types.list_of(literal_types.sensitive(INT))),
        ("31337", VAULT),
        ("31337", literal_types.union(literal_types.sensitive(INT), literal_types.BYTES)),
    ],
    ids=range(15),
)
def test_what_is_wrong_with_a_sensitive_value_is_said_without_it(plain, target):
    with pytest.raises(errors.ConversionError) as caught:
        literals.from_json(plain, target, "x")
    said = str(caught.value)
    assert "31337" not in said
    assert caught.value.__context__ is None
    assert "what came is Sensitive and not shown" in said


# Nothing is lost


def bits(literal: Literal) -> bytes:
    """Equality of messages says that a NaN differs from itself; their bytes do not."""
    return literal.SerializeToString(deterministic=True)


@given(TYPES.flatmap(lambda t: st.tuples(st.just(t), values(t))))
def test_t2_plain_json_is_read_as_the_same_value(pair: tuple[LiteralType, Literal]):
    t, literal = pair
    back = read(literals.to_json(literal, t), t)
    assert bits(back) == bits(literal)
    assert literals.misfit(back, t, "x") == ""


@given(
    TYPES.flatmap(lambda t: st.tuples(st.just(literal_types.list_of(t)), values(literal_types.list_of(t))))
)
def test_t6_a_list_from_json_is_packed_as_any_other(pair: tuple[LiteralType, Literal]):
    t, literal = pair
    back = read(literals.to_json(literal, t), t)
    elements = [*literals.elements(back.list)]
    assert bits(literals.from_list(literals.pack(elements))) == bits(back)


@given(TYPES.flatmap(lambda t: st.tuples(st.just(t), values(literal_types.sensitive(t)))))
def test_no_sensitive_value_is_ever_shown(pair: tuple[LiteralType, Literal]):
    t, literal = pair
    assert literals.to_json(literal, literal_types.sensitive(t)) == "***"


PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


@given(TYPES, PLAIN)
def test_any_value_is_either_of_the_type_or_refused_with_a_path(t: LiteralType, plain: object):
    problems: tuple[tuple[str, str], ...] = ()
    try:
        assert literals.misfit(literals.from_json(plain, t, "x"), t, "x") == ""
    except errors.ConversionError as error:
        problems = error.problems
    assert all(where.startswith("x") and message for where, message in problems)
