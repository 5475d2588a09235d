"""Maps: a unit for each slot, begun in order and not too many at once, and what becomes of the map when slots end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import errors
from typedflow.engine import bindings, failures, interfaces, stages, values
from typedflow.engine.state import MOST_SLOTS, Slots
from typedflow.pb import catalog_pb2

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.errors_pb2 import ExecutionError

WINDOW: Final = 1_000
"""Slots of one map that may have begun and not ended: whoever drives them is not flooded."""


def reach(change: Change, unit: int) -> None:
    change.begin(unit)
    try:
        found = values.lengths(change.state, unit, None)
        graph, node = change.place(unit)
        values.of(change.state, change.state.segment(unit), graph.fragile[node], None)
    except bindings.StoredElsewhere:
        change.ask(unit)
    except errors.ConversionError as error:
        change.fail(unit, stages.FAILED, failures.misfit("inputs", error))
    else:
        count = values.same_lengths(found)
        if count < 0:
            change.fail(unit, stages.FAILED, differ(found))
        else:
            open_(change, unit, count)


def differ(found: dict[str, int]) -> ExecutionError:
    shown = ", ".join(f"`{name}` has {length:,}" for name, length in list(found.items())[:10])
    return failures.user(
        "MapLengthsDiffer", f"the map is over lists of different lengths: {shown}; give each as many elements"
    )


def open_(change: Change, unit: int, count: int) -> None:
    """It has so many slots."""
    state = change.state
    if count > MOST_SLOTS:
        message = (
            f"the map is over {count:,} elements; at most {MOST_SLOTS:,} are possible: map over lists of them"
        )
        change.fail(unit, stages.FAILED, failures.user("TooManySlots", message))
        return
    graph, node = change.place(unit)
    mapped = graph.maps[node]
    ratio = mapped.min_success_ratio if interfaces.is_partial(mapped) else 1.0
    segment = state.append_slots(unit, count)
    state.slots[unit] = Slots(segment.base, count, values.needed(ratio, count), mapped.concurrency)
    change.to(unit, stages.OPEN)
    if count == 0:
        change.give(unit)
    else:
        _begin_slots(change, unit, state.slots[unit])


def told(change: Change, slot: int) -> None:
    """Of a slot that has ended."""
    state = change.state
    unit = state.parent(slot)
    slots = state.slots[unit]
    if slot < slots.base + slots.begun:
        slots.active -= 1
    match state.stages[slot]:
        case stages.SUCCEEDED:
            slots.succeeded += 1
            slots.hits += state.cache[slot] == catalog_pb2.CACHE_STATUS_HIT
        case stages.FAILED | stages.TIMED_OUT:
            slots.failed += 1
        case _:
            slots.skipped += 1
    state.mark(unit)
    if state.stages[unit] != stages.OPEN:
        return
    if slots.count - slots.failed - slots.skipped < slots.needed:
        error = state.inside[unit].error
        assert error is not None, "slots are skipped when their map has ended"
        change.fail(unit, stages.FAILED, error)
    elif slots.succeeded + slots.failed == slots.count:
        state.keep_mapped(unit, None)
        change.give(unit)
    else:
        _begin_slots(change, unit, slots)


def _begin_slots(change: Change, unit: int, slots: Slots) -> None:
    graph, node = change.place(unit)
    while slots.begun < slots.count and slots.active < WINDOW:
        slot = slots.base + slots.begun
        slots.begun += 1
        slots.active += 1
        change.reach_task(slot, graph, node)
