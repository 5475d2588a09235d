"""Learns from 569 biopsies which tumours are malignant: ingest, validate, split, train, evaluate, report.

Run it here with `training(trees=10)`, or with `typedflow run examples/tumours/pipeline.py training --trees 200`.
"""

from pathlib import Path
from typing import Annotated, NamedTuple

import joblib
import pandas as pd
from pandera.typing import DataFrame
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split

from tumours import page
from tumours.features import LABEL, MEASURED, Tumours, tidy
from tumours.page import Curve
from typedflow import File, Format, Resources, task, workflow

Model = Annotated[File, Format("joblib")]
Page = Annotated[File, Format("html")]


class Split(NamedTuple):
    """Rows to learn from, and rows to be judged by."""

    learning: DataFrame[Tumours]
    judging: DataFrame[Tumours]


class Evaluation(NamedTuple):
    """How well a model does on rows that it has not seen."""

    accuracy: float
    auc: float
    curve: Curve


class Trained(NamedTuple):
    """What the workflow gives."""

    accuracy: float
    auc: float
    report: Page


@task(cache=True)
def ingest() -> pd.DataFrame:
    """The Wisconsin breast cancer table, as scikit-learn ships it."""
    return pd.DataFrame(load_breast_cancer(as_frame=True).frame)


@task(cache=True)
def validate(raw: pd.DataFrame) -> DataFrame[Tumours]:
    """Gives the columns that matter. The return type is the check: a row that breaks the schema fails this task."""
    return DataFrame[Tumours](tidy(raw))


@task(cache=True)
def split(tumours: DataFrame[Tumours], seed: int) -> Split:
    """Keeps a third for judging, with as many malignant ones in each part."""
    parts = train_test_split(tumours, test_size=1 / 3, random_state=seed, stratify=tumours[LABEL])
    learning, judging = map(DataFrame[Tumours], parts)
    return Split(learning, judging)


# Gets a GPU where there is one. A machine without says so and runs it on the CPU, which is all that a forest needs.
@task(cache=True, resources=Resources(gpu="1"))
def train(rows: DataFrame[Tumours], trees: int, depth: int, seed: int) -> Model:
    """Grows a random forest."""
    forest = RandomForestClassifier(n_estimators=trees, max_depth=depth, random_state=seed)
    forest.fit(rows[MEASURED], rows[LABEL])
    joblib.dump(forest, "forest.joblib")
    print(f"grew {trees} trees of depth {depth} on {len(rows)} tumours")
    return File("forest.joblib")


@task(cache=True)
def evaluate(model: Model, rows: DataFrame[Tumours]) -> Evaluation:
    """Judges a model on rows that it has not seen."""
    probability = joblib.load(model).predict_proba(rows[MEASURED])[:, 1]
    false_alarms, found, _ = roc_curve(rows[LABEL], probability)
    return Evaluation(
        accuracy=float(accuracy_score(rows[LABEL], probability > 0.5)),
        auc=float(roc_auc_score(rows[LABEL], probability)),
        curve=Curve(false_alarms.tolist(), found.tolist()),
    )


@task(cache=True)
def report(accuracy: float, auc: float, curve: Curve) -> Page:
    """Draws the curve."""
    figures = {"accuracy": accuracy, "area under the curve": auc}
    Path("report.html").write_text(page.render("Malignant or benign?", figures, curve), "utf-8")
    return File("report.html")


@workflow
def training(trees: int = 100, depth: int = 6, seed: int = 7) -> Trained:
    """Trains a forest on the tumours table and reports how good it is.

    Args:
        trees: how many trees the forest has.
        depth: how deep each may grow.
        seed: of the split and of the forest.
    """
    parts = split(tumours=validate(raw=ingest()), seed=seed)
    model = train(rows=parts.learning, trees=trees, depth=depth, seed=seed)
    judged = evaluate(model=model, rows=parts.judging)
    drawn = report(accuracy=judged.accuracy, auc=judged.auc, curve=judged.curve)
    return Trained(judged.accuracy, judged.auc, drawn)
