"""`typedflow signal`: says something to a node that waits for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from typedflow import errors
from typedflow.cli import connection, inputs
from typedflow.pb import executions_pb2

if TYPE_CHECKING:
    from typedflow.client import Client

_YES = frozenset({"approve", "approved", "true", "yes"})
_NO = frozenset({"reject", "rejected", "false", "no"})


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("node")
@click.argument("value")
@click.option("--reason", default="", metavar="TEXT", help="With `reject`: is kept as why.")
@connection.options
def signal(id_: str, node: str, value: str, reason: str) -> None:
    """Give VALUE to NODE of execution ID, which waits for it or will wait; of an approval: `approve` or `reject`.

    VALUE is read by the type that the node waits for, as an option of `typedflow launch` is.
    """
    with connection.open_client() as client:
        _check_open(client, id_, node)
        wanted = client.gate_type(id_, node)
        if wanted is not None:
            client.signal(id_, node, inputs.from_text(value, wanted, node))
        elif value.lower() in _YES:
            client.approve(id_, node)
        elif value.lower() in _NO:
            client.reject(id_, node, reason)
        else:
            raise errors.UsageError(
                f"`{value}` is no answer to an approval", where=node, hint="say `approve` or `reject`"
            )
    click.echo(f"told {node} of execution {id_}")


def _check_open(client: Client, id_: str, node: str) -> None:
    """The first answer counts; whoever comes later is told so."""
    row = next((each for each in client.nodes(id_) if each.id == node), None)
    if row is not None and row.ended_at_us and row.kind == executions_pb2.NODE_KIND_GATE:
        from typedflow import client as clients

        raise errors.StateConflict(
            f"nobody is asked any more: the node is {clients.phase(row.phase)}",
            where=node,
            hint="the first answer counts",
            code="NotWaiting",
        )
