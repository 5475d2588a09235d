"""What a launch would do: puts a forecast's questions to the cache, and says why and what it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial

from typedflow.dataplane import offload
from typedflow.dataplane.objects import ObjectStore
from typedflow.pb.catalog_pb2 import CatalogEntry, Usage
from typedflow.pb.events_pb2 import ExecutionStarted
from typedflow.pb.executions_pb2 import (
    DECISION_RUN,
    DECISION_WAIT,
    PlanExecutionRequest,
    PlanExecutionResponse,
    PlannedNode,
)
from typedflow.pb.literals_pb2 import LiteralMap
from typedflow.pb.propeller_pb2 import CacheAnswer, CacheQuestion
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow_admin import executions, explanation, launches, store
from typedflow_admin.cache_answers import CacheAnswers
from typedflow_admin.forecast import Forecast, Missing

_QUESTIONS_AT_ONCE = 1000
_MOST_EXPLAINED = 100
_AVERAGED = 10  # of a task's newest entries

_Name = tuple[str, str, str]


class Plans:
    """Forecasts launches. `answers` has what the cache has, and `explanations` why it has not."""

    def __init__(
        self,
        database: store.Store,
        objects: ObjectStore,
        answers: CacheAnswers,
        explanations: explanation.Explanations,
        clock_us: Callable[[], int],
    ) -> None:
        self._database = database
        self._objects = objects
        self._answers = answers
        self._explanations = explanations
        self._clock_us = clock_us

    async def plan(self, request: PlanExecutionRequest) -> PlanExecutionResponse:
        """What a launch would do, node by node; launches nothing.

        Raises:
            NotFound: no such launch plan.
            ConversionError: inputs that are unknown, fixed, missing or mistyped, all of them.
            Unimplemented: it has nodes of a kind that can't run yet.
        """
        launch = request.launch
        found = await self._database.read(partial(launches.find, launch_plan=launch.launch_plan))
        target, inputs = await asyncio.to_thread(executions.bound, launch, *found)
        wishes = launches.Wishes(overwrite_cache=tuple(launch.overwrite_cache))
        nodes = await self.nodes(target, inputs, wishes)
        return PlanExecutionResponse(nodes=nodes, interface=target.plan.interface)

    async def nodes(
        self,
        target: launches.Target,
        inputs: LiteralMap,
        wishes: launches.Wishes,
        recover_from: str = "",
    ) -> list[PlannedNode]:
        """What an execution of these would do. Raises Unimplemented."""
        started = ExecutionStarted(
            inputs=inputs,
            overwrite_cache=wishes.overwrite_cache,
            recover_from=recover_from,
            rerun=wishes.rerun,
            signals=wishes.signals,
        )
        forecast = await asyncio.to_thread(self._begun, target, started)
        while questions := await asyncio.to_thread(forecast.questions):
            answers = await self._asked(questions)
            await asyncio.to_thread(forecast.answer, answers)
        missing = await asyncio.to_thread(lambda: list(forecast.missing(_MOST_EXPLAINED)))
        why = await self._why(missing)
        usual = await self._database.read(partial(_usual, tasks=target.workflow.tasks))
        nodes = await asyncio.to_thread(forecast.nodes, why, lambda task: usual.get(_name(task)))
        await self._tell_holders(nodes, forecast.made_one_at_a_time())
        return nodes

    async def _tell_holders(self, nodes: Sequence[PlannedNode], keys: Collection[str]) -> None:
        """What another makes just now is waited for."""
        if not keys:
            return
        held = await self._database.read(lambda transaction: transaction.reservations.find(keys))
        for node in nodes:
            holder = held.get(node.cache_key)
            if holder is not None and node.decision == DECISION_RUN:
                node.decision = DECISION_WAIT
                node.reason = f"node {holder.node} of execution {holder.execution_id} makes it"
                node.ClearField("usage")

    def _begun(self, target: launches.Target, started: ExecutionStarted) -> Forecast:
        launches.check_runnable(target)
        return Forecast(
            target.workflow,
            started,
            lambda literal: offload.load(literal, self._objects),
            self._clock_us(),
        )

    async def _asked(self, questions: dict[int, CacheQuestion]) -> dict[int, CacheAnswer]:
        units = list(questions)
        answers: dict[int, CacheAnswer] = {}
        for start in range(0, len(units), _QUESTIONS_AT_ONCE):
            part = units[start : start + _QUESTIONS_AT_ONCE]
            given = await self._answers.answer([questions[unit] for unit in part])
            answers |= zip(part, given, strict=True)
        return answers

    async def _why(self, missing: Sequence[Missing]) -> dict[int, str]:
        sides = [
            explanation.Side(each.manifest, each.inputs, each.task.interface, each.task.code)
            for each in missing
        ]
        reasons = await self._explanations.reasons(sides)
        return {each.unit: reason for each, reason in zip(missing, reasons, strict=True)}


def _name(task: TaskTemplate) -> _Name:
    return task.id.project, task.id.domain, task.id.name


def _usual(transaction: store.Transaction, *, tasks: Iterable[TaskTemplate]) -> dict[_Name, Usage]:
    """What each of the tasks took the last times, on average; of one that never ran, nothing."""
    found = {}
    for name in {_name(task) for task in tasks}:
        rows = transaction.catalog.page(*name, 0, _AVERAGED)
        took = [CatalogEntry.FromString(row.entry).usage for row in rows]
        if took:
            found[name] = Usage(
                wall_seconds=sum(each.wall_seconds for each in took) / len(took),
                cpu_seconds=sum(each.cpu_seconds for each in took) / len(took),
                gpu_seconds=sum(each.gpu_seconds for each in took) / len(took),
            )
    return found
