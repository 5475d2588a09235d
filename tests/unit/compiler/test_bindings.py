"""Dicts, records and tuples that are bound part by part, and ways into values."""

import pytest

from typedflow import literal_types, literals
from typedflow.pb.workflows_pb2 import BindingValue, CompiledWorkflow, PathStep

INT, FLOAT, STRING = literal_types.INT, literal_types.FLOAT, literal_types.STRING
POINT = literal_types.record("Point", {"x": FLOAT, "y": FLOAT}, defaults=["y"])
LOOSE = literal_types.record("Loose", {"x": FLOAT, "y": FLOAT}, optional=["y"])


def one(build):
    return build.value(literals.from_int(1))


@pytest.fixture
def made(build):
    """`half() -> float`, and `take(value: ...)`, whose input's type a test sets."""
    made = build()
    made.add_task("half", {}, {"o0": FLOAT})
    made.add_task("take", {"value": FLOAT}, {})
    made.add_node("half")
    made.add_node("take", {"value": made.of("half")})
    return made


def taking(made, type_, value):
    made.tasks["pipeline.take"].interface.inputs[0].type.CopyFrom(type_)
    made.template.nodes[1].inputs[0].value.CopyFrom(value)
    return made


def bound(made, type_, value) -> BindingValue:
    compiled: CompiledWorkflow = taking(made, type_, value).compiled()
    return compiled.workflow.nodes[1].inputs[0].value


def test_constants_in_a_dict_take_its_values_type_and_its_order_stays(made, build):
    value = bound(made, literal_types.dict_of(FLOAT), build.dict(b=one(build), a=build.of("half")))
    assert list(value.dict.keys) == ["b", "a"]
    assert value.dict.values[0].literal == literals.from_float(1.0)


def test_a_dict_of_constants_becomes_one_constant(made, build):
    value = bound(made, literal_types.dict_of(FLOAT), build.dict(b=one(build), a=one(build)))
    assert value.literal == literals.from_dict({"b": literals.from_float(1.0), "a": literals.from_float(1.0)})


def test_a_record_is_bound_field_by_field_and_may_lack_what_has_a_default(made, build):
    value = bound(made, POINT, build.record(x=build.of("half")))
    assert value == build.record(x=build.of("half"))
    value = bound(made, LOOSE, build.record(y=one(build), x=build.of("half")))
    assert value.record.fields[0].value.literal == literals.from_float(1.0)


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        (["y"], "MismatchingTypes", "field `x` is missing"),
        (["x", "z"], "FieldNotFound", "Point has no field `z`"),
    ],
)
def test_fields_that_lack_or_are_too_many_are_told(made, build, fields, code, said):
    value = build.record(**dict.fromkeys(fields, build.of("half")))
    found = taking(made, POINT, value).only()
    assert (found.code, found.label) == (code, said)


def test_a_tuple_is_a_record_by_place(made, build):
    value = BindingValue()
    value.record.fields.add(name="0", value=build.of("half"))
    value.record.fields.add(name="1", value=one(build))
    assert bound(made, literal_types.tuple_of(FLOAT, INT), value) == value
    assert taking(made, literal_types.tuple_of(FLOAT), value).only().code == "FieldNotFound"


def test_containers_are_bound_inside_each_other_and_the_place_is_named(made, build):
    type_ = literal_types.dict_of(literal_types.list_of(POINT))
    wrong = build.record(x=build.value(literals.from_str("?")), y=build.of("half"))
    inner = build.many(build.record(x=build.of("half")), wrong)
    found = taking(made, type_, build.dict(a=inner)).only()
    assert found.message == 'part ["a"][1].x of input `value` of task `take` expects float'


def test_a_list_feeds_an_iterator(made, build):
    value = build.many(build.of("half"), one(build))
    made_ = bound(made, literal_types.stream_of(FLOAT), value)
    assert made_.list.elements[1].literal == literals.from_float(1.0)


def test_a_container_for_a_union_is_the_first_variant_that_its_promises_fit(made, build):
    texts, floats = literal_types.dict_of(STRING), literal_types.dict_of(FLOAT)
    value = bound(made, literal_types.union(texts, floats), build.dict(a=build.of("half"), b=one(build)))
    assert value.dict.values[1].literal == literals.from_float(1.0)
    other = literal_types.record("Other", {"z": FLOAT})
    value = bound(made, literal_types.union(other, POINT), build.record(x=build.of("half")))
    assert value == build.record(x=build.of("half"))
    found = taking(
        made, literal_types.union(texts, literal_types.dict_of(INT)), build.dict(a=build.of("half"))
    )
    assert found.only().code == "IncompatibleUnionBinding"


