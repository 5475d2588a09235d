"""Whether an interface can be used: its names, its types, its defaults.

What comes out is safe to ask anything of: types are at most 24 levels deep and well formed, and equal ones within a
compilation are the same message, so that most comparisons are `is`. A variable whose type is broken has none, and is
not looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from typedflow import literal_types
from typedflow.compiler import constants, diagnostics
from typedflow.compiler.report import cut
from typedflow.pb import types_pb2
from typedflow.pb.interface_pb2 import Interface

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.compiler.report import Report
    from typedflow.pb.interface_pb2 import Variable
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType, UnionType

MOST_VARIANTS: Final = 64
"""Of a union: each value may have to be tried with every variant."""


class Types:
    """One message for all equal ones; lives as long as a compilation."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[bytes, LiteralType] = {}

    def shared(self, type_: LiteralType) -> LiteralType:
        """The first message that was equal to this one. Only for types in which `mistake` finds nothing."""
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


def check(interface: Interface, owner: str, types: Types, report: Report) -> Checked:
    """Notes what is wrong with an interface. `owner` is as in ``task `train` ``."""
    message = Interface()
    message.CopyFrom(interface)
    checked = Checked(message)
    for variable in message.inputs:
        what = f"input `{cut(variable.name, 100)}` of {owner}"
        if not _named(variable.name, checked.inputs, what, report):
            continue
        type_ = _type(variable, what, types, report)
        default = None
        optional = variable.HasField("default")
        if type_ is not None and optional:
            default = constants.convert(variable.default, type_, f"the default of {what}", report)
            if default is not None and default is not variable.default:
                variable.default.CopyFrom(default)
        checked.inputs[variable.name] = Input(type_, default, optional, default.ByteSize() if default else 0)
    for variable in message.outputs:
        what = f"output `{cut(variable.name, 100)}` of {owner}"
        if not _named(variable.name, checked.outputs, what, report):
            continue
        checked.outputs[variable.name] = _type(variable, what, types, report)
        if variable.HasField("default"):
            report.add(diagnostics.INVALID_VALUE, f"{what} has a default, which only inputs have")
    return checked


def _named(name: str, known: Iterable[str], what: str, report: Report) -> bool:
    if not name.isidentifier() or len(name) > 255:
        report.add(
            diagnostics.INVALID_NAME,
            f"the name of {what} is not a Python identifier",
            expected="letters, digits and `_`, not beginning with a digit",
            given=name,
        )
        return False
    if name in known:
        report.add(
            diagnostics.DUPLICATE_VARIABLE,
            f"there is more than one {what}",
            given=name,
            hint="rename one of them",
        )
        return False
    return True


def _type(variable: Variable, what: str, types: Types, report: Report) -> LiteralType | None:
    type_ = variable.type
    if type_.WhichOneof("type") is None:
        report.add(diagnostics.MISSING_ANNOTATION, f"{what} has no type", hint="annotate it")
        return None
    found = mistake(type_)
    if found is not None:
        report.add(
            found.code, f"the type of {what} {found.message}", expected=found.expected, given=found.given
        )
        return None
    return types.shared(type_)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a type; the message goes on after "the type of ..."."""

    code: str
    message: str
    expected: str = ""
    given: str = ""


def mistake(type_: LiteralType) -> Mistake | None:
    """The first thing that is wrong with a type, outside in. Takes any message, without recursion, in linear time."""
    unions: list[UnionType] = []
    todo = [(type_, 0)]
    while todo:
        current, depth = todo.pop()
        if depth > literal_types.MAX_DEPTH:
            return Mistake(
                diagnostics.NESTING_TOO_DEEP,
                "is nested too deep",
                f"at most {literal_types.MAX_DEPTH} levels of lists, unions and records",
            )
        found = _shallow_mistake(current)
        if found is not None:
            return found
        if current.WhichOneof("type") == "union":
            unions.append(current.union)
        todo.extend((child, depth + 1) for child in reversed(_children(current)))
    # Only now is it known that nothing is nested too deep to be compared.
    return next((found for found in map(_variants_mistake, unions) if found), None)


def _shallow_mistake(type_: LiteralType) -> Mistake | None:
    match type_.WhichOneof("type"):
        case "simple":
            if type_.simple == 0 or type_.simple not in types_pb2.SimpleType.values():
                return _malformed("has a simple type that there is not", str(type_.simple))
        case "union":
            return _union_mistake(type_.union)
        case "record":
            names = [each.name for each in type_.record.fields]
            return (
                _malformed("has a field without a name", "")
                if "" in names
                else _names_mistake("fields", names)
            )
        case "file":
            format_ = type_.file.format
            if format_ != format_.lower() or format_.startswith("."):
                return _malformed("is a file whose format is not in lower case without a dot", format_)
        case "frame":
            return _names_mistake("columns", [column.name for column in type_.frame.columns])
        case "list":
            pass
        case None:
            return _malformed("has a part without a type", "")
    return None


def _children(type_: LiteralType) -> list[LiteralType]:
    match type_.WhichOneof("type"):
        case "list":
            # A list of nothing is the type of the empty list.
            return [type_.list.element] if type_.list.element.WhichOneof("type") is not None else []
        case "union":
            return list(type_.union.variants)
        case "record":
            return [each.type for each in type_.record.fields]
        case _:
            return []


def _malformed(message: str, given: str) -> Mistake:
    return Mistake(diagnostics.UNSUPPORTED_TYPE, message, given=given)


def _names_mistake(what: str, names: list[str]) -> Mistake | None:
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return _malformed(f"has two {what} of the name `{cut(twice, 100)}`", twice)


def _union_mistake(union: UnionType) -> Mistake | None:
    if not union.variants:
        return _malformed("is a union of nothing", "")
    if len(union.variants) > MOST_VARIANTS:
        return _malformed(f"is a union of more than {MOST_VARIANTS} variants", str(len(union.variants)))
    if any(variant.WhichOneof("type") == "union" for variant in union.variants):
        return _malformed("has a union right inside a union", "")
    return None


def _variants_mistake(union: UnionType) -> Mistake | None:
    seen: set[literal_types.Structure] = set()
    for variant in union.variants:
        shape = literal_types.structure(variant)
        if shape in seen:
            text = literal_types.text(variant)
            return _malformed(f"is a union that has {cut(text, 200)} twice", text)
        seen.add(shape)
    return None
