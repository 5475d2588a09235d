"""A plan, played: propellers on machines, an admin, and what befalls them, in virtual time."""

import contextlib
import logging
import random
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typedflow_propeller import backoff, lease, propeller, steps

from tests.simulation import admin, graphs, machines, monitor, virtual_time, wires
from typedflow.dataplane import objects
from typedflow.pb import attempt_pb2, events_pb2, literals_pb2, workflows_pb2

Plan = dict[str, Any]
_START_US = 1_700_000_000_000_000
LONGEST_S = 3_600.0  # after the last fault, everything has ended by then


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a plan."""

    violations: Sequence[str]
    journals: Sequence[str]
    steps: int
    seconds: float
    phases: Mapping[str, str]
    happened: Mapping[str, int]


class Home:
    """A machine, and the propeller that is started on it again and again."""

    def __init__(self, world: "World", number: int) -> None:
        self.world = world
        self.machine = machines.Machine(world, f"m{number}")
        self.process = virtual_time.Process(f"p{number}")
        self.process.alive = False
        self.clock_us = 0  # how wrong its clock goes
        self.passed: Counter[str] = Counter()
        self._number = number
        self._lives = 0
        self._task: Any = None

    def start(self) -> None:
        """A new process of the propeller, unless there is one."""
        if self.process.alive:
            return
        self._lives += 1
        self.process = virtual_time.Process(f"p{self._number}.{self._lives}")
        self._task = self.world.loop.spawn(self.process, self._run())
        self._task.add_done_callback(self._ended, context=self.world.loop.inside(self.process))

    def kill(self, away_s: float) -> None:
        """It is gone at once, and comes back later."""
        self.process.kill()
        self.world.loop.call_later(away_s, self.start, context=self.world.nobody)

    def stop(self, away_s: float) -> None:
        """Ctrl-C: it says goodbye."""
        if not self.process.alive or self._task.done():
            return
        process = self.process
        self._task.cancel()

        def gone() -> None:
            process.kill()
            self.start()

        self.world.loop.call_later(10.0 + away_s, gone, context=self.world.nobody)

    def power_off(self, away_s: float, *, wiped: bool, renamed: bool) -> None:
        self.machine.power_off(wiped=wiped, renamed=renamed)
        self.kill(away_s)

    async def _run(self) -> None:
        client = wires.AdminClient(self.world, self.machine.link)
        runs = machines.Executor(self.machine, client)
        made = propeller.Propeller(
            client,  # type: ignore[arg-type]
            runs,  # type: ignore[arg-type]
            store_url=self.world.store_url,
            now_us=self._now_us,
        )
        made.id = self.process.name
        await made.run()

    def _ended(self, task: Any) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.world.monitor.note(f"propeller {self.process.name} ended with {task.exception()!r}")

    def _now_us(self) -> int:
        return self.world.now_us() + self.clock_us


class World:
    """See the module."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(plan["seed"])
        self.loop = virtual_time.VirtualLoop(self.chance, shuffled=plan["shuffled"])
        self.lease_s: float = plan["lease_s"]
        self.secret = admin.SECRET
        self.store_url = "file:///nonexistent/simulation"
        self.nobody = self.loop.inside(virtual_time.Process("world"))
        self.workflows: list[graphs.Workflow] = plan["workflows"]
        self.compiler = graphs.Compiler(self.workflows)
        self.monitor = monitor.Monitor(self)
        self.admin = admin.Admin(self)
        self.homes = [Home(self, number) for number in range(plan["propellers"])]
        self.happened: Counter[str] = Counter()
        self._faults_end = max([0.0, *(fault["at"] + fault.get("for", 0.0) for fault in plan["faults"])])
        self._windows: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.aborted: set[str] = set()
        self._not_launched = len(plan["executions"])

    def play(self) -> Result:
        """Until everything has ended, or something must not have happened."""
        loop, nobody = self.loop, self.nobody
        with _in_world(self):
            for home in self.homes:
                loop.call_later(self.chance.random() * 0.1, home.start, context=nobody)
            for execution in self.plan["executions"]:
                loop.call_later(execution["at"], self._launch, execution, context=nobody)
            for fault in self.plan["faults"]:
                self._arrange(fault)
            try:
                ended = loop.run_until(self._is_over, self._faults_end + LONGEST_S)
                if not ended:
                    self._note_unended()
            except virtual_time.Stuck:
                self.monitor.note("too much happens: something goes round in circles")
            finally:
                loop.close()
            for trouble in loop.trouble:
                self.monitor.note(trouble)
        phases = {
            row.id: monitor.phase_name(row.status.phase) if row.status else "-"
            for row in self.admin.rows.values()
        }
        return Result(
            self.monitor.violations,
            [_told(row) for row in self.admin.rows.values()],
            self.monitor.steps,
            loop.time(),
            phases,
            self.happened,
        )

    # What the models ask.

    def now_us(self) -> int:
        return _START_US + round(self.loop.time() * 1e6)

    def current_process(self) -> virtual_time.Process:
        process = virtual_time.current()
        assert process is not None
        return process

    def latency(self) -> float:
        mean: float = self.plan["latency_s"]
        drawn = self.chance.expovariate(1.0 / mean)
        return drawn * 200.0 if self.chance.random() < self.plan["late"] else drawn

    def store_delay(self) -> float:
        slow = self._is_in("slow_store")
        return self.chance.expovariate(0.2 if slow else 1_000.0)

    def is_lost(self) -> bool:
        """A message, or the answer to one."""
        return self.loop.time() < self._faults_end and self.chance.random() < float(self.plan["loss"])

    def is_store_full(self) -> bool:
        return self._is_in("store_full")

    def is_disk_full(self) -> bool:
        return self._is_in("disk_full")

    def plan_caps(self) -> list[int]:
        """Of the launch plan of each workflow."""
        return [workflow.get("cap", 0) for workflow in self.workflows]

    def expand(self, spec: attempt_pb2.AttemptSpec) -> workflows_pb2.WorkflowTemplate:
        """The graph that a dynamic task gives."""
        node = self._node(spec.id)
        values = [graphs.plain(each.value) for each in spec.inputs.values]
        chosen = graphs.function(spec.task, spec.manifest.code, values) % len(node["graphs"])
        return self.compiler.expansion(node["graphs"][chosen])

    def _node(self, id_: attempt_pb2.AttemptId) -> graphs.Node:
        return graphs.find(self.workflows[self.admin.rows[id_.execution_id].workflow], id_.node)

    def behaviour(self, spec: attempt_pb2.AttemptSpec) -> tuple[str, float]:
        """What an attempt does, and after how long."""
        id_ = spec.id
        node = self._node(id_)
        slot = id_.node.rpartition("[")[2].removesuffix("]") if id_.node.endswith("]") else ""
        fails = node.get("fails_at", {}).get(slot, ()) if slot else node.get("fails", ())
        behaviour = fails[id_.attempt - 1] if id_.attempt <= len(fails) else "ok"
        share = zlib.crc32(f"{id_.execution_id}/{id_.node}/{id_.attempt}".encode()) / 2**32
        return behaviour, node.get("takes", 0.1) * (0.5 + share)

    def passes(self, point: str, process: virtual_time.Process | None = None) -> None:
        """A propeller comes to a point at which faults of the plan may wait for it."""
        process = process or self.current_process()
        for number, home in enumerate(self.homes):
            if home.process is process:
                home.passed[point] += 1
                for fault in self.plan["faults"]:
                    if (
                        fault["kind"] == "kill_at"
                        and fault["propeller"] == number
                        and fault["point"] == point
                        and fault["nth"] == home.passed[point]
                    ):
                        self.happened["kill_at"] += 1
                        home.kill(fault["for"])

    # What befalls them.

    def _arrange(self, fault: Mapping[str, Any]) -> None:
        kind = fault["kind"]
        if kind in ("slow_store", "store_full", "disk_full"):
            self._windows[kind].append((fault["at"], fault["at"] + fault["for"]))
        elif kind != "kill_at":
            self.loop.call_at(fault["at"], self._befall, fault, context=self.nobody)

    def _befall(self, fault: Mapping[str, Any]) -> None:
        self.happened[fault["kind"]] += 1
        away_s = fault.get("for", 0.0)
        match fault["kind"]:
            case "kill":
                process = self.homes[fault["propeller"]].process
                process.callbacks_left = fault["after"]
                self.loop.call_later(
                    away_s, self._revive, self.homes[fault["propeller"]], process, context=self.nobody
                )
            case "stop":
                self.homes[fault["propeller"]].stop(away_s)
            case "power":
                self.homes[fault["propeller"]].power_off(
                    away_s, wiped=fault["wiped"], renamed=fault["renamed"]
                )
            case "pause":
                self.homes[fault["propeller"]].process.paused_until = self.loop.time() + away_s
            case "cut":
                self.homes[fault["propeller"]].machine.link.cut_until = self.loop.time() + away_s
            case "break":
                name = self.homes[fault["propeller"]].process.name
                session = self.admin.sessions.get(name)
                if session is not None:
                    session.connection.break_off()
            case "clock":
                self.homes[fault["propeller"]].clock_us += round(fault["by"] * 1e6)
            case "admin":
                if self.admin.is_up:
                    self.admin.stop()
                    self.loop.call_later(away_s, self.admin.start, context=self.nobody)
            case "repeat":
                self._repeat()
            case kind:
                raise AssertionError(kind)

    def _revive(self, home: Home, process: virtual_time.Process) -> None:
        process.kill()
        home.start()

    def _repeat(self) -> None:
        """What was sent of inboxes is sent again, to whoever has a stream."""
        for session in self.admin.sessions.values():
            session.repeat()

    def _launch(self, execution: Mapping[str, Any]) -> None:
        before = self.admin.rows.get(execution.get("recover", ""))
        if "recover" in execution and (before is None or not before.ended):
            self.loop.call_later(1.0, self._launch, execution, context=self.nobody)
            return
        self._not_launched -= 1
        place = execution["workflow"]
        inputs = literals_pb2.LiteralMap()
        inputs.values.add(name="x", value=graphs.literal(execution["x"]))
        started = events_pb2.ExecutionStarted(
            inputs=inputs,
            max_parallelism=execution.get("max", 0),
            overwrite_cache=execution.get("overwrite", ()),
            recover_from=execution.get("recover", ""),
            rerun=execution.get("rerun", ()),
            capped=self.admin.places.is_capped(place),
        )
        if before is not None:
            started.signals.extend(_signals(before))
        row = self.admin.new_row(execution["id"], place, started)
        self.admin.create(row)
        for abort_at in execution.get("aborts", ()):
            self.loop.call_later(abort_at, self.admin.abort, row.id, "me", "enough", context=self.nobody)
        for signal in execution.get("signals", ()):
            self.loop.call_later(signal["at"], self._signal, row.id, signal, context=self.nobody)

    def _signal(self, execution_id: str, signal: Mapping[str, Any]) -> None:
        said = events_pb2.SignalReceived(node=signal["node"], principal="me")
        if isinstance(signal["says"], bool):
            said.approved = signal["says"]
        else:
            said.value.CopyFrom(graphs.literal(signal["says"]))
        self.admin.post(execution_id, events_pb2.Event(signal_received=said))

    # The end.

    def _is_over(self) -> bool:
        if self.monitor.violations or self.loop.trouble:
            return True
        return not self._not_launched and all(row.ended for row in self.admin.rows.values())

    def _is_in(self, kind: str) -> bool:
        now = self.loop.time()
        return any(begin <= now < end for begin, end in self._windows[kind])

    def _note_unended(self) -> None:
        for row in self.admin.rows.values():
            if not row.ended:
                waiting = {
                    node.id: f"{monitor.phase_name(node.phase)} {node.note}".rstrip()
                    for node in row.nodes.values()
                    if node.phase not in monitor.FINAL
                }
                self.monitor.note(f"{row.id} never ends: {waiting}, held by {row.holder or 'nobody'}")


