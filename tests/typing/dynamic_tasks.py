"""Dynamic tasks, direct calls and what they are told, as type checkers see them."""

from datetime import timedelta
from typing import Annotated, NamedTuple, assert_type

from typedflow import (
    Cache,
    DynamicTask,
    File,
    HashMethod,
    LaunchPlan,
    Resources,
    approve,
    conditional,
    dynamic,
    map_task,
    task,
    wait_for_input,
    workflow,
)
from typedflow.catalog import DiskCatalog, MemoryCatalog
from typedflow.testing import local, mock_task


class Metrics(NamedTuple):
    accuracy: float
    auc: float


def version_of(model: File) -> str:
    return model.name


@task
def train(rate: float) -> Annotated[File, HashMethod(version_of)]:
    return File("model.bin")


@task(cache=Cache(max_age=timedelta(days=7)))
def evaluate(model: File) -> Metrics:
    return Metrics(0.5, 0.5)


@dynamic
def tune(rates: list[float], rounds: int = 3) -> Metrics:
    if not rates:
        return evaluate(model=train(rate=1.0))
    found = [evaluate(model=train(rate=rate)) for rate in rates]
    assert_type(found[0], Metrics)
    return tune(rates=rates[1:], rounds=rounds - 1)


@dynamic(cache=True, retries=2, resources=Resources(cpu="1"), timeout=timedelta(hours=1))
def accuracies(rates: list[float]) -> list[float]:
    limit = wait_for_input("limit", float)
    best = approve(evaluate(model=train(rate=rates[0])), "best")
    first = conditional("c").if_(best.accuracy > limit).then(best.accuracy).else_().then(best.auc)
    mapped = map_task(evaluate)(model=[train(rate=rate) for rate in rates])
    return [first, mapped.accuracy[0]]


@workflow
def search(rates: list[float]) -> float:
    tuned = tune.with_overrides(name="first", retries=1)(rates=rates)
    assert_type(tuned, Metrics)
    assert_type(accuracies(rates=rates), list[float])
    return tune.after(tuned)(rates=rates, rounds=2).accuracy


plan = LaunchPlan(search, name="nightly")
whole: DynamicTask[..., Metrics] = tune


def results() -> None:
    """Of calls outside of a workflow; only type-checked."""
    assert_type(tune([0.1]), Metrics)
    assert_type(tune(rates=[0.1], rounds=2), Metrics)
    assert_type(map_task(accuracies)(rates=[[0.1], [0.2]]), list[list[float]])
    with local(signals={"limit": 0.5, "best": True}, cache="cache"):
        assert_type(accuracies(rates=[0.1]), list[float])
    with (
        local(cache=MemoryCatalog()),
        local(cache=DiskCatalog("cache")),
        mock_task(tune, returns=Metrics(1, 1)),
    ):
        assert_type(search(rates=[0.1]), float)
