"""Types: how they are built, printed and told apart, and where a path into one leads."""

import math

import pytest

from typedflow import errors, literal_types
from typedflow.literal_types import BOOL, BYTES, DATE, DATETIME, DECIMAL, DURATION, FLOAT, INT, NONE, STRING
from typedflow.pb.types_pb2 import Column, EnumMember, EnumType, FrameSchema, LiteralType
from typedflow.pb.workflows_pb2 import PathStep

CONFIG = literal_types.record("Config", {"width": INT, "name": STRING})
TUMOURS = literal_types.frame(
    [Column(name="mean_radius", dtype="double"), Column(name="target", dtype="int64")]
)
ANY_FRAME = literal_types.frame()
EMPTY_LIST = literal_types.list_of(LiteralType())
COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})
PAIR = literal_types.tuple_of(INT, STRING)
SECRET = literal_types.sensitive(STRING)


PRINTED = [
    (INT, "int"),
    (NONE, "None"),
    (DATETIME, "datetime"),
    (literal_types.list_of(FLOAT), "list[float]"),
    (literal_types.optional(INT), "int | None"),
    (literal_types.list_of(literal_types.optional(STRING)), "list[str | None]"),
    (literal_types.union(INT, literal_types.list_of(BOOL)), "int | list[bool]"),
    (TUMOURS, "dataframe[mean_radius: float, target: int]"),
    (ANY_FRAME, "dataframe"),
    (literal_types.frame(strict=True), "strict dataframe[]"),
    (
        literal_types.frame(
            [
                Column(name="when", dtype="timestamp[us, tz=UTC]", nullable=True),
                Column(name="label", dtype="string", optional=True),
                Column(name="rest"),
            ]
        ),
        "dataframe[when: timestamp[us, tz=UTC] | None, label?: str, rest: Any]",
    ),
    (literal_types.file(), "File"),
    (literal_types.file("csv"), "File[csv]"),
    (CONFIG, "Config"),
    (literal_types.record("", {"a": INT, "b": CONFIG}), "record{a: int, b: Config}"),
    (EMPTY_LIST, "list[Never]"),
    (BYTES, "bytes"),
    (DATE, "date"),
    (DURATION, "timedelta"),
    (DECIMAL, "Decimal"),
    (literal_types.dict_of(literal_types.list_of(INT)), "dict[str, list[int]]"),
    (PAIR, "tuple[int, str]"),
    (literal_types.tuple_of(), "tuple[()]"),
    (literal_types.record("", {"a": INT, "b": INT}, optional=["b"]), "record{a: int, b?: int}"),
    (COLOR, "Color"),
    (literal_types.choice("a", 1, True, b"x"), "Literal['a', 1, True, b'x']"),
    (LiteralType(enum=EnumType(members=[EnumMember()])), "Literal[?]"),
    (literal_types.directory(), "Directory"),
    (literal_types.directory("csv"), "Directory[csv]"),
    (literal_types.array(), "ndarray"),
    (literal_types.array("float64"), "ndarray[float64]"),
    (literal_types.array("float64", 2), "ndarray[float64, 2d]"),
    (literal_types.array(dimensions=0), "ndarray[0d]"),
    (literal_types.stream_of(INT), "Iterator[int]"),
    (literal_types.custom("chemistry.Molecule", STRING), "chemistry.Molecule"),
    (SECRET, "Sensitive[str]"),
    (
        literal_types.list_of(literal_types.sensitive(literal_types.optional(STRING))),
        "list[Sensitive[str | None]]",
    ),
]


@pytest.mark.parametrize(("t", "printed"), PRINTED, ids=[printed for _, printed in PRINTED])
def test_types_print_as_python_does(t: LiteralType, printed: str):
    assert literal_types.text(t) == printed


def test_optional_of_an_optional_is_the_same_type():
    once = literal_types.optional(INT)
    assert literal_types.optional(once) is once
    assert literal_types.optional(NONE) is NONE


def test_unions_in_a_union_are_taken_apart():
    made = literal_types.union(literal_types.optional(INT), STRING)
    assert literal_types.text(made) == "int | None | str"


