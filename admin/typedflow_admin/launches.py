"""What an execution starts as: its rows, and the first event that its holder takes.

Everything that launches goes through here: a client's launch, a relaunch, a recovery, and a node that launches. What a
`Target` is bound to is said by `launch_plans`; this room adds up the rest, and writes it in the caller's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from blake3 import blake3
from google.protobuf import message

from typedflow import engine, errors, identifiers
from typedflow.dataplane import offload
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.events_pb2 import ExecutionStarted, SignalReceived
from typedflow.pb.executions_pb2 import (
    NODE_KIND_BRANCH,
    NODE_KIND_GATE,
    NODE_KIND_LAUNCH_PLAN,
    NODE_KIND_MAP,
    NODE_KIND_TASK,
    PHASE_QUEUED,
    NodeExecution,
    NodeKind,
)
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, ENTITY_KIND_WORKFLOW, Identifier
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.literals_pb2 import LiteralMap, NamedLiteral
from typedflow.pb.workflows_pb2 import CompiledWorkflow, Node
from typedflow_admin import inbox, names, registration, store
from typedflow_admin.places import Places

_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_SECRET_BYTES = 32
_KINDS: dict[str, NodeKind.ValueType] = {
    "task": NODE_KIND_TASK,
    "map": NODE_KIND_MAP,
    "branch": NODE_KIND_BRANCH,
    "gate": NODE_KIND_GATE,
    "launch_plan": NODE_KIND_LAUNCH_PLAN,
}

Both = tuple[store.ExecutionRow, store.LaunchRow]


@dataclass(frozen=True, slots=True)
class Target:
    """A version of a launch plan and its workflow's, as they are stored and as they say."""

    plan_row: store.EntityRow
    workflow_row: store.EntityRow
    plan: CompiledLaunchPlan
    workflow: CompiledWorkflow


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an execution comes from; empty: somebody launched it with inputs of their own."""

    parent_execution_id: str = ""
    parent_node: str = ""
    depth: int = 0
    recovered_from: str = ""
    relaunched_from: str = ""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is asked for besides the inputs, as in ExecutionStarted."""

    max_parallelism: int = 0
    overwrite_cache: tuple[str, ...] = ()
    rerun: tuple[str, ...] = ()
    signals: tuple[SignalReceived, ...] = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """An execution that is to be written."""

    execution: store.ExecutionRow
    launch: store.LaunchRow
    nodes: list[store.NodeRow] = field(repr=False)
    event: bytes = field(repr=False)
    capped: bool = False


class Launches:
    """Prepares executions: `places` says which are capped, `objects` keeps what is large."""

    def __init__(self, objects: ObjectStore, places: Places, clock_us: Callable[[], int]) -> None:
        self._objects = objects
        self._places = places
        self._clock_us = clock_us

    def prepare(
        self,
        target: Target,
        inputs: LiteralMap,
        wishes: Wishes,
        origin: Origin,
        *,
        id: str,  # noqa: A002 - what it is
        request: str,
        principal: str,
    ) -> Prepared:
        """The rows of a launch; without an `id` it gets one. `request` is the digest of what was asked for.

        Raises:
            Unimplemented: it has nodes of a kind that can't run yet.
        """
        check_runnable(target)
        kept = self.keep(inputs)
        now = self._clock_us()
        plan_parallelism = target.plan.launch_plan.max_parallelism
        capped = self._places.is_capped(plan_parallelism)
        started = ExecutionStarted(
            inputs=kept,
            max_parallelism=wishes.max_parallelism,
            overwrite_cache=wishes.overwrite_cache,
            recover_from=origin.recovered_from,
            rerun=wishes.rerun,
            capped=capped,
            signals=wishes.signals,
        )
        plan_row, workflow_row = target.plan_row, target.workflow_row
        execution = store.ExecutionRow(
            id=id or new_id(now),
            project=plan_row.project,
            domain=plan_row.domain,
            launch_plan=plan_row.name,
            launch_plan_version=plan_row.version,
            phase=PHASE_QUEUED,
            outputs=None,
            error=None,
            created_at_us=now,
            started_at_us=0,
            ended_at_us=0,
            revision=1,
        )
        launch = store.LaunchRow(
            execution_id=execution.id,
            workflow_number=workflow_row.number,
            workflow=workflow_row.name,
            workflow_version=workflow_row.version,
            inputs=kept.SerializeToString(),
            interface=target.workflow.workflow.interface.SerializeToString(),
            request=request,
            secret=secrets.token_bytes(_SECRET_BYTES),
            principal=principal,
            parent_execution_id=origin.parent_execution_id,
            parent_node=origin.parent_node,
            recovered_from=origin.recovered_from,
            relaunched_from=origin.relaunched_from,
            max_parallelism=wishes.max_parallelism,
            plan_parallelism=plan_parallelism,
            depth=origin.depth,
        )
        nodes = [_node_row(position, node) for position, node in enumerate(target.workflow.workflow.nodes)]
        return Prepared(execution, launch, nodes, inbox.event(execution_started=started), capped)

    def keep(self, values: LiteralMap) -> LiteralMap:
        """The values, those that are large by reference."""
        return LiteralMap(
            values=[
                NamedLiteral(name=one.name, value=offload.offload(one.value, self._objects))
                for one in values.values
            ]
        )


