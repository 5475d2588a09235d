"""`typedflow deck`: the report that a task wrote."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from typedflow.cli import connection


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("node")
@click.option(
    "--save",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write it there.  [default: standard output]",
)
@connection.options
def deck(id_: str, node: str, save: Path | None) -> None:
    """Print the report (HTML) of NODE of execution ID: its latest attempt's, or what came with a cached result."""
    with connection.open_client() as client:
        page = client.deck(id_, node)
    if save is None:
        sys.stdout.buffer.write(page)
        sys.stdout.buffer.flush()
    else:
        save.write_bytes(page)
        click.echo(f"{save} ({len(page):,} bytes)")
