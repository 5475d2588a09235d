"""Places under the caps that are wider than one execution: a launch plan's, and a project's.

An attempt of a capped execution asks for a place before it starts, and gives it back when it has ended. Places are
given in the transaction that makes one free, so no more are ever given than there are. The execution that has the
fewest comes first, then the oldest: nobody waits for ever, however many others come.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence

from typedflow.pb.events_pb2 import PlaceGranted
from typedflow_admin import inbox, place_store, store

_LOOKED_AT = 1000  # executions at a time
_UNLIMITED = store.LAST


class Places:
    """Gives places. `project_parallelism`: attempts of one project that may run at once; 0 is no limit."""

    def __init__(self, project_parallelism: int) -> None:
        self._project_parallelism = project_parallelism

    def is_capped(self, plan_parallelism: int) -> bool:
        """Whether executions of a launch plan with this limit need places."""
        return plan_parallelism > 0 or self._project_parallelism > 0

    def grant(self, transaction: store.Transaction, projects: Collection[str]) -> list[str]:
        """Gives the places that are free in some projects, and tells the holders; gives the executions that got some.

        Called in the transaction in which somebody asked, or gave a place back.
        """
        return [
            execution_id for project in sorted(projects) for execution_id in self._of(transaction, project)
        ]

    def _of(self, transaction: store.Transaction, project: str) -> list[str]:
        told: list[str] = []
        while True:
            used = transaction.places.granted(project)
            free = (self._project_parallelism or _UNLIMITED) - sum(used.values())
            if free <= 0:
                return told
            waiting = transaction.places.waiting(project, min(free, _LOOKED_AT))
            counts = allot(waiting, used, free)
            if not counts:
                return told
            for execution_id, node, attempt in transaction.places.grant(counts):
                granted = PlaceGranted(node=node, attempt=attempt)
                inbox.post(transaction, execution_id, place_granted=granted)
            told += counts


def allot(
    waiting: Sequence[place_store.QueueRow], used: Mapping[tuple[str, str, str], int], free: int
) -> dict[str, int]:
    """How many places each of the executions gets that wait.

    `used`: those that each launch plan has already; `free`: those that may be given in all.
    """
    of_plan = dict(used)
    counts: dict[str, int] = {}
    heap = [(row.granted, row.number, row) for row in waiting]
    heapq.heapify(heap)
    while heap and free > 0:
        granted, number, row = heap[0]
        plan = of_plan.get(row.plan, 0)
        has = counts.get(row.execution_id, 0)
        if has == row.waiting or (row.plan_parallelism and plan >= row.plan_parallelism):
            heapq.heappop(heap)
            continue
        of_plan[row.plan] = plan + 1
        counts[row.execution_id] = has + 1
        free -= 1
        heapq.heapreplace(heap, (granted + 1, number, row))
    return counts
