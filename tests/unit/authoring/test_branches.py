"""Branches as they are written: which nodes belong to which case, what decides, and what comes out (E8)."""

from __future__ import annotations

import functools
import operator
import time
from typing import Any, NamedTuple

import pytest

from typedflow import conditional, errors, literals, task, workflow
from typedflow.authoring.workflow import WorkflowFunction
from typedflow.pb import workflows_pb2


class Pair(NamedTuple):
    low: int
    high: float


@task
def double(n: int) -> int:
    return 2 * n


@task
def is_odd(n: int) -> bool:
    return n % 2 == 1


@task
def maybe(n: int) -> int | None:
    return n or None


@task
def pair(n: int) -> Pair:
    return Pair(n, n)


@task
def both(n: int) -> tuple[int, str]:
    return n, str(n)


@task
def spread(p: Pair) -> float:
    return p.high


@task
def log(n: int) -> None:
    pass


@workflow
def quadruple(n: int) -> int:
    return double(n=double(n=n))


def node(of: WorkflowFunction[..., Any], id_: str) -> workflows_pb2.Node:
    (found,) = [each for each in of.compiled.workflow.nodes if each.id == id_]
    return found


def sections(of: WorkflowFunction[..., Any]) -> dict[str, tuple[str, int] | None]:
    return {
        each.id: (each.section.branch.node, each.section.branch.case) if each.HasField("section") else None
        for each in of.compiled.workflow.nodes
    }


def test_calls_in_the_parentheses_of_then_belong_to_the_case_and_others_do_not():
    @workflow
    def sized(n: int) -> int:
        before = double(n=n)
        chosen = (
            conditional("size")
            .if_(double(n=n) > 10)
            .then(quadruple(n=before))
            .elif_(is_odd(n=n))
            .then(double(n=double(n=n)))
            .else_()
            .then(before)
        )
        return double(n=chosen)

    assert sections(sized) == {
        "double": None,
        "double-2": None,
        "is_odd": None,
        "size": None,
        "size.quadruple.double": ("size", 0),
        "size.quadruple.double-2": ("size", 0),
        "size.double": ("size", 1),
        "size.double-2": ("size", 1),
        "double-3": None,
    }
    cases = node(sized, "size").branch.cases
    assert [each.outputs.bindings[0].value.promise.node for each in cases] == [
        "size.quadruple.double-2",
        "size.double-2",
        "double",
    ]
    assert [each.HasField("condition") for each in cases] == [True, True, False]


def test_a_conditional_may_stand_in_a_case_of_another():
    @workflow
    def nested(n: int) -> int:
        return (
            conditional("outer")
            .if_(n > 1)
            .then(conditional("inner").if_(n > 2).then(double(n=n)).else_().fail("no"))
            .else_()
            .then(conditional("inner-2").if_(n > 0).then(1).else_().then(double(n=n)))
        )

    assert sections(nested) == {
        "outer": None,
        "outer.inner": ("outer", 0),
        "outer.inner.double": ("outer.inner", 0),
        "outer.inner-2": ("outer", 1),
        "outer.inner-2.double": ("outer.inner-2", 1),
    }
    assert node(nested, "outer.inner").branch.cases[1].fail == "no"


def test_a_conditional_in_a_sub_workflow_is_named_under_it():
    @workflow
    def inner(n: int) -> int:
        return conditional("size").if_(n > 1).then(double(n=n)).else_().then(n)

    @workflow
    def outer(n: int) -> int:
        return inner(n=inner(n=n))

    assert sections(outer) == {
        "inner.size": None,
        "inner.size.double": ("inner.size", 0),
        "inner-2.size": None,
        "inner-2.size.double": ("inner-2.size", 0),
    }


def test_several_outputs_come_back_in_the_form_in_which_they_were_given():
    @workflow
    def named(n: int) -> float:
        chosen = conditional("c").if_(n > 1).then(pair(n=n)).else_().then(pair(n=0))
        assert isinstance(chosen, Pair)
        return spread(p=chosen)

    @workflow
    def positional(n: int) -> int:
        number, _ = conditional("c").if_(n > 1).then(both(n=n)).else_().then((3, "x"))
        return number

    assert [each.name for each in node(named, "c").branch.outputs] == ["low", "high"]
    assert [each.name for each in node(positional, "c").branch.outputs] == ["o0", "o1"]
    fields = node(named, "spread").inputs[0].value.record.fields
    assert [(each.name, each.value.promise.node) for each in fields] == [("low", "c"), ("high", "c")]


