"""What is wider than one execution, in the model of admin: the cache with its reservations, places, and children."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.pb import (
    attempt_pb2,
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
    propeller_pb2,
)

if TYPE_CHECKING:
    from tests.simulation.admin import Admin, AttemptRow, Row

Holder = tuple[str, str]
_NODE_ENDED = (
    executions_pb2.PHASE_SUCCEEDED,
    executions_pb2.PHASE_FAILED,
    executions_pb2.PHASE_ABORTED,
    executions_pb2.PHASE_TIMED_OUT,
    executions_pb2.PHASE_SKIPPED,
    executions_pb2.PHASE_RECOVERED,
)
_GOOD = (executions_pb2.PHASE_SUCCEEDED, executions_pb2.PHASE_RECOVERED)


@dataclass
class Entry:
    """A row of the catalog."""

    entry: catalog_pb2.CatalogEntry
    created_at: float


class Cache:
    """Results by key; of a key that is made one at a time, who makes it."""

    def __init__(self, admin: "Admin") -> None:
        self._admin = admin
        self.entries: dict[str, Entry] = {}
        self.holders: dict[str, Holder] = {}

    def check(self, questions: Sequence[propeller_pb2.CacheQuestion]) -> list[propeller_pb2.CacheAnswer]:
        return [self._answer(each) for each in questions]

    def _answer(self, question: propeller_pb2.CacheQuestion) -> propeller_pb2.CacheAnswer:
        if question.recover_from:
            found = self._recovered(question)
            if found is not None:
                return propeller_pb2.CacheAnswer(entry=found, recovered=True)
        if not question.cached:
            return propeller_pb2.CacheAnswer(reason="absent")
        row, reason = self.entries.get(question.key), "absent"
        if row is not None:
            age_s = self._admin.loop.time() - row.created_at
            if not question.max_age_ms or age_s * 1_000 <= question.max_age_ms:
                return propeller_pb2.CacheAnswer(entry=row.entry)
            reason = "expired"
        if question.serialize:
            holder = self.holder(question.key)
            asks = (question.execution_id, question.node)
            if holder is not None and holder != asks:
                return propeller_pb2.CacheAnswer(
                    wait=True, holder_execution_id=holder[0], holder_node=holder[1], reason=reason
                )
            if not self._has_ended(asks):
                self.holders[question.key] = asks
        return propeller_pb2.CacheAnswer(reason=reason)

    def _recovered(self, question: propeller_pb2.CacheQuestion) -> catalog_pb2.CatalogEntry | None:
        row = self._admin.rows[question.recover_from]
        node = row.nodes.get(question.node)
        if node is None or node.phase not in _GOOD:
            return None
        made = row.attempts.get((question.node, node.attempts))
        keys = {node.cache_key, made.spec.cache_key if made is not None else ""}
        if question.key not in keys:
            return None
        return catalog_pb2.CatalogEntry(
            key=question.key, outputs=node.outputs, execution_id=row.id, node=node.id
        )

    def holder(self, key: str) -> Holder | None:
        """Who makes the entry, as long as somebody drives it."""
        holder = self.holders.get(key)
        if holder is None:
            return None
        row = self._admin.rows[holder[0]]
        return None if row.ended or row.expires_at < self._admin.loop.time() else holder

    def publish(
        self, attempt: "AttemptRow", outputs: literals_pb2.LiteralMap
    ) -> tuple[catalog_pb2.CacheStatus.ValueType, str]:
        spec = attempt.spec
        if not spec.options.cache.enabled:
            return catalog_pb2.CACHE_STATUS_DISABLED, ""
        maker = (spec.id.execution_id, spec.id.node)
        if spec.options.cache.serialize:
            allowed = self.may_publish(spec.cache_key, maker, attempt.begun_at)
            self._admin.world.monitor.publishes(
                spec.cache_key, maker, self.holder(spec.cache_key), allowed=allowed
            )
            self.release(spec)
            if not allowed:
                return catalog_pb2.CACHE_STATUS_PUT_FAILED, "fenced"
        entry = catalog_pb2.CatalogEntry(
            key=spec.cache_key, outputs=outputs, execution_id=maker[0], node=maker[1], attempt=spec.id.attempt
        )
        self.entries[spec.cache_key] = Entry(entry, self._admin.loop.time())
        return catalog_pb2.CACHE_STATUS_POPULATED, ""

    def may_publish(self, key: str, maker: Holder, begun_at: float) -> bool:
        holder = self.holder(key)
        if holder is not None:
            return holder == maker
        entry = self.entries.get(key)
        return entry is None or entry.created_at < begun_at

    def release(self, spec: attempt_pb2.AttemptSpec) -> None:
        """An attempt has ended: its node makes the entry no longer."""
        self.let_go(spec.cache_key, (spec.id.execution_id, spec.id.node))

    def node_ended(self, maker: Holder) -> None:
        """A node has ended without having made anything: what it holds, if only by an answer that it never had."""
        for key in [key for key, holder in self.holders.items() if holder == maker]:
            self.let_go(key, maker)

    def _has_ended(self, maker: Holder) -> bool:
        row = self._admin.rows[maker[0]]
        node = row.nodes.get(maker[1])
        return row.ended or (node is not None and node.phase in _NODE_ENDED)

    def let_go(self, key: str, maker: Holder) -> None:
        """Of what is another's by now, nothing."""
        if self.holders.get(key) == maker:
            del self.holders[key]


