"""Direct calls: workflows and tasks run in this process, typed, on the engine (E15)."""

from __future__ import annotations

from concurrent import futures
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from typedflow import File, NonRecoverable, Retry, Timeout, current_context, errors, task, workflow
from typedflow.testing import local, mock_task


class Metrics(NamedTuple):
    accuracy: float
    auc: float


@dataclass
class Layer:
    width: int
    name: str = "dense"


@dataclass
class Config:
    layers: list[Layer]
    rate: float | None = None


@task
def double(n: int) -> int:
    return 2 * n


@task
def add(a: int, b: int = 1) -> int:
    return a + b


@task
def metrics(n: int) -> Metrics:
    return Metrics(accuracy=n / 10, auc=0.5)


@workflow
def quadruple_and_one(n: int = 3) -> int:
    return add(a=double(n=double(n=n)))


def test_e15_a_workflow_call_gives_real_values():
    assert quadruple_and_one(n=10) == 41
    assert quadruple_and_one() == 13
    assert quadruple_and_one(2) == 9


def test_a_task_call_checks_types_and_runs_the_body():
    assert double(n=4) == 8
    with pytest.raises(errors.ConversionError, match=r"n.*int"):
        double(n="4")  # type: ignore[arg-type]  # tried


def test_every_wrong_argument_is_named_at_once():
    with pytest.raises(errors.ConversionError) as caught:
        add(c=1)  # type: ignore[call-arg]  # tried
    assert "no input `c`" in str(caught.value)
    assert "input `a` is missing" in str(caught.value)


def test_named_outputs_come_back_as_the_authors_named_tuple():
    @workflow
    def measured(n: int) -> Metrics:
        return metrics(n=n)

    result = measured(n=9)
    assert isinstance(result, Metrics)
    assert result == Metrics(0.9, 0.5)


def test_fields_of_records_and_elements_of_lists_are_wired():
    @task
    def configure(width: int) -> Config:
        return Config(layers=[Layer(width), Layer(width * 2, "wide")], rate=0.25)

    @task
    def describe(layer: Layer, rate: float | None) -> str:
        return f"{layer.name}:{layer.width}@{rate}"

    @workflow
    def described(width: int) -> str:
        config = configure(width=width)
        return describe(layer=config.layers[1], rate=config.rate)

    assert described(width=8) == "wide:16@0.25"


def test_lists_of_promises_feed_list_inputs():
    @task
    def total(values: list[int]) -> int:
        return sum(values)

    @workflow
    def summed(n: int) -> int:
        return total(values=[double(n=n), n, 5])

    assert summed(n=2) == 11


def test_e15_each_consumer_gets_its_own_copy():
    @task
    def make() -> list[int]:
        return [1, 2, 3]

    @task
    def spoil(values: list[int]) -> int:
        values.clear()
        return 0

    @task
    def count(values: list[int], after: int) -> int:
        return len(values)

    @workflow
    def copies() -> int:
        made = make()
        return count(values=made, after=spoil(values=made))

    assert copies() == 3


def test_order_only_edges_and_names_of_nodes():
    seen: list[str] = []

    @task
    def first(n: int) -> None:
        seen.append(current_context().node)

    @task
    def second(n: int) -> int:
        seen.append(current_context().node)
        return n

    @workflow
    def ordered(n: int) -> int:
        b = second.with_overrides(name="tail")
        a = first(n=n)
        return b.after(a)(n=n)

    assert ordered(n=1) == 1
    assert seen == ["first", "tail"]


def test_i3_node_ids_are_the_called_task_and_its_order():
    @workflow
    def chain(n: int) -> int:
        return add(a=double(n=double(n=n)))

    @workflow
    def outer(n: int) -> int:
        return double(n=chain(n=n))

    assert [node.id for node in outer.compiled.workflow.nodes] == [
        "chain.double",
        "chain.double-2",
        "chain.add",
        "double",
    ]
    assert outer(n=1) == 10


def test_what_a_task_raises_reaches_the_caller_with_the_node_in_its_notes():
    @task
    def fail(n: int) -> int:
        raise ValueError(f"no {n}")

    @workflow
    def failing(n: int) -> int:
        return double(n=fail(n=n))

    with pytest.raises(ValueError, match="no 3") as caught:
        failing(n=3)
    assert any("`fail`" in note for note in caught.value.__notes__)


def test_e5_retries_are_counted_and_pauses_are_virtual():
    tries: list[int] = []

    @task(retries=Retry(2, backoff=timedelta(hours=1)))
    def flaky(n: int) -> int:
        tries.append(current_context().attempt)
        if len(tries) < 3:
            raise OSError("not yet")
        return n

    @workflow
    def patient(n: int) -> int:
        return flaky(n=n)

    assert patient(n=5) == 5
    assert tries == [1, 2, 3]


