"""Whatever the workflow and the order of events, an execution keeps its promises.

A model of the world performs the engine's actions: it keeps what is under way and lets hypothesis choose what happens
next, also a crash, which forgets the engine's state, replays the journal and performs what is pending.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenarios import transcripts
from typedflow import engine, task_options
from typedflow.engine import stages
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, workflows_pb2

T = TypeVar("T")

ENDED = {
    executions_pb2.PHASE_SUCCEEDED,
    executions_pb2.PHASE_RECOVERED,
    executions_pb2.PHASE_FAILED,
    executions_pb2.PHASE_ABORTED,
    executions_pb2.PHASE_TIMED_OUT,
    executions_pb2.PHASE_SKIPPED,
}
OPTIONS = ["cache", "serialize", "retries=2", "backoff=1s", "run=5s", "queued=5s", "deadline=20s"]
GRAPHS = [
    transcripts.compile_lines(lines, inner=True)
    for lines in (
        ["output 5"],
        ["a", "b <- a | retries=1", "output b"],
        ["policy fail_after_running", "a", "b", "output a"],
        ["l", "m <- l* | map cache", "s | signal timeout=5s", "k <- after:m | dynamic", "output k"],
        ["a", "if k: a == 5 -> b; else -> 1", "b | in=k.0", "output k"],
    )
]


class Draw(Protocol):
    """How something is chosen; within a strategy and within a test."""

    def __call__(self, strategy: st.SearchStrategy[T], /) -> T: ...


@st.composite
def workflows(draw: st.DrawFn) -> workflows_pb2.CompiledWorkflow:
    """Tasks only."""
    lines = ["policy fail_after_running"] if draw(st.booleans()) else []
    size = draw(st.integers(0, 8))
    for node in range(size):
        upstreams = draw(st.lists(st.integers(0, node - 1), max_size=3)) if node else []
        kinds = draw(st.lists(st.sampled_from(["n{}", "after:n{}"]), min_size=3, max_size=3))
        wiring = " ".join(kind.format(upstream) for kind, upstream in zip(kinds, upstreams, strict=False))
        options = draw(st.lists(st.sampled_from(OPTIONS), unique=True))
        lines.append(f"n{node} <- {wiring} | {' '.join(options)}")
    if size:
        lines.append(f"output n{size - 1}")
    return transcripts.compile_lines(lines)


class Writer:
    """Writes a workflow of nodes of all kinds, in the order that a compiler would put them."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    def options(self) -> str:
        return " ".join(self.draw(st.lists(st.sampled_from(OPTIONS), unique=True, max_size=3)))

    def sources(self, seen: list[str]) -> str:
        return " ".join(self.draw(st.lists(st.sampled_from(seen), max_size=2)))

    def node(self, seen: list[str], section: str, depth: int) -> str:
        """Adds a node that gives an int, with what it needs; its name."""
        kinds = ["task", "task", "map", "signal", "approval", "sleep", "launch", "dynamic"]
        kind = self.draw(st.sampled_from([*kinds, "branch"] if depth < 2 else kinds))
        name = self.name()
        if kind == "branch":
            return self.branch(name, seen, section, depth)
        if kind == "map":
            upstream = f"after:{self.draw(st.sampled_from(seen))}" if seen != ["x"] else ""
            upstream = upstream.replace("after:x", "")
            size = self.draw(
                st.sampled_from(["", " concurrency=1", " ratio=0.5", " ratio=0.5 concurrency=2"])
            )
            self.lines.append(f"l{name} <- {upstream} | {self.options()} {section}")
            self.lines.append(
                f"m{name} <- l{name}* {self.sources(seen)} | map{size} {self.options()} {section}"
            )
            self.lines.append(f"{name} <- after:m{name} | {section}")
        elif kind == "approval":
            self.lines.append(f"{name} <- {self.draw(st.sampled_from(seen))} | approval {section}")
        elif kind in ("signal", "sleep"):
            said = {
                "signal": self.draw(st.sampled_from(["signal", "signal timeout=9s"])),
                "sleep": "sleep=5s",
            }
            of = name if kind == "signal" else f"z{name}"
            self.lines.append(f"{of} <- {self.after(seen)} | {said[kind]} {section}")
            if kind == "sleep":
                self.lines.append(f"{name} <- after:{of} | {section}")
        else:
            words = {"task": self.options(), "launch": "launch", "dynamic": f"dynamic {self.options()}"}[kind]
            self.lines.append(f"{name} <- {self.sources(seen)} | {words} {section}")
        return name

    def after(self, seen: list[str]) -> str:
        upstreams = self.draw(st.lists(st.sampled_from(seen), max_size=2))
        return " ".join(f"after:{each}" for each in upstreams if each != "x")

    def branch(self, name: str, seen: list[str], section: str, depth: int) -> str:
        at = len(self.lines)
        cases = []
        for case in range(self.draw(st.integers(1, 2))):
            inside = list(seen)
            for _ in range(self.draw(st.integers(0, 2))):
                inside.append(self.node(inside, f"in={name}.{case}", depth + 1))
            left = self.draw(st.sampled_from(seen))
            condition = f"{left} {self.draw(st.sampled_from(['==', '<']))} {self.draw(st.integers(4, 8))}"
            cases.append(f"{condition} -> {self.draw(st.sampled_from(inside))}")
        cases.append(self.draw(st.sampled_from(["else -> 1", "else fail no luck", f"else -> {seen[-1]}"])))
        self.lines.insert(at, f"if {name} {section}: {'; '.join(cases)}".replace(" :", ":"))
        return name


