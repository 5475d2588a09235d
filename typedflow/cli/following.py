"""Waiting for an execution in front of its user: progress while it runs, then its outputs or why there are none."""

from __future__ import annotations

import copy
import json
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import errors, settings
from typedflow.cli import output, progress, records
from typedflow.pb import executions_pb2

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
        if run.is_done:
            shown.take(executions_pb2.WatchExecutionResponse(nodes=[node.message for node in run.nodes]))
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


def show_outputs(values: Mapping[str, object], stores: Sequence[Path] | None = None) -> None:
    """Prints outputs by name; where files are, if one of the stores has them (None: those of this machine's server)."""
    if values:
        found = local_stores() if stores is None else stores
        click.echo("outputs")
        output.fields({name: plain(value, found) for name, value in values.items()})


def local_stores() -> list[Path]:
    """The folders of this machine that the server's object store may be, as the settings say."""
    found = settings.load()
    told = [] if "://" in found.store.removeprefix("file://") else [found.store.removeprefix("file://")]
    return [Path(each).expanduser().absolute() for each in (*told, str(found.home / "objects")) if each]


def plain(value: object, stores: Sequence[Path] = ()) -> str:
    """A value on one line: a text as it is, a file's path, and otherwise JSON, as options take it."""
    if isinstance(value, dict) and "digest" in value:
        if "uri" in value:
            what = f"{value['rows']} rows" if "rows" in value else f"{value['size']} bytes"
            return f"{_address(str(value['uri']), stores)} ({what})"
        if "files" in value:
            return f"{value['files']} file{'' if value['files'] == 1 else 's'} ({value['size']} bytes)"
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[:_LONGEST_VALUE]}…"


def _address(uri: str, stores: Sequence[Path]) -> str:
    """Where an object is on this machine, when it is; else its name in the server's store."""
    places = (store / uri for store in stores)
    return str(next((place for place in places if place.is_file()), uri.removeprefix("file://")))


def failure(run: Run) -> errors.ExecutionFailed:
    """Why an execution did not succeed, and where to look."""
    error = run.message.error
    logs = ""
    if error.node and _has_log(run, error.node):
        logs = f"`typedflow logs {run.id} {shlex.quote(error.node)}` has what the task wrote, "
    hint = f"{logs}`typedflow recover {run.id}` goes on from what succeeded"
    return errors.ExecutionFailed(
        f"execution {run.id} {run.phase}" + (f": {_cause(error)}" if error.message else ""),
        error=error,
        where=f"node {error.node}" if error.node else "",
        hint=hint,
    )


def _has_log(run: Run, node: str) -> bool:
    """Whether a task of it ran. What is inside of a map is not listed, and fails as tasks do."""
    return all(each.attempts for each in run.nodes if each.id == node)


def _cause(error: ExecutionError) -> str:
    """In one line where the traceback, which is shown before it, has them all."""
    message = error.message.partition("\n")[0] if error.traceback else error.message
    return message if message.lower().startswith(error.code.lower()) else f"{error.code}: {message}"
