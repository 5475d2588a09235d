"""Lists in columns: what each is packed in, from Python values or from literals; and what somebody may send."""

import datetime as dt
import decimal
import tracemalloc
import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from typedflow import errors, hashing, literal_types, literals
from typedflow.literal_types import INT, NONE, STRING
from typedflow.pb.literals_pb2 import (
    Datetimes,
    Dict,
    Dicts,
    List,
    Lists,
    Literal,
    Literals,
    RecordColumn,
    Records,
    Strings,
    Union,
    Unions,
)
from typedflow.pb.types_pb2 import LiteralType

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ONE = literals.integers([1])


def some(variant: int, value: Literal) -> Literal:
    return Literal(union=Union(variant=variant, value=value))


# What each is packed in


def test_columns_straight_from_python_values_are_those_of_their_literals():
    here = dt.datetime(2024, 7, 1, 12, tzinfo=BERLIN)
    there = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    days, spans = [dt.date.min, dt.date(2024, 2, 29)], [dt.timedelta(-1, 1, 1), dt.timedelta.max // 100]
    digits = [decimal.Decimal("1.10"), decimal.Decimal("-sNaN7")]
    pairs = [
        (literals.blocks([b"", b"a"]), map(literals.from_bytes, [b"", b"a"])),
        (literals.dates(days), map(literals.from_date, days)),
        (literals.durations(spans), map(literals.from_duration, spans)),
        (literals.decimals(digits), map(literals.from_decimal, digits)),
        (literals.datetimes([here, there]), map(literals.from_datetime, [here, there])),
        (literals.datetimes([here, here]), map(literals.from_datetime, [here, here])),
        (
            literals.dicts([1, 0], ["a"], ONE),
            [literals.from_dict({"a": literals.from_int(1)}), literals.from_dict({})],
        ),
        (
            literals.unions([1, 0], [ONE, literals.strings(["a"]), literals.empty()]),
            [some(1, literals.from_str("a")), some(0, literals.from_int(1))],
        ),
    ]
    for column, one_by_one in pairs:
        assert column == literals.pack(list(one_by_one))
        assert column.WhichOneof("column") != "literals"


def test_of_no_values_every_column_is_the_empty_list():
    assert literals.blocks([]) == literals.dates([]) == literals.durations([]) == literals.empty()
    assert literals.decimals([]) == literals.datetimes([]) == literals.empty()
    assert literals.dicts([], [], literals.empty()) == literals.unions([], []) == literals.empty()


def test_a_zone_and_an_offset_that_all_datetimes_share_are_there_once():
    summer, winter = dt.datetime(2024, 7, 1, tzinfo=BERLIN), dt.datetime(2024, 1, 1, tzinfo=BERLIN)
    made = literals.datetimes([summer, winter, summer]).datetimes
    assert list(made.zones) == ["Europe/Berlin"]
    assert list(made.offset_seconds) == [7200, 3600, 7200]


def test_a_variant_beyond_the_most_that_have_columns_is_in_single_literals():
    near, far = some(63, literals.from_int(1)), some(64, literals.from_int(1))
    assert literals.pack([near]).WhichOneof("column") == "unions"
    assert literals.pack([near, far]).WhichOneof("column") == "literals"
    columns = [literals.empty()] * 64 + [ONE]
    assert literals.unions([64], columns) == literals.pack([far])


def test_a_variant_of_four_billion_is_packed_without_columns_for_those_before_it():
    assert len(literals.pack([some(2**32 - 1, literals.from_none())]).SerializeToString()) < 100


def test_dicts_with_other_keys_are_one_column_and_keep_their_order():
    made = [
        literals.from_dict({"b": literals.from_int(1), "a": literals.from_int(2)}),
        literals.from_dict({"c": literals.from_int(3)}),
    ]
    packed = literals.pack(made)
    assert packed.dicts == Dicts(lengths=[2, 1], keys=["b", "a", "c"], values=literals.integers([1, 2, 3]))
    assert list(literals.elements(packed)) == made


# What is sent


HOSTILE = {
    "lengths of 2^64": List(lists=Lists(lengths=[2**64 - 1], elements=ONE)),
    "lengths that overflow": List(lists=Lists(lengths=[2**64 - 1, 2], elements=ONE)),
    "dicts of 2^64": List(dicts=Dicts(lengths=[2**64 - 1], keys=["a"], values=ONE)),
    "more keys than values": List(dicts=Dicts(lengths=[1], keys=["a", "b"], values=ONE)),
    "a key twice": List(dicts=Dicts(lengths=[2], keys=["a", "a"], values=literals.integers([1, 2]))),
    "variant without a column": List(unions=Unions(variants=[2**32 - 1], columns=[ONE])),
    "fewer values than variants": List(unions=Unions(variants=[0, 0], columns=[ONE])),
    "more values than variants": List(unions=Unions(columns=[ONE])),
    "thousands of columns": List(unions=Unions(columns=[literals.empty()] * 5_000)),
    "None 2^64 times in a variant": List(unions=Unions(variants=[0], columns=[List(nones=2**64 - 1)])),
    "None 2^64 times": List(nones=2**64 - 1),
    "records of None 2^64 times": List(
        records=Records(length=2**63, columns=[RecordColumn(name="a", values=List(nones=2**63))])
    ),
    "columns for no records": List(records=Records(columns=[RecordColumn(name="a", values=List())] * 1_000)),
    "no offset": List(datetimes=Datetimes(epoch_microseconds=[0], zones=[""])),
    "too many zones": List(datetimes=Datetimes(epoch_microseconds=[0], offset_seconds=[0], zones=["", ""])),
    "a zone for nothing": List(datetimes=Datetimes(offset_seconds=[0], zones=[""])),
    "one long zone for all": List(
        datetimes=Datetimes(epoch_microseconds=[0] * 1_000, offset_seconds=[0], zones=["x" * 100_000])
    ),
    "hundreds of columns of None": List(
        records=Records(
            length=2**18, columns=[RecordColumn(name=str(i), values=List(nones=2**18)) for i in range(500)]
        )
    ),
}


@pytest.mark.parametrize("column", HOSTILE.values(), ids=HOSTILE)
def test_s5_a_list_that_contradicts_itself_is_refused_without_making_anything_of_it(column: List):
    literal = Literal(list=column)
    targets = [literal_types.list_of(t) for t in (NONE, INT, literal_types.optional(INT))]
    tracemalloc.start()
    assert literals.malformed(column)
    for target in targets:
        assert "a list that contradicts itself" in literals.misfit(literal, target, "x")
        with pytest.raises(errors.ConversionError, match="contradicts itself"):
            literals.constant(literal, target, "x")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        (Dict(keys=["a", "b"], values=ONE), "2 keys for 1 values"),
        (Dict(keys=["a"], values=List(nones=2**64 - 1)), "1 keys for 18446744073709551615 values"),
        (Dict(keys=["a", "a"], values=literals.integers([1, 2])), "a key is there twice"),
    ],
    ids=["short", "long", "twice"],
)
def test_s5_a_dict_that_contradicts_itself_is_refused(given: Dict, wrong: str):
    literal, target = Literal(dict=given), literal_types.dict_of(INT)
    assert literals.misfit(literal, target, "x") == f"x: a dict that contradicts itself: {wrong}"
    with pytest.raises(errors.ConversionError, match=wrong):
        literals.constant(literal, target, "x")


