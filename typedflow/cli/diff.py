"""`typedflow diff`: what differs between two versions of what is registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import comparison, connection, output
from typedflow.pb import identifiers_pb2, registry_pb2

if TYPE_CHECKING:
    from typedflow.client import Client
    from typedflow.pb.identifiers_pb2 import EntityKind
    from typedflow.pb.registry_pb2 import CompareEntitiesResponse

# A launch plan comes first: what it is compared by has its workflow in it.
_KINDS: dict[str, EntityKind.ValueType] = {
    "launch-plan": identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN,
    "workflow": identifiers_pb2.ENTITY_KIND_WORKFLOW,
    "task": identifiers_pb2.ENTITY_KIND_TASK,
}
_LONGEST_PATH = 60


@click.command()
@click.argument("name")
@click.argument("v1")
@click.argument("v2")
@click.option(
    "--kind", type=click.Choice(list(_KINDS)), help="Of NAME.  [default: what there is of that name]"
)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def diff(name: str, v1: str, v2: str, kind: str | None, form: str) -> None:
    """Show what differs from version V1 of NAME to V2: the interface, the graph, the code; what breaks is marked.

    NAME is a launch plan with its workflow, a workflow or a task; the last part of a name is enough.
    """
    with connection.open_client() as client:
        found = client.compare(_KINDS[kind] if kind else _kind(client, name), name, v1, v2)
    if form == output.TABLE:
        show(found)
    else:
        output.write(_record(found), form)


def show(found: CompareEntitiesResponse) -> None:
    """Prints what differs."""
    same = found.interface.compatibility == registry_pb2.COMPATIBILITY_SAME and not found.differences
    head = f"{comparison.kind(found.new)} {click.style(found.new.name, bold=True)}"
    versions = f"{found.old.version} -> {found.new.version}"
    if same:
        click.echo(f"{head}  {versions}  the same")
        return
    click.echo(f"{head}  {versions}  interface {comparison.painted(found.interface.compatibility)}")
    if found.interface.variables:
        click.secho("\ninterface", bold=True)
        for line in comparison.lines(found.interface):
            click.echo(line)
    if found.differences:
        click.secho("\ncontent", bold=True)
        width = min(max(len(each.path) for each in found.differences), _LONGEST_PATH)
        for each in found.differences:
            click.echo(_line(each, width))
        if rest := found.differences_count - len(found.differences):
            click.echo(f"  and {rest} more")


def _line(difference: registry_pb2.Difference, width: int) -> str:
    path = output.printable(difference.path).ljust(width)
    old, new = output.printable(difference.old), output.printable(difference.new)
    if not old:
        return click.style(f"  + {path}  {new}", fg="green")
    if not new:
        return click.style(f"  - {path}  {old}", fg="red")
    return f"  {click.style('~', fg='yellow')} {path}  {old}  =>  {new}"


def _record(found: CompareEntitiesResponse) -> dict[str, object]:
    return {
        "kind": comparison.kind(found.new),
        "name": found.new.name,
        "old_version": found.old.version,
        "new_version": found.new.version,
        "interface": comparison.record(found.interface),
        "differences": [
            {"path": each.path, "old": each.old or None, "new": each.new or None}
            for each in found.differences
        ],
        "differences_count": found.differences_count,
    }


def _kind(client: Client, name: str) -> EntityKind.ValueType:
    """The first kind of which there is something of this name."""
    hints = []
    for kind in _KINDS.values():
        try:
            next(client.entities(kind, name))
        except errors.NotFound as error:
            hints.append(error.hint)
        else:
            return kind
    raise errors.NotFound(
        f"there is no launch plan, workflow or task `{name}` in {client.project}/{client.domain}",
        hint=next((hint for hint in hints if hint.startswith("did you mean")), hints[0]),
    )
