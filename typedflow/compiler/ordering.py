"""The order of a workflow's nodes, with conditionals that come twice: where they are decided, and where they give.

What is in a case waits for the decision, and what takes a conditional's outputs for all that is in its cases. Nodes in
the order that comes out refer to earlier ones only, but for what a conditional's cases give.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.compiler import diagnostics, graph
from typedflow.compiler.promises import some_of
from typedflow.compiler.report import cut, listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from typedflow.compiler.report import Report
    from typedflow.compiler.sections import Sections
    from typedflow.pb.workflows_pb2 import Node


class Ordering:
    """Collects what each node waits for, and puts them in order.

    Vertices are numbers: first those at which conditionals give their outputs, then the nodes, conditionals at their
    decisions. So the outputs are given as soon as they can be, and other ties are in the author's order.
    """

    def __init__(self, nodes: Sequence[Node], sections: Sections, report: Report) -> None:
        self._nodes = nodes
        self._sections = sections
        self._report = report
        branches = [number for number, node in enumerate(nodes) if node.HasField("branch")]
        self._branches = branches
        self._gives = {number: vertex for vertex, number in enumerate(branches)}
        self._upstreams: list[list[int]] = [[] for _ in range(len(branches) + len(nodes))]
        self._dangling: list[int] = []

    def waits(self, number: int, upstreams: Iterable[int], dangling: bool) -> None:
        """Says what a node (a conditional's decision) waits for, and whether for something that there is not."""
        waited = [self._done(upstream) for upstream in upstreams]
        conditional = self._sections.conditional(number)
        if conditional is not None:
            waited.append(len(self._branches) + conditional)
        vertex = len(self._branches) + number
        self._upstreams[vertex] = waited
        if dangling:
            self._dangling.append(vertex)

    def gives(self, number: int, upstreams: Mapping[int, None], dangling: bool) -> None:
        """Says what a conditional's outputs wait for."""
        vertex = self._gives[number]
        members = self._sections.members.get(number, [])
        waited = dict.fromkeys(self._done(each) for each in (*upstreams, *members))
        waited[len(self._branches) + number] = None
        self._upstreams[vertex] = list(waited)
        if dangling:
            self._dangling.append(vertex)

    def nodes(self) -> list[int]:
        """The nodes in order, those that handle failures last; notes what keeps nodes from it."""
        order = graph.order(self._upstreams)
        self._check(order)
        numbers = [vertex - len(self._branches) for vertex in order.nodes if vertex >= len(self._branches)]
        handles = self._sections.handles_failure
        after = [number for number in numbers if handles(self._sections.of[number])]
        if not after:
            return numbers
        return [number for number in numbers if not handles(self._sections.of[number])] + after

    def _done(self, number: int) -> int:
        """The vertex after which a node's outputs are there."""
        return self._gives.get(number, len(self._branches) + number)

    def _node(self, vertex: int) -> int:
        count = len(self._branches)
        return vertex - count if vertex >= count else self._branches[vertex]

    def _check(self, order: graph.Order) -> None:
        told: set[frozenset[int]] = set()
        for (
            cycle
        ) in order.cycles:  # of conditionals inside each other, the decisions and the outputs each make one
            nodes = list(dict.fromkeys(map(self._node, cycle)))
            if frozenset(nodes) not in told:
                told.add(frozenset(nodes))
                self._cycle(nodes)
        self._check_entry()
        roots = {*order.members, *self._dangling}
        if not roots:
            return
        stuck = sorted(
            self._node(vertex)
            for vertex in graph.behind(roots, self._upstreams) - roots
            if vertex >= len(self._branches)
        )
        if not stuck:
            return
        names = [self._nodes[number].id for number in stuck]
        if not order.nodes:
            self._report.add(
                diagnostics.NO_ENTRY_NODE_FOUND,
                "no node can be the first: each waits for another",
                given=some_of(names),
                hint="take the edges out that make the cycles",
            )
            return
        waited = {
            self._node(upstream)
            for number in stuck
            for upstream in self._upstreams[len(self._branches) + number]
            if upstream in roots
        }
        shown = listed([self._nodes[number].id for number in sorted(waited)])
        self._report.add(
            diagnostics.UNREACHABLE_NODES,
            f"{'nodes' if len(names) > 1 else 'node'} {listed(names)} can never start",
            at=stuck[0],
            given=some_of(names),
            label=f"what comes before can never end: {shown}" if waited else "",
            hint="mend what is wrong there first",
        )

    def _check_entry(self) -> None:
        """Notes that everything runs after a failure, of which there can be none."""
        of, handles = self._sections.of, self._sections.handles_failure
        if of and all(map(handles, of)):
            self._report.add(
                diagnostics.NO_ENTRY_NODE_FOUND,
                "every node runs only when the execution has failed, and there is none that could fail",
                expected="at least one node that always runs",
            )

    def _cycle(self, cycle: Sequence[int]) -> None:
        first = cycle.index(min(cycle))
        cycle = [*cycle[first:], *cycle[:first]]
        names = [self._nodes[number].id for number in cycle]
        message = (
            f"nodes {listed(names)} wait for each other"
            if len(names) > 1
            else f"node {listed(names)} waits for itself"
        )
        way = " -> ".join(
            cut(name, 100) for name in [*names[:10], *(["..."] if len(names) > 10 else []), names[0]]
        )
        self._report.add(
            diagnostics.CYCLE_DETECTED,
            message,
            at=cycle[0],
            given=way,
            label=way,
            hint="take one of these edges out",
        )