class Places:
    """Attempts that may run at once, under the caps of launch plans and of the project."""

    def __init__(self, admin: "Admin", project: int, plans: Sequence[int]) -> None:
        self._admin = admin
        self.project = project
        self.plans = plans
        self._waiting: dict[tuple[str, str, int], None] = {}  # oldest first
        self.granted: dict[tuple[str, str, int], None] = {}

    def plan_cap(self, row: "Row") -> int:
        return self.plans[row.workflow]

    def is_capped(self, workflow: int) -> bool:
        return bool(self.project or self.plans[workflow])

    def ask(self, row: "Row", requests: Sequence[propeller_pb2.PlaceRequest]) -> None:
        for request in requests:
            key = (row.id, request.node, request.attempt)
            attempt = row.attempts.get(key[1:])
            if attempt is not None and attempt.outcome is not None:
                continue
            if key in self.granted:
                self._tell(key)
            else:
                self._waiting.setdefault(key)
        self.grant()

    def give_back(self, execution_id: str, node: str = "", attempt: int = 0) -> None:
        """The place of one attempt, of all of a node, or of all of an execution."""
        wanted = (execution_id, node, attempt)
        given = wanted[: 1 if not node else 2 if not attempt else 3]
        for kept in (self._waiting, self.granted):
            for key in [key for key in kept if key[: len(given)] == given]:
                del kept[key]
        self.grant()

    def grant(self) -> None:
        """Gives what is free: to the execution that has the fewest, then to the oldest."""
        while True:
            has = Counter(key[0] for key in self.granted)
            of_plan = Counter(self._admin.rows[key[0]].workflow for key in self.granted)
            if self.project and len(self.granted) >= self.project:
                return
            free = [
                key
                for key in self._waiting
                if not (cap := self.plan_cap(row := self._admin.rows[key[0]])) or of_plan[row.workflow] < cap
            ]
            if not free:
                return
            key = min(free, key=lambda each: has[each[0]])  # the first of the least
            del self._waiting[key]
            self.granted[key] = None
            self._tell(key)

    def _tell(self, key: tuple[str, str, int]) -> None:
        granted = events_pb2.PlaceGranted(node=key[1], attempt=key[2])
        self._admin.post(key[0], events_pb2.Event(place_granted=granted))


class Children:
    """Executions that nodes launch: their ids follow from the parent and the node."""

    def __init__(self, admin: "Admin") -> None:
        self._admin = admin

    def launch(self, request: propeller_pb2.LaunchChildRequest) -> propeller_pb2.LaunchChildResponse:
        self._check(request)
        parent = self._admin.rows[request.execution_id]
        id_ = self.id(request)
        child = self._admin.rows.get(id_)
        if child is None:
            workflow = int(request.launch_plan.name.removeprefix("w"))
            started = events_pb2.ExecutionStarted(
                inputs=request.inputs, capped=self._admin.places.is_capped(workflow)
            )
            before = self._admin.rows.get(f"{parent.started.recover_from}.{request.node}")
            if before is not None and before.ended and not _is_rerun(parent, request.node):
                started.recover_from = before.id
            made = self._admin.new_row(id_, workflow, started)
            made.parent = (request.execution_id, request.node)
            self._admin.create(made)
        elif child.ended:
            self.tell(child)
        return propeller_pb2.LaunchChildResponse(execution_id=id_)

    def abort(self, request: propeller_pb2.AbortChildRequest) -> None:
        self._check(request)
        child = self._admin.rows.get(self.id(request))
        if child is None:
            error = errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_USER, code="Aborted", message="aborted before it was launched"
            )
            ended = events_pb2.ChildEnded(node=request.node, error=error)
            self._admin.post(request.execution_id, events_pb2.Event(child_ended=ended))
        elif child.ended:
            self.tell(child)
        else:
            self._admin.abort(child.id, "its parent", request.reason)

    def tell(self, child: "Row") -> None:
        """The parent, of the end."""
        if child.parent is None or child.status is None:
            return
        ended = events_pb2.ChildEnded(node=child.parent[1], execution_id=child.id)
        if child.status.phase == executions_pb2.PHASE_SUCCEEDED:
            ended.outputs.CopyFrom(child.status.outputs)
        else:
            ended.error.CopyFrom(child.status.error)
        self._admin.post(child.parent[0], events_pb2.Event(child_ended=ended))

    def id(self, request: propeller_pb2.LaunchChildRequest | propeller_pb2.AbortChildRequest) -> str:
        return f"{request.execution_id}.{request.node}"

    def _check(self, request: propeller_pb2.LaunchChildRequest | propeller_pb2.AbortChildRequest) -> None:
        row = self._admin.rows[request.execution_id]
        if row.ended or not row.holder or row.epoch != request.epoch:
            raise errors.StateConflict("the lease is another's, or the execution has ended", code="Fenced")


def _is_rerun(row: "Row", node: str) -> bool:
    return any(node == each or node.startswith((f"{each}.", f"{each}[")) for each in row.started.rerun)
