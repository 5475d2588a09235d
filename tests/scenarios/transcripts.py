"""Transcripts of the engine: a workflow, then events, each followed by what the engine asks for and what changed.

    # What this is about.
    policy fail_after_running
    a <- x | cache retries=2 backoff=1s run=5s         a node, where its values come from, its options
    b <- a a[0] after:c                                (an index makes what `a` gives a list)
    output b                                           the workflow's output; none when left out

    > @0 start max=2 overwrite=a
      CheckCache a                                     actions
      a QUEUED                                         nodes that changed, as they are now
      execution RUNNING                                the execution, when it changed

Lines that begin with two blanks are the answers. `python -m tests.scenarios.transcripts` writes them anew, to be read
in the diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from typedflow import engine
from typedflow.pb import (
    catalog_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
    types_pb2,
    workflows_pb2,
)
from typedflow.pb.tasks_pb2 import TaskOptions

FOLDER = Path(__file__).parent / "engine"

INT = types_pb2.LiteralType(simple=types_pb2.SIMPLE_TYPE_INT)
INTS = types_pb2.LiteralType(list=types_pb2.ListType(element=INT))


class Transcript:
    """One file, replayed as far as its commands were told."""

    def __init__(self, lines: list[str]) -> None:
        self.compiled = compile_lines(lines)
        self.graph = engine.Graph(self.compiled)
        self.state = engine.State(self.graph)
        self.journal: list[events_pb2.Event] = []

    def tell(self, command: str) -> list[str]:
        """Performs a command; its answer, line by line."""
        match command.split():
            case ["pending"]:
                return [self.action(each) for each in engine.pending(self.graph, self.state)]
            case ["inputs", node]:
                return [values(engine.inputs(self.graph, self.state, self.graph.index[node]))]
            case ["crash"]:
                return self.crash()
            case [time, kind, *arguments]:
                return self.event(event(microseconds(time.removeprefix("@")), kind, arguments))
            case _:
                raise ValueError(f"no such command: {command}")

    def event(self, event: events_pb2.Event) -> list[str]:
        self.journal.append(event)
        answer = [self.action(each) for each in engine.step(self.graph, self.state, event)]
        changed = self.state.execution_changed
        answer += [self.node(node) for node in self.state.take_changed()]
        return answer + ([self.execution()] if changed else [])

    def crash(self) -> list[str]:
        """Forgets the state and makes it from the journal again."""
        self.state = engine.State(self.graph)
        for each in self.journal:
            engine.step(self.graph, self.state, each)
        self.state.take_changed()
        return [self.action(each) for each in engine.pending(self.graph, self.state)]

    def action(self, action: engine.Action) -> str:
        match action:
            case engine.CheckCache(node):
                return f"CheckCache {self.graph.ids[node]}"
            case engine.StartAttempt(node, attempt):
                return f"StartAttempt {self.graph.ids[node]} {attempt}"
            case engine.StopAttempt(node, attempt, reason):
                return f"StopAttempt {self.graph.ids[node]} {attempt} {reason}"
            case engine.SetTimer(node, attempt, timer, at_us):
                name = events_pb2.Timer.Name(timer).removeprefix("TIMER_")
                return f"SetTimer {self.graph.ids[node]} {attempt} {name} @{at_us / 1e6:g}"
            case engine.FinishExecution():
                return "FinishExecution"

    def node(self, node: int) -> str:
        is_ = engine.node_execution(self.graph, self.state, node)
        parts = [is_.id, phase(is_.phase)]
        if is_.attempts:
            parts.append(f"attempts={is_.attempts}")
        if is_.cache not in (catalog_pb2.CACHE_STATUS_UNSPECIFIED, catalog_pb2.CACHE_STATUS_DISABLED):
            parts.append(f"cache={catalog_pb2.CacheStatus.Name(is_.cache).removeprefix('CACHE_STATUS_')}")
        if is_.cache_reason:
            parts.append(f"({is_.cache_reason})")
        if is_.producer_node:
            producer = f"{is_.producer_execution_id}/{is_.producer_node}"
            parts.append(f"from {producer} saved {is_.saved.wall_seconds:g} s")
        parts += [f"[{each}]" for each in (is_.reason, is_.note) if each]
        if is_.HasField("error"):
            parts.append(f"{is_.error.code}: {is_.error.message}")
        if is_.HasField("outputs"):
            parts.append(values(is_.outputs))
        if is_.started_at_us or is_.ended_at_us:
            parts.append(f"{is_.started_at_us / 1e6:g}..{is_.ended_at_us / 1e6:g}")
        return " ".join(parts)

    def execution(self) -> str:
        is_ = engine.execution_status(self.graph, self.state)
        parts = ["execution", phase(is_.phase)]
        if is_.HasField("error"):
            parts.append(f"{is_.error.code} at `{is_.error.node}`: {is_.error.message}")
        if is_.HasField("outputs"):
            parts.append(values(is_.outputs))
        parts.append(f"{is_.started_at_us / 1e6:g}..{is_.ended_at_us / 1e6:g}")
        return " ".join(parts)


def answers(text: str) -> Iterator[str]:
    """The file's lines with the answers as they are now."""
    lines = [line for line in text.splitlines() if not line.startswith("  ")]
    first = next(i for i, line in enumerate(lines) if line.startswith("> "))
    yield from lines[:first]
    transcript = Transcript(lines[:first])
    for line in lines[first:]:
        yield line
        if line.startswith("> "):
            yield from (f"  {each}" for each in transcript.tell(line[2:]) or ["(nothing)"])


