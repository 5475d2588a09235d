"""I4: a new interface against an old one, variable by variable."""

import math

import hypothesis
import pytest
from hypothesis import strategies as st

from typedflow import interface, literal_types, literals
from typedflow.literal_types import BOOL, DATETIME, FLOAT, INT, NONE, STRING
from typedflow.pb import registry_pb2
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.types_pb2 import Column, LiteralType

SAME, COMPATIBLE, BREAKING = (
    registry_pb2.COMPATIBILITY_SAME,
    registry_pb2.COMPATIBILITY_COMPATIBLE,
    registry_pb2.COMPATIBILITY_BREAKING,
)


def frame(*names: str) -> LiteralType:
    return literal_types.frame([Column(name=name, dtype="int64") for name in names])


def takes(*variables: Variable) -> Interface:
    return Interface(inputs=variables)


def gives(*variables: Variable) -> Interface:
    return Interface(outputs=variables)


def variable(name: str, type_: LiteralType, default: object = None, description: str = "") -> Variable:
    made = Variable(name=name, type=type_, description=description)
    if default is not None:
        made.default.CopyFrom(literals.from_json(default, type_, name))
    return made


X_INT, X_FLOAT = variable("x", INT), variable("x", FLOAT)
CONFIG = literal_types.record("Config", {"lr": FLOAT, "layers": literal_types.list_of(INT)})
OTHER_CONFIG = literal_types.record("Config", {"lr": INT, "layers": literal_types.list_of(INT)})
SCHEDULED = literal_types.record("Settings", {"lr": FLOAT, "layers": literal_types.list_of(INT)})


@pytest.mark.parametrize(
    ("old", "new", "compatibility", "reason"),
    [
        (takes(), takes(variable("x", INT, 3)), COMPATIBLE, "it is new, 3 by default"),
        (takes(), takes(X_INT), BREAKING, "it is new and required"),
        (takes(X_INT), takes(), BREAKING, "it is not there any more"),
        (
            takes(X_INT),
            takes(variable("x", literal_types.optional(INT))),
            COMPATIBLE,
            "it takes more than before",
        ),
        (takes(X_INT), takes(X_FLOAT), BREAKING, "int is not float"),
        (
            takes(variable("x", literal_types.optional(INT))),
            takes(X_INT),
            BREAKING,
            "it may be None, which int is not",
        ),
        (takes(variable("x", INT, 3)), takes(X_INT), BREAKING, "it has no default any more"),
        (takes(X_INT), takes(variable("x", INT, 3)), COMPATIBLE, "it is 3 by default now"),
        (
            takes(variable("x", INT, 3)),
            takes(variable("x", INT, 4)),
            COMPATIBLE,
            "its default was 3 and is 4",
        ),
        (
            takes(variable("x", STRING, "a" * 99)),
            takes(variable("x", STRING, "b" * 99)),
            COMPATIBLE,
            "its default is another",
        ),
        (
            takes(variable("x", INT, 3)),
            takes(variable("x", STRING, "a")),
            BREAKING,
            "int is not str; its default was 3 and is 'a'",
        ),
        (
            takes(variable("x", CONFIG)),
            takes(variable("x", OTHER_CONFIG)),
            BREAKING,
            "at `.lr`: it is float, not int",
        ),
        (
            takes(variable("x", frame("a"))),
            takes(variable("x", frame("a", "b"))),
            BREAKING,
            "column `b` is missing",
        ),
        (
            takes(variable("x", frame("a", "b"))),
            takes(variable("x", frame("a"))),
            COMPATIBLE,
            "it takes more than before",
        ),
        (gives(), gives(X_INT), COMPATIBLE, "it is new"),
        (gives(X_INT), gives(), BREAKING, "it is not there any more"),
        (gives(X_INT), gives(X_FLOAT), BREAKING, "float is not int"),
        (
            gives(variable("x", literal_types.optional(INT))),
            gives(X_INT),
            COMPATIBLE,
            "what it gives still fits",
        ),
        (
            gives(variable("x", frame("a"))),
            gives(variable("x", frame("a", "b"))),
            COMPATIBLE,
            "what it gives still fits",
        ),
        (
            gives(variable("x", frame("a", "b"))),
            gives(variable("x", frame("a"))),
            BREAKING,
            "column `b` is missing",
        ),
    ],
    ids=[
        "new-input-with-default",
        "new-required-input",
        "removed-input",
        "wider-input",
        "other-input",
        "narrower-input",
        "default-removed",
        "default-added",
        "default-changed",
        "long-default-changed",
        "other-input-and-default",
        "field-of-an-input",
        "column-asked-for",
        "column-asked-for-no-more",
        "new-output",
        "removed-output",
        "other-output",
        "narrower-output",
        "column-added-to-an-output",
        "column-removed-from-an-output",
    ],
)
def test_i4_each_change_of_a_variable_is_classified_with_its_reason(old, new, compatibility, reason):
    found = interface.compare(old, new)
    assert found.compatibility == compatibility
    [only] = found.variables
    assert (only.name, only.compatibility, only.reason) == ("x", compatibility, reason)
    assert only.output == bool(new.outputs or old.outputs)
    assert bool(only.old_type) == bool(old.inputs or old.outputs)
    assert bool(only.new_type) == bool(new.inputs or new.outputs)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (takes(variable("x", INT, description="a")), takes(variable("x", INT, description="b"))),
        (takes(variable("x", CONFIG)), takes(variable("x", SCHEDULED))),
        (takes(X_INT, variable("y", INT)), takes(variable("y", INT), X_INT)),
        (gives(X_INT, variable("y", INT)), gives(variable("y", INT), X_INT)),
    ],
    ids=["descriptions", "names-of-records", "order-of-inputs", "order-of-outputs"],
)
def test_i4_what_is_for_people_does_not_count(old, new):
    assert interface.compare(old, new) == registry_pb2.InterfaceComparison(compatibility=SAME)


