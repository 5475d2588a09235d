"""Whatever the workflow and the order of events, an execution keeps its promises.

A model of the world performs the engine's actions: it keeps what is under way and lets hypothesis choose what happens
next, also a crash, which forgets the engine's state, replays the journal and performs what is pending.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.scenarios import transcripts
from typedflow import engine, task_options
from typedflow.engine import stages
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2, workflows_pb2

ENDED = {
    executions_pb2.PHASE_SUCCEEDED,
    executions_pb2.PHASE_FAILED,
    executions_pb2.PHASE_ABORTED,
    executions_pb2.PHASE_TIMED_OUT,
    executions_pb2.PHASE_SKIPPED,
}


@st.composite
def workflows(draw: st.DrawFn) -> workflows_pb2.CompiledWorkflow:
    lines = ["policy fail_after_running"] if draw(st.booleans()) else []
    size = draw(st.integers(0, 8))
    for node in range(size):
        upstreams = draw(st.lists(st.integers(0, node - 1), max_size=3)) if node else []
        kinds = draw(st.lists(st.sampled_from(["n{}", "after:n{}"]), min_size=3, max_size=3))
        wiring = " ".join(kind.format(upstream) for kind, upstream in zip(kinds, upstreams, strict=False))
        options = draw(
            st.lists(
                st.sampled_from(["cache", "retries=2", "backoff=1s", "run=5s", "queued=5s", "deadline=20s"]),
                unique=True,
            )
        )
        lines.append(f"n{node} <- {wiring} | {' '.join(options)}")
    if size:
        lines.append(f"output n{size - 1}")
    return transcripts.compile_lines(lines)


@dataclass
class World:
    """Performs actions: what is under way, and all that ever happened."""

    compiled: workflows_pb2.CompiledWorkflow
    limit: int
    now_us: int = 1_000_000
    journal: list[events_pb2.Event] = field(default_factory=list)
    checks: set[int] = field(default_factory=set)
    attempts: dict[tuple[int, int], str] = field(default_factory=dict)  # asked, running, stopping
    ended: set[tuple[int, int]] = field(default_factory=set)
    timers: dict[tuple[int, int, int], int] = field(default_factory=dict)
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
        for node, stage in enumerate(before):
            if stage >= stages.SUCCEEDED:
                assert self.state.stages[node] == stage, "an ended node changed"
        for action in actions:
            assert not (isinstance(action, engine.FinishExecution) and self.finished), "it finished twice"
            self.perform(action)
            self.finished += isinstance(action, engine.FinishExecution)
        assert not self.limit or len(self.attempts) <= self.limit, "too many attempts under way"

    def perform(self, action: engine.Action) -> None:
        """Idempotent, as performers are."""
        match action:
            case engine.CheckCache(node):
                self.checks.add(node)
            case engine.StartAttempt(node, attempt):
                if (node, attempt) not in self.ended:
                    self.attempts.setdefault((node, attempt), "asked")
                for upstream in self.graph.workflow.nodes[node].after:
                    assert self.state.stages[self.graph.index[upstream]] == stages.SUCCEEDED
                engine.inputs(self.graph, self.state, node)
            case engine.StopAttempt(node, attempt):
                assert (node, attempt) not in self.ended, "what has ended is told to stop"
                self.attempts[node, attempt] = "stopping"
            case engine.SetTimer(node, attempt, timer, at_us):
                self.timers[node, attempt, timer] = at_us
            case engine.FinishExecution():
                assert not self.attempts, "it finished while an attempt was under way"

    def crash(self) -> None:
        """The propeller dies: what it waited for in memory is gone, attempts live on."""
        self.checks.clear()
        self.timers.clear()
        replayed = engine.State(self.graph)
        for event in self.journal:
            engine.step(self.graph, replayed, event)
        assert transcripts.known(replayed) == transcripts.known(self.state)
        self.state = replayed
        actions = engine.pending(self.graph, self.state)
        for action in actions:
            self.perform(action)
        asked = {
            (a.node, a.attempt) for a in actions if isinstance(a, engine.StartAttempt | engine.StopAttempt)
        }
        assert asked == set(self.attempts), "after a takeover other attempts are under way than before"

    def repeat(self, past: int) -> None:
        """An event comes again, late."""
        event = events_pb2.Event()
        event.CopyFrom(self.journal[past])
        length = len(self.journal)
        stages_before = bytes(self.state.stages)
        self.tell(event)
        assert bytes(self.state.stages) == stages_before
        assert len(self.journal) == length, "it was taken as news"

    def happen(self, draw: st.DrawFn) -> None:
        """One of the things that can happen next."""
        possible = [("check", node, 0, 0) for node in sorted(self.checks)]
        possible += [(kind, node, attempt, 0) for (node, attempt), kind in sorted(self.attempts.items())]
        possible += [("timer", node, attempt, timer) for node, attempt, timer in sorted(self.timers)]
        assert possible, "nothing is under way, and the execution has not ended"
        kind, node, attempt, timer = draw(st.sampled_from(possible))
        event = events_pb2.Event(schema=1)
        id_ = self.graph.ids[node]
        if kind == "check":
            self.checks.discard(node)
            hit = draw(st.booleans())
            event = transcripts.event(0, *(("hit", [id_, "5"]) if hit else ("miss", [id_, "absent"])))
        elif kind == "timer":
            self.now_us = max(self.now_us, self.timers.pop((node, attempt, timer)))
            event.timer_fired.node, event.timer_fired.attempt = id_, attempt
            event.timer_fired.timer = events_pb2.Timer.ValueType(timer)
        elif kind == "asked" and draw(st.booleans()):
            self.attempts[node, attempt] = "running"
            event = transcripts.event(0, "started", [id_, str(attempt)])
        else:
            outcomes = ["ok", "user", "system", "fatal"] + (["stopped"] if kind == "stopping" else [])
            outcome = draw(st.sampled_from(outcomes))
            del self.attempts[node, attempt]
            self.ended.add((node, attempt))
            if outcome == "ok":
                event = transcripts.event(0, "ok", [id_, str(attempt), "6"])
            elif outcome == "stopped":
                event = transcripts.event(0, "stopped", [id_, str(attempt)])
            else:
                event = transcripts.event(0, "failed", [id_, str(attempt), "Broken", outcome])
        self.now_us += draw(st.integers(0, 2_000_000))
        self.tell(event)


DISTURBANCES = st.lists(st.sampled_from(["repeat", "crash"]), max_size=1)


@settings(max_examples=100)
@given(st.data(), workflows(), st.integers(0, 3), st.integers(0, 40))
def test_e3_whatever_happens_an_execution_ends_once_and_in_one_state(data, compiled, limit, aborted_after):
    world = World(compiled, limit)
    world.tell(transcripts.event(0, "start", [f"max={limit}"]))
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


def check_the_end(world: World) -> None:
    graph, state = world.graph, world.state
    status = engine.execution_status(graph, state)
    nodes = [engine.node_execution(graph, state, node) for node in range(len(graph))]
    phases = [node.phase for node in nodes]
    assert set(phases) <= ENDED
    failed = [
        node for node in nodes if node.phase in (executions_pb2.PHASE_FAILED, executions_pb2.PHASE_TIMED_OUT)
    ]
    match status.phase:
        case executions_pb2.PHASE_SUCCEEDED:
            assert all(phase == executions_pb2.PHASE_SUCCEEDED for phase in phases)
            assert not status.HasField("error")
        case executions_pb2.PHASE_FAILED | executions_pb2.PHASE_TIMED_OUT as phase:
            assert any((status.error, phase) == (node.error, node.phase) for node in failed)
        case executions_pb2.PHASE_ABORTED:
            assert status.error.code == "Aborted"
        case other:
            raise AssertionError(executions_pb2.Phase.Name(other))
    for node in nodes:
        assert node.ended_at_us <= status.ended_at_us
        assert node.HasField("outputs") == (node.phase == executions_pb2.PHASE_SUCCEEDED)
        assert (node.cache == catalog_pb2.CACHE_STATUS_HIT) == (
            node.phase == executions_pb2.PHASE_SUCCEEDED and node.attempts == 0
        )
        budget = graph.options[graph.index[node.id]].retry.retries + task_options.SYSTEM_RETRIES
        assert node.attempts <= 1 + budget
    if graph.fail_fast:
        assert len(failed) <= 1
    left_over = [state.timers, state.stops, state.ready, state.in_flight, state.open]
    assert not any(left_over)
    world.crash()
    assert engine.pending(graph, world.state) == [engine.FinishExecution()]
    assert engine.execution_status(graph, world.state) == status
    assert [engine.node_execution(graph, world.state, node) for node in range(len(graph))] == nodes


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
