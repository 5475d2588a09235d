"""An execution while it runs: a table that changes on a terminal, a line for each change elsewhere.

    with progress.of(err=False) as shown:
        run.wait(on_change=shown.take)

The two say the same: node, phase, what the cache did, how long it took, and why, where that is not plain.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import click

from typedflow.cli import output, records
from typedflow.pb import catalog_pb2

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.console import Console
    from rich.table import Table

    from typedflow.pb.executions_pb2 import NodeExecution, SlotCounts, WatchExecutionResponse

_MARKS = {
    "QUEUED": ("○", "dim"),
    "WAITING": ("○", "dim"),
    "RUNNING": ("●", "cyan"),
    "SUCCEEDED": ("✓", "green"),
    "FAILED": ("✗", "bold red"),
    "TIMED_OUT": ("✗", "bold red"),
    "ABORTED": ("-", "yellow"),
    "SKIPPED": ("-", "dim"),
    "RECOVERED": ("✓", "green"),
}
_CACHE_STYLES = {"HIT": "bold green", "PUT_FAILED": "red"}
_URGENCY = (
    "FAILED", "TIMED_OUT", "RUNNING", "WAITING", "SUCCEEDED", "RECOVERED", "ABORTED", "SKIPPED", "QUEUED",
)  # fmt: skip
_REASONS = {
    "branch": "its case is not taken",
    "not_failed": "only when the execution fails",
    "upstream_failed": "what it needs failed",
}
"""Why nodes are skipped, for people."""
_STEPS = 10  # of a large map, that are told where each is a line
_LARGE = 50
_ROWS_LEFT_FREE = 6  # of the terminal, for what stands above and below
_REFRESHES_PER_SECOND = 8
_LONGEST_WORD = len("SUCCEEDED")  # so that columns keep their places


class Progress(Protocol):
    """Shows what a watch says, while it is entered."""

    def take(self, change: WatchExecutionResponse) -> None:
        """Shows a change."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def of(*, err: bool = False) -> Progress:
    """The progress display for standard output, or for standard error where output is for programs."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty() or os.environ.get("TERM") == "dumb":
        return Lines(err=err)
    from rich.console import Console

    return Live(Console(file=stream, highlight=False))


class Lines(AbstractContextManager["Lines"]):
    """A line for each node that begins or ends, in that order, and for each tenth of a large map."""

    def __init__(self, *, err: bool) -> None:
        self._err = err
        self._shown: dict[str, tuple[str, int]] = {}
        self._width = 0

    def take(self, change: WatchExecutionResponse) -> None:
        """See `Progress.take`."""
        from typedflow import client

        self._width = max([self._width, *(len(node.id) for node in change.nodes)])
        for node in sorted(change.nodes, key=_moment):
            phase = client.phase(node.phase)
            state = phase, _tenths(node)
            if phase == "QUEUED" or self._shown.get(node.id) == state:
                continue
            self._shown[node.id] = state
            cells = [node.id.ljust(self._width), phase.ljust(_LONGEST_WORD)]
            if phase != "RUNNING":
                cells += [_cache(node).ljust(_LONGEST_WORD), _time(node).rjust(_LONGEST_WORD)]
            click.echo("  ".join([" ", *cells, note(node)]).rstrip(), err=self._err)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Everything is printed already."""


