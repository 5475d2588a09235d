"""`typedflow explain`: what a code in an error means."""

from __future__ import annotations

import click

from typedflow import errors, spelling
from typedflow.cli import explanations
from typedflow.compiler import explanations as mistakes


@click.command()
@click.argument("code")
def explain(code: str) -> None:
    """Say what a code in an error means, and what to do.

    CODE is what stands in the brackets of `error[CODE]`.
    """
    tables = (mistakes.EXPLANATIONS, explanations.COMMANDS, explanations.ATTEMPTS, explanations.SERVERS)
    known = {each.code: each for table in tables for each in table}
    by_lower = {name.lower(): name for name in known}
    found = known.get(by_lower.get(code.lower(), ""))
    if found is None:
        near = spelling.nearest(code.lower(), list(by_lower))
        raise errors.NotFound(
            f"there is no code `{code}`",
            hint=f"did you mean `{by_lower[near]}`?" if near else "a task's own exceptions are not listed",
        )
    click.secho(found.code, bold=True)
    click.echo(f"{found.meaning}\n\n{found.fix}\n")
    for line in found.example.splitlines():
        click.echo(f"    {line}")
