"""Conditionals: their cases, their conditions, what they give, and which nodes can be seen from where."""

import datetime as dt
import decimal
import math

import pytest

from typedflow import literal_types, literals
from typedflow.pb.literals_pb2 import Literal, Union
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import BindingValue, Condition

INT, FLOAT, STRING, BOOL, NONE = (
    literal_types.INT,
    literal_types.FLOAT,
    literal_types.STRING,
    literal_types.BOOL,
    literal_types.NONE,
)
COLOR = literal_types.enum("Color", {"RED": "red", "GREEN": "green"})


@pytest.fixture
def sizes(build):
    """`n > 10`: big(n), else small(n); then report(size)."""
    made = build()
    for name in ("big", "small"):
        made.add_task(name, {"n": INT}, {"o0": INT})
    made.add_task("report", {"n": INT}, {})
    made.add_input("n", INT)
    many = build.compare(build.given("n"), ">", build.value(literals.from_int(10)))
    # The author's order: what is in the cases is made before the conditional is complete.
    made.add_node("report", {"n": build.of("size")})
    build.put(made.add_node("size.big", {"n": build.given("n")}, task="big"), "size", 0)
    build.put(made.add_node("size.small", {"n": build.given("n")}, task="small"), "size", 1)
    size = made.add_branch("size", {"o0": INT})
    build.case(size, many, {"o0": build.of("size.big")})
    build.case(size, None, {"o0": build.of("size.small")})
    return made


def branch(made):
    return next(node for node in made.template.nodes if node.HasField("branch"))


def ids(compiled):
    return [node.id for node in compiled.workflow.nodes]


# Order and scope


def test_a_conditional_comes_before_its_cases_and_what_takes_its_outputs_after_them(sizes):
    assert ids(sizes.compiled()) == ["size", "size.big", "size.small", "report"]


def test_members_wait_for_what_they_need_and_the_conditional_for_what_its_conditions_need(sizes, build):
    sizes.add_task("measure", {}, {"o0": INT})
    sizes.add_node("late", task="measure")
    sizes.add_node("later", task="measure", after=["late"])
    branch(sizes).branch.cases[0].condition.comparison.left.CopyFrom(build.of("late"))
    next(n for n in sizes.template.nodes if n.id == "size.big").inputs[0].value.CopyFrom(build.of("later"))
    assert ids(sizes.compiled()) == ["late", "size", "size.small", "later", "size.big", "report"]


def test_what_is_in_a_case_is_seen_from_inside_it_only(sizes, build):
    sizes.template.nodes[0].inputs[0].value.CopyFrom(build.of("size.big"))
    found = sizes.only()
    assert (found.code, found.node) == ("NodeOutOfScope", "report")
    assert "output of conditional `size`" in found.hint


def test_one_case_does_not_see_another(sizes, build):
    sizes.template.nodes[2].inputs[0].value.CopyFrom(build.of("size.big"))
    assert sizes.only().code == "NodeOutOfScope"
    sizes.template.nodes[2].inputs[0].value.CopyFrom(build.given("n"))
    sizes.template.nodes[2].after.append("size.big")
    assert (
        sizes.only().message
        == "node `size.small` is to run after node `size.big`, which can't be seen from here"
    )


def test_a_condition_does_not_see_what_is_in_its_cases(sizes, build):
    branch(sizes).branch.cases[0].condition.comparison.left.CopyFrom(build.of("size.big"))
    assert sizes.only().code == "NodeOutOfScope"


def test_workflow_outputs_do_not_see_into_cases(sizes, build):
    sizes.add_output("o0", INT, build.of("size.small"))
    assert sizes.only().code == "NodeOutOfScope"


def test_a_case_inside_a_case_sees_out_but_not_the_other_way(sizes, build):
    inner = sizes.add_branch("inner", {"o0": INT})
    few = build.compare(build.of("size.big"), "<", build.value(literals.from_int(99)))
    build.case(inner, few, {"o0": build.of("deep")})
    build.case(inner, None, fail="too many")
    build.put(inner, "size", 0)
    build.put(sizes.add_node("deep", {"n": build.of("size.big")}, task="small"), "inner", 0)
    branch(sizes).branch.cases[0].outputs.bindings[0].value.CopyFrom(build.of("inner"))
    assert ids(sizes.compiled()) == ["size", "size.big", "size.small", "inner", "deep", "report"]
    sizes.template.nodes[1].inputs[0].value.CopyFrom(build.of("deep"))
    assert "NodeOutOfScope" in sizes.codes()