def test_what_gives_nothing_gives_an_end_to_wait_for():
    @workflow
    def logged(n: int) -> int:
        done = conditional("c").if_(n > 1).then(log(n=n)).else_().then(log(n=0))
        return double.after(done)(n=n)

    assert list(node(logged, "c").branch.outputs) == []
    assert list(node(logged, "double").after) == ["c"]


def test_a_constant_takes_the_type_of_what_the_other_cases_give():
    @workflow
    def priced(n: int, rate: float) -> float:
        return conditional("c").if_(n > 1).then(1).elif_(n > 0).then(rate).else_().then(2.5)

    cases = node(priced, "c").branch.cases
    assert [each.outputs.bindings[0].value.WhichOneof("value") for each in cases] == [
        "literal",
        "promise",
        "literal",
    ]
    assert cases[0].outputs.bindings[0].value.literal.float == 1.0


OPERATORS = workflows_pb2.Operator


@pytest.mark.parametrize(
    ("decide", "expected"),
    [
        (lambda n: n == 3, OPERATORS.OPERATOR_EQUAL),
        (lambda n: n != 3, OPERATORS.OPERATOR_NOT_EQUAL),
        (lambda n: n < 3, OPERATORS.OPERATOR_LESS),
        (lambda n: n <= 3, OPERATORS.OPERATOR_LESS_OR_EQUAL),
        (lambda n: n > 3, OPERATORS.OPERATOR_GREATER),
        (lambda n: n >= 3, OPERATORS.OPERATOR_GREATER_OR_EQUAL),
        (lambda n: 3 < n, OPERATORS.OPERATOR_GREATER),  # noqa: SIM300 - tried
    ],
    ids=["==", "!=", "<", "<=", ">", ">=", "mirrored"],
)
def test_comparisons_become_conditions(decide: Any, expected: int):
    @workflow
    def compared(n: int) -> int:
        return conditional("c").if_(decide(n)).then(double(n=n)).else_().then(n)

    found = node(compared, "c").branch.cases[0].condition.comparison
    assert found.operator == expected
    assert (found.left.promise.variable, found.right.literal.integer) == ("n", 3)


def test_e8_conditions_combine_in_their_order():
    @workflow
    def combined(n: int, a: bool, b: bool) -> int:
        decides = ((n > 1) & a & ~b) | b | (a & True)
        return conditional("c").if_(decides).then(double(n=n)).else_().then(n)

    found = node(combined, "c").branch.cases[0].condition
    assert [each.WhichOneof("condition") for each in found.any.conditions] == ["all", "value", "all"]
    first = found.any.conditions[0].all.conditions
    assert [each.WhichOneof("condition") for each in first] == ["comparison", "value", "negated"]


def test_an_optional_is_compared_with_none():
    @workflow
    def present(n: int) -> int:
        return conditional("c").if_(maybe(n=n) == None).then(0).else_().then(n)  # noqa: E711 - a promise is no None

    found = node(present, "c").branch.cases[0].condition.comparison
    assert found.right.literal.WhichOneof("value") == "union"


def test_a_conditional_waits_for_what_it_comes_after():
    @workflow
    def waits(n: int) -> int:
        done = log(n=n)
        return conditional("c").after(done, pair(n=n)).if_(n > 1).then(double(n=n)).else_().then(n)

    assert list(node(waits, "c").after) == ["log", "pair"]


def test_a_promise_of_another_body_decides_nothing():
    leaked: list[Any] = []

    @workflow
    def other(n: int) -> int:
        leaked.append(n)
        return double(n=n)

    @workflow
    def broken(n: int) -> int:
        return conditional("c").if_(leaked[0] > 1).then(double(n=n)).else_().then(n)

    assert [each.id for each in other.compiled.workflow.nodes] == ["double"]
    with pytest.raises(errors.CompileError) as caught:
        broken.compiled  # noqa: B018 - compiles
    assert {each.code for each in caught.value.diagnostics} == {"NodeReferenceNotFound"}


def test_a_conditional_that_goes_on_after_its_end_is_told():
    @workflow
    def twice(n: int) -> int:
        begun = conditional("c").if_(n > 3).then(double(n=n))
        begun.else_().then(double(n=1))
        return begun.else_().then(double(n=2))

    with pytest.raises(errors.CompileError) as failure:
        _ = twice.compiled
    assert [each.code for each in failure.value.diagnostics] == ["NodeOutOfScope"]


def test_a_conditional_outside_of_a_body_is_told():
    with pytest.raises(errors.StateConflict, match="in the body of a workflow only"):
        conditional("c")


