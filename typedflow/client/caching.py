"""What a client asks of the cache, and of what makes room on a server."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from typedflow.pb import catalog_pb2, data_pb2

if TYPE_CHECKING:
    from typedflow.pb import catalog_pb2_grpc, data_pb2_grpc


class Caching:
    """A part of `Client`."""

    if TYPE_CHECKING:
        project: str
        domain: str
        _catalog: catalog_pb2_grpc.CatalogStub
        _data: data_pb2_grpc.DataStub
        _metadata: tuple[tuple[str, str], ...]

        def _calling(self) -> contextlib.AbstractContextManager[None]: ...

    def explain_cache(self, execution_id: str, node: str) -> catalog_pb2.ExplainResponse:
        """Why a node's result came from the cache, or did not: what differs from the nearest entry.

        Args:
            execution_id: the execution.
            node: its path, as in `prep.train` or `train[7]`.

        Raises:
            NotFound: there is no such execution, or no such node.
            StateConflict: the node has no key: it has not started, or runs no task.
        """
        request = catalog_pb2.ExplainRequest(execution_id=execution_id, node=node)
        with self._calling():
            return self._catalog.Explain(request, metadata=self._metadata)

    def cache_entries(self, task: str = "") -> Iterator[catalog_pb2.CatalogEntry]:
        """What the cache has for the project and domain, or for one task of them; newest first, without outputs."""
        request = catalog_pb2.ListEntriesRequest(project=self.project, domain=self.domain, task=task)
        while True:
            with self._calling():
                page = self._catalog.ListEntries(request, metadata=self._metadata)
            yield from page.entries
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def cache_stats(
        self, *, task: str = "", launch_plan: str = "", since: datetime | None = None
    ) -> catalog_pb2.GetStatsResponse:
        """What the cache was asked for and saved, by task and launch plan; counts are kept by the hour."""
        request = catalog_pb2.GetStatsRequest(
            project=self.project,
            domain=self.domain,
            task=task,
            launch_plan=launch_plan,
            since_us=int(since.timestamp() * 1_000_000) if since is not None else 0,
        )
        with self._calling():
            return self._catalog.GetStats(request, metadata=self._metadata)

    def evict_cache(
        self,
        *,
        task: str = "",
        keys: Sequence[str] = (),
        older_than: timedelta | None = None,
        dry_run: bool = False,
    ) -> int:
        """Forgets entries of the project and domain; says how many. What executions refer to stays.

        Args:
            task: only this one's; its full name.
            keys: only these.
            older_than: only those that were made longer ago.
            dry_run: only say how many.

        Raises:
            UsageError: none of the three is given.
        """
        request = catalog_pb2.EvictRequest(
            project=self.project,
            domain=self.domain,
            task=task,
            keys=keys,
            older_than_ms=_milliseconds(older_than),
            dry_run=dry_run,
        )
        with self._calling():
            return self._catalog.Evict(request, metadata=self._metadata).count

    def collect_garbage(
        self,
        *,
        older_than: timedelta | None = None,
        project: str = "",
        domain: str = "",
        dry_run: bool = False,
    ) -> Iterator[data_pb2.CollectGarbageResponse]:
        """Makes room on the server, and says how far it is; the last message has the sums.

        Objects that nothing refers to go in a later call, when they have been so for the server's grace period.

        Args:
            older_than: executions that ended longer ago go, and entries that were neither made nor used since.
            project: only its executions and entries; empty is all.
            domain: likewise.
            dry_run: only say what would go.

        Raises:
            StateConflict: somebody collects already.
        """
        request = data_pb2.CollectGarbageRequest(
            older_than_ms=_milliseconds(older_than), project=project, domain=domain, dry_run=dry_run
        )
        with self._calling():
            yield from self._data.CollectGarbage(request, metadata=self._metadata)


def _milliseconds(age: timedelta | None) -> int:
    return age // timedelta(milliseconds=1) if age is not None else 0
