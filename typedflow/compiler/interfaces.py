"""Whether an interface can be used: its names, its types, its defaults.

What comes out is safe to ask anything of: types are at most 24 levels deep and well formed, and equal ones within a
compilation are the same message, so that most comparisons are `is`. A variable whose type is broken has none, and is
not looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from typedflow.compiler import constants, diagnostics, wellformed
from typedflow.compiler.report import HEAD, cut
from typedflow.pb.interface_pb2 import Interface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.compiler.report import Report
    from typedflow.pb.interface_pb2 import Variable
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType


class Types:
    """One message for all equal ones; lives as long as a compilation."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, LiteralType] = {}

    def shared(self, type_: LiteralType) -> LiteralType:
        """The first message that was equal to this one. Only for types in which `wellformed.mistake` finds nothing."""
        return self._known.setdefault(type_.SerializeToString(deterministic=True), type_)


@dataclass(frozen=True, slots=True)
class Input:
    """An input: its type, unless that is broken, and its default, if it has one that fits."""

    type: LiteralType | None
    default: Literal | None
    optional: bool
    size: int  # of the default, in bytes


@dataclass(frozen=True, slots=True)
class Checked:
    """An interface by name; `message` has its defaults converted."""

    message: Interface
    inputs: dict[str, Input] = field(default_factory=dict)
    outputs: dict[str, LiteralType | None] = field(default_factory=dict)


def check(interface: Interface, owner: str, types: Types, report: Report, at: int = HEAD) -> Checked:
    """Notes what is wrong with an interface. `owner` is as in ``task `train` ``."""
    message = Interface()
    message.CopyFrom(interface)
    checked = Checked(message)
    for variable in message.inputs:
        what = f"input `{cut(variable.name, 100)}` of {owner}"
        if not _named(variable.name, checked.inputs, what, report, at):
            continue
        type_ = _type(variable, what, types, report, at)
        default = None
        optional = variable.HasField("default")
        if type_ is not None and optional:
            default = constants.convert(variable.default, type_, f"the default of {what}", report, at)
            if default is not None and default is not variable.default:
                variable.default.CopyFrom(default)
        checked.inputs[variable.name] = Input(type_, default, optional, default.ByteSize() if default else 0)
    for variable in message.outputs:
        what = f"output `{cut(variable.name, 100)}` of {owner}"
        if not _named(variable.name, checked.outputs, what, report, at):
            continue
        checked.outputs[variable.name] = _type(variable, what, types, report, at)
        if variable.HasField("default"):
            report.add(diagnostics.INVALID_VALUE, f"{what} has a default, which only inputs have", at=at)
    return checked


def _named(name: str, known: Iterable[str], what: str, report: Report, at: int) -> bool:
    if not name.isidentifier() or len(name) > 255:
        report.add(
            diagnostics.INVALID_NAME,
            f"the name of {what} is not a Python identifier",
            at=at,
            expected="letters, digits and `_`, not beginning with a digit",
            given=name,
        )
        return False
    if name in known:
        report.add(
            diagnostics.DUPLICATE_VARIABLE,
            f"there is more than one {what}",
            at=at,
            given=name,
            hint="rename one of them",
        )
        return False
    return True


def _type(variable: Variable, what: str, types: Types, report: Report, at: int) -> LiteralType | None:
    type_ = variable.type
    if type_.WhichOneof("type") is None:
        report.add(diagnostics.MISSING_ANNOTATION, f"{what} has no type", at=at, hint="annotate it")
        return None
    found = wellformed.mistake(type_)
    if found is not None:
        message = f"the type of {what} {found.message}"
        report.add(found.code, message, at=at, expected=found.expected, given=found.given)
        return None
    return types.shared(type_)
