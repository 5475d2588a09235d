"""A workflow's body is run once, with promises: what authors try there, and what they are told."""

from __future__ import annotations

import copy
import functools
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from typedflow import WorkflowFunction, conditional, errors, task, workflow
from typedflow.pb import diagnostics_pb2


@dataclass
class Config:
    rate: int


class Pair(NamedTuple):
    low: int
    high: int = 7


@task
def double(n: int) -> int:
    return 2 * n


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def pair(n: int) -> Pair:
    return Pair(n, n + 1)


@task
def log(n: int) -> None:
    pass


@task
def configured(config: Config) -> int:
    return config.rate


@task
def _private(n: int) -> int:
    return n


def mistakes(broken: WorkflowFunction[..., Any]) -> list[diagnostics_pb2.Diagnostic]:
    with pytest.raises(errors.CompileError) as caught:
        broken.compiled  # noqa: B018 - compiles
    return list(caught.value.diagnostics)


def only(broken: WorkflowFunction[..., Any]) -> diagnostics_pb2.Diagnostic:
    (mistake,) = mistakes(broken)
    return mistake


def text_at(mistake: diagnostics_pb2.Diagnostic) -> str:
    line = Path(__file__).read_text("utf-8").splitlines()[mistake.position.line - 1]
    return line[mistake.position.column - 1 :]


def test_an_exception_in_the_body_is_told_on_its_line_and_kept_as_the_cause():
    @workflow
    def broken(n: int) -> int:
        raise ValueError("unknown region")

    mistake = only(broken)
    assert mistake.code == "WorkflowBodyRaised"
    assert "ValueError: unknown region" in mistake.message
    assert text_at(mistake) == 'raise ValueError("unknown region")'
    with pytest.raises(errors.CompileError) as caught:
        broken(n=1)
    assert isinstance(caught.value.__cause__, ValueError)


def test_the_line_of_an_exception_is_the_authors_not_the_librarys():
    @workflow
    def broken(n: int) -> str:
        return json.dumps(double(n=n))

    mistake = only(broken)
    assert mistake.code == "WorkflowBodyRaised"
    assert text_at(mistake) == "json.dumps(double(n=n))"


def test_an_illegal_option_in_the_body_is_told_on_its_line():
    @workflow
    def broken(n: int) -> int:
        return double.with_overrides(retries=-1)(n=n)

    mistake = only(broken)
    assert mistake.code == "InvalidValue"
    assert text_at(mistake) == "double.with_overrides(retries=-1)(n=n)"


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(str, id="str"),
        pytest.param(lambda p: "%s" % p, id="percent"),  # noqa: UP031 - tried
        pytest.param(lambda p: divmod(p, 2), id="divmod"),
        pytest.param(lambda p: p << 1, id="shift"),
        pytest.param(lambda p: bool(p == 3), id="equality"),
        pytest.param(lambda p: p & 3, id="and"),
        pytest.param(lambda p: ~p, id="not"),
        pytest.param(lambda p: (p > 3) and (p < 9), id="and of conditions"),
        pytest.param(lambda p: not (p > 3), id="not of a condition"),
        pytest.param(lambda p: f"{p > 3}", id="text of a condition"),
        pytest.param(lambda p: (p > 3) == True, id="comparison of a condition"),  # noqa: E712 - tried
        pytest.param(lambda p: 3 in p, id="in"),
        pytest.param(lambda p: p in [3, 4], id="in a list"),
        pytest.param(pickle.dumps, id="pickle"),
        pytest.param(lambda p: p[1:2], id="slice"),
        pytest.param(range, id="range"),
    ],
)
def test_a_promise_is_no_value_yet(use: Callable[[Any], object]):
    @workflow
    def broken(n: int) -> int:
        use(double(n=n))
        return double(n=n)

    assert only(broken).code == "PromiseUsedAsValue"


def test_a_promise_that_is_copied_is_the_same():
    @workflow
    def copies(n: int) -> int:
        return double(n=copy.deepcopy(double(n=copy.copy(n))))

    assert copies(n=1) == 4


