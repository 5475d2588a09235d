"""`typedflow cache`: why something was taken from it or not, what it has, what it saved; and forgetting."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import ages, connection, failures, output, records
from typedflow.pb import identifiers_pb2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.client import Client
    from typedflow.pb.catalog_pb2 import (
        CacheStats,
        CatalogEntry,
        ExplainResponse,
        KeyDifference,
        KeyManifest,
        KeyPart,
        Usage,
    )

_FORMS = (output.TABLE, output.JSON, output.YAML)
_REASONS = {
    "absent": "missed: nothing was there under this key",
    "stale": "missed: what the entry points at is gone",
    "expired": "missed: the entry is older than max_age",
    "overwrite": "not asked: it was to be made anew",
    "fenced": "another made the entry meanwhile",
    "recovered": "taken from the execution that is recovered",
}


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("node")
@connection.options
@output.option(*_FORMS)
def explain(id_: str, node: str, form: str) -> None:
    r"""Say why NODE of execution ID was taken from the cache, or was not: what differs from the nearest entry.

    \b
    Examples:
      typedflow cache explain x01k7 train
      typedflow cache explain x01k7 'train[3]' -o json
    """
    with connection.open_client() as client:
        found = client.explain_cache(id_, node)
    if form != output.TABLE:
        output.write(_explained(found), form)
    else:
        _show(node, found)


@click.command()
@click.argument("task", required=False)
@click.option(
    "--limit", type=click.IntRange(0), default=50, show_default=True, help="At most so many; 0 is all."
)
@connection.options
@output.option(*_FORMS)
def ls(task: str | None, limit: int, form: str) -> None:
    r"""List what the cache has, newest first; with TASK, of that one only.

    \b
    Examples:
      typedflow cache ls
      typedflow cache ls train --limit 0 -o json
    """
    with connection.open_client() as client:
        entries = client.cache_entries(_full_name(client, task))
        found = list(itertools.islice(entries, limit) if limit else entries)
    if form != output.TABLE:
        output.write([_entry(each) for each in found], form)
    elif found:
        rows = [
            (
                each.manifest.task,
                each.key,
                records.local_time(each.created_at_us),
                output.seconds(each.usage.wall_seconds),
                str(each.hits),
                records.local_time(each.last_hit_at_us) if each.last_hit_at_us else "",
                output.size(each.size),
            )
            for each in found
        ]
        output.table(("TASK", "KEY", "MADE", "TOOK", "HITS", "LAST HIT", "SIZE"), rows)
    else:
        failures.say(f"the cache has nothing of that in {client.project}/{client.domain}")


@click.command()
@click.option("--task", metavar="NAME", help="Only this one's.")
@click.option("--launch-plan", metavar="NAME", help="Only this one's.")
@click.option(
    "--since", callback=ages.parse, metavar="AGE", help="Only so far back, as in 7d.  [default: ever]"
)
@connection.options
@output.option(*_FORMS)
def stats(task: str | None, launch_plan: str | None, since: timedelta | None, form: str) -> None:
    r"""Say how often the cache had what was asked for, and what that saved. Counts are kept by the hour.

    \b
    Examples:
      typedflow cache stats
      typedflow cache stats --since 7d --task train
    """
    with connection.open_client() as client:
        plan = (
            client.entity(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, launch_plan).id.name if launch_plan else ""
        )
        after = datetime.now(UTC) - since if since is not None else None
        found = client.cache_stats(task=_full_name(client, task), launch_plan=plan, since=after)
    if form != output.TABLE:
        output.write({"stats": [_stats(each) for each in found.stats], "total": _stats(found.total)}, form)
        return
    rows = [(each.task, each.launch_plan, *_counted(each)) for each in found.stats]
    output.table(
        ("TASK", "LAUNCH PLAN", "HITS", "MISSES", "ENTRIES", "SAVED", "CPU", "GPU"),
        [*rows, ("all", "", *_counted(found.total))],
    )


@click.command()
@click.option("--task", metavar="NAME", help="Only this one's.")
@click.option("--key", "keys", multiple=True, metavar="KEY", help="Only this one; may be repeated.")
@click.option(
    "--older-than", callback=ages.parse, metavar="AGE", help="Only those made longer ago, as in 30d."
)
@click.option("--dry-run", is_flag=True, help="Only say how many they are.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@connection.options
@output.option(*_FORMS)
def evict(
    *,
    task: str | None,
    keys: tuple[str, ...],
    older_than: timedelta | None,
    dry_run: bool,
    yes: bool,
    form: str,
) -> None:
    r"""Forget entries, so that what they have is made anew. What executions gave stays with them.

    \b
    Examples:
      typedflow cache evict --task train --dry-run
      typedflow cache evict --older-than 30d --yes
    """
    if not (task or keys or older_than):
        raise click.UsageError("Say which: --task, --key or --older-than.", click.get_current_context())
    with connection.open_client() as client:
        name = _full_name(client, task)
        count = client.evict_cache(task=name, keys=keys, older_than=older_than, dry_run=True)
        if count and not dry_run:
            if not yes and form == output.TABLE:
                click.confirm(f"Forget {_entries(count)}?", abort=True, err=True)
            elif not yes:
                raise errors.UsageError("nobody can be asked", where="-o", hint="add --yes, or --dry-run")
            count = client.evict_cache(task=name, keys=keys, older_than=older_than)
    if form != output.TABLE:
        output.write({"count": count, "dry_run": dry_run}, form)
    else:
        click.echo(f"{'would forget' if dry_run else 'forgot'} {_entries(count)}")


def _full_name(client: Client, task: str | None) -> str:
    """The full name of a task of which the last part may be given; one that is registered no more is taken as it is."""
    if not task:
        return ""
    try:
        return client.entity(identifiers_pb2.ENTITY_KIND_TASK, task).id.name
    except errors.NotFound:
        return task


def _entries(count: int) -> str:
    return f"{count:,} entr{'y' if count == 1 else 'ies'}"


def _status(found: ExplainResponse) -> str:
    from typedflow import client

    return client.cache_status(found.status)


def _show(node: str, found: ExplainResponse) -> None:
    is_cached = _status(found) != "DISABLED"
    reason = _REASONS.get(found.reason, found.reason) if is_cached else "the task has no cache=True"
    click.echo(f"{click.style(node, bold=True)}  {_status(found)}{f' ({reason})' if reason else ''}")
    pairs = {"key": found.key}
    if found.HasField("nearest"):
        near = found.nearest
        by = f"node {near.node} of execution {near.execution_id}"
        made = f", {records.local_time(near.created_at_us)}" if near.created_at_us else ""
        took = f", took {output.seconds(near.usage.wall_seconds)}" if near.usage.wall_seconds else ""
        pairs["made by" if _status(found) == "HIT" else "nearest"] = by + made + took
    output.fields(pairs)
    if found.differences:
        click.echo("\nwhat differs from it")
        rows = [(each.component, each.name, _change(each)) for each in found.differences]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        for component, name, change in rows:
            click.echo(f"  {component.ljust(widths[0])}  {name.ljust(widths[1])}  {change}".rstrip())
    elif (
        not found.HasField("nearest")
        and _status(found) not in ("HIT", "DISABLED")
        and found.reason in ("", "absent")
    ):
        click.echo("\nthe cache has nothing else of this task to compare it with")


def _change(one: KeyDifference) -> str:
    """Both values where they say something to people; of digests, which nobody reads, that they differ."""
    if one.before and not one.after:
        return "removed"
    if one.after and not one.before:
        return "added" if one.after.startswith("b3:") else f"added: {output.printable(one.after)}"
    if one.before == one.after or one.before.startswith("b3:"):
        return "differs" if one.component.startswith("input") else "changed"
    return output.printable(f"{one.before} -> {one.after}")


def _explained(found: ExplainResponse) -> dict[str, object]:
    return {
        "status": _status(found),
        "reason": found.reason or None,
        "key": found.key,
        "manifest": _manifest(found.manifest),
        "nearest": _entry(found.nearest) if found.HasField("nearest") else None,
        "differences": [
            {
                "component": each.component,
                "name": each.name or None,
                "before": each.before or None,
                "after": each.after or None,
            }
            for each in found.differences
        ],
    }


def _manifest(of: KeyManifest) -> dict[str, object]:
    return {
        "format": of.format,
        "project": of.project,
        "domain": of.domain,
        "task": of.task,
        "code": of.code,
        "salt": of.salt or None,
        "environment": of.environment or None,
        "variables": _parts(of.variables),
        "input_types": _parts(of.input_types),
        "output_types": _parts(of.output_types),
        "inputs": _parts(of.inputs),
    }


def _parts(parts: Sequence[KeyPart]) -> dict[str, str | None]:
    return {part.name: part.value or None for part in parts}


def _entry(of: CatalogEntry) -> dict[str, object]:
    return {
        "key": of.key,
        "task": of.manifest.task or None,
        "execution": of.execution_id,
        "node": of.node,
        "attempt": of.attempt,
        "usage": _usage(of.usage),
        "created_at": records.time(of.created_at_us),
        "hits": of.hits,
        "last_hit_at": records.time(of.last_hit_at_us),
        "size": of.size,
        "has_deck": of.HasField("deck"),
    }


def _usage(of: Usage) -> dict[str, object]:
    return {
        "wall_seconds": of.wall_seconds,
        "cpu_seconds": of.cpu_seconds,
        "gpu_seconds": of.gpu_seconds,
    }


def _stats(of: CacheStats) -> dict[str, object]:
    return {
        "task": of.task or None,
        "launch_plan": of.launch_plan or None,
        "hits": of.hits,
        "misses": of.misses,
        "entries": of.entries,
        "saved": _usage(of.saved),
    }


def _counted(of: CacheStats) -> tuple[str, ...]:
    saved = of.saved
    seconds = (saved.wall_seconds, saved.cpu_seconds, saved.gpu_seconds)
    shown = (output.seconds(each) if each else "" for each in seconds)
    return str(of.hits), str(of.misses), str(of.entries), *shown
