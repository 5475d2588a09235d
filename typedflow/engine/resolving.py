"""What follows from values that are stored elsewhere: the answer to `Resolve`, and what the answer leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.engine import actions, bindings, branches, failures, maps, stages, values
from typedflow.pb import events_pb2, executions_pb2

if TYPE_CHECKING:
    from typedflow.engine.bindings import Load
    from typedflow.engine.change import Change
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import State
    from typedflow.pb.events_pb2 import NodeResolved


def resolve(graph: Graph, state: State, unit: int, load: Load) -> NodeResolved:
    """The answer to `Resolve`. `load` gives what an offloaded literal stands for; what it raises besides
    ConversionError passes.
    """
    if unit == actions.OUTPUTS:
        answer = events_pb2.NodeResolved()
        what = "outputs"
    else:
        answer = events_pb2.NodeResolved(node=state.path(unit))
        what = "inputs"
    try:
        if unit == actions.OUTPUTS:
            answer.outputs.CopyFrom(values.graph_outputs(state, state.segments[0], load))
        elif _undecided(state, unit):
            what = "the condition"
            answer.case = values.case(state, unit, load)
        elif _uncounted(state, unit):
            found = values.lengths(state, unit, load)
            count = values.same_lengths(found)
            if count < 0:
                answer.error.CopyFrom(maps.differ(found))
            else:
                answer.slots = count
        else:
            what = "outputs"
            answer.outputs.CopyFrom(values.outputs(graph, state, unit, load))
    except errors.ConversionError as error:
        answer.error.CopyFrom(failures.misfit(what, error))
    return answer


def resolved(change: Change, event: NodeResolved) -> None:
    state = change.state
    unit = change.unit_of(event.node)
    if unit < 0 or state.stages[unit] != stages.RESOLVING:
        return
    graph, node = change.place(unit)
    result = event.WhichOneof("result")
    if result == "error":
        change.fail(unit, stages.FAILED, event.error)
    elif result == "case" and _undecided(state, unit):
        if event.case < len(graph.conditionals[node].cases):
            branches.decide(change, unit, event.case)
    elif result == "slots" and _uncounted(state, unit):
        maps.open_(change, unit, event.slots)
    elif result == "outputs" and not _undecided(state, unit) and not _uncounted(state, unit):
        names = graph.output_names[node]
        if bindings.has_all(event.outputs, names):
            change.succeed(unit, event.outputs)
        else:
            given = [each.name for each in event.outputs.values]
            message = failures.wrong_names("the answer", given, names)
            change.fail(unit, stages.FAILED, failures.system("InvalidOutputs", message))


def _undecided(state: State, unit: int) -> bool:
    graph, node = state.place(unit)
    return graph.kinds[node] == executions_pb2.NODE_KIND_BRANCH and unit not in state.cases


def _uncounted(state: State, unit: int) -> bool:
    graph, node = state.place(unit)
    is_map = graph.kinds[node] == executions_pb2.NODE_KIND_MAP and state.slot(unit) < 0
    return is_map and unit not in state.slots
