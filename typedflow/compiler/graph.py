"""The order in which nodes can run, and what stands in its way. Knows nodes as integers and edges as lists of them.

Takes time linear in nodes and edges (times a logarithm when the author's order is not one in which they can run), and
no recursion, so that a chain may be as long as a workflow may be large.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class Order:
    """Every node that can run, in an order in which they can; and the cycles that keep the others from it.

    Each cycle is a way round: every node of it waits for the one before it, and the first for the last.
    `members` are all nodes that are in a cycle.
    """

    nodes: list[int]
    cycles: list[list[int]]
    members: frozenset[int]


def order(upstreams: Sequence[Sequence[int]]) -> Order:
    """The topological order, ties in the nodes' own; `upstreams[i]` are the nodes that node i waits for, each once."""
    if all(upstream < node for node, waited in enumerate(upstreams) for upstream in waited):
        return Order(list(range(len(upstreams))), [], frozenset())
    waiting = [len(waited) for waited in upstreams]
    downstreams = reverse(upstreams)
    ready = [node for node, count in enumerate(waiting) if not count]  # ascending, which is a heap
    nodes = []
    while ready:
        node = heapq.heappop(ready)
        nodes.append(node)
        for downstream in downstreams[node]:
            waiting[downstream] -= 1
            if not waiting[downstream]:
                heapq.heappush(ready, downstream)
    if len(nodes) == len(upstreams):
        return Order(nodes, [], frozenset())
    left = [node for node, count in enumerate(waiting) if count]
    knots = [
        knot
        for knot in _components(upstreams, left, waiting)
        if len(knot) > 1 or knot[0] in upstreams[knot[0]]
    ]
    knots = sorted(sorted(knot) for knot in knots)
    return Order(
        nodes,
        [_way_round(knot, upstreams) for knot in knots],
        frozenset(node for knot in knots for node in knot),
    )


def reverse(upstreams: Sequence[Sequence[int]]) -> list[list[int]]:
    """Of each node, the nodes that wait for it, ascending."""
    downstreams: list[list[int]] = [[] for _ in upstreams]
    for node, waited in enumerate(upstreams):
        for upstream in waited:
            downstreams[upstream].append(node)
    return downstreams


def behind(start: Iterable[int], upstreams: Sequence[Sequence[int]]) -> set[int]:
    """All nodes that wait for one of these, directly or not; one of these itself only if it does too."""
    downstreams = reverse(upstreams)
    found: set[int] = set()
    todo = list(start)
    while todo:
        for downstream in downstreams[todo.pop()]:
            if downstream not in found:
                found.add(downstream)
                todo.append(downstream)
    return found


def _components(
    upstreams: Sequence[Sequence[int]], nodes: Iterable[int], waiting: Sequence[int]
) -> list[list[int]]:
    """The strongly connected components among the nodes that wait for ever (Tarjan's, with a stack of its own)."""
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    components = []
    for root in nodes:
        if root in number:
            continue
        number[root] = lowest[root] = len(number)
        stack.append(root)
        on_stack.add(root)
        path = [(root, iter(upstreams[root]))]
        while path:
            node, rest = path[-1]
            step = next((each for each in rest if waiting[each]), None)
            if step is None:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    place = _place(stack, node)
                    components.append(stack[place:])
                    on_stack.difference_update(stack[place:])
                    del stack[place:]
            elif step not in number:
                number[step] = lowest[step] = len(number)
                stack.append(step)
                on_stack.add(step)
                path.append((step, iter(upstreams[step])))
            elif step in on_stack:
                lowest[node] = min(lowest[node], number[step])
    return components


def _place(stack: Sequence[int], node: int) -> int:
    """Where it is, looked for from the end: what is after it leaves the stack with it."""
    place = len(stack) - 1
    while stack[place] != node:
        place -= 1
    return place


def _way_round(knot: Sequence[int], upstreams: Sequence[Sequence[int]]) -> list[int]:
    """A cycle in a component: from its first node always on to the first upstream in it, until one comes again."""
    inside = set(knot)
    seen: dict[int, int] = {}
    path: list[int] = []
    node = knot[0]
    while node not in seen:
        seen[node] = len(path)
        path.append(node)
        node = next(each for each in upstreams[node] if each in inside)
    cycle = path[seen[node] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
