"""The values of one call, checked against an interface."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import errors, literal_types, literals, spelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from typedflow.pb.interface_pb2 import Interface
    from typedflow.pb.literals_pb2 import Literal, LiteralMap


def bind(of: Interface, values: LiteralMap, *, json: Mapping[str, object] | None = None) -> LiteralMap:
    """The inputs of one call: complete, converted to their types, in the interface's order.

    Each is taken from `values` (literals, converted as constants) or `json` (plain values by type), else from its
    default. Raises one ConversionError that has every unknown, missing, repeated and mistyped one with its path; where
    one value is all that is wrong, with the code and the hint for that.
    """
    problems: list[tuple[str, str]] = []
    failures: list[errors.ConversionError] = []
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
            failures.append(error)
    if len(problems) == len(failures) == 1:
        raise failures[0]
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
