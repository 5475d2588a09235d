"""What is kept elsewhere is loaded wherever it is inside of a value."""

import pytest

from typedflow import errors, hashing, literal_types, literals
from typedflow.dataplane import objects, offload
from typedflow.pb import interface_pb2, literals_pb2

LARGE = literals.from_str("x" * 1000)


@pytest.fixture
def store(tmp_path):
    return objects.open_store(str(tmp_path))


WAYS_TO_HOLD = {
    "list": lambda part: literals.from_list(literals.pack([part, part])),
    "dict": lambda part: literals.from_dict({"a": part}),
    "record": lambda part: literals.from_record({"a": part}),
    "tuple": lambda part: literals.from_tuple([part]),
    "union": lambda part: tagged(part, 1),
    "list of union": lambda part: listed(tagged(part), tagged(literals.from_none(), 1)),
    "list of dicts": lambda part: listed(literals.from_dict({"a": part}), literals.from_dict({"b": part})),
    "list of records": lambda part: listed(
        literals.from_record({"a": part}), literals.from_record({"a": part})
    ),
    "list of lists": lambda part: listed(listed(part), listed(part)),
    "dict of lists of unions": lambda part: literals.from_dict({"a": listed(tagged(part))}),
}


@pytest.mark.parametrize("way", WAYS_TO_HOLD)
def test_a_part_that_is_kept_elsewhere_is_loaded_wherever_it_is(way, store):
    make = WAYS_TO_HOLD[way]
    part = offload.offload(LARGE, store, limit=0)
    assert part.HasField("offloaded")

    loaded = offload.load(make(part), store)

    assert "offloaded" not in str(loaded)
    assert hashing.of_literal(loaded) == hashing.of_literal(make(LARGE))


def test_what_has_no_part_elsewhere_is_given_back_as_it_is(store):
    whole = literals.from_dict({"a": tagged(LARGE)})
    assert offload.load(whole, store) is whole


def test_d2_what_was_offloaded_is_held_against_its_inputs_type_once_it_is_here(store):
    types = literal_types.record("Config", {"names": literal_types.list_of(literal_types.STRING)})
    variables = [interface_pb2.Variable(name="config", type=types)]

    def given(*names):
        record = literals.from_record({"names": listed(*names)})
        return literals.as_map({"config": offload.offload(record, store, limit=0)})

    right = given(literals.from_str("x" * 1000))
    assert right.values[0].value.HasField("offloaded")
    loaded = offload.load_inputs(right, variables, store)
    assert loaded.values[0].value == literals.from_record({"names": listed(literals.from_str("x" * 1000))})
    with pytest.raises(errors.ConversionError, match="expected") as caught:
        offload.load_inputs(given(literals.from_int(3)), variables, store)
    assert caught.value.where.startswith("inputs.config")


def tagged(value, variant=0):
    return literals_pb2.Literal(union=literals_pb2.Union(variant=variant, value=value))


def listed(*elements):
    return literals.from_list(literals.pack(elements))