def test_as_many_none_as_are_usual_beside_other_values_are_no_attack():
    count = 200_000
    names = [(f"column_{i}", literals.nones(count)) for i in range(10)]
    made = literals.records(count, [("id", literals.integers(range(count))), *names])
    assert literals.malformed(made) == ""


counts = st.one_of(st.integers(0, 3), st.sampled_from([2**20, 2**64 - 1]))


def sent(inner: st.SearchStrategy[List]) -> st.SearchStrategy[List]:
    """Lists of lists and so on, whose parts know nothing of each other."""
    keys = st.lists(st.sampled_from(["a", "b"]), max_size=3)
    return st.one_of(
        st.builds(lambda n, e: List(lists=Lists(lengths=n, elements=e)), st.lists(counts, max_size=3), inner),
        st.builds(
            lambda n, k, v: List(dicts=Dicts(lengths=n, keys=k, values=v)),
            st.lists(counts, max_size=3),
            keys,
            inner,
        ),
        st.builds(
            lambda v, c: List(unions=Unions(variants=v, columns=c)),
            st.lists(st.sampled_from([0, 1, 2, 2**32 - 1]), max_size=3),
            st.lists(inner, max_size=3),
        ),
        st.builds(
            lambda n, k, v: List(
                records=Records(
                    length=n, columns=[RecordColumn(name=a, values=b) for a, b in zip(k, v, strict=False)]
                )
            ),
            counts,
            keys,
            st.lists(inner, max_size=3),
        ),
    )