@st.composite
def all_kinds(draw: st.DrawFn) -> workflows_pb2.CompiledWorkflow:
    writer = Writer(draw)
    if draw(st.booleans()):
        writer.lines.append("policy fail_after_running")
    seen = ["x"]
    for _ in range(draw(st.integers(1, 4))):
        seen.append(writer.node(seen, "", 0))
    output = seen[-1]
    if draw(st.booleans()):
        writer.lines.append("h <- error x | on_failure")
        writer.lines.append("i <- h | on_failure retries=1")
    writer.lines.append(f"output {output}")
    return transcripts.compile_lines(writer.lines)


@dataclass
class World:
    """Performs actions: what is under way, and all that ever happened."""

    compiled: workflows_pb2.CompiledWorkflow
    limit: int
    now_us: int = 1_000_000
    journal: list[events_pb2.Event] = field(default_factory=list)
    checks: set[int] = field(default_factory=set)
    attempts: dict[tuple[int, int], str] = field(default_factory=dict)  # placing, asked, running, stopping
    ended: set[tuple[int, int]] = field(default_factory=set)
    timers: dict[tuple[int, int, int], int] = field(default_factory=dict)
    children: dict[int, str] = field(default_factory=dict)  # asked, running, stopping
    questions: set[int] = field(default_factory=set)
    finished: int = 0

    def __post_init__(self) -> None:
        self.graph = engine.Graph(self.compiled)
        self.state = engine.State(self.graph)

    def tell(self, event: events_pb2.Event) -> None:
        event.time_us = self.now_us
        before = list(self.state.stages)
        actions = engine.step(self.graph, self.state, event)
        # As the propeller does: what has changed nothing is not stored.
        changed = self.state.take_changed()
        if actions or changed or self.state.execution_changed:
            self.journal.append(event)
        for unit, stage in enumerate(before):
            if stage >= stages.SUCCEEDED:
                assert self.state.stages[unit] == stage, "an ended unit changed"
        for action in actions:
            assert not (isinstance(action, engine.FinishExecution) and self.finished), "it finished twice"
            self.perform(action)
            self.finished += isinstance(action, engine.FinishExecution)
        assert not self.limit or len(self.attempts) <= self.limit, "too many attempts under way"
        self.check_maps()

    def check_maps(self) -> None:
        state = self.state
        for unit, slots in state.slots.items():
            parts = list(state.stages[slots.base : slots.base + slots.count])
            in_flight = sum(each in stages.IN_FLIGHT for each in parts)
            assert not slots.concurrency or in_flight <= slots.concurrency, "too many slots in flight"
            assert slots.succeeded == parts.count(stages.SUCCEEDED)
            assert slots.failed == parts.count(stages.FAILED) + parts.count(stages.TIMED_OUT)
            assert slots.skipped == parts.count(stages.SKIPPED) + parts.count(stages.ABORTED)
            assert slots.running == sum(stages.SHOWN_RUNNING[each] for each in parts)
            assert not slots.count or state.path(slots.base) == f"{state.path(unit)}[0]"
        for unit in range(len(state)):
            assert state.unit(state.path(unit)) == unit

    def perform(self, action: engine.Action) -> None:
        """Idempotent, as performers are."""
        match action:
            case engine.CheckCache(unit):
                self.checks.add(unit)
            case engine.RequestPlace(unit, attempt):
                self.attempts.setdefault((unit, attempt), "placing")
            case engine.StartAttempt(unit, attempt):
                if (unit, attempt) not in self.ended and self.attempts.get((unit, attempt)) in (
                    None,
                    "placing",
                ):
                    self.attempts[unit, attempt] = "asked"
                engine.inputs(self.graph, self.state, unit, transcripts.load)
            case engine.StopAttempt(unit, attempt):
                assert (unit, attempt) not in self.ended, "what has ended is told to stop"
                self.attempts[unit, attempt] = "stopping"
            case engine.Resolve(unit):
                self.questions.add(unit)
            case engine.LaunchChild(unit):
                self.children.setdefault(unit, "asked")
                engine.inputs(self.graph, self.state, unit, transcripts.load)
            case engine.StopChild(unit):
                self.children[unit] = "stopping"
            case engine.SetTimer(unit, attempt, timer, at_us):
                self.timers[unit, attempt, timer] = at_us
            case engine.FinishExecution():
                assert not self.attempts, "it finished while an attempt was under way"
                assert not self.children, "it finished while an execution was under way"

    def crash(self) -> None:
        """The propeller dies: what it waited for in memory is gone, attempts live on."""
        self.checks.clear()
        self.timers.clear()
        self.questions.clear()
        replayed = engine.State(self.graph)
        for event in self.journal:
            engine.step(self.graph, replayed, event)
        assert transcripts.known(replayed) == transcripts.known(self.state)
        self.state = replayed
        actions = engine.pending(self.graph, self.state)
        for action in actions:
            self.perform(action)
        about = engine.StartAttempt | engine.StopAttempt | engine.RequestPlace
        asked = {(a.node, a.attempt) for a in actions if isinstance(a, about)}
        assert asked == set(self.attempts), "after a takeover other attempts are under way than before"
        waited = {a.node for a in actions if isinstance(a, engine.LaunchChild | engine.StopChild)}
        assert waited == set(self.children), "after a takeover other executions are under way than before"

    def repeat(self, past: int) -> None:
        """An event comes again, late."""
        event = events_pb2.Event()
        event.CopyFrom(self.journal[past])
        if event.HasField("cache_checked"):
            unit = self.state.unit(event.cache_checked.node)
            if self.state.stages[unit] == stages.CHECKING and self.state.attempts[unit]:
                return  # a serialized task asks again, and what it was told before looks like the answer
        length = len(self.journal)
        stages_before = bytes(self.state.stages)
        self.tell(event)
        assert bytes(self.state.stages) == stages_before
        assert len(self.journal) == length, "it was taken as news"

    def happen(self, draw: Draw) -> None:
        """One of the things that can happen next."""
        state = self.state
        possible = [("check", unit, 0, 0) for unit in sorted(self.checks)]
        possible += [(kind, unit, attempt, 0) for (unit, attempt), kind in sorted(self.attempts.items())]
        possible += [("timer", unit, attempt, timer) for unit, attempt, timer in sorted(self.timers)]
        possible += [("resolve", unit, 0, 0) for unit in sorted(self.questions)]
        possible += [("child", unit, 0, 0) for unit in sorted(self.children)]
        possible += [("gate", unit, 0, 0) for unit in self.gates()]
        assert possible, "nothing is under way, and the execution has not ended"
        kind, unit, attempt, timer = draw(st.sampled_from(possible))
        id_ = state.path(unit) if unit >= 0 else ""
        match kind:
            case "check":
                self.checks.discard(unit)
                word = (
                    ["hit", id_, self.value(draw, unit)] if draw(st.booleans()) else ["miss", id_, "absent"]
                )
                event = transcripts.event(0, word[0], word[1:])
            case "timer":
                self.now_us = max(self.now_us, self.timers.pop((unit, attempt, timer)))
                event = events_pb2.Event(schema=1)
                event.timer_fired.node, event.timer_fired.attempt = id_, attempt
                event.timer_fired.timer = events_pb2.Timer.ValueType(timer)
            case "resolve":
                self.questions.discard(unit)
                answer = engine.resolve(self.graph, state, unit, transcripts.load)
                event = events_pb2.Event(schema=1, node_resolved=answer)
            case "child":
                event = self.child(draw, unit, id_)
            case "gate":
                event = self.said(draw, unit, id_)
            case "placing":
                event = transcripts.event(0, "granted", [id_, str(attempt)])
            case _:
                event = self.attempt(draw, kind, unit, attempt)
        self.now_us += draw(st.integers(0, 2_000_000))
        self.tell(event)

    def gates(self) -> list[int]:
        """That nobody has said anything to; also before they are reached."""
        return [
            unit
            for unit in range(len(self.state))
            if engine.kind(self.graph, self.state, unit) == executions_pb2.NODE_KIND_GATE
            and self.state.stages[unit] in (stages.NEW, stages.WAITING)
            and self.state.path(unit) not in self.state.signals
            and not self.gate(unit).HasField("sleep")
        ]

    def gate(self, unit: int) -> workflows_pb2.GateNode:
        graph, node = self.state.place(unit)
        return graph.gates[node]

    def said(self, draw: Draw, unit: int, id_: str) -> events_pb2.Event:
        if self.gate(unit).HasField("signal"):
            return transcripts.event(0, "signal", [id_, str(draw(st.integers(3, 9)))])
        return transcripts.event(0, draw(st.sampled_from(["approve", "approve", "reject"])), [id_, "alice"])

    def child(self, draw: Draw, unit: int, id_: str) -> events_pb2.Event:
        if self.children[unit] == "asked" and draw(st.booleans()):
            self.children[unit] = "running"
            return transcripts.event(0, "launched", [id_, f"child-{unit}"])
        del self.children[unit]
        outcome = draw(st.sampled_from([["ok", "5"], ["ok", "stored:5"], ["failed", "Broken"]]))
        return transcripts.event(0, "child", [id_, f"child-{unit}", *outcome])

    def value(self, draw: Draw, unit: int) -> str:
        task = engine.task(self.graph, self.state, unit)
        assert task is not None
        if task.interface.outputs[0].type.HasField("list"):
            return draw(st.sampled_from([",", "1,", "1,2,3", "stored:4,5"]))
        return draw(st.sampled_from(["5", "7", "stored:5"]))

    def attempt(self, draw: Draw, kind: str, unit: int, attempt: int) -> events_pb2.Event:
        id_ = self.state.path(unit)
        if kind == "asked" and draw(st.booleans()):
            self.attempts[unit, attempt] = "running"
            return transcripts.event(0, "started", [id_, str(attempt)])
        task = engine.task(self.graph, self.state, unit)
        assert task is not None
        outcomes = ["ok", "ok", "user", "system", "fatal"] + (["stopped"] if kind == "stopping" else [])
        outcomes += ["expanded"] * (3 * task.dynamic)
        outcome = draw(st.sampled_from(outcomes))
        del self.attempts[unit, attempt]
        self.ended.add((unit, attempt))
        match outcome:
            case "ok":
                return transcripts.event(0, "ok", [id_, str(attempt), self.value(draw, unit)])
            case "stopped":
                return transcripts.event(0, "stopped", [id_, str(attempt)])
            case "expanded":
                event = events_pb2.Event(schema=1)
                event.attempt_expanded.node, event.attempt_expanded.attempt = id_, attempt
                event.attempt_expanded.graph.CopyFrom(draw(st.sampled_from(GRAPHS)))
                return event
            case _:
                return transcripts.event(0, "failed", [id_, str(attempt), "Broken", outcome])


