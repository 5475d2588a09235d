"""The rooms of executions on a real database and a real store, with a clock that a test sets; no server, no socket."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from typedflow_admin import attempts, launches, migrations, places, principals, relaunches, store
from typedflow_admin.attempt_records import AttemptRecords
from typedflow_admin.bells import Bell
from typedflow_admin.cache_answers import CacheAnswers
from typedflow_admin.catalog import Fitness
from typedflow_admin.children import Children
from typedflow_admin.commits import Commits
from typedflow_admin.contents import Contents
from typedflow_admin.database import Database, create_engine
from typedflow_admin.executions import Executions
from typedflow_admin.explanation import Explanations
from typedflow_admin.plans import Plans
from typedflow_admin.registry import Registry
from typedflow_admin.signals import Signals
from typedflow_admin.sql_store import SqlStore

from typedflow import hashing, identifiers, interface, literal_types, literals
from typedflow.dataplane import folders
from typedflow.pb import (
    attempt_pb2,
    events_pb2,
    executions_pb2,
    interface_pb2,
    literals_pb2,
    propeller_pb2,
    registry_pb2,
    tasks_pb2,
    types_pb2,
    workflows_pb2,
)

T = TypeVar("T")

HOLDER = "propeller"
LEASE_MS = 60_000
OK = propeller_pb2.COMMIT_STATUS_OK


class Executors:
    """Those that are gone; what the others were asked."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.asked: list[tuple[str, propeller_pb2.AttemptInquiry]] = []

    def is_gone(self, executor_id: str) -> bool:
        return executor_id in self.gone

    def inquire(self, executor_id: str, inquiry: propeller_pb2.AttemptInquiry) -> None:
        self.asked.append((executor_id, inquiry))


