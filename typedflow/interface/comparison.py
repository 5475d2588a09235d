"""A new interface against an old one: whether whoever uses the old one can use the new one as it is.

What callers give must still be accepted, so inputs may become wider; what they get must still fit where they put it, so
outputs may become narrower. Both are questions of assignability, which is asked and never decided here. Descriptions,
the names of records and the order of variables do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types
from typedflow.interface.signature import default_text
from typedflow.pb.registry_pb2 import (
    COMPATIBILITY_BREAKING,
    COMPATIBILITY_COMPATIBLE,
    COMPATIBILITY_SAME,
    InterfaceComparison,
    VariableComparison,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from typedflow.pb.interface_pb2 import Interface, Variable

_LONGEST_TYPE = 2000


def compare(old: Interface, new: Interface) -> InterfaceComparison:
    """What became of each variable, and the worst of it; whom it concerns, and the versions, are left empty."""
    inputs, outputs = _by_name(old.inputs), _by_name(old.outputs)
    variables = [
        *_inputs(inputs, new.inputs),
        *_outputs(outputs, new.outputs),
        *_removed(inputs, _by_name(new.inputs), is_output=False),
        *_removed(outputs, _by_name(new.outputs), is_output=True),
    ]
    worst = max((each.compatibility for each in variables), default=COMPATIBILITY_SAME)
    return InterfaceComparison(compatibility=worst, variables=variables)


def _inputs(before: Mapping[str, Variable], after: Iterable[Variable]) -> Iterator[VariableComparison]:
    for new in after:
        old = before.get(new.name)
        made = VariableComparison(name=new.name, new_type=_text(new))
        if old is None:
            has_default = new.HasField("default")
            made.compatibility = COMPATIBILITY_COMPATIBLE if has_default else COMPATIBILITY_BREAKING
            made.reason = (
                f"it is new, {default_text(new)} by default" if has_default else "it is new and required"
            )
            yield made
            continue
        made.old_type = _text(old)
        breaking, compatible = [], []
        mismatch = literal_types.is_assignable(old.type, new.type)
        if mismatch is not None:
            breaking.append(str(mismatch))
        elif not literal_types.equal(old.type, new.type):
            compatible.append("it takes more than before")
        if old.HasField("default") and not new.HasField("default"):
            breaking.append("it has no default any more")
        else:
            compatible += _default_changes(old, new)
        if breaking or compatible:
            made.compatibility = COMPATIBILITY_BREAKING if breaking else COMPATIBILITY_COMPATIBLE
            made.reason = "; ".join([*breaking, *compatible])
            yield made


def _default_changes(old: Variable, new: Variable) -> list[str]:
    if not new.HasField("default"):
        return []
    if not old.HasField("default"):
        return [f"it is {default_text(new)} by default now"]
    # Bytes, because a NaN is not equal to itself.
    if old.default.SerializeToString(deterministic=True) == new.default.SerializeToString(deterministic=True):
        return []
    before, after = default_text(old), default_text(new)
    if before != after:
        return [f"its default was {before} and is {after}"]
    # The same value as another type has it; or two that are not printed.
    return ["its default is another"] if literal_types.equal(old.type, new.type) else []


def _outputs(before: Mapping[str, Variable], after: Iterable[Variable]) -> Iterator[VariableComparison]:
    for new in after:
        old = before.get(new.name)
        made = VariableComparison(
            name=new.name, output=True, compatibility=COMPATIBILITY_COMPATIBLE, new_type=_text(new)
        )
        if old is None:
            made.reason = "it is new"
            yield made
        elif not literal_types.equal(old.type, new.type):
            made.old_type = _text(old)
            mismatch = literal_types.is_assignable(new.type, old.type)
            if mismatch is not None:
                made.compatibility = COMPATIBILITY_BREAKING
            made.reason = "what it gives still fits" if mismatch is None else str(mismatch)
            yield made


def _removed(
    before: Mapping[str, Variable], after: Mapping[str, Variable], *, is_output: bool
) -> Iterator[VariableComparison]:
    for name, old in before.items():
        if name not in after:
            yield VariableComparison(
                name=name,
                output=is_output,
                compatibility=COMPATIBILITY_BREAKING,
                old_type=_text(old),
                reason="it is not there any more",
            )


def _by_name(variables: Iterable[Variable]) -> dict[str, Variable]:
    return {each.name: each for each in variables}


def _text(of: Variable) -> str:
    shown = literal_types.text(of.type)
    return shown if len(shown) <= _LONGEST_TYPE else f"{shown[: _LONGEST_TYPE - 3]}..."
