"""`typedflow signal`: says something to a node that waits for it."""

from __future__ import annotations

import click

from typedflow import errors
from typedflow.cli import connection, inputs

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
