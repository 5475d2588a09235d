"""The services of `idl/`: takes a request apart, calls the room that knows, puts the answer together. No logic.

Methods do not use gRPC's context, so that HTTP calls the same ones; what they raise is translated in front of them.
"""

# ruff: noqa: N802 - methods are called what the .proto calls them
from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from typedflow.pb import (
    attempt_pb2,
    attempt_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    data_pb2,
    data_pb2_grpc,
    executions_pb2,
    executions_pb2_grpc,
    propeller_pb2,
    propeller_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)
from typedflow_admin.activation import LaunchPlans
from typedflow_admin.attempt_records import AttemptRecords
from typedflow_admin.attempts import Attempts
from typedflow_admin.cache_answers import CacheAnswers
from typedflow_admin.catalog import Catalog
from typedflow_admin.children import Children
from typedflow_admin.comparisons import Comparisons
from typedflow_admin.data import Data
from typedflow_admin.executions import Executions
from typedflow_admin.explanation import Explanations
from typedflow_admin.garbage import Garbage
from typedflow_admin.logs import Logs
from typedflow_admin.plans import Plans
from typedflow_admin.registry import Registry
from typedflow_admin.relaunches import Relaunches
from typedflow_admin.signals import Signals
from typedflow_admin.statistics import Statistics
from typedflow_admin.work import Work


@dataclass(frozen=True, slots=True)
class Rooms:
    """Everything that the services call."""

    registry: Registry
    launch_plans: LaunchPlans
    comparisons: Comparisons
    executions: Executions
    plans: Plans
    relaunches: Relaunches
    signals: Signals
    attempt_records: AttemptRecords
    children: Children
    logs: Logs
    catalog: Catalog
    cache_answers: CacheAnswers
    explanations: Explanations
    statistics: Statistics
    garbage: Garbage
    data: Data
    work: Work
    attempts: Attempts


class RegistryService(registry_pb2_grpc.RegistryServicer):
    """typedflow.v1.Registry"""

    def __init__(self, rooms: Rooms) -> None:
        self._registry = rooms.registry
        self._launch_plans = rooms.launch_plans
        self._comparisons = rooms.comparisons

    async def Register(
        self, request_iterator: AsyncIterator[registry_pb2.RegisterRequest], _context: object
    ) -> registry_pb2.RegisterResponse:
        return await self._registry.register(request_iterator)

    async def GetEntity(
        self, request: registry_pb2.GetEntityRequest, _context: object
    ) -> registry_pb2.GetEntityResponse:
        return registry_pb2.GetEntityResponse(entity=await self._registry.get(request.id))

    async def ListEntities(
        self, request: registry_pb2.ListEntitiesRequest, _context: object
    ) -> registry_pb2.ListEntitiesResponse:
        return await self._registry.page(request)

    async def CompareEntities(
        self, request: registry_pb2.CompareEntitiesRequest, _context: object
    ) -> registry_pb2.CompareEntitiesResponse:
        return await self._comparisons.compare(request)

    async def ActivateLaunchPlan(
        self, request: registry_pb2.ActivateLaunchPlanRequest, _context: object
    ) -> registry_pb2.ActivateLaunchPlanResponse:
        return await self._launch_plans.activate(request)

    async def DeactivateLaunchPlan(
        self, request: registry_pb2.DeactivateLaunchPlanRequest, _context: object
    ) -> registry_pb2.DeactivateLaunchPlanResponse:
        return await self._launch_plans.deactivate(request.id)


