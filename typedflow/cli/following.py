"""Waiting for an execution in front of its user: progress while it runs, then its outputs or why there are none."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import output, progress, records

if TYPE_CHECKING:
    from typedflow.client import Run
    from typedflow.pb.errors_pb2 import ExecutionError

_LONGEST_VALUE = 100
_LOADED_BYTES = 16 * 1024 * 1024
"""Larger values are told to programs by where they are."""


def announce(run: Run, form: str = output.TABLE) -> None:
    """Says which execution it is that is waited for."""
    plan = run.message.launch_plan
    said = f"execution {click.style(run.id, bold=True)} of {plan.name} {click.style(plan.version, dim=True)}"
    click.echo(said, err=form != output.TABLE)


def wait(run: Run, form: str = output.TABLE) -> None:
    """Waits for the end and shows progress: on standard output, unless that is for programs."""
    with progress.of(err=form != output.TABLE) as shown:
        run.wait(check=False, on_change=shown.take)


def finish(run: Run, form: str = output.TABLE) -> None:
    """Prints what came of an execution that has ended.

    Raises:
        ExecutionFailed: it did not succeed.
    """
    if form != output.TABLE:
        output.write(record(run), form)
    elif run.phase == "SUCCEEDED":
        show_outputs(records.values(run.message.outputs, run.message.interface.outputs))
    if run.phase != "SUCCEEDED":
        raise failure(run)


def record(run: Run) -> dict[str, object]:
    """The execution with its nodes, as JSON has it."""
    message = copy.deepcopy(run.message)
    message.inputs.CopyFrom(run.whole(run.message.inputs, _LOADED_BYTES))
    if run.message.HasField("outputs"):
        message.outputs.CopyFrom(run.whole(run.message.outputs, _LOADED_BYTES))
    return records.execution(message, (node.message for node in run.nodes))


def show_outputs(values: Mapping[str, object]) -> None:
    """Prints outputs by name."""
    if values:
        click.echo("outputs")
        output.fields({name: plain(value) for name, value in values.items()})


def plain(value: object) -> str:
    """A value on one line: a text as it is, a file's path, and otherwise JSON, as options take it."""
    if isinstance(value, dict) and "digest" in value and "uri" in value:
        what = f"{value['rows']} rows" if "rows" in value else f"{value['size']} bytes"
        return f"{str(value['uri']).removeprefix('file://')} ({what})"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"


def failure(run: Run) -> errors.ExecutionFailed:
    """Why an execution did not succeed, and where to look."""
    error = run.message.error
    hint = f"`typedflow logs {run.id} {error.node}` has what the task wrote" if error.node else ""
    return errors.ExecutionFailed(
        f"execution {run.id} {run.phase}" + (f": {_cause(error)}" if error.message else ""),
        error=error,
        where=f"node {error.node}" if error.node else "",
        hint=hint,
    )


def _cause(error: ExecutionError) -> str:
    """In one line where the traceback, which is shown before it, has them all."""
    message = error.message.partition("\n")[0] if error.traceback else error.message
    return message if message.startswith(error.code) else f"{error.code}: {message}"
