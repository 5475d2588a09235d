"""Logs of attempts, read through the propeller that has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

from typedflow import errors
from typedflow.pb.attempt_pb2 import AttemptId
from typedflow.pb.executions_pb2 import NodeExecution, ReadLogsRequest, ReadLogsResponse
from typedflow_admin import store
from typedflow_admin.work import Work


class Logs:
    """Reads logs."""

    def __init__(self, database: store.Store, work: Work) -> None:
        self._database = database
        self._work = work

    async def read(self, request: ReadLogsRequest) -> AsyncIterator[ReadLogsResponse]:
        """The log of one attempt, the node's latest if none is named.

        Raises:
            NotFound: no such execution, node or attempt.
            StateConflict: the node has not been tried, or nobody who is connected has the log.
        """
        row = await self._database.read(lambda transaction: _attempt(transaction, request))
        id_ = AttemptId(execution_id=row.execution_id, node=row.node, attempt=row.attempt)
        yield ReadLogsResponse(attempt=row.attempt)
        async for data in self._work.read_log(id_, row.holder, follow=request.follow):
            yield ReadLogsResponse(data=data)


def _attempt(transaction: store.Transaction, request: ReadLogsRequest) -> store.AttemptRow:
    found = transaction.attempts.find(request.execution_id, request.node, request.attempt)
    if found is not None:
        return found[0]
    if transaction.executions.find(request.execution_id) is None:
        raise errors.NotFound(f"there is no execution `{request.execution_id}`")
    row = transaction.executions.node(request.execution_id, request.node)
    if row is None:
        raise errors.NotFound(f"execution `{request.execution_id}` has no node `{request.node}`")
    if request.attempt:
        raise errors.NotFound(f"node `{request.node}` has no attempt {request.attempt}")
    node = NodeExecution.FromString(row.state)
    producer = node.producer_execution_id
    raise errors.StateConflict(
        f"node `{request.node}` was not run" + (": its outputs come from the cache" if producer else " yet"),
        hint=f"the log is that of node `{node.producer_node}` in execution `{producer}`" if producer else "",
        code="NoLog",
    )
