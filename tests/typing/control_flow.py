"""Branches, maps, gates, launched plans, references, containers and built workflows, as type checkers see them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, assert_type

from typedflow import (
    Cache,
    ContainerTask,
    Cron,
    ExecutionError,
    File,
    FixedRate,
    LaunchPlan,
    Resources,
    Workflow,
    WorkflowFunction,
    approve,
    conditional,
    map_task,
    reference_launch_plan,
    reference_task,
    reference_workflow,
    sleep,
    task,
    wait_for_input,
    workflow,
)


class Metrics(NamedTuple):
    accuracy: float
    auc: float


@dataclass
class Config:
    rate: float
    layers: list[int]


@task
def big(n: int) -> int:
    return n


@task
def mid(n: int) -> int:
    return n


@task
def small(n: int) -> int:
    return n


@task
def is_odd(n: int) -> bool:
    return n % 2 == 1


@task
def scale(x: float, by: float = 2.0) -> float:
    return x * by


@task
def evaluate(n: int) -> Metrics:
    return Metrics(n, n)


@task
def configure(config: Config, extra: dict[str, int], pair: tuple[int, float]) -> Config:
    return config


@task
def log(n: int) -> None: ...


@task
def notify(n: int, error: ExecutionError) -> None:
    assert_type((error.code, error.kind, error.message, error.node), tuple[str, str, str, str])


@reference_task(name="features.scale", version="v3")
def scale_elsewhere(x: float, by: float) -> float: ...  # type: ignore[empty-body]


@reference_workflow(name="features.prepare", version="v3", project="shared", domain="production")
def prepare_elsewhere(day: datetime) -> list[float]: ...  # type: ignore[empty-body]


@reference_launch_plan(name="features.nightly", version="v3")
def nightly_elsewhere(day: datetime) -> Metrics: ...  # type: ignore[empty-body]


@workflow(failure_policy="fail_after_running", on_failure=notify)
def sized(n: int, flag: bool = False) -> int:
    return (
        conditional("size")
        .if_((n > 10) & ~flag)
        .then(big(n=n))
        .elif_(n > 3)
        .then(mid(n=n))
        .else_()
        .then(conditional("inner").if_(is_odd(n=n) | (n == 2)).then(small(n=n)).else_().fail("too small"))
    )


@workflow
def measured(n: int) -> Metrics:
    log.after(sleep(timedelta(minutes=1), name="cool"))(n=n)
    return conditional("m").if_(n > 1).then(evaluate(n=n)).else_().then(evaluate(n=1))


@workflow
def steered(n: int) -> float:
    rate = wait_for_input("rate", float, timeout=timedelta(days=1), prompt="Learning rate?")
    assert_type(rate, float)
    chosen = configure(config=Config(rate=rate, layers=[big(n=n), 3]), extra={"n": n}, pair=(n, rate))
    return approve(scale(x=chosen.rate, by=rate), "review", timeout=timedelta(days=1))


@workflow
def mapped(xs: list[float], by: float = 2.0) -> list[float]:
    lenient = map_task(scale, concurrency=8, min_success_ratio=0.9, over=("x",))(x=xs, by=by)
    assert_type(lenient, list[float | None])
    strict = map_task(scale).with_overrides(name="strict", retries=3, cache=Cache(version="1"))
    return strict.after(lenient)(x=xs, by=by)


tool = ContainerTask(
    "tool",
    image="registry/tool@sha256:0123",
    command=["sh", "-c"],
    arguments=["tool {{inputs.n}} > {{outputs.table}}"],
    inputs={"n": int},
    outputs={"table": File},
    resources=Resources(cpu="1"),
)
nightly = LaunchPlan(sized, name="nightly")
two = LaunchPlan(
    sized, name="two", default_inputs={"n": 2}, schedule=Cron("0 2 * * *", timezone="Europe/Berlin")
)
ten = LaunchPlan(sized, name="ten", fixed_inputs={"n": 10}, schedule=FixedRate(timedelta(hours=1)))


@workflow
def launches(n: int, day: datetime) -> float:
    table: File = tool(n=n)
    first = nightly(n=n)
    second = ten.after(first, table)()
    third = nightly_elsewhere(day=day)
    each = prepare_elsewhere(day=day)
    return scale_elsewhere.after(second)(x=each[0], by=third.auc)


chain = Workflow("chain")
start = chain.add_input("n", int, default=1)
assert_type(start, int)
step = chain.add_node(big, n=start, name="first")
assert_type(step, int)
chain.add_output("result", step)

whole: WorkflowFunction[..., int] = sized


def results() -> None:
    """Of calls outside of a workflow; only type-checked."""
    assert_type(sized(n=3), int)
    assert_type(measured(n=3), Metrics)
    assert_type(mapped(xs=[1.0]), list[float])
    assert_type(map_task(scale)(x=[1.0, 2.0]), list[float])
    assert_type(conditional("a").if_(True).fail("no").else_().then(small(n=1)), int)
    assert_type(nightly(n=3), int)
    assert_type(ten(), int)
    assert_type(nightly_elsewhere(day=datetime.now()), Metrics)  # noqa: DTZ005
