"""What a step writes: one commit, or more where it is too large for one, with what is large offloaded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from typedflow import engine
from typedflow.dataplane import objects, offload
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, literals_pb2, propeller_pb2
from typedflow_propeller import steps


@dataclass(slots=True)
class Written:
    """Rows, as they are at this moment: while they are on their way the state goes on."""

    nodes: list[executions_pb2.NodeExecution]
    status: propeller_pb2.ExecutionStatus | None = None
    large: list[literals_pb2.LiteralMap] = field(default_factory=list)


def written(graph: engine.Graph, state: engine.State, step: steps.Step) -> Written:
    """A row for each unit that changed, however often it did."""
    made = Written([engine.node_execution(graph, state, unit) for unit in step.units])
    for row in made.nodes:
        if row.outputs.ByteSize() > offload.LIMIT:
            made.large.append(row.outputs)
    if step.status_changed:
        made.status = engine.execution_status(graph, state)
        if made.status.outputs.ByteSize() > offload.LIMIT:
            made.large.append(made.status.outputs)
    return made


def offloading(made: Written, store: objects.ObjectStore) -> Callable[[], None]:
    """The work, for a thread, after which all of it fits into rows and messages. May be repeated."""

    def offload_large() -> None:
        for outputs in made.large:
            offload.offload_all(outputs, store)

    return offload_large


def parts(
    claim: propeller_pb2.Claim, step: steps.Step, made: Written
) -> Iterator[propeller_pb2.ExecutionCommit]:
    """The commits, in order.

    The events are in the first and the status is in the last, for nothing can be written once it says that the
    execution has ended. Whoever takes over in between writes the others, as they follow from the journal.
    """
    part = _Part(claim, step.events, step.consumed, size=step.size)
    for row in made.nodes:
        size = row.ByteSize()
        is_dynamic = _is_populated_by_a_graph(row)
        if part.is_full(size + row.outputs.ByteSize() * is_dynamic):
            yield part.commit
            part = _Part(claim)
        part.take(size)
        part.commit.nodes.append(row)
        if is_dynamic:
            part.take(row.outputs.ByteSize())
            part.commit.dynamic_outputs.add(node=row.id, attempt=row.attempts, outputs=row.outputs)
    for spec in step.attempts.values():
        size = spec.ByteSize()
        if part.is_full(size):
            yield part.commit
            part = _Part(claim)
        part.take(size)
        part.commit.attempts.append(spec)
    for place in step.places:
        size = place.ByteSize()
        if part.is_full(size):
            yield part.commit
            part = _Part(claim)
        part.take(size)
        part.commit.places.append(place)
    if made.status is not None:
        if part.is_full(made.status.ByteSize()):
            yield part.commit
            part = _Part(claim)
        part.commit.status.CopyFrom(made.status)
    yield part.commit


class _Part:
    """A commit that is being filled."""

    def __init__(
        self,
        claim: propeller_pb2.Claim,
        events: Sequence[events_pb2.Event] = (),
        consumed: Sequence[int] = (),
        size: int = 0,
    ) -> None:
        self.commit = propeller_pb2.ExecutionCommit(
            execution_id=claim.execution_id, epoch=claim.epoch, events=events, consumed=consumed
        )
        self._size = size

    def is_full(self, size: int) -> bool:
        """Whether so much more is too much; what is too large for any is put into one that has nothing else."""
        return self._size > 0 and self._size + size > steps.COMMIT_BYTES

    def take(self, size: int) -> None:
        self._size += size


def _is_populated_by_a_graph(row: executions_pb2.NodeExecution) -> bool:
    """Whether the cache is to have what the graph of a dynamic task gave."""
    return (
        row.kind == executions_pb2.NODE_KIND_DYNAMIC
        and row.phase == executions_pb2.PHASE_SUCCEEDED
        and row.cache == catalog_pb2.CACHE_STATUS_POPULATED
    )
