"""The conditionals of a graph: what decides between their cases, what is in each, and what each gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from typedflow.engine import bindings, conditions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typedflow.engine.bindings import Binder, Bound, Variables
    from typedflow.engine.conditions import Test
    from typedflow.pb.workflows_pb2 import Node


@dataclass(frozen=True, slots=True)
class Case:
    """`test` is None in the last: else. `fail` is the message with which it fails; None: it gives `outputs`."""

    test: Test | None
    fail: str | None
    outputs: tuple[Bound, ...]
    # Nodes that are in this case, without those in conditionals that are in it.
    members: tuple[int, ...]
    # Nodes that must have succeeded before it can give its outputs: its members, and what else they are taken from.
    waits: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    cases: tuple[Case, ...]


def work_out(
    nodes: Sequence[Node], index: Mapping[str, int], binder: Binder, gives: Sequence[Variables]
) -> dict[int, Conditional]:
    """The conditionals, by node."""
    members: dict[tuple[int, int], list[int]] = {}
    for i, node in enumerate(nodes):
        if node.HasField("section") and node.section.HasField("branch"):
            section = node.section.branch
            members.setdefault((index[section.node], section.case), []).append(i)
    return {
        i: Conditional(
            tuple(
                _case(node, case, members.get((i, case), []), index, binder, gives[i])
                for case in range(len(node.branch.cases))
            )
        )
        for i, node in enumerate(nodes)
        if node.HasField("branch")
    }


def _case(
    node: Node,
    number: int,
    members: Sequence[int],
    index: Mapping[str, int],
    binder: Binder,
    variables: Variables,
) -> Case:
    case = node.branch.cases[number]
    given = case.outputs.bindings
    taken = (index[id_] for binding in given for id_ in bindings.promised(binding.value))
    return Case(
        test=conditions.work_out(case.condition, binder) if case.HasField("condition") else None,
        fail=case.fail if case.WhichOneof("outcome") == "fail" else None,
        outputs=binder.bind(given, variables),
        members=tuple(members),
        waits=tuple(dict.fromkeys((*members, *taken))),
    )