class ExecutionsService(executions_pb2_grpc.ExecutionsServicer):
    """typedflow.v1.Executions"""

    def __init__(self, rooms: Rooms) -> None:
        self._executions = rooms.executions
        self._plans = rooms.plans
        self._relaunches = rooms.relaunches
        self._signals = rooms.signals
        self._attempts = rooms.attempt_records
        self._logs = rooms.logs

    async def CreateExecution(
        self, request: executions_pb2.CreateExecutionRequest, _context: object
    ) -> executions_pb2.CreateExecutionResponse:
        return executions_pb2.CreateExecutionResponse(execution=await self._executions.create(request))

    async def GetExecution(
        self, request: executions_pb2.GetExecutionRequest, _context: object
    ) -> executions_pb2.GetExecutionResponse:
        return executions_pb2.GetExecutionResponse(execution=await self._executions.get(request.execution_id))

    async def ListExecutions(
        self, request: executions_pb2.ListExecutionsRequest, _context: object
    ) -> executions_pb2.ListExecutionsResponse:
        return await self._executions.page(request)

    async def ListNodes(
        self, request: executions_pb2.ListNodesRequest, _context: object
    ) -> executions_pb2.ListNodesResponse:
        return await self._executions.list_nodes(request)

    def WatchExecution(
        self, request: executions_pb2.WatchExecutionRequest, _context: object
    ) -> AsyncIterator[executions_pb2.WatchExecutionResponse]:
        return self._executions.watch(request.execution_id, slots=request.slots)

    async def AbortExecution(
        self, request: executions_pb2.AbortExecutionRequest, _context: object
    ) -> executions_pb2.AbortExecutionResponse:
        execution = await self._executions.abort(request.execution_id, request.reason)
        return executions_pb2.AbortExecutionResponse(execution=execution)

    async def PlanExecution(
        self, request: executions_pb2.PlanExecutionRequest, _context: object
    ) -> executions_pb2.PlanExecutionResponse:
        return await self._plans.plan(request)

    async def RelaunchExecution(
        self, request: executions_pb2.RelaunchExecutionRequest, _context: object
    ) -> executions_pb2.RelaunchExecutionResponse:
        execution = await self._relaunches.relaunch(request)
        return executions_pb2.RelaunchExecutionResponse(execution=execution)

    async def RecoverExecution(
        self, request: executions_pb2.RecoverExecutionRequest, _context: object
    ) -> executions_pb2.RecoverExecutionResponse:
        return await self._relaunches.recover(request)

    async def SignalNode(
        self, request: executions_pb2.SignalNodeRequest, _context: object
    ) -> executions_pb2.SignalNodeResponse:
        await self._signals.signal(request)
        return executions_pb2.SignalNodeResponse()

    async def GetAttempt(
        self, request: executions_pb2.GetAttemptRequest, _context: object
    ) -> executions_pb2.GetAttemptResponse:
        return await self._attempts.get(request)

    def ReadLogs(
        self, request: executions_pb2.ReadLogsRequest, _context: object
    ) -> AsyncIterator[executions_pb2.ReadLogsResponse]:
        return self._logs.read(request)


class CatalogService(catalog_pb2_grpc.CatalogServicer):
    """typedflow.v1.Catalog"""

    def __init__(self, rooms: Rooms) -> None:
        self._catalog = rooms.catalog
        self._explanations = rooms.explanations
        self._statistics = rooms.statistics

    async def Lookup(
        self, request: catalog_pb2.LookupRequest, _context: object
    ) -> catalog_pb2.LookupResponse:
        return catalog_pb2.LookupResponse(results=await self._catalog.lookup(request.keys))

    async def ListEntries(
        self, request: catalog_pb2.ListEntriesRequest, _context: object
    ) -> catalog_pb2.ListEntriesResponse:
        return await self._catalog.page(request)

    async def Explain(
        self, request: catalog_pb2.ExplainRequest, _context: object
    ) -> catalog_pb2.ExplainResponse:
        return await self._explanations.explain(request)

    async def GetStats(
        self, request: catalog_pb2.GetStatsRequest, _context: object
    ) -> catalog_pb2.GetStatsResponse:
        return await self._statistics.get(request)

    async def Evict(self, request: catalog_pb2.EvictRequest, _context: object) -> catalog_pb2.EvictResponse:
        return catalog_pb2.EvictResponse(count=await self._catalog.evict(request))


