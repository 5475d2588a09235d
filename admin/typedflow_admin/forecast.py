"""What an execution would do, node by node, without doing any of it.

The engine itself is driven over the graph, and told only what is known already: what the cache has, or the execution
that is recovered. A node that would have to run is never told of again, so what comes after it stays where it is. Asks
and touches nothing: whoever drives this puts the questions, and gives the answers.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from typedflow import engine, errors, hashing
from typedflow.pb.catalog_pb2 import CACHE_STATUS_HIT, KeyManifest, Usage
from typedflow.pb.events_pb2 import CacheChecked, Event, ExecutionStarted
from typedflow.pb.executions_pb2 import (
    DECISION_HIT,
    DECISION_RECOVER,
    DECISION_RUN,
    DECISION_SKIP,
    DECISION_WAIT,
    NODE_KIND_BRANCH,
    NODE_KIND_MAP,
    PHASE_FAILED,
    PHASE_RECOVERED,
    PHASE_SKIPPED,
    PHASE_SUCCEEDED,
    PHASE_TIMED_OUT,
    NodeExecution,
    PlannedNode,
    SlotCounts,
)
from typedflow.pb.literals_pb2 import Literal, LiteralMap
from typedflow.pb.propeller_pb2 import CacheAnswer, CacheQuestion
from typedflow.pb.tasks_pb2 import TaskOptions, TaskTemplate
from typedflow.pb.workflows_pb2 import CompiledWorkflow
from typedflow_admin import node_paths

MOST_SLOTS_TOLD = 1000
_NAMED = 3
_SUCCEEDED = frozenset({PHASE_SUCCEEDED, PHASE_RECOVERED})
_REASONS = {
    "absent": "no entry",
    "stale": "what its entry points at is gone",
    "expired": "its entry is too old",
}
_WAITS = {
    "signal": "for somebody to give a value",
    "approval": "for somebody to approve",
    "time_us": "for a time",
    "": "",
}
_SKIPPED = {
    "branch": "its case is not taken",
    "upstream_failed": "what it needs fails",
    "not_failed": "only when the execution fails",
    "aborted": "the execution fails before it",
}


@dataclass(frozen=True, slots=True)
class _Call:
    """What all calls of a node have in common, and those of all slots of a map."""

    task: TaskTemplate
    options: TaskOptions
    recipe: hashing.Recipe
    over: frozenset[str]
    same: dict[str, str] = field(default_factory=dict)
    """Of a map, the digests of the inputs that all slots are given."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A unit whose key there is no entry of, and what that is made of."""

    unit: int
    manifest: KeyManifest
    inputs: LiteralMap
    task: TaskTemplate


