"""`typedflow check`: every mistake in files, found without a server."""

from __future__ import annotations

import click

from typedflow import errors
from typedflow.authoring import definitions, serialize
from typedflow.cli import failures, output, render_diagnostics


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FILE...")
@output.option(output.TABLE, output.JSON, output.LINES)
def check(paths: tuple[str, ...], form: str) -> None:
    """Compile files and tell every mistake; needs no server.

    Exits with 2 when there is one, or when there is nothing to check. Places are FILE:LINE:COLUMN, as editors read
    them; `-o lines` prints one line for each, as linters do.
    """
    try:
        entities, mistakes = serialize.check(paths)
        if not (entities or mistakes):
            raise serialize.nothing_in(paths)
    except errors.UsageError as error:
        if form == output.TABLE:
            raise
        entities, mistakes = serialize.Entities(), definitions.as_diagnostics(error)
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


def _found(entities: serialize.Entities) -> str:
    counted = {
        "task": len(entities.tasks),
        "workflow": len(entities.workflows),
        "launch plan": len(entities.launch_plans),
    }
    return ", ".join(f"{number} {noun}{'' if number == 1 else 's'}" for noun, number in counted.items())