class DataService(data_pb2_grpc.DataServicer):
    """typedflow.v1.Data"""

    def __init__(self, rooms: Rooms) -> None:
        self._data = rooms.data
        self._garbage = rooms.garbage

    async def FindMissingBundles(
        self, request: data_pb2.FindMissingBundlesRequest, _context: object
    ) -> data_pb2.FindMissingBundlesResponse:
        return data_pb2.FindMissingBundlesResponse(digests=await self._data.missing_bundles(request))

    async def PutBundle(
        self, request_iterator: AsyncIterator[data_pb2.PutBundleRequest], _context: object
    ) -> data_pb2.PutBundleResponse:
        await self._data.put_bundle(request_iterator)
        return data_pb2.PutBundleResponse()

    async def GetBundle(
        self, request: data_pb2.GetBundleRequest, _context: object
    ) -> AsyncIterator[data_pb2.GetBundleResponse]:
        async for chunk in self._data.get_bundle(request):
            yield data_pb2.GetBundleResponse(data=chunk)

    async def PutValue(
        self, request_iterator: AsyncIterator[data_pb2.PutValueRequest], _context: object
    ) -> data_pb2.PutValueResponse:
        return data_pb2.PutValueResponse(blob=await self._data.put_value(request_iterator))

    async def GetValue(
        self, request: data_pb2.GetValueRequest, _context: object
    ) -> AsyncIterator[data_pb2.GetValueResponse]:
        async for chunk in self._data.get_value(request):
            yield data_pb2.GetValueResponse(data=chunk)

    def CollectGarbage(
        self, request: data_pb2.CollectGarbageRequest, _context: object
    ) -> AsyncIterator[data_pb2.CollectGarbageResponse]:
        return self._garbage.collect(request)


class PropellerService(propeller_pb2_grpc.PropellerServicer):
    """typedflow.v1.Propeller"""

    def __init__(self, rooms: Rooms) -> None:
        self._work = rooms.work
        self._cache_answers = rooms.cache_answers
        self._children = rooms.children

    def Work(
        self, request_iterator: AsyncIterator[propeller_pb2.WorkRequest], _context: object
    ) -> AsyncIterator[propeller_pb2.WorkResponse]:
        return self._work.serve(request_iterator)

    def Load(
        self, request: propeller_pb2.LoadRequest, _context: object
    ) -> AsyncIterator[propeller_pb2.LoadResponse]:
        return self._work.load(request.execution_id)

    async def CheckCache(
        self, request: propeller_pb2.CheckCacheRequest, _context: object
    ) -> propeller_pb2.CheckCacheResponse:
        return propeller_pb2.CheckCacheResponse(answers=await self._cache_answers.answer(request.questions))

    async def LaunchChild(
        self, request: propeller_pb2.LaunchChildRequest, _context: object
    ) -> propeller_pb2.LaunchChildResponse:
        return propeller_pb2.LaunchChildResponse(execution_id=await self._children.launch(request))

    async def AbortChild(
        self, request: propeller_pb2.AbortChildRequest, _context: object
    ) -> propeller_pb2.AbortChildResponse:
        await self._children.abort(request)
        return propeller_pb2.AbortChildResponse()


class AttemptService(attempt_pb2_grpc.AttemptServicer):
    """typedflow.v1.Attempt"""

    def __init__(self, rooms: Rooms) -> None:
        self._attempts = rooms.attempts

    async def Begin(self, request: attempt_pb2.BeginRequest, _context: object) -> attempt_pb2.BeginResponse:
        return attempt_pb2.BeginResponse(spec=await self._attempts.begin(request))

    async def Finish(
        self, request: attempt_pb2.FinishRequest, _context: object
    ) -> attempt_pb2.FinishResponse:
        await self._attempts.finish(request)
        return attempt_pb2.FinishResponse()
