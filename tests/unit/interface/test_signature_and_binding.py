"""Interfaces: how they print, and the inputs of a call bound to them."""

import pytest

from typedflow import errors, interface, literal_types, literals
from typedflow.literal_types import FLOAT, INT, STRING
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.literals_pb2 import Literal, LiteralMap, NamedLiteral, Union

LAYER = literal_types.record("Layer", {"width": INT})
CONFIG = literal_types.record("Config", {"layers": literal_types.list_of(LAYER)})
TRAINING = Interface(
    inputs=[
        Variable(name="trees", type=INT, default=literals.from_int(100)),
        Variable(name="rate", type=FLOAT, default=literals.from_int(1)),
        Variable(name="config", type=CONFIG),
        Variable(name="tag", type=literal_types.optional(STRING), default=literals.from_none()),
    ],
    outputs=[Variable(name="accuracy", type=FLOAT), Variable(name="auc", type=FLOAT)],
)
ONE_LAYER = {"layers": [{"width": 3}]}


def refused(values: dict[str, Literal], json: dict[str, object] | None = None) -> tuple[tuple[str, str], ...]:
    with pytest.raises(errors.ConversionError) as caught:
        interface.bind(TRAINING, literals.as_map(values), json=json)
    return caught.value.problems


def test_an_interface_prints_as_a_signature():
    assert interface.text(TRAINING) == (
        "(trees: int = 100, rate: float = 1, config: Config, tag: str | None = None)"
        " -> (accuracy: float, auc: float)"
    )
    assert interface.text(Interface(outputs=[Variable(name="o0", type=INT)])) == "() -> int"
    assert interface.text(Interface()) == "() -> None"


def test_a_long_default_and_one_that_is_bytes_are_cut_from_a_signature():
    long = literals.from_str("x" * 100)
    file = Literal()
    file.file.content = "b3:0"
    made = Interface(
        inputs=[
            Variable(name="a", type=STRING, default=long),
            Variable(name="b", type=literal_types.file(), default=file),
        ]
    )
    assert interface.text(made) == "(a: str = ..., b: File = ...) -> None"


def test_variables_are_found_by_name():
    found = interface.input(TRAINING, "trees")
    assert found is not None
    assert found.type == INT
    assert interface.input(TRAINING, "auc") is None
    assert interface.output(TRAINING, "auc") is not None
    assert interface.output(TRAINING, "trees") is None


def test_binding_completes_converts_and_orders():
    bound = interface.bind(
        TRAINING, literals.as_map({"tag": literals.from_str("x")}), json={"config": ONE_LAYER, "trees": 7}
    )
    assert [v.name for v in bound.values] == ["trees", "rate", "config", "tag"]
    plain = {v.name: literals.to_json(v.value) for v in bound.values}
    assert plain == {"trees": 7, "rate": 1.0, "config": ONE_LAYER, "tag": "x"}
    rate, tag = literals.get(bound, "rate"), literals.get(bound, "tag")
    assert rate == literals.from_float(1.0)
    assert tag is not None
    assert tag.union.variant == 0


def test_binding_what_is_bound_changes_nothing():
    bound = interface.bind(TRAINING, LiteralMap(), json={"config": ONE_LAYER})
    assert interface.bind(TRAINING, bound) == bound


def test_l1_unknown_missing_and_mistyped_inputs_are_named_all_at_once():
    problems = refused(
        {"tree": literals.from_int(1), "rate": literals.from_str("fast")}, {"zebra": 1, "trees": "many"}
    )
    assert problems == (
        ("inputs.tree", "unknown input: did you mean `trees`?"),
        ("inputs.zebra", "unknown input: the inputs are `trees`, `rate`, `config`, `tag`"),
        ("inputs.trees", 'expected int, got "many" (str)'),
        ("inputs.rate", 'expected float, got "fast" (str)'),
        ("inputs.config", "missing: expected Config"),
    )


def test_t2_a_part_that_does_not_fit_is_named_by_its_path():
    layers = [{"width": 1}, {"width": 2}, {"width": 3}, {"width": "x"}]
    assert refused({}, {"config": {"layers": layers}}) == (
        ("inputs.config.layers[3].width", 'expected int, got "x" (str)'),
    )


def test_a_promise_of_int_is_no_float_but_a_constant_is_when_it_is_exact():
    assert literal_types.is_assignable(INT, FLOAT) is not None
    problems = refused({"rate": literals.from_int(2**53 + 1)}, {"config": ONE_LAYER})
    assert problems == (
        ("inputs.rate", "expected float, got 9007199254740993 (int): it is not exact as a float"),
    )


def test_an_input_that_is_given_twice_is_refused():
    twice = LiteralMap(values=[NamedLiteral(name="trees", value=literals.from_int(n)) for n in (1, 2)])
    with pytest.raises(errors.ConversionError, match="given more than once"):
        interface.bind(TRAINING, twice, json={"config": ONE_LAYER})
    assert ("inputs.trees", "given more than once") in refused({"trees": literals.from_int(1)}, {"trees": 1})


def test_an_entity_without_inputs_says_so():
    with pytest.raises(errors.ConversionError, match=r"inputs\.x: unknown input: there are no inputs"):
        interface.bind(Interface(), literals.as_map({"x": literals.from_none()}))


def test_s3_nothing_of_a_sensitive_default_is_printed_whatever_holds_it():
    pin = Literal(union=Union(variant=0, value=literals.from_str("hunter2")))
    door = literals.from_record({"key": literals.from_str("hunter2")})
    secret = literal_types.sensitive(STRING)
    made = Interface(
        inputs=[
            Variable(name="a", type=literal_types.sensitive(literal_types.optional(STRING)), default=pin),
            Variable(name="b", type=literal_types.optional(secret), default=pin),
            Variable(name="c", type=literal_types.record("Door", {"key": secret}), default=door),
        ]
    )
    assert "hunter2" not in interface.text(made)


def test_s3_values_are_shown_without_what_is_sensitive():
    secret = literal_types.sensitive(STRING)
    given = literals.as_map({name: literals.from_str(name) for name in ("user", "password", "other")})
    variables = [Variable(name="user", type=STRING), Variable(name="password", type=secret)]
    shown = interface.redacted(given, variables)
    assert [(each.name, literals.to_json(each.value)) for each in shown.values] == [
        ("user", "user"),
        ("password", "***"),
        ("other", "***"),
    ]


@pytest.mark.parametrize("json", [{"mode": "fst"}, None])
def test_binding_one_wrong_value_keeps_the_code_and_the_hint_of_its_mistake(json):
    mode = literal_types.enum("Mode", {"FAST": "fast", "SLOW": "slow"})
    of = Interface(inputs=[Variable(name="mode", type=mode), Variable(name="n", type=INT)])
    given = {"n": literals.from_int(1)} | ({} if json else {"mode": literals.from_str("fst")})
    with pytest.raises(errors.ConversionError, match="did you mean") as refused:
        interface.bind(of, literals.as_map(given), json=json)
    assert (refused.value.code, refused.value.where) == ("IllegalEnumValue", "inputs.mode")
    with pytest.raises(errors.ConversionError) as refused:
        interface.bind(of, literals.as_map({"mode": literals.from_str("fst")}))
    assert refused.value.code == "InvalidValue"
    assert [where for where, _ in refused.value.problems] == ["inputs.mode", "inputs.n"]
