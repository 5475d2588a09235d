"""Transcripts of the engine: a workflow, then events, each followed by what the engine asks for and what changed.

    # What this is about.
    policy fail_after_running
    a <- x | cache retries=2 backoff=1s run=5s         a node, where its values come from, its options
    b <- a a[0] after:c                                (an index makes what `a` gives a list)
    m <- a* x | map concurrency=2 ratio=0.5            a map over the list that `a` gives
    if k: a == 3 & x > 1 -> c; not x == 1 -> 5; else fail no luck
    c <- x | in=k.0                                    a node of the conditional's first case
    s | signal timeout=5s                              gates: signal, approval, sleep=5s
    l <- x | launch                                    a launch plan's node
    d <- x | dynamic                                   its graph has the lines that begin with `graph NAME:`
    h <- error | on_failure                            what runs on failure
    graph g1: n | retries=1
    graph g1: output n
    output b                                           the workflow's output; none when left out

    > @0 start max=2 overwrite=a
      CheckCache a                                     actions
      a QUEUED                                         nodes that changed, as they are now
      execution RUNNING                                the execution, when it changed

A value is `5`, a list `5,6` (or `5,`); `stored:5` is one that is stored elsewhere, which `resolve` loads.
Lines that begin with two blanks are the answers. `python -m tests.scenarios.transcripts` writes them anew, to be read
in the diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from typedflow import engine, literal_types, literals
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
OPTIONALS = literal_types.list_of(literal_types.optional(INT))


class Transcript:
    """One file, replayed as far as its commands were told."""

    def __init__(self, lines: list[str]) -> None:
        graphs: dict[str, list[str]] = {}
        for line in lines:
            if line.startswith("graph "):
                name, _, rest = line.removeprefix("graph ").partition(": ")
                graphs.setdefault(name, []).append(rest)
        self.compiled = compile_lines([line for line in lines if not line.startswith("graph ")])
        self.graphs = {name: compile_lines(each, inner=True) for name, each in graphs.items()}
        self.graph = engine.Graph(self.compiled)
        self.state = engine.State(self.graph)
        self.journal: list[events_pb2.Event] = []

    def tell(self, command: str) -> list[str]:
        """Performs a command; its answer, line by line."""
        match command.split():
            case ["pending"]:
                return [self.action(each) for each in engine.pending(self.graph, self.state)]
            case ["inputs", node]:
                return [values(engine.inputs(self.graph, self.state, self.state.unit(node), load))]
            case [time, "resolve", *node]:
                unit = self.state.unit(node[0]) if node else engine.OUTPUTS
                answer = engine.resolve(self.graph, self.state, unit, load)
                told = events_pb2.Event(schema=1, time_us=microseconds(time.removeprefix("@")))
                told.node_resolved.CopyFrom(answer)
                return self.event(told)
            case [time, "expanded", node, attempt, graph]:
                told = events_pb2.Event(schema=1, time_us=microseconds(time.removeprefix("@")))
                told.attempt_expanded.node, told.attempt_expanded.attempt = node, int(attempt)
                told.attempt_expanded.graph.CopyFrom(self.graphs[graph])
                return self.event(told)
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
            case engine.SetTimer(node, attempt, timer, at_us):
                name = events_pb2.Timer.Name(timer).removeprefix("TIMER_")
                return f"SetTimer {self.state.path(node)} {attempt} {name} @{at_us / 1e6:g}"
            case engine.FinishExecution():
                return "FinishExecution"
            case _:
                parts = [type(action).__name__]
                parts += [self.state.path(action.node)] if action.node != engine.OUTPUTS else []
                parts += [
                    str(getattr(action, name)) for name in ("attempt", "reason") if hasattr(action, name)
                ]
                return " ".join(parts)

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
        parts += [f"[{each}]" for each in (is_.reason, is_.note, *details(is_)) if each]
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


def details(is_: executions_pb2.NodeExecution) -> Iterator[str]:
    """What only some kinds of nodes have."""
    if is_.HasField("case"):
        yield f"case {is_.case}"
    if is_.HasField("slots"):
        counts = ((field.name, number) for field, number in is_.slots.ListFields())
        yield "slots " + " ".join(f"{name}={number}" for name, number in counts)
    if is_.HasField("waiting"):
        until = is_.waiting.WhichOneof("until")
        numbers = {"approval": is_.waiting.approval.integer, "time_us": is_.waiting.time_us / 1e6}
        shown = numbers.get(until or "", 0)
        yield f"waits for {until} {shown:g}" if shown else f"waits for {until}"
    if is_.child_execution_id:
        yield f"child {is_.child_execution_id}"


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


def compile_lines(lines: list[str], *, inner: bool = False) -> workflows_pb2.CompiledWorkflow:
    """The workflow that a file begins with. Each node calls a task of its own."""
    compiled = workflows_pb2.CompiledWorkflow()
    workflow = compiled.workflow
    workflow.id.name = "w"
    if not inner:
        workflow.interface.inputs.add(name="x", type=INT)
    text = "\n".join(lines)
    lists = set(re.findall(r"(\w+)(?:\[|\*)", text)) | set(re.findall(r"(?m)^(\w+)[^|\n]*\| map", text))
    partial = re.findall(r"(?m)^(\w+)[^|\n]*\| map.* ratio=", text)
    for line in lines:
        match line.split():
            case [] | ["#", *_]:
                pass
            case ["policy", "fail_after_running"]:
                workflow.failure_policy = workflows_pb2.FAILURE_POLICY_FAIL_AFTER_RUNNING
            case ["output", source]:
                type_ = OPTIONALS if source in partial else INTS if source in lists else INT
                workflow.interface.outputs.add(name="o0", type=type_)
                bind(workflow.outputs.add(variable="o0").value, source)
            case ["if", *_]:
                add_conditional(compiled, line)
            case _:
                assert re.fullmatch(r"\w+( <-[^|]*)?( \|.*)?", line), f"not a part of a workflow: {line}"
                add_node(compiled, line, lists)
    return compiled


def add_conditional(compiled: workflows_pb2.CompiledWorkflow, line: str) -> None:
    name, _, cases = line.removeprefix("if ").partition(": ")
    name, _, options = name.partition(" ")
    node = compiled.workflow.nodes.add(id=name)
    section(node, options)
    node.branch.SetInParent()
    for each in cases.split("; "):
        case = node.branch.cases.add()
        condition, _, given = each.partition(" -> ")
        if not given:
            condition, _, case.fail = each.partition(" fail ")
        if condition != "else":
            parts = condition.split(" & ")
            made = [comparison(part) for part in parts]
            if len(made) == 1:
                case.condition.CopyFrom(made[0])
            else:
                case.condition.all.conditions.extend(made)
        if given and given != "nothing":
            if not node.branch.outputs:
                node.branch.outputs.add(name="o0", type=INT)
            bind(case.outputs.bindings.add(variable="o0").value, given)
        elif given:
            case.outputs.SetInParent()


def comparison(text: str) -> workflows_pb2.Condition:
    words = text.split()
    negated = words[0] == "not"
    left, sign, right = words[negated:]
    made = workflows_pb2.Condition()
    target = made.negated if negated else made
    target.comparison.operator = SIGNS[sign]
    bind(target.comparison.left, left)
    bind(target.comparison.right, right)
    return made


SIGNS = {
    "==": workflows_pb2.OPERATOR_EQUAL,
    "!=": workflows_pb2.OPERATOR_NOT_EQUAL,
    "<": workflows_pb2.OPERATOR_LESS,
    "<=": workflows_pb2.OPERATOR_LESS_OR_EQUAL,
    ">": workflows_pb2.OPERATOR_GREATER,
    ">=": workflows_pb2.OPERATOR_GREATER_OR_EQUAL,
}


def section(node: workflows_pb2.Node, options: str) -> None:
    for word in options.split():
        if word == "on_failure":
            node.section.failure.SetInParent()
        elif word.startswith("in="):
            branch, _, case = word.removeprefix("in=").partition(".")
            node.section.branch.node, node.section.branch.case = branch, int(case)


def add_node(compiled: workflows_pb2.CompiledWorkflow, line: str, lists: set[str]) -> None:
    wiring, _, options = line.partition(" |")
    name, *sources = wiring.replace(" <-", "").split()
    words = options.split()
    node = compiled.workflow.nodes.add(id=name)
    section(node, options)
    variables = []
    for source in sources:
        if source.startswith("after:"):
            node.after.append(source.removeprefix("after:"))
            continue
        variable = "value" if "approval" in words else f"i{len(node.inputs)}"
        if source == "error":
            variables.append((variable, literal_types.EXECUTION_ERROR))
            node.inputs.add(variable=variable).value.error.SetInParent()
            continue
        variables.append((variable, INTS if source in lists else INT))
        bind(node.inputs.add(variable=variable).value, source.removesuffix("*"))
    target(compiled, node, words, variables, name in lists)
    if node.HasField("map"):
        node.map.over.extend(v for (v, _), s in zip(variables, sources, strict=False) if s.endswith("*"))


def target(
    compiled: workflows_pb2.CompiledWorkflow,
    node: workflows_pb2.Node,
    words: list[str],
    variables: list[tuple[str, types_pb2.LiteralType]],
    gives_list: bool,
) -> None:
    """What a node is."""
    settings = dict(word.partition("=")[::2] for word in words)
    if "timeout" in settings:
        node.gate.timeout_ms = microseconds(settings["timeout"]) // 1_000
    if "signal" in settings:
        node.gate.signal.type.CopyFrom(INT)
    elif "approval" in settings:
        node.gate.approval.type.CopyFrom(INT)
    elif "sleep" in settings:
        node.gate.sleep.duration_ms = microseconds(settings["sleep"]) // 1_000
    elif "launch" in settings:
        node.launch_plan.launch_plan.name = f"plan_{node.id}"
        plan = compiled.launch_plans.add()
        plan.launch_plan.id.name = f"plan_{node.id}"
        for name, type_ in variables:
            plan.interface.inputs.add(name=name, type=type_)
        plan.interface.outputs.add(name="o0", type=INT)
    else:
        is_map = "map" in settings
        task = compiled.tasks.add(dynamic="dynamic" in settings)
        task.id.name = f"task_{node.id}"
        for name, type_ in variables:
            task.interface.inputs.add(name=name, type=INT if is_map else type_)
        task.interface.outputs.add(name="o0", type=INTS if gives_list and not is_map else INT)
        task.options.CopyFrom(parse_options(words))
        called = node.map if is_map else node.task
        called.task.name = task.id.name
        if is_map:
            node.map.concurrency = int(settings.get("concurrency", 0))
        if "ratio" in settings:
            node.map.min_success_ratio = float(settings["ratio"])


def bind(value: workflows_pb2.BindingValue, source: str) -> None:
    node, _, index = source.removesuffix("]").partition("[")
    if re.fullmatch(r"-?\d+", source):
        value.literal.integer = int(source)
        return
    if node == "x":
        value.promise.variable = "x"
    else:
        value.promise.node, value.promise.variable = node, "o0"
    if index:
        value.promise.path.add(index=int(index))


KINDS = ("map", "concurrency", "ratio", "dynamic", "in", "on_failure")


def parse_options(words: list[str]) -> TaskOptions:
    options = TaskOptions()
    for word in words:
        name, _, value = word.partition("=")
        match name:
            case "cache":
                options.cache.enabled = True
            case "serialize":
                options.cache.serialize = True
            case "retries":
                options.retry.retries = int(value)
            case "factor":
                options.retry.factor = float(value)
            case "backoff" | "cap":
                setattr(options.retry, f"{name}_ms", microseconds(value) // 1_000)
            case "run" | "queued" | "deadline":
                setattr(options.timeouts, f"{name}_ms", microseconds(value) // 1_000)
            case _:
                assert name in KINDS, f"no such option: {word}"
    return options


def event(time_us: int, kind: str, arguments: list[str]) -> events_pb2.Event:
    event = events_pb2.Event(schema=1, time_us=time_us)
    match kind, arguments:
        case "start", settings:
            start(event.execution_started, settings)
        case "hit", [node, value, *recovered]:
            event.cache_checked.recovered = bool(recovered)
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
            other(event, kind, arguments)
    return event


def other(event: events_pb2.Event, kind: str, arguments: list[str]) -> None:
    """What is not of an attempt."""
    match kind, arguments:
        case "granted", [node, attempt]:
            event.place_granted.node, event.place_granted.attempt = node, int(attempt)
        case "signal", [node, value]:
            event.signal_received.node = node
            event.signal_received.value.CopyFrom(literal(value))
        case "approve", [node, principal]:
            said = event.signal_received
            said.node, said.principal, said.approved = node, principal, True
        case "reject", [node, principal, *reason]:
            said = event.signal_received
            said.node, said.principal, said.approved, said.reason = node, principal, False, " ".join(reason)
        case "launched", [node, child]:
            event.child_launched.node, event.child_launched.execution_id = node, child
        case "child", [node, child, "ok", value]:
            event.child_ended.node, event.child_ended.execution_id = node, child
            event.child_ended.outputs.CopyFrom(literal_map("o0", value))
        case "child", [node, child, "failed", code]:
            ended = event.child_ended
            ended.node, ended.execution_id = node, child.removeprefix("none")
            ended.error.kind, ended.error.code = errors_pb2.ERROR_KIND_USER, code
            ended.error.message, ended.error.node = "it broke", "inner"
        case _:
            assert kind == "nothing", f"no such event: {kind} {arguments}"


def start(started: events_pb2.ExecutionStarted, settings: list[str]) -> None:
    started.inputs.CopyFrom(literal_map("x", "7"))
    for setting in settings:
        name, _, value = setting.partition("=")
        match name:
            case "max":
                started.max_parallelism = int(value)
            case "overwrite":
                started.overwrite_cache.extend(value.split(","))
            case "capped":
                started.capped = True
            case "recover":
                started.recover_from = value
            case "rerun":
                started.rerun.extend(value.split(","))
            case "signal":
                node, _, given = value.partition(":")
                said = started.signals.add(node=node)
                if given in ("yes", "no"):
                    said.approved = given == "yes"
                else:
                    said.value.CopyFrom(literal(given))
            case "x":
                started.inputs.CopyFrom(literal_map("x", value))
            case _:
                assert name == "without", f"no such setting: {setting}"
                started.inputs.Clear()


def literal_map(name: str, value: str) -> literals_pb2.LiteralMap:
    """As `literal`; `nothing` is an empty map."""
    result = literals_pb2.LiteralMap()
    if value != "nothing":
        result.values.add(name=name).value.CopyFrom(literal(value))
    return result


def literal(value: str) -> literals_pb2.Literal:
    """`5` is an int, `5,6` (or `5,`) a list of them, `,` the empty one, `stored:5` one that is stored elsewhere."""
    made = literals_pb2.Literal()
    if value.startswith("stored:"):
        made.offloaded.content = value.removeprefix("stored:")
    elif value == ",":
        made.list.CopyFrom(literals.empty())
    elif "," in value:
        made.list.integers.values.extend(int(each) for each in value.split(",") if each)
    else:
        made.integer = int(value)
    return made


def load(stored: literals_pb2.Literal) -> literals_pb2.Literal:
    return literal(stored.offloaded.content)


def values(values: literals_pb2.LiteralMap) -> str:
    return ", ".join(f"{each.name}={shown(each.value)}" for each in values.values) or "no values"


def shown(literal: literals_pb2.Literal) -> str:
    match literal.WhichOneof("value"):
        case "list":
            return "[" + ", ".join(shown(each) for each in literals.elements(literal.list)) + "]"
        case "union":
            return shown(literal.union.value)
        case "none":
            return "None"
        case "offloaded":
            return f"stored:{literal.offloaded.content}"
        case "record":
            return (
                "{" + ", ".join(f"{each.name}: {each.value.string}" for each in literal.record.fields) + "}"
            )
        case _:
            return str(literal.integer)


def microseconds(text: str) -> int:
    return round(float(text.removesuffix("s")) * 1_000_000)


def phase(phase: executions_pb2.Phase.ValueType) -> str:
    return executions_pb2.Phase.Name(phase).removeprefix("PHASE_")


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.txt")):
        path.write_text("\n".join(answers(path.read_text())) + "\n")
