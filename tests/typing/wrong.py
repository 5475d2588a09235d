"""Wrong calls are errors in the editor: each is marked for each checker, and a mark too many is an error too."""

from datetime import timedelta
from typing import NamedTuple

from typedflow import (
    ContainerTask,
    Cron,
    Deck,
    ExecutionError,
    FixedRate,
    LaunchPlan,
    Resources,
    Workflow,
    approve,
    conditional,
    current_context,
    dynamic,
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


@task
def train(rows: list[int], trees: int = 100) -> str:
    return ""


@task
def evaluate(model: str) -> Metrics:
    return Metrics(0.5, 0.5)


@task
def scale(x: float, by: float) -> float:
    return x * by


@task
def notify(error: ExecutionError) -> None: ...


@workflow(on_failure=notify)
def training(trees: int = 100) -> Metrics:
    return evaluate(model=train(rows=[1], trees=trees))


@dynamic(retries=2)
def tune(rounds: int) -> Metrics:
    return tune(rounds=rounds - 1)


@dynamic
def gives_another_type(n: int) -> str:
    return tune(rounds=n)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]


@reference_task(name="a.scale", version="v1")
def elsewhere(x: float) -> float: ...  # type: ignore[empty-body]


@reference_workflow(name="a.prepare", version="v1")
def prepare(day: str) -> list[float]: ...  # type: ignore[empty-body]


@reference_launch_plan(name="a.nightly", version="v1")
def a_nightly(day: str) -> float: ...  # type: ignore[empty-body]


nightly = LaunchPlan(training, name="nightly")
ten = LaunchPlan(training, name="ten", fixed_inputs={"trees": 10})
built = Workflow("built")


def calls() -> None:
    """Of tasks, workflows and launch plans."""
    train(rows=[1], trees="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    train(rows=[1], tree=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train(trees=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train(rows=evaluate(model="m"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    evaluate(model=training())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    evaluate(model="m").accurcy  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    training(trees=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    training(tree=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    nightly(trees="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    nightly(tree=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train(rows=[1], trees=ten())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    elsewhere(x="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    prepare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    a_nightly(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    train.with_overrides(retry=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train.with_overrides(retries="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    train.with_overrides(resources={"cpu": 1})  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    train.with_overrides(name="a")(row=[1])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train.after(training())(rows="x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def dynamic_tasks() -> None:
    """They are called as tasks are."""
    tune(rounds="3")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tune(round=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train(rows=tune(rounds=1))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    tune.with_overrides(retry=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    dynamic(cache="yes")(train.function)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]


def maps() -> None:
    """Which inputs are lists is beyond static types; what comes out is not."""
    evaluate(model=map_task(scale)(x=[1.0], by=2.0))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    map_task(scale)([1.0])  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    map_task(training)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    map_task(scale, concurrency="8")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    map_task(scale, over=1)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    few: list[float] = map_task(scale, min_success_ratio=0.5)(x=[1.0], by=2.0)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    map_task(scale).with_overrides(retry=3)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    train(rows=few)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def branches(n: int) -> None:
    """Every case gives the same type."""
    conditional("a").if_(n > 1).then(n).else_().then("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    conditional("a").if_(n > 1).then(n).elif_(n > 2).then("x")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    conditional("a").if_("yes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    conditional("a").then(n)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    conditional("a").if_(n > 1).else_()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    evaluate(model=conditional("a").if_(n > 1).then(n).else_().then(n))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def gates() -> None:
    """What a gate gives has the type that it was asked for."""
    evaluate(model=wait_for_input("rate", float))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    wait_for_input("rate", float, timeout=3)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    evaluate(model=approve(3, "ok"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    sleep(5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def side_outputs() -> None:
    """What a checkpoint and a report take."""
    current_context().checkpoint.write("text")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    current_context().checkpoint.save(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Deck(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Deck("losses").append_text(0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def definitions() -> None:
    """What decorators, launch plans and builders take."""
    task(cache="yes")(train.function)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow(failure_policy="never")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    workflow(on_failure=print)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    LaunchPlan(train, name="p")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    LaunchPlan(training, name="p", default_inputs=[1])  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]
    LaunchPlan(training, name="p", schedule="0 2 * * *")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    Cron("0 2 * * *", tz="UTC")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    FixedRate(900)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    FixedRate(timedelta(hours=1), kickoff_time_input=True)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    Resources(cpu=[1])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    ContainerTask("t", image=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    evaluate(model=built.add_node(scale, x=1.0, by=1.0))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    evaluate(model=built.add_input("n", int))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    reference_task(name="a.scale")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
