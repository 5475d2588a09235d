"""`typedflow up`: a server on this machine, in the foreground."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from typedflow import services, settings
from typedflow.cli import output

_PORT = click.IntRange(0, 65535)


@click.command()
@click.option("--port", type=_PORT, default=8090, show_default=True, help="Of gRPC; 0 is any free one.")
@click.option("--http-port", type=_PORT, default=8091, show_default=True, help="Of HTTP; 0 is any free one.")
@click.option(
    "--home", type=click.Path(path_type=Path), help="Where all of it is kept.  [default: TYPEDFLOW_HOME]"
)
@click.option(
    "--database",
    metavar="URL",
    help="A PostgreSQL database.  [default: TYPEDFLOW_DATABASE, else SQLite in the home]",
)
@click.option(
    "--store", metavar="URL", help="An object store.  [default: TYPEDFLOW_STORE, else a folder in the home]"
)
@click.option(
    "--project-parallelism",
    type=click.IntRange(0),
    help="Tasks of one project that may run at once; 0 is no limit.  [default: TYPEDFLOW_PROJECT_PARALLELISM, else 0]",
)
def up(
    port: int,
    http_port: int,
    home: Path | None,
    database: str | None,
    store: str | None,
    project_parallelism: int | None,
) -> None:
    """Start a server on this machine: API, database and a propeller that runs tasks as processes. Ctrl-C stops it."""
    found = settings.load()
    folder = (home or found.home).absolute()
    with (
        services.stop_signals() as stopped,
        services.embedded(
            folder,
            port=port,
            http_port=http_port,
            ended=stopped.set,
            database=database or found.database,
            store=store or found.store,
            project_parallelism=(
                found.project_parallelism if project_parallelism is None else project_parallelism
            ),
            gc_grace_hours=found.gc_grace_hours,
        ) as info,
    ):
        _show(info, folder)
        stopped.wait()
    click.echo("stopped; executions that had not ended go on when it is up again")


def _show(info: settings.ServerInfo, home: Path) -> None:
    """Prints where the server is and how commands find it."""
    click.secho("typedflow is up", bold=True)
    output.fields({"gRPC": info.grpc, "HTTP": f"http://{info.http}", "home": str(home)})
    if home == settings.load().home:
        click.echo("commands of yours on this machine find it by themselves; Ctrl-C stops it")
    else:
        click.echo(f"commands find it with `export TYPEDFLOW_HOME={shlex.quote(str(home))}`; Ctrl-C stops it")
