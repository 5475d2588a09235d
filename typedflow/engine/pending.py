"""What must be under way in a state: for whoever takes an execution over after a crash.

Reads the state only. Its order depends on nothing but the state: units in order, of each the work and then its timers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.engine import actions, stages

if TYPE_CHECKING:
    from typedflow.engine.actions import Action
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State


def pending(graph: Graph, state: State) -> list[Action]:  # noqa: ARG001 - as all of the engine's questions
    """Every action that is not answered yet, to be performed (again). Of an ended execution: that it is finished."""
    if state.done:
        return [actions.FinishExecution()]
    result: list[Action] = []
    for unit, stage in enumerate(state.stages):
        if stage != stages.NEW and stage < stages.SUCCEEDED:
            action = _unanswered(state, unit, stage)
            if action is not None:
                result.append(action)
            result.extend(state.timers.get(unit, ()))
    if state.resolving:
        result.append(actions.Resolve(actions.OUTPUTS))
    return result


def _unanswered(state: State, unit: int, stage: int) -> Action | None:
    match stage:
        case stages.CHECKING:
            return actions.CheckCache(unit)
        case stages.PLACING:
            return actions.RequestPlace(unit, state.attempts[unit])
        case stages.STARTING | stages.RUNNING:
            return actions.StartAttempt(unit, state.attempts[unit])
        case stages.STOPPING:
            return actions.StopAttempt(unit, state.attempts[unit], state.stops[unit])
        case stages.RESOLVING:
            return actions.Resolve(unit)
        case stages.LAUNCHING | stages.CHILD:
            return actions.LaunchChild(unit)
        case stages.CHILD_STOPPING:
            return actions.StopChild(unit, state.stops[unit])
        case _:
            return None
