"""What may be given for what; and of what may not, why, where and what to do."""

import pytest

from typedflow import literal_types
from typedflow.literal_types import BOOL, BYTES, DATE, DATETIME, DECIMAL, DURATION, FLOAT, INT, NONE, STRING
from typedflow.pb.types_pb2 import Column, LiteralType

CONFIG = literal_types.record("Config", {"width": INT, "name": STRING})
TUMOURS = literal_types.frame(
    [Column(name="mean_radius", dtype="double"), Column(name="target", dtype="int64")]
)
RAW = literal_types.frame([Column(name="mean_radius", dtype="double")])
ANY_FRAME = literal_types.frame()
OWN_TARGET = literal_types.frame([Column(name="target", dtype="int64")], filtered=True)
EMPTY_LIST = literal_types.list_of(LiteralType())
EMPTY_DICT = literal_types.dict_of(LiteralType())
COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})
LEVEL = literal_types.enum("Level", {"LOW": 1, "HIGH": 2})
PAIR = literal_types.tuple_of(INT, STRING)
SECRET = literal_types.sensitive(STRING)
MOLECULE = literal_types.custom("chemistry.Molecule", STRING)
PARTIAL = literal_types.record("Partial", {"width": INT, "name": STRING}, optional=["name"])


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
    (EMPTY_DICT, literal_types.dict_of(CONFIG)),
    (literal_types.dict_of(INT), literal_types.dict_of(literal_types.optional(INT))),
    (literal_types.list_of(INT), literal_types.stream_of(literal_types.optional(INT))),
    (EMPTY_LIST, literal_types.stream_of(INT)),
    (literal_types.stream_of(CONFIG), literal_types.stream_of(CONFIG)),
    (PAIR, literal_types.tuple_of(INT, STRING)),
    (COLOR, literal_types.choice("green", "blue", "red")),
    (COLOR, STRING),
    (LEVEL, INT),
    (literal_types.choice(True), BOOL),
    (literal_types.choice(b"a"), BYTES),
    (COLOR, literal_types.optional(STRING)),
    (literal_types.choice("green"), literal_types.union(INT, COLOR)),
    (CONFIG, PARTIAL),
    (literal_types.record("Width", {"width": INT}), PARTIAL),
    (literal_types.directory("csv"), literal_types.directory()),
    (literal_types.array("float64", 2), literal_types.array("float64")),
    (literal_types.array("float64", 2), literal_types.array(dimensions=2)),
    (literal_types.array("float64", 2), literal_types.array()),
    (MOLECULE, literal_types.optional(MOLECULE)),
    (STRING, SECRET),
    (SECRET, literal_types.optional(SECRET)),
    (SECRET, literal_types.sensitive(literal_types.optional(STRING))),
    (
        literal_types.sensitive(literal_types.optional(STRING)),
        literal_types.sensitive(literal_types.optional(STRING)),
    ),
    (
        literal_types.sensitive(literal_types.union(STRING, INT)),
        literal_types.union(SECRET, literal_types.sensitive(INT)),
    ),
    (literal_types.list_of(SECRET), literal_types.sensitive(literal_types.list_of(STRING))),
    (literal_types.list_of(STRING), literal_types.list_of(SECRET)),
    (TUMOURS, RAW),
    (TUMOURS, ANY_FRAME),
    (TUMOURS, OWN_TARGET),
    (OWN_TARGET, literal_types.frame(OWN_TARGET.frame.columns, strict=True)),
    (OWN_TARGET, literal_types.frame([Column(name="target")])),
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
    (
        literal_types.optional(INT),
        INT,
        "it may be None, which int is not",
        "",
        "say `int | None` where it goes",
    ),
    (
        literal_types.union(INT, STRING),
        literal_types.optional(INT),
        "it may be str, which is none of int | None",
        "",
        "",
    ),
    (
        literal_types.optional(literal_types.record("Config", {"width": INT})),
        literal_types.optional(literal_types.record("Config", {"width": INT, "depth": INT})),
        "it may be Config: field `depth` is missing",
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
    (RAW, OWN_TARGET, "column `target` is missing", "", ""),
    (OWN_TARGET, TUMOURS, "column `mean_radius` is missing", "", ""),
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
    (BYTES, STRING, "bytes is not str", "", ""),
    (DATETIME, DATE, "datetime is not date", "", ""),
    (DURATION, INT, "timedelta is not int", "", ""),
    (FLOAT, DECIMAL, "float is not Decimal", "", ""),
    (STRING, COLOR, "str is not Color", "", "make the upstream give Color"),
    (COLOR, literal_types.choice("red"), "it may be 'green', which Literal['red'] is not", "", ""),
    (
        literal_types.choice(*range(20)),
        literal_types.choice(0),
        "it may be 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 9 more, which",
        "",
        "",
    ),
    (LEVEL, FLOAT, "its value 1 is not float", "", ""),
    (literal_types.choice(True), INT, "its value True is not int", "", ""),
    (literal_types.choice("a", 1), STRING, "its value 1 is not str", "", ""),
    (literal_types.dict_of(INT), literal_types.dict_of(STRING), "int is not str", "[]", ""),
    (literal_types.dict_of(INT), EMPTY_DICT, "int is not Never", "[]", ""),
    (literal_types.dict_of(INT), CONFIG, "dict[str, int] is not Config", "", ""),
    (PAIR, literal_types.tuple_of(INT), "it has 2 elements, not 1", "", ""),
    (literal_types.tuple_of(INT), PAIR, "it has 1 element, not 2", "", ""),
    (PAIR, literal_types.tuple_of(INT, INT), "it is str, not int", "[1]", ""),
    (
        PAIR,
        literal_types.tuple_of(literal_types.optional(INT), STRING),
        "it is int, not int | None",
        "[0]",
        "fields of records need equal types",
    ),
    (PAIR, CONFIG, "tuple[int, str] is a tuple, and Config has named fields", "", ""),
    (CONFIG, PAIR, "Config is no tuple, and tuple[int, str] is one", "", ""),
    (literal_types.list_of(INT), PAIR, "list[int] is not tuple[int, str]", "", ""),
    (PARTIAL, CONFIG, "it may be missing", ".name", "NotRequired"),
    (
        literal_types.directory(),
        literal_types.directory("csv"),
        "a directory of any format is",
        "",
        "Directory, Format",
    ),
    (literal_types.file(), literal_types.directory(), "File is not Directory", "", "give a Directory"),
    (
        literal_types.directory(),
        literal_types.file(),
        "Directory is not File",
        "",
        "make the input a Directory",
    ),
    (
        literal_types.array(),
        literal_types.array("int8"),
        "its element type is not known",
        "",
        "as ndarray[int8]",
    ),
    (
        literal_types.array("int8"),
        literal_types.array("int16"),
        "its elements are `int8`, not `int16`",
        "",
        "",
    ),
    (
        literal_types.array("int8"),
        literal_types.array("int8", 0),
        "how many axes it has is not known",
        "",
        "0d]",
    ),
    (literal_types.array("int8", 1), literal_types.array("int8", 2), "it has 1 axis, not 2", "", ""),
    (
        literal_types.stream_of(INT),
        literal_types.stream_of(literal_types.optional(INT)),
        "its elements are int, not int | None",
        "[]",
        "elements of iterators need equal types",
    ),
    (
        literal_types.stream_of(literal_types.list_of(INT)),
        literal_types.stream_of(literal_types.list_of(STRING)),
        "int is not str",
        "[][]",
        "",
    ),
    (
        literal_types.stream_of(INT),
        literal_types.list_of(INT),
        "Iterator[int] is not list[int]",
        "",
        "Iterator[int]",
    ),
    (MOLECULE, STRING, "chemistry.Molecule is not str", "", "make the input chemistry.Molecule"),
    (STRING, MOLECULE, "str is not chemistry.Molecule", "", ""),
    (MOLECULE, literal_types.custom("x.Y", STRING), "chemistry.Molecule is not x.Y", "", ""),
    (
        MOLECULE,
        literal_types.custom("chemistry.Molecule", BYTES),
        "its chemistry.Molecule travels as str, not as bytes",
        "",
        "same version",
    ),
    (SECRET, STRING, "it is sensitive, and str is not", "", "`Annotated[str, Sensitive]`"),
    (literal_types.list_of(SECRET), literal_types.list_of(STRING), "it is sensitive", "[]", "Sensitive"),
    (SECRET, literal_types.optional(STRING), "Sensitive[str] is none of str | None", "", "Sensitive"),
    (
        literal_types.sensitive(literal_types.optional(STRING)),
        literal_types.optional(SECRET),
        "it may be Sensitive[None], which is none of Sensitive[str] | None",
        "",
        "Sensitive",
    ),
    (
        literal_types.record("A", {"a": STRING}),
        literal_types.record("B", {"a": SECRET}),
        "it is str, not",
        ".a",
        "equal",
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


def test_assignability_is_not_transitive():
    wide = literal_types.record("Wide", {"a": INT, "b": INT})
    narrow = literal_types.record("Narrow", {"a": INT})
    other = literal_types.record("Other", {"a": INT, "b": STRING}, optional=["b"])
    assert literal_types.is_assignable(wide, narrow) is None
    assert literal_types.is_assignable(narrow, other) is None
    assert literal_types.is_assignable(wide, other) is not None