def test_i3_conditionals_of_one_name_are_numbered_in_their_order():
    @workflow
    def looped(n: int) -> list[int]:
        return [conditional("c").if_(n > i).then(double(n=n)).else_().then(n) for i in range(2)]

    assert sections(looped) == {"c": None, "c.double": ("c", 0), "c-2": None, "c-2.double": ("c-2", 0)}


@pytest.mark.parametrize("uncalled", [double, lambda: double(n=1)], ids=["task", "lambda"])
def test_what_is_not_called_in_a_case_is_told(uncalled: Any):
    @workflow
    def broken(n: int) -> int:
        return conditional("c").if_(n > 1).then(uncalled).else_().then(n)

    with pytest.raises(errors.CompileError) as caught:
        broken.compiled  # noqa: B018 - compiles
    (mistake,) = caught.value.diagnostics
    assert mistake.code == "InvalidValue"
    assert mistake.hint.startswith("call it")


def test_w4_a_long_chain_of_conditions_is_one_list():
    @workflow
    def chosen(n: int) -> int:
        decides = functools.reduce(operator.or_, [n == i for i in range(3_000)])
        return conditional("c").if_(decides).then(double(n=n)).else_().then(n)

    began = time.process_time()
    assert len(node(chosen, "c").branch.cases[0].condition.any.conditions) == 3_000
    assert time.process_time() - began < 2


@workflow
def first_or_odd(n: int, other: int | None = None) -> int | None:
    with_default = conditional("given").if_(other == None).then(maybe(n=n)).else_().then(other)  # noqa: E711 - a promise
    double(n=n)
    return with_default


@workflow
def gives_an_int(n: int) -> int | None:
    return first_or_odd(n=n, other=n)


@workflow
def gives_a_constant(n: int) -> int | None:
    return first_or_odd(n=n, other=3)


@workflow
def gives_none(n: int) -> int | None:
    return first_or_odd(n=n)


@pytest.mark.parametrize("calling", [gives_an_int, gives_a_constant, gives_none])
def test_a_sub_workflow_decides_by_its_own_types_whatever_narrower_it_is_given(
    calling: WorkflowFunction[[int], int | None],
):
    nodes = {each.id: each for each in calling.compiled.workflow.nodes}
    given = nodes["first_or_odd.given"].branch
    assert given.outputs[0].type == first_or_odd.compiled.workflow.interface.outputs[0].type
    condition = given.cases[0].condition
    if calling is gives_none:
        assert condition.comparison.left.literal.HasField("none")
    else:
        assert condition.value.literal == literals.from_bool(False)


def test_a_sub_workflow_may_be_given_constants_whatever_its_body_does_with_them():
    @workflow
    def sized(n: int, flag: bool, sizes: Pair, limit: int | None = None) -> int:
        return (
            conditional("size")
            .if_((n > sizes.low) & ~flag)
            .then(double(n=sizes.low))
            .elif_(limit == 3)
            .then(n)
            .else_()
            .then(double(n=n))
        )

    @workflow
    def twice(n: int) -> int:
        return double(
            n=sized(n=sized(n=1, flag=True, sizes=Pair(2, 3.5)), flag=False, sizes=Pair(4, 1.0), limit=3)
        )

    nodes = {each.id: each for each in twice.compiled.workflow.nodes}
    both = nodes["sized-2.size"].branch.cases[0].condition.all.conditions
    assert both[0].comparison.right.literal == literals.from_int(4)
    assert both[1].negated.value.literal == literals.from_bool(False)
    assert nodes["sized.size.double"].inputs[0].value.literal == literals.from_int(2)


def test_a_constant_is_no_value_to_a_sub_workflows_body():
    @workflow
    def counted(n: int) -> int:
        return double(n=list(range(n))[-1])

    @workflow
    def calling() -> int:
        return counted(n=3)

    for broken in (counted, calling):
        with pytest.raises(errors.CompileError) as failure:
            _ = broken.compiled
        assert failure.value.diagnostics[0].code == "PromiseUsedAsValue"


def test_a_part_that_a_constant_does_not_have_is_told():
    @workflow
    def first(ns: list[int], named: dict[str, int]) -> int:
        double(n=ns[0])
        return double(n=named["a"])

    @workflow
    def calling() -> int:
        return first(ns=[], named={"b": 1})

    with pytest.raises(errors.CompileError) as failure:
        _ = calling.compiled
    assert [each.message for each in failure.value.diagnostics] == [
        "`ns` has no `[0]`",
        "`named` has no `['a']`",
    ]
