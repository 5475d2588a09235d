"""`typedflow check`: every mistake in files, found without a server."""

from __future__ import annotations

import re

import click

from typedflow import errors
from typedflow.authoring import serialize
from typedflow.cli import failures, output, render_diagnostics
from typedflow.pb import diagnostics_pb2, identifiers_pb2

_PLACE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@output.option(output.TABLE, output.JSON, output.LINES)
def check(paths: tuple[str, ...], form: str) -> None:
    """Compile files and tell every mistake; needs no server.

    Exits with 2 when there is one. Places are FILE:LINE:COLUMN, as editors read them; `-o lines` prints one line
    for each, as linters do.
    """
    try:
        entities, mistakes = serialize.check(paths)
    except errors.UsageError as error:
        if form not in (output.JSON, output.LINES):
            raise
        entities, mistakes = serialize.Entities(), _diagnostics(error)
    if form == output.JSON:
        output.write(render_diagnostics.as_json(failures.located(mistakes)), form)
    elif form == output.LINES:
        click.echo(render_diagnostics.lines(failures.located(mistakes)), nl=False)
    elif mistakes:
        failures.show_diagnostics(mistakes, click.get_current_context().color, footer="")
    else:
        click.echo(f"{_found(entities)}: no mistakes")
    if mistakes:
        click.get_current_context().exit(errors.CompileError.exit_code)


def _diagnostics(error: errors.UsageError) -> list[diagnostics_pb2.Diagnostic]:
    """What kept a file from being loaded, as a diagnostic."""
    if isinstance(error, errors.DefinitionError) and error.diagnostics:
        return list(error.diagnostics)
    found = _PLACE.fullmatch(error.where)
    position = identifiers_pb2.SourcePosition(
        file=found["file"] if found else error.where,
        line=int(found["line"]) if found else 0,
        column=int(found["column"] or 0) if found else 0,
    )
    return [
        diagnostics_pb2.Diagnostic(code=error.code, message=error.message, hint=error.hint, position=position)
    ]


def _found(entities: serialize.Entities) -> str:
    counted = {
        "task": len(entities.tasks),
        "workflow": len(entities.workflows),
        "launch plan": len(entities.launch_plans),
    }
    return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counted.items())