class World:
    """Everything that executions are made of; a method that is a coroutine elsewhere is run here."""

    def __init__(self, folder: Path, *, project_parallelism: int = 0) -> None:
        engine = create_engine(f"sqlite:///{folder / 'test.db'}")
        migrations.upgrade(engine)
        self.database = Database(engine)
        self.store: store.Store = SqlStore(self.database)
        self.objects = folders.FolderStore(folder / "objects")
        self.now = 1_000_000
        contents = Contents(self.objects)
        work, changes = Bell(), Bell()
        granted = places.Places(project_parallelism)
        made = launches.Launches(self.objects, granted, self.clock)
        answers = CacheAnswers(self.store, Fitness(self.objects, contents), self.clock)
        self.registry = Registry(self.store, self.clock)
        self.executions = Executions(self.store, made, work, changes)
        self.plans = Plans(self.store, self.objects, answers, Explanations(self.store), self.clock)
        self.relaunches = relaunches.Relaunches(self.store, made, self.executions, self.plans)
        self.signals = Signals(self.store, self.objects, work)
        self.children = Children(self.store, made, work)
        self.records = AttemptRecords(self.store)
        self.commits = Commits(self.store, granted, work, changes, self.clock)
        self.executors = Executors()
        self.attempts = attempts.Attempts(self.store, contents, work, granted, self.executors, self.clock)

    def close(self) -> None:
        self.database.close()

    def clock(self) -> int:
        self.now += 1
        return self.now

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        async def known() -> T:
            principals.set_current("tester")
            return await call

        return asyncio.run(known())

    def read(self, work: Callable[[store.Transaction], T]) -> T:
        return self.run(self.store.read(work))

    # What clients say

    def register(self, *templates: object, version: str = "v1") -> None:
        header = registry_pb2.RegisterHeader(project="p", domain="development", version=version)
        request = registry_pb2.RegisterRequest()
        for template in templates:
            match template:
                case tasks_pb2.TaskTemplate():
                    request.tasks.append(template)
                case workflows_pb2.WorkflowTemplate():
                    request.workflows.append(template)
                case _:
                    request.launch_plans.append(template)  # type: ignore[arg-type]

        async def requests() -> Any:
            yield registry_pb2.RegisterRequest(header=header)
            yield request

        self.run(self.registry.register(requests()))

    def request(
        self, name: str = "m.wf", version: str = "", **fields: Any
    ) -> executions_pb2.CreateExecutionRequest:
        plan = identifiers.launch_plan(name, project="p", domain="development", version=version)
        return executions_pb2.CreateExecutionRequest(launch_plan=plan, **fields)

    def launch(self, name: str = "m.wf", version: str = "", **fields: Any) -> executions_pb2.Execution:
        return self.run(self.executions.create(self.request(name, version, **fields)))

    def get(self, execution_id: str) -> executions_pb2.Execution:
        return self.run(self.executions.get(execution_id))

    def nodes(self, execution_id: str, **fields: Any) -> dict[str, executions_pb2.NodeExecution]:
        request = executions_pb2.ListNodesRequest(execution_id=execution_id, **fields)
        return {node.id: node for node in self.run(self.executions.list_nodes(request)).nodes}

    def plan(self, name: str = "m.wf", **fields: Any) -> dict[str, executions_pb2.PlannedNode]:
        request = executions_pb2.PlanExecutionRequest(launch=self.request(name, **fields))
        return {node.id: node for node in self.run(self.plans.plan(request)).nodes}

    # What a propeller says

    def hold(self) -> None:
        """Claims everything that there is to claim."""
        self.run(self.store.write(lambda transaction: transaction.leases.claim(HOLDER, 100, LEASE_MS)))

    def lease(self, execution_id: str) -> store.LeaseRow:
        return self.read(lambda transaction: transaction.leases.find([execution_id]))[execution_id]

    def inbox(self, execution_id: str) -> list[events_pb2.Event]:
        rows = self.read(lambda transaction: transaction.leases.inbox([execution_id]))
        return [events_pb2.Event.FromString(row.event) for row in rows]

    def told(self, execution_id: str, kind: str) -> list[Any]:
        return [
            getattr(event, kind) for event in self.inbox(execution_id) if event.WhichOneof("kind") == kind
        ]

    def commit(self, execution_id: str, **changes: Any) -> None:
        """Takes all that is in the inbox, with these changes."""
        lease = self.lease(execution_id)
        rows = self.read(lambda transaction: transaction.leases.inbox([execution_id]))
        part = propeller_pb2.ExecutionCommit(
            execution_id=execution_id,
            epoch=lease.epoch,
            expected_version=lease.version,
            events=[events_pb2.Event.FromString(row.event) for row in rows],
            consumed=[row.sequence for row in rows],
            **changes,
        )
        result = self.run(self.commits.commit(HOLDER, propeller_pb2.Commit(id=1, executions=[part])))
        assert [each.status for each in result.executions] == [OK]

    def end(
        self,
        execution_id: str,
        phase: executions_pb2.Phase.ValueType = executions_pb2.PHASE_ABORTED,
        **status: Any,
    ) -> None:
        self.commit(execution_id, status=propeller_pb2.ExecutionStatus(phase=phase, ended_at_us=9, **status))

    # What a runner says

    def spec(
        self,
        execution_id: str,
        node: str,
        task: tasks_pb2.TaskTemplate,
        inputs: Mapping[str, literals_pb2.Literal],
        attempt: int = 1,
    ) -> attempt_pb2.AttemptSpec:
        """As a propeller makes it, with the key that the engine's inputs give."""
        given = interface.bind(task.interface, literals.as_map(inputs))
        whole = tasks_pb2.TaskTemplate()
        whole.CopyFrom(task)
        whole.id.project, whole.id.domain = "p", "development"
        manifest = hashing.manifest(whole, task.options, given)
        return attempt_pb2.AttemptSpec(
            id=attempt_pb2.AttemptId(execution_id=execution_id, node=node, attempt=attempt),
            task=task.id.name,
            interface=task.interface,
            options=task.options,
            inputs=given,
            manifest=manifest,
            cache_key=hashing.key(manifest),
            project="p",
            domain="development",
            dynamic=task.dynamic,
        )

    def begin(self, spec: attempt_pb2.AttemptSpec, executor_id: str = "") -> attempt_pb2.BeginRequest:
        """Starts an attempt and admits its runner."""
        self.commit(spec.id.execution_id, attempts=[spec])
        found = self.read(lambda transaction: transaction.executions.find(spec.id.execution_id))
        assert found is not None
        request = attempt_pb2.BeginRequest(
            id=spec.id,
            token=attempts.token(found[1].secret, spec.id),
            runner_uid="runner",
            executor_id=executor_id,
        )
        self.run(self.attempts.begin(request))
        return request

    def finish(self, begun: attempt_pb2.BeginRequest, **outcome: Any) -> None:
        request = attempt_pb2.FinishRequest(
            id=begun.id,
            token=begun.token,
            runner_uid=begun.runner_uid,
            outcome=attempt_pb2.Outcome(**outcome),
        )
        self.run(self.attempts.finish(request))

    def succeed(
        self,
        execution_id: str,
        node: str,
        task: tasks_pb2.TaskTemplate,
        inputs: Mapping[str, literals_pb2.Literal],
        outputs: Mapping[str, literals_pb2.Literal],
        wall_seconds: float = 2.0,
    ) -> None:
        """A whole attempt, and the node's row after it."""
        spec = self.spec(execution_id, node, task, inputs)
        begun = self.begin(spec)
        given = literals.as_map(outputs)
        self.finish(begun, outputs=given, usage={"wall_seconds": wall_seconds})
        row = executions_pb2.NodeExecution(
            id=node,
            task=task.id.name,
            kind=executions_pb2.NODE_KIND_TASK,
            phase=executions_pb2.PHASE_SUCCEEDED,
            outputs=given,
            cache_key=spec.cache_key,
            position=self.nodes(execution_id)[node].position,
        )
        self.commit(execution_id, nodes=[row])


