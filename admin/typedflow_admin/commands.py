"""`typedflow admin`: the control plane as a process of its own. Loads nothing heavy before it serves."""

from __future__ import annotations

from pathlib import Path

import click

_PORT = click.IntRange(0, 65535)


@click.group()
def admin() -> None:
    """The control plane as a process of its own."""


@admin.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=_PORT, default=8090, show_default=True, help="Of gRPC; 0 is any free one.")
@click.option("--http-port", type=_PORT, default=8091, show_default=True, help="Of HTTP; 0 is any free one.")
@click.option("--home", type=click.Path(path_type=Path), help="Its folder.  [default: TYPEDFLOW_HOME]")
@click.option("--insecure", is_flag=True, help="Listen beyond this machine although nothing is encrypted.")
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
def serve(
    *,
    host: str,
    port: int,
    http_port: int,
    home: Path | None,
    insecure: bool,
    database: str | None,
    store: str | None,
    project_parallelism: int | None,
) -> None:
    """Serve gRPC and HTTP until Ctrl-C; propellers run what is launched.

    The token that every call needs is TYPEDFLOW_TOKEN; without one it is made anew. server.json in the home has it.
    """
    from typedflow import services, settings
    from typedflow_admin import server

    found = settings.load()
    options = server.Options(
        home=(home or found.home).absolute(),
        host=host,
        port=port,
        http_port=http_port,
        token=found.token,
        insecure=insecure,
        database=database or found.database,
        store=store or found.store,
        project_parallelism=(
            found.project_parallelism if project_parallelism is None else project_parallelism
        ),
        gc_grace_hours=found.gc_grace_hours,
    )
    with (
        services.stop_signals() as stopped,
        server.EmbeddedServer(options, propeller=False, ended=stopped.set) as info,
    ):
        click.echo(f"admin serves gRPC at {info.grpc}, HTTP at http://{info.http}")
        click.echo(
            f"run what is launched with `typedflow propeller run --home {options.home}`; Ctrl-C stops this"
        )
        stopped.wait()
