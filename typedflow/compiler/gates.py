"""Gates: what waits for a value, for somebody's approval, or for time to pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow.compiler import calls, diagnostics, interfaces, wellformed
from typedflow.compiler.report import cut
from typedflow.compiler.terms import LONGEST_MS

if TYPE_CHECKING:
    from typedflow.compiler.report import Report
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import GateNode, Node

OUTPUT = "o0"
VALUE = "value"


def call(node: Node, types: interfaces.Types, report: Report, at: int) -> calls.Call:
    """What a gate takes and gives: a signal gives a value, an approval passes one on, a sleep does neither."""
    owner = f"gate `{cut(node.id, 100)}`"
    _check_times(node.gate, owner, report, at)
    match node.gate.WhichOneof("gate"):
        case "signal":
            type_ = _type(node.gate.signal.type, owner, types, report, at)
            return calls.Call(owner, calls.Wanted.of({}, "input", owner), {OUTPUT: type_})
        case "approval":
            type_ = _type(node.gate.approval.type, owner, types, report, at)
            inputs = {VALUE: interfaces.Input(type_, None, False, 0)}
            return calls.Call(owner, calls.Wanted.of(inputs, "input", owner), {OUTPUT: type_})
        case kind:
            if kind is None:
                report.add(
                    diagnostics.GATE_HAS_NO_TYPE,
                    f"{owner} does not say what it waits for",
                    at=at,
                    expected="a signal, an approval, or a sleep",
                )
            return calls.Call(owner, calls.Wanted.of({}, "input", owner), {})


def _type(
    type_: LiteralType, owner: str, types: interfaces.Types, report: Report, at: int
) -> LiteralType | None:
    if type_.WhichOneof("type") is None:
        report.add(
            diagnostics.GATE_HAS_NO_TYPE,
            f"{owner} waits for a value, and does not say of which type",
            at=at,
            hint="give the type that the value is to be of",
        )
        return None
    found = wellformed.mistake(type_)
    if found is not None:
        message = f"the type of {owner} {found.message}"
        report.add(found.code, message, at=at, expected=found.expected, given=found.given)
        return None
    return types.shared(type_)


def _check_times(gate: GateNode, owner: str, report: Report, at: int) -> None:
    asleep = gate.HasField("sleep")
    for what, milliseconds in (("sleeps", gate.sleep.duration_ms), ("may wait", gate.timeout_ms)):
        if milliseconds > LONGEST_MS:
            report.add(
                diagnostics.INVALID_VALUE,
                f"{owner} {what} too long",
                at=at,
                expected="at most a year",
                given=f"{milliseconds} ms",
            )
    if asleep and gate.timeout_ms:
        report.add(
            diagnostics.INVALID_VALUE,
            f"{owner} sleeps, and has a timeout too",
            at=at,
            given=f"{gate.timeout_ms} ms",
            hint="leave the timeout out: a sleep ends by itself",
        )
