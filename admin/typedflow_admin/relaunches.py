"""Launching again what was launched: with the same inputs, or taking what succeeded and changing some of the rest.

A relaunch is of the same version of the launch plan, with the values that it was launched with. A recovery may be of
another version, and may change inputs by name; what it takes over, wherever keys are still the same, is decided when
it runs, as the cache is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from typedflow import errors, interface, literal_types, literals
from typedflow.pb.events_pb2 import Event, SignalReceived
from typedflow.pb.executions_pb2 import (
    Execution,
    Phase,
    RecoverExecutionRequest,
    RecoverExecutionResponse,
    RelaunchExecutionRequest,
)
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_LAUNCH_PLAN, Identifier
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.literals_pb2 import Literal, LiteralMap, NamedLiteral
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import executions, launch_plans, launches, node_paths, principals, store
from typedflow_admin.plans import Plans


@dataclass(frozen=True, slots=True)
class _Before:
    """What was launched, and what is launched now."""

    execution: store.ExecutionRow
    launch: store.LaunchRow
    rows: tuple[store.EntityRow, store.EntityRow]
    known: Sequence[str]
    """Those of the nodes that are to be run again which it had."""
    events: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class _Recovery:
    """A recovery that is checked: what it launches."""

    target: launches.Target
    inputs: LiteralMap
    wishes: launches.Wishes
    origin: launches.Origin


class Relaunches:
    """Launches again what was launched."""

    def __init__(
        self,
        database: store.Store,
        made: launches.Launches,
        launched: executions.Executions,
        plans: Plans,
    ) -> None:
        self._database = database
        self._launches = made
        self._executions = launched
        self._plans = plans

    async def relaunch(self, request: RelaunchExecutionRequest) -> Execution:
        """Launches again, with the same inputs; the same request with the same id again gives the same execution.

        Raises:
            NotFound: there is no such execution, or no such node of it.
            VersionConflict: the id is another launch's.
        """
        launches.check_id(request.id)
        before = await self._database.read(
            partial(_read, id_=request.execution_id, version="", rerun=(), journal=False)
        )
        return await self._executions.launch(await asyncio.to_thread(self._again, request, before))

    async def _recovery(self, request: RecoverExecutionRequest) -> _Recovery:
        """What a recovery would launch."""
        launches.check_id(request.id)
        before = await self._database.read(
            partial(
                _read,
                id_=request.execution_id,
                version=request.version,
                rerun=tuple(request.rerun),
                journal=True,
            )
        )
        return await asyncio.to_thread(_checked, request, before)

    async def recover(self, request: RecoverExecutionRequest) -> RecoverExecutionResponse:
        """Launches a recovery; the same request with the same id again is the same.

        A dry run launches nothing, and says what it would take over: of a large map that takes a while.

        Raises:
            NotFound: there is no such execution, version or node.
            StateConflict: the execution has not ended.
            ConversionError: inputs that don't fit what is launched now, all of them.
            VersionConflict: the id is another launch's.
        """
        recovery = await self._recovery(request)
        if request.dry_run:
            nodes = await self._plans.nodes(
                recovery.target, recovery.inputs, recovery.wishes, recovery.origin.recovered_from
            )
            return RecoverExecutionResponse(nodes=nodes)
        prepared = await asyncio.to_thread(
            self._launches.prepare,
            recovery.target,
            recovery.inputs,
            recovery.wishes,
            recovery.origin,
            id=request.id,
            request=launches.digest(request),
            principal=principals.current(),
        )
        return RecoverExecutionResponse(execution=await self._executions.launch(prepared))

    def _again(self, request: RelaunchExecutionRequest, before: _Before) -> launches.Prepared:
        target = launches.target(*before.rows)
        node_paths.check(target.workflow, request.overwrite_cache, "overwrite_cache")
        return self._launches.prepare(
            target,
            LiteralMap.FromString(before.launch.inputs),
            launches.Wishes(request.max_parallelism, tuple(request.overwrite_cache)),
            launches.Origin(relaunched_from=before.execution.id),
            id=request.id,
            request=launches.digest(request),
            principal=principals.current(),
        )


def _read(
    transaction: store.Transaction, *, id_: str, version: str, rerun: Sequence[str], journal: bool
) -> _Before:
    execution, launch = executions.existing(transaction.executions.find(id_), id_)
    if journal and execution.phase not in executions.ENDED:
        phase = Phase.Name(Phase.ValueType(execution.phase)).removeprefix("PHASE_")
        raise errors.StateConflict(
            f"execution `{id_}` has not ended: it is {phase}",
            where="execution_id",
            hint="abort it first, or wait for its end",
            code="NotEnded",
        )
    plan = Identifier(
        kind=ENTITY_KIND_LAUNCH_PLAN,
        project=execution.project,
        domain=execution.domain,
        name=execution.launch_plan,
        version=version or execution.launch_plan_version,
    )
    return _Before(
        execution,
        launch,
        launches.find(transaction, plan),
        list(transaction.executions.nodes_of(id_, rerun)) if rerun else [],
        transaction.executions.events(id_) if journal else [],
    )


def _checked(request: RecoverExecutionRequest, before: _Before) -> _Recovery:
    target = launches.target(*before.rows)
    plain = launch_plans.parse_json(request.inputs_json)
    inputs = rebound(
        target,
        LiteralMap.FromString(before.launch.inputs),
        Interface.FromString(before.launch.interface),
        request.inputs,
        plain,
    )
    node_paths.check(target.workflow, request.rerun, "rerun", before.known)
    wishes = launches.Wishes(
        request.max_parallelism,
        rerun=tuple(request.rerun),
        signals=tuple(carried(before.events, target.workflow, request.rerun)),
    )
    id_ = before.execution.id
    return _Recovery(target, inputs, wishes, launches.Origin(recovered_from=id_, relaunched_from=id_))


def rebound(
    target: launches.Target,
    old: LiteralMap,
    old_interface: Interface,
    changed: LiteralMap,
    plain: Mapping[str, object],
) -> LiteralMap:
    """The inputs of a launch that was launched before, some of them changed: complete, converted and in order.

    What the new version does not take any more is left out, what it fixes is as it says, and what it takes besides has
    to be given or have a default.

    Raises:
        ConversionError: names everything that is unknown, fixed, missing or does not fit.
    """
    named = {each.name for each in changed.values} | plain.keys()
    types = {each.name: each.type for each in old_interface.inputs}
    problems = launch_plans.refused(target.plan, changed, plain)
    kept: dict[str, Literal] = {}
    asked = Interface()
    for variable in target.plan.interface.inputs:
        value = literals.get(old, variable.name)
        if variable.name in named or value is None:
            asked.inputs.append(variable)
            continue
        try:
            kept[variable.name] = _as_now(value, types[variable.name], variable)
        except errors.ConversionError as error:
            problems += error.problems
    fixed = {each.name: each.value for each in target.plan.launch_plan.fixed_inputs.values}
    given = LiteralMap(values=[each for each in changed.values if each.name not in fixed])
    bound = LiteralMap()
    try:
        bound = interface.bind(asked, given, json={name: plain[name] for name in plain if name not in fixed})
    except errors.ConversionError as error:
        if not problems:
            raise
        problems += error.problems
    if problems:
        raise errors.ConversionError.of(problems)
    values = {**kept, **{each.name: each.value for each in bound.values}, **fixed}
    return LiteralMap(
        values=[
            NamedLiteral(name=each.name, value=values[each.name])
            for each in target.workflow.workflow.interface.inputs
        ]
    )


def carried(
    events: Sequence[bytes], workflow: CompiledWorkflow, rerun: Collection[str] = ()
) -> list[SignalReceived]:
    """What the gates of an execution were given that ask for values: nobody is asked again, but where that is wished.

    Who approved something approved that: it is asked again.
    """
    found: dict[str, SignalReceived] = {}
    for data in events:
        event = Event.FromString(data)
        match event.WhichOneof("kind"):
            case "execution_started":
                received = list(event.execution_started.signals)
            case "signal_received":
                received = [event.signal_received]
            case _:
                continue
        for each in received:
            if each.HasField("value"):
                found.setdefault(each.node, each)
    gates = {node.id: node.gate for node in workflow.workflow.nodes if node.HasField("gate")}
    return [
        each
        for path, each in found.items()
        if not node_paths.is_of(path, rerun)
        and (
            path not in gates
            or (
                gates[path].HasField("signal")
                and not literals.misfit(each.value, gates[path].signal.type, path)
            )
        )
    ]


def _as_now(value: Literal, was: LiteralType, variable: Variable) -> Literal:
    """A value that was launched with, as the new version takes it."""
    path = f"inputs.{variable.name}"
    if literal_types.equal(was, variable.type):
        return value
    if value.WhichOneof("value") != "offloaded":
        return literals.constant(value, variable.type, path)
    mismatch = literal_types.is_assignable(was, variable.type)
    if mismatch is not None:
        raise errors.ConversionError(
            f"it was {literal_types.brief(was)} and is now {literal_types.brief(variable.type)}",
            where=path,
            hint="give it anew",
        )
    return literals.convert(value, was, variable.type)