def test_e5_non_recoverable_stops_at_once():
    tries: list[int] = []

    @task(retries=5)
    def hopeless(n: int) -> int:
        tries.append(n)
        raise NonRecoverable("never")

    @workflow
    def stops(n: int) -> int:
        return hopeless(n=n)

    with pytest.raises(NonRecoverable, match="never"):
        stops(n=1)
    assert len(tries) == 1


def test_e15_a_timeout_is_judged_when_the_task_returns():
    @task(timeout=Timeout(run=timedelta(milliseconds=1)))
    def slow(n: int) -> int:
        until = datetime.now(UTC) + timedelta(milliseconds=5)
        while datetime.now(UTC) < until:
            pass
        return n

    @workflow
    def timed(n: int) -> int:
        return slow(n=n)

    with pytest.raises(errors.ExecutionFailed) as caught:
        timed(n=1)
    assert caught.value.error is not None
    assert caught.value.error.code == "TimedOut"


@pytest.mark.parametrize("raises_late", [False, True])
def test_e15_what_an_attempt_before_raised_is_not_why_the_last_one_timed_out(raises_late):
    tries: list[int] = []

    @task(retries=1, timeout=Timeout(run=timedelta(milliseconds=200)))
    def first_fails_then_is_slow(n: int) -> int:
        tries.append(n)
        if len(tries) == 1:
            raise ValueError("the first attempt's")
        until = datetime.now(UTC) + timedelta(milliseconds=250)
        while datetime.now(UTC) < until:
            pass
        if raises_late:
            raise ValueError("the second attempt's, too late to count")
        return n

    @workflow
    def timed(n: int) -> int:
        return first_fails_then_is_slow(n=n)

    with pytest.raises(errors.ExecutionFailed) as caught:
        timed(n=1)
    assert caught.value.error is not None
    assert caught.value.error.code == "TimedOut"
    assert len(tries) == 2


def test_a_wrong_result_names_the_output():
    @task
    def lies(n: int) -> int:
        return "four"  # type: ignore[return-value]  # tried

    @workflow
    def believes(n: int) -> int:
        return lies(n=n)

    with pytest.raises(errors.ConversionError, match=r"o0.*int"):
        believes(n=1)


def test_fail_after_running_lets_the_rest_finish():
    ran: list[str] = []

    @task
    def fails(n: int) -> int:
        raise ValueError("broken")

    @task
    def works(n: int) -> int:
        ran.append("works")
        return n

    @workflow(failure_policy="fail_after_running")
    def partial(n: int) -> int:
        return add(a=fails(n=n), b=works(n=n))

    with pytest.raises(ValueError, match="broken"):
        partial(n=1)
    assert ran == ["works"]


def test_files_travel_between_tasks(tmp_path: Path):
    @task
    def write(text: str) -> File:
        Path("note.txt")
        target = current_context().working_folder
        target.mkdir(parents=True, exist_ok=True)
        (target / "note.txt").write_text(text)
        return File(target / "note.txt")

    @task
    def read(file: File) -> str:
        return Path(file).read_text()

    @workflow
    def through_a_file(text: str) -> str:
        return read(file=write(text=text))

    assert through_a_file(text="hello") == "hello"


def test_the_cache_is_off_unless_asked_for(typedflow_cache):
    assert cached_square(n=3) == 9
    assert cached_square(n=3) == 9
    assert len(SQUARED) == 1
    with local():
        assert cached_square(n=3) == 9
    assert len(SQUARED) == 2


SQUARED: list[int] = []


@task(cache=True)
def square(n: int) -> int:
    SQUARED.append(n)
    return n * n


@workflow
def cached_square(n: int) -> int:
    return square(n=n)


EFFECTS: list[int] = []


@task(cache=True)
def affect(n: int) -> None:
    EFFECTS.append(n)


@task(cache=True)
def find(n: int) -> int | None:
    EFFECTS.append(n)
    return None


@workflow
def nothing(n: int) -> int | None:
    return find.after(affect(n=n))(n=n)


def test_c8_nothing_and_none_are_results_that_are_cached(typedflow_cache):
    assert nothing(n=1) is None
    assert nothing(n=1) is None
    assert EFFECTS == [1, 1]  # each of the two tasks once


