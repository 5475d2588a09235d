"""`typedflow get`: what is registered and what ran, as tables, JSON or YAML."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import click

from typedflow.cli import connection, failures, following, output, progress, records
from typedflow.pb import identifiers_pb2

if TYPE_CHECKING:
    from typedflow.client import Client, Run
    from typedflow.pb.executions_pb2 import NodeExecution
    from typedflow.pb.identifiers_pb2 import EntityKind
    from typedflow.pb.registry_pb2 import EntitySummary

P = ParamSpec("P")
T = TypeVar("T")

_FORMS = (output.TABLE, output.JSON, output.YAML)
_PHASES = ("QUEUED", "RUNNING", "SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT")


def _limit(command: Callable[P, None]) -> Callable[P, None]:
    return click.option(
        "--limit", type=click.IntRange(0), default=50, show_default=True, help="At most so many; 0 is all."
    )(command)


@click.command()
@click.argument("name", required=False)
@_limit
@connection.options
@output.option(*_FORMS)
def tasks(name: str | None, limit: int, form: str) -> None:
    """List tasks, each in its newest version; with NAME, the versions of one, newest first."""
    _entities(identifiers_pb2.ENTITY_KIND_TASK, name, limit, form)


@click.command()
@click.argument("name", required=False)
@_limit
@connection.options
@output.option(*_FORMS)
def workflows(name: str | None, limit: int, form: str) -> None:
    """List workflows, each in its newest version; with NAME, the versions of one, newest first."""
    _entities(identifiers_pb2.ENTITY_KIND_WORKFLOW, name, limit, form)


@click.command()
@click.argument("name", required=False)
@_limit
@connection.options
@output.option(*_FORMS)
def launch_plans(name: str | None, limit: int, form: str) -> None:
    """List launch plans, each in its newest version; with NAME, the versions of one, newest first."""
    _entities(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, name, limit, form)


@click.command()
@click.argument("id_", metavar="[ID]", required=False)
@click.option("--launch-plan", metavar="NAME", help="Only those of this one.")
@click.option(
    "--phase",
    "phases",
    multiple=True,
    type=click.Choice(_PHASES, case_sensitive=False),
    help="Only those in it.",
)
@_limit
@connection.options
@output.option(*_FORMS)
def executions(
    id_: str | None, launch_plan: str | None, phases: tuple[str, ...], limit: int, form: str
) -> None:
    """List executions, newest first; with ID, show one with its nodes."""
    with connection.open_client() as client:
        if id_ is not None:
            _execution(client.run(id_), form)
            return
        plan = _full_name(client, launch_plan) if launch_plan else ""
        found = list(_most(client.runs(launch_plan=plan, phases=phases), limit))
    if form != output.TABLE:
        output.write([records.execution(run.message) for run in found], form)
    elif found:
        _executions(found)
    else:
        asked = " that were asked for" if launch_plan or phases else ""
        failures.say(f"there are no executions{asked} in {client.project}/{client.domain}")


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--of", "parent", default="", metavar="NODE", help="The parts of a map or of a dynamic task.")
@connection.options
@output.option(*_FORMS)
def nodes(id_: str, parent: str, form: str) -> None:
    """List the nodes of execution ID, in the order in which they can run, those of a dynamic task below it.

    Of a map only the counts of its slots are shown; `--of NODE` lists these.
    """
    with connection.open_client() as client:
        found = list(client.nodes(id_, parent=parent))
    if form != output.TABLE:
        output.write([records.node(node) for node in found], form)
    elif found or not parent:
        _nodes(found)
    else:
        failures.say(
            f"node {parent} has no parts: a map has slots once it has begun, a dynamic task has nodes"
        )


def _entities(kind: EntityKind.ValueType, name: str | None, limit: int, form: str) -> None:
    with connection.open_client() as client:
        full = client.entity(kind, name).id.name if name else ""
        found = list(_most(client.entities(kind, full), limit))
    if form != output.TABLE:
        output.write([records.entity(each) for each in found], form)
    elif found:
        _entity_table(kind, found, has_all_versions=name is not None)
    else:
        what = identifiers_pb2.EntityKind.Name(kind).removeprefix("ENTITY_KIND_").replace("_", " ").lower()
        failures.say(
            f"there are no {what}s in {client.project}/{client.domain}; `typedflow register` brings some"
        )


def _entity_table(
    kind: EntityKind.ValueType, found: Iterable[EntitySummary], *, has_all_versions: bool
) -> None:
    headings, rows = ["NAME", "VERSION", "SIGNATURE", "REGISTERED"], []
    for each in found:
        row = [each.id.name, each.id.version, each.signature, records.local_time(each.created_at_us)]
        if kind == identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN:
            # Where a name has one row only, the version that is active may be another.
            row.insert(2, "yes" if each.active else "" if has_all_versions else each.active_version)
        rows.append(row)
    if kind == identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN:
        headings.insert(2, "ACTIVE")
    output.table(headings, rows)


def _full_name(client: Client, launch_plan: str) -> str:
    return client.entity(identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN, launch_plan).id.name


def _execution(run: Run, form: str) -> None:
    if form != output.TABLE:
        output.write(following.record(run), form)
        return
    record = records.execution(run.message)
    plan = run.message.launch_plan
    about = {
        "id": run.id,
        "launch plan": f"{plan.name} {plan.version}",
        "launched by": run.message.principal,
        "phase": run.phase,
        "started": records.local_time(run.message.started_at_us),
        "took": _took(run.message.started_at_us, run.message.ended_at_us),
        **records.origin(run.message),
    }
    output.fields({name: value for name, value in about.items() if value}, indent="")
    stores = following.local_stores()
    for title in ("inputs", "outputs"):
        values = record[title]
        if isinstance(values, dict) and values:
            click.echo(f"\n{title}")
            output.fields({name: following.plain(value, stores) for name, value in values.items()})
    click.echo()
    _nodes([node.message for node in run.nodes])
    if run.error:
        click.echo(f"\n{click.style('error', fg='red', bold=True)}  {run.error}")


def _executions(found: Iterable[Run]) -> None:
    rows: list[Sequence[str]] = [
        (
            run.id,
            run.message.launch_plan.name,
            run.message.launch_plan.version,
            run.phase,
            records.local_time(run.message.created_at_us),
            _took(run.message.started_at_us, run.message.ended_at_us),
            ", ".join(f"{how} {what}" for how, what in records.origin(run.message).items()),
        )
        for run in found
    ]
    headings = ["ID", "LAUNCH PLAN", "VERSION", "PHASE", "CREATED", "TOOK", "NOTE"]
    if not any(row[-1] for row in rows):
        headings, rows = headings[:-1], [row[:-1] for row in rows]
    output.table(headings, rows)


def _nodes(found: Iterable[NodeExecution]) -> None:
    from typedflow import client

    found = progress.in_place(list(found))
    rows: list[Sequence[str]] = [
        (
            node.id,
            client.phase(node.phase),
            client.cache_status(node.cache) if node.ended_at_us else "",
            str(node.attempts or ""),
            _took(node.started_at_us, node.ended_at_us),
            progress.note(node),
        )
        for node in found
    ]
    output.table(("NODE", "PHASE", "CACHE", "ATTEMPTS", "TOOK", "NOTE"), rows)


def _took(started_us: int, ended_us: int) -> str:
    return output.seconds((ended_us - started_us) / 1e6) if started_us and ended_us else ""


def _most(items: Iterable[T], limit: int) -> Iterable[T]:
    return itertools.islice(items, limit) if limit else items