class Live(AbstractContextManager["Live"]):
    """A table of the nodes that stays in place; when they are too many, of those that matter now."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live as RichLive

        self._console = console
        self._nodes: dict[str, NodeExecution] = {}
        self._ended = False
        self._live = RichLive(
            console=console, get_renderable=self._table, refresh_per_second=_REFRESHES_PER_SECOND
        )

    def take(self, change: WatchExecutionResponse) -> None:
        """See `Progress.take`."""
        for node in change.nodes:
            self._nodes[node.id] = node

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def _table(self) -> Table:
        from rich.table import Table
        from rich.text import Text

        from typedflow import client

        table = Table.grid(padding=(0, 2))
        for column in range(6):
            table.add_column(
                no_wrap=column < 5,
                justify="right" if column == 4 else "left",
                min_width=_LONGEST_WORD if column in (2, 3, 4) else None,
            )
        # The reading of changes goes on in another thread.
        nodes = in_place(list(self._nodes.values()))
        shown, rest = _most_urgent(nodes, max(self._console.height - _ROWS_LEFT_FREE, 4))
        for node in shown:
            phase = client.phase(node.phase)
            mark, style = _MARKS.get(phase, ("?", ""))
            cache = _cache(node)
            calm = "dim" if phase in ("QUEUED", "SKIPPED") else ""
            table.add_row(
                Text(f" {mark}", style=style),
                Text(node.id, style=calm),
                Text(phase, style=style if phase != "SUCCEEDED" else ""),
                Text(cache, style=_CACHE_STYLES.get(cache, "dim")),
                Text(_time(node), style=calm),
                Text(note(node), style="red" if node.HasField("error") else "dim"),
            )
        if rest:
            table.add_row("", Text(f"and {_counts(rest)}", style="dim"))
        return table


def in_place(nodes: list[NodeExecution]) -> list[NodeExecution]:
    """What a dynamic task has made comes right after it, not last as it became known."""
    below: dict[str, list[NodeExecution]] = {}
    for node in nodes:
        below.setdefault(node.parent, []).append(node)
    known = {node.id for node in nodes}
    result: list[NodeExecution] = []
    waiting = [node for node in reversed(nodes) if node.parent not in known]
    while waiting:
        node = waiting.pop()
        result.append(node)
        waiting += reversed(below.get(node.id, ()))
    return result


def note(node: NodeExecution) -> str:
    """What is worth knowing of a node beside its phase: why it failed, what a hit saved, further attempts."""
    if node.HasField("error"):
        first = node.error.message.partition("\n")[0]
        cause = first if first.startswith(node.error.code) else f"{node.error.code}: {first}"
        return f"{cause} (attempt {node.attempts})" if node.attempts > 1 else cause
    notes = [each for each in (_REASONS.get(node.reason, node.reason), node.note) if each]
    if node.HasField("slots"):
        notes.append(_slots(node.slots))
    if node.HasField("waiting"):
        notes.append(
            f"waits for {records.waiting(node)}" if not node.waiting.time_us else records.waiting(node)
        )
    if node.child_execution_id:
        notes.append(f"execution {node.child_execution_id}")
    if node.cache == catalog_pb2.CACHE_STATUS_HIT and node.saved.wall_seconds:
        notes.append(f"saved {output.seconds(node.saved.wall_seconds)}")
    if node.attempts > 1:
        notes.append(f"attempt {node.attempts}")
    return ", ".join(notes)


def _slots(counts: SlotCounts) -> str:
    """Of a map: how far it is."""
    parts = [f"{counts.succeeded} of {counts.total}"]
    hits = "hit" if counts.hits == 1 else "hits"
    for count, what in ((counts.hits, hits), (counts.failed, "failed"), (counts.running, "running")):
        if count:
            parts.append(f"{count} {what}")
    return ", ".join(parts)


def _tenths(node: NodeExecution) -> int:
    """Of a map that runs, how many tenths of its slots have ended."""
    counts = node.slots
    if node.ended_at_us or counts.total < _LARGE:
        return 0
    return (counts.succeeded + counts.failed + counts.skipped) * _STEPS // counts.total


def _moment(node: NodeExecution) -> tuple[int, int]:
    """When it changed last, which is the order of changes that come together; what ends with its parts comes last."""
    return node.ended_at_us or node.started_at_us, -node.id.count(".") if node.ended_at_us else 0


def _cache(node: NodeExecution) -> str:
    """The cache's status once it is final; before that it would only flicker."""
    from typedflow import client

    return client.cache_status(node.cache) if node.ended_at_us else ""


def _time(node: NodeExecution) -> str:
    if not node.started_at_us:
        return output.seconds(0.0) if node.cache == catalog_pb2.CACHE_STATUS_HIT else ""
    end = node.ended_at_us or time.time_ns() // 1000
    return output.seconds(max(0, end - node.started_at_us) / 1e6)


def _most_urgent(nodes: list[NodeExecution], room: int) -> tuple[list[NodeExecution], list[NodeExecution]]:
    """As many nodes as there is room for, in their own order, and the others."""
    if len(nodes) <= room:
        return nodes, []
    from typedflow import client

    def urgency(at: int) -> tuple[int, int]:
        return _URGENCY.index(client.phase(nodes[at].phase)), -nodes[at].revision

    chosen = set(sorted(range(len(nodes)), key=urgency)[:room])
    return [nodes[at] for at in sorted(chosen)], [node for at, node in enumerate(nodes) if at not in chosen]


def _counts(nodes: list[NodeExecution]) -> str:
    from typedflow import client

    counted = Counter(client.phase(node.phase) for node in nodes)
    return ", ".join(f"{count} {phase}" for phase, count in counted.most_common())