def test_a_container_of_another_kind_is_told(made, build):
    found = taking(made, POINT, build.dict(x=build.of("half"))).only()
    assert (found.code, found.label) == ("MismatchingTypes", "a dict is given")


def test_containers_that_contradict_themselves_are_told(made, build):
    value = build.dict(a=build.of("half"))
    value.dict.keys.append("b")
    assert taking(made, literal_types.dict_of(FLOAT), value).only().label == "it has 2 keys and 1 values"
    value.dict.keys[:] = ["a", "a"]
    value.dict.values.add().CopyFrom(one(build))
    assert taking(made, literal_types.dict_of(FLOAT), value).only().label == "it has the key `a` twice"
    value = build.record(x=build.of("half"))
    value.record.fields.add(name="x", value=one(build))
    assert taking(made, POINT, value).only().label == "it has the field `x` twice"


def test_what_is_in_something_sensitive_is_sensitive(made, build):
    secret = literal_types.sensitive(STRING)
    made.add_input("secret", secret)
    value = build.many(build.given("secret"))
    bound(made, literal_types.sensitive(literal_types.list_of(STRING)), value)
    assert taking(made, literal_types.list_of(STRING), value).only().code == "MismatchingTypes"
    made.add_input("secrets", literal_types.sensitive(literal_types.dict_of(STRING)))
    value = build.given("secrets")
    value.promise.path.add(key="a")
    bound(made, secret, value)
    assert taking(made, STRING, value).only().code == "MismatchingTypes"


# Ways into values


@pytest.mark.parametrize(
    ("type_", "step", "leads"),
    [
        (literal_types.dict_of(FLOAT), PathStep(key="a"), True),
        (literal_types.tuple_of(FLOAT, INT), PathStep(index=0), True),
        (literal_types.tuple_of(INT, FLOAT), PathStep(index=-1), True),
        (literal_types.tuple_of(FLOAT, INT), PathStep(index=2), False),
        (literal_types.tuple_of(FLOAT), PathStep(key="0"), False),
        (literal_types.dict_of(FLOAT), PathStep(field="a"), False),
        (literal_types.dict_of(FLOAT), PathStep(index=0), False),
        (literal_types.stream_of(FLOAT), PathStep(index=0), False),
        (POINT, PathStep(key="x"), False),
        (POINT, PathStep(index=0), False),
        (FLOAT, PathStep(), False),
    ],
    ids=[
        "key of a dict",
        "place in a tuple",
        "place from the end",
        "place beyond a tuple",
        "key of a tuple",
        "field of a dict",
        "index of a dict",
        "index of an iterator",
        "key of a record",
        "index of a record",
        "nothing",
    ],
)
def test_each_step_is_checked_against_the_type_that_it_is_taken_of(made, build, type_, step, leads):
    made.add_input("whole", type_)
    value = build.given("whole")
    value.promise.path.append(step)
    taking(made, FLOAT, value)
    assert made.codes() == ([] if leads else ["FieldNotFound"])


def test_a_wrong_way_is_told_with_the_right_one(made, build):
    made.add_input("table", literal_types.dict_of(FLOAT))
    made.add_input("point", POINT)
    for name, step, hint in (
        ("table", PathStep(field="a"), 'take the value of a key: `["a"]`'),
        ("point", PathStep(key="x"), "take the field: `.x`"),
    ):
        value = build.given(name)
        value.promise.path.append(step)
        assert taking(made, FLOAT, value).only().hint == hint


@pytest.mark.slow
def test_too_many_ways_to_read_a_container_are_told(made, build):
    variants = literal_types.union(*(literal_types.list_of(literal_types.file(f"f{i}")) for i in range(60)))
    value = build.many(*[build.of("half")] * 5_000)
    assert taking(made, variants, value).codes()[-1] == "GraphTooLarge"


def test_a_wrong_way_does_not_close_the_right_one(made, build):
    """What is known of a type is known for each kind of step."""
    made.add_input("table", literal_types.dict_of(FLOAT))
    wrong, right = build.given("table", 0), build.given("table")
    right.promise.path.add(key="a")
    taking(made, FLOAT, wrong)
    made.add_node("take2", {"value": right}, task="take")
    assert made.only().node == "take"
