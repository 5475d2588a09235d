"""How mistakes are told: one form for all of them, on standard error, without a traceback.

```
error[NotFound]: there is no launch plan `trainin`
  --> default/development
   = help: did you mean `training`?
```
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import render_diagnostics

if TYPE_CHECKING:
    from typedflow.pb.diagnostics_pb2 import Diagnostic
    from typedflow.pb.errors_pb2 import ExecutionError


class Interrupted(Exception):
    """Ctrl-C during a command; the message says what becomes of what was under way and how to go on."""


def show(error: errors.TypedflowError, color: bool | None = None) -> None:
    """Tells an error. Wrong wiring comes with the author's lines."""
    if isinstance(error, errors.CompileError) and error.diagnostics:
        show_diagnostics(error.diagnostics, color)
        return
    if isinstance(error, errors.ExecutionFailed) and error.error is not None:
        show_traceback(error.error, color)
    if isinstance(error, errors.BreakingChange):
        from typedflow.cli import comparison  # noqa: PLC0415 - brings json, which help and most mistakes do without

        click.echo("\n".join(comparison.refusal(error)), err=True, color=color)
        return
    _tell(error.code, error.message, error.where, error.hint, color)


def show_diagnostics(
    diagnostics: Sequence[Diagnostic], color: bool | None, *, footer: str = "nothing registered"
) -> None:
    """Tells mistakes with the author's lines, and then their number with what became of it."""
    painted = sys.stderr.isatty() if color is None else color
    shown = render_diagnostics.text(
        located(diagnostics), read_source=read_source, color=painted, width=_columns(), footer=footer
    )
    click.echo(shown, nl=False, err=True, color=color)


def _columns() -> int:
    """The width of the terminal that errors go to; wide enough for most lines where they go elsewhere."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 160


def show_click(error: click.ClickException, color: bool | None = None) -> None:
    """Tells what click found wrong in the arguments."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True, color=color)
        return
    hint = f"`{context.command_path} --help` lists what there is" if context is not None else ""
    _tell(errors.UsageError.code, error.format_message(), "", hint, color)


def show_traceback(error: ExecutionError, color: bool | None = None) -> None:
    """The author's frames of what a task raised."""
    if error.traceback:
        click.secho(error.traceback.rstrip(), dim=True, err=True, color=color)


def say(text: str) -> None:
    """A sentence on standard error."""
    click.echo(text, err=True)


def located(diagnostics: Sequence[Diagnostic]) -> list[Diagnostic]:
    """Diagnostics whose files are named from the working folder, as editors and terminals follow them.

    A template names files under their import root; those of this process are on its import path.
    """
    result = []
    for each in diagnostics:
        copy = type(each)()
        copy.CopyFrom(each)
        found = _find(copy.position.file)
        if found is not None:
            relative = os.path.relpath(found)
            copy.position.file = str(found) if relative.startswith("..") else relative
        result.append(copy)
    return result


def read_source(file: str) -> str | None:
    """The text of a file named by `located`; None when it can't be read."""
    try:
        return Path(file).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _find(file: str) -> Path | None:
    if not file:
        return None
    if Path(file).is_absolute():
        return Path(file)
    return next((path for folder in sys.path if (path := Path(folder or ".") / file).is_file()), None)


def _tell(code: str, message: str, where: str, hint: str, color: bool | None) -> None:
    head = click.style(f"error[{code}]", fg="red", bold=True)
    lines = [head + click.style(f": {message}", bold=True)]
    if where:
        lines.append(f"  {click.style('-->', fg='blue', bold=True)} {where}")
    if hint:
        lines.append(f"   {click.style('=', fg='blue', bold=True)} {click.style('help', bold=True)}: {hint}")
    click.echo("\n".join(lines), err=True, color=color)
