"""`typedflow register`: files to versions on a server, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from typedflow.authoring import serialize
from typedflow.cli import connection, output
from typedflow.pb import identifiers_pb2, registry_pb2

if TYPE_CHECKING:
    from typedflow.pb.registry_pb2 import RegisterResponse

_STYLES = {"new": "green", "changed": "yellow", "unchanged": ""}


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--version", default="", metavar="TEXT", help="Of all of it.  [default: a hash of the content]")
@click.option("--dry-run", is_flag=True, help="Compile and compare only.")
@click.option(
    "--include", multiple=True, metavar="GLOB", help="Files that the code reads, into the bundle too."
)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def register(
    paths: tuple[str, ...], version: str, dry_run: bool, include: tuple[str, ...], form: str
) -> None:
    """Register what files and folders define: all of it, or nothing when there is a mistake."""
    collected = serialize.collect(paths, include=include)
    with connection.open_client() as client:
        done = client.register_collected(collected, version=version, dry_run=dry_run)
    if form == output.TABLE:
        show(done, dry_run=dry_run)
    else:
        _write(done, form)


def show(done: RegisterResponse, *, dry_run: bool = False) -> None:
    """Prints what is new, changed and unchanged."""
    width = max((len(_kind(entity.id.kind)) for entity in done.entities), default=0)
    for entity in done.entities:
        change = _change(entity.change)
        mark = click.style(change.ljust(9), fg=_STYLES.get(change) or None, dim=change == "unchanged")
        click.echo(f"  {mark}  {_kind(entity.id.kind).ljust(width)}  {entity.id.name}")
    did = "would register" if dry_run else "registered"
    click.echo(f"{did} version {click.style(done.version, bold=True)}")


def _write(done: RegisterResponse, form: str) -> None:
    entities = [
        {
            "kind": _kind(entity.id.kind),
            "name": entity.id.name,
            "version": entity.id.version,
            "change": _change(entity.change),
        }
        for entity in done.entities
    ]
    output.write({"version": done.version, "entities": entities}, form)


def _kind(value: int) -> str:
    name = identifiers_pb2.EntityKind.Name(identifiers_pb2.EntityKind.ValueType(value))
    return name.removeprefix("ENTITY_KIND_").lower().replace("_", " ")


def _change(value: int) -> str:
    return registry_pb2.Change.Name(registry_pb2.Change.ValueType(value)).removeprefix("CHANGE_").lower()
