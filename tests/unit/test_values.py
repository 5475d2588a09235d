"""Properties of types, values and digests, over generated ones.

`meaning` and `naive_digest` say a second time, in the plainest way, when two values are equal and what
docs/hashing.md says.
"""

import json
import math
import struct

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from typedflow import hashing, literal_types, literals
from typedflow.pb.literals_pb2 import (
    Blob,
    Datetime,
    FieldValue,
    File,
    Frame,
    List,
    Literal,
    Literals,
    Offloaded,
    Record,
    Union,
)
from typedflow.pb.types_pb2 import Column, LiteralType

# Types. Few names and formats, so that generated types are alike in many ways.

SIMPLE = [
    literal_types.NONE,
    literal_types.BOOL,
    literal_types.INT,
    literal_types.FLOAT,
    literal_types.STRING,
    literal_types.DATETIME,
]
NAMES = ["a", "b", "c"]
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
frames = st.builds(literal_types.frame, columns, st.booleans())
files = st.sampled_from(["", "csv", "json"]).map(literal_types.file)


def unions(variants: st.SearchStrategy[LiteralType]) -> st.SearchStrategy[LiteralType]:
    apart = variants.filter(lambda t: not t.HasField("union"))
    several = st.lists(apart, min_size=2, max_size=3, unique_by=literal_types.structure)
    return several.map(lambda ts: literal_types.union(*ts))


def records(fields: st.SearchStrategy[LiteralType]) -> st.SearchStrategy[LiteralType]:
    named = st.dictionaries(st.sampled_from(NAMES), fields, max_size=3)
    return st.builds(literal_types.record, st.sampled_from(["", "Config", "Other"]), named)


def nested(leaves: st.SearchStrategy[LiteralType]) -> st.SearchStrategy[LiteralType]:
    return st.recursive(
        leaves, lambda t: st.one_of(t.map(literal_types.list_of), unions(t), records(t)), max_leaves=6
    )


types = nested(st.one_of(st.sampled_from(SIMPLE), files, frames))
plain_types = nested(st.sampled_from(SIMPLE))


# Values. Small ones are drawn often, so that equal values are.