DISTURBANCES = st.lists(st.sampled_from(["repeat", "crash"]), max_size=1)


def drive(data: st.DataObject, world: World, aborted_after: int) -> None:
    steps = 0
    while not world.state.done:
        steps += 1
        if steps == aborted_after:
            world.tell(transcripts.event(0, "abort", ["alice"]))
            continue
        for disturbance in data.draw(DISTURBANCES):
            if disturbance == "crash":
                world.crash()
            else:
                world.repeat(data.draw(st.integers(0, len(world.journal) - 1)))
        world.happen(data.draw)
    assert world.finished == 1
    check_the_end(world)


@settings(max_examples=100)
@given(st.data(), workflows(), st.integers(0, 3), st.integers(0, 40))
def test_e3_whatever_happens_an_execution_ends_once_and_in_one_state(data, compiled, limit, aborted_after):
    world = World(compiled, limit)
    world.tell(transcripts.event(0, "start", [f"max={limit}"]))
    drive(data, world, aborted_after)


@settings(max_examples=100)
@given(
    st.data(),
    all_kinds(),
    st.integers(0, 3),
    st.integers(0, 60),
    st.lists(st.sampled_from(["capped", "recover=earlier", "overwrite=n1", "rerun=n2"]), unique=True),
)
def test_e3_an_execution_of_all_kinds_of_nodes_ends_once_and_in_one_state(
    data, compiled, limit, aborted_after, terms
):
    world = World(compiled, limit)
    world.tell(transcripts.event(0, "start", [f"max={limit}", *terms]))
    drive(data, world, aborted_after)