def known(state: engine.State) -> dict[str, object]:
    """All that a state holds, without what is only noted for whoever stores it."""
    return {name: value for name, value in vars(state).items() if not name.startswith("_")}


def commands(text: str) -> list[str]:
    """Of a file, without their answers."""
    return [line[2:] for line in text.splitlines() if line.startswith("> ")]


def definition(text: str) -> list[str]:
    """Of a file's workflow."""
    return text[: text.index("\n> ")].splitlines()


def compile_lines(lines: list[str]) -> workflows_pb2.CompiledWorkflow:
    """The workflow that a file begins with. Each node calls a task of its own."""
    compiled = workflows_pb2.CompiledWorkflow()
    workflow = compiled.workflow
    workflow.id.name = "w"
    workflow.interface.inputs.add(name="x", type=INT)
    lists = set(re.findall(r"(\w+)\[", "\n".join(lines)))
    for line in lines:
        match line.split():
            case [] | ["#", *_]:
                pass
            case ["policy", "fail_after_running"]:
                workflow.failure_policy = workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
            case ["output", source]:
                type_ = INTS if source in lists else INT
                workflow.interface.outputs.add(name="o0", type=type_)
                bind(workflow.outputs.add(variable="o0").value, source)
            case _:
                assert re.fullmatch(r"\w+( <-[^|]*)?( \|.*)?", line), f"not a part of a workflow: {line}"
                add_node(compiled, line, lists)
    return compiled


def add_node(compiled: workflows_pb2.CompiledWorkflow, line: str, lists: set[str]) -> None:
    wiring, _, options = line.partition(" |")
    name, *sources = wiring.replace(" <-", "").split()
    task = compiled.tasks.add()
    task.id.name = f"task_{name}"
    task.interface.outputs.add(name="o0", type=INTS if name in lists else INT)
    task.options.CopyFrom(parse_options(options.split()))
    node = compiled.workflow.nodes.add(id=name)
    node.task.task.name = task.id.name
    for source in sources:
        if source.startswith("after:"):
            node.after.append(source.removeprefix("after:"))
            continue
        variable = f"i{len(node.inputs)}"
        task.interface.inputs.add(name=variable, type=INTS if source in lists else INT)
        bind(node.inputs.add(variable=variable).value, source)


def bind(value: workflows_pb2.BindingValue, source: str) -> None:
    node, _, index = source.removesuffix("]").partition("[")
    if node == "x":
        value.promise.variable = "x"
    else:
        value.promise.node, value.promise.variable = node, "o0"
    if index:
        value.promise.path.add(index=int(index))


