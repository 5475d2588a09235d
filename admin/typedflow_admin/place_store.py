"""What places under caps need of a database; see `store`, whose transactions have these tables too."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class QueueRow:
    """An execution whose attempts need places; `granted` and `waiting` are how many have one, and wait for one.

    `number` is the execution's; `plan_parallelism` its launch plan's limit over all of its executions (0: none).
    """

    execution_id: str
    number: int
    project: str
    domain: str
    launch_plan: str
    plan_parallelism: int
    granted: int
    waiting: int

    @property
    def plan(self) -> tuple[str, str, str]:
        """The launch plan's name, with project and domain."""
        return self.project, self.domain, self.launch_plan


PlaceKey = tuple[str, str, int]
"""An execution, a node's path, and the number of an attempt."""


class Places(Protocol):
    """Who may run under caps that are wider than an execution, and who waits for it."""

    def queues(self, execution_ids: Collection[str]) -> dict[str, QueueRow]:
        """Those of the executions that are capped, and have not ended."""

    def ask(self, keys: Sequence[PlaceKey]) -> None:
        """Puts attempts of capped executions at the ends of their queues; those that are there already stay."""

    def give_back(self, keys: Sequence[PlaceKey]) -> None:
        """Takes attempts out, whether they have places or wait for them; number 0 is all of the node's."""

    def leave(self, execution_ids: Sequence[str]) -> None:
        """Takes executions out with all of their attempts."""

    def granted(self, project: str) -> dict[tuple[str, str, str], int]:
        """How many attempts have places, by launch plan."""

    def waiting(self, project: str, limit: int) -> list[QueueRow]:
        """Executions that wait, and whose launch plan is not full: the fewest places first, then the oldest."""

    def grant(self, counts: Mapping[str, int]) -> list[PlaceKey]:
        """Gives so many places to each of some executions, to those of its attempts that asked first."""