def test_what_is_in_a_case_can_not_wait_for_the_conditional_itself(sizes, build):
    sizes.template.nodes[1].inputs[0].value.CopyFrom(build.of("size"))
    found = sizes.compile().diagnostics
    assert sorted(each.code for each in found) == ["CycleDetected", "UnreachableNodes"]
    assert found[1].given == "size.big -> size -> size.big"


def test_conditionals_inside_each_other_are_a_cycle(sizes, build):
    build.put(branch(sizes), "other", 0)
    other = sizes.add_branch("other", {"o0": INT})
    build.case(other, Condition(value=build.value(literals.from_bool(True))), {"o0": build.of("size")})
    build.case(other, None, fail="no")
    build.put(other, "size", 0)
    assert "CycleDetected" in sizes.codes()


@pytest.mark.parametrize(
    ("node", "case", "code"),
    [
        ("gone", 0, "NodeReferenceNotFound"),
        ("report", 0, "NodeReferenceNotFound"),
        ("size", 2, "InvalidValue"),
    ],
)
def test_a_section_that_there_is_not_is_told(sizes, build, node, case, code):
    build.put(sizes.template.nodes[1], node, case)
    assert code in sizes.codes()


def test_a_section_that_says_nothing_is_told(sizes):
    sizes.template.nodes[0].section.SetInParent()
    assert sizes.only().code == "InvalidValue"


def test_a_node_in_a_case_that_fails_can_never_start(sizes):
    branch(sizes).branch.cases[1].fail = "too small"
    found = sizes.only()
    assert (found.code, found.node) == ("UnreachableNodes", "size.small")


# Cases


def test_a_case_between_must_have_a_condition_too(sizes, build):
    case = branch(sizes).branch.cases.add()
    case.fail = "never"
    case.position.file, case.position.line, case.position.column = "pipeline.py", 7, 3
    branch(sizes).branch.cases[1].position.CopyFrom(case.position)
    found = sizes.only()
    assert (found.code, found.position.line) == ("BranchHasNoCondition", 7)


def test_a_conditional_without_cases_has_no_condition(build):
    made = build()
    made.add_branch("size", {})
    assert made.codes() == ["BranchHasNoCondition"]


def test_a_case_gives_exactly_what_the_conditional_gives(sizes, build):
    outputs = branch(sizes).branch.cases[0].outputs
    outputs.bindings[0].variable = "o1"
    found = sizes.only()
    assert (found.code, found.label) == ("MismatchingBranchOutputs", "it lacks `o0`; it gives `o1` too")
    outputs.bindings.add(variable="o0", value=build.of("size.big"))
    outputs.bindings.add(variable="o0", value=build.of("size.big"))
    del outputs.bindings[0]
    assert sizes.only().code == "ParameterBoundMoreThanOnce"
    branch(sizes).branch.cases[0].ClearField("outputs")
    assert sizes.only().message == "case 1 of conditional `size` says neither what it gives nor that it fails"


def test_cases_give_what_is_assignable_to_what_the_conditional_gives(sizes, build):
    optional = literal_types.optional(INT)
    branch(sizes).branch.outputs[0].type.CopyFrom(optional)
    sizes.tasks["pipeline.report"].interface.inputs[0].type.CopyFrom(optional)
    sizes.compiled()
    branch(sizes).branch.outputs[0].type.CopyFrom(FLOAT)
    found = [each for each in sizes.compile().diagnostics if each.node == "size"]
    assert [each.code for each in found] == ["MismatchingBranchOutputs"] * 2
    assert (found[0].expected, found[0].given) == ("float", "int")


def test_a_constant_in_a_case_takes_the_type_that_the_conditional_gives(sizes, build):
    branch(sizes).branch.outputs[0].type.CopyFrom(FLOAT)
    sizes.tasks["pipeline.report"].interface.inputs[0].type.CopyFrom(FLOAT)
    for i in range(2):
        value = branch(sizes).branch.cases[i].outputs.bindings[0].value
        value.CopyFrom(build.value(literals.from_int(i)))
    compiled = sizes.compiled().workflow.nodes[0].branch
    assert compiled.cases[1].outputs.bindings[0].value.literal == literals.from_float(1.0)


def test_a_conditional_takes_no_inputs_of_its_own(sizes, build):
    branch(sizes).inputs.add(variable="n", value=build.given("n"))
    assert sizes.only().message == "conditional `size` has no input `n`"


