"""`typedflow demo`: a real pipeline on a server of its own, launched three times, so that the cache is seen at work.

Everything is in one temporary folder: the server's home, a copy of the pipeline, which its user may edit while the
server stays up, and the report. At the end only the report stays, because it is what people want to look at then.
"""

from __future__ import annotations

import contextlib
import importlib.util
import shlex
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

import typedflow
from typedflow import errors, services
from typedflow.cli import following, output, records

if TYPE_CHECKING:
    from typedflow import settings
    from typedflow.client import Client, RemoteValue, Run

_NEEDED = {"sklearn": "scikit-learn", "pandas": "pandas", "pandera": "pandera", "pyarrow": "pyarrow"}
_WORKFLOW = "tumours.pipeline.training"
_REPORT = "report"


@dataclass(frozen=True, slots=True)
class _Launch:
    title: str
    inputs: Mapping[str, int]


_LAUNCHES = (
    _Launch("nothing is cached yet: every task runs", {"trees": 100}),
    _Launch("the same again: every result is known", {"trees": 100}),
    _Launch("more trees: only what depends on them runs", {"trees": 200}),
)


@click.command()
@click.option("--keep", is_flag=True, help="Leave the server up afterwards, until Ctrl-C.")
def demo(keep: bool) -> None:
    """See it work: a real pipeline on real data, launched three times, on a server of its own on free ports."""
    with _folder(_example()) as folder:
        click.secho("typedflow demo", bold=True)
        with services.embedded(folder / "home") as info:
            _show(info, folder)
            if keep:
                _stay(folder)
        if keep:
            click.echo(
                f"stopped; `typedflow up --home {folder / 'home'}` brings it back, `rm -r {folder}` removes it"
            )
        else:
            shutil.rmtree(folder / "home")
            shutil.rmtree(folder / "tumours")


def _example() -> Path:
    """The pipeline's folder: beside the package in a clone, in it when it is installed."""
    missing = [name for module, name in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise errors.UsageError(
            f"the demo trains a model, for which {', '.join(missing)} must be installed",
            hint="pip install 'typedflow[demo]', or in a clone: pip install -e '.[demo]'",
            code="MissingExtra",
        )
    package = Path(typedflow.__file__).parent
    for folder in (package / "_examples" / "tumours", package.parent / "examples" / "tumours"):
        if folder.is_dir():
            return folder
    raise errors.UsageError(
        "the demo's pipeline is not there", where=str(package), hint="install typedflow again"
    )


@contextlib.contextmanager
def _folder(example: Path) -> Iterator[Path]:
    """A temporary folder with a copy of the pipeline; all of it goes when the demo does not get to its end."""
    folder = Path(tempfile.mkdtemp(prefix="typedflow-demo-"))
    try:
        shutil.copytree(example, folder / "tumours", ignore=shutil.ignore_patterns("__pycache__"))
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _show(info: settings.ServerInfo, folder: Path) -> None:
    """Registers the pipeline, launches it and shows what comes of it."""
    from typedflow import client

    output.fields(
        {
            "server    ": f"{info.grpc} (gRPC), http://{info.http} (HTTP)",
            "home": str(folder / "home"),
            "pipeline": str(folder / "tumours"),
        }
    )
    with client.Client(info.grpc, token=info.token) as connected:
        version = connected.register(folder / "tumours").version
        output.fields({"registered": f"{_WORKFLOW}, version {version}"})
        runs = [_launch(connected, number, each, version) for number, each in enumerate(_LAUNCHES, 1)]
        saved = output.seconds(sum(map(_saved, runs)))
        report: RemoteValue = runs[-1].outputs.report
        _show_result(runs[-1], report.save(folder / "report.html"))
    click.echo(f"\nthe cache saved {click.style(saved, fg='green', bold=True)} of computing")


def _launch(connected: Client, number: int, each: _Launch, version: str) -> Run:
    inputs = " ".join(f"--{name} {value}" for name, value in each.inputs.items())
    click.echo(f"\n{click.style(f'{number}  launch training {inputs}', bold=True)}")
    click.secho(f"   {each.title}", dim=True)
    began = time.monotonic()
    run = connected.launch(_WORKFLOW, version=version, inputs=each.inputs)
    following.wait(run)
    if run.phase != "SUCCEEDED":
        raise following.failure(run)
    nodes = run.nodes
    hits = sum(node.cache == "HIT" for node in nodes)
    click.secho(
        f"   {hits} of {len(nodes)} tasks from the cache, {output.seconds(time.monotonic() - began)}",
        dim=True,
    )
    return run


def _saved(run: Run) -> float:
    return sum(node.message.saved.wall_seconds for node in run.nodes if node.cache == "HIT")


def _show_result(run: Run, report: Path) -> None:
    values = records.values(run.message.outputs, run.message.interface.outputs)
    shown = {name: following.plain(value) for name, value in values.items()}
    click.echo("\noutputs")
    output.fields({**shown, _REPORT: f"{report.as_uri()}  (stays there, for your browser)"})


def _stay(folder: Path) -> None:
    """Says how to go on, and waits for Ctrl-C."""
    home, pipeline = (shlex.quote(str(folder / name)) for name in ("home", "tumours"))
    click.secho("\nthe server stays up until Ctrl-C; in another terminal:", bold=True)
    for line in (
        f"export TYPEDFLOW_HOME={home}",
        "typedflow get executions",
        "typedflow launch training --trees 300 --wait",
        f"typedflow run {pipeline}/pipeline.py training --trees 200    # edit page.py before: only `report` runs again",
    ):
        click.echo(f"  {line}")
    with services.stop_signals() as stopped:
        stopped.wait()
