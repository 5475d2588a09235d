"""The rooms of the cache on a real database and a real store, with a clock that a test sets; no server, no socket."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from typedflow_admin import attempts, cache_store, migrations, store, tables
from typedflow_admin.bells import Bell
from typedflow_admin.cache_answers import CacheAnswers
from typedflow_admin.catalog import Catalog, Fitness
from typedflow_admin.commits import Commits
from typedflow_admin.contents import Contents
from typedflow_admin.database import Database, create_engine
from typedflow_admin.explanation import Explanations
from typedflow_admin.garbage import Garbage, Guarded
from typedflow_admin.places import Places
from typedflow_admin.sql_store import SqlStore
from typedflow_admin.statistics import Statistics

from typedflow import hashing, identifiers, literal_types, literals
from typedflow.dataplane import folders
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    data_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    interface_pb2,
    literals_pb2,
    propeller_pb2,
    tasks_pb2,
    types_pb2,
    workflows_pb2,
)

T = TypeVar("T")

HOUR_US = 3_600_000_000
LEASE_MS = 60_000
SECRET = b"secret"
FAILED = attempt_pb2.Outcome(error=errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, code="E"))


class EverybodyIsGone:
    """Executors of which none is heard."""

    def is_gone(self, executor_id: str) -> bool:
        assert executor_id is not None
        return True

    def inquire(self, executor_id: str, inquiry: propeller_pb2.AttemptInquiry) -> None:
        raise AssertionError(f"{executor_id} is gone, and is asked after {inquiry.attempt}")


class World:
    """Everything that the cache is made of. `run` runs a coroutine."""

    def __init__(self, folder: Path, *, grace_s: float = 3600, url: str = "") -> None:
        engine = create_engine(url or f"sqlite:///{folder / 'test.db'}")
        migrations.upgrade(engine)
        self.database = Database(engine)
        self.now = 1_000_000 * HOUR_US
        self.tables = SqlStore(self.database)
        self.objects = folders.FolderStore(folder / "objects")
        self.contents = Contents(self.objects)
        self.garbage = Garbage(self.tables, self.objects, self.contents, grace_s, self.clock)
        self.store: store.Store = Guarded(self.tables, self.garbage)
        fitness = Fitness(self.objects, self.contents)
        self.catalog = Catalog(self.store, fitness, self.clock)
        self.answers = CacheAnswers(self.store, fitness, self.clock)
        self.attempts = attempts.Attempts(
            self.store, self.contents, Bell(), Places(0), EverybodyIsGone(), self.clock
        )
        self.explanations = Explanations(self.store)
        self.statistics = Statistics(self.store)
        self.commits = Commits(self.store, Places(0), Bell(), Bell(), self.clock)
        self.task = task()
        self._workflows: dict[bytes, int] = {}

    def clock(self) -> int:
        return self.now

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run(work)

    def read(self, work: Callable[[store.Transaction], T]) -> T:
        return asyncio.run(self.tables.read(work))

    def write(self, work: Callable[[store.Transaction], T]) -> T:
        return asyncio.run(self.store.write(work))

    # Executions

    def launch(
        self, id_: str, *, parent: str = "", recovered_from: str = "", plan: str = "m.wf", inputs=None
    ) -> str:
        """An execution that is driven, of a workflow with nodes `a` and `b` of the world's task, and map `each`."""
        self.write(lambda transaction: self._insert(transaction, id_, parent, recovered_from, plan, inputs))
        return id_

    def _insert(self, transaction, id_, parent, recovered_from, plan, inputs) -> None:
        execution = store.ExecutionRow(id_, "p", "d", plan, "v", 1, None, None, self.now, 0, 0, 1)
        launch = store.LaunchRow(
            execution_id=id_,
            workflow_number=self._workflow(transaction),
            workflow="m.wf",
            workflow_version="v",
            inputs=(inputs or literals_pb2.LiteralMap()).SerializeToString(),
            interface=b"",
            request="",
            secret=SECRET,
            principal="",
            parent_execution_id=parent,
            recovered_from=recovered_from,
        )
        nodes = [
            store.NodeRow(node, position, 1, executions_pb2.NodeExecution(id=node).SerializeToString())
            for position, node in enumerate(("a", "b", "each"))
        ]
        transaction.executions.insert(execution, launch, nodes, b"")
        transaction.leases.claim("me", 1000, LEASE_MS)

    def _workflow(self, transaction) -> int:
        compiled = workflows_pb2.CompiledWorkflow(tasks=[self.task])
        compiled.workflow.id.CopyFrom(identifiers.workflow("m.wf", project="p", domain="d", version="v"))
        for node in ("a", "b"):
            compiled.workflow.nodes.add(id=node).task.task.CopyFrom(self.task.id)
        compiled.workflow.nodes.add(id="each").map.task.CopyFrom(self.task.id)
        template = compiled.SerializeToString(deterministic=True)
        if template not in self._workflows:
            version = f"v{len(self._workflows)}"
            row = store.EntityRow(2, "p", "d", "m.wf", version, "", "", template, "", "", 1, "")
            transaction.entities.insert([row])
            found = transaction.entities.find(row.key, version)
            self._workflows[template] = found.number
        return self._workflows[template]

    def end(self, id_: str, phase: int = executions_pb2.PHASE_SUCCEEDED) -> None:
        status = store.StatusChange(phase, None, None, 1, self.now, ended=True)
        self.write(
            lambda transaction: transaction.leases.apply([self._step(transaction, id_, status=status)])
        )

    def lapse(self, id_: str) -> None:
        """The lease of whoever drives it ends, unseen."""
        self._set_lease(id_, 0)

    def revive(self, id_: str) -> None:
        """It is driven again."""
        self._set_lease(id_, 2**60)

    def _set_lease(self, id_: str, expires_at_ms: int) -> None:
        leases = tables.leases
        with self.database.engine.begin() as connection:
            connection.execute(
                leases.update().where(leases.c.execution_id == id_).values(expires_at_ms=expires_at_ms)
            )

    # Attempts

    def spec(
        self, id_: str, node: str = "a", attempt: int = 1, inputs=None, **cache
    ) -> attempt_pb2.AttemptSpec:
        given = literals.as_map({"x": literals.from_int(1)}) if inputs is None else inputs
        options = tasks_pb2.TaskOptions()
        options.CopyFrom(self.task.options)
        options.cache.MergeFrom(tasks_pb2.CachePolicy(enabled=True, **cache))
        manifest = hashing.manifest(self.task, options, given)
        return attempt_pb2.AttemptSpec(
            id=attempt_pb2.AttemptId(execution_id=id_, node=node, attempt=attempt),
            task=self.task.id.name,
            interface=self.task.interface,
            inputs=given,
            options=options,
            cache_key=hashing.key(manifest),
            manifest=manifest,
            project="p",
            domain="d",
        )

    def key(self, **given) -> str:
        return self.spec("x", **given).cache_key

    def start(self, spec: attempt_pb2.AttemptSpec, node: executions_pb2.NodeExecution | None = None) -> None:
        """The attempt, begun."""
        id_ = spec.id
        row = store.AttemptRow(id_.execution_id, id_.node, id_.attempt, "me", spec.SerializeToString())
        shown = node or executions_pb2.NodeExecution(
            id=id_.node, task=spec.task, phase=executions_pb2.PHASE_RUNNING, cache_key=spec.cache_key
        )

        def write(transaction) -> None:
            step = self._step(transaction, id_.execution_id, attempts=[row], nodes=[shown])
            transaction.leases.apply([step])

        self.write(write)
        self.run(self.attempts.begin(attempt_pb2.BeginRequest(**self._runner(spec))))

    def finish(self, spec: attempt_pb2.AttemptSpec, outcome: attempt_pb2.Outcome) -> None:
        self.run(self.attempts.finish(self.finishing(spec, outcome)))

    def finishing(
        self, spec: attempt_pb2.AttemptSpec, outcome: attempt_pb2.Outcome
    ) -> attempt_pb2.FinishRequest:
        return attempt_pb2.FinishRequest(**self._runner(spec), outcome=outcome)

    def make(
        self, id_: str, node: str = "a", outputs=None, usage=None, inputs=None, **cache
    ) -> attempt_pb2.AttemptSpec:
        """A whole attempt that succeeded."""
        spec = self.spec(id_, node, inputs=inputs, **cache)
        self.start(spec)
        self.finish(spec, made(outputs, usage))
        return spec

    def show(self, id_: str, **node) -> None:
        """A node as it is from now on."""
        shown = executions_pb2.NodeExecution(**node)
        self.write(
            lambda transaction: transaction.leases.apply([self._step(transaction, id_, nodes=[shown])])
        )

    def _runner(self, spec: attempt_pb2.AttemptSpec) -> dict[str, Any]:
        return {"id": spec.id, "token": attempts.token(SECRET, spec.id), "runner_uid": "r"}

    def _step(self, transaction, id_, *, attempts=(), nodes=(), status=None) -> store.Step:
        lease = transaction.leases.find([id_])[id_]
        rows = [
            store.NodeRow(node.id, 100 + number, 0, node.SerializeToString(), "", "[" in node.id, node.phase)
            for number, node in enumerate(nodes)
        ]
        return store.Step(id_, lease.version, lease.version, [], [], rows, list(attempts), status)

    # The cache

    def ask(self, *asked: propeller_pb2.CacheQuestion) -> list[propeller_pb2.CacheAnswer]:
        return self.run(self.answers.answer(asked))

    def question(self, id_: str, node: str = "a", key: str = "", **more) -> propeller_pb2.CacheQuestion:
        return propeller_pb2.CacheQuestion(
            execution_id=id_, node=node, key=key or self.key(), cached=True, **more
        )

    def one(self, id_: str, node: str = "a", key: str = "", **more) -> propeller_pb2.CacheAnswer:
        return self.ask(self.question(id_, node, key, **more))[0]

    def entry(self, key: str = "") -> cache_store.CatalogRow | None:
        wanted = key or self.key()
        return self.read(lambda transaction: transaction.catalog.find([wanted])).get(wanted)

    def inbox(self, id_: str) -> list[Any]:
        rows = self.read(lambda transaction: transaction.leases.inbox([id_]))
        events = [events_pb2.Event.FromString(row.event) for row in rows]
        return [getattr(event, kind) for event in events if (kind := event.WhichOneof("kind"))]

    # Garbage

    def collect(self, **request) -> data_pb2.CollectGarbageResponse:
        """Collects; the last of what is said."""

        async def all_of() -> data_pb2.CollectGarbageResponse:
            said = [one async for one in self.garbage.collect(data_pb2.CollectGarbageRequest(**request))]
            return said[-1]

        return asyncio.run(all_of())

    def close(self) -> None:
        self.database.close()


