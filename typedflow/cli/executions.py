"""`typedflow watch`, `typedflow logs` and `typedflow abort`: work with an execution."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from typedflow import errors, spelling
from typedflow.cli import connection, failures, launch, output

if TYPE_CHECKING:
    from typedflow.client import Client


@click.command()
@click.argument("id_", metavar="ID")
@connection.options
@output.option(output.TABLE, output.JSON, output.YAML)
def watch(id_: str, form: str) -> None:
    """Show the progress of execution ID until it has ended, then its outputs. Exits with 1 if it did not succeed."""
    with connection.open_client() as client:
        launch.follow(client.run(id_), form)


@click.command()
@click.argument("id_", metavar="ID")
@click.argument("node", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until what is shown has ended.")
@click.option("--attempt", type=click.IntRange(1), help="Which one.  [default: the latest]")
@connection.options
def logs(id_: str, node: str | None, follow: bool, attempt: int | None) -> None:
    r"""Print what the tasks of execution ID wrote; with NODE, that one's only, or of a map what its slots wrote.

    With -f, tasks that run at the same time are shown one after another.

    \b
    Examples:
      typedflow logs x01k7 -f
      typedflow logs x01k7 train --attempt 1
      typedflow logs x01k7 'train[3]'
    """
    with connection.open_client() as client:
        if node is not None:
            _one(client, id_, node, attempt=attempt or 0, follow=follow)
            return
        if follow and attempt is None:
            _follow(client, id_)
            return
        known = list(client.nodes(id_))
        nodes = [each for each in known if each.attempts]
        elsewhere = [
            (f"the slots of {each.id}", f"{id_} {each.id}")
            if each.HasField("slots")
            else (f"the execution of {each.id}", each.child_execution_id)
            for each in known
            if each.HasField("slots") or each.child_execution_id
        ]
        if not nodes and not elsewhere:
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
        for what, words in elsewhere:
            failures.say(f"what {what} wrote: `typedflow logs {words}`")


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


def _one(client: Client, execution_id: str, node: str, *, attempt: int, follow: bool) -> None:
    """What a node wrote. Says where to look when it is not one that writes."""
    known = {each.id: each for each in client.nodes(execution_id)}
    found = known.get(node)
    if found is None and "[" not in node:  # a slot is not listed
        raise _unknown(execution_id, node, list(known))
    if found is not None and not found.attempts:
        if found.HasField("slots"):
            _slots(client, execution_id, node, attempt=attempt, follow=follow)
            return
        if found.child_execution_id:
            raise errors.StateConflict(
                f"node `{node}` runs no task: it launched an execution",
                hint=f"`typedflow logs {found.child_execution_id}` has what that wrote",
                code="NoLog",
            )
        if not found.task:
            raise errors.StateConflict(f"node `{node}` runs no task, so nobody writes", code="NoLog")
    _write(client, execution_id, node, attempt=attempt, follow=follow)


def _unknown(execution_id: str, node: str, known: Sequence[str]) -> errors.NotFound:
    """Names the nearest node where there is none of that name."""
    near = spelling.nearest(node, known)
    return errors.NotFound(
        f"execution {execution_id} has no node `{node}`",
        hint=f"did you mean `{near}`?" if near else f"its nodes are {', '.join(known)}",
    )


def _slots(client: Client, execution_id: str, node: str, *, attempt: int, follow: bool) -> None:
    """What the slots of a map wrote, one after another."""
    if follow or attempt:
        raise errors.UsageError(
            f"`{node}` is a map: each of its slots has a log of its own",
            hint=f"say which, as in `typedflow logs {execution_id} '{node}[0]' -f`",
        )
    is_first = True
    for slot in client.nodes(execution_id, parent=node):
        if slot.attempts:
            _head(slot.id, is_first=is_first)
            _write(client, execution_id, slot.id, attempt=0, follow=False)
            is_first = False
    if is_first:
        failures.say(f"no slot of {node} has run: `typedflow get nodes {execution_id} --of {node}` says why")


def _write(client: Client, execution_id: str, node: str, *, attempt: int, follow: bool) -> None:
    sys.stdout.flush()
    for data in client.logs(execution_id, node, attempt=attempt, follow=follow):
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
