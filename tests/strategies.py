"""Generated types, and generated values of them, for properties of whatever handles types and values.

`literal_types_strategy()` draws types of every kind, nested; `literals_of(t)` draws values of one; `wider(t)` draws
types that `t` is assignable to. Few names, formats and members are drawn from, so that what is drawn is alike in many
ways.
"""

import math
import struct
from collections.abc import Sequence

from hypothesis import strategies as st

from typedflow import literal_types, literals
from typedflow.pb.literals_pb2 import (
    Array,
    Blob,
    Datetime,
    Directory,
    File,
    Frame,
    Literal,
    Stream,
    Union,
)
from typedflow.pb.types_pb2 import Column, LiteralType

Types = st.SearchStrategy[LiteralType]

SIMPLE = [
    literal_types.NONE,
    literal_types.BOOL,
    literal_types.INT,
    literal_types.FLOAT,
    literal_types.STRING,
    literal_types.BYTES,
    literal_types.DATETIME,
    literal_types.DATE,
    literal_types.DURATION,
    literal_types.DECIMAL,
]
NAMES = ["a", "b", "c"]
FORMATS = ["", "csv", "json"]
NEVER = LiteralType()

# Types

simple: Types = st.sampled_from(SIMPLE)
VALUES: list[literal_types.EnumValue] = [
    "red",
    "green",
    "",
    0,
    1,
    True,
    False,
    1.0,
    -0.0,
    math.nan,
    b"red",
    b"",
]
members: st.SearchStrategy[list[literal_types.EnumValue]] = st.lists(
    st.sampled_from(VALUES),
    min_size=1,
    max_size=4,
    unique_by=literal_types.value_key,
)
choices: Types = members.map(lambda values: literal_types.choice(*values))
enums: Types = st.builds(
    lambda name, values: literal_types.enum(name, {f"M{i}": v for i, v in enumerate(values)}),
    st.sampled_from(["Color", "Other"]),
    members,
)
columns = st.lists(
    st.builds(
        Column,
        name=st.sampled_from(NAMES),
        dtype=st.sampled_from(["int64", "double", "string"]),
        nullable=st.booleans(),
        optional=st.booleans(),
    ),
    max_size=3,
    unique_by=lambda c: c.name,
)
frames: Types = st.one_of(
    st.builds(literal_types.frame, columns, st.booleans()),
    st.builds(literal_types.frame, columns.filter(bool), filtered=st.just(True)),
)
files: Types = st.sampled_from(FORMATS).map(literal_types.file)
directories: Types = st.sampled_from(FORMATS).map(literal_types.directory)
arrays: Types = st.builds(
    literal_types.array, st.sampled_from(["", "float64", "int32"]), st.sampled_from([None, 0, 2])
)
empties: Types = st.sampled_from([literal_types.list_of(NEVER), literal_types.dict_of(NEVER)])

PLAIN: Types = st.one_of(simple, enums, choices)
"""Types whose values are all in the literal."""

OUTSIDE: Types = st.one_of(files, directories, frames, arrays)
"""Types whose values are kept elsewhere."""


def unions(variants: Types) -> Types:
    apart = variants.filter(lambda t: not t.HasField("union"))
    several = st.lists(apart, min_size=2, max_size=3, unique_by=literal_types.structure)
    return several.map(lambda ts: literal_types.union(*ts))


def records(fields: Types) -> Types:
    named = st.dictionaries(st.sampled_from(NAMES), fields, max_size=3)
    return st.builds(
        lambda name, made, optional: literal_types.record(name, made, optional=optional),
        st.sampled_from(["", "Config", "Other"]),
        named,
        st.lists(st.sampled_from(NAMES), max_size=1),
    )


def tuples(elements: Types) -> Types:
    return st.lists(elements, max_size=3).map(lambda ts: literal_types.tuple_of(*ts))


def customs(representations: Types) -> Types:
    return st.builds(literal_types.custom, st.sampled_from(["chemistry.Molecule", "x.Y"]), representations)


