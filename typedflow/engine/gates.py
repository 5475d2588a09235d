"""Gates: they wait for a value, for somebody's approval, or for time to pass, and take no place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literals
from typedflow.engine import failures, stages, values
from typedflow.pb import events_pb2, executions_pb2, literals_pb2

if TYPE_CHECKING:
    from typedflow.engine.change import Change
    from typedflow.pb.events_pb2 import SignalReceived
    from typedflow.pb.workflows_pb2 import GateNode


def reach(change: Change, unit: int) -> None:
    """It waits, unless what it waits for was said before."""
    state = change.state
    graph, node = change.place(unit)
    if graph.fragile[node] and change.unfit(unit):
        return
    change.begin(unit)
    gate = graph.gates[node]
    change.to(unit, stages.WAITING)
    if gate.HasField("sleep"):
        wakes_at = change.now + gate.sleep.duration_ms * 1_000
        change.set_timer(unit, 0, events_pb2.TIMER_SLEEP, wakes_at)
        return
    early = state.signals.pop(state.path(unit), None)
    if early is not None and _answers(gate, early):
        _take(change, unit, early)
    elif gate.timeout_ms:
        change.set_timer(unit, 0, events_pb2.TIMER_DEADLINE, change.now + gate.timeout_ms * 1_000)


def signal_received(change: Change, event: SignalReceived) -> None:
    """The first that answers counts. One for what is not there yet is kept: a dynamic task may still make it."""
    state = change.state
    unit = change.unit_of(event.node)
    if unit >= 0:
        graph, node = change.place(unit)
        gate = graph.gates.get(node)
        if (
            gate is None
            or state.stages[unit] not in (stages.NEW, stages.WAITING)
            or not _answers(gate, event)
        ):
            return
        if state.stages[unit] == stages.WAITING:
            _take(change, unit, event)
            return
        kept = state.signals.get(event.node)
        if kept is not None and not _answers(gate, kept):
            del state.signals[event.node]  # it came before anybody knew what is waited for
    if event.node and event.node not in state.signals:
        state.signals[event.node] = event
        # So that it is stored.
        if unit >= 0:
            state.mark(unit)
        else:
            state.mark_execution()


def woken(change: Change, unit: int) -> None:
    """The time has passed."""
    change.succeed(unit, literals_pb2.LiteralMap())


def unanswered(change: Change, unit: int) -> None:
    """It took too long."""
    graph, node = change.place(unit)
    change.fail(unit, stages.TIMED_OUT, failures.unanswered(graph.gates[node].timeout_ms))


def is_gate(change: Change, unit: int) -> bool:
    graph, node = change.place(unit)
    return graph.kinds[node] == executions_pb2.NODE_KIND_GATE


def _answers(gate: GateNode, signal: SignalReceived) -> bool:
    """Whether it is what the gate waits for. A value that is stored elsewhere was checked by who took it."""
    match gate.WhichOneof("gate"), signal.WhichOneof("signal"):
        case "signal", "value":
            value = signal.value
            return value.HasField("offloaded") or not literals.misfit(value, gate.signal.type, "value")
        case "approval", "approved":
            return True
        case _:
            return False


def _take(change: Change, unit: int, signal: SignalReceived) -> None:
    change.state.timers.pop(unit, None)
    if signal.HasField("value"):
        change.succeed(unit, values.one(signal.value))
    elif signal.approved:
        change.give(unit)
    else:
        who = signal.principal or "somebody"
        message = f"rejected by {who}: {signal.reason}" if signal.reason else f"rejected by {who}"
        change.fail(unit, stages.FAILED, failures.user("Rejected", message))
