"""The parts of a graph that run only in some case, and which nodes can be seen from where.

Sections are a forest: what always runs and what runs after a failure are its two roots, and each case of a conditional
is a section inside that of the conditional's node. A node sees what is in its own section and in those around it. Takes
time linear in nodes, however deep conditionals are nested.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow.compiler import diagnostics
from typedflow.compiler.report import cut

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typedflow.compiler.report import Report
    from typedflow.pb.workflows_pb2 import Node, Section

ALWAYS: Final = 0
FAILURE: Final = 1
UNKNOWN: Final = -1
"""Of a node whose section is none, which is noted: everything can be seen from there, and it from everywhere."""


class Sections:
    """The sections of one workflow, as numbers.

    Attributes:
        of: of each node its section.
        members: of each conditional's node the nodes that are in its cases.
    """

    def __init__(self, nodes: Sequence[Node], index: Mapping[str, int], report: Report) -> None:
        self._nodes = nodes
        self._index = index
        self._report = report
        self._conditionals = [id_ for id_, number in index.items() if nodes[number].HasField("branch")]
        # Of each section that is a case: the conditional's node and the case.
        self._cases: list[tuple[int, int]] = [(UNKNOWN, 0), (UNKNOWN, 0)]
        self._numbers: dict[tuple[int, int], int] = {}
        self.members: dict[int, list[int]] = {}
        self.of = [self._section(number, node) for number, node in enumerate(nodes)]
        # Places in a walk over the forest: what is inside a section is between its begin and its end.
        self._begin, self._end = self._walk()

    def case(self, branch: int, case: int) -> int:
        """The section of a case; `UNKNOWN` when no node is in it."""
        return self._numbers.get((branch, case), UNKNOWN)

    def conditional(self, node: int) -> int | None:
        """The node of the conditional that a node is in a case of; None when it is in none."""
        section = self.of[node]
        return self._cases[section][0] if section > FAILURE else None

    def handles_failure(self, section: int) -> bool:
        """Whether what is there runs after a failure."""
        return self._known(section) and self._inside(section, FAILURE)

    def sees_error(self, section: int) -> bool:
        """Whether the error can be taken there; also where it is not known what is there."""
        return not self._known(section) or self._inside(section, FAILURE)

    def sees(self, section: int, node: int) -> bool:
        """Whether a node can be seen from a section."""
        of = self.of[node]
        return of == section or not (self._known(section) and self._known(of)) or self._inside(section, of)

    def why_not(self, section: int, node: int) -> tuple[str, str]:
        """The reason for a node that can't be seen from a section, and what to do."""
        id_ = cut(self._nodes[node].id, 100)
        handles = self.handles_failure(section)
        if handles and not self.handles_failure(self.of[node]):
            return (
                f"`{id_}` may not have run when the execution has failed",
                "what runs after a failure has the workflow's inputs and the error",
            )
        if not handles and self.handles_failure(self.of[node]):
            return (
                f"`{id_}` runs only when the execution has failed",
                "give it what it needs, and take nothing from it",
            )
        branch, case = self._cases[self.of[node]]
        name = cut(self._nodes[branch].id, 100)
        return (
            f"`{id_}` runs only in case {case + 1} of conditional `{name}`",
            f"take it from the output of conditional `{name}`, or move what needs it into the same case",
        )

    def _known(self, section: int) -> bool:
        return section != UNKNOWN and self._begin[section] >= 0

    def _inside(self, inner: int, outer: int) -> bool:
        return self._begin[outer] <= self._begin[inner] < self._end[outer]

    def _section(self, number: int, node: Node) -> int:
        if not node.HasField("section"):
            return ALWAYS
        match node.section.WhichOneof("section"):
            case "failure":
                return FAILURE
            case "branch":
                return self._of_case(number, node.id, node.section)
            case None:
                self._report.add(
                    diagnostics.INVALID_VALUE,
                    f"node `{cut(node.id, 100)}` is in a section that is none",
                    at=number,
                    expected="a case of a conditional, or what runs after a failure",
                    hint="leave the section out: the node always runs",
                )
                return UNKNOWN

    def _of_case(self, number: int, node: str, section: Section) -> int:
        branch = self._index.get(section.branch.node)
        if branch is None or not self._nodes[branch].HasField("branch"):
            what = "there is not" if branch is None else "is no conditional"
            self._report.add(
                diagnostics.NODE_REFERENCE_NOT_FOUND,
                f"node `{cut(node, 100)}` is in a case of `{cut(section.branch.node, 100)}`, which {what}",
                at=number,
                given=section.branch.node,
                hint=self._report.did_you_mean(section.branch.node, self._conditionals),
            )
            return UNKNOWN
        cases, case = self._nodes[branch].branch.cases, section.branch.case
        if case >= len(cases) or cases[case].WhichOneof("outcome") == "fail":
            self._no_case(number, node, section, len(cases))
            return UNKNOWN
        key = (branch, case)
        if key not in self._numbers:
            self._numbers[key] = len(self._cases)
            self._cases.append(key)
        self.members.setdefault(branch, []).append(number)
        return self._numbers[key]

    def _no_case(self, number: int, node: str, section: Section, count: int) -> None:
        of = f"case {section.branch.case + 1} of conditional `{cut(section.branch.node, 100)}`"
        if section.branch.case < count:
            self._report.add(
                diagnostics.UNREACHABLE_NODES,
                f"node `{cut(node, 100)}` can never start",
                at=number,
                label=f"{of} fails",
                hint="take the node out, or let the case give something",
            )
        else:
            self._report.add(
                diagnostics.INVALID_VALUE,
                f"node `{cut(node, 100)}` is in {of}, which there is not",
                at=number,
                expected=f"one of its {count} cases, counted from 0",
                given=str(section.branch.case),
            )

    def _walk(self) -> tuple[list[int], list[int]]:
        """Where each section begins and ends; -1 for those that are inside of each other, and in none."""
        inner: list[list[int]] = [[] for _ in self._cases]
        for section in range(FAILURE + 1, len(self._cases)):
            around = self.of[self._cases[section][0]]
            if around != UNKNOWN:
                inner[around].append(section)
        begin, end = [-1] * len(self._cases), [-1] * len(self._cases)
        clock = 0
        todo = [(FAILURE, False), (ALWAYS, False)]
        while todo:
            section, left = todo.pop()
            if left:
                end[section] = clock
                continue
            begin[section] = clock
            clock += 1
            todo.append((section, True))
            todo.extend((each, False) for each in inner[section])
        return begin, end