nans = st.sampled_from([0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000]).map(
    lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0]
)
floats = st.one_of(st.sampled_from([0.0, -0.0, 1.0, math.inf, -math.inf]), nans, st.floats(allow_nan=False))
ints = st.one_of(st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
strings = st.one_of(st.sampled_from(["", "a", "NaN", "ü"]), st.text(st.characters(exclude_categories=["Cs"])))
offsets = st.sampled_from([0, 3600, -19800])
seconds = st.sampled_from([0, 1_700_000_000, -1])
moments = st.builds(
    Datetime,
    epoch_microseconds=st.one_of(seconds.map(lambda s: s * 10**6), st.integers(0, 2**50)),
    offset_seconds=offsets,
)
contents = st.sampled_from(["b3:" + "0" * 64, "b3:" + "1" * 64])
places = st.builds(
    Blob, uri=st.sampled_from(["file:///x", "s3://y"]), digest=contents, size=st.integers(0, 9)
)


@st.composite
def values(draw: st.DrawFn, t: LiteralType) -> Literal:
    match t.WhichOneof("type"):
        case "simple":
            return draw(SIMPLE_VALUES[t.simple])
        case "list":
            return literals.from_list(literals.pack(draw(st.lists(values(t.list.element), max_size=4))))
        case "union":
            place = draw(st.integers(0, len(t.union.variants) - 1))
            return Literal(union=Union(variant=place, value=draw(values(t.union.variants[place]))))
        case "record":
            return literals.from_record({f.name: draw(values(f.type)) for f in t.record.fields})
        case "file":
            kind = t.file.format or draw(st.sampled_from(["", "csv"]))
            return Literal(file=File(content=draw(contents), blob=draw(places), format=kind))
        case _:
            return Literal(frame=Frame(content=draw(contents), blob=draw(places), type=t.frame))


SIMPLE_VALUES = {
    literal_types.NONE.simple: st.builds(literals.from_none),
    literal_types.BOOL.simple: st.booleans().map(literals.from_bool),
    literal_types.INT.simple: ints.map(literals.from_int),
    literal_types.FLOAT.simple: floats.map(literals.from_float),
    literal_types.STRING.simple: strings.map(literals.from_str),
    literal_types.DATETIME.simple: moments.map(lambda at: Literal(datetime=at)),
}
typed = types.flatmap(lambda t: st.tuples(st.just(t), values(t)))


def bits(literal: Literal | List) -> bytes:
    """Equality of messages says that a NaN differs from itself; their bytes do not."""
    return literal.SerializeToString(deterministic=True)


def meaning(literal: Literal) -> object:
    match literal.WhichOneof("value"):
        case "list":
            return ("list", *map(meaning, literals.elements(literal.list)))
        case "record":
            return ("record", *((f.name, meaning(f.value)) for f in literal.record.fields))
        case "union":
            return ("union", literal.union.variant, meaning(literal.union.value))
        case "float":
            nan = math.isnan(literal.float)
            return ("float", "nan" if nan else struct.pack("<d", literal.float))
        case "file":
            return ("file", literal.file.content)
        case "frame":
            return ("frame", literal.frame.content)
        case kind:
            return (kind, bits(literal))


def naive_digest(v: Literal) -> bytes:  # noqa: C901 - the document's table
    def text(s: str) -> bytes:
        return struct.pack("<Q", len(s.encode())) + s.encode()

    def part(v: Literal) -> bytes:
        kind = v.WhichOneof("value")
        if kind == "string" and len(v.string.encode()) <= 65_536:
            return b"s" + text(v.string)
        if kind in ("none", "boolean", "integer", "float", "datetime"):
            return whole(v)
        if kind == "union" and not part(v.union.value).startswith(b"#"):
            return whole(v)
        return b"#" + naive_digest(v)

    def whole(v: Literal) -> bytes:
        match v.WhichOneof("value"):
            case "none":
                return b"n"
            case "boolean":
                return b"b" + bytes([v.boolean])
            case "integer":
                return b"i" + struct.pack("<q", v.integer)
            case "float":
                return b"f" + struct.pack("<d", math.nan if math.isnan(v.float) else v.float)
            case "datetime":
                at = v.datetime
                return b"d" + struct.pack("<qi", at.epoch_microseconds, at.offset_seconds) + text(at.zone)
            case "string":
                return b"s" + v.string.encode()
            case "list":
                parts = [part(e) for e in literals.elements(v.list)]
                return b"l" + struct.pack("<Q", len(parts)) + b"".join(parts)
            case "record":
                parts = [text(f.name) + part(f.value) for f in v.record.fields]
                return b"r" + struct.pack("<Q", len(parts)) + b"".join(parts)
            case "union":
                return b"u" + struct.pack("<I", v.union.variant) + part(v.union.value)
            case "file":
                return b"F" + v.file.content.encode()
            case _:
                return b"T" + v.frame.content.encode()

    if v.HasField("offloaded"):
        return bytes.fromhex(v.offloaded.content.removeprefix("b3:"))
    return blake3(b"typedflow.literal.1\0" + whole(v)).digest()


# Lists


@given(st.lists(typed.map(lambda pair: pair[1]), max_size=6))
def test_t6_the_elements_of_a_packed_list_are_what_was_packed(elements: list[Literal]):
    packed = literals.pack(elements)
    assert literals.length(packed) == len(elements)
    assert [bits(e) for e in literals.elements(packed)] == [bits(e) for e in elements]
    for i in range(-len(elements), len(elements)):
        assert bits(literals.element(packed, i)) == bits(elements[i])


@given(types.flatmap(lambda t: st.lists(st.lists(values(t), max_size=4), max_size=4)))
def test_t6_lists_of_lists_are_split_where_they_were_joined(pieces: list[list[Literal]]):
    packed = [literals.pack(piece) for piece in pieces]
    joined = literals.join(packed)
    assert [bits(e.list) for e in literals.elements(joined)] == [bits(piece) for piece in packed]
    whole = literals.pack([e for piece in pieces for e in piece])
    assert [bits(piece) for piece in literals.split(whole, map(len, pieces))] == [bits(p) for p in packed]


columnar = st.recursive(
    st.sampled_from(SIMPLE), lambda t: st.one_of(t.map(literal_types.list_of), records(t)), max_leaves=4
)


@given(columnar.flatmap(lambda t: st.lists(values(literal_types.list_of(t)), min_size=1, max_size=4)))
def test_t6_packing_does_not_depend_on_how_the_elements_were_packed(elements: list[Literal]):
    assert bits(literals.pack([unpacked(e) for e in elements])) == bits(literals.pack(elements))


def unpacked(literal: Literal) -> Literal:
    """The same value with every list in it as single literals."""
    match literal.WhichOneof("value"):
        case "list":
            return Literal(
                list=List(literals=Literals(values=map(unpacked, literals.elements(literal.list))))
            )
        case "record":
            fields = [FieldValue(name=f.name, value=unpacked(f.value)) for f in literal.record.fields]
            return Literal(record=Record(fields=fields))
        case "union":
            return Literal(union=Union(variant=literal.union.variant, value=unpacked(literal.union.value)))
        case _:
            return literal


# Digests


def is_of(literal: Literal, t: LiteralType) -> bool:
    """Whether a value is of a type, element by element."""
    match t.WhichOneof("type"):
        case "simple":
            return (
                literal.WhichOneof("value")
                == (["none", "boolean", "integer", "float", "string", "datetime"][t.simple - 1])
            )
        case "list":
            return literal.HasField("list") and all(
                is_of(each, t.list.element) for each in literals.elements(literal.list)
            )
        case "union":
            return (
                literal.HasField("union")
                and literal.union.variant < len(t.union.variants)
                and is_of(literal.union.value, t.union.variants[literal.union.variant])
            )
        case "record":
            return (
                literal.HasField("record")
                and [f.name for f in literal.record.fields] == [f.name for f in t.record.fields]
                and all(
                    is_of(f.value, declared.type)
                    for f, declared in zip(literal.record.fields, t.record.fields, strict=True)
                )
            )
        case "file":
            return literal.HasField("file") and t.file.format in ("", literal.file.format)
        case _:
            return literal.HasField("frame")


@given(typed, types)
def test_s5_a_value_is_of_a_type_when_each_of_its_parts_is(
    pair: tuple[LiteralType, Literal], other: LiteralType
):
    t, value = pair
    assert literals.misfit(value, t, "x") == literals.misfit(unpacked(value), t, "x") == ""
    assert (not literals.misfit(value, other, "x")) == is_of(value, other)
    assert (not literals.misfit(unpacked(value), other, "x")) == is_of(value, other)


@given(typed)
def test_a_digest_is_what_the_document_says(pair: tuple[LiteralType, Literal]):
    assert hashing.of_literal(pair[1]) == "b3:" + naive_digest(pair[1]).hex()


@given(types.flatmap(lambda t: st.tuples(values(t), values(t))))
def test_c3_digests_are_equal_exactly_when_the_values_are(pair: tuple[Literal, Literal]):
    one, other = pair
    assert (hashing.of_literal(one) == hashing.of_literal(other)) == (meaning(one) == meaning(other))


@given(typed, typed)
def test_c3_values_of_different_types_have_digests_of_their_own(
    one: tuple[LiteralType, Literal], other: tuple[LiteralType, Literal]
):
    same = meaning(one[1]) == meaning(other[1])
    assert (hashing.of_literal(one[1]) == hashing.of_literal(other[1])) == same


@given(typed)
def test_c3_packing_leaves_no_trace_in_a_digest(pair: tuple[LiteralType, Literal]):
    assert hashing.of_literal(unpacked(pair[1])) == hashing.of_literal(pair[1])


@given(typed, st.data())
def test_c3_offloading_any_part_that_may_be_large_leaves_no_trace_in_a_digest(
    pair: tuple[LiteralType, Literal], data: st.DataObject
):
    def offloaded(literal: Literal) -> Literal:
        kind = literal.WhichOneof("value")
        large = kind in ("list", "record", "file", "frame")
        if large and data.draw(st.booleans()):
            return Literal(offloaded=Offloaded(content=hashing.of_literal(literal)))
        match kind:
            case "list":
                elements = [offloaded(e) for e in literals.elements(literal.list)]
                return literals.from_list(literals.pack(elements))
            case "record":
                return literals.from_record({f.name: offloaded(f.value) for f in literal.record.fields})
            case "union":
                return Literal(
                    union=Union(variant=literal.union.variant, value=offloaded(literal.union.value))
                )
            case _:
                return literal

    assert hashing.of_literal(offloaded(pair[1])) == hashing.of_literal(pair[1])


@given(types, types)
def test_types_have_one_digest_exactly_when_they_are_equal(one: LiteralType, other: LiteralType):
    assert (hashing.of_type(one) == hashing.of_type(other)) == literal_types.equal(one, other)


# Assignability


@st.composite
def wider(draw: st.DrawFn, t: LiteralType) -> LiteralType:
    """A type that takes every value of `t`."""
    match t.WhichOneof("type"):
        case "list":
            made = literal_types.list_of(draw(wider(t.list.element)))
        case "record":
            kept = (
                draw(st.lists(st.sampled_from(t.record.fields), unique_by=lambda f: f.name))
                if t.record.fields
                else []
            )
            made = literal_types.record("Wider", {f.name: f.type for f in kept})
        case "file":
            made = draw(st.sampled_from([t, literal_types.file()]))
        case "frame" if not t.frame.strict and t.frame.columns:
            kept_columns = draw(st.lists(st.sampled_from(t.frame.columns), unique_by=lambda c: c.name))
            made = literal_types.frame(kept_columns)
        case _:
            made = t
    more = draw(st.lists(types.filter(lambda m: not m.HasField("union")), max_size=2))
    variants = [*(made.union.variants if made.HasField("union") else [made]), *more]
    apart = {literal_types.structure(v): v for v in draw(st.permutations(variants))}
    return literal_types.union(*apart.values())


@given(types)
def test_t5_every_type_is_assignable_to_itself(t: LiteralType):
    assert literal_types.is_assignable(t, t) is None


@given(typed, st.data())
def test_t5_what_is_assignable_converts_without_error(pair: tuple[LiteralType, Literal], data: st.DataObject):
    source, literal = pair
    target = data.draw(wider(source))
    assert literal_types.is_assignable(source, target) is None
    converted = literals.convert(literal, source, target)
    assert bits(literals.constant(converted, target, "")) == bits(converted)
    if literal_types.equal(source, target):
        assert converted is literal


@given(typed, st.lists(types, min_size=5, max_size=5))
def test_t5_what_happens_to_be_assignable_converts_too(
    pair: tuple[LiteralType, Literal], targets: list[LiteralType]
):
    source, literal = pair
    for target in targets:
        if literal_types.is_assignable(source, target) is None:
            converted = literals.convert(literal, source, target)
            assert bits(literals.constant(converted, target, "")) == bits(converted)


@given(types, st.data())
def test_t5_assignability_goes_on_through_wider_types(t: LiteralType, data: st.DataObject):
    middle = data.draw(wider(t))
    far = data.draw(wider(middle))
    assert literal_types.is_assignable(t, far) is None


@given(typed, st.data())
def test_converting_in_one_step_or_in_two_keeps_lists_packed_alike(
    pair: tuple[LiteralType, Literal], data: st.DataObject
):
    source, literal = pair
    target = data.draw(wider(source))
    from_unpacked = literals.convert(unpacked(literal), source, target)
    assert hashing.of_literal(from_unpacked) == hashing.of_literal(literals.convert(literal, source, target))


@given(typed)
def test_a_value_is_a_constant_of_its_own_type_as_it_is(pair: tuple[LiteralType, Literal]):
    t, literal = pair
    assert bits(literals.constant(literal, t, "")) == bits(literal)


# JSON


@given(plain_types.flatmap(lambda t: st.tuples(st.just(t), values(t))))
def test_plain_json_reads_back_as_the_same_value(pair: tuple[LiteralType, Literal]):
    t, literal = pair
    written = json.dumps(literals.to_json(literal, t), allow_nan=False)
    read = literals.from_json(json.loads(written), t, "x")
    assert meaning(read) == meaning(literal)


@given(typed)
def test_every_value_has_plain_json_even_without_its_type(pair: tuple[LiteralType, Literal]):
    json.dumps(literals.to_json(pair[1]), allow_nan=False)