def literal_types_strategy(
    leaves: Types | None = None, *, streams: bool = True, custom: bool = True, sensitive: bool = True
) -> Types:
    """Types of every kind over these leaves; without some kinds where they are not wanted."""

    def nested(inner: Types) -> Types:
        made = [
            inner.map(literal_types.list_of),
            inner.map(literal_types.dict_of),
            unions(inner),
            records(inner),
            tuples(inner),
        ]
        if streams:
            made.append(inner.map(literal_types.stream_of))
        if custom:
            made.append(customs(inner))
        if sensitive:
            made.append(inner.map(literal_types.sensitive))
        return st.one_of(made)

    return st.recursive(
        st.one_of(PLAIN, OUTSIDE, empties) if leaves is None else leaves, nested, max_leaves=6
    )


# Values. Small ones are drawn often, so that equal values are.

nans = st.sampled_from([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000]).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)
floats = st.one_of(st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf]), nans, st.floats(allow_nan=False))
ints = st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
strings = st.one_of(
    st.sampled_from(["", "a", "NaN", "ü", "red"]), st.text(st.characters(exclude_categories=["Cs"]))
)
decimals = st.one_of(
    st.sampled_from(["0", "-0", "1.0", "1.00", "1E+5", "0E-10", "NaN", "-sNaN123", "Infinity"]),
    st.decimals(allow_nan=False).map(str),
)
seconds = st.sampled_from([0, 1_700_000_000, -1])
moments = st.builds(
    Datetime,
    epoch_microseconds=st.one_of(seconds.map(lambda s: s * 10**6), st.integers(0, 2**50)),
    offset_seconds=st.sampled_from([0, 3600, -19800]),
    zone=st.sampled_from(["", "Europe/Berlin"]),
)
contents = st.sampled_from(["b3:" + "0" * 64, "b3:" + "1" * 64])
places = st.builds(
    Blob, uri=st.sampled_from(["file:///x", "s3://y"]), digest=contents, size=st.integers(0, 9)
)
SIMPLE_VALUES = {
    literal_types.NONE.simple: st.builds(literals.from_none),
    literal_types.BOOL.simple: st.booleans().map(literals.from_bool),
    literal_types.INT.simple: ints.map(literals.from_int),
    literal_types.FLOAT.simple: floats.map(literals.from_float),
    literal_types.STRING.simple: strings.map(literals.from_str),
    literal_types.BYTES.simple: st.one_of(st.just(b""), st.binary(max_size=9)).map(literals.from_bytes),
    literal_types.DATETIME.simple: moments.map(lambda at: Literal(datetime=at)),
    literal_types.DATE.simple: st.one_of(st.just(0), st.integers(-719162, 2932896)).map(
        lambda v: Literal(date=v)
    ),
    literal_types.DURATION.simple: ints.map(lambda v: Literal(duration=v)),
    literal_types.DECIMAL.simple: decimals.map(lambda v: Literal(decimal=v)),
}


@st.composite
def literals_of(draw: st.DrawFn, t: LiteralType) -> Literal:  # noqa: C901, PLR0911 - a case for each kind
    """Values of a type (not of `Never`, which has none), packed as they are wherever typedflow makes them."""
    match t.WhichOneof("type"):
        case "simple":
            return draw(SIMPLE_VALUES[t.simple])
        case "list":
            return literals.from_list(literals.pack(draw(several(t.list.element))))
        case "dict":
            values = draw(several(t.dict.value))
            keys = draw(st.permutations(["a", "b", "ü", ""]))
            return literals.from_dict(dict(zip(keys, values, strict=False)))
        case "union":
            place = draw(st.integers(0, len(t.union.variants) - 1))
            return Literal(union=Union(variant=place, value=draw(literals_of(t.union.variants[place]))))
        case "record":
            given = [f for f in t.record.fields if not f.optional or draw(st.booleans())]
            return literals.from_record({f.name: draw(literals_of(f.type)) for f in given})
        case "enum":
            return literals.from_member(literal_types.member_value(draw(st.sampled_from(t.enum.members))))
        case "custom":
            return draw(literals_of(t.custom.representation))
        case "stream" if draw(st.booleans()):
            return literals.from_list(literals.pack(draw(several(t.stream.element))))
        case "stream":
            return Literal(
                stream=Stream(content=draw(contents), blob=draw(places), length=draw(st.integers(0, 9)))
            )
        case "file":
            kind = t.file.format or draw(st.sampled_from(FORMATS))
            return Literal(file=File(content=draw(contents), blob=draw(places), format=kind))
        case "directory":
            kind = t.directory.format or draw(st.sampled_from(FORMATS))
            return Literal(directory=Directory(content=draw(contents), format=kind, name="data"))
        case "array":
            dtype = t.array.dtype or draw(st.sampled_from(["float64", "bool"]))
            axes = t.array.dimensions if t.array.HasField("dimensions") else draw(st.integers(0, 2))
            return Literal(
                array=Array(content=draw(contents), blob=draw(places), dtype=dtype, shape=[3] * axes)
            )
        case _:
            columns = [bytes([draw(st.integers(0, 3))]) * 32 for _ in t.frame.columns]
            content = literals.frame_content(0, [column.name for column in t.frame.columns], columns, b"")
            actual = literal_types.frame(t.frame.columns, strict=True).frame
            return Literal(
                frame=Frame(content=content, blob=draw(places), type=actual, column_contents=columns)
            )


