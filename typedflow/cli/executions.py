"""`typedflow logs` and `typedflow abort`: work with an execution."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from typedflow import errors, spelling
from typedflow.cli import connection, failures

if TYPE_CHECKING:
    from typedflow.client import Client


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("node", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until what is shown has ended.")
@click.option("--attempt", type=click.IntRange(1), help="Which one.  [default: the latest]")
@connection.options
def logs(id_: str, node: str | None, follow: bool, attempt: int | None) -> None:
    """Print what the tasks of execution ID wrote; with NODE, that one's only.

    With -f, tasks that run at the same time are shown one after another.
    """
    with connection.open_client() as client:
        if node is not None:
            _check_node(client, id_, node)
            _write(client, id_, node, attempt=attempt or 0, follow=follow)
            return
        if follow and attempt is None:
            _follow(client, id_)
            return
        nodes = [each for each in client.nodes(id_) if each.attempts]
        if not nodes:
            failures.say(f"no task of execution {id_} has run: `typedflow get nodes {id_}` says why")
        if len(nodes) > 1 and (follow or attempt):
            raise errors.UsageError(
                f"execution {id_} has {len(nodes)} nodes that ran",
                hint=f"say which, as in `typedflow logs {id_} {nodes[-1].id} -f`",
            )
        for number, each in enumerate(nodes):
            if len(nodes) > 1:
                _head(each.id, is_first=not number)
            _write(client, id_, each.id, attempt=attempt or 0, follow=follow)


@click.command()
@click.argument("id_", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Is kept with the execution.")
@connection.options
def abort(id_: str, reason: str) -> None:
    """Abort execution ID. Its running tasks are stopped; one that has ended stays as it is."""
    with connection.open_client() as client:
        run = client.run(id_)
        if run.is_done:
            click.echo(f"execution {id_} has ended already: {run.phase}")
            return
        run.abort(reason)
    click.echo(f"aborting execution {id_}")


def _follow(client: Client, execution_id: str) -> None:
    """What each attempt writes, in the order in which they begin, until the execution has ended."""
    is_alone = len(list(client.nodes(execution_id))) == 1
    seen: dict[str, int] = {}
    for change in client.watch(execution_id):
        for node in change.nodes:
            if node.attempts <= seen.get(node.id, 0):
                continue
            if not is_alone:
                _head(
                    node.id if node.attempts == 1 else f"{node.id}, attempt {node.attempts}",
                    is_first=not seen,
                )
            seen[node.id] = node.attempts
            _write(client, execution_id, node.id, attempt=node.attempts, follow=True)


def _head(text: str, *, is_first: bool) -> None:
    click.secho(("" if is_first else "\n") + f"==> {text} <==", dim=True)


def _check_node(client: Client, execution_id: str, node: str) -> None:
    """Names the nearest node where there is none of that name."""
    nodes = [each.id for each in client.nodes(execution_id)]
    if node not in nodes:
        near = spelling.nearest(node, nodes)
        raise errors.NotFound(
            f"execution {execution_id} has no node `{node}`",
            hint=f"did you mean `{near}`?" if near else f"its nodes are {', '.join(nodes)}",
        )


def _write(client: Client, execution_id: str, node: str, *, attempt: int, follow: bool) -> None:
    sys.stdout.flush()
    for data in client.logs(execution_id, node, attempt=attempt, follow=follow):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
