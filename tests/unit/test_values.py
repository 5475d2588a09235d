"""Properties of types, values and digests, over generated ones.

`meaning` and `naive_digest` say a second time, in the plainest way, when two values are equal and what
docs/hashing.md says.
"""

import math
import struct
from collections.abc import Callable

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from typedflow import errors, hashing, literal_types, literals
from typedflow.pb.literals_pb2 import (
    Dict,
    FieldValue,
    List,
    Literal,
    Literals,
    Offloaded,
    Record,
    Union,
)
from typedflow.pb.types_pb2 import LiteralType

types = strategies.literal_types_strategy()
typed = strategies.typed(types)
literals_of = strategies.literals_of
wider = strategies.wider


def bits(literal: Literal | List) -> bytes:
    """Equality of messages says that a NaN differs from itself; their bytes do not."""
    return literal.SerializeToString(deterministic=True)


KEPT_ELSEWHERE = ("file", "directory", "frame", "array", "stream")


def meaning(literal: Literal) -> object:
    kind = literal.WhichOneof("value")
    match kind:
        case "list":
            return ("list", *map(meaning, literals.elements(literal.list)))
        case "dict":
            values = map(meaning, literals.elements(literal.dict.values))
            return ("dict", *zip(literal.dict.keys, values, strict=True))
        case "record":
            return ("record", *((f.name, meaning(f.value)) for f in literal.record.fields))
        case "union":
            return ("union", literal.union.variant, meaning(literal.union.value))
        case "float":
            nan = math.isnan(literal.float)
            return ("float", "nan" if nan else struct.pack("<d", literal.float))
        case _ if kind in KEPT_ELSEWHERE:
            return (kind, getattr(literal, kind).content)
        case _:
            return (kind, bits(literal))


def naive_digest(v: Literal) -> bytes:  # noqa: C901 - the document's table
    def text(s: str) -> bytes:
        return struct.pack("<Q", len(s.encode())) + s.encode()

    def part(v: Literal) -> bytes:
        kind = v.WhichOneof("value")
        if kind in ("string", "bytes", "decimal") and len(whole(v)) <= 65_537:
            content = whole(v)[1:]
            return whole(v)[:1] + struct.pack("<Q", len(content)) + content
        if kind in ("none", "boolean", "integer", "float", "datetime", "date", "duration"):
            return whole(v)
        if kind == "union" and not part(v.union.value).startswith(b"#"):
            return whole(v)
        return b"#" + naive_digest(v)

    def whole(v: Literal) -> bytes:  # noqa: C901, PLR0911 - a case for each row
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
            case "date":
                return b"c" + struct.pack("<i", v.date)
            case "duration":
                return b"t" + struct.pack("<q", v.duration)
            case "string":
                return b"s" + v.string.encode()
            case "bytes":
                return b"y" + v.bytes
            case "decimal":
                return b"m" + v.decimal.encode()
            case "list":
                parts = [part(e) for e in literals.elements(v.list)]
                return b"l" + struct.pack("<Q", len(parts)) + b"".join(parts)
            case "dict":
                values = map(part, literals.elements(v.dict.values))
                parts = [text(k) + each for k, each in zip(v.dict.keys, values, strict=True)]
                return b"k" + struct.pack("<Q", len(parts)) + b"".join(parts)
            case "record":
                parts = [text(f.name) + part(f.value) for f in v.record.fields]
                return b"r" + struct.pack("<Q", len(parts)) + b"".join(parts)
            case "union":
                return b"u" + struct.pack("<I", v.union.variant) + part(v.union.value)
            case kind:
                tag = {"file": b"F", "directory": b"D", "frame": b"T", "array": b"A", "stream": b"S"}
                return tag[str(kind)] + str(getattr(v, str(kind)).content).encode()

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


@given(types.flatmap(lambda t: st.lists(st.lists(literals_of(t), max_size=4), max_size=4)))
def test_t6_lists_of_lists_are_split_where_they_were_joined(pieces: list[list[Literal]]):
    packed = [literals.pack(piece) for piece in pieces]
    joined = literals.join(packed)
    assert [bits(e.list) for e in literals.elements(joined)] == [bits(piece) for piece in packed]
    whole = literals.pack([e for piece in pieces for e in piece])
    assert [bits(piece) for piece in literals.split(whole, map(len, pieces))] == [bits(p) for p in packed]


# A list of anything else may be in single literals, and those are kept as they are.
columnar = strategies.literal_types_strategy(
    strategies.PLAIN.filter(lambda t: not t.HasField("enum")), streams=False
)


@given(columnar.flatmap(lambda t: st.lists(literals_of(literal_types.list_of(t)), min_size=1, max_size=4)))
def test_t6_packing_does_not_depend_on_how_the_elements_were_packed(elements: list[Literal]):
    assert bits(literals.pack([unpacked(e) for e in elements])) == bits(literals.pack(elements))


def unpacked(literal: Literal) -> Literal:
    """The same value with every list in it as single literals."""

    def loose(of: List) -> List:
        return List(literals=Literals(values=map(unpacked, literals.elements(of))))

    match literal.WhichOneof("value"):
        case "list":
            return Literal(list=loose(literal.list))
        case "dict":
            return Literal(dict=Dict(keys=literal.dict.keys, values=loose(literal.dict.values)))
        case "record":
            fields = [FieldValue(name=f.name, value=unpacked(f.value)) for f in literal.record.fields]
            return Literal(record=Record(fields=fields))
        case "union":
            return Literal(union=Union(variant=literal.union.variant, value=unpacked(literal.union.value)))
        case _:
            return literal


