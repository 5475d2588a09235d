"""Launches and what became of them: creates, shows, watches and aborts executions.

What happens inside an execution is decided by the propeller that holds it; this room only puts the launch, and the wish
to abort it, where the holder finds them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from functools import partial

from typedflow import errors, interface, spelling
from typedflow.pb.errors_pb2 import ExecutionError
from typedflow.pb.events_pb2 import AbortRequested
from typedflow.pb.executions_pb2 import (
    NODE_KIND_TASK,
    PHASE_ABORTED,
    PHASE_FAILED,
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
from typedflow.pb.literals_pb2 import LiteralMap
from typedflow_admin import (
    inbox,
    launch_plans,
    launches,
    node_paths,
    pages,
    principals,
    sensitive_nodes,
    store,
)
from typedflow_admin.bells import Bell
from typedflow_admin.launches import Both

ENDED = frozenset({PHASE_SUCCEEDED, PHASE_FAILED, PHASE_ABORTED, PHASE_TIMED_OUT})
# A bell tells of every change that this server makes, so this is rare: a thousand watchers that look cost something.
_LOOK_AGAIN_SECONDS = 10.0
_NODES_A_MESSAGE = 500


class Executions:
    """Creates, shows, watches and aborts executions. `work` wakes propellers, `changes` wakes watchers."""

    def __init__(self, database: store.Store, made: launches.Launches, work: Bell, changes: Bell) -> None:
        self._database = database
        self._launches = made
        self._work = work
        self._changes = changes
        self._sensitive = sensitive_nodes.SensitiveNodes()

    async def create(self, request: CreateExecutionRequest) -> Execution:
        """Launches; the same request with the same id again gives the same execution.

        Raises:
            NotFound: no such launch plan.
            ConversionError: inputs that are unknown, fixed, missing or mistyped, all of them.
            VersionConflict: the id is another launch's.
            Unimplemented: it has nodes of a kind that can't run yet.
        """
        launches.check_id(request.id)
        asked = launches.digest(request)
        if request.id and (there := await self._find(request.id)):
            launches.check_same(there, asked)
            return to_message(*there)
        found = await self._database.read(partial(launches.find, launch_plan=request.launch_plan))
        prepared = await asyncio.to_thread(self._prepare, request, asked, *found)
        return await self.launch(prepared)

    async def launch(self, prepared: launches.Prepared) -> Execution:
        """Writes an execution, or finds the same launch there.

        Raises:
            VersionConflict: the id is another launch's.
        """
        there = await self._database.write(partial(launches.insert, prepared=prepared))
        if there is not None:
            launches.check_same(there, prepared.launch.request)
            return to_message(*there)
        self._work.ring("")
        return to_message(prepared.execution, prepared.launch)

    def _prepare(
        self,
        request: CreateExecutionRequest,
        asked: str,
        plan_row: store.EntityRow,
        workflow_row: store.EntityRow,
    ) -> launches.Prepared:
        target, inputs = bound(request, plan_row, workflow_row)
        wishes = launches.Wishes(request.max_parallelism, tuple(request.overwrite_cache))
        return self._launches.prepare(
            target,
            inputs,
            wishes,
            launches.Origin(),
            id=request.id,
            request=asked,
            principal=principals.current(),
        )

    async def get(self, execution_id: str) -> Execution:
        """One execution.

        Raises:
            NotFound: there is none.
        """
        return to_message(*existing(await self._find(execution_id), execution_id))

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
        """A page of an execution's nodes, in the order in which they can run.

        Raises:
            NotFound: there is no such execution, or no such `parent` in it.
        """
        limit = pages.size(request.page_size)
        id_, parent = request.execution_id, request.parent
        wanted = store.NodeFilter(parent, phases=tuple(request.phases))
        filters = ("nodes", id_, parent, *wanted.phases)
        # 0 is "from the start", so tokens hold the place after the last.
        after = pages.number(request.page_token, *filters) - 1

        def read(transaction: store.Transaction) -> tuple[list[store.NodeRow], Mapping[str, Interface]]:
            execution, launch = existing(transaction.executions.find(id_), id_)
            if parent and transaction.executions.node(id_, parent) is None:
                raise no_node(transaction, execution.id, parent, "parent")
            rows = transaction.executions.nodes(id_, wanted, after, limit + 1)
            return rows, self._sensitive.of(transaction, launch, [row.node for row in rows])

        rows, sensitive = await self._database.read(read)
        page, token = pages.cut(rows, limit, store.weight, lambda row: row.position + 1, *filters)
        return ListNodesResponse(nodes=[node_message(row, sensitive) for row in page], next_page_token=token)

    async def watch(self, execution_id: str, *, slots: bool = False) -> AsyncIterator[WatchExecutionResponse]:
        """The execution and its nodes as they are, then every change, until the execution has ended.

        `slots`: also those that are in slots of maps.
        """
        with self._changes.listen(execution_id) as listener:
            execution, launch = existing(await self._find(execution_id), execution_id)
            # What the client has: nothing yet.
            shown, revision = replace(execution, phase=PHASE_UNSPECIFIED), 0
            while True:
                if execution.revision > revision:
                    # The execution comes last: who sees it ended has seen all nodes.
                    async for nodes, last in self._changed(launch, revision, slots=slots):
                        answer = WatchExecutionResponse(nodes=nodes)
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
        self, launch: store.LaunchRow, since: int, *, slots: bool
    ) -> AsyncIterator[tuple[list[NodeExecution], bool]]:
        """The nodes that changed since a revision, part by part, with whether it is the last; there is always one."""
        for slotted in (False, True) if slots else (False,):
            after, done = -1, False
            while not done:
                rows, sensitive = await self._database.read(
                    partial(self._part, launch=launch, since=since, after=after, slotted=slotted)
                )
                count = pages.fitting(rows[:_NODES_A_MESSAGE], store.weight)
                done = count == len(rows)
                yield [node_message(row, sensitive) for row in rows[:count]], done and slotted == slots
                after = rows[count - 1].position if rows else after

    def _part(
        self,
        transaction: store.Transaction,
        *,
        launch: store.LaunchRow,
        since: int,
        after: int,
        slotted: bool,
    ) -> tuple[list[store.NodeRow], Mapping[str, Interface]]:
        limit, executions = _NODES_A_MESSAGE + 1, transaction.executions
        rows = (
            executions.changed_nodes(launch.execution_id, since, after, limit, slotted=slotted)
            if since
            else executions.nodes(launch.execution_id, store.NodeFilter(slotted=slotted), after, limit)
        )
        return rows, self._sensitive.of(transaction, launch, [row.node for row in rows])

    async def abort(self, execution_id: str, reason: str) -> Execution:
        """Asks the holder to abort; nothing changes for an execution that has ended.

        Raises:
            NotFound: there is none.
            UsageError: the reason is too long.
        """
        inbox.check_remark(reason, "reason", "a reason")
        wish = AbortRequested(principal=principals.current(), reason=reason)

        def post(transaction: store.Transaction) -> Both:
            both = existing(transaction.executions.find(execution_id), execution_id)
            inbox.post(transaction, execution_id, abort_requested=wish)
            return both

        both = await self._database.write(post)
        self._work.ring(execution_id)
        return to_message(*both)

    async def _find(self, execution_id: str) -> Both | None:
        return await self._database.read(lambda transaction: transaction.executions.find(execution_id))


def bound(
    request: CreateExecutionRequest, plan_row: store.EntityRow, workflow_row: store.EntityRow
) -> tuple[launches.Target, LiteralMap]:
    """What a launch is of, and its inputs; checked as far as it can be without launching. Not on the event loop.

    Raises:
        ConversionError: inputs that are unknown, fixed, missing or mistyped, all of them.
        NotFound: nodes that are to be made anew and that there are none of.
    """
    target = launches.target(plan_row, workflow_row)
    plain = launch_plans.parse_json(request.inputs_json)
    inputs = launch_plans.bind(target.plan, target.workflow, request.inputs, plain)
    node_paths.check(target.workflow, request.overwrite_cache, "overwrite_cache")
    return target, inputs


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
        parent_execution_id=launch.parent_execution_id,
        parent_node=launch.parent_node,
        recovered_from=launch.recovered_from,
        relaunched_from=launch.relaunched_from,
        max_parallelism=launch.max_parallelism,
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
    if row.node in sensitive:
        sensitive_nodes.redact(message, sensitive[row.node])
    message.revision, message.position = row.revision, row.position
    message.kind = message.kind or NODE_KIND_TASK
    return message


def _weight(both: Both) -> int:
    return store.weight(*both)


def existing(both: Both | None, execution_id: str) -> Both:
    """What was found.

    Raises:
        NotFound: nothing was.
    """
    if both is None:
        raise errors.NotFound(
            f"there is no execution `{execution_id}`", hint="`typedflow get executions` lists them"
        )
    return both


def no_node(
    transaction: store.Transaction, execution_id: str, path: str, where: str = "node"
) -> errors.NotFound:
    """The error for a path that an execution has no node of, with what is near."""
    rows = transaction.executions.nodes(execution_id, store.NodeFilter(), -1, pages.LARGEST_SIZE)
    near = spelling.nearest(path, [row.node for row in rows])
    return errors.NotFound(
        f"execution `{execution_id}` has no node `{path}`",
        where=where,
        hint=f"did you mean `{near}`?" if near else "",
    )