def test_a_promise_of_another_workflow_is_told_wherever_it_is_used():
    leaked: list[Any] = []

    @workflow
    def source(n: int) -> int:
        leaked.extend([double(n=n), n])
        return double(n=n)

    @workflow
    def as_input(n: int) -> int:
        double(n=100)
        return total(values=[leaked[0], leaked[1]])

    @workflow
    def as_output(n: int) -> int:
        double(n=n)
        return leaked[0]

    @workflow
    def as_order(n: int) -> int:
        return double.after(leaked[0])(n=n)

    @workflow
    def inner(n: int) -> int:
        return double(n=n)

    @workflow
    def into_another(n: int) -> int:
        return inner(n=leaked[1])

    assert source(n=1) == 2
    for broken in (as_input, as_output, as_order, into_another):
        found = mistakes(broken)
        assert {each.code for each in found} == {"NodeReferenceNotFound"}
        assert all("source" in each.message for each in found)


def test_a_tuple_of_promises_is_no_list():
    @workflow
    def literal(n: int) -> int:
        return total(values=(n, n))

    @workflow
    def outputs(n: int) -> int:
        return total(values=pair(n=n))

    for broken in (literal, outputs):
        mistake = only(broken)
        assert mistake.code == "MismatchingTypes"
        assert mistake.hint == "give one of its parts, or write list(...)"


def test_what_gives_nothing_is_good_for_order_only():
    @workflow
    def as_input(n: int) -> int:
        return double(n=log(n=n))

    @workflow
    def as_element(n: int) -> int:
        return total(values=[log(n=n), n])

    @workflow
    def as_output(n: int) -> int:
        return log(n=n)

    @workflow
    def taken_apart(n: int) -> int:
        return double(n=log(n=n).lines)

    @workflow
    def ordered(n: int) -> int:
        return double.after(log(n=n))(n=n)

    assert [only(broken).code for broken in (as_input, as_element, as_output, taken_apart)] == [
        "MismatchingTypes",
        "MismatchingTypes",
        "MismatchingTypes",
        "PromiseUsedAsValue",
    ]
    assert ordered(n=1) == 2


@pytest.mark.parametrize("returns", [True, False])
def test_a_sub_workflow_without_outputs_comes_first_with_all_its_nodes(returns: bool):
    @workflow
    def logged(n: int) -> None:
        log(n=n)
        last = log(n=n)
        return last if returns else None

    @workflow
    def ordered(n: int) -> int:
        return double.after(logged(n=n))(n=n)

    assert list(ordered.compiled.workflow.nodes[-1].after) == ["logged.log", "logged.log-2"]


@pytest.mark.parametrize("passes_on", [True, False])
def test_a_sub_workflows_result_comes_first_with_all_its_nodes(passes_on: bool):
    @workflow
    def logged(n: int) -> int:
        doubled = double(n=n)
        log(n=n)
        return n if passes_on else doubled

    @workflow
    def ordered(n: int) -> int:
        return double.after(logged(n=n))(n=n)

    last = ordered.compiled.workflow.nodes[-1]
    assert sorted(last.after) == ["logged.double", "logged.log"]


@pytest.mark.parametrize("gives", [True, False])
def test_a_sub_workflow_ends_with_its_conditional_not_with_what_is_in_its_cases(gives: bool):
    def body(n: int) -> Any:
        found = conditional("c").if_(n > 1).then(double(n=n)).else_().then(double(n=0))
        return found if gives else None

    body.__annotations__["return"] = int if gives else None
    logged = workflow(body)

    @workflow
    def ordered(n: int) -> int:
        logged.after(double(n=n))(n=n)
        return double.after(logged(n=n))(n=n)

    nodes = {node.id: list(node.after) for node in ordered.compiled.workflow.nodes}
    assert nodes["double-2"] == ["body-2.c"]
    assert nodes["body.c"] == ["double"]
    assert nodes["body.c.double"] == []


def test_after_takes_all_outputs_of_a_call():
    @workflow
    def ordered(n: int) -> int:
        return double.after(pair(n=n), log(n=n))(n=n)

    assert list(ordered.compiled.workflow.nodes[-1].after) == ["pair", "log"]


