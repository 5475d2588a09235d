"""The values that units are given and give, from what others gave.

Reads the state only, but for what it keeps of a map.

Where a value is stored elsewhere and is needed itself, `load` gives it; without `load` StoredElsewhere is raised.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from typedflow import errors, literal_types, literals
from typedflow.engine import bindings, conditions, interfaces, stages
from typedflow.engine.state import Mapped
from typedflow.pb import errors_pb2, literals_pb2

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typedflow.engine.bindings import Bound, Given, Load
    from typedflow.engine.graph import Graph
    from typedflow.engine.state import Segment, State
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.literals_pb2 import Literal, LiteralMap

_NOTHING = literals_pb2.LiteralMap()


def inputs(graph: Graph, state: State, node: int, load: Load | None = None) -> LiteralMap:  # noqa: ARG001 - as all questions
    """What the unit is given, converted, in interface order. Its upstreams must have succeeded.

    An offloaded value passes as it is, unless a part or another form of it is wanted: then `load` gives the value
    itself. A slot's are the elements of the mapped lists, which are taken apart once for all slots of the map. Raises
    ConversionError, naming the variable, for what isn't there: an index beyond the end of an offloaded list, or any
    part of an offloaded value when there is no `load`.
    """
    segment = state.segment(node)
    if segment.node < 0:
        return of(state, segment, segment.graph.bindings[node - segment.base], load)
    mapped, slot = _mapped(state, segment, load), node - segment.base
    result = literals_pb2.LiteralMap()
    for each in segment.graph.bindings[segment.node]:
        column = mapped.over.get(each.variable)
        result.values.add(
            name=each.variable, value=mapped.same[each.variable] if column is None else column[slot]
        )
    return result


def of(state: State, segment: Segment, bound: Sequence[Bound], load: Load | None) -> LiteralMap:
    """The values of bindings at a place in the graph that the segment belongs to."""
    return bindings.resolve(bound, given(state, segment), load)


def given(state: State, segment: Segment) -> Given:
    """What the nodes of its graph gave, and what the graph was given."""
    outputs, around = state.outputs, segment.around

    def give(node: int) -> LiteralMap | None:
        if node >= 0:
            return outputs[around + node]
        if node == bindings.ERROR:
            return _failure(state.error)
        return state.inputs if around == 0 else _NOTHING

    return give


def _failure(error: ExecutionError | None) -> LiteralMap | None:
    """What a handler is told."""
    if error is None:
        return None
    kind = errors_pb2.ErrorKind.Name(error.kind).removeprefix("ERROR_KIND_")
    fields = {"code": error.code, "kind": kind, "message": error.message, "node": error.node}
    record = literals.from_record({name: literals.from_str(text) for name, text in fields.items()})
    return literals.as_map({"error": record})


# Conditionals


def case(state: State, unit: int, load: Load | None) -> int:
    """The first case of a conditional whose condition is true; stops there."""
    segment = state.segment(unit)
    give = given(state, segment)
    cases = segment.graph.conditionals[unit - segment.base].cases
    for number, each in enumerate(cases):
        if each.test is None or conditions.holds(each.test, give, load):
            return number
    raise errors.ConversionError("none of its conditions is true, and it has no else", where="condition")


def case_outputs(state: State, unit: int, load: Load | None) -> LiteralMap:
    """What a conditional that is decided gives, once what its case takes it from has succeeded."""
    segment = state.segment(unit)
    conditional = segment.graph.conditionals[unit - segment.base]
    return of(state, segment, conditional.cases[state.cases[unit]].outputs, load)


# Maps


def lengths(state: State, unit: int, load: Load | None) -> dict[str, int]:
    """Of the lists that a map is over."""
    segment = state.segment(unit)
    node = unit - segment.base
    give, over = given(state, segment), segment.graph.maps[node].over
    found = {}
    for each in segment.graph.bindings[node]:
        if each.variable in over:
            try:
                value = bindings.here(bindings.value(each.source, give, load), load, each.variable)
            except errors.ConversionError as error:
                raise bindings.located(error, each.variable) from error
            found[each.variable] = literals.length(value.list)
    return found


def needed(ratio: float, count: int) -> int:
    """How many of so many slots must succeed: the share as it is written in decimal, rounded up."""
    return math.ceil(Fraction(repr(ratio)) * count)


def _mapped(state: State, segment: Segment, load: Load | None) -> Mapped:
    unit = segment.parent
    known = state.mapped(unit)
    if known is not None:
        return known
    over = frozenset(segment.graph.maps[segment.node].over)
    bound = segment.graph.bindings[segment.node]
    whole = of(state, segment, [each for each in bound if each.variable in over], load)
    columns = {
        each.name: list(literals.elements(bindings.here(each.value, load, each.name).list))
        for each in whole.values
    }
    shared = of(state, segment, [each for each in bound if each.variable not in over], load)
    same = {each.name: each.value for each in shared.values}
    made = Mapped(columns, same)
    if state.stages[unit] == stages.OPEN:
        state.keep_mapped(unit, made)
    return made


def slot_outputs(state: State, unit: int, load: Load | None) -> LiteralMap:
    """What a map gives: of each output the list of what the slots gave, None for those that failed."""
    graph, node = state.place(unit)
    slots = state.slots.get(unit)
    given_by = [] if slots is None else state.outputs[slots.base : slots.base + slots.count]
    partial = interfaces.is_partial(graph.maps[node])
    task = graph.tasks[node]
    assert task is not None, "a map calls a task"
    result = literals_pb2.LiteralMap()
    for position, variable in enumerate(task.interface.outputs):
        target = interfaces.element(variable.type, partial)
        values = []
        none = literals.convert(literals.from_none(), literal_types.NONE, target) if partial else None
        for slot, outputs in enumerate(given_by):
            if outputs is None:
                assert none is not None, "a slot of which all must succeed gave nothing"
                values.append(none)
                continue
            value = bindings.at(outputs, position, variable.name)
            if partial and target is not variable.type:
                value = literals.convert(
                    bindings.here(value, load, f"{variable.name}[{slot}]"), variable.type, target
                )
            values.append(value)
        result.values.add(name=variable.name, value=literals_pb2.Literal(list=literals.pack(values)))
    return result


# Dynamic tasks, gates, the execution


def graph_outputs(state: State, segment: Segment, load: Load | None) -> LiteralMap:
    """What a graph gives: the workflow's outputs, or those of a dynamic task."""
    return of(state, segment, segment.graph.output_bindings, load)


def approved(graph: Graph, state: State, unit: int, load: Load | None) -> LiteralMap:
    """What an approval passes on."""
    value = literals.get(inputs(graph, state, unit, load), interfaces.VALUE)
    assert value is not None, "the compiler binds it"
    return literals.as_map({interfaces.OUTPUT: value})


def outputs(graph: Graph, state: State, unit: int, load: Load | None) -> LiteralMap:
    """What a unit that runs no attempt gives, once all that is inside of it has succeeded."""
    if state.stages[unit] == stages.OPEN or unit in state.inside or unit in state.cases:
        of_, node = state.place(unit)
        if node in of_.maps and state.segment(unit).node < 0:
            return slot_outputs(state, unit, load)
        if unit in state.cases:
            return case_outputs(state, unit, load)
        return graph_outputs(state, state.inside[unit], load)
    return approved(graph, state, unit, load)


def same_lengths(found: Mapping[str, int]) -> int:
    """Their length; -1: they differ."""
    distinct = set(found.values())
    return distinct.pop() if len(distinct) == 1 else -1


def one(value: Literal) -> LiteralMap:
    """What a signal's gate gives."""
    return literals.as_map({interfaces.OUTPUT: value})