def task(*, output=None, code: str = "b3:code", **components: str) -> tasks_pb2.TaskTemplate:
    """A task of an int that gives a value of a type."""
    made_ = tasks_pb2.TaskTemplate(
        id=identifiers.task("m.inc", project="p", domain="d", version="v"),
        interface=interface_pb2.Interface(
            inputs=[interface_pb2.Variable(name="x", type=literal_types.INT)],
            outputs=[interface_pb2.Variable(name="o0", type=output or literal_types.INT)],
        ),
        code=tasks_pb2.Code(fingerprint=code, environment="b3:environment", python="3.11"),
    )
    for name, digest in sorted(components.items()):
        made_.code.components.add(name=name, digest=digest)
    return made_


def made(
    output: literals_pb2.Literal | None = None, usage: catalog_pb2.Usage | None = None
) -> attempt_pb2.Outcome:
    """The outcome of a success."""
    given = literals.from_int(2) if output is None else output
    return attempt_pb2.Outcome(outputs=literals.as_map({"o0": given}), usage=usage)


def the_output(of: events_pb2.AttemptSucceeded | catalog_pb2.CatalogEntry) -> literals_pb2.Literal:
    """The one output that a success or an entry has."""
    (output,) = of.outputs.values
    return output.value


def file_of(blob: literals_pb2.Blob) -> literals_pb2.Literal:
    return literals_pb2.Literal(file=literals_pb2.File(content=blob.digest, blob=blob))


FILE: types_pb2.LiteralType = literal_types.file()