# Templates


def variable(name: str, type_: types_pb2.LiteralType = literal_types.INT) -> interface_pb2.Variable:
    return interface_pb2.Variable(name=name, type=type_)


def task(
    name: str = "m.inc",
    takes: types_pb2.LiteralType = literal_types.INT,
    gives: types_pb2.LiteralType = literal_types.INT,
    *,
    cached: bool = True,
    dynamic: bool = False,
) -> tasks_pb2.TaskTemplate:
    """A task with an input `x` and an output `o0`."""
    made = tasks_pb2.TaskTemplate(
        id=identifiers.task(name),
        interface=interface_pb2.Interface(inputs=[variable("x", takes)], outputs=[variable("o0", gives)]),
        dynamic=dynamic,
    )
    made.python.module, made.python.qualname = "m", name
    made.code.fingerprint = f"b3:{name}"
    made.options.cache.enabled = cached
    return made


def promise(node: str, name: str = "o0") -> workflows_pb2.BindingValue:
    return workflows_pb2.BindingValue(promise=workflows_pb2.Promise(node=node, variable=name))


def constant(value: literals_pb2.Literal) -> workflows_pb2.BindingValue:
    return workflows_pb2.BindingValue(literal=value)


def binding(value: workflows_pb2.BindingValue, name: str = "x") -> workflows_pb2.Binding:
    return workflows_pb2.Binding(variable=name, value=value)


def calls(id_: str, called: str, value: workflows_pb2.BindingValue, **fields: Any) -> workflows_pb2.Node:
    """A node that calls a task."""
    target = workflows_pb2.TaskNode(task=identifiers.task(called))
    return workflows_pb2.Node(id=id_, task=target, inputs=[binding(value)], **fields)


def workflow(
    *nodes: workflows_pb2.Node,
    name: str = "m.wf",
    takes: types_pb2.LiteralType = literal_types.INT,
    default: literals_pb2.Literal | None = None,
) -> workflows_pb2.WorkflowTemplate:
    """A workflow with an input `n` and no output."""
    whole = variable("n", takes)
    if default is not None:
        whole.default.CopyFrom(default)
    return workflows_pb2.WorkflowTemplate(
        id=identifiers.workflow(name), interface=interface_pb2.Interface(inputs=[whole]), nodes=nodes
    )
