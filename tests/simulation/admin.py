"""A model of admin: a database whose transactions are whole, and the sessions of propellers.

It keeps the rules of the real one (leases on its own clock, epochs, the inbox, admission by runner uid, outcomes kept
once) in the fewest words, and everything that happens to it, slow or full stores, restarts, answers that are lost, is
the world's doing.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation import graphs, virtual_time, wider
from typedflow import errors
from typedflow.pb import (
    attempt_pb2,
    events_pb2,
    executions_pb2,
    propeller_pb2,
    workflows_pb2,
)

if TYPE_CHECKING:
    from tests.simulation.wires import Link, Session
    from tests.simulation.world import World

SECRET = b"s"
ENDED = frozenset(
    {
        executions_pb2.PHASE_SUCCEEDED,
        executions_pb2.PHASE_FAILED,
        executions_pb2.PHASE_ABORTED,
        executions_pb2.PHASE_TIMED_OUT,
    }
)
_NODE_ENDED = ENDED | {executions_pb2.PHASE_SKIPPED, executions_pb2.PHASE_RECOVERED}
OK, FENCED, CONFLICT = (
    propeller_pb2.COMMIT_STATUS_OK,
    propeller_pb2.COMMIT_STATUS_FENCED,
    propeller_pb2.COMMIT_STATUS_CONFLICT,
)
_TIMEOUT_S = 30.0


@dataclass
class AttemptRow:
    """One try at one node, as it is stored."""

    spec: attempt_pb2.AttemptSpec
    runner_uid: str = ""
    executor_id: str = ""
    outcome: attempt_pb2.Outcome | None = None
    begun_at: float = 0.0


@dataclass
class Row:
    """One execution, as it is stored."""

    id: str
    workflow: int
    compiled: workflows_pb2.CompiledWorkflow
    started: events_pb2.ExecutionStarted
    parent: tuple[str, str] | None = None
    journal: list[bytes] = field(default_factory=list)
    inbox: dict[int, bytes] = field(default_factory=dict)
    posted: int = 0
    holder: str = ""
    epoch: int = 0
    expires_at: float = 0.0
    nodes: dict[str, executions_pb2.NodeExecution] = field(default_factory=dict)
    attempts: dict[tuple[str, int], AttemptRow] = field(default_factory=dict)
    status: propeller_pb2.ExecutionStatus | None = None

    @property
    def ended(self) -> bool:
        return self.status is not None and self.status.phase in ENDED

    def post(self, event: events_pb2.Event) -> bool:
        """A row of the inbox, unless the execution has ended."""
        if self.ended:
            return False
        self.posted += 1
        event.schema = 1
        self.inbox[self.posted] = event.SerializeToString()
        return True


class Admin:
    """The database and what serves it. `process` is killed and made anew; the rest is on disk."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.loop = world.loop
        self.process = virtual_time.Process("admin")
        self.rows: dict[str, Row] = {}
        self.cache = wider.Cache(self)
        self.places = wider.Places(self, world.plan.get("project_cap", 0), world.plan_caps())
        self.children = wider.Children(self)
        self.sessions: dict[str, Session] = {}
        self._heard_at: dict[str, float] = {}
        self._began_at = 0.0
        self._waiting: dict[Any, None] = {}  # answers that somebody waits for
        self.is_up = True

    # Life.

    def stop(self) -> None:
        """The server is killed: streams break, calls under way have no answer."""
        self.is_up = False
        self.process.kill()
        self.sessions.clear()
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(errors.ServerUnreachable("the server is gone"))
        self._waiting.clear()

    def start(self) -> None:
        self.is_up = True
        self.process = virtual_time.Process("admin")
        self._began_at = self.loop.time()
        self._heard_at.clear()

    def soon(self, delay: float, do: Callable[..., object], *arguments: object) -> None:
        """Calls it in the server's process."""
        self.loop.call_later(delay, do, *arguments, context=self.loop.inside(self.process))

    def call(self, link: "Link", do: Callable[[], Any]) -> Any:
        """A unary call: its answer, or that nobody answers, whether it was done or not."""
        world, loop = self.world, self.loop
        answer = loop.create_future()
        delay = world.latency() + world.store_delay()
        if not self.is_up or link.is_cut() or world.is_lost():
            loop.call_later(min(delay, _TIMEOUT_S), _unreachable, answer)
            return answer
        self._waiting[answer] = None

        def reply(settle: Callable[..., None], *result: object) -> None:
            loop.call_later(world.latency(), settle, answer, *result, context=world.nobody)

        def serve() -> None:
            if world.is_store_full():
                reply(_fail, errors.ServerUnreachable("the database can't be written"))
                return
            try:
                result = do()
            except errors.TypedflowError as error:
                reply(_fail, error)
                return
            if world.is_lost() or link.is_cut():
                reply(_unreachable)
            else:
                reply(_answer, result)

        answer.add_done_callback(lambda _: self._waiting.pop(answer, None), context=loop.inside(self.process))
        self.soon(delay, serve)
        if delay > _TIMEOUT_S:
            loop.call_later(_TIMEOUT_S, _unreachable, answer)
        return answer

    def hear(self, executor_id: str) -> None:
        self._heard_at[executor_id] = self.loop.time()

    def is_gone(self, executor_id: str) -> bool:
        """Whether nothing was heard of the executor for a lease."""
        heard_at = self._heard_at.get(executor_id, self._began_at)
        return bool(executor_id) and self.loop.time() - heard_at > self.world.lease_s

    # Executions.

    def create(self, row: Row) -> None:
        """Launches."""
        self.rows[row.id] = row
        row.post(events_pb2.Event(execution_started=row.started))
        self.ring_claimable()

    def new_row(self, id_: str, workflow: int, started: events_pb2.ExecutionStarted) -> Row:
        return Row(id_, workflow, self.world.compiler.compiled(workflow), started)

    def abort(self, execution_id: str, principal: str, reason: str) -> None:
        self.world.aborted.add(execution_id)
        asked = events_pb2.AbortRequested(principal=principal, reason=reason)
        self.post(execution_id, events_pb2.Event(abort_requested=asked))

    def post(self, execution_id: str, event: events_pb2.Event) -> None:
        """News for an execution's holder."""
        row = self.rows.get(execution_id)
        if row is not None and row.post(event):
            self.ring(row)

    def ring(self, row: Row) -> None:
        session = self.sessions.get(row.holder)
        if session is not None:
            session.push_soon(row.id)

    def ring_claimable(self) -> None:
        for session in self.sessions.values():
            session.claim_soon()

    def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        row = self.rows[execution_id]
        return row.compiled, [events_pb2.Event.FromString(event) for event in row.journal]

    # Leases.

    def claim(self, holder: str, most: int) -> list[Row]:
        now = self.loop.time()
        free = [
            row for row in self.rows.values() if not row.ended and (not row.holder or row.expires_at < now)
        ]
        for row in free[:most]:
            row.holder, row.expires_at = holder, now + self.world.lease_s
            row.epoch += 1
        return free[:most]

    def renew(self, holder: str, held: Iterable[propeller_pb2.HeldExecution]) -> list[str]:
        lost = []
        for one in held:
            row = self.rows[one.execution_id]
            if row.holder == holder and row.epoch == one.epoch and not row.ended:
                row.expires_at = self.loop.time() + self.world.lease_s
            else:
                lost.append(one.execution_id)
        return lost

    def release(self, holder: str) -> None:
        for row in self.rows.values():
            if row.holder == holder:
                row.holder = ""
        self.ring_claimable()

    # Commits.

    def apply(
        self, session: "Session", part: propeller_pb2.ExecutionCommit
    ) -> propeller_pb2.CommitStatus.ValueType:
        """One execution's part of a commit."""
        row = self.rows[part.execution_id]
        status = self.check(row, session.propeller_id, part)
        if status != OK:
            return status
        self.world.monitor.before_commit(row, session, part)
        row.journal.extend(event.SerializeToString() for event in part.events)
        for sequence in part.consumed:
            row.inbox.pop(sequence, None)
        for node in part.nodes:
            row.nodes[node.id] = node
        for spec in part.attempts:
            row.attempts.setdefault((spec.id.node, spec.id.attempt), AttemptRow(spec))
        if part.HasField("status"):
            row.status = part.status
            if row.ended:
                row.holder = ""
                row.inbox.clear()
                self.places.give_back(row.id)
                self.children.tell(row)
        if not row.ended:
            self._give_back(row, part)
        if part.places and not row.ended:
            self.places.ask(row, part.places)
        for given in part.dynamic_outputs:
            self.cache.publish(row.attempts[given.node, given.attempt], given.outputs)
        self.world.monitor.after_commit(row, part)
        return OK

    def _give_back(self, row: Row, part: propeller_pb2.ExecutionCommit) -> None:
        """What nodes that have ended, and attempts that were given up, need no longer."""
        for event in part.events:
            kind = event.WhichOneof("kind") or ""
            if kind in ("attempt_failed", "attempt_stopped", "attempt_succeeded"):
                ended = getattr(event, kind)
                self.places.give_back(row.id, ended.node, ended.attempt)
        for node in part.nodes:
            if node.phase in _NODE_ENDED:
                self.places.give_back(row.id, node.id)
                if node.phase != executions_pb2.PHASE_SUCCEEDED:
                    self.cache.node_ended((row.id, node.id))

    def check(
        self, row: Row, holder: str, part: propeller_pb2.ExecutionCommit
    ) -> propeller_pb2.CommitStatus.ValueType:
        if row.ended or row.holder != holder or row.epoch != part.epoch:
            return FENCED
        return OK if len(row.journal) == part.expected_version else CONFLICT

    # Attempts.

    def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        row, attempt = self._attempt(request.id, request.token)
        if attempt.outcome is not None:
            raise errors.StateConflict("it has ended", code="AttemptEnded")
        if attempt.runner_uid != request.runner_uid:
            if not self.may_admit(attempt):
                raise errors.StateConflict("another runner was admitted", code="AttemptTaken")
            id_ = request.id
            if not row.post(
                events_pb2.Event(
                    attempt_started=events_pb2.AttemptStarted(node=id_.node, attempt=id_.attempt)
                )
            ):
                raise errors.StateConflict("the execution has ended", code="ExecutionEnded")
            attempt.runner_uid, attempt.executor_id = request.runner_uid, request.executor_id
            attempt.begun_at = self.loop.time()
            self.ring(row)
        return attempt_pb2.BeginResponse(spec=attempt.spec)

    def may_admit(self, attempt: AttemptRow) -> bool:
        """Whether a runner that is not the admitted one may be admitted."""
        return not attempt.runner_uid

    def finish(self, request: attempt_pb2.FinishRequest) -> None:
        row, attempt = self._attempt(request.id, request.token)
        outcome = request.outcome
        is_admitted = attempt.runner_uid == request.runner_uid
        is_over = attempt.runner_uid and attempt.outcome is not None
        if not is_admitted and (is_over or outcome.HasField("outputs")):
            raise errors.StateConflict("this runner was not admitted", code="NotAdmitted")
        if attempt.outcome is not None:
            return
        if not is_admitted:
            if attempt.runner_uid and not self.is_gone(attempt.executor_id):
                self.inquire(request, attempt)
                raise errors.StateConflict("another runner was admitted", code="AttemptTaken")
            attempt.runner_uid, attempt.executor_id = request.runner_uid, ""
        attempt.outcome = outcome
        row.post(self._told(attempt, outcome))
        self.ring(row)
        self.places.give_back(row.id, request.id.node, request.id.attempt)

    def inquire(self, request: attempt_pb2.FinishRequest, attempt: AttemptRow) -> None:
        """Asks the executor that sees to the admitted runner what became of it, through all its streams."""
        inquiry = propeller_pb2.AttemptInquiry(
            attempt=request.id,
            token=request.token,
            runner_uid=attempt.runner_uid,
            stop=request.outcome.HasField("stopped"),
        )
        for session in self.sessions.values():
            session.inquire(attempt.executor_id, inquiry)

    def _attempt(self, id_: attempt_pb2.AttemptId, given: str) -> tuple[Row, AttemptRow]:
        row = self.rows.get(id_.execution_id)
        found = row.attempts.get((id_.node, id_.attempt)) if row is not None else None
        if row is None or found is None or given != token(id_):
            raise errors.PermissionDenied("the token is not that of this attempt")
        return row, found

    def _told(self, attempt: AttemptRow, outcome: attempt_pb2.Outcome) -> events_pb2.Event:
        id_ = attempt.spec.id
        match outcome.WhichOneof("result"):
            case "error":
                self.cache.release(attempt.spec)
                failed = events_pb2.AttemptFailed(node=id_.node, attempt=id_.attempt, error=outcome.error)
                return events_pb2.Event(attempt_failed=failed)
            case "stopped":
                self.cache.release(attempt.spec)
                stopped = events_pb2.AttemptStopped(node=id_.node, attempt=id_.attempt)
                return events_pb2.Event(attempt_stopped=stopped)
            case "expanded":
                graph = self.world.compiler.expanded(graphs.dynamic_name(outcome.expanded.workflow))
                expanded = events_pb2.AttemptExpanded(node=id_.node, attempt=id_.attempt, graph=graph)
                return events_pb2.Event(attempt_expanded=expanded)
            case _:
                status, reason = self.cache.publish(attempt, outcome.outputs)
                succeeded = events_pb2.AttemptSucceeded(
                    node=id_.node,
                    attempt=id_.attempt,
                    outputs=outcome.outputs,
                    cache=status,
                    cache_reason=reason,
                )
                return events_pb2.Event(attempt_succeeded=succeeded)


def token(id_: attempt_pb2.AttemptId) -> str:
    return hmac.new(
        SECRET, f"{id_.execution_id}/{id_.node}/{id_.attempt}".encode(), hashlib.sha256
    ).hexdigest()


def _answer(future: Any, result: object) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: Any, error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _unreachable(future: Any) -> None:
    _fail(future, errors.ServerUnreachable("no typedflow server answers"))
