"""Conditionals: decided when what their conditions need is there, done when the case that runs is.

What is in the other cases is skipped. A conditional of which a member failed, or something that its outputs are taken
from, is skipped as what follows it; the other members go on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.engine import bindings, failures, stages, values

if TYPE_CHECKING:
    from typedflow.engine.change import Change


def reach(change: Change, unit: int) -> None:
    change.begin(unit)
    try:
        case = values.case(change.state, unit, None)
    except bindings.StoredElsewhere:
        change.ask(unit)
    except errors.ConversionError as error:
        change.fail(unit, stages.FAILED, failures.misfit("the condition", error))
    else:
        decide(change, unit, case)


def decide(change: Change, unit: int, number: int) -> None:
    """The case runs; what is in the others never will."""
    state = change.state
    segment = state.segment(unit)
    base = segment.base
    cases = segment.graph.conditionals[unit - base].cases
    state.cases[unit] = number
    for other, each in enumerate(cases):
        if other != number:
            _skip(change, base, each.members)
    chosen = cases[number]
    if chosen.fail is not None:
        change.fail(unit, stages.FAILED, failures.user("BranchFailed", chosen.fail))
        return
    waited = [state.stages[base + each] for each in chosen.waits]
    state.awaited[unit] = sum(stage != stages.SUCCEEDED for stage in waited)
    change.to(unit, stages.OPEN)
    for member in chosen.members:
        change.token(base + member)
    if any(stage > stages.SUCCEEDED for stage in waited):
        _give_up(change, unit)
    elif state.awaited[unit] == 0:
        _give(change, unit)


def told(change: Change, unit: int) -> None:
    """Of a unit that conditionals wait for, that it has ended."""
    state = change.state
    segment = state.segment(unit)
    for branch, number in segment.graph.awaited.get(unit - segment.base, ()):
        conditional = segment.base + branch
        if state.stages[conditional] != stages.OPEN or state.cases[conditional] != number:
            continue
        if state.stages[unit] != stages.SUCCEEDED:
            _give_up(change, conditional)
            continue
        state.awaited[conditional] -= 1
        if state.awaited[conditional] == 0:
            _give(change, conditional)


def _give(change: Change, unit: int) -> None:
    del change.state.awaited[unit]
    change.give(unit)


def _give_up(change: Change, unit: int) -> None:
    change.state.awaited.pop(unit, None)
    change.skip(unit, "upstream_failed")


def _skip(change: Change, base: int, members: tuple[int, ...]) -> None:
    """The members of a case that does not run, with those of the conditionals among them."""
    graph = change.state.segment(base).graph
    stack = list(members)
    while stack:
        node = stack.pop()
        if change.state.stages[base + node] == stages.NEW:
            change.end(base + node, stages.SKIPPED, "branch")
        if node in graph.conditionals:
            stack.extend(member for case in graph.conditionals[node].cases for member in case.members)
