"""What must be under way in a state: for whoever takes an execution over after a crash.

Reads the state only. Its order depends on nothing but the state: nodes in order, of each the work and then its timers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.engine import actions, stages

if TYPE_CHECKING:
    from typedflow.engine.actions import Action
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State


def pending(graph: Graph, state: State) -> list[Action]:
    """Every action that is not answered yet, to be performed (again). Of an ended execution: that it is finished."""
    if state.done:
        return [actions.FinishExecution()]
    result: list[Action] = []
    for node in range(len(graph)):
        match state.stages[node]:
            case stages.CHECKING:
                result.append(actions.CheckCache(node))
            case stages.STARTING | stages.RUNNING:
                result.append(actions.StartAttempt(node, state.attempts[node]))
            case stages.STOPPING:
                result.append(actions.StopAttempt(node, state.attempts[node], state.stops[node]))
            case _:
                pass
        result.extend(state.timers.get(node, ()))
    return result
