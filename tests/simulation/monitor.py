"""Watches all that happens for what must never happen.

It has a state of its own for each execution, made by the engine from what was committed, so that rows can be compared
with what they follow from. A violation is noted, and ends the run.
"""

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation import admin, graphs, wider
from typedflow import engine, task_options
from typedflow.engine import stages
from typedflow.pb import (
    attempt_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    propeller_pb2,
)

if TYPE_CHECKING:
    from tests.simulation import wires
    from tests.simulation.world import World

Key = tuple[str, str, int]
FINAL = frozenset(
    {
        executions_pb2.PHASE_SUCCEEDED,
        executions_pb2.PHASE_FAILED,
        executions_pb2.PHASE_ABORTED,
        executions_pb2.PHASE_TIMED_OUT,
        executions_pb2.PHASE_SKIPPED,
        executions_pb2.PHASE_RECOVERED,
    }
)
GOOD = (executions_pb2.PHASE_SUCCEEDED, executions_pb2.PHASE_RECOVERED)


class Shadow:
    """One execution, as it follows from its journal."""

    def __init__(self, row: admin.Row) -> None:
        self.graph = engine.Graph(row.compiled)
        self.state = engine.State(self.graph)
        self.phases: dict[str, executions_pb2.Phase.ValueType] = {}
        self.attempts: set[tuple[int, int]] = set()
        self.last_us = 0
        self.signals: dict[str, object] = {}


