"""An interface as Python prints it, and its variables by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literal_types, literals

if TYPE_CHECKING:
    from typedflow.pb.interface_pb2 import Interface, Variable
    from typedflow.pb.literals_pb2 import Literal
    from typedflow.pb.types_pb2 import LiteralType

_LONGEST_DEFAULT = 40


def text(of: Interface) -> str:
    """The signature as Python prints it: `(trees: int = 100, seed: int = 7) -> (accuracy: float, auc: float)`."""
    inputs = ", ".join(_input_text(v) for v in of.inputs)
    outputs = ", ".join(f"{v.name}: {literal_types.text(v.type)}" for v in of.outputs)
    if [v.name for v in of.outputs] == ["o0"]:
        outputs = literal_types.text(of.outputs[0].type)
    elif outputs:
        outputs = f"({outputs})"
    return f"({inputs}) -> {outputs or 'None'}"


def input(of: Interface, name: str) -> Variable | None:  # noqa: A001 - what it is
    """The input of a name; None when there is none."""
    return next((v for v in of.inputs if v.name == name), None)


def output(of: Interface, name: str) -> Variable | None:
    """The output of a name; None when there is none."""
    return next((v for v in of.outputs if v.name == name), None)


def default_text(of: Variable) -> str:
    """The default of an input as it is printed: short, and of a Sensitive one nothing."""
    return _default_text(of.default, of.type)


def _input_text(of: Variable) -> str:
    shown = f"{of.name}: {literal_types.text(of.type)}"
    return f"{shown} = {default_text(of)}" if of.HasField("default") else shown


def _default_text(of: Literal, target: LiteralType) -> str:
    kind = of.WhichOneof("value")
    if kind == "union" and not target.sensitive:
        variants = target.union.variants
        known = of.union.variant < len(variants)
        return _default_text(of.union.value, variants[of.union.variant] if known else target)
    if target.sensitive or kind in ("file", "frame", "directory", "array", "stream", "offloaded"):
        return "..."
    shown = repr(literals.to_json(of, target))
    return shown if len(shown) <= _LONGEST_DEFAULT else "..."