class Forecast:
    """One execution, forecast.

    Args:
        compiled: what would be launched.
        started: how. Its limits are of no account.
        load: fetches what a value stands for that is kept elsewhere.
        now_us: when, in microseconds since 1970.
    """

    def __init__(
        self,
        compiled: CompiledWorkflow,
        started: ExecutionStarted,
        load: Callable[[Literal], Literal],
        now_us: int,
    ) -> None:
        self._graph = engine.Graph(compiled)
        self._state = engine.State(self._graph)
        self._started = started
        self._load = load
        self._now_us = now_us
        self._calls: dict[tuple[engine.Graph, int], _Call] = {}
        self._asked: dict[int, CacheQuestion] = {}
        self._open: dict[int, CacheQuestion] = {}
        self._answers: dict[int, CacheAnswer] = {}
        self._wanted: set[int] = set()
        self._slots: dict[int, range] = {}
        self._found: Counter[int] = Counter()  # entries, by the map whose slots they are for
        self._reasons: dict[int, str] = {}
        self._handlers = frozenset(self._graph.handlers)
        event = Event(schema=1, time_us=now_us)
        event.execution_started.CopyFrom(started)
        event.execution_started.ClearField("max_parallelism")
        event.execution_started.capped = False
        self._drive([event])

    # Questions

    def questions(self) -> dict[int, CacheQuestion]:
        """What is to be asked next, by unit; empty: everything that can be known is."""
        return dict(self._open)

    def answer(self, answers: dict[int, CacheAnswer]) -> None:
        """Goes on with what was asked for."""
        events = []
        for unit, given in answers.items():
            del self._open[unit]
            self._answers[unit] = given
            if given.HasField("entry"):
                self._found[self._state.parent(unit)] += 1
            else:
                self._reasons[unit] = given.reason
        for unit in sorted(self._wanted):
            if unit in self._answers and self._goes_on(unit):
                self._wanted.discard(unit)
                events.append(self._hit(unit))
        self._drive(events)

    def _goes_on(self, unit: int) -> bool:
        """Whether a unit's outputs are taken from somewhere; of a slot, whether those of all slots are."""
        if self._state.slot(unit) < 0:
            return self._has_entry(unit)
        whole = self._state.parent(unit)
        return self._found[whole] == len(self._slots[whole])

    def _hit(self, unit: int) -> Event:
        given = self._answers[unit]
        entry = given.entry
        checked = CacheChecked(
            node=self._state.path(unit),
            status=CACHE_STATUS_HIT,
            outputs=entry.outputs,
            saved=entry.usage,
            producer_execution_id=entry.execution_id,
            producer_node=entry.node,
            producer_attempt=entry.attempt,
            key=self._asked[unit].key,
            recovered=given.recovered,
        )
        return Event(schema=1, time_us=self._now_us, cache_checked=checked)

    def _drive(self, events: Iterable[Event]) -> None:
        waiting = deque(events)
        while waiting:
            for action in engine.step(self._graph, self._state, waiting.popleft()):
                match action:
                    case engine.CheckCache(node=unit):
                        self._wanted.add(unit)
                        self._ask(unit)
                        if unit in self._answers and self._goes_on(unit):
                            self._wanted.discard(unit)
                            waiting.append(self._hit(unit))
                    case engine.Resolve(node=unit):
                        resolved = engine.resolve(self._graph, self._state, unit, self._load)
                        waiting.append(Event(schema=1, time_us=self._now_us, node_resolved=resolved))
                    case engine.StartAttempt(node=unit):
                        self._reasons.setdefault(unit, self._why_started(unit))
                    case engine.LaunchChild(node=unit):
                        self._reasons.setdefault(unit, "it launches an execution")
                    case _:
                        pass

    def _why_started(self, unit: int) -> str:
        path = self._state.path(unit)
        if node_paths.is_of(path, self._started.overwrite_cache):
            return "made anew, as asked"
        if node_paths.is_of(path, self._started.rerun):
            return "run again, as asked"
        return "not cached"

    def _ask(self, unit: int) -> None:
        """Puts a unit's question; of a slot those of all slots, for the engine asks for some at a time."""
        whole = self._state.parent(unit)
        if self._state.slot(unit) < 0:
            units = range(unit, unit + 1)
        elif whole in self._slots:
            return
        else:
            counted = self._state.slots[whole]
            units = self._slots[whole] = range(counted.base, counted.base + counted.count)
        anew = (*self._started.overwrite_cache, *self._started.rerun)
        for each in units:
            if node_paths.is_of(self._state.path(each), anew):  # the engine asks for the slots beside it
                self._reasons[each] = self._why_started(each)
            else:
                self._put(each)

    def _put(self, unit: int) -> None:
        call = self._call(unit)
        try:
            key = call.recipe.key(self._digests(unit, call, self._inputs(unit)))
        except errors.TypedflowError as error:
            self._reasons[unit] = f"its inputs can't be had: {error.message}"
            return
        cache = call.options.cache
        self._asked[unit] = self._open[unit] = CacheQuestion(
            node=self._state.path(unit),
            key=key,
            cached=cache.enabled,
            max_age_ms=cache.max_age_ms,
            recover_from=self._started.recover_from,
        )

    def _call(self, unit: int) -> _Call:
        place = self._state.place(unit)
        call = self._calls.get(place)
        if call is None:
            task = engine.task(self._graph, self._state, unit)
            assert task is not None, self._state.path(unit)
            options = engine.options(self._graph, self._state, unit)
            over = frozenset(place[0].workflow.nodes[place[1]].map.over)
            call = self._calls[place] = _Call(task, options, hashing.Recipe(task, options), over)
        return call

    def _inputs(self, unit: int) -> LiteralMap:
        return engine.inputs(self._graph, self._state, unit, self._load)

    def _digests(self, unit: int, call: _Call, inputs: LiteralMap) -> dict[str, str]:
        is_slot = self._state.slot(unit) >= 0
        digests = {}
        for each in inputs.values:
            if each.name in call.recipe.ignored:
                continue
            if is_slot and each.name not in call.over:
                if each.name not in call.same:
                    call.same[each.name] = hashing.of_literal(each.value)
                digests[each.name] = call.same[each.name]
            else:
                digests[each.name] = hashing.of_literal(each.value)
        return digests

    # What came of it

    def missing(self, limit: int) -> Iterator[Missing]:
        """Cached units that would run because there is no entry, of each map one: what their keys are made of."""
        told: set[int] = set()
        count = 0
        for unit, question in self._asked.items():
            whole = self._state.parent(unit) if self._state.slot(unit) >= 0 else unit
            if whole in told or not question.cached or self._reasons.get(unit) != "absent":
                continue
            if count == limit:
                return
            told.add(whole)
            count += 1
            call, inputs = self._call(unit), self._inputs(unit)
            manifest = call.recipe.manifest(self._digests(unit, call, inputs))
            yield Missing(unit, manifest, inputs, call.task)

    def made_one_at_a_time(self) -> set[str]:
        """The keys of what is not there and is made by one while the others wait."""
        return {
            asked.key
            for unit, asked in self._asked.items()
            if not self._has_entry(unit) and self._call(unit).options.cache.serialize and asked.cached
        }

    def nodes(self, why: dict[int, str], usual: Callable[[TaskTemplate], Usage | None]) -> list[PlannedNode]:
        """All nodes, in the order in which they can run; of maps whose slots are not all alike, slots as well.

        Args:
            why: of `missing` units, why there is no entry.
            usual: what a task takes, if that is known.
        """
        before = _upstreams(self._graph)
        shown: list[PlannedNode] = []
        for unit in range(len(self._graph)):
            node = engine.node_execution(self._graph, self._state, unit)
            planned = self._planned(unit, node, why, before[unit])
            self._tell_usage(planned, usual)
            shown.append(planned)
            shown += self._told_slots(unit, why)
        return shown

    def _planned(
        self, unit: int, node: NodeExecution, why: dict[int, str], before: Sequence[int]
    ) -> PlannedNode:
        planned = PlannedNode(id=node.id, task=node.task, kind=node.kind)
        if node.phase == PHASE_SKIPPED:
            planned.decision, planned.reason = DECISION_SKIP, _SKIPPED.get(node.reason, node.reason)
        elif node.phase in {PHASE_FAILED, PHASE_TIMED_OUT}:
            planned.decision, planned.reason = DECISION_RUN, f"fails: {node.error.message}"
        elif node.kind == NODE_KIND_BRANCH and node.HasField("case"):
            planned.decision, planned.reason = DECISION_RUN, f"takes case {node.case + 1}"
        elif node.kind == NODE_KIND_MAP and unit in self._state.slots:
            self._plan_map(planned, unit, why)
        elif node.phase in _SUCCEEDED:
            self._plan_done(planned, unit)
        elif unit in self._reasons:
            planned.decision, planned.reason = DECISION_RUN, self._why(unit, why)
            planned.cache_key = self._asked[unit].key if unit in self._asked else ""
        elif unit in self._handlers:
            planned.decision, planned.reason = DECISION_SKIP, _SKIPPED["not_failed"]
        else:
            planned.decision, planned.reason = DECISION_WAIT, self._waits_for(node, before)
        return planned

    def _plan_done(self, planned: PlannedNode, unit: int) -> None:
        """A node that the engine saw succeed: from the cache, or because somebody told a gate before."""
        given = self._answers.get(unit)
        if given is None:
            planned.decision, planned.reason = DECISION_RECOVER, "it was told before"
            return
        entry = given.entry
        planned.decision = DECISION_RECOVER if given.recovered else DECISION_HIT
        planned.cache_key = self._asked[unit].key
        planned.usage.CopyFrom(entry.usage)
        planned.producer_execution_id, planned.producer_node = entry.execution_id, entry.node

    def _plan_map(self, planned: PlannedNode, unit: int, why: dict[int, str]) -> None:
        counted = self._state.slots[unit]
        slots = range(counted.base, counted.base + counted.count)
        given = [self._answers[each] for each in slots if self._has_entry(each)]
        planned.slots.CopyFrom(SlotCounts(total=len(slots), succeeded=len(given), hits=len(given)))
        if len(given) == len(slots):
            recovered = bool(given) and all(each.recovered for each in given)
            planned.decision = DECISION_RECOVER if recovered else DECISION_HIT
            planned.reason = "" if given else "it has no slots"
            for each in given:
                _add(planned.usage, each.entry.usage)
            return
        # Slots that the engine did not begin yet run for the reason that others do.
        first = next(each for each in slots if not self._has_entry(each))
        planned.decision, planned.reason = DECISION_RUN, self._why(first, why)

    def _has_entry(self, unit: int) -> bool:
        return unit in self._answers and self._answers[unit].HasField("entry")

    def _why(self, unit: int, why: dict[int, str]) -> str:
        reason = self._reasons.get(unit, "")
        if reason == "absent" and not self._asked[unit].cached:
            return "it did not succeed then, or was given something else"
        return why.get(unit) or _REASONS.get(reason, reason)

    def _waits_for(self, node: NodeExecution, before: Sequence[int]) -> str:
        if node.HasField("waiting"):
            return _WAITS[node.waiting.WhichOneof("until") or ""]
        names = [
            self._graph.ids[each]
            for each in before
            if engine.node_execution(self._graph, self._state, each).phase not in _SUCCEEDED
        ]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        return f"after {', '.join(names[:_NAMED])}{more}" if names else ""

    def _tell_usage(self, planned: PlannedNode, usual: Callable[[TaskTemplate], Usage | None]) -> None:
        """What is to run takes what it usually does; of a map, each of its slots that is to run."""
        if planned.decision not in {DECISION_RUN, DECISION_WAIT}:
            return
        task = self._graph.tasks[self._graph.index[planned.id]]
        took = usual(task) if task is not None else None
        if took is not None:
            _add(planned.usage, took, max(planned.slots.total - planned.slots.hits, 1))

    def _told_slots(self, unit: int, why: dict[int, str]) -> Iterator[PlannedNode]:
        """The slots of a map of which some run and some don't, the first of them."""
        slots = self._slots.get(unit, range(0))
        kinds = {self._has_entry(each) for each in slots}
        if len(kinds) < 2:
            return
        for each in slots[:MOST_SLOTS_TOLD]:
            node = engine.node_execution(self._graph, self._state, each)
            planned = PlannedNode(id=node.id, task=node.task, kind=node.kind)
            if self._has_entry(each):
                self._plan_done(planned, each)
            else:
                planned.decision, planned.reason = DECISION_RUN, self._why(each, why)
                planned.cache_key = self._asked[each].key if each in self._asked else ""
            yield planned


def _upstreams(graph: engine.Graph) -> list[list[int]]:
    """What each node waits for itself, in order."""
    found: list[list[int]] = [[] for _ in range(len(graph))]
    for node, successors in enumerate(graph.successors):
        for each in successors:
            found[each].append(node)
    for node, of in enumerate(graph.workflow.nodes):
        if of.section.HasField("branch"):
            found[node].append(graph.index[of.section.branch.node])
    return found


def _add(usage: Usage, more: Usage, times: int = 1) -> None:
    usage.wall_seconds += more.wall_seconds * times
    usage.cpu_seconds += more.cpu_seconds * times
    usage.gpu_seconds += more.gpu_seconds * times
