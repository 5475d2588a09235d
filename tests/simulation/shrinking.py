"""Cuts a plan that fails down to what it takes: fewer launches, faults, nodes and terms, as long as it fails alike.

What is left out changes the order of all that comes after, so each smaller plan is tried with a few seeds.
"""

import copy
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.simulation import graphs
from tests.simulation.world import Plan, World

_OTHER_SEEDS = 6


def kind(violation: str) -> str:
    """What went wrong, whichever node it was and whenever."""
    return re.sub(r"\{.*?\}|\S*\d\S*|'[^']*'", "_", violation)


def fails_alike(plan: Plan, wanted: str) -> bool:
    """Whether the plan fails in this way."""
    return any(kind(each) == wanted for each in World(plan).play().violations)


def shrink(
    plan: Plan, violation: str, seconds: float = 60.0, fails: Callable[[Plan, str], bool] = fails_alike
) -> Plan:
    """The smallest plan that was found in the time."""
    wanted, end = kind(violation), time.monotonic() + seconds
    smaller = True
    while smaller:
        smaller = False
        for candidate in _candidates(plan):
            found = _still_failing(candidate, wanted, end, fails)
            if time.monotonic() > end:
                return plan
            if found is not None:
                plan, smaller = found, True
                break
    return plan


def _still_failing(plan: Plan, wanted: str, end: float, fails: Callable[[Plan, str], bool]) -> Plan | None:
    for more in range(_OTHER_SEEDS):
        if time.monotonic() > end:
            return None
        tried = plan | {"seed": plan["seed"] + 1_000_003 * more}
        try:
            if fails(tried, wanted):
                return tried
        except (AssertionError, KeyError):
            return None  # it is no plan any more
    return None


def _candidates(plan: Plan) -> Iterator[Plan]:
    """Smaller plans, those with most left out first."""
    for name in ("faults", "executions"):
        count = len(plan[name])
        size = count
        while size:
            for begin in range(0, count, size):
                kept = plan[name][:begin] + plan[name][begin + size :]
                if kept or name == "faults":
                    yield plan | {name: kept}
            size //= 2
    yield from _without_nodes(plan)
    for name, simplest in (
        ("loss", 0.0),
        ("late", 0.0),
        ("shuffled", False),
        ("latency_s", 0.001),
        ("commit_bytes", 0),
    ):
        if plan.get(name, simplest) != simplest:
            yield plan | {name: simplest}
    used = {fault.get("propeller", 0) for fault in plan["faults"]}
    if plan["propellers"] > max([0, *used]) + 1:
        yield plan | {"propellers": plan["propellers"] - 1}
    for place, execution in enumerate(plan["executions"]):
        for name in execution.keys() - {"id", "workflow", "at", "x"}:
            made = copy.deepcopy(plan)
            del made["executions"][place][name]
            yield made


def _without_nodes(plan: Plan) -> Iterator[Plan]:
    for place, workflow in enumerate(plan["workflows"]):
        for node in reversed(list(graphs.nodes_of(workflow))):
            made = copy.deepcopy(plan)
            made["workflows"][place] = _without(made["workflows"][place], node["id"])
            if made["workflows"][place]["nodes"]:
                yield made
    for place, workflow in enumerate(plan["workflows"]):
        for number, node in enumerate(graphs.nodes_of(workflow)):
            for name in ("options", "fails", "fails_at", "after", "concurrency", "ratio", "timeout_ms"):
                if name in node:
                    made = copy.deepcopy(plan)
                    del list(graphs.nodes_of(made["workflows"][place]))[number][name]
                    yield made


def _without(workflow: graphs.Workflow, id_: str) -> graphs.Workflow:
    """The workflow without a node and whatever can't be without it."""
    removal = _Removal(node for node in graphs.nodes_of(workflow) if node["id"] == id_)
    workflow["nodes"] = removal.kept(workflow["nodes"])
    if "failure" in workflow:
        workflow["failure"] = removal.kept(workflow["failure"])
    if removal.is_gone(workflow.get("out")):
        workflow["out"] = "x"
    return workflow


class _Removal:
    """Takes nodes out, with what is inside of them, and gives the others something else in their place."""

    def __init__(self, nodes: Iterable[graphs.Node]) -> None:
        self._gone = {inner["id"] for node in nodes for inner in graphs.nodes_of({"nodes": [node]})}

    def is_gone(self, source: Any) -> bool:
        return (source[0] if isinstance(source, list) else source) in self._gone

    def kept(self, nodes: list[graphs.Node]) -> list[graphs.Node]:
        left = []
        for node in nodes:
            if node["id"] in self._gone or ("over" in node and self.is_gone(node["over"])):
                self._gone.add(node["id"])
            else:
                self._rewire(node)
                left.append(node)
        return left

    def _rewire(self, node: graphs.Node) -> None:
        if "in" in node:
            only = node["kind"] in ("child", "approval")
            sources = ["x" if only and self.is_gone(each) else each for each in node["in"]]
            node["in"] = [each for each in sources if not self.is_gone(each)]
        if "after" in node:
            node["after"] = [each for each in node["after"] if each not in self._gone]
        for case in node.get("cases", ()):
            case["nodes"] = self.kept(case["nodes"])
            if "out" in case and self.is_gone(case["out"]):
                case["out"] = "x"
            if "if" in case:
                case["if"] = ["x" if self.is_gone(each) else each for each in case["if"]]