def test_t4_only_a_repeated_variant_is_an_error():
    alike = literal_types.record("Other", {"width": INT, "name": STRING})
    with pytest.raises(errors.DefinitionError, match="`Config` and `Other` have the same structure"):
        literal_types.union(CONFIG, alike)
    with pytest.raises(errors.DefinitionError):
        literal_types.union(INT, STRING, INT)
    literal_types.union(literal_types.list_of(INT), literal_types.list_of(FLOAT))


def test_equality_is_of_structure_only():
    renamed = literal_types.record("Other", {"width": INT, "name": STRING}, defaults=["width"])
    assert literal_types.equal(CONFIG, renamed)
    assert not literal_types.equal(CONFIG, literal_types.record("Config", {"name": STRING, "width": INT}))
    assert not literal_types.equal(literal_types.union(INT, STRING), literal_types.union(STRING, INT))
    named = literal_types.frame(TUMOURS.frame.columns, schema=FrameSchema(name="Tumours"))
    checked = literal_types.frame(TUMOURS.frame.columns, schema=FrameSchema(name="Tumours", digest="b3:1"))
    assert literal_types.equal(TUMOURS, named)
    assert not literal_types.equal(TUMOURS, checked)


def test_depth_counts_lists_unions_and_records():
    assert literal_types.depth(INT) == 0
    assert literal_types.depth(TUMOURS) == 0
    assert literal_types.depth(literal_types.list_of(literal_types.optional(CONFIG))) == 3


def test_the_depth_of_a_type_that_is_nested_thousands_of_levels_deep_can_be_told():
    t = LiteralType()
    innermost = t
    for _ in range(5_000):
        innermost = innermost.list.element
    innermost.CopyFrom(INT)
    assert literal_types.depth(t) == 5_000


# Telling apart


APART = [
    INT,
    SECRET,
    STRING,
    literal_types.list_of(INT),
    literal_types.dict_of(INT),
    literal_types.stream_of(INT),
    literal_types.tuple_of(INT),
    literal_types.tuple_of(INT, INT),
    literal_types.record("", {"0": INT}),
    literal_types.record("", {"0": INT}, optional=["0"]),
    literal_types.file(),
    literal_types.directory(),
    literal_types.directory("csv"),
    literal_types.array(),
    literal_types.array(dimensions=0),
    literal_types.array("int8"),
    literal_types.choice("1"),
    literal_types.choice(1),
    literal_types.choice(True),
    literal_types.choice(1.0),
    literal_types.choice(0.0),
    literal_types.choice(-0.0),
    literal_types.choice(b"1"),
    literal_types.choice(1, True, 1.0),
    literal_types.custom("a.B", INT),
    literal_types.custom("a.C", INT),
    literal_types.custom("a.B", STRING),
]


def test_types_that_differ_in_anything_that_matters_are_different():
    assert len({literal_types.structure(t) for t in APART}) == len(APART)
    assert not any(literal_types.equal(a, b) for i, a in enumerate(APART) for b in APART[:i])


def test_names_and_the_order_of_an_enums_members_do_not_matter():
    other = literal_types.enum("Colour", {"VERDE": "green", "ROJO": "red"})
    assert literal_types.equal(COLOR, other)
    assert literal_types.equal(COLOR, literal_types.choice("green", "red"))
    nan = literal_types.choice(math.nan)
    assert literal_types.structure(nan) == literal_types.structure(literal_types.choice(float("nan")))


# Building


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "a Literal has no values"),
        (["a", "b", "a"], "a Literal has the value 'a' twice"),
        ([math.nan, math.nan], "has the value nan twice"),
        ([2**63], "the value of 9223372036854775808 is outside 64 bits"),
        (["a\ud800"], "has half a surrogate pair"),
        ([(1, 2)], "the value of (1, 2) is a tuple"),
        ([None], "the value of None is a NoneType"),
    ],
    ids=["none", "twice", "NaN twice", "large", "surrogate", "tuple", "None"],
)
def test_an_enum_of_values_that_can_not_travel_is_refused(values: list, message: str):
    with pytest.raises(errors.DefinitionError) as caught:
        literal_types.choice(*values)
    assert message in caught.value.message
    assert caught.value.code == "UnsupportedType"


