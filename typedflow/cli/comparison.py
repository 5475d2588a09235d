"""What became of an interface, as people read it and as programs do; what an activation would break.

```
error[BreakingChange]: version `v3` of launch plan `training` breaks what the active version `v1` promises
  breaking    input `df`: column `target` is missing
              was: dataframe[mean_radius: float]
              is:  dataframe[mean_radius: float, target: int]
  affected    workflow nightly.all v1
   = help: ...
```
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from typedflow.cli import output

if TYPE_CHECKING:
    from typedflow import errors
    from typedflow.pb.identifiers_pb2 import Identifier
    from typedflow.pb.registry_pb2 import InterfaceComparison, VariableComparison

_STYLES = {"breaking": "red", "compatible": "green"}
_WIDTH = 10
_SHOWN = 10


def word(value: int) -> str:
    """`same`, `compatible` or `breaking`."""
    from typedflow.pb import registry_pb2  # noqa: PLC0415 - not for help

    name = registry_pb2.Compatibility.Name(registry_pb2.Compatibility.ValueType(value))
    return name.removeprefix("COMPATIBILITY_").lower()


def painted(value: int, width: int = 0) -> str:
    """The word in its colour."""
    shown = word(value)
    return click.style(shown.ljust(width), fg=_STYLES.get(shown) or None, bold=shown == "breaking")


def what(variable: VariableComparison) -> str:
    """The change of a variable in one line."""
    direction = "output" if variable.output else "input"
    return output.printable(f"{direction} `{variable.name}`: {variable.reason}")


def short(comparison: InterfaceComparison) -> str:
    """The worst change, and how many others there are; empty when there is none."""
    if not comparison.variables:
        return ""
    ranked = sorted(comparison.variables, key=lambda each: -each.compatibility)
    more = f", and {len(ranked) - 1} more" if len(ranked) > 1 else ""
    return f"{painted(comparison.compatibility)}: {what(ranked[0])}{more}"


def lines(comparison: InterfaceComparison) -> Iterator[str]:
    """A line for each variable with its types where they differ, then those whom it concerns."""
    indent = " " * (_WIDTH + 4)
    for each in comparison.variables:
        yield f"  {painted(each.compatibility, _WIDTH)}  {what(each)}"
        if each.old_type and each.new_type and each.old_type != each.new_type:
            yield output.printable(f"{indent}was: {each.old_type}")
            yield output.printable(f"{indent}is:  {each.new_type}")
    label = "affected"
    for id_ in comparison.affected[:_SHOWN]:
        yield output.printable(f"  {label.ljust(_WIDTH)}  {kind(id_)} {id_.name} {id_.version}")
        label = ""
    if (rest := comparison.affected_count - _SHOWN) > 0:
        yield f"{indent}and {rest} more"


def record(comparison: InterfaceComparison) -> dict[str, object]:
    """As JSON has it."""
    return {
        "compatibility": word(comparison.compatibility),
        "old_version": comparison.old.version,
        "variables": [
            {
                "name": each.name,
                "direction": "output" if each.output else "input",
                "compatibility": word(each.compatibility),
                "old_type": each.old_type or None,
                "new_type": each.new_type or None,
                "reason": each.reason,
            }
            for each in comparison.variables
        ],
        "affected": [_reference(each) for each in comparison.affected],
        "affected_count": comparison.affected_count,
    }


def refusal(error: errors.BreakingChange) -> Iterator[str]:
    """What would break, launch plan by launch plan, and what to do."""
    for comparison in error.comparisons:
        yield click.style(f"error[{error.code}]", fg="red", bold=True) + click.style(
            output.printable(
                f": version `{comparison.new.version}` of launch plan `{comparison.new.name}` breaks what"
                f" the active version `{comparison.old.version}` promises"
            ),
            bold=True,
        )
        yield from lines(comparison)
    if error.left_out:
        noun = "variable" if error.left_out == 1 else "variables"
        yield f"  and {error.left_out} {noun} more"
    mark = f"   {click.style('=', fg='blue', bold=True)} {click.style('help', bold=True)}:"
    yield f"{mark} `--allow-breaking` makes it active all the same, when those who launch it know"
    yield f"{mark} without it, what is launched stays as it is; nothing was changed"


def kind(id_: Identifier) -> str:
    """`launch plan`."""
    from typedflow.pb import identifiers_pb2  # noqa: PLC0415 - as above

    name = identifiers_pb2.EntityKind.Name(id_.kind).removeprefix("ENTITY_KIND_")
    return name.lower().replace("_", " ")


def _reference(id_: Identifier) -> dict[str, object]:
    return {"kind": kind(id_), "name": id_.name, "version": id_.version}