# Conditions


def condition_of(made, left: BindingValue, sign: str, right: BindingValue):
    branch(made).branch.cases[0].condition.CopyFrom(made.compare(left, sign, right))
    return made


COMPARABLE = [
    (INT, literals.from_int(1)),
    (FLOAT, literals.from_float(math.nan)),
    (STRING, literals.from_str("a")),
    (literal_types.BYTES, literals.from_bytes(b"a")),
    (literal_types.DATE, literals.from_date(dt.date(2026, 1, 2))),
    (literal_types.DATETIME, literals.from_datetime(dt.datetime(2026, 1, 2, tzinfo=dt.UTC))),
    (literal_types.DURATION, literals.from_duration(dt.timedelta(hours=1))),
    (literal_types.DECIMAL, literals.from_decimal(decimal.Decimal("1.10"))),
    (BOOL, literals.from_bool(True)),
    (NONE, literals.from_none()),
    (COLOR, literals.from_str("red")),
    (literal_types.optional(INT), literals.from_none()),
    (literal_types.optional(COLOR), literals.from_str("red")),
    (literal_types.sensitive(STRING), literals.from_str("secret")),
]
ORDERED = 8


@pytest.mark.parametrize("place", range(len(COMPARABLE)))
def test_e8_values_of_equal_types_are_compared(sizes, build, place):
    type_, constant = COMPARABLE[place]
    sizes.add_input("x", type_)
    sizes.add_input("y", literal_types.plain(type_))
    for right in (build.given("y"), build.value(constant)):
        compiled = condition_of(sizes, build.given("x"), "==", right).compiled()
        assert compiled.workflow.nodes[0].branch.cases[0].condition.HasField("comparison")
    condition_of(sizes, build.value(constant), "!=", build.given("x")).compiled()


@pytest.mark.parametrize("place", range(len(COMPARABLE) - 1))
def test_only_what_has_an_order_is_ordered(sizes, build, place):
    type_, constant = COMPARABLE[place]
    sizes.add_input("x", type_)
    condition_of(sizes, build.given("x"), "<=", build.value(constant))
    assert sizes.codes() == ([] if place < ORDERED else ["ConditionTypeMismatch"])


def test_a_constant_takes_the_type_of_the_other_side(sizes, build):
    sizes.add_input("x", FLOAT)
    compiled = condition_of(sizes, build.given("x"), ">", build.value(literals.from_int(3))).compiled()
    comparison = compiled.workflow.nodes[0].branch.cases[0].condition.comparison
    assert comparison.right.literal == literals.from_float(3.0)
    compiled = condition_of(sizes, build.value(literals.from_int(3)), ">", build.given("x")).compiled()
    comparison = compiled.workflow.nodes[0].branch.cases[0].condition.comparison
    assert (comparison.left.literal, comparison.right) == (literals.from_float(3.0), build.given("x"))


@pytest.mark.parametrize(
    ("type_", "constant"),
    [
        (INT, literals.from_float(3.0)),
        (INT, literals.from_none()),
        (FLOAT, literals.from_int(2**53 + 1)),
        (BOOL, literals.from_int(1)),
        (STRING, literals.from_bytes(b"")),
    ],
    ids=["float as int", "None as int", "inexact", "int as bool", "bytes as str"],
)
def test_a_constant_of_another_type_is_told_with_both_types(sizes, build, type_, constant):
    sizes.add_input("x", type_)
    found = condition_of(sizes, build.given("x"), "==", build.value(constant)).only()
    assert found.code == "ConditionTypeMismatch"
    assert found.expected == literal_types.text(type_)
    assert found.given
    assert found.hint


def test_promises_of_different_types_are_not_compared(sizes, build):
    sizes.add_input("x", FLOAT)
    found = condition_of(sizes, build.given("x"), "<", build.given("n")).only()
    assert (found.code, found.expected, found.given) == ("ConditionTypeMismatch", "float", "int")
    assert found.label == "workflow input `x` is float, workflow input `n` is int"


def test_a_constant_that_no_member_has_is_told_with_the_nearest(sizes, build):
    sizes.add_input("color", COLOR)
    found = condition_of(sizes, build.given("color"), "==", build.value(literals.from_str("gren"))).only()
    assert (found.code, found.hint) == ("IllegalEnumValue", "did you mean 'green'?")