def insert(transaction: store.Transaction, prepared: Prepared) -> Both | None:
    """Writes an execution; gives the one that is there already under its id, and then writes nothing."""
    there = transaction.executions.find(prepared.execution.id)
    if there is None:
        transaction.executions.insert(
            prepared.execution, prepared.launch, prepared.nodes, prepared.event, capped=prepared.capped
        )
    return there


def find(transaction: store.Transaction, launch_plan: Identifier) -> tuple[store.EntityRow, store.EntityRow]:
    """A launch plan and its workflow, for `target`.

    Raises:
        NotFound: no such launch plan.
    """
    wanted = Identifier()
    wanted.CopyFrom(launch_plan)
    wanted.kind = ENTITY_KIND_LAUNCH_PLAN
    plan = names.find(transaction, wanted, "launch_plan")
    template = CompiledLaunchPlan.FromString(plan.template).launch_plan
    workflow = registration.completed(template.workflow, template.id, ENTITY_KIND_WORKFLOW)
    return plan, names.find(transaction, workflow, "workflow")


def target(plan_row: store.EntityRow, workflow_row: store.EntityRow) -> Target:
    """What the rows say. Takes a while for a large workflow: not on the event loop."""
    return Target(
        plan_row,
        workflow_row,
        CompiledLaunchPlan.FromString(plan_row.template),
        CompiledWorkflow.FromString(workflow_row.template),
    )


def check_runnable(target: Target) -> None:
    """Refuses what can't run yet. Raises Unimplemented."""
    engine.check_runnable(target.workflow)


def kind_of(node: Node) -> NodeKind.ValueType:
    """What a node is."""
    return _KINDS[node.WhichOneof("target") or "task"]


def new_id(clock_us: int) -> str:
    """A DNS label that sorts by time, to the millisecond, and is nobody else's."""
    number = (clock_us // 1000) << 40 | secrets.randbits(40)
    return "x" + "".join(_ALPHABET[number >> shift & 31] for shift in range(85, -1, -5))


def digest(request: message.Message) -> str:
    """Of what was asked for: the same id again is the same launch only if this is the same."""
    return blake3(request.SerializeToString(deterministic=True)).hexdigest()


def check_id(id_: str) -> None:
    """Refuses what is no id of an execution; none is given is fine.

    Raises:
        UsageError: it is none.
    """
    if id_ and (problem := identifiers.check_label(id_)):
        raise errors.UsageError(problem, where="id", code="InvalidName")


def check_same(there: Both, request: str) -> None:
    """Refuses an id that is another launch's.

    Raises:
        VersionConflict: it is.
    """
    execution, launch = there
    if launch.request != request:
        raise errors.VersionConflict(
            f"there is an execution `{execution.id}` that was launched differently",
            where="id",
            hint="choose another id, or none to have one made",
        )


def _node_row(position: int, node: Node) -> store.NodeRow:
    task = node.map.task if node.HasField("map") else node.task.task
    state = NodeExecution(
        id=node.id, task=task.name, phase=PHASE_QUEUED, kind=kind_of(node), position=position, revision=1
    )
    return store.NodeRow(node.id, position, 1, state.SerializeToString(), phase=PHASE_QUEUED)