@pytest.mark.parametrize(
    ("give", "said"),
    [
        (lambda _: None, "returns nothing"),
        (lambda n: (double(n=n), n), "is given a tuple"),
        (lambda _: "x", "expected int, got 'x'"),
    ],
)
def test_a_sub_workflows_wrong_result_is_told_once_where_it_is_called(give: Callable[[Any], Any], said: str):
    @workflow
    def inner(n: int) -> int:
        return give(n)

    @workflow
    def outer(n: int) -> int:
        return double(n=inner(n=n))

    (mistake,) = mistakes(outer)
    assert said in f"{mistake.message}: {mistake.label}"


def test_a_sub_workflow_that_returns_another_number_of_values_is_told():
    @workflow
    def inner(n: int) -> tuple[int, int]:
        return double(n=n)

    @workflow
    def outer(n: int) -> int:
        low, high = inner(n=n)
        return total(values=[low, high])

    mistake = only(outer)
    assert "must return 2 values" in mistake.message
    assert text_at(mistake) == "inner(n=n)"


def test_a_sub_workflows_constant_is_told_at_its_call():
    @workflow
    def inner(n: int) -> int:
        return double(n=n)

    @workflow
    def outer() -> int:
        return inner(n="x")

    mistake = only(outer)
    assert mistake.message.startswith("input `n` of workflow `inner`")
    assert text_at(mistake) == 'inner(n="x")'


def test_workflows_that_call_each_other_are_told_at_the_call():
    @workflow
    def there(n: int) -> int:
        return back(n=n)

    @workflow
    def back(n: int) -> int:
        return there(n=n)

    mistake = only(there)
    assert mistake.code == "CycleDetected"
    assert text_at(mistake) == "there(n=n)"


def test_two_tasks_of_one_name_are_told():
    def scale(by: int) -> Any:
        @task
        def scaled(n: int) -> int:
            return n * by

        return scaled

    @workflow
    def broken(n: int) -> tuple[int, int]:
        return scale(2)(n=n), scale(3)(n=n)

    mistake = only(broken)
    assert mistake.code == "InvalidName"
    assert "another task" in mistake.message


def test_one_task_on_several_terms_is_one_task():
    @workflow
    def twice(n: int) -> int:
        patient = double.with_overrides(retries=3)
        return patient(n=patient.with_overrides(name="first")(n=double(n=n)))

    assert twice(n=1) == 8


def test_i3_a_private_tasks_node_goes_by_its_public_name():
    @workflow
    def uses(n: int) -> int:
        return _private(n=n)

    assert [node.id for node in uses.compiled.workflow.nodes] == ["private"]
    assert uses(n=3) == 3


def test_outputs_of_another_number_are_told_once():
    @workflow
    def broken(n: int) -> tuple[int, int]:
        return double(n=n), n, n

    assert "must return 2 values" in only(broken).message


def test_a_named_tuple_is_made_in_the_body_with_its_defaults():
    @workflow
    def makes(n: int) -> Pair:
        return Pair(low=double(n=n))

    assert makes(n=1) == Pair(2, 7)


def test_columns_count_characters_and_calls_over_lines_begin_where_they_begin():
    @task
    def text(n: int) -> str:
        return ""

    @workflow
    def broken(n: int) -> int:
        return configured(config=Config("é" and double(n=text(n=n))))

    @workflow
    def long(n: int) -> int:
        values = [
            double(
                n=text(n=k),
            )
            for k in range(2)
        ]
        return total(values=values)

    (mistake,) = (each for each in mistakes(broken) if each.code == "MismatchingTypes")
    assert text_at(mistake) == "double(n=text(n=n))))"
    found = mistakes(long)
    assert [each.node for each in found] == ["double"]  # once, however often the loop runs
    assert {text_at(each) for each in found} == {"double("}


def passed_on(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return inner


def test_a_task_may_stand_on_other_decorators():
    @task
    @passed_on
    def stacked(n: int) -> int:
        return n + 1

    @workflow
    def uses(n: int) -> int:
        return stacked(n=n)

    assert uses(n=1) == 2
    assert stacked(n=1) == 2
