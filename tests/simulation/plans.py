"""Random plans: workflows, launches and faults as plain JSON, so that one can be kept, cut down and played again."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

from tests.simulation import graphs
from tests.simulation.world import Plan

MOST_NODES = 12
SIMPLE = ("task", "task", "task", "map", "sleep")
ALL = (
    "task",
    "task",
    "task",
    "task",
    "map",
    "map",
    "branch",
    "signal",
    "approval",
    "sleep",
    "child",
    "dynamic",
)
HOOKS = ("commit_sent", "commit_applied", "started", "admitted", "stopped", "asked")


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    workflows = _Workflows(chance).draw()
    executions: list[dict[str, Any]] = []
    for number in range(chance.choice((1, 1, 2, 2, 3))):
        executions.append(_execution(chance, workflows, f"e{number}", executions))
    propellers = chance.choice((1, 2, 2, 2, 3))
    lease_s = chance.choice((1.0, 2.0, 4.0))
    return {
        "seed": seed,
        "shuffled": chance.random() < 0.7,
        "propellers": propellers,
        "lease_s": lease_s,
        "latency_s": chance.choice((0.001, 0.005, 0.03)),
        "late": chance.choice((0.0, 0.0, 0.02)),
        "loss": chance.choice((0.0, 0.0, 0.03, 0.1)),
        "commit_bytes": chance.choice((0, 0, 0, 1_500)),  # what is too large for one commit goes in parts
        "workflows": workflows,
        "project_cap": chance.choice((0, 0, 0, 0, 1, 3)),
        "executions": executions,
        "faults": [_fault(chance, propellers, lease_s) for _ in range(chance.choice((0, 1, 2, 3, 4, 6)))],
    }


def _execution(
    chance: random.Random, workflows: list[graphs.Workflow], id_: str, earlier: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": id_,
        "workflow": 0,
        "at": round(chance.random() * 4, 3),
        "x": chance.randrange(3),
    }
    nodes = list(graphs.nodes_of(workflows[0]))
    names = [node["id"] for node in nodes]
    if chance.random() < 0.3:
        made["max"] = chance.choice((1, 2, 3))
    if chance.random() < 0.15:
        made["overwrite"] = chance.choice((["*"], [chance.choice(names)]))
    if chance.random() < 0.2:
        made["aborts"] = [round(chance.random() * 5, 3) for _ in range(chance.choice((1, 1, 2)))]
    if earlier and chance.random() < 0.4:
        made["recover"] = chance.choice(earlier)["id"]
        if chance.random() < 0.3:
            made["rerun"] = [chance.choice(names)]
    made["signals"] = [signal for node in nodes for signal in _signals(chance, node)]
    return made


def _signals(chance: random.Random, node: graphs.Node) -> list[dict[str, Any]]:
    """What is said to a gate: early, late, again; never nothing, unless it waits for so long only."""
    if node["kind"] not in ("signal", "approval") or ("timeout_ms" in node and chance.random() < 0.3):
        return []
    said = []
    for _ in range(chance.choice((1, 1, 2, 3))):
        says = chance.random() < 0.8 if node["kind"] == "approval" else chance.randrange(graphs.LARGEST)
        said.append({"node": node["id"], "at": round(chance.random() * 6, 3), "says": says})
    return said


def _fault(chance: random.Random, propellers: int, lease_s: float) -> dict[str, Any]:
    at = round(chance.random() * 6, 3)
    away = round(chance.choice((0.05, 1.0, 4.0, 2 * lease_s)) * (0.5 + chance.random()), 3)
    one = chance.randrange(propellers)
    kinds = (
        ("kill", 4), ("kill_at", 6), ("stop", 1), ("power", 1), ("pause", 3), ("cut", 3), ("break", 3), ("clock", 1),
        ("admin", 2), ("repeat", 2), ("slow_store", 2), ("store_full", 1), ("disk_full", 1),
    )  # fmt: skip
    kind = chance.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
    made: dict[str, Any] = {"kind": kind, "at": at}
    match kind:
        case "kill":
            made |= {"propeller": one, "after": chance.randrange(60), "for": away}
        case "kill_at":
            made |= {
                "propeller": one,
                "point": chance.choice(HOOKS),
                "nth": chance.randint(1, 8),
                "for": away,
            }
        case "stop" | "pause" | "cut":
            made |= {"propeller": one, "for": away}
        case "power":
            wiped = chance.random() < 0.6  # and of those that are, some keep their executor's id
            made |= {"propeller": one, "for": away, "wiped": wiped, "renamed": chance.random() < 0.5}
        case "break":
            made |= {"propeller": one}
        case "clock":
            made |= {"propeller": one, "by": round(chance.choice((-1, 1)) * 10 ** chance.uniform(-1, 2.5), 3)}
        case "repeat":
            pass
        case _:
            made |= {"for": away}
    return made


class _Workflows:
    """Draws the workflows of a plan: the first is launched, the others by its nodes."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._left = MOST_NODES
        self._numbers = itertools.count()
        self._children: list[graphs.Workflow] = []

    def draw(self) -> list[graphs.Workflow]:
        chance = self._chance
        if chance.random() < 0.25:
            self._left -= 2
            self._children = [self._workflow(2, kinds=SIMPLE, may_fail=False)]
        kinds = chance.choice((("task",), ALL, ALL, ALL))
        main = self._workflow(chance.choice((1, 2, 3, 4, 5, 6, 8, 12)), kinds=kinds)
        for workflow in (main, *self._children):
            if chance.random() < 0.15:
                workflow["cap"] = chance.choice((1, 2))
        return [main, *self._children]

    def _workflow(self, count: int, *, kinds: Sequence[str], may_fail: bool = True) -> graphs.Workflow:
        chance = self._chance
        known: dict[str, str] = {}
        nodes = self._nodes(count, known, kinds)
        made: graphs.Workflow = {"nodes": nodes, "out": self._source(known, "i")}
        if chance.random() < 0.4:
            made["policy"] = "after"
        if may_fail and "branch" in kinds and self._left > 0 and chance.random() < 0.25:
            made["failure"] = self._nodes(1, {}, ("task",))
        return made

    def _nodes(self, count: int, known: dict[str, str], kinds: Sequence[str]) -> list[graphs.Node]:
        """Some nodes, one after the other; `known` are those that they may refer to, and learns of them."""
        nodes = []
        while count > 0 and self._left > 0:
            self._left -= 1
            count -= 1
            node = self._node(f"n{next(self._numbers)}", self._chance.choice(kinds), known)
            if known and self._chance.random() < 0.1:
                node["after"] = [self._chance.choice(list(known))]
            nodes.append(node)
            known[node["id"]] = graphs.gives(node)
        return nodes

    def _node(self, id_: str, kind: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        lists = [name for name, letter in known.items() if letter == "l"]
        lacks = {"map": not lists, "child": not self._children, "dynamic": not self._left}
        if lacks.get(kind):
            kind = "task"
        match kind:
            case "map":
                return self._map(id_, chance.choice(lists), known)
            case "branch":
                return self._branch(id_, known)
            case "signal" | "approval":
                made: graphs.Node = {"id": id_, "kind": kind}
                if kind == "approval":
                    made["in"] = [self._source(known, "i")]
                if chance.random() < 0.4:
                    made["timeout_ms"] = round(chance.choice((500, 3_000)) * (0.5 + chance.random()))
                return made
            case "sleep":
                return {"id": id_, "kind": kind, "ms": round(10 ** chance.uniform(0, 3.5))}
            case "child":
                return {"id": id_, "kind": kind, "workflow": 1, "in": [self._source(known, "i")]}
            case "dynamic":
                return self._dynamic(id_, known)
            case _:
                return self._task(id_, known)

    def _task(self, id_: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        letters = [chance.choice("iiil") for _ in range(chance.choice((0, 1, 1, 1, 2)))]
        partial = [name for name, letter in known.items() if letter == "m"]
        inputs = [self._source(known, letter) for letter in letters]
        if partial and chance.random() < 0.5:
            inputs.append(chance.choice(partial))
        made: graphs.Node = {
            "id": id_,
            "kind": "task",
            "task": chance.randrange(3),
            "gives": chance.choice("iiil"),
            "in": inputs,
            "takes": round(10 ** chance.uniform(-2.5, 0.7), 3),
        }
        if chance.random() < 0.1:
            made["code"] = 1
        self._terms(made)
        return made

    def _map(self, id_: str, over: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        made: graphs.Node = {
            "id": id_,
            "kind": "map",
            "task": chance.randrange(3),
            "over": over,
            "in": [self._source(known, "i")] if chance.random() < 0.4 else [],
            "takes": round(10 ** chance.uniform(-2.5, 0.3), 3),
        }
        if chance.random() < 0.4:
            made["concurrency"] = chance.choice((1, 2))
        if chance.random() < 0.4:
            made["ratio"] = chance.choice((0.0, 0.5, 0.7))
        self._terms(made)
        fails = made.pop("fails", None)
        if fails:
            made["fails_at"] = {str(chance.randrange(3)): fails}
        return made

    def _branch(self, id_: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        cases: list[dict[str, Any]] = []
        for number in range(chance.choice((2, 2, 3))):
            inner = dict(known)
            case: dict[str, Any] = {}
            if number:
                left = self._source(known, "i")
                case["if"] = [left, chance.choice(list(graphs.OPERATORS)), chance.randrange(graphs.LARGEST)]
            if chance.random() < 0.1:
                case |= {"nodes": [], "fail": "it is not to be"}
            else:
                case["nodes"] = self._nodes(chance.choice((0, 1, 1, 2)), inner, (*SIMPLE, "branch"))
                case["out"] = self._source(inner, "i")
            cases.append(case)
        return {"id": id_, "kind": "branch", "cases": [*cases[1:], cases[0]]}

    def _dynamic(self, id_: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        inner: list[graphs.Workflow] = []
        for _ in range(min(chance.choice((1, 2)), self._left)):
            kinds = (*SIMPLE, "branch", "dynamic") if chance.random() < 0.3 else SIMPLE
            within: dict[str, str] = {}
            if inner and not self._left:
                break  # the graph before took them all
            nodes = _without_input(self._nodes(chance.choice((1, 2, 3)), within, kinds))
            out = _without_input(self._source(within, "i"))
            inner.append({"nodes": nodes, "out": out, "input": False})
        made: graphs.Node = {
            "id": id_,
            "kind": "dynamic",
            "task": next(self._numbers),  # its graphs are what it does
            "in": [self._source(known, "i")],
            "graphs": inner,
            "takes": round(10 ** chance.uniform(-2.5, 0.0), 3),
        }
        self._terms(made)
        return made

    def _terms(self, made: graphs.Node) -> None:
        """Its options, and how often it fails."""
        chance = self._chance
        options: dict[str, Any] = {}
        if chance.random() < 0.4:
            options["cache"] = True
            if chance.random() < 0.4:
                options["serialize"] = True
            if chance.random() < 0.1:
                options["max_age_ms"] = 1_000
        if chance.random() < 0.3:
            pause = chance.choice((0, 100, 1_000))
            options |= {"retries": chance.randint(1, 3), "backoff_ms": pause, "factor": 2.0}
        if chance.random() < 0.2:
            clock = chance.choice(("run_ms", "queued_ms", "deadline_ms"))
            options[clock] = round(chance.choice((200, 1_000, 4_000)) * (0.5 + chance.random()))
        fails = []
        while chance.random() < 0.15:
            fails.append(chance.choice(("user", "user", "system", "lost", "lost", "fatal")))
        if ("run_ms" in options or "deadline_ms" in options) and chance.random() < 0.3:
            fails.append("hang")
        if options:
            made["options"] = options
        if fails:
            made["fails"] = fails

    def _source(self, known: dict[str, str], letter: str) -> Any:
        """Something of that type: an int may be an element of a list."""
        chance = self._chance
        of_type = [name for name, each in known.items() if each == letter]
        if of_type and chance.random() < 0.85:
            return chance.choice(of_type)
        lists = [name for name, each in known.items() if each == "l"]
        if lists and chance.random() < 0.2:
            return [chance.choice(lists), chance.choice((0, -1))]
        return "x" if chance.random() < 0.8 else chance.randrange(3)


def _without_input(of: Any) -> Any:
    """The same with a number where the workflow's input is: a dynamic task's graph has none."""
    if of == "x":
        return 2
    if isinstance(of, list):
        return [_without_input(each) for each in of]
    if isinstance(of, dict):
        return {name: _without_input(each) for name, each in of.items()}
    return of
