"""Direct calls of every construct on the engine that runs it everywhere (E8-E11, E14, E15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

from typedflow import (
    Deck,
    ExecutionError,
    LaunchPlan,
    NonRecoverable,
    Retry,
    Timeout,
    Workflow,
    approve,
    conditional,
    current_context,
    errors,
    map_task,
    reference_launch_plan,
    reference_workflow,
    sleep,
    task,
    wait_for_input,
    workflow,
)
from typedflow.local_run.signals import Unanswered
from typedflow.testing import local, mock_task

RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> Iterator[None]:
    RAN.clear()
    yield
    RAN.clear()


class Pair(NamedTuple):
    low: int
    high: float


@dataclass
class Choice:
    name: str
    rate: float | None = None


@task
def double(n: int) -> int:
    RAN.append(current_context().node)
    return 2 * n


@task
def negate(n: int) -> int:
    RAN.append(current_context().node)
    return -n


@task
def odd(n: int) -> int:
    RAN.append(current_context().node)
    if n % 2 == 0:
        raise ValueError(f"{n} is even")
    return n


@task
def pair(n: int) -> Pair:
    return Pair(n, n / 2)


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def note(text: str) -> None:
    RAN.append(text)


# Conditionals.


@workflow
def sized(n: int, flag: bool = False) -> int:
    return (
        conditional("size")
        .if_((n > 10) & ~flag)
        .then(double(n=n))
        .elif_(n > 3)
        .then(negate(n=n))
        .else_()
        .fail("too small")
    )


@pytest.mark.parametrize(
    ("n", "flag", "result", "ran"),
    [(11, False, 22, "size.double"), (11, True, -11, "size.negate"), (4, False, -4, "size.negate")],
)
def test_e8_exactly_the_first_true_case_runs(n: int, flag: bool, result: int, ran: str):
    assert sized(n=n, flag=flag) == result
    assert (len(RAN), RAN[0]) == (1, ran)


def test_e8_a_case_may_fail_the_execution():
    with pytest.raises(errors.ExecutionFailed, match="too small") as caught:
        sized(n=1)
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.node) == ("BranchFailed", "size")
    assert RAN == []


def test_e8_branches_nest_and_give_records():
    @workflow
    def nested(n: int) -> float:
        inner = conditional("inner").if_(n == 2).then(pair(n=20)).else_().then(pair(n=30))
        outer = conditional("outer").if_(n > 1).then(inner).else_().then(pair(n=n))
        return outer.high

    assert [nested(n=n) for n in (1, 2, 3)] == [0.5, 10.0, 15.0]


def test_a_conditional_that_gives_nothing_is_waited_for():
    @workflow
    def said(n: int) -> int:
        told = conditional("c").if_(n > 1).then(note(text="more")).else_().then(note(text="less"))
        return double.after(told)(n=n)

    assert said(n=1) == 2
    assert RAN == ["less", "double"]


def test_what_a_case_that_does_not_run_raises_is_never_raised():
    @workflow
    def careful(n: int) -> int:
        return conditional("c").if_(n > 1).then(odd(n=2)).else_().then(double(n=n))

    assert careful(n=1) == 2
    with pytest.raises(ValueError, match="2 is even"):
        careful(n=2)


# Maps.


@workflow
def doubled(values: list[int]) -> list[int]:
    return map_task(double, concurrency=2)(n=values)


@workflow
def odds(values: list[int]) -> list[int | None]:
    return map_task(odd, min_success_ratio=0.5)(n=values)


def test_e9_result_i_is_that_of_element_i():
    assert doubled(values=[3, 1, 2]) == [6, 2, 4]
    assert RAN == ["double[0]", "double[1]", "double[2]"]


def test_e9_an_empty_list_gives_an_empty_list():
    assert doubled(values=[]) == []
    assert odds(values=[]) == []


def test_e9_a_ratio_lets_slots_fail_and_they_give_none():
    assert odds(values=[1, 2, 3, 4]) == [1, None, 3, None]


def test_e9_more_failures_than_may_be_fail_with_the_first_slots_error():
    with pytest.raises(ValueError, match="2 is even") as caught:
        odds(values=[2, 4, 6, 1])
    assert any("`odd[0]`" in each for each in caught.value.__notes__)
    assert "odd[3]" not in RAN  # it can't be had any more


def test_e9_more_slots_than_the_window_have_all_their_results():
    count = 2_500
    assert doubled(values=list(range(count))) == [2 * n for n in range(count)]


def test_e9_lists_of_several_lengths_are_told():
    @task
    def add(a: int, b: int) -> int:
        return a + b

    @workflow
    def sums(a: list[int], b: list[int]) -> list[int]:
        return map_task(add)(a=a, b=b)

    assert sums(a=[1, 2], b=[10, 20]) == [11, 22]
    with pytest.raises(errors.ExecutionFailed) as caught:
        sums(a=[1], b=[1, 2])
    assert caught.value.error is not None
    assert caught.value.error.code == "MapLengthsDiffer"


def test_a_map_of_several_outputs_gives_a_list_for_each():
    @workflow
    def pairs(values: list[int]) -> tuple[list[int], list[float]]:
        mapped = map_task(pair)(n=values)
        return mapped.low, mapped.high

    assert pairs(values=[1, 2]) == ([1, 2], [0.5, 1.0])


def test_e9_each_slot_has_its_own_retries():
    tries: dict[str, int] = {}

    @task(retries=Retry(2, backoff=timedelta(hours=1)))
    def flaky(n: int) -> int:
        node = current_context().node
        tries[node] = tries.get(node, 0) + 1
        if tries[node] <= n:
            raise OSError("not yet")
        return n

    @workflow
    def patient(values: list[int]) -> list[int]:
        return map_task(flaky)(n=values)

    assert patient(values=[0, 1, 2]) == [0, 1, 2]
    assert tries == {"flaky[0]": 1, "flaky[1]": 2, "flaky[2]": 3}


def test_a_mock_stands_in_each_slot():
    with mock_task(double, returns=7):
        assert doubled(values=[1, 2]) == [7, 7]


# Gates.


@workflow
def released(n: int) -> int:
    rate = wait_for_input("rate", int, prompt="How much?")
    model = approve(double(n=rate), "review")
    sleep(timedelta(days=3), name="cool", after=[model])
    return model


def test_e11_signals_come_from_the_test_and_sleeps_are_virtual():
    with local(signals={"rate": 4, "review": True}):
        began = datetime.now(UTC)
        assert released(n=1) == 8
        assert datetime.now(UTC) - began < timedelta(minutes=1)


def test_e11_what_is_not_approved_fails():
    with (
        local(signals={"rate": 4, "review": False}),
        pytest.raises(errors.ExecutionFailed) as caught,
    ):
        released(n=1)
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.node) == ("Rejected", "review")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"waits for `rate`, and nothing was said to it[\s\S]*local\(signals=\{'rate': \.\.\.\}\)"),
        ({"rate": 1}, r"waits for `review`[\s\S]*local\(signals=\{'review': True\}\)"),
        ({"rat": 1, "review": True}, r"`rat` is no gate of workflow `released`[\s\S]*did you mean `rate`"),
        ({"cool": True}, r"`cool` is no gate[\s\S]*its gates are `rate`, `review`"),
        ({"rate": "fast", "review": True}, r"gate `rate`: expected int, got 'fast'"),
        ({"rate": 1, "review": 1}, r"gate `review` is approved or not, and is given 1"),
    ],
    ids=["nothing", "one", "misspelt", "sleep", "type", "no bool"],
)
def test_e11_what_is_wrong_with_signals_is_told(given: dict[str, object], message: str):
    with local(signals=given), pytest.raises(Unanswered, match=message):
        released(n=1)


def test_signals_are_a_mapping_of_names():
    with pytest.raises(errors.UsageError, match="no mapping"), local(signals=[("rate", 1)]):  # type: ignore[arg-type]  # tried
        pass


def test_a_workflow_without_gates_says_so():
    with local(signals={"rate": 1}), pytest.raises(Unanswered, match="it has no gates"):
        doubled(values=[1])


def test_e11_a_signal_is_of_the_type_that_the_author_wrote():
    @task
    def described(choice: Choice) -> str:
        return f"{choice.name} at {choice.rate}"

    @workflow
    def chosen() -> str:
        return described(choice=wait_for_input("choice", Choice))

    built = Workflow("built")
    built.add_output("o0", built.add_node(chosen))

    with local(signals={"choice": Choice("fast", 0.5)}):
        assert chosen() == "fast at 0.5"
    with local(signals={"chosen.choice": Choice("slow")}):
        assert built() == "slow at None"
    with local(signals={"choice": {"name": "fast"}}), pytest.raises(Unanswered, match="gate `choice`"):
        chosen()


def test_e11_a_gate_that_nobody_answers_in_time_times_out():
    @workflow
    def hurried() -> int:
        return double(n=wait_for_input("n", int, timeout=timedelta(hours=1)))

    with pytest.raises(errors.ExecutionFailed) as caught:
        hurried()
    assert caught.value.error is not None
    assert caught.value.error.code == "TimedOut"
    with local(signals={"n": 2}):
        assert hurried() == 4


# Failures.


@task
def notify(n: int, error: ExecutionError) -> None:
    RAN.append(f"{error.node} {error.code} {error.kind} {error.message} {n}")


def test_e7_what_runs_on_failure_runs_once_and_then_the_error_is_raised():
    @workflow(on_failure=notify)
    def watched(n: int) -> int:
        return double(n=odd(n=n))

    assert watched(n=1) == 2
    assert RAN == ["odd", "double"]
    RAN.clear()
    with pytest.raises(ValueError, match="4 is even"):
        watched(n=4)
    assert RAN == ["odd", "odd ValueError USER 4 is even 4"]


def test_e7_a_handler_that_fails_is_noted_on_the_error_that_it_was_for():
    @task
    def clumsy(n: int) -> None:
        raise KeyError("address")

    @workflow(on_failure=clumsy)
    def watched(n: int) -> int:
        return odd(n=n)

    with pytest.raises(ValueError, match="4 is even") as caught:
        watched(n=4)
    assert (
        caught.value.__notes__[1] == "and then its `on_failure` failed, in node `clumsy`: KeyError: 'address'"
    )


def test_e7_fail_fast_starts_nothing_more():
    @workflow
    def wide(n: int) -> int:
        return total(values=[odd(n=n), double(n=n), negate(n=n)])

    with pytest.raises(ValueError, match="2 is even"):
        wide(n=2)
    assert RAN == ["odd"]


def test_e7_fail_after_running_lets_finish_what_can():
    @workflow(failure_policy="fail_after_running")
    def wide(n: int) -> int:
        return total(values=[odd(n=n), negate(n=double(n=n))])

    with pytest.raises(ValueError, match="2 is even"):
        wide(n=2)
    assert RAN == ["odd", "double", "negate"]


def test_e5_what_is_not_recoverable_fails_at_once_in_a_map():
    @task(retries=5)
    def hopeless(n: int) -> int:
        RAN.append("tried")
        raise NonRecoverable("never")

    @workflow
    def stops(values: list[int]) -> list[int]:
        return map_task(hopeless)(n=values)

    with pytest.raises(NonRecoverable):
        stops(values=[1, 2, 3])
    assert RAN == ["tried"]


def test_e6_a_slot_that_took_too_long_has_timed_out():
    @task(timeout=Timeout(run=timedelta(milliseconds=1)))
    def slow(n: int) -> int:
        until = datetime.now(UTC) + timedelta(milliseconds=5)
        while datetime.now(UTC) < until:
            pass
        return n

    @workflow
    def timed(values: list[int]) -> list[int]:
        return map_task(slow)(n=values)

    with pytest.raises(errors.ExecutionFailed) as caught:
        timed(values=[1])
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.node) == ("TimedOut", "slow[0]")


def test_e14_a_checkpoint_outlives_the_attempt_and_is_the_nodes_own():
    @task(retries=2)
    def counts(n: int) -> int:
        checkpoint = current_context().checkpoint
        before = int(checkpoint.read() or b"0")
        checkpoint.write(str(before + n).encode())
        if current_context().attempt < 3:
            raise OSError("lost")
        return before

    @workflow
    def counted(values: list[int]) -> list[int]:
        return map_task(counts)(n=values)

    assert counted(values=[1, 10]) == [2, 20]


def test_a_report_may_be_written():
    @task
    def reports(n: int) -> int:
        Deck("losses").append_text(str(n))
        current_context().deck.append("<b>n</b>")
        return n

    @workflow
    def reported(n: int) -> int:
        return reports(n=n)

    assert reported(n=1) == 1


# Launch plans.

twice = LaunchPlan(sized, name="twice", default_inputs={"n": 20}, fixed_inputs={"flag": False})
reviewed = LaunchPlan(released, name="reviewed", fixed_inputs={"n": 1})


@workflow
def launches(n: int) -> int:
    return total(values=[twice(), twice(n=n)])


def test_a_launched_workflow_runs_as_an_execution_of_its_own():
    assert launches(n=5) == 35
    assert RAN == ["size.double", "size.negate"]


def test_what_a_launched_workflow_raises_is_raised_with_both_places():
    child = LaunchPlan(odds_of_one, name="child")

    @workflow
    def parent(n: int) -> int:
        return double(n=child(n=n))

    assert parent(n=3) == 6
    with pytest.raises(ValueError, match="4 is even") as caught:
        parent(n=4)
    assert [each.partition(" of ")[0] for each in caught.value.__notes__] == [
        "in node `odd`",
        "in node `child`",
    ]
    assert RAN[-1] == "odd ValueError USER 4 is even 4"


@workflow(on_failure=notify)
def odds_of_one(n: int) -> int:
    return odd(n=n)


def test_gates_of_a_launched_workflow_are_named_under_its_node():
    @workflow
    def parent() -> int:
        return double(n=reviewed.with_overrides(name="first")())

    with local(signals={"first.rate": 4, "first.review": True}):
        assert parent() == 16
    with local(signals={"first.rate": 4}), pytest.raises(Unanswered, match=r"waits for `first\.review`"):
        parent()
    with local(signals={"first.rat": 4}), pytest.raises(Unanswered, match=r"did you mean `first\.rate`"):
        parent()


def test_mocks_reach_what_is_launched():
    with mock_task(double, returns=1), mock_task(negate, returns=2):
        assert launches(n=5) == 3


def test_a_workflow_that_launches_itself_comes_to_an_end():
    @workflow
    def forever(n: int) -> int:
        return again(n=n)

    again = LaunchPlan(forever, name="again")
    with pytest.raises(errors.UsageError, match="within each other") as caught:
        forever(n=1)
    assert caught.value.code == "NestingTooDeep"


def test_a_launch_plan_may_be_mocked_and_then_launches_nothing():
    @reference_launch_plan(name="features.nightly", version="v3")
    def nightly(day: int) -> int: ...  # type: ignore[empty-body]

    @workflow
    def parent(n: int) -> int:
        return double(n=nightly(day=twice(n=n)))

    with mock_task(nightly, returns=21), mock_task(twice, returns=1):
        assert parent(n=5) == 42
        assert twice(n=3) == 1
    assert RAN == ["double"]
    with mock_task(nightly, returns="x"), pytest.raises(errors.ConversionError, match="expected int"):  # type: ignore[misc]  # tried
        parent(n=5)
    with pytest.raises(errors.UsageError, match="mock the tasks that it calls"), mock_task(parent, returns=1):
        pass


def test_what_is_registered_elsewhere_does_not_run_here():
    @reference_launch_plan(name="features.nightly", version="v3")
    def nightly(day: int) -> int: ...  # type: ignore[empty-body]

    @reference_workflow(name="features.prepare", version="v3")
    def prepare(day: int) -> int: ...  # type: ignore[empty-body]

    @workflow
    def launches_it(n: int) -> int:
        return nightly(day=n)

    @workflow
    def calls_it(n: int) -> int:
        return prepare(day=n)

    for each in (launches_it, calls_it):
        with pytest.raises(errors.UsageError, match="elsewhere") as caught:
            each(n=1)
        assert caught.value.code == "NotHere"


# Order and copies.


def test_order_alone_holds_between_constructs():
    @workflow
    def ordered(values: list[int]) -> int:
        mapped = map_task(double)(n=values)
        said = note.after(mapped)(text="mapped")
        return total.after(said)(values=[1])

    assert ordered(values=[1, 2]) == 1
    assert RAN == ["double[0]", "double[1]", "mapped"]


def test_e15_each_slot_gets_its_own_copy():
    @task
    def spoils(values: list[int], n: int) -> int:
        values.append(n)
        return len(values)

    @workflow
    def spoilt(values: list[int], ns: list[int]) -> list[int]:
        return map_task(spoils, over=("n",))(values=values, n=ns)

    assert spoilt(values=[0], ns=[1, 2, 3]) == [2, 2, 2]
