"""Inputs and outputs as they are shown: without what is Sensitive in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typedflow import literals
from typedflow.pb.literals_pb2 import Literal, LiteralMap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typedflow.pb.interface_pb2 import Variable


def redacted(values: LiteralMap, variables: Iterable[Variable]) -> LiteralMap:
    """The values of these variables without their Sensitive parts; of one that is no variable of them, nothing."""
    types = {each.name: each.type for each in variables}
    made = LiteralMap()
    for value in values.values:
        of = types.get(value.name)
        shown = Literal() if of is None else literals.redacted(value.value, of)
        made.values.add(name=value.name, value=shown)
    return made