# Digests


SIMPLE_KINDS = [
    *("none", "boolean", "integer", "float", "string", "datetime", "bytes", "date", "duration", "decimal"),
]


def is_of(literal: Literal, t: LiteralType) -> bool:
    """Whether a value is of a type, element by element."""
    kind = literal.WhichOneof("value")
    match t.WhichOneof("type"):
        case "simple":
            return kind == SIMPLE_KINDS[t.simple - 1]
        case "list":
            return kind == "list" and all(is_of(e, t.list.element) for e in literals.elements(literal.list))
        case "stream" if kind == "list":
            return all(is_of(e, t.stream.element) for e in literals.elements(literal.list))
        case "dict":
            return kind == "dict" and all(
                is_of(e, t.dict.value) for e in literals.elements(literal.dict.values)
            )
        case "union":
            return (
                kind == "union"
                and literal.union.variant < len(t.union.variants)
                and is_of(literal.union.value, t.union.variants[literal.union.variant])
            )
        case "record":
            given = {f.name: f.value for f in literal.record.fields}
            declared = {f.name: f for f in t.record.fields}
            return (
                kind == "record"
                and list(given) == [name for name in declared if name in given]
                and all(name in given or f.optional for name, f in declared.items())
                and all(is_of(value, declared[name].type) for name, value in given.items())
            )
        case "enum":
            travelling = [literals.from_member(literal_types.member_value(m)) for m in t.enum.members]
            return meaning(literal) in map(meaning, travelling)
        case "custom":
            return is_of(literal, t.custom.representation)
        case "file":
            return kind == "file" and t.file.format in ("", literal.file.format)
        case "directory":
            return kind == "directory" and t.directory.format in ("", literal.directory.format)
        case "array":
            return (
                kind == "array"
                and t.array.dtype in ("", literal.array.dtype)
                and (not t.array.HasField("dimensions") or t.array.dimensions == len(literal.array.shape))
            )
        case wanted:
            return kind == wanted is not None


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


@given(types.flatmap(lambda t: st.tuples(literals_of(t), literals_of(t))))
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
        large = kind in ("list", "dict", "record", *KEPT_ELSEWHERE)
        if large and data.draw(st.booleans()):
            return Literal(offloaded=Offloaded(content=hashing.of_literal(literal)))
        match kind:
            case "list":
                elements = [offloaded(e) for e in literals.elements(literal.list)]
                return literals.from_list(literals.pack(elements))
            case "dict":
                values = list(map(offloaded, literals.elements(literal.dict.values)))
                return literals.from_dict(dict(zip(literal.dict.keys, values, strict=True)))
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


@given(types)
def test_t5_every_type_is_assignable_to_itself(t: LiteralType):
    assert literal_types.is_assignable(t, t) is None


@given(typed, st.data())
def test_t5_what_is_assignable_converts_without_error(pair: tuple[LiteralType, Literal], data: st.DataObject):
    source, literal = pair
    target = data.draw(wider(source))
    assert literal_types.is_assignable(source, target) is None
    converted = literals.convert(literal, source, target)
    assert literals.misfit(converted, target, "x") == ""
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
            assert literals.misfit(converted, target, "x") == ""
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


@given(types, types)
def test_t5_every_refusal_has_a_reason_and_always_the_same(source: LiteralType, target: LiteralType):
    mismatch = literal_types.is_assignable(source, target)
    again = [LiteralType.FromString(t.SerializeToString()) for t in (source, target)]
    assert literal_types.is_assignable(*again) == mismatch
    assert mismatch is None or mismatch.reason


@given(types, st.data())
def test_t5_what_is_sensitive_stays_so(t: LiteralType, data: st.DataObject):
    target = data.draw(wider(literal_types.sensitive(t)))
    assert target.sensitive
    refused = literal_types.is_assignable(literal_types.sensitive(t), literal_types.bare(t))
    assert refused is not None
    assert literal_types.is_assignable(t, literal_types.sensitive(t)) is None


@given(types)
def test_a_type_without_its_marks_has_none_and_is_else_the_same(t: LiteralType):
    bare = literal_types.bare(t)
    assert not literal_types.has_sensitive(bare)
    assert literal_types.has_sensitive(literal_types.list_of(literal_types.sensitive(t)))
    assert literal_types.is_assignable(bare, literal_types.sensitive(t)) is None


# What is said


@given(typed, types)
def test_nothing_is_said_of_a_sensitive_value_that_does_not_fit(
    pair: tuple[LiteralType, Literal], other: LiteralType
):
    secret = literal_types.sensitive(other)
    said = f"expected {literal_types.brief(secret)}, got a sensitive value that is none"
    assert literals.misfit(pair[1], secret, "x") in ("", f"x: {said}")
    result = attempt(literals.constant, pair[1], secret, "x")
    if isinstance(result, errors.ConversionError):
        assert (result.message, result.where, result.hint) == (said, "x", "")


def attempt(of: Callable[..., object], *arguments: object) -> object:
    try:
        return of(*arguments)
    except errors.ConversionError as error:
        return error
