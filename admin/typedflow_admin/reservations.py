"""Single flight: one node makes the entry of a key, the others wait for it and then hit.

A reservation is its holder's for as long as the holder's execution is driven by somebody, for it is renewed with that
execution's lease. A holder that failed lets go in the transaction that says so, as does a node that ends; one that
is lost loses it with the lease, and whoever asks next is the holder. What a holder that lost it still makes is good,
but it is not published. A node that has ended holds nothing, not even by an answer that comes too late for it.
Functions here run inside a transaction; that is what keeps two from being the holder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

from typedflow.pb.executions_pb2 import (
    PHASE_ABORTED,
    PHASE_FAILED,
    PHASE_RECOVERED,
    PHASE_SKIPPED,
    PHASE_SUCCEEDED,
    PHASE_TIMED_OUT,
)
from typedflow_admin import store
from typedflow_admin.cache_store import CatalogRow, ReservationRow

Holder = tuple[str, str]
"""An execution and a node."""

NODE_ENDED = frozenset(
    (PHASE_SUCCEEDED, PHASE_FAILED, PHASE_ABORTED, PHASE_TIMED_OUT, PHASE_SKIPPED, PHASE_RECOVERED)
)
"""The phases of nodes that will make nothing any more."""


def ask(
    transaction: store.Transaction, wanted: Sequence[ReservationRow], known: Mapping[str, int]
) -> dict[ReservationRow, Holder | None]:
    """For each who wants to make an entry, in order: who it is to wait for; None: it is the holder.

    Args:
        transaction: one that writes.
        wanted: who asks for what.
        known: by key, the number of the entry that was found unfit. Where there is another by now, nobody makes one:
            whoever asks waits for nobody, and finds it when it asks again.
    """
    keys = {row.key for row in wanted}
    entries = transaction.catalog.find(keys)
    held = {key: row.holder for key, row in transaction.reservations.find(keys).items()}
    driven = transaction.leases.find({row.execution_id for row in wanted})
    ended = _ended(transaction, (row for row in wanted if row.key not in held))
    granted: list[ReservationRow] = []
    answers: dict[ReservationRow, Holder | None] = {}
    for row in wanted:
        entry, holder = entries.get(row.key), held.get(row.key)
        if entry is not None and entry.number != known.get(row.key):
            answers[row] = ("", "")
        elif holder is not None and holder != row.holder:
            answers[row] = holder
        else:
            answers[row] = None
            # One that has ended meanwhile makes nothing, whatever it is told.
            if holder is None and row.execution_id in driven and row.holder not in ended:
                granted.append(row)
                held[row.key] = row.holder
    transaction.reservations.grant(granted)
    return answers


def may_publish(
    transaction: store.Transaction, row: ReservationRow, begun_at_us: int, entry: CatalogRow | None
) -> bool:
    """Whether what a node made is to be the entry of a key.

    It is while the node is the holder. When nobody is any more, it still is unless there is an entry since it began.
    """
    holder = transaction.reservations.find([row.key]).get(row.key)
    if holder is not None:
        return holder.holder == row.holder
    return entry is None or entry.created_at_us < begun_at_us


def release(transaction: store.Transaction, rows: Collection[ReservationRow]) -> None:
    """Lets go of what is theirs; of what is another's by now, nothing."""
    transaction.reservations.release(rows)


def end(transaction: store.Transaction, nodes: Mapping[str, Collection[str]]) -> None:
    """Lets go of all that nodes hold which have ended, by execution."""
    of = {execution_id for execution_id, ended in nodes.items() if ended}
    if of:
        held = transaction.reservations.of(of)
        transaction.reservations.release([row for row in held if row.node in nodes[row.execution_id]])


def _ended(transaction: store.Transaction, rows: Iterable[ReservationRow]) -> set[Holder]:
    """Those whose nodes have ended."""
    asked: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        asked[row.execution_id].add(row.node)
    return {
        (execution_id, path)
        for execution_id, paths in asked.items()
        for path, node in transaction.executions.nodes_of(execution_id, paths).items()
        if node.phase in NODE_ENDED
    }
