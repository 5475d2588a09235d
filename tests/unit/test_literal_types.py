"""Types: how they print, when they are equal, and what may be given for what."""

import pytest

from typedflow import errors, literal_types
from typedflow.literal_types import BOOL, DATETIME, FLOAT, INT, NONE, STRING
from typedflow.pb.types_pb2 import Column, FrameSchema, LiteralType

CONFIG = literal_types.record("Config", {"width": INT, "name": STRING})
TUMOURS = literal_types.frame(
    [Column(name="mean_radius", dtype="double"), Column(name="target", dtype="int64")]
)
RAW = literal_types.frame([Column(name="mean_radius", dtype="double")])
ANY_FRAME = literal_types.frame()
EMPTY_LIST = literal_types.list_of(LiteralType())


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


ACCEPTED = [
    (INT, literal_types.optional(INT)),
    (NONE, literal_types.optional(INT)),
    (literal_types.optional(INT), literal_types.union(STRING, NONE, INT)),
    (literal_types.union(literal_types.file("csv"), literal_types.file("json")), literal_types.file()),
    (literal_types.list_of(INT), literal_types.list_of(literal_types.optional(INT))),
    (EMPTY_LIST, literal_types.list_of(CONFIG)),
    (EMPTY_LIST, literal_types.optional(literal_types.list_of(INT))),
    (CONFIG, literal_types.record("Narrow", {"name": STRING})),
    (literal_types.file("csv"), literal_types.file()),
    (TUMOURS, RAW),
    (TUMOURS, ANY_FRAME),
    (TUMOURS, literal_types.frame([Column(name="target")])),
    (RAW, literal_types.frame([*RAW.frame.columns, Column(name="weight", dtype="double", optional=True)])),
    (
        literal_types.frame([Column(name="target", dtype="int64")], strict=True),
        literal_types.frame([Column(name="target", dtype="int64", nullable=True)], strict=True),
    ),
]


def between(*case: object) -> str:
    return " to ".join(literal_types.text(t) for t in case if isinstance(t, LiteralType))


@pytest.mark.parametrize(("source", "target"), ACCEPTED, ids=[between(*case) for case in ACCEPTED])
def test_t5_accepts(source: LiteralType, target: LiteralType):
    assert literal_types.is_assignable(source, target) is None


