"""Hints for a variable that was given something wrong: what else there is that gives values of its type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import literal_types
from typedflow.compiler.report import OUTPUTS, cut, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typedflow.compiler.calls import Call, Calls
    from typedflow.compiler.promises import Promises
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import Node

_MOST_COMPARISONS: Final = 300
_MOST_OFFERS: Final = 1_000
_MOST_OTHERS: Final = 100
_DISTINCTIVE: Final = ("frame", "file", "record", "directory", "array", "enum", "custom")


class Fitting:
    """Of one workflow; `called` is what each node calls, `sources` knows what can be seen from where."""

    def __init__(
        self, nodes: Sequence[Node], called: Sequence[Call | None], calls: Calls, sources: Promises
    ) -> None:
        self._nodes = nodes
        self._called = called
        self._calls = calls
        self._sources = sources
        self._comparisons = 0
        self._offers: list[tuple[int, str, LiteralType]] | None = None
        self._known: dict[int, list[tuple[int, str, LiteralType]]] = {}

    def hint(self, target: LiteralType, at: int) -> str:
        """What gives the type, before the node `at`; empty when nothing does.

        An int may come from anywhere, so there is no hint for such a type.
        """
        if not _distinctive(target):
            return ""
        offers = self._known.get(id(target))
        if offers is None:
            offers = self._known[id(target)] = [each for each in self._all() if self._fits(each[2], target)]
        limit = len(self._nodes) if at == OUTPUTS else at
        for node, name, type_ in offers:
            if node < limit and (node < 0 or self._sources.sections.sees(self._sources.section, node)):
                return f"`{name}` gives {literal_types.text(type_)}"
        return ""

    def _fits(self, source: LiteralType, target: LiteralType) -> bool:
        self._comparisons += 1
        return self._comparisons <= _MOST_COMPARISONS and literal_types.is_assignable(source, target) is None

    def _all(self) -> list[tuple[int, str, LiteralType]]:
        """What each call gives, with the first node that makes it; then what tasks give that no node calls."""
        if self._offers is None:
            first: dict[int, tuple[int, str, Call]] = {}
            for number, call in enumerate(self._called):
                if call is not None and len(first) < _MOST_OFFERS:
                    first.setdefault(id(call), (number, self._nodes[number].id, call))
            offering = list(first.values())
            offering += [(-1, short(call.reference.name), call) for call in self._calls.others(_MOST_OTHERS)]
            self._offers = [
                (number, cut(name if variable == "o0" else f"{name}.{variable}", 200), type_)
                for number, name, call in offering
                for variable, type_ in call.outputs.items()
                if type_ is not None
            ][:_MOST_OFFERS]
        return self._offers


def _distinctive(type_: LiteralType) -> bool:
    """Whether a value of the type is likely meant when one is given somewhere."""
    match type_.WhichOneof("type"):
        case "list" | "dict" | "union" | "stream":
            return any(map(_distinctive, literal_types.children(type_)))
        case kind:
            return kind in _DISTINCTIVE
