"""Random plans: workflows, launches and faults as plain JSON, so that one can be kept, cut down and played again."""

import random
from typing import Any

from tests.simulation import graphs
from tests.simulation.world import Plan

MOST_NODES = 12
HOOKS = ("commit_sent", "commit_applied", "started", "stopped")


def draw(seed: int) -> Plan:
    """The plan of a seed."""
    chance = random.Random(seed)
    workflows = _Workflows(chance).draw()
    executions = []
    for number in range(chance.choice((1, 1, 2, 2, 3))):
        executions.append(_execution(chance, workflows, f"e{number}"))
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
        "workflows": workflows,
        "executions": executions,
        "faults": [_fault(chance, propellers, lease_s) for _ in range(chance.choice((0, 1, 2, 3, 4, 6)))],
    }


def _execution(chance: random.Random, workflows: list[graphs.Workflow], id_: str) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": id_,
        "workflow": chance.randrange(len(workflows)),
        "at": round(chance.random() * 4, 3),
        "x": chance.randrange(3),
    }
    if chance.random() < 0.3:
        made["max"] = chance.choice((1, 2, 3))
    if chance.random() < 0.15:
        names = [node["id"] for node in graphs.nodes_of(workflows[made["workflow"]])]
        made["overwrite"] = chance.choice((["*"], [chance.choice(names)]))
    if chance.random() < 0.2:
        made["aborts"] = [round(chance.random() * 5, 3) for _ in range(chance.choice((1, 1, 2)))]
    return made


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
            made |= {"propeller": one, "point": chance.choice(HOOKS), "nth": chance.randint(1, 8), "for": away}
        case "stop" | "pause" | "cut":
            made |= {"propeller": one, "for": away}
        case "power":
            # A machine that keeps its name when its folders are lost is more than can be survived today.
            wiped = chance.random() < 0.6
            made |= {"propeller": one, "for": away, "wiped": wiped, "renamed": wiped}
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
    """Draws the workflows of a plan."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._left = MOST_NODES

    def draw(self) -> list[graphs.Workflow]:
        return [self._workflow()]

    def _workflow(self) -> graphs.Workflow:
        chance = self._chance
        count = min(chance.choice((1, 2, 3, 4, 5, 6, 8, 12)), self._left)
        nodes: list[graphs.Node] = []
        known: dict[str, str] = {}
        for number in range(count):
            node = self._task(f"n{number}", known)
            nodes.append(node)
            known[node["id"]] = graphs.gives(node)
        made: graphs.Workflow = {"nodes": nodes, "out": self._source(known, "i")}
        if chance.random() < 0.4:
            made["policy"] = "after"
        return made

    def _task(self, id_: str, known: dict[str, str]) -> graphs.Node:
        chance = self._chance
        made: graphs.Node = {
            "id": id_,
            "kind": "task",
            "task": chance.randrange(3),
            "gives": chance.choice("iiil"),
            "in": [self._source(known, chance.choice("iiil")) for _ in range(chance.choice((0, 1, 1, 1, 2)))],
            "takes": round(10 ** chance.uniform(-2.5, 0.7), 3),
        }
        self._terms(made)
        if known and chance.random() < 0.1:
            made["after"] = [chance.choice(list(known))]
        return made

    def _terms(self, made: graphs.Node) -> None:
        """Its options, and how often it fails."""
        chance = self._chance
        options: dict[str, Any] = {}
        if chance.random() < 0.4:
            options["cache"] = True
        if chance.random() < 0.3:
            options |= {"retries": chance.randint(1, 3), "backoff_ms": chance.choice((0, 100, 1_000)), "factor": 2.0}
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