def several(element: LiteralType) -> st.SearchStrategy[list[Literal]]:
    """Elements of a list; none where they are of `Never`."""
    return st.just([]) if element == NEVER else st.lists(literals_of(element), max_size=4)


def typed(types: Types) -> st.SearchStrategy[tuple[LiteralType, Literal]]:
    """Types, each with a value of it."""
    return types.flatmap(lambda t: st.tuples(st.just(t), literals_of(t)))


# Types that others are assignable to


@st.composite
def wider(draw: st.DrawFn, t: LiteralType) -> LiteralType:
    """A type that takes every value of `t`."""
    if t.sensitive:
        return literal_types.sensitive(draw(wider(literal_types.bare(t))))
    made = draw(_wider_of_its_kind(t))
    if draw(st.booleans()):
        made = literal_types.sensitive(made)
    more = draw(st.lists(st.one_of(PLAIN, OUTSIDE, PLAIN.map(literal_types.list_of)), max_size=2))
    apart = literal_types.variants(made) if made.HasField("union") else [made]
    variants = {literal_types.structure(v): v for v in draw(st.permutations([*apart, *more]))}
    return literal_types.union(*variants.values())


@st.composite
def _wider_of_its_kind(draw: st.DrawFn, t: LiteralType) -> LiteralType:
    match t.WhichOneof("type"):
        case "list":
            element = t.list.element if t.list.element == NEVER else draw(wider(t.list.element))
            return draw(st.sampled_from([literal_types.list_of, literal_types.stream_of]))(element)
        case "dict" if t.dict.value != NEVER:
            return literal_types.dict_of(draw(wider(t.dict.value)))
        case "record" if not t.record.positional:
            kept = draw(some(t.record.fields))
            optional = [f.name for f in kept if f.optional or draw(st.booleans())]
            fields = {f.name: f.type for f in kept}
            if draw(st.booleans()):
                fields["new"], optional = literal_types.INT, [*optional, "new"]
            return literal_types.record("Wider", fields, optional=optional)
        case "enum":
            values = list(map(literal_types.member_value, t.enum.members))
            by_key = {literal_types.value_key(v): v for v in [*draw(members), *values]}
            return literal_types.choice(*draw(st.permutations(list(by_key.values()))))
        case "file":
            return draw(st.sampled_from([t, literal_types.file()]))
        case "directory":
            return draw(st.sampled_from([t, literal_types.directory()]))
        case "array":
            return draw(st.sampled_from([t, literal_types.array(t.array.dtype), literal_types.array()]))
        case "frame" if not t.frame.strict and t.frame.columns:
            kept = draw(some(t.frame.columns))
            return literal_types.frame(kept, filtered=bool(kept) and draw(st.booleans()))
        case _:
            return t


def some(of: Sequence[object]) -> st.SearchStrategy[list]:
    """Some of these, in any order."""
    return st.permutations(of).flatmap(
        lambda every: st.integers(0, len(every)).map(lambda n: list(every[:n]))
    )