def check_the_end(world: World) -> None:
    graph, state = world.graph, world.state
    status = engine.execution_status(graph, state)
    nodes = [engine.node_execution(graph, state, unit) for unit in range(len(state))]
    assert {node.phase for node in nodes} <= ENDED
    bad = (executions_pb2.PHASE_FAILED, executions_pb2.PHASE_TIMED_OUT)
    failed = [node for node in nodes if node.phase in bad]
    match status.phase:
        case executions_pb2.PHASE_SUCCEEDED:
            outside = [node for node in nodes[: len(graph)] if node.phase in bad]
            assert not outside
            assert not status.HasField("error")
            reasons = {node.reason for node in nodes[: len(graph)]}
            assert reasons <= {"", "branch", "not_failed"}
        case executions_pb2.PHASE_FAILED | executions_pb2.PHASE_TIMED_OUT as phase:
            first = [node for node in failed if node.id == status.error.node]
            assert [(node.error, node.phase) for node in first] == [(status.error, phase)]
        case executions_pb2.PHASE_ABORTED:
            assert status.error.code == "Aborted"
        case other:
            raise AssertionError(executions_pb2.Phase.Name(other))
    for unit, node in enumerate(nodes):
        assert node.ended_at_us <= status.ended_at_us
        gave = node.phase in (executions_pb2.PHASE_SUCCEEDED, executions_pb2.PHASE_RECOVERED)
        assert node.HasField("outputs") == gave
        options = engine.options(graph, state, unit)
        if node.cache == catalog_pb2.CACHE_STATUS_HIT:
            assert gave
            assert node.attempts == 0 or options.cache.serialize
        assert node.attempts <= 1 + options.retry.retries + task_options.SYSTEM_RETRIES
        if node.HasField("slots"):
            counts = node.slots
            assert counts.total == counts.succeeded + counts.failed + counts.skipped
            assert counts.running == 0
    check_sections(graph, state)
    if graph.fail_fast and not graph.handlers and len(state) == len(graph):
        assert len(failed) <= 1
    left_over = [state.timers, state.stops, state.ready, state.in_flight, state.open]
    assert not any(left_over)
    world.crash()
    assert engine.pending(graph, world.state) == [engine.FinishExecution()]
    assert engine.execution_status(graph, world.state) == status
    assert [engine.node_execution(graph, world.state, unit) for unit in range(len(state))] == nodes


