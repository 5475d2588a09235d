"""Frames whose target takes its own columns only: selected wherever they are, and refused where they contradict."""

import pytest

from typedflow import errors, literal_types, literals
from typedflow.pb.literals_pb2 import Blob, Frame, Literal
from typedflow.pb.types_pb2 import Column, LiteralType

BLOB = Blob(uri="s3://b/k", digest="b3:1", size=3)
SOURCE = literal_types.frame([Column(name="a", dtype="int64"), Column(name="b", dtype="string")])
OWN = literal_types.frame([Column(name="a", dtype="int64")], filtered=True)
DIGESTS = {"a": bytes([1]) * 32, "b": bytes([2]) * 32}


def frame(*names: str, index: bytes = b"") -> Literal:
    dtypes = {column.name: column for column in SOURCE.frame.columns}
    digests = [DIGESTS[name] for name in names]
    made = Frame(
        content=literals.frame_content(3, names, digests, index),
        blob=BLOB,
        format="arrow",
        rows=3,
        type=literal_types.frame([dtypes[name] for name in names], strict=True).frame,
        column_contents=digests,
        index_content=index,
    )
    return Literal(frame=made)


PLACES = {
    "itself": (lambda each: each, lambda t: t),
    "a list": (lambda each: literals.from_list(literals.pack([each, each])), literal_types.list_of),
    "a dict": (lambda each: literals.from_dict({"k": each}), literal_types.dict_of),
    "lists in a list": (
        lambda each: literals.from_list(literals.pack([literals.from_list(literals.pack([each]))])),
        lambda t: literal_types.list_of(literal_types.list_of(t)),
    ),
    "sensitive": (lambda each: each, literal_types.sensitive),
}


@pytest.mark.parametrize("place", PLACES)
def test_t5_a_filtering_target_gets_a_selection_wherever_the_frame_is(place: str) -> None:
    around, of = PLACES[place]
    whole, own = around(frame("b", "a", index=bytes(32))), around(frame("a", index=bytes(32)))
    assert literals.convert(whole, of(SOURCE), of(OWN)) == own
    assert literals.constant(whole, of(OWN), "x") == own
    assert literals.constant(own, of(OWN), "x") is own
    assert literals.misfit(own, of(OWN), "x") == ""


def test_t5_it_does_where_it_may_be_none() -> None:
    maybe = literal_types.optional(OWN)
    made = literals.convert(frame("a", "b"), SOURCE, maybe)
    assert made == literals.constant(frame("a", "b"), maybe, "x")
    assert made.union.value == frame("a")
    again = literals.convert(literals.convert(frame("a", "b"), SOURCE, literal_types.optional(SOURCE)),
                             literal_types.optional(SOURCE), maybe)  # fmt: skip
    assert again == made


def test_t5_of_a_union_the_variant_that_takes_all_of_a_constant_comes_before_one_that_filters() -> None:
    either = literal_types.union(OWN, SOURCE)
    assert literals.constant(frame("a", "b"), either, "x").union.variant == 1
    assert literals.constant(frame("a"), either, "x").union.variant == 0


def test_t5_what_takes_all_columns_gets_the_frame_as_it_is() -> None:
    whole = frame("a", "b")
    for target in (SOURCE, literal_types.frame(), literal_types.frame([Column(name="a", dtype="int64")])):
        assert literals.convert(whole, SOURCE, target) is whole
        assert literals.constant(whole, target, "x") is whole


def test_t5_a_constant_that_lacks_a_column_is_refused() -> None:
    with pytest.raises(errors.ConversionError, match="column `a` is missing") as caught:
        literals.constant(frame("b"), OWN, "inputs.df")
    assert caught.value.where == "inputs.df"


def broken(**fields: object) -> Literal:
    made = frame("a", "b")
    for name, value in fields.items():
        made.frame.ClearField(name)  # type: ignore[arg-type]
        made.frame.MergeFrom(Frame(**{name: value}))  # type: ignore[arg-type]
    return made


TWICE = literal_types.frame([SOURCE.frame.columns[0]] * 2, strict=True).frame
CONTRADICTIONS = {
    "no digests": (broken(column_contents=[]), "0 digests for 2 columns"),
    "a digest too many": (broken(column_contents=[bytes(32)] * 3), "3 digests for 2 columns"),
    "a short digest": (broken(column_contents=[bytes(32), b"x"]), "a column's digest is not of 32 bytes"),
    "a short digest of the index": (broken(index_content=b"x"), "the index's digest is not of 32 bytes"),
    "a column twice": (broken(type=TWICE), "a column is there twice"),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
@pytest.mark.parametrize("target", [literal_types.frame(), OWN, SOURCE], ids=literal_types.text)
def test_a_frame_that_contradicts_itself_is_told(name: str, target: LiteralType) -> None:
    literal, said = CONTRADICTIONS[name]
    assert said in literals.misfit(literal, target, "x")
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(literal, target, "x")
    assert said in caught.value.message
    inside = literals.from_list(literals.pack([literal]))
    assert said in literals.misfit(inside, literal_types.list_of(target), "x")


def test_c3_all_that_a_frame_is_made_of_is_in_its_content() -> None:
    one, other = DIGESTS.values()
    contents = {
        literals.frame_content(rows, names, digests, index)
        for rows, names, digests, index in [
            (3, "a", [one], b""),
            (4, "a", [one], b""),
            (3, "b", [one], b""),
            (3, "a", [other], b""),
            (3, "a", [one], one),
            (3, "ab", [one, other], b""),
            (3, "ba", [other, one], b""),
            (3, "", [], b""),
        ]
    }
    assert len(contents) == 8
