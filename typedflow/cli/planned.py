"""What a launch would do, as people and programs read it: a row for each node, and what it comes to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from typedflow.cli import output
from typedflow.pb import executions_pb2

if TYPE_CHECKING:
    from typedflow.pb.executions_pb2 import PlannedNode

_SLOTS = 10
_COUNTED = (
    ("RUN", "run"),
    ("WAIT", "wait"),
    ("HIT", "from the cache"),
    ("RECOVER", "taken as they are"),
    ("SKIP", "skipped"),
)
_STYLES = {"RUN": "cyan", "HIT": "green", "RECOVER": "green", "WAIT": "dim", "SKIP": "dim"}


def decision(node: PlannedNode) -> str:
    """RUN, HIT, WAIT, RECOVER or SKIP."""
    return executions_pb2.Decision.Name(node.decision).removeprefix("DECISION_")


def record(node: PlannedNode) -> dict[str, object]:
    """A node as a plain JSON value."""
    made: dict[str, object] = {
        "id": node.id,
        "task": node.task or None,
        "decision": decision(node),
        "reason": node.reason or None,
        "cache_key": node.cache_key or None,
        "seconds": node.usage.wall_seconds if node.HasField("usage") else None,
        "producer": {"execution": node.producer_execution_id, "node": node.producer_node}
        if node.producer_execution_id
        else None,
    }
    if node.HasField("slots"):
        made["slots"] = {"total": node.slots.total, "hits": node.slots.hits}
    return made


def show(nodes: Sequence[PlannedNode]) -> None:
    """Prints the table and what it comes to."""
    told = list(_told(nodes))
    width = max([len("NODE"), *(len(node.id) for node in told)])
    click.secho(f"{'NODE'.ljust(width)}  {'DOES':7}  {'TOOK':>8}  WHY", bold=True)
    for node in told:
        word = decision(node)
        took = output.seconds(node.usage.wall_seconds) if node.HasField("usage") else ""
        click.echo(
            f"{node.id.ljust(width)}  {click.style(word.ljust(7), fg=None if word == 'WAIT' else _color(word))}  "
            f"{took:>8}  {_why(node)}".rstrip()
        )
    click.echo(summary(nodes))


def summary(nodes: Sequence[PlannedNode]) -> str:
    """One line: what runs, what is taken, what waits, and about how long it takes."""
    counts = Counter(decision(node) for node in nodes if not node.id.endswith("]"))  # a map is one node
    work = sum(node.usage.wall_seconds for node in nodes if decision(node) in ("RUN", "WAIT"))
    saved = sum(node.usage.wall_seconds for node in nodes if decision(node) in ("HIT", "RECOVER"))
    parts = []
    for word, what in _COUNTED:
        if counts[word]:
            parts.append(f"{counts[word]} {what}")
    text = ", ".join(parts) or "nothing to do"
    if work:
        text += f"; about {output.seconds(work)} of work"
    if saved:
        text += f", {output.seconds(saved)} saved"
    return text


def _told(nodes: Sequence[PlannedNode]) -> Iterator[PlannedNode]:
    """Without the slots that are like most: their map says how many there are. Of those that run, the first ones."""
    maps, told = _with_slots(nodes), Counter[str]()
    for node in nodes:
        whole = node.id.rpartition("[")[0]
        if whole not in maps:
            yield node
        elif decision(node) not in ("HIT", "RECOVER"):
            told[whole] += 1
            if told[whole] <= _SLOTS:
                yield node


def _with_slots(nodes: Sequence[PlannedNode]) -> frozenset[str]:
    """The maps whose slots are listed."""
    return frozenset(node.id.rpartition("[")[0] for node in nodes if node.id.endswith("]"))


def _why(node: PlannedNode) -> str:
    notes = [node.reason] if node.reason else []
    if node.HasField("slots") and node.slots.hits:
        notes.append(f"{node.slots.hits} of {node.slots.total} slots from the cache")
    return ", ".join(notes)


def _color(word: str) -> str | None:
    style = _STYLES.get(word)
    return None if style == "dim" else style
