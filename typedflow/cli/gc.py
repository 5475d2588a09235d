"""`typedflow gc`: makes room on a server."""

from __future__ import annotations

import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from typedflow.cli import ages, connection, failures, output

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.data_pb2 import CollectGarbageResponse


@click.command()
@click.option(
    "--older-than",
    callback=ages.parse,
    metavar="AGE",
    help="Executions that ended longer ago go, and entries neither made nor used since, as in 30d.  [default: none]",
)
@click.option("--all", "everywhere", is_flag=True, help="Of all projects and domains, not only of this one.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def gc(older_than: timedelta | None, everywhere: bool, dry_run: bool, form: str) -> None:
    r"""Make room: forget what is old, then remove the objects that nothing refers to any more.

    Nothing goes that an execution or a cache entry that stays, or a registered bundle, refers to. An object is marked
    first, and removed by a later call when nothing has referred to it for the server's grace period (a day).

    \b
    Examples:
      typedflow gc --dry-run --older-than 30d
      typedflow gc --older-than 30d --all
    """
    with connection.open_client() as client:
        project, domain = ("", "") if everywhere else (client.project, client.domain)
        said = client.collect_garbage(older_than=older_than, project=project, domain=domain, dry_run=dry_run)
        last = _follow(said)
    if form != output.TABLE:
        output.write({"dry_run": dry_run, **_record(last)}, form)
        return
    forgot, removed = ("would forget", "would remove") if dry_run else ("forgot", "removed")
    click.echo(f"{forgot}: {last.executions:,} executions, {last.entries:,} cache entries")
    click.echo(f"{removed}: {last.removed_objects:,} objects, {output.size(last.removed_bytes)}")
    if last.condemned_objects:
        click.echo(
            f"not referred to any more: {last.condemned_objects:,} objects, {output.size(last.condemned_bytes)};"
            " they go in a later call"
        )


def _follow(said: Iterable[CollectGarbageResponse]) -> CollectGarbageResponse:
    """Tells on a terminal's standard error how far it is; gives the last that was said."""
    shown, last = "", None
    for last in said:
        if last.stage != shown and sys.stderr.isatty():
            failures.say(f"{last.stage} ...")
            shown = last.stage
    assert last is not None
    return last


def _record(of: CollectGarbageResponse) -> dict[str, object]:
    return {
        "executions": of.executions,
        "entries": of.entries,
        "condemned_objects": of.condemned_objects,
        "condemned_bytes": of.condemned_bytes,
        "removed_objects": of.removed_objects,
        "removed_bytes": of.removed_bytes,
    }
