"""What a branch is decided by: comparisons of promises, combined with `&`, `|` and `~`.

A condition is no bool: what it comes to is known only when the workflow runs. Static checkers see the bool that the
same expression would give outside of a workflow, so authors never meet this class by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn, Protocol

from typedflow.compiler import diagnostics
from typedflow.pb import literals_pb2, workflows_pb2

HINT = "combine conditions with `&`, `|` and `~`, each comparison in parentheses, as in `(1 < n) & (n < 5)`"


class Origin(Protocol):
    """The trace that something was made in: it means something there and nowhere else."""

    name: str

    def refuse(self, code: str, message: str, node: str, *, label: str = "", hint: str = "") -> NoReturn:
        """Raises the mistake on the author's line."""
        ...


class Condition:
    """A comparison, a bool that is promised, or several of them combined.

    Attributes:
        origin: the trace.
        promises: what it is about.
    """

    __slots__ = ("_kind", "_message", "_parts", "origin", "promises")

    def __init__(self, origin: Origin, message: workflows_pb2.Condition, promises: Sequence[Any]) -> None:
        self.origin: Origin = origin
        self.promises: tuple[Any, ...] = tuple(promises)
        self._message = message
        self._kind = ""
        self._parts: tuple[Condition, ...] = (self,)

    @classmethod
    def combined(cls, kind: str, first: Condition, second: Condition) -> Condition:
        """`all` or `any` of two; a chain of one kind is one list, which is written down once."""
        made = cls(first.origin, workflows_pb2.Condition(), first.promises + second.promises)
        made._kind = kind
        made._parts = first._of_kind(kind) + second._of_kind(kind)
        return made

    @property
    def message(self) -> workflows_pb2.Condition:
        """On the wire."""
        if self._kind == "":
            return self._message
        conditions = workflows_pb2.Conditions(conditions=[each.message for each in self._parts])
        if self._kind == "all":
            return workflows_pb2.Condition(all=conditions)
        return workflows_pb2.Condition(any=conditions)

    def __and__(self, other: object) -> Condition:
        second = self._of(other)
        return NotImplemented if second is None else Condition.combined("all", self, second)

    def __or__(self, other: object) -> Condition:
        second = self._of(other)
        return NotImplemented if second is None else Condition.combined("any", self, second)

    __rand__ = __and__  # of a constant, which has no say in the order
    __ror__ = __or__

    def __invert__(self) -> Condition:
        return Condition(self.origin, workflows_pb2.Condition(negated=self.message), self.promises)

    def __bool__(self) -> bool:
        return self._refuse(
            "used as a truth value (by `if`, `and`, `or`, `not`, `in` or a chained comparison)",
            f"decide with `conditional(...)`, or inside a task; {HINT}",
        )

    def __str__(self) -> str:
        return self._refuse("made into a text")

    def __format__(self, spec: str) -> str:
        self._refuse("formatted into a text")

    def __eq__(self, other: object) -> bool:
        self._refuse("compared")

    def __ne__(self, other: object) -> bool:
        self._refuse("compared")

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"<condition on {', '.join(map(repr, self.promises))}>"

    def _of_kind(self, kind: str) -> tuple[Condition, ...]:
        return self._parts if self._kind == kind else (self,)

    def _of(self, other: object) -> Condition | None:
        if isinstance(other, Condition):
            return other
        return constant(self.origin, other) if isinstance(other, bool) else None

    def _refuse(self, how: str, hint: str = HINT) -> NoReturn:
        node = self.promises[0].typedflow_promise.node if self.promises else ""
        message = f"a condition is {how}, but what it comes to is known only when the workflow runs"
        self.origin.refuse(diagnostics.PROMISE_USED_AS_VALUE, message, node, hint=hint)


def constant(origin: Origin, value: bool) -> Condition:
    """A bool that is known already."""
    binding = workflows_pb2.BindingValue(literal=literals_pb2.Literal(boolean=value))
    return Condition(origin, workflows_pb2.Condition(value=binding), ())