def parse_options(words: list[str]) -> TaskOptions:
    options = TaskOptions()
    for word in words:
        name, _, value = word.partition("=")
        match name:
            case "cache":
                options.cache.enabled = True
            case "retries":
                options.retry.retries = int(value)
            case "factor":
                options.retry.factor = float(value)
            case "backoff" | "cap":
                setattr(options.retry, f"{name}_ms", microseconds(value) // 1_000)
            case _:
                setattr(options.timeouts, f"{name}_ms", microseconds(value) // 1_000)
    return options


def event(time_us: int, kind: str, arguments: list[str]) -> events_pb2.Event:
    event = events_pb2.Event(schema=1, time_us=time_us)
    match kind, arguments:
        case "start", settings:
            start(event.execution_started, settings)
        case "hit", [node, value]:
            hit = event.cache_checked
            hit.node, hit.status, hit.saved.wall_seconds = node, catalog_pb2.CACHE_STATUS_HIT, 60
            hit.outputs.CopyFrom(literal_map("o0", value))
            hit.producer_execution_id, hit.producer_node, hit.producer_attempt = "earlier", node, 1
            hit.key = f"b3:{node}"
        case "miss", [node, reason]:
            miss = event.cache_checked
            miss.node, miss.status, miss.reason = node, catalog_pb2.CACHE_STATUS_MISS, reason
            miss.key = f"b3:{node}"
        case "started", [node, attempt, *note]:
            started = event.attempt_started
            started.node, started.attempt, started.note = node, int(attempt), " ".join(note)
        case "ok", [node, attempt, value, *cache]:
            succeeded = event.attempt_succeeded
            succeeded.node, succeeded.attempt = node, int(attempt)
            succeeded.outputs.CopyFrom(literal_map("o0", value))
            if cache:
                succeeded.cache = catalog_pb2.CacheStatus.Value(f"CACHE_STATUS_{cache[0]}")
                succeeded.cache_reason = " ".join(cache[1:])
        case "failed", [node, attempt, code, *flags]:
            failed = event.attempt_failed
            failed.node, failed.attempt = node, int(attempt)
            failed.error.kind = (
                errors_pb2.ERROR_KIND_SYSTEM if "system" in flags else errors_pb2.ERROR_KIND_USER
            )
            failed.error.code, failed.error.message = code, "it broke"
            failed.error.non_recoverable = "fatal" in flags
        case "stopped", [node, attempt]:
            event.attempt_stopped.node, event.attempt_stopped.attempt = node, int(attempt)
        case "fired", [node, attempt, timer]:
            fired = event.timer_fired
            fired.node, fired.attempt, fired.timer = (
                node,
                int(attempt),
                events_pb2.Timer.Value(f"TIMER_{timer}"),
            )
        case "abort", [principal, *reason]:
            event.abort_requested.principal, event.abort_requested.reason = principal, " ".join(reason)
        case _:
            assert kind == "nothing", f"no such event: {kind} {arguments}"
    return event


def start(started: events_pb2.ExecutionStarted, settings: list[str]) -> None:
    started.inputs.CopyFrom(literal_map("x", "7"))
    for setting in settings:
        name, _, value = setting.partition("=")
        match name:
            case "max":
                started.max_parallelism = int(value)
            case "overwrite":
                started.overwrite_cache.extend(value.split(","))
            case _:
                assert name == "without", f"no such setting: {setting}"
                started.inputs.Clear()


def literal_map(name: str, value: str) -> literals_pb2.LiteralMap:
    """`5` is an int, `5,6` (or `5,`) a list of them, `nothing` an empty map."""
    result = literals_pb2.LiteralMap()
    if value == "nothing":
        return result
    literal = result.values.add(name=name).value
    if "," in value:
        literal.list.integers.values.extend(int(each) for each in value.split(",") if each)
    else:
        literal.integer = int(value)
    return result


def values(values: literals_pb2.LiteralMap) -> str:
    def text(literal: literals_pb2.Literal) -> str:
        return str(list(literal.list.integers.values)) if literal.HasField("list") else str(literal.integer)

    return ", ".join(f"{each.name}={text(each.value)}" for each in values.values) or "no values"


def microseconds(text: str) -> int:
    return round(float(text.removesuffix("s")) * 1_000_000)


def phase(phase: executions_pb2.Phase.ValueType) -> str:
    return executions_pb2.Phase.Name(phase).removeprefix("PHASE_")


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.txt")):
        path.write_text("\n".join(answers(path.read_text())) + "\n")
