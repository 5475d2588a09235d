"""One attempt as people see it: what it was told, and what became of it, without what is Sensitive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial

from typedflow import errors, interface, literal_types
from typedflow.pb.attempt_pb2 import AttemptSpec, Expanded, Outcome
from typedflow.pb.executions_pb2 import GetAttemptRequest, GetAttemptResponse
from typedflow_admin import compiled_nodes, executions, store


class AttemptRecords:
    """Shows attempts."""

    def __init__(self, database: store.Store) -> None:
        self._database = database

    async def get(self, request: GetAttemptRequest) -> GetAttemptResponse:
        """One attempt, the node's latest if none is named.

        Raises:
            NotFound: no such execution, node or attempt.
            StateConflict: the node has not been tried.
        """
        row, graphs = await self._database.read(partial(_read, request=request))
        return await asyncio.to_thread(_shown, row, graphs)


def _read(
    transaction: store.Transaction, *, request: GetAttemptRequest
) -> tuple[store.AttemptRow, Mapping[str, bytes]]:
    _, launch = executions.existing(transaction.executions.find(request.execution_id), request.execution_id)
    found = transaction.attempts.find(request.execution_id, request.node, request.attempt)
    if found is not None:
        return found[0], compiled_nodes.graphs(transaction, launch, request.node)
    if transaction.executions.node(request.execution_id, request.node) is None:
        raise executions.no_node(transaction, request.execution_id, request.node)
    if request.attempt:
        raise errors.NotFound(f"node `{request.node}` has no attempt {request.attempt}", where="attempt")
    raise errors.StateConflict(f"node `{request.node}` was not tried", code="NoAttempt")


def _shown(row: store.AttemptRow, graphs: Mapping[str, bytes]) -> GetAttemptResponse:
    answer = GetAttemptResponse(
        spec=AttemptSpec.FromString(row.spec), begun_at_us=row.begun_at_us, ended_at_us=row.ended_at_us
    )
    spec = answer.spec
    spec.inputs.CopyFrom(interface.redacted(spec.inputs, spec.interface.inputs))
    hidden = {each.name for each in spec.interface.inputs if literal_types.has_sensitive(each.type)}
    # From a digest, a short secret can be found out.
    kept = [part for part in spec.manifest.inputs if part.name not in hidden]
    del spec.manifest.inputs[:]
    spec.manifest.inputs.extend(kept)
    located = compiled_nodes.locate(graphs, row.node)
    task = located.task() if located is not None else None
    if task is not None:
        answer.task.CopyFrom(task)
    if row.outcome is not None:
        outcome = Outcome.FromString(row.outcome)
        if outcome.HasField("outputs"):
            outcome.outputs.CopyFrom(interface.redacted(outcome.outputs, spec.interface.outputs))
        elif outcome.HasField("expanded"):
            # The constants in it have no types here; its nodes are listed as parts of this one.
            outcome.expanded.CopyFrom(Expanded())
        answer.outcome.CopyFrom(outcome)
    return answer