def test_a_mocked_task_stands_for_its_own():
    with mock_task(double, returns=100):
        assert quadruple_and_one(n=1) == 101
    assert quadruple_and_one(n=1) == 5
    with mock_task(double, returns="x"), pytest.raises(errors.ConversionError):  # type: ignore[misc]  # tried
        quadruple_and_one(n=1)


def test_a_workflow_without_tasks_on_the_way_passes_datetimes_through():
    @task
    def later(at: datetime) -> datetime:
        return at + timedelta(days=1)

    @workflow
    def tomorrow(at: datetime) -> datetime:
        return later(at=at)

    now = datetime(2026, 2, 28, 12, tzinfo=UTC)
    assert tomorrow(at=now) == now + timedelta(days=1)
    with pytest.raises(errors.ConversionError, match="time zone"):
        tomorrow(at=datetime(2026, 2, 28))  # noqa: DTZ001 - naive on purpose


def test_a_working_folder_is_there_and_the_attempts_own():
    @task
    def write(text: str) -> File:
        target = current_context().working_folder / "note.txt"
        with target.open("x") as file:
            file.write(text)
        return File(target)

    @task
    def joined(files: list[File]) -> str:
        return "".join(Path(file).read_text() for file in files)

    @workflow
    def notes() -> str:
        return joined(files=[write(text="a"), write(text="b")])

    assert notes() == "ab"
    assert Path(write(text="c")).read_text() == "c"


def test_a_mock_stands_in_for_the_task_wherever_it_is_called():
    @task
    def calls(n: int) -> int:
        return double(n=n) + 1

    with mock_task(double, returns=100):
        assert double(n=1) == 100
        assert calls(n=1) == 101
    assert calls(n=1) == 3


def test_only_a_task_can_be_mocked():
    with pytest.raises(errors.UsageError, match="not a task"), mock_task(len, returns=1):  # type: ignore[arg-type]  # tried
        pass


def test_a_task_that_exits_has_failed_like_any_other():
    tries: list[int] = []

    @task(retries=1)
    def leaves(n: int) -> int:
        tries.append(n)
        raise SystemExit(3)

    @workflow
    def left(n: int) -> int:
        return leaves(n=n)

    with pytest.raises(SystemExit):
        left(n=1)
    assert len(tries) == 2


def test_an_exception_that_cannot_be_printed_still_reaches_the_caller():
    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no text")

    @task
    def fails(n: int) -> int:
        raise SilentError

    @workflow
    def failing(n: int) -> int:
        return fails(n=n)

    with pytest.raises(SilentError):
        failing(n=1)


def test_threads_run_workflows_side_by_side():
    @workflow
    def chain(n: int) -> int:
        for _ in range(10):
            n = double(n=n)
        return n

    with futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda n: chain(n=n), range(32))) == [n * 2**10 for n in range(32)]


@pytest.mark.parametrize("kind", ["task", "workflow"])
@pytest.mark.parametrize("form", ["async def", "generator"])
def test_what_gives_its_values_by_and_by_is_no_task(kind: str, form: str):
    async def later(n: int) -> int:
        return n

    def bit_by_bit(n: int) -> int:  # type: ignore[misc]  # tried
        yield n

    function, message = (later, "`async def`") if form == "async def" else (bit_by_bit, "is a generator")
    with pytest.raises(errors.DefinitionError, match=message) as caught:
        (task if kind == "task" else workflow)(function)  # of either
    assert ("asyncio.run" in str(caught.value)) == (kind == "task" and form == "async def")


def test_what_is_missing_from_an_annotation_is_said():
    with pytest.raises(errors.DefinitionError, match=r"int \| None"):

        @task
        def absent(n: int = None) -> int:  # type: ignore[assignment]  # noqa: RUF013 - tried
            return 1

    with pytest.raises(errors.DefinitionError, match="TYPE_CHECKING"):

        @task
        def unknown(n: Unknown) -> int:  # type: ignore[name-defined]  # noqa: F821 - tried
            return 1


def test_e15_a_task_does_not_suffer_for_another_that_is_late_meanwhile():
    @task
    def slow(n: int) -> int:
        until = datetime.now(UTC) + timedelta(milliseconds=60)
        while datetime.now(UTC) < until:
            pass
        return n

    @task(timeout=Timeout(deadline=timedelta(milliseconds=20)))
    def waits(n: int) -> int:
        return n

    @workflow(failure_policy="fail_after_running")
    def beside(n: int) -> tuple[int, int]:
        return double(n=slow(n=n)), waits(n=n)

    with pytest.raises(errors.ExecutionFailed) as caught:
        beside(n=1)
    assert caught.value.error is not None
    assert (caught.value.error.code, caught.value.error.node) == ("TimedOut", "waits")
