"""What authors write, as type checkers see it: a right program passes; `wrong.py` has what does not."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, NamedTuple, assert_type

import pandas as pd
import pandera.pandas as pa
from pandera.typing import DataFrame

from typedflow import (
    Cache,
    Deck,
    Directory,
    File,
    Format,
    LaunchPlan,
    Resources,
    Retry,
    Secret,
    Task,
    Timeout,
    WorkflowFunction,
    current_context,
    task,
    workflow,
)


class Tumours(pa.DataFrameModel):
    mean_radius: float
    target: int


class Metrics(NamedTuple):
    accuracy: float
    auc: float


@dataclass
class Config:
    layers: list[int]
    started: datetime | None = None


@task(retries=2)
def resumes(epochs: int) -> Directory:
    checkpoint = current_context().checkpoint
    assert_type(checkpoint.read(), bytes | None)
    assert_type(checkpoint.restore("state"), bool)
    checkpoint.write(b"1")
    checkpoint.save(current_context().working_folder / "state")
    losses = Deck("losses")
    losses.append("<b>0.5</b>")
    losses.append(pd.DataFrame({"epoch": [1]}))
    losses.append_text(str(epochs))
    assert_type(current_context().deck, Deck)
    return Directory("state")


@task(cache=True)
def ingest(seed: int) -> DataFrame[Tumours]:
    return DataFrame[Tumours]({"mean_radius": [1.0], "target": [seed]})


@task(
    cache=Cache(version="2", serialize=True, ignored_inputs=("log_level",)),
    resources=Resources(cpu="4", mem=("8Gi", "16Gi"), gpu="1"),
    retries=Retry(3, backoff=timedelta(seconds=5), factor=2.0, cap=timedelta(minutes=2)),
    timeout=Timeout(run=timedelta(hours=2), queued=timedelta(minutes=30), deadline=timedelta(hours=6)),
    interruptible=True,
    image="registry/train@sha256:0123",
    environment={"OMP_NUM_THREADS": "4"},
    secrets=[Secret("hf", "token", env="HF_TOKEN")],
)
def train(df: DataFrame[Tumours], trees: int = 100, log_level: str = "info") -> File:
    path = current_context().working_folder / "model.joblib"
    path.write_bytes(bytes(trees))
    return File(path)


@task
def evaluate(model: File, df: DataFrame[Tumours]) -> Metrics:
    with open(model, "rb") as file:  # noqa: PTH123 - a File is os.PathLike
        return Metrics(len(file.read()) / 100, 0.5)


@task
def read(config: Config, table: Annotated[File, Format("csv")]) -> list[str]:
    return [str(n) for n in config.layers]


@workflow(failure_policy="fail_after_running")
def training(trees: int = 100, seed: int = 7) -> Metrics:
    df = ingest(seed=seed)
    model = train.with_overrides(name="fit", retries=1, cache=False).after(df)(df=df, trees=trees)
    return evaluate(model=model, df=df)


nightly = LaunchPlan(
    training, name="nightly", default_inputs={"trees": 300}, fixed_inputs={"seed": 7}, max_parallelism=20
)

whole_task: Task[..., Metrics] = evaluate
whole_workflow: WorkflowFunction[..., Metrics] = training


def results() -> None:
    """Of calls outside of a workflow; only type-checked."""
    assert_type(training(trees=10), Metrics)
    assert_type(training(trees=10).accuracy, float)
    assert_type(ingest(seed=1), DataFrame[Tumours])
