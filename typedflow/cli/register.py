"""`typedflow register`: files to versions on a server, all of them or none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from typedflow.authoring import serialize
from typedflow.cli import comparison, connection, output
from typedflow.pb import registry_pb2

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
@click.option("--activate", is_flag=True, help="Make the launch plans the active versions of their names.")
@click.option("--allow-breaking", is_flag=True, help="Even if that breaks what the active versions promise.")
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def register(
    *,
    paths: tuple[str, ...],
    version: str,
    dry_run: bool,
    include: tuple[str, ...],
    activate: bool,
    allow_breaking: bool,
    form: str,
) -> None:
    """Register what files and folders define: all of it, or nothing when there is a mistake.

    Interfaces are compared with those of the active versions, else of the newest.
    """
    if allow_breaking and not activate:
        raise click.UsageError("--allow-breaking is about what --activate may do, so it needs it.")
    collected = serialize.collect(paths, include=include)
    with connection.open_client() as client:
        done = client.register_collected(
            collected, version=version, dry_run=dry_run, activate=activate, allow_breaking=allow_breaking
        )
    if form == output.TABLE:
        show(done, dry_run=dry_run, activated=activate)
    else:
        _write(done, form)


def show(done: RegisterResponse, *, dry_run: bool = False, activated: bool = False) -> None:
    """Prints what is new, changed and unchanged, and what became of the interfaces."""
    kinds = [comparison.kind(entity.id) for entity in done.entities]
    width = max(map(len, kinds), default=0)
    for entity, kind in zip(done.entities, kinds, strict=True):
        change = _change(entity.change)
        mark = click.style(change.ljust(9), fg=_STYLES.get(change) or None, dim=change == "unchanged")
        interface = comparison.short(entity.interface)
        told = f"  {interface}" if interface else ""
        click.echo(f"  {mark}  {kind.ljust(width)}  {entity.id.name}{told}")
    did = "would register" if dry_run else "registered"
    plans = kinds.count("launch plan")
    active = (
        f", and made {plans} launch plan{'' if plans == 1 else 's'} active" if activated and plans else ""
    )
    if dry_run:
        active = active.replace("made", "make")
    click.echo(f"{did} version {click.style(done.version, bold=True)}{active}")


def _write(done: RegisterResponse, form: str) -> None:
    entities = [
        {
            "kind": comparison.kind(entity.id),
            "name": entity.id.name,
            "version": entity.id.version,
            "change": _change(entity.change),
            "interface": comparison.record(entity.interface) if entity.HasField("interface") else None,
        }
        for entity in done.entities
    ]
    output.write({"version": done.version, "entities": entities}, form)


def _change(value: int) -> str:
    return registry_pb2.Change.Name(registry_pb2.Change.ValueType(value)).removeprefix("CHANGE_").lower()
