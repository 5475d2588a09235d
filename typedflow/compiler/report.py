"""Collects the mistakes of one template while the passes of the compiler go over it.

Bounded, because templates come from anybody: it keeps the first thousand mistakes, and cuts texts that are longer than
anybody reads. It must never raise, and never depend on anything but the template.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typedflow import identifiers, literal_types, spelling
from typedflow.compiler import diagnostics

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from typedflow.pb.diagnostics_pb2 import Diagnostic
    from typedflow.pb.identifiers_pb2 import SourcePosition
    from typedflow.pb.types_pb2 import LiteralType
    from typedflow.pb.workflows_pb2 import Node

HEAD: Final = -1
"""The place of what is wrong with the entity itself: it comes before its nodes."""
OUTPUTS: Final = 1 << 60
"""The place of what is wrong with a workflow's outputs: it comes after its nodes."""

MOST: Final = 1_000
_LONGEST_TEXT: Final = 2_000
_LONGEST_NAME: Final = 256
_MOST_COMPARISONS: Final = 20_000


class Report:
    """The mistakes of one entity (`name`); a place is the number of a node, `HEAD` or `OUTPUTS`."""

    __slots__ = ("_comparisons", "_found", "_name", "_nodes", "_position", "_texts")

    def __init__(self, name: str, position: SourcePosition | None, nodes: Sequence[Node] = ()) -> None:
        self._name = name
        self._position = position
        self._nodes = nodes
        self._found: list[tuple[int, Diagnostic]] = []
        self._comparisons = 0
        self._texts: dict[int, tuple[LiteralType, str]] = {}

    def add(
        self,
        code: str,
        message: str,
        *,
        at: int = HEAD,
        expected: str = "",
        given: str = "",
        label: str = "",
        hint: str = "",
        position: SourcePosition | None = None,
    ) -> None:
        """Notes a mistake at a place; within a place they stay in the order in which they come.

        `position` is where in the author's file, when that is known more exactly than by the place.
        """
        if self.full:
            return
        where, node = self._position, ""
        if 0 <= at < len(self._nodes):
            node = self._nodes[at].id
            where = self._nodes[at].position if self._nodes[at].HasField("position") else None
        made = diagnostics.make(
            code,
            cut(diagnostics.brief(message, expected, given)),
            workflow=cut(self._name, _LONGEST_NAME),
            node=cut(node, _LONGEST_NAME),
            position=position or where,
            expected=cut(expected),
            given=cut(given),
            label=cut(diagnostics.brief(label, expected, given)),
            hint=cut(diagnostics.brief(hint, expected, given)),
        )
        self._found.append((at, made))

    def include(self, found: Sequence[Diagnostic]) -> None:
        """Takes over the mistakes of another entity that this one needs."""
        self._found.extend((HEAD, each) for each in found[: MOST - len(self._found)])

    def __len__(self) -> int:
        return len(self._found)

    @property
    def full(self) -> bool:
        """No more mistakes are taken, so that nothing that takes long need be looked at."""
        return len(self._found) >= MOST

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """All of them: of the entity, of its nodes in the author's order, of its outputs."""
        made = [each for _, each in sorted(self._found, key=lambda placed: placed[0])]
        if self.full:
            made.append(
                diagnostics.make(
                    diagnostics.TOO_MANY_MISTAKES,
                    f"only the first {MOST:,} mistakes are listed",
                    workflow=cut(self._name, _LONGEST_NAME),
                    position=self._position,
                    hint="mend those above first",
                )
            )
        return tuple(made)

    def text(self, type_: LiteralType) -> str:
        """A type as it is printed; each message once."""
        known = self._texts.get(id(type_))
        if known is None:
            known = self._texts[id(type_)] = (type_, cut(literal_types.text(type_)))
        return known[1]

    def did_you_mean(self, name: str, candidates: Collection[str]) -> str:
        """A hint with the nearest name; empty when there is none, or when finding out would take too long."""
        found = self.nearest(name, candidates)
        return f"did you mean `{found}`?" if found else ""

    def nearest(self, name: str, candidates: Collection[str]) -> str:
        """The nearest name, likewise."""
        self._comparisons += len(candidates)
        if self.full or self._comparisons > _MOST_COMPARISONS or not 0 < len(name) <= identifiers.MAX_NAME:
            return ""
        likely = [each for each in candidates if 0 < len(each) <= identifiers.MAX_NAME]
        return spelling.nearest(name, likely) or ""


def cut(text: str, longest: int = _LONGEST_TEXT) -> str:
    """The text, or its beginning with an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def short(name: str) -> str:
    """The last part of a name: what its author calls it."""
    return name.rpartition(".")[2]


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a sentence: `a`, `b` and 3 more."""
    shown = ", ".join(f"`{cut(name, 100)}`" for name in names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