class _Chance:
    """Stands where a module has `random`, with what comes from the plan's seed."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.uniform = chance.uniform

    def Random(self, seed: object = None) -> random.Random:  # noqa: N802 - as the module has it
        return random.Random(self._chance.random() if seed is None else str(seed))


class _Errors(logging.Handler):
    """What is logged as an error is a finding."""

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        reason = repr(record.exc_info[1]) if record.exc_info else ""
        self._world.monitor.note(f"logged: {record.getMessage()} {reason}")


@contextlib.contextmanager
def _in_world(world: World) -> Iterator[None]:
    """The propeller's modules, with the world's time and chance."""
    logger = logging.getLogger("typedflow_propeller")
    handler, level = _Errors(world), logger.level
    real_lease, real_store = lease.Lease, objects.open_store
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    logger.propagate, propagated = False, logger.propagate
    vars(backoff)["random"] = _Chance(world.chance)
    most = steps.COMMIT_BYTES
    vars(steps)["COMMIT_BYTES"] = world.plan.get("commit_bytes") or most
    lease.Lease = lambda: real_lease(world.loop.time)  # type: ignore[assignment,misc]
    objects.open_store = lambda *_: _NoStore()  # type: ignore[assignment]
    try:
        yield
    finally:
        vars(backoff)["random"] = random
        vars(steps)["COMMIT_BYTES"] = most
        lease.Lease, objects.open_store = real_lease, real_store  # type: ignore[misc]
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagated


class _NoStore:
    """Values are small: nobody needs the store."""


def _signals(row: admin.Row) -> list[events_pb2.SignalReceived]:
    """What the gates of an execution were told."""
    said: list[events_pb2.SignalReceived] = []
    for stored in row.journal:
        event = events_pb2.Event.FromString(stored)
        if event.HasField("execution_started"):
            said.extend(event.execution_started.signals)
        elif event.HasField("signal_received"):
            said.append(event.signal_received)
    return said


def _told(row: admin.Row) -> str:
    """An execution's journal, for people."""
    lines = [f"execution {row.id} of w{row.workflow}"]
    for event in row.journal:
        told = events_pb2.Event.FromString(event)
        kind = told.WhichOneof("kind") or ""
        what = " ".join(str(getattr(told, kind)).split())
        lines.append(f"  {(told.time_us - _START_US) / 1e6:9.3f} {kind} {what[:160]}")
    return "\n".join(lines)
