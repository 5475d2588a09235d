"""Launches and what became of them: creates, shows, watches and aborts executions.

What happens inside an execution is decided by the propeller that holds it; this room only puts the launch, and the wish
to abort it, where the holder finds them.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from blake3 import blake3

from typedflow import engine, errors, identifiers, interface
from typedflow.dataplane import offload
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.errors_pb2 import ExecutionError
from typedflow.pb.events_pb2 import AbortRequested, Event, ExecutionStarted
from typedflow.pb.executions_pb2 import (
    PHASE_ABORTED,
    PHASE_FAILED,
    PHASE_QUEUED,
    PHASE_SUCCEEDED,
    PHASE_TIMED_OUT,
    PHASE_UNSPECIFIED,
    CreateExecutionRequest,
    Execution,
    ListExecutionsRequest,
    ListExecutionsResponse,
    ListNodesRequest,
    ListNodesResponse,
    NodeExecution,
    Phase,
    WatchExecutionResponse,
)
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, ENTITY_KIND_WORKFLOW, Identifier
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.launch_plans_pb2 import CompiledLaunchPlan
from typedflow.pb.literals_pb2 import LiteralMap, NamedLiteral
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import launch_plans, names, pages, principals, registration, sensitive_nodes, store
from typedflow_admin.bells import Bell

ENDED = frozenset({PHASE_SUCCEEDED, PHASE_FAILED, PHASE_ABORTED, PHASE_TIMED_OUT})
EVENT_SCHEMA = 1
MAX_REMARK = 4096
"""The most characters of what somebody says to an execution, which its journal keeps."""

# A bell tells of every change that this server makes, so this is rare: a thousand watchers that look cost something.
_LOOK_AGAIN_SECONDS = 10.0
_NODES_A_MESSAGE = 500
_ALPHABET = "0123456789abcdefghijklmnopqrstuv"
_SECRET_BYTES = 32

Both = tuple[store.ExecutionRow, store.LaunchRow]


class Executions:
    """Creates, shows, watches and aborts executions. `work` wakes propellers, `changes` wakes watchers."""

    def __init__(
        self,
        database: store.Store,
        objects: ObjectStore,
        work: Bell,
        changes: Bell,
        clock_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._objects = objects
        self._work = work
        self._changes = changes
        self._clock_us = clock_us
        self._sensitive = sensitive_nodes.SensitiveNodes()

    async def create(self, request: CreateExecutionRequest) -> Execution:
        """Launches; the same request with the same id again gives the same execution.

        Raises:
            NotFound: no such launch plan.
            ConversionError: inputs that are unknown, fixed, missing or mistyped, all of them.
            VersionConflict: the id is another launch's.
            Unimplemented: it has nodes of a kind that can't run yet.
        """
        if request.id and (problem := identifiers.check_label(request.id)):
            raise errors.UsageError(problem, where="id", code="InvalidName")
        if request.id and (there := await self._find(request.id)):
            return _same_launch(there, request)
        found = await self._database.read(lambda transaction: _entities(transaction, request.launch_plan))
        execution, launch, nodes, event = await asyncio.to_thread(self._launch, request, *found)

        def insert(transaction: store.Transaction) -> Both | None:
            there = transaction.executions.find(execution.id)
            if there is None:
                transaction.executions.insert(execution, launch, nodes, event)
            return there

        there = await self._database.write(insert)
        if there is not None:
            return _same_launch(there, request)
        self._work.ring("")
        return to_message(execution, launch)

    async def get(self, execution_id: str) -> Execution:
        """One execution.

        Raises:
            NotFound: there is none.
        """
        return to_message(*_there(await self._find(execution_id), execution_id))

    async def page(self, request: ListExecutionsRequest) -> ListExecutionsResponse:
        """A page of executions, newest first."""
        limit = pages.size(request.page_size)
        wanted = store.ExecutionFilter(
            request.project, request.domain, request.launch_plan, tuple(request.phases)
        )
        before = pages.number(request.page_token, "executions", wanted)
        rows = await self._database.read(
            lambda transaction: transaction.executions.page(wanted, before, limit + 1)
        )
        page, token = pages.cut(rows, limit, _weight, lambda both: both[0].number, "executions", wanted)
        return ListExecutionsResponse(executions=[to_message(*both) for both in page], next_page_token=token)

    async def list_nodes(self, request: ListNodesRequest) -> ListNodesResponse:
        """A page of an execution's nodes, in the order in which they can run."""
        limit = pages.size(request.page_size)
        id_ = request.execution_id
        # 0 is "from the start", so tokens hold the place after the last.
        after = pages.number(request.page_token, "nodes", id_) - 1

        def read(transaction: store.Transaction) -> tuple[list[store.NodeRow], Mapping[str, Interface]]:
            _, launch = _there(transaction.executions.find(id_), id_)
            return transaction.executions.nodes(id_, after, limit + 1), self._sensitive.of(
                transaction, launch
            )

        rows, sensitive = await self._database.read(read)
        page, token = pages.cut(rows, limit, store.weight, lambda row: row.position + 1, "nodes", id_)
        return ListNodesResponse(nodes=[node_message(row, sensitive) for row in page], next_page_token=token)

    async def watch(self, execution_id: str) -> AsyncIterator[WatchExecutionResponse]:
        """The execution and its nodes as they are, then every change, until the execution has ended."""
        with self._changes.listen(execution_id) as listener:
            execution, launch = _there(await self._find(execution_id), execution_id)
            sensitive = await self._database.read(partial(self._sensitive.of, launch=launch))
            # What the client has: nothing yet.
            shown, revision = replace(execution, phase=PHASE_UNSPECIFIED), 0
            while True:
                if execution.revision > revision:
                    # The execution comes last: who sees it ended has seen all nodes.
                    async for part, last in self._changed(execution_id, revision):
                        answer = WatchExecutionResponse(
                            nodes=[node_message(each, sensitive) for each in part]
                        )
                        if last and execution != replace(shown, revision=execution.revision):
                            answer.execution.CopyFrom(to_message(execution, launch))
                            shown = execution
                        if answer.nodes or answer.HasField("execution"):
                            yield answer
                    revision = execution.revision
                if execution.phase in ENDED:
                    return
                await listener.wait(_LOOK_AGAIN_SECONDS)
                now = await self._database.read(lambda transaction: transaction.executions.row(execution_id))
                if now is None:
                    return
                execution = now

    async def _changed(
        self, execution_id: str, since: int
    ) -> AsyncIterator[tuple[Sequence[store.NodeRow], bool]]:
        """The nodes that changed since a revision, part by part, with whether it is the last; there is always one."""
        after, last = -1, False
        while not last:
            rows = await self._database.read(
                partial(_changed_nodes, execution_id=execution_id, since=since, after=after)
            )
            count = pages.fitting(rows[:_NODES_A_MESSAGE], store.weight)
            last = count == len(rows)
            yield rows[:count], last
            after = rows[count - 1].position if rows else after

    async def abort(self, execution_id: str, reason: str) -> Execution:
        """Asks the holder to abort; nothing changes for an execution that has ended.

        Raises:
            NotFound: there is none.
            UsageError: the reason is too long.
        """
        if len(reason) > MAX_REMARK:
            raise errors.UsageError(
                f"a reason has at most {MAX_REMARK:,} characters", where="reason", code="InvalidRequest"
            )
        event = Event(
            schema=EVENT_SCHEMA, abort_requested=AbortRequested(principal=principals.current(), reason=reason)
        ).SerializeToString()

        def post(transaction: store.Transaction) -> Both:
            both = _there(transaction.executions.find(execution_id), execution_id)
            transaction.leases.post(execution_id, event)
            return both

        both = await self._database.write(post)
        self._work.ring(execution_id)
        return to_message(*both)

    async def _find(self, execution_id: str) -> Both | None:
        return await self._database.read(lambda transaction: transaction.executions.find(execution_id))

    def _launch(
        self, request: CreateExecutionRequest, plan_row: store.EntityRow, workflow_row: store.EntityRow
    ) -> tuple[store.ExecutionRow, store.LaunchRow, list[store.NodeRow], bytes]:
        """The rows of a new launch, and its first inbox row."""
        plan = CompiledLaunchPlan.FromString(plan_row.template)
        workflow = CompiledWorkflow.FromString(workflow_row.template)
        engine.check_runnable(workflow)
        plain = launch_plans.parse_json(request.inputs_json)
        bound = launch_plans.bind(plan, workflow, request.inputs, plain)
        launch_plans.check_nodes(workflow, request.overwrite_cache)
        inputs = LiteralMap(
            values=[
                NamedLiteral(name=one.name, value=offload.offload(one.value, self._objects))
                for one in bound.values
            ]
        )
        now = self._clock_us()
        started = ExecutionStarted(
            inputs=inputs,
            max_parallelism=plan.launch_plan.max_parallelism,
            overwrite_cache=request.overwrite_cache,
        )
        execution = store.ExecutionRow(
            id=request.id or new_id(now),
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
            inputs=inputs.SerializeToString(),
            interface=workflow.workflow.interface.SerializeToString(),
            request=_digest(request),
            secret=secrets.token_bytes(_SECRET_BYTES),
            principal=principals.current(),
        )
        nodes = [
            store.NodeRow(
                node.id,
                position,
                1,
                NodeExecution(
                    id=node.id, task=node.task.task.name, phase=PHASE_QUEUED, revision=1
                ).SerializeToString(),
            )
            for position, node in enumerate(workflow.workflow.nodes)
        ]
        event = Event(schema=EVENT_SCHEMA, execution_started=started)
        return execution, launch, nodes, event.SerializeToString()


