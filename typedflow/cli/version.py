"""`typedflow version`."""

from __future__ import annotations

import click

import typedflow


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"typedflow {typedflow.__version__}")
