"""What the cache was asked for, had, and saved.

Counted in the transaction that writes into an execution's journal what the cache said: once, whatever is asked again.
A hit saves what the attempt took that made what is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from typedflow.pb.catalog_pb2 import (
    CACHE_STATUS_HIT,
    CACHE_STATUS_MISS,
    CacheStats,
    GetStatsRequest,
    GetStatsResponse,
    Usage,
)
from typedflow.pb.propeller_pb2 import ExecutionCommit
from typedflow_admin import store
from typedflow_admin.cache_store import CountRow, StatsRow

_HOUR_US = 3_600_000_000


class Statistics:
    """Tells what was saved."""

    def __init__(self, database: store.Store) -> None:
        self._database = database

    async def get(self, request: GetStatsRequest) -> GetStatsResponse:
        """By task and launch plan, those that saved most first, and all together. Counts are kept by the hour."""
        since = request.since_us // _HOUR_US
        rows = await self._database.read(
            lambda transaction: transaction.counts.sums(
                request.project, request.domain, request.task, request.launch_plan, since
            )
        )
        rows.sort(key=lambda row: (-row.gpu_seconds, -row.wall_seconds, -row.hits, row.task, row.launch_plan))
        total = StatsRow(request.project, request.domain, request.task, request.launch_plan)
        for row in rows:
            total = replace(
                total,
                hits=total.hits + row.hits,
                misses=total.misses + row.misses,
                wall_seconds=total.wall_seconds + row.wall_seconds,
                cpu_seconds=total.cpu_seconds + row.cpu_seconds,
                gpu_seconds=total.gpu_seconds + row.gpu_seconds,
                entries=total.entries + row.entries,
            )
        return GetStatsResponse(stats=[_message(row) for row in rows], total=_message(total))


def count(transaction: store.Transaction, parts: Iterable[ExecutionCommit], at_us: int) -> None:
    """Counts what the cache said in these commits, inside the transaction that writes them."""
    counts: dict[tuple[str, str], CountRow] = {}
    hits: list[tuple[str, int]] = []
    for part in parts:
        tasks = {node.id: node.task for node in part.nodes}
        for event in part.events:
            checked = event.cache_checked
            if not event.HasField("cache_checked") or checked.recovered or checked.node not in tasks:
                continue
            if checked.status not in (CACHE_STATUS_HIT, CACHE_STATUS_MISS):
                continue
            of = part.execution_id, tasks[checked.node]
            row = counts.get(of) or CountRow(*of, at_us // _HOUR_US)
            if checked.status == CACHE_STATUS_HIT:
                hits.append((checked.key, at_us))
                row = replace(
                    row,
                    hits=row.hits + 1,
                    wall_seconds=row.wall_seconds + checked.saved.wall_seconds,
                    cpu_seconds=row.cpu_seconds + checked.saved.cpu_seconds,
                    gpu_seconds=row.gpu_seconds + checked.saved.gpu_seconds,
                )
            else:
                row = replace(row, misses=row.misses + 1)
            counts[of] = row
    transaction.counts.add(list(counts.values()))
    transaction.catalog.used(hits)


def _message(row: StatsRow) -> CacheStats:
    return CacheStats(
        project=row.project,
        domain=row.domain,
        task=row.task,
        launch_plan=row.launch_plan,
        hits=row.hits,
        misses=row.misses,
        saved=Usage(wall_seconds=row.wall_seconds, cpu_seconds=row.cpu_seconds, gpu_seconds=row.gpu_seconds),
        entries=row.entries,
    )