def check_sections(graph: engine.Graph, state: engine.State) -> None:
    """Nothing of a case that was not chosen ever began, and a conditional that succeeded has all of its case."""
    for branch, conditional in graph.conditionals.items():
        chosen = state.cases.get(branch)
        for number, case in enumerate(conditional.cases):
            for member in case.members:
                if number != chosen:
                    assert state.stages[member] == stages.SKIPPED
                elif state.stages[branch] == stages.SUCCEEDED:
                    assert state.stages[member] == stages.SUCCEEDED
    for handler in graph.handlers:
        assert state.error is not None or state.stages[handler] == stages.SKIPPED


@settings(max_examples=100)
@given(st.data(), workflows())
def test_e7_without_failures_every_node_runs_exactly_once(data, compiled):
    world = World(compiled, 2)
    world.tell(transcripts.event(0, "start", ["max=2"]))
    begun: list[int] = []
    while not world.state.done:
        (node, attempt), _ = (
            data.draw(st.sampled_from(sorted(world.attempts.items()))) if world.attempts else ((-1, 0), "")
        )
        if node < 0 or (world.checks and data.draw(st.booleans())):
            node = data.draw(st.sampled_from(sorted(world.checks)))
            world.checks.discard(node)
            world.tell(transcripts.event(0, "miss", [world.graph.ids[node], "absent"]))
            continue
        del world.attempts[node, attempt]
        begun.append(node)
        assert attempt == 1
        world.tell(transcripts.event(0, "ok", [world.graph.ids[node], "1", "3"]))
    assert sorted(begun) == list(range(len(world.graph)))
    assert world.state.phase == executions_pb2.PHASE_SUCCEEDED