@pytest.mark.parametrize(
    "type_",
    [
        literal_types.list_of(INT),
        literal_types.file(),
        literal_types.record("R", {"a": INT}),
        literal_types.optional(literal_types.list_of(INT)),
    ],
    ids=["list", "file", "record", "optional list"],
)
def test_what_has_parts_is_not_compared(sizes, build, type_):
    sizes.add_input("x", type_)
    sizes.add_input("y", type_)
    assert (
        condition_of(sizes, build.given("x"), "==", build.given("y")).only().code == "ConditionTypeMismatch"
    )


def test_a_part_of_a_promise_is_compared(sizes, build):
    sizes.add_input("x", literal_types.dict_of(literal_types.tuple_of(INT, STRING)))
    left = build.given("x")
    left.promise.path.add(key="a")
    left.promise.path.add(index=-1)
    condition_of(sizes, left, "==", build.value(literals.from_str("b"))).compiled()


def test_two_constants_are_compared_as_one_type(sizes, build):
    one, half = build.value(literals.from_int(1)), build.value(literals.from_float(0.5))
    compiled = condition_of(sizes, one, "<", half).compiled()
    comparison = compiled.workflow.nodes[0].branch.cases[0].condition.comparison
    assert comparison.left.literal == literals.from_float(1.0)
    text = build.value(literals.from_str("x"))
    assert condition_of(sizes, one, "<", text).only().code == "ConditionTypeMismatch"


def test_an_operator_that_there_is_not_is_told(sizes):
    branch(sizes).branch.cases[0].condition.comparison.operator = 17
    assert sizes.only().code == "IllegalEnumValue"


def test_a_bool_is_a_condition_and_nothing_else_is(sizes, build):
    sizes.add_input("flag", BOOL)
    sizes.add_input("maybe", literal_types.optional(BOOL))
    case = branch(sizes).branch.cases[0]
    case.condition.value.CopyFrom(build.given("flag"))
    sizes.compiled()
    case.condition.value.CopyFrom(build.value(literals.from_bool(False)))
    sizes.compiled()
    for wrong in (build.given("n"), build.given("maybe"), build.value(literals.from_int(1)), BindingValue()):
        case.condition.value.CopyFrom(wrong)
        assert sizes.only().code == "ConditionTypeMismatch"


def combined(kind: str, *conditions: Condition) -> Condition:
    made = Condition()
    getattr(made, kind).conditions.extend(conditions)
    return made


def test_conditions_combine_and_the_constants_in_them_convert(sizes, build):
    sizes.add_input("x", FLOAT)
    low = build.compare(build.given("x"), "<", build.value(literals.from_int(3)))
    plain = build.compare(build.given("n"), "<", build.value(literals.from_int(3)))
    condition = Condition(negated=combined("any", plain, combined("all", low, plain)))
    branch(sizes).branch.cases[0].condition.CopyFrom(condition)
    compiled = sizes.compiled().workflow.nodes[0].branch.cases[0].condition
    low.comparison.right.literal.CopyFrom(literals.from_float(3.0))
    assert compiled == Condition(negated=combined("any", plain, combined("all", low, plain)))


@pytest.mark.parametrize("kind", ["", "all", "any", "negated"])
def test_a_condition_that_says_nothing_is_told(sizes, kind):
    empty = Condition()
    if kind:
        getattr(empty, kind).SetInParent()
    branch(sizes).branch.cases[0].condition.CopyFrom(empty)
    assert sizes.only().code == "BranchHasNoCondition"


def test_conditions_are_nested_to_24_levels(sizes, build):
    condition = build.compare(build.given("n"), "<", build.given("n"))
    for _ in range(24):
        condition = Condition(negated=condition)
    branch(sizes).branch.cases[0].condition.CopyFrom(condition)
    sizes.compiled()
    innermost = branch(sizes).branch.cases[0].condition
    for _ in range(300):
        innermost = innermost.negated
    innermost.value.SetInParent()
    assert sizes.only().code == "NestingTooDeep"


def test_every_mistake_in_a_condition_is_told(sizes, build):
    wrong = build.compare(build.given("m"), "<", build.of("gone"))
    branch(sizes).branch.cases[0].condition.CopyFrom(combined("all", wrong, wrong))
    assert sizes.codes()[1:] == ["VariableNameNotFound", "NodeReferenceNotFound"] * 2


# After a failure