class Monitor:
    """See the module. `violations`: what must not have happened."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.violations: list[str] = []
        self.steps = 0
        self._shadows: dict[str, Shadow] = {}
        self._consumers: dict[tuple[str, int], tuple[wires.Session, int]] = {}
        self._ran: dict[Key, set[str]] = defaultdict(set)
        self._running: dict[Key, dict[str, int]] = defaultdict(dict)  # machines' processes by runner

    def note(self, violation: str) -> None:
        self._world.loop.look = True
        self.violations.append(f"at {self._world.loop.time():.3f} s: {violation}")

    # User code.

    def code_starts(self, id_: attempt_pb2.AttemptId, uid: str) -> None:
        key = (id_.execution_id, id_.node, id_.attempt)
        name = f"attempt {id_.attempt} of {id_.execution_id}/{id_.node}"
        row = self._world.admin.rows[id_.execution_id]
        attempt = row.attempts.get(key[1:])
        is_superseded = attempt is not None and attempt.runner_uid != uid
        self._ran[key].add(uid)
        if len(self._ran[key]) > 1:
            self.note(f"{name} ran under two runners")
        if self._running[key]:
            self.note(f"{name} runs twice at once")
        self._running[key][uid] = 1
        if is_superseded:
            return
        shadow = self._shadows.get(id_.execution_id)
        if attempt is None or shadow is None:
            self.note(f"{name} runs although no commit says so")
            return
        if shadow.phases.get(id_.node) in FINAL:
            self.note(f"{name} runs although the node has ended")
        for other in range(1, id_.attempt):
            if self._lives(row, id_.node, other):
                self.note(f"{name} runs while attempt {other} does")
        self._check_caps(row, id_.node)

    def _check_caps(self, row: admin.Row, node: str) -> None:
        """Of the execution, the map, the launch plan and the project."""
        living = self._living(row)
        of_map = node.rpartition("[")[0] if node.endswith("]") else ""
        concurrency = (
            graphs.find(self._world.workflows[row.workflow], of_map).get("concurrency", 0) if of_map else 0
        )
        rows = self._world.admin.rows.values()
        places = self._world.admin.places
        plan, project = places.plan_cap(row), places.project
        for what, number, limit in (
            (row.id, len(living), row.started.max_parallelism),
            (f"{row.id}/{of_map}", sum(each.startswith(f"{of_map}[") for each in living), concurrency),
            (
                "the launch plan",
                sum(len(self._living(r)) for r in rows if r.workflow == row.workflow) if plan else 0,
                plan,
            ),
            ("the project", sum(len(self._living(each)) for each in rows) if project else 0, project),
        ):
            if limit and number > limit:
                self.note(f"{number} attempts of {what} run at once, where {limit} may")

    def _living(self, row: admin.Row) -> list[str]:
        return [node for node, number in row.attempts if self._lives(row, node, number)]

    def code_ends(self, id_: attempt_pb2.AttemptId, uid: str) -> None:
        self._running[id_.execution_id, id_.node, id_.attempt].pop(uid, None)

    def _lives(self, row: admin.Row, node: str, number: int) -> bool:
        """Whether the attempt's code runs, and counts."""
        running = self._running.get((row.id, node, number), {})
        attempt = row.attempts[node, number]
        # Of a machine that nobody has heard of for a lease, what runs there does not count any more.
        return bool(running) and attempt.runner_uid in running and attempt.outcome is None

    # The cache.

    def publishes(self, key: str, maker: wider.Holder, holder: wider.Holder | None, *, allowed: bool) -> None:
        """Of a key that is made one at a time, what an attempt has made."""
        if allowed and holder is not None and holder != maker:
            self.note(f"{maker} publishes {key[:8]}, which {holder} makes")

    # Commits.

    def before_commit(
        self, row: admin.Row, session: "wires.Session", part: propeller_pb2.ExecutionCommit
    ) -> None:
        self.steps += 1
        holder = session.propeller_id
        if row.holder != holder or row.epoch != part.epoch:
            self.note(f"{holder} commits to {row.id}, which {row.holder or 'nobody'} holds")
        if row.ended:
            self.note(f"{row.id} has ended, and is committed to")
        for sequence in part.consumed:
            # Through another stream it may be, when the commit of the one before came late; that changes nothing.
            consumer = (session, row.epoch)
            if self._consumers.get((row.id, sequence)) == consumer:
                self.note(f"row {sequence} of {row.id}'s inbox is consumed a second time")
            self._consumers[row.id, sequence] = consumer

    def after_commit(self, row: admin.Row, part: propeller_pb2.ExecutionCommit) -> None:
        shadow = self._shadows.get(row.id)
        if shadow is None:
            shadow = self._shadows[row.id] = Shadow(row)
        graph, state = shadow.graph, shadow.state
        for event in part.events:
            if event.time_us < shadow.last_us:
                self.note(f"the time of an event of {row.id} goes back")
            shadow.last_us = event.time_us
            self._learn(shadow, event)
            engine.step(graph, state, event)
            for unit in state.take_changed():
                self._changed(row, shadow, unit)
        for node in part.nodes:
            if node.phase != shadow.phases.get(node.id, node.phase):
                self.note(f"{row.id}/{node.id} is written in a phase that it is not in")
        for spec in part.attempts:
            unit = state.unit(spec.id.node)
            if (unit, spec.id.attempt) in shadow.attempts:
                continue  # whoever takes over writes those that are under way again
            shadow.attempts.add((unit, spec.id.attempt))
            if state.stages[unit] not in stages.IN_FLIGHT or state.attempts[unit] != spec.id.attempt:
                self.note(f"{row.id}/{spec.id.node} is to run attempt {spec.id.attempt}, for no reason")
        if row.ended:
            self._world.loop.look = True
            self._ended(row, shadow)

    def _learn(self, shadow: Shadow, event: events_pb2.Event) -> None:
        """The first signal to a gate is the one that counts."""
        said = [*event.execution_started.signals] if event.HasField("execution_started") else []
        if event.HasField("signal_received"):
            said.append(event.signal_received)
        for each in said:
            value = each.value.integer if each.HasField("value") else each.approved
            shadow.signals.setdefault(each.node, value)

    def _changed(self, row: admin.Row, shadow: Shadow, unit: int) -> None:
        path = shadow.state.path(unit)
        phase = engine.node_execution(shadow.graph, shadow.state, unit).phase
        before = shadow.phases.get(path)
        if before in FINAL and before != phase:
            self.note(f"{row.id}/{path} had ended as {phase_name(before)}, and is {phase_name(phase)}")
        shadow.phases[path] = phase

    # The end.

    def _ended(self, row: admin.Row, shadow: Shadow) -> None:
        again = Shadow(row)
        for event in row.journal:
            engine.step(again.graph, again.state, events_pb2.Event.FromString(event))
        if _known(again.state) != _known(shadow.state):
            self.note(f"the journal of {row.id} gives another state when it is replayed")
        if not again.state.done:
            self.note(f"{row.id} is stored as ended, and its journal does not end it")
            return
        if row.status != engine.execution_status(again.graph, again.state):
            self.note(f"the status of {row.id} is not what its journal gives")
        for unit in range(len(again.state.stages)):
            path = again.state.path(unit)
            if row.nodes.get(path) != engine.node_execution(again.graph, again.state, unit):
                self.note(f"{row.id}/{path} is stored otherwise than its journal gives it")
        for (_, number), attempt in row.attempts.items():
            if self._lives(row, attempt.spec.id.node, number):
                self.note(f"{row.id} has ended, and {attempt.spec.id.node} still runs")
        self._check_phase(row)
        self._check_values(row, shadow)
        self._check_budgets(row)

    def _check_phase(self, row: admin.Row) -> None:
        assert row.status is not None
        phase, rows = row.status.phase, row.nodes.values()
        open_ = [node.id for node in rows if node.phase not in FINAL]
        if open_:
            self.note(f"{row.id} has ended, and {open_} have not")
        if phase == executions_pb2.PHASE_ABORTED and row.id not in self._world.aborted:
            self.note(f"{row.id} is ABORTED, and nobody asked for that")
        if phase == executions_pb2.PHASE_SUCCEEDED:
            for node in rows:
                top = "[" not in node.id and "." not in node.id
                if top and node.phase not in GOOD and node.reason not in ("branch", "not_failed"):
                    self.note(f"{row.id} SUCCEEDED, and {node.id} is {phase_name(node.phase)} {node.reason}")
        if phase == executions_pb2.PHASE_FAILED and not row.status.error.code:
            self.note(f"{row.id} FAILED without an error")

    def _check_values(self, row: admin.Row, shadow: Shadow) -> None:
        """Whatever succeeded gave what it must, wherever that came from."""
        expected = graphs.Expected(
            self._world.workflows,
            self._world.workflows[row.workflow],
            row.started.inputs.values[0].value.integer,
            shadow.signals,
            lambda path: path in row.nodes and row.nodes[path].phase not in GOOD,
        )
        for node in row.nodes.values():
            if node.phase not in GOOD or not node.outputs.values:
                continue
            given = graphs.plain(node.outputs.values[0].value)
            try:
                wanted = expected.at(node.id)
            except graphs.Never:
                self.note(f"{row.id}/{node.id} gave {given}, and can't have succeeded")
                continue
            if wanted != given:
                self.note(f"{row.id}/{node.id} gave {given}, and {wanted} is right")
        assert row.status is not None
        if row.status.phase == executions_pb2.PHASE_SUCCEEDED and row.status.outputs.values:
            given, wanted = graphs.plain(row.status.outputs.values[0].value), expected.output()
            if given != wanted:
                self.note(f"{row.id} gave {given}, and {wanted} is right")

    def _check_budgets(self, row: admin.Row) -> None:
        users: dict[str, int] = defaultdict(int)
        systems: dict[str, int] = defaultdict(int)
        numbers: dict[str, int] = defaultdict(int)
        for (node, number), attempt in row.attempts.items():
            numbers[node] = max(numbers[node], number)
            error = attempt.outcome.error if attempt.outcome is not None else errors_pb2.ExecutionError()
            if error.kind == errors_pb2.ERROR_KIND_USER:
                users[node] += 1
            elif error.kind == errors_pb2.ERROR_KIND_SYSTEM and error.code != task_options.SERVER_STOPPED:
                systems[node] += 1
        for node, count in numbers.items():
            budget = row.attempts[node, 1].spec.options.retry.retries
            if users[node] > budget + 1:
                self.note(f"{row.id}/{node} failed {users[node]} times of its own, with {budget} retries")
            if systems[node] > task_options.SYSTEM_RETRIES + 1:
                self.note(f"{row.id}/{node} failed {systems[node]} times of the platform's")
            if row.nodes[node].attempts != count:
                self.note(f"{row.id}/{node} has {count} attempts, and {row.nodes[node].attempts} are told")


def phase_name(phase: executions_pb2.Phase.ValueType) -> str:
    return executions_pb2.Phase.Name(phase).removeprefix("PHASE_")


def _known(state: engine.State) -> dict[str, object]:
    """All that a state holds, without what is only noted for whoever stores it."""
    return {name: value for name, value in vars(state).items() if not name.startswith("_")}
