"""An execution's driver between an admin that keeps the rules of a journal and an executor that only notes.

Time is real, or jumps to whatever is waited for: `tell` and `tell_virtually` of conftest.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from typedflow_propeller import lease, reconciler

from typedflow import errors, literals
from typedflow.dataplane import objects
from typedflow.pb import attempt_pb2, catalog_pb2, events_pb2, executions_pb2, literals_pb2, propeller_pb2

T = TypeVar("T")


class Executor:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.started: list[tuple[str, int]] = []
        self.stopped: list[tuple[str, int]] = []
        self.specs: dict[str, attempt_pb2.AttemptSpec] = {}
        self.tokens: dict[str, str] = {}

    async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        self.started.append((spec.id.node, spec.id.attempt))
        self.specs[spec.id.node] = spec
        self.tokens[spec.id.node] = token

    async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        assert token
        self.stopped.append((spec.id.node, spec.id.attempt))


@dataclasses.dataclass
class Admin:
    """The journal, the inbox and the catalog of one execution: a commit is taken as admin takes it."""

    workflow: Any
    store: Any
    lease: lease.Lease
    executor: Any = dataclasses.field(default_factory=Executor)
    epoch: int = 1
    now: int = 1_000_000
    journal: list[events_pb2.Event] = dataclasses.field(default_factory=list)
    inbox: dict[int, events_pb2.Event] = dataclasses.field(default_factory=dict)
    commits: list[propeller_pb2.ExecutionCommit] = dataclasses.field(default_factory=list)
    status: propeller_pb2.ExecutionStatus = dataclasses.field(default_factory=propeller_pb2.ExecutionStatus)
    nodes: dict[str, executions_pb2.NodeExecution] = dataclasses.field(default_factory=dict)
    has: bool = False  # the catalog, everything
    asked: int = 0
    failing_lookups: int = 0
    waits: int = 0  # so many answers are that another makes it
    questions: list[propeller_pb2.CacheQuestion] = dataclasses.field(default_factory=list)
    asked_at: list[float] = dataclasses.field(default_factory=list)  # by the loop's clock
    places: list[tuple[str, int]] = dataclasses.field(default_factory=list)
    dynamic_outputs: list[propeller_pb2.DynamicOutputs] = dataclasses.field(default_factory=list)
    attempts: dict[tuple[str, int], attempt_pb2.AttemptSpec] = dataclasses.field(default_factory=dict)
    launched: list[propeller_pb2.LaunchChildRequest] = dataclasses.field(default_factory=list)
    aborted: list[propeller_pb2.AbortChildRequest] = dataclasses.field(default_factory=list)
    refusals: list[Exception] = dataclasses.field(default_factory=list)  # of the next calls about children
    in_place_of_threads: bool = False
    held_back: asyncio.Event | None = None  # commits wait for it
    loads: int = 0
    most_commits: int | None = None  # it answers no more than so many

    follows_the_loop: bool = False  # then `now` is what its clock is ahead of the loop's

    def now_us(self) -> int:
        return self.now + self.follows_the_loop * int(asyncio.get_running_loop().time() * 1e6)

    async def load(self, execution_id: str):
        assert execution_id
        self.loads += 1
        return self.workflow.compiled, list(self.journal)

    async def _in_place(self, work: Callable[[], T]) -> T:
        await asyncio.sleep(0)
        return work()

    def in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return self._in_place(work) if self.in_place_of_threads else asyncio.to_thread(work)

    def check_cache(self, question: propeller_pb2.CacheQuestion):
        self.asked += 1
        self.questions.append(question)
        loop = asyncio.get_running_loop()
        self.asked_at.append(loop.time())
        found = loop.create_future()
        if self.failing_lookups:
            self.failing_lookups -= 1
            found.set_exception(errors.ServerUnreachable("gone"))
        elif self.waits:
            self.waits -= 1
            found.set_result(propeller_pb2.CacheAnswer(wait=True, holder_execution_id="other"))
        elif self.has:
            outputs = literals.as_map({"o0": literals.from_int(7)})
            entry = catalog_pb2.CatalogEntry(
                key=question.key, outputs=outputs, execution_id="before", node="x"
            )
            found.set_result(propeller_pb2.CacheAnswer(entry=entry))
        else:
            found.set_result(propeller_pb2.CacheAnswer(reason="absent"))
        return found

    async def launch_child(self, request: propeller_pb2.LaunchChildRequest):
        if self.refusals:
            raise self.refusals.pop(0)
        self.launched.append(request)
        return propeller_pb2.LaunchChildResponse(execution_id=f"child-of-{request.node}")

    async def abort_child(self, request: propeller_pb2.AbortChildRequest) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.aborted.append(request)

    def commit(self, commit: propeller_pb2.ExecutionCommit):
        return asyncio.ensure_future(self._commit(commit))

    async def _commit(self, commit: propeller_pb2.ExecutionCommit):
        if self.held_back is not None:
            await self.held_back.wait()
        if self.most_commits is not None and len(self.commits) >= self.most_commits:
            await asyncio.get_running_loop().create_future()
        if commit.epoch != self.epoch:
            return propeller_pb2.COMMIT_STATUS_FENCED
        if commit.expected_version != len(self.journal):
            return propeller_pb2.COMMIT_STATUS_CONFLICT
        self.commits.append(commit)
        self.journal.extend(commit.events)
        for sequence in commit.consumed:
            del self.inbox[sequence]
        for node in commit.nodes:
            self.nodes[node.id] = node
        for spec in commit.attempts:
            self.attempts.setdefault((spec.id.node, spec.id.attempt), spec)
        self.places += [(place.node, place.attempt) for place in commit.places]
        self.dynamic_outputs += commit.dynamic_outputs
        if commit.HasField("status"):
            self.status = commit.status
        return propeller_pb2.COMMIT_STATUS_OK


class World:
    """An execution, whoever drives it at the moment, and the clock of its leases."""

    def __init__(self, of: object, folder: str) -> None:
        self.monotonic = 0.0
        held = lease.Lease(lambda: self.monotonic)
        held.begin(10.0)
        self.admin = Admin(of, objects.open_store(folder), held)
        self._sequence = 0
        self.driver: reconciler.Reconciler
        self.running: asyncio.Task[None]

    def drive(self) -> None:
        claim = propeller_pb2.Claim(
            execution_id="e", epoch=self.admin.epoch, version=len(self.admin.journal), attempt_secret=b"s",
            project="p", domain="d",
        )  # fmt: skip
        self.driver = reconciler.Reconciler(claim, self.admin)
        self.running = asyncio.create_task(self.driver.run())
        self.push()

    async def crash(self) -> None:
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)

    def push(self) -> None:
        rows = [propeller_pb2.InboxRow(sequence=s, event=e) for s, e in self.admin.inbox.items()]
        self.driver.deliver(rows)

    def post(self, **kind: Any) -> None:
        self._sequence += 1
        self.admin.inbox[self._sequence] = events_pb2.Event(schema=1, **kind)
        self.push()

    def launch(self, *, inputs: literals_pb2.LiteralMap | None = None, **more: Any) -> None:
        given = literals.as_map({"n": literals.from_int(1)}) if inputs is None else inputs
        self.post(execution_started=events_pb2.ExecutionStarted(inputs=given, **more))

    def succeed(self, node: str, attempt: int = 1, *, value: literals_pb2.Literal | None = None) -> None:
        outputs = literals.as_map({"o0": literals.from_int(7) if value is None else value})
        self.post(attempt_succeeded=events_pb2.AttemptSucceeded(node=node, attempt=attempt, outputs=outputs))

    async def until(self, true: Callable[[], object], *, within: float = 10.0) -> None:
        async with asyncio.timeout(within):
            while not true():
                await asyncio.sleep(within / 10_000)
                if self.running.done() and not self.running.cancelled():
                    self.running.result()  # what it ended with, where it must not have

    @property
    def started(self) -> list[tuple[str, int]]:
        started: list[tuple[str, int]] = self.admin.executor.started
        return started

    def kinds(self) -> list[str | None]:
        return [event.WhichOneof("kind") for event in self.admin.journal]


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never sleeps: when there is nothing to do, it is as late as whatever comes next."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        coming = [each.when() for each in self._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
        if not self._ready and coming:  # type: ignore[attr-defined]
            self.now = max(self.now, min(coming))
        super()._run_once()  # type: ignore[misc]


def virtually(story: Coroutine[Any, Any, T]) -> T:
    """Runs the story, in which all waiting takes no time; it has no threads."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)