def test_an_enums_member_is_named_where_its_value_can_not_travel():
    with pytest.raises(errors.DefinitionError, match=r"the value of `Flags.ALL` is a set"):
        literal_types.enum("Flags", {"NONE": 0, "ALL": {1}})  # type: ignore[dict-item]


def test_true_and_1_and_1_0_are_three_values_of_an_enum():
    made = literal_types.choice(True, 1, 1.0)
    values = [literal_types.member_value(m) for m in made.enum.members]
    assert [(type(v), v) for v in values] == [(bool, True), (int, 1), (float, 1.0)]


def test_the_value_of_a_member_that_has_none_is_refused():
    with pytest.raises(errors.DefinitionError, match="member `A` has no value"):
        literal_types.member_value(EnumMember(name="A"))


def test_an_array_of_no_axes_is_not_one_of_any():
    assert literal_types.array(dimensions=0).array.HasField("dimensions")
    assert not literal_types.array().array.HasField("dimensions")


# The mark


def test_the_mark_is_put_on_and_taken_off_without_touching_the_type_it_was_made_from():
    assert literal_types.sensitive(SECRET) is SECRET
    assert literal_types.plain(STRING) is STRING
    assert literal_types.plain(SECRET) == STRING
    assert not STRING.sensitive
    inside = literal_types.list_of(SECRET)
    assert literal_types.plain(literal_types.sensitive(inside)) == inside
    assert literal_types.bare(literal_types.sensitive(inside)) == literal_types.list_of(STRING)
    assert inside.list.element.sensitive
    assert literal_types.has_sensitive(inside)
    assert not literal_types.has_sensitive(literal_types.list_of(STRING))


def test_the_variants_of_a_sensitive_union_are_sensitive():
    marked = literal_types.sensitive(literal_types.optional(STRING))
    assert [literal_types.text(v) for v in literal_types.variants(marked)] == [
        "Sensitive[str]",
        "Sensitive[None]",
    ]
    made = literal_types.union(marked, INT)
    assert literal_types.text(made) == "Sensitive[str] | Sensitive[None] | int"
    assert literal_types.optional(made) is made


# Parts


NESTED = literal_types.record(
    "Nested", {"pairs": literal_types.list_of(PAIR), "by_name": literal_types.dict_of(CONFIG)}
)


@pytest.mark.parametrize(
    ("t", "step", "found"),
    [
        (NESTED, PathStep(field="by_name"), "dict[str, Config]"),
        (NESTED, PathStep(field="by_names"), None),
        (NESTED, PathStep(index=0), None),
        (NESTED, PathStep(key="pairs"), None),
        (literal_types.list_of(INT), PathStep(index=-7), "int"),
        (literal_types.list_of(INT), PathStep(key="a"), None),
        (literal_types.dict_of(INT), PathStep(key="a"), "int"),
        (literal_types.dict_of(INT), PathStep(field="a"), None),
        (PAIR, PathStep(index=1), "str"),
        (PAIR, PathStep(index=-2), "int"),
        (PAIR, PathStep(index=2), None),
        (PAIR, PathStep(index=-3), None),
        (literal_types.stream_of(INT), PathStep(index=0), None),
        (literal_types.optional(literal_types.list_of(INT)), PathStep(index=0), None),
        (literal_types.custom("a.B", literal_types.list_of(INT)), PathStep(index=0), None),
        (INT, PathStep(field="real"), None),
        (literal_types.list_of(INT), PathStep(), None),
        (literal_types.sensitive(PAIR), PathStep(index=0), "Sensitive[int]"),
    ],
    ids=range(18),
)
def test_a_step_into_a_type_leads_to_a_part_or_nowhere(t: LiteralType, step: PathStep, found: str | None):
    there = literal_types.at(t, step)
    assert (literal_types.text(there) if there else None) == found


def test_every_kind_of_container_has_its_parts():
    containers = [
        literal_types.list_of(INT),
        literal_types.dict_of(INT),
        literal_types.stream_of(INT),
        literal_types.custom("a.B", INT),
        literal_types.tuple_of(INT),
        literal_types.record("", {"a": INT}),
    ]
    for t in containers:
        assert literal_types.children(t) == [INT]
        assert literal_types.depth(t) == 1
    assert literal_types.children(literal_types.optional(INT)) == [INT, NONE]
    assert literal_types.children(COLOR) == []