REFUSED = [
    (INT, FLOAT, "int is not float", "", "only a constant int"),
    (BOOL, INT, "bool is not int", "", ""),
    (STRING, DATETIME, "str is not datetime", "", ""),
    (literal_types.optional(INT), INT, "it may be None, which int is not", "", "make the input `int | None`"),
    (
        literal_types.union(INT, STRING),
        literal_types.optional(INT),
        "it may be str, which is none of int | None",
        "",
        "",
    ),
    (INT, literal_types.list_of(INT), "int is not list[int]", "", "put it in a list"),
    (
        literal_types.list_of(INT),
        literal_types.list_of(FLOAT),
        "int is not float",
        "[]",
        "only a constant int",
    ),
    (literal_types.list_of(INT), EMPTY_LIST, "int is not Never", "[]", ""),
    (LiteralType(), INT, "Never is not int", "", ""),
    (RAW, TUMOURS, "column `target` is missing", "", ""),
    (ANY_FRAME, TUMOURS, "its columns are not known", "", "annotate the upstream as dataframe[mean_radius"),
    (
        RAW,
        literal_types.frame([Column(name="a", dtype="double"), Column(name="mean_radios", dtype="double")]),
        "columns `a`, `mean_radios` are missing",
        "",
        "did you mean `mean_radius` for `mean_radios`?",
    ),
    (
        literal_types.frame([Column(name="mean_radius", dtype="string", nullable=True)]),
        TUMOURS,
        "column `target` is missing; column `mean_radius` is str, not float",
        "",
        "",
    ),
    (
        literal_types.frame([Column(name="a", dtype="int64", nullable=True)]),
        literal_types.frame([Column(name="a", dtype="int64")]),
        "column `a` may have nulls",
        "",
        "",
    ),
    (
        literal_types.frame([Column(name="a", dtype="int64", optional=True)]),
        literal_types.frame([Column(name="a", dtype="int64")]),
        "column `a` may be missing",
        "",
        "",
    ),
    (
        TUMOURS,
        literal_types.frame(RAW.frame.columns, strict=True),
        "column `target` must not be there",
        "",
        "",
    ),
    (
        RAW,
        literal_types.frame(RAW.frame.columns, strict=True),
        "it may have further columns, which a strict schema refuses",
        "",
        "make the upstream's schema strict too",
    ),
    (
        literal_types.file("csv"),
        literal_types.file("json"),
        "a file of format `csv` is not one of format `json`",
        "",
        "",
    ),
    (literal_types.file(), literal_types.file("csv"), "a file of any format is not", "", 'Format("csv")'),
    (
        literal_types.record("Short", {"nam": STRING}),
        CONFIG,
        "fields `width`, `name` are missing",
        "",
        "`nam` for `name`",
    ),
    (
        literal_types.record("N", {"width": FLOAT, "name": STRING}),
        CONFIG,
        "it is float, not int",
        ".width",
        "",
    ),
    (
        literal_types.record("N", {"width": INT}),
        literal_types.record("M", {"width": literal_types.optional(INT)}),
        "it is int, not int | None",
        ".width",
        "fields of records need equal types",
    ),
    (
        literal_types.list_of(
            literal_types.record("A", {"layers": literal_types.list_of(literal_types.file("csv"))})
        ),
        literal_types.list_of(
            literal_types.record("B", {"layers": literal_types.list_of(literal_types.file("json"))})
        ),
        "a file of format `csv` is not one of format `json`",
        "[].layers[]",
        "",
    ),
    (
        literal_types.list_of(INT),
        literal_types.optional(literal_types.list_of(STRING)),
        "int is not str",
        "[]",
        "",
    ),
]


@pytest.mark.parametrize(
    ("source", "target", "reason", "path", "hint"), REFUSED, ids=[between(*case) for case in REFUSED]
)
def test_t5_a_refusal_says_why_where_and_what_to_do(
    source: LiteralType, target: LiteralType, reason: str, path: str, hint: str
):
    mismatch = literal_types.is_assignable(source, target)
    assert mismatch is not None
    assert mismatch.reason.startswith(reason)
    assert mismatch.path == path
    assert hint in mismatch.hint
    assert bool(mismatch.hint) == bool(hint)


def test_a_refusal_of_wide_frames_is_of_bounded_size():
    wide = literal_types.frame([Column(name=f"column_{i}", dtype="int64") for i in range(2_000)])
    other = literal_types.frame(
        [Column(name=f"kolumn_{i}", dtype="int64") for i in range(2_000)], strict=True
    )
    clashing = literal_types.frame([Column(name=f"column_{i}", dtype="double") for i in range(2_000)])
    for mismatch in (literal_types.is_assignable(wide, other), literal_types.is_assignable(wide, clashing)):
        assert mismatch is not None
        assert "and 1990 more" in mismatch.reason
        assert len(mismatch.reason) + len(mismatch.hint) < 1_000


def test_a_value_takes_the_equal_variant_before_the_first_that_accepts_it():
    target = literal_types.union(literal_types.file(), literal_types.file("csv"), literal_types.file("json"))
    assert literal_types.variant_for(literal_types.file("json"), target.union) == 2
    assert literal_types.variant_for(literal_types.file("txt"), target.union) == 0
    assert literal_types.variant_for(INT, target.union) is None


def test_unions_nested_to_the_limit_are_compared_in_linear_steps():
    def nested(innermost: LiteralType) -> LiteralType:
        t = innermost
        for _ in range(literal_types.MAX_DEPTH):
            t = literal_types.union(
                literal_types.list_of(t), literal_types.list_of(STRING), literal_types.list_of(BOOL)
            )
        return t

    assert literal_types.is_assignable(nested(INT), nested(literal_types.optional(INT))) is None
    assert literal_types.is_assignable(nested(literal_types.optional(INT)), nested(INT)) is not None
