"""`typedflow recover` and `typedflow relaunch`: an execution that has been, once more."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from typedflow import errors, literal_types, settings, spelling
from typedflow.cli import connection, inputs, launch, local_server, output, planned, records
from typedflow.pb import identifiers_pb2, interface_pb2

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from typedflow.client import Client, Run
    from typedflow.pb.interface_pb2 import Interface

_WAIT = "Show progress until it has ended; exit with 1 if it fails."


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--version", default="", metavar="TEXT", help="Of the launch plan.  [default: the same]")
@click.option(
    "--set", "pairs", multiple=True, metavar="NAME=VALUE", help="An input in the place of what it was."
)
@click.option("--rerun", multiple=True, metavar="NODE", help="Run this one again although it succeeded.")
@click.option("--dry-run", is_flag=True, help="Only say what would be reused.")
@click.option("--wait", is_flag=True, help=_WAIT)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def recover(
    *,
    id_: str,
    version: str,
    pairs: tuple[str, ...],
    rerun: tuple[str, ...],
    dry_run: bool,
    wait: bool,
    form: str,
) -> None:
    r"""Launch execution ID again, reusing what succeeded; first a table says what is reused, and why the rest is not.

    A node is reused when its key is the same as then. Code and inputs may be others: --version takes those of a
    version that was registered since, --set changes an input.

    \b
        typedflow recover x0c5 --version v2 --set lr=1e-4 --rerun evaluate --wait
    """
    with _client() as (client, is_ours):
        values = _values(client, id_, version, pairs) if pairs else {}
        nodes = client.plan_recovery(id_, version=version, inputs=values, rerun=rerun)
        if form == output.TABLE:
            planned.show(nodes)
        if dry_run:
            if form != output.TABLE:
                output.write({"nodes": [planned.record(node) for node in nodes]}, form)
            return
        run = client.recover(id_, version=version, inputs=values, rerun=rerun)
        _go_on(run, f"which recovers {id_}", form, wait=wait or is_ours)


@click.command()
@click.argument("id_", metavar="ID")
@click.option(
    "--overwrite-cache",
    multiple=True,
    metavar="NODE",
    help="Run this one although the cache has its result; * is all.",
)
@click.option("--wait", is_flag=True, help=_WAIT)
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def relaunch(*, id_: str, overwrite_cache: tuple[str, ...], wait: bool, form: str) -> None:
    """Launch again what execution ID was: the same version with the same inputs."""
    with _client() as (client, is_ours):
        run = client.relaunch(id_, overwrite_cache=overwrite_cache)
        _go_on(run, f"with the inputs of {id_}", form, wait=wait or is_ours)


def _go_on(run: Run, what: str, form: str, *, wait: bool) -> None:
    if wait:
        launch.follow(run, form)
    elif form != output.TABLE:
        output.write(records.execution(run.message), form)
    else:
        click.echo(f"launched {click.style(run.id, bold=True)}, {what}")
        click.echo(f"  `typedflow watch {run.id}` shows its progress")


@contextlib.contextmanager
def _client() -> Iterator[tuple[Client, bool]]:
    """A client, and whether its server is there for this command only: when none is up, as for `typedflow run`."""
    found = settings.load()
    if connection.has_admin() or found.admin or settings.server_json(found.home) is not None:
        with connection.open_client() as client:
            yield client, False
        return
    with (
        local_server.found_or_started(found.home) as server,
        connection.open_client_of(server.grpc, server.token) as client,
    ):
        yield client, True


def _values(client: Client, id_: str, version: str, pairs: Sequence[str]) -> dict[str, object]:
    """What --set says, read by the launch plan's types."""
    plan = client.run(id_).message.launch_plan
    kind = identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN
    taken = client.entity(kind, plan.name, version or plan.version).launch_plan.interface
    return inputs.parse(click.get_current_context(), _given(taken, pairs), (), subject=id_, pairs=pairs)


def _given(taken: Interface, pairs: Sequence[str]) -> Interface:
    """The inputs that are named; the others are as they were."""
    variables = {inputs.dashed(each.name): each for each in taken.inputs}
    result = interface_pb2.Interface()
    for pair in pairs:
        name = inputs.dashed(pair.partition("=")[0])
        if name not in variables:
            near = spelling.nearest(name, list(variables))
            listed = ", ".join(f"{each.name}: {literal_types.text(each.type)}" for each in taken.inputs)
            raise errors.UsageError(
                f"there is no input `{name}`",
                where="--set",
                hint=f"did you mean `{near}`?"
                if near
                else f"there are {listed}"
                if listed
                else "there is none",
                code="UnknownInput",
            )
        result.inputs.append(variables[name])
    return result