def test_i4_all_variables_are_told_in_order_and_the_worst_counts():
    old = Interface(
        inputs=[variable("gone", INT), variable("kept", INT), variable("wider", INT)],
        outputs=[variable("lost", INT), variable("kept", INT)],
    )
    new = Interface(
        inputs=[
            variable("wider", literal_types.optional(INT)),
            variable("kept", INT),
            variable("added", INT, 1),
        ],
        outputs=[variable("kept", INT), variable("more", INT)],
    )
    found = interface.compare(old, new)
    assert found.compatibility == BREAKING
    assert [(each.name, each.output, each.compatibility) for each in found.variables] == [
        ("wider", False, COMPATIBLE),
        ("added", False, COMPATIBLE),
        ("more", True, COMPATIBLE),
        ("gone", False, BREAKING),
        ("lost", True, BREAKING),
    ]


def test_i4_a_default_that_is_nan_is_the_same_default():
    made = takes(variable("x", FLOAT, math.nan))
    assert interface.compare(made, made).compatibility == SAME


def test_s3_a_sensitive_default_is_not_printed():
    secret = literal_types.sensitive(STRING)

    def with_default(value: str) -> Interface:
        made = Variable(name="x", type=secret)
        made.default.CopyFrom(literals.from_str(value))
        return takes(made)

    [changed] = interface.compare(with_default("hunter2"), with_default("hunter3")).variables
    assert changed.reason == "its default is another"
    [added] = interface.compare(takes(), with_default("hunter2")).variables
    assert "hunter2" not in added.reason
    assert "hunter2" not in interface.text(with_default("hunter2"))


TYPES = st.recursive(
    st.sampled_from(
        [NONE, BOOL, INT, FLOAT, STRING, DATETIME, literal_types.file(), literal_types.file("csv")]
    )
    | st.sets(st.sampled_from("abc")).map(lambda names: frame(*sorted(names))),
    lambda inner: (
        inner.map(literal_types.list_of)
        | inner.map(literal_types.optional)
        | st.dictionaries(st.sampled_from("abc"), inner, max_size=3).map(
            lambda fields: literal_types.record("R", fields)
        )
    ),
    max_leaves=6,
)
NAMED = st.dictionaries(st.sampled_from(["a", "b", "c", "o0"]), TYPES, max_size=3)
INTERFACES = st.builds(
    lambda inputs, outputs: Interface(
        inputs=[variable(name, type_) for name, type_ in inputs.items()],
        outputs=[variable(name, type_) for name, type_ in outputs.items()],
    ),
    NAMED,
    NAMED,
)


@hypothesis.given(INTERFACES)
def test_i4_an_interface_is_the_same_as_itself(of):
    assert interface.compare(of, of) == registry_pb2.InterfaceComparison(compatibility=SAME)


@hypothesis.given(INTERFACES, INTERFACES)
def test_i4_breaking_is_exactly_what_cannot_be_assigned_or_found(old, new):
    breaking = {
        (each.name, each.output)
        for each in interface.compare(old, new).variables
        if each.compatibility == BREAKING
    }
    inputs, given = ({each.name: each.type for each in of.inputs} for of in (old, new))
    outputs, got = ({each.name: each.type for each in of.outputs} for of in (old, new))
    expected = {
        (name, False)
        for name in inputs.keys() | given.keys()
        if name not in inputs or name not in given or literal_types.is_assignable(inputs[name], given[name])
    } | {
        (name, True)
        for name in outputs
        if name not in got or literal_types.is_assignable(got[name], outputs[name])
    }
    assert breaking == expected


@hypothesis.given(TYPES, TYPES)
def test_i4_where_a_wider_input_is_fine_a_narrower_output_is(wide, narrow):
    input_ = interface.compare(takes(variable("x", narrow)), takes(variable("x", wide)))
    output = interface.compare(gives(variable("x", wide)), gives(variable("x", narrow)))
    assert input_.compatibility == output.compatibility


@hypothesis.given(st.sets(st.sampled_from("abcdef"), min_size=1), st.sampled_from("uvwxyz"))
def test_i4_a_column_may_come_to_an_output_and_not_go(names, more):
    few, many = gives(variable("o0", frame(*names))), gives(variable("o0", frame(*names, more)))
    assert interface.compare(few, many).compatibility == COMPATIBLE
    assert interface.compare(many, few).compatibility == BREAKING