leaves = st.one_of(
    counts.map(lambda n: List(nones=n)),
    st.just(List()),
    st.builds(literals.integers, st.lists(st.integers(0, 3), max_size=3)),
    st.builds(literals.strings, st.lists(st.sampled_from(["a", "b"]), max_size=3)),
    st.builds(
        lambda e, o, z: List(datetimes=Datetimes(epoch_microseconds=e, offset_seconds=o, zones=z)),
        *(st.lists(st.integers(0, 2), max_size=3), st.lists(st.integers(0, 2), max_size=3)),
        st.lists(st.sampled_from(["", "UTC"]), max_size=3),
    ),
)
packed = st.recursive(leaves, sent, max_leaves=5)
loose = packed.map(lambda e: List(literals=Literals(values=[Literal(list=e), Literal(list=e)])))
anything = st.one_of(packed, st.recursive(loose, sent, max_leaves=3))


@given(anything, strategies.literal_types_strategy())
def test_s5_whatever_is_sent_is_a_value_of_the_type_or_refused(column: List, element: LiteralType):
    literal, target = Literal(list=column), literal_types.list_of(element)
    if literals.misfit(literal, target, "x"):
        try:
            made = literals.constant(literal, target, "x")
        except errors.ConversionError:
            return
        assert literals.misfit(made, target, "x") == ""
    assert literals.malformed(column) == ""


@given(packed)
def test_t6_a_list_that_does_not_contradict_itself_is_its_elements(column: List):
    if literals.malformed(column) or literals.length(column) > 10:
        return
    elements = list(literals.elements(column))
    assert len(elements) == literals.length(column)
    assert [literals.element(column, i) for i in range(len(elements))] == elements
    digest = hashing.of_literal(Literal(list=column))
    one_by_one = List(literals=Literals(values=elements))
    assert hashing.of_literal(Literal(list=one_by_one)) == digest
    assert hashing.of_literal(Literal(list=literals.pack(elements))) == digest


def test_a_text_column_of_a_sensitive_element_is_refused_without_a_word_of_it():
    secret = literals.from_list(List(strings=Strings(values=["hunter2"])))
    target = literal_types.list_of(literal_types.sensitive(INT))
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(secret, target, "x")
    assert str(caught.value) == "x[]: expected Sensitive[int], got a sensitive value that is none"
    assert literals.misfit(secret, target, "x") == str(caught.value)
    with_secret = literal_types.record("Login", {"user": STRING, "password": literal_types.sensitive(STRING)})
    with pytest.raises(errors.ConversionError) as caught:
        literals.constant(literals.from_str("hunter2"), with_secret, "x")
    assert "hunter2" not in str(caught.value)
