"""Interfaces: what an entity takes and gives, and the values of one call checked against it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, literal_types, literals, spelling
from typedflow.pb.literals_pb2 import Literal, LiteralMap

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.pb.interface_pb2 import Interface, Variable

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


def bind(of: Interface, values: LiteralMap, *, json: Mapping[str, object] | None = None) -> LiteralMap:
    """The inputs of one call: complete, converted to their types, in the interface's order.

    Each is taken from `values` (literals, converted as constants) or `json` (plain values by type), else from its
    default. Raises one ConversionError that has every unknown, missing, repeated and mistyped one with its path.
    """
    problems: list[tuple[str, str]] = []
    plain = json or {}
    given: dict[str, Literal] = {}
    for value in values.values:
        if value.name in given or value.name in plain:
            problems.append((f"inputs.{value.name}", "given more than once"))
        given[value.name] = value.value
    problems += _unknown(of, [*given, *(name for name in plain if name not in given)])
    bound: dict[str, Literal] = {}
    for variable in of.inputs:
        path = f"inputs.{variable.name}"
        try:
            if variable.name in given:
                bound[variable.name] = literals.constant(given[variable.name], variable.type, path)
            elif variable.name in plain:
                bound[variable.name] = literals.from_json(plain[variable.name], variable.type, path)
            elif variable.HasField("default"):
                bound[variable.name] = literals.constant(variable.default, variable.type, path)
            else:
                problems.append((path, f"missing: expected {literal_types.brief(variable.type)}"))
        except errors.ConversionError as error:
            problems += error.problems
    if problems:
        raise errors.ConversionError.of(problems)
    return literals.as_map(bound)


def _unknown(of: Interface, names: Iterable[str]) -> list[tuple[str, str]]:
    known = [v.name for v in of.inputs]
    problems = []
    for name in names:
        if name in known:
            continue
        near = spelling.nearest(name, known)
        listed = ", ".join(f"`{k}`" for k in known)
        hint = (
            f"did you mean `{near}`?"
            if near
            else f"the inputs are {listed}"
            if known
            else "there are no inputs"
        )
        problems.append((f"inputs.{name}", f"unknown input: {hint}"))
    return problems


def _input_text(of: Variable) -> str:
    shown = f"{of.name}: {literal_types.text(of.type)}"
    return f"{shown} = {_default_text(of.default)}" if of.HasField("default") else shown


def _default_text(of: Literal) -> str:
    kind = of.WhichOneof("value")
    if kind == "union":
        return _default_text(of.union.value)
    if kind in ("file", "frame", "offloaded"):
        return "..."
    shown = repr(literals.to_json(of))
    return shown if len(shown) <= _LONGEST_DEFAULT else "..."