def new_id(clock_us: int) -> str:
    """A DNS label that sorts by time, to the millisecond, and is nobody else's."""
    number = (clock_us // 1000) << 40 | secrets.randbits(40)
    return "x" + "".join(_ALPHABET[number >> shift & 31] for shift in range(85, -1, -5))


def to_message(execution: store.ExecutionRow, launch: store.LaunchRow) -> Execution:
    """The rows as the message that clients see, without what is Sensitive."""
    variables = Interface.FromString(launch.interface)
    message = Execution(
        id=execution.id,
        project=execution.project,
        domain=execution.domain,
        launch_plan=Identifier(
            kind=ENTITY_KIND_LAUNCH_PLAN,
            project=execution.project,
            domain=execution.domain,
            name=execution.launch_plan,
            version=execution.launch_plan_version,
        ),
        workflow=Identifier(
            kind=ENTITY_KIND_WORKFLOW,
            project=execution.project,
            domain=execution.domain,
            name=launch.workflow,
            version=launch.workflow_version,
        ),
        phase=Phase.ValueType(execution.phase),
        inputs=interface.redacted(LiteralMap.FromString(launch.inputs), variables.inputs),
        interface=variables,
        principal=launch.principal,
        created_at_us=execution.created_at_us,
        started_at_us=execution.started_at_us,
        ended_at_us=execution.ended_at_us,
        revision=execution.revision,
    )
    if execution.outputs is not None:
        outputs = LiteralMap.FromString(execution.outputs)
        message.outputs.CopyFrom(interface.redacted(outputs, variables.outputs))
    if execution.error is not None:
        message.error.CopyFrom(ExecutionError.FromString(execution.error))
    return message


def node_message(row: store.NodeRow, sensitive: Mapping[str, Interface]) -> NodeExecution:
    """The row as the message that clients see, without what is Sensitive; `sensitive`: the nodes that give such."""
    message = NodeExecution.FromString(row.state)
    if row.node in sensitive and message.HasField("outputs"):
        message.outputs.CopyFrom(interface.redacted(message.outputs, sensitive[row.node].outputs))
    message.revision = row.revision
    return message


def _entities(
    transaction: store.Transaction, launch_plan: Identifier
) -> tuple[store.EntityRow, store.EntityRow]:
    """A launch plan and its workflow."""
    wanted = Identifier()
    wanted.CopyFrom(launch_plan)
    wanted.kind = ENTITY_KIND_LAUNCH_PLAN
    plan = names.find(transaction, wanted, "launch_plan")
    template = CompiledLaunchPlan.FromString(plan.template).launch_plan
    target = registration.completed(template.workflow, template.id, ENTITY_KIND_WORKFLOW)
    return plan, names.find(transaction, target, "workflow")


def _changed_nodes(
    transaction: store.Transaction, *, execution_id: str, since: int, after: int
) -> list[store.NodeRow]:
    limit = _NODES_A_MESSAGE + 1
    if since == 0:
        return transaction.executions.nodes(execution_id, after, limit)
    return transaction.executions.changed_nodes(execution_id, since, after, limit)


def _weight(both: Both) -> int:
    return store.weight(*both)


def _there(both: Both | None, execution_id: str) -> Both:
    if both is None:
        raise errors.NotFound(
            f"there is no execution `{execution_id}`", hint="`typedflow get executions` lists them"
        )
    return both


def _same_launch(there: Both, request: CreateExecutionRequest) -> Execution:
    if there[1].request != _digest(request):
        raise errors.VersionConflict(
            f"there is an execution `{request.id}` that was launched differently",
            where="id",
            hint="choose another id, or none to have one made",
        )
    return to_message(*there)


def _digest(request: CreateExecutionRequest) -> str:
    return blake3(request.SerializeToString(deterministic=True)).hexdigest()
