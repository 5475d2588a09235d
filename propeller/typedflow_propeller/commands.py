"""`typedflow propeller`: what drives executions, as a process of its own. Loads nothing heavy before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from typedflow import settings


@click.group()
def propeller() -> None:
    """What drives executions, as a process of its own."""


@propeller.command()
@click.option(
    "--admin",
    metavar="HOST:PORT",
    help="Where admin is.  [default: TYPEDFLOW_ADMIN, or the home's server.json]",
)
@click.option(
    "--token", metavar="TEXT", help="For every call.  [default: TYPEDFLOW_TOKEN, or the home's server.json]"
)
@click.option(
    "--home", type=click.Path(path_type=Path), help="The folder of attempts.  [default: TYPEDFLOW_HOME]"
)
@click.option(
    "--store",
    metavar="URL",
    help="The object store that admin has too.  [default: TYPEDFLOW_STORE, else a folder in the home]",
)
@click.option(
    "--slots", type=click.IntRange(0), default=0, help="CPUs for attempts.  [default: all of this machine's]"
)
def run(admin: str | None, token: str | None, home: Path | None, store: str | None, slots: int) -> None:
    """Run what is launched, as processes of this machine, until Ctrl-C."""
    import asyncio
    import contextlib

    from typedflow import settings

    found = settings.load()
    folder = (home or found.home).absolute()
    address, known = _server(admin or found.admin, token or found.token, folder)
    click.echo(f"propeller runs what {address} hands out; Ctrl-C stops it")
    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(_run(address, known, folder, store or found.store or str(folder / "objects"), slots))


def _server(address: str, token: str, home: Path) -> tuple[str, str]:
    """Address and token, from `server.json` as far as they are not given."""
    from typedflow import errors, settings

    info: settings.ServerInfo | None = settings.server_json(home)
    if not address and info is None:
        raise errors.UsageError(
            "no admin is known",
            where=str(home / settings.SERVER_FILE),
            hint="give its address with --admin, or the home of one on this machine with --home",
        )
    if info is not None and address in ("", info.grpc):
        return info.grpc, token or info.token
    return address, token


async def _run(address: str, token: str, home: Path, store: str, slots: int) -> None:
    import asyncio
    import signal

    import typedflow_propeller

    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    client = typedflow_propeller.AdminClient(address, token)
    try:
        executor = typedflow_propeller.LocalProcesses(home, client, store_url=store, slots=slots)
        await typedflow_propeller.Propeller(client, executor, store_url=store).run()
    finally:
        await client.close()
