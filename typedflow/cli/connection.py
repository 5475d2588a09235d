"""The options by which a command finds its server, and the client that they make.

They come before the environment and the settings' file. There is none for the token: what is on a command line, every
user of the machine can read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ParamSpec

import click

from typedflow import identifiers

if TYPE_CHECKING:
    from typedflow.client import Client

P = ParamSpec("P")

_META = "typedflow.connection"
_HELP = {
    "admin": "The server.  [default: TYPEDFLOW_ADMIN, or the server that is up on this machine]",
    "project": "Of what is registered and launched.  [default: TYPEDFLOW_PROJECT, or default]",
    "domain": "Likewise.  [default: TYPEDFLOW_DOMAIN, or development]",
}


def options(command: Callable[P, None]) -> Callable[P, None]:
    """Adds `--admin`, `--project` and `--domain`; `open_client` reads them."""
    for name in reversed(_HELP):
        command = click.option(
            f"--{name}",
            metavar="HOST:PORT" if name == "admin" else "NAME",
            expose_value=False,
            callback=_keep,
            help=_HELP[name],
        )(command)
    return command


def open_client() -> Client:
    """A client of the server that the running command's options name."""
    from typedflow import client

    given = _given()
    return client.Client(given.get("admin"), project=given.get("project"), domain=given.get("domain"))


def open_client_of(address: str, token: str) -> Client:
    """A client of this server, with project and domain as the running command's options name them."""
    from typedflow import client

    given = _given()
    return client.Client(address, token=token, project=given.get("project"), domain=given.get("domain"))


def has_admin() -> bool:
    """Whether the running command was given a server's address."""
    return "admin" in _given()


def _keep(ctx: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None and option.name is not None:
        if option.name != "admin" and (problem := identifiers.check_label(value)):
            raise click.BadParameter(problem, ctx, option)
        ctx.meta.setdefault(_META, {})[option.name] = value


def _given() -> dict[str, str]:
    context = click.get_current_context(silent=True)
    return {} if context is None else dict(context.meta.get(_META, {}))