def test_what_handles_failures_comes_last_and_takes_inputs_and_the_error(sizes, build):
    sizes.add_task("notify", {"n": INT, "why": STRING}, {"o0": INT})
    why = BindingValue()
    why.error.path.add(field="message")
    handler = sizes.add_node("notify", {"n": build.given("n"), "why": why})
    handler.section.failure.SetInParent()
    second = sizes.add_node("again", {"n": build.of("notify"), "why": why}, task="notify")
    second.section.failure.SetInParent()
    first = list(sizes.template.nodes)
    del sizes.template.nodes[:]
    sizes.template.nodes.extend([first[-1], first[-2], *first[:-2]])
    assert ids(sizes.compiled()) == ["size", "size.big", "size.small", "report", "notify", "again"]


def test_what_handles_failures_sees_no_other_node_and_nobody_sees_it(sizes, build):
    sizes.add_task("notify", {"n": INT}, {"o0": INT})
    handler = sizes.add_node("notify", {"n": build.of("size")})
    handler.section.failure.SetInParent()
    found = sizes.only()
    assert (found.code, found.label) == (
        "NodeOutOfScope",
        "`size` may not have run when the execution has failed",
    )
    handler.inputs[0].value.CopyFrom(build.given("n"))
    sizes.template.nodes[0].inputs[0].value.CopyFrom(build.of("notify"))
    found = sizes.only()
    assert (found.code, found.label) == ("NodeOutOfScope", "`notify` runs only when the execution has failed")
    sizes.template.nodes[0].inputs[0].value.CopyFrom(build.given("n"))
    sizes.add_output("o0", INT, build.of("notify"))
    assert sizes.only().code == "NodeOutOfScope"


def test_the_error_is_seen_after_a_failure_only(sizes, build):
    value = BindingValue()
    value.error.SetInParent()
    error = literal_types.record("ExecutionError", dict.fromkeys(("code", "kind", "message", "node"), STRING))
    sizes.add_task("notify", {"error": error}, {})
    node = sizes.add_node("notify", {"error": value})
    assert sizes.only().code == "NodeOutOfScope"
    node.section.failure.SetInParent()
    sizes.compiled()
    value.error.path.add(field="mesage")
    node.inputs[0].value.CopyFrom(value)
    found = sizes.only()
    assert (found.code, found.hint) == ("FieldNotFound", "did you mean `message`?")


def test_a_workflow_that_only_handles_failures_has_no_entry(build):
    made = build()
    made.add_task("notify", {}, {})
    made.add_node("notify").section.failure.SetInParent()
    assert made.codes() == ["NoEntryNodeFound"]


def test_a_conditional_gives_what_types_it_declares_and_they_are_checked(build):
    made = build()
    size = made.add_branch("size", {"o0": LiteralType()})
    made.case(size, Condition(value=made.value(literals.from_bool(True))), fail="yes")
    made.case(size, None, fail="no")
    assert [(each.code, each.node) for each in made.compile().diagnostics] == [("MissingAnnotation", "size")]


def test_nothing_is_said_of_a_constant_that_is_compared_with_something_sensitive(sizes, build):
    sizes.add_input("token", literal_types.sensitive(INT))
    sizes.add_input("color", literal_types.sensitive(COLOR))
    secret = build.value(literals.from_str("hunter2"))
    for name, code in (("token", "ConditionTypeMismatch"), ("color", "IllegalEnumValue")):
        found = condition_of(sizes, build.given(name), "==", secret).only()
        assert found.code == code
        assert "hunter2" not in str(found)


def test_nothing_is_said_of_a_constant_for_something_sensitive(sizes, build):
    sizes.add_task("login", {"token": literal_types.sensitive(INT)}, {})
    sizes.add_node("login", {"token": build.value(literals.from_str("hunter2"))})
    found = sizes.only()
    assert (found.code, found.given) == ("InvalidValue", "a string")
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("sign", ["==", "!="])
def test_a_constant_that_was_written_for_a_union_differs_from_what_it_is_not_of(sizes, build, sign):
    tagged = build.value(Literal(union=Union(variant=1, value=literals.from_none())))
    compiled = condition_of(sizes, build.given("n"), sign, tagged).compiled()
    condition = compiled.workflow.nodes[0].branch.cases[0].condition
    assert condition.value.literal == literals.from_bool(sign == "!=")
    plain = build.value(literals.from_none())
    assert condition_of(sizes, build.given("n"), sign, plain).only().code == "ConditionTypeMismatch"
    assert condition_of(sizes, build.given("n"), "<", tagged).only().code == "ConditionTypeMismatch"
