"""What the cache has for nodes that are ready: outputs, or the word that they are to be made, or waited for.

All that a propeller asks at once is answered together: a transaction reads, the store is asked once what is there, and
only where nodes are to be made one at a time another transaction writes who makes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from typedflow import errors
from typedflow.pb.attempt_pb2 import AttemptSpec, Outcome
from typedflow.pb.catalog_pb2 import CACHE_STATUS_HIT, CatalogEntry, Usage
from typedflow.pb.executions_pb2 import PHASE_RECOVERED, PHASE_SUCCEEDED, NodeExecution
from typedflow.pb.propeller_pb2 import CacheAnswer, CacheQuestion
from typedflow_admin import catalog, reservations, store
from typedflow_admin.cache_store import CatalogRow, ReservationRow
from typedflow_admin.catalog import Fitness

_MOST_QUESTIONS = 1000
_SUCCEEDED = frozenset({PHASE_SUCCEEDED, PHASE_RECOVERED})


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is for one question: of the recovered execution, and of the cache."""

    recovered: CatalogEntry | None
    entry: CatalogEntry | None
    number: int = 0


class CacheAnswers:
    """Answers propellers."""

    def __init__(self, database: store.Store, fitness: Fitness, clock_us: Callable[[], int]) -> None:
        self._database = database
        self._fitness = fitness
        self._clock_us = clock_us

    async def answer(self, questions: Sequence[CacheQuestion]) -> list[CacheAnswer]:
        """An answer for each question, in the order asked.

        Raises:
            UsageError: too many questions at once.
            StorageError: the store can't be asked what it has.
        """
        if len(questions) > _MOST_QUESTIONS:
            raise errors.UsageError(
                f"at most {_MOST_QUESTIONS:,} questions are answered at once, not {len(questions):,}",
                where="questions",
                code="InvalidRequest",
            )
        found = await self._database.read(lambda transaction: _find(transaction, questions))
        given = [entry for each in found for entry in (each.recovered, each.entry) if entry is not None]
        fit = {
            id(entry) for entry, is_fit in zip(given, await self._fitness.check(given), strict=True) if is_fit
        }
        now = self._clock_us()
        answers = [self._of(*each, fit, now) for each in zip(questions, found, strict=True)]
        await self._reserve(questions, found, answers)
        return answers

    def _of(self, question: CacheQuestion, found: _Found, fit: set[int], now: int) -> CacheAnswer:
        if found.recovered is not None and id(found.recovered) in fit:
            return CacheAnswer(entry=found.recovered, recovered=True)
        if found.entry is None:
            return CacheAnswer(reason=catalog.ABSENT)
        if id(found.entry) not in fit:
            return CacheAnswer(reason=catalog.STALE)
        if question.max_age_ms and found.entry.created_at_us < now - question.max_age_ms * 1000:
            return CacheAnswer(reason=catalog.EXPIRED)
        return CacheAnswer(entry=found.entry)

    async def _reserve(
        self, questions: Sequence[CacheQuestion], found: Sequence[_Found], answers: Sequence[CacheAnswer]
    ) -> None:
        """Says who makes what there is not, where one at a time does."""
        wanted = [
            (ReservationRow(question.key, question.execution_id, question.node), answer)
            for question, answer in zip(questions, answers, strict=True)
            if question.serialize and question.cached and question.key and not answer.HasField("entry")
        ]
        if not wanted:
            return
        known = {
            question.key: each.number for question, each in zip(questions, found, strict=True) if each.number
        }
        rows = [row for row, _ in wanted]
        holders = await self._database.write(lambda transaction: reservations.ask(transaction, rows, known))
        for row, answer in wanted:
            holder = holders[row]
            if holder is not None:
                answer.wait = True
                answer.holder_execution_id, answer.holder_node = holder


def _find(transaction: store.Transaction, questions: Sequence[CacheQuestion]) -> list[_Found]:
    entries = transaction.catalog.find({each.key for each in questions if each.cached and each.key})
    recovered = _recovered(transaction, questions)
    return [
        _Found(
            recovered.get((question.recover_from, question.node, question.key)),
            *_entry(entries.get(question.key) if question.cached else None),
        )
        for question in questions
    ]


def _entry(row: CatalogRow | None) -> tuple[CatalogEntry | None, int]:
    return (CatalogEntry.FromString(row.entry), row.number) if row is not None else (None, 0)


def _recovered(
    transaction: store.Transaction, questions: Iterable[CacheQuestion]
) -> Mapping[tuple[str, str, str], CatalogEntry]:
    """What recovered executions have, by execution, node and key."""
    asked: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for question in questions:
        if question.recover_from and question.key:
            asked[question.recover_from][question.node] = question.key
    found = {}
    for execution_id, keys in asked.items():
        for path, row in transaction.executions.nodes_of(execution_id, keys).items():
            node = NodeExecution.FromString(row.state)
            if node.phase in _SUCCEEDED:
                entry = _made_by(transaction, execution_id, node, keys[path])
                if entry is not None:
                    found[execution_id, path, keys[path]] = entry
    return found


def _made_by(
    transaction: store.Transaction, execution_id: str, node: NodeExecution, key: str
) -> CatalogEntry | None:
    """What a node that succeeded made, as an entry, if it made it under this key."""
    entry = CatalogEntry(key=key, outputs=node.outputs)
    if node.HasField("deck"):
        entry.deck.CopyFrom(node.deck)
    if node.cache == CACHE_STATUS_HIT:
        # It was taken from somewhere itself: that is who made it.
        entry.execution_id, entry.node = node.producer_execution_id, node.producer_node
        entry.attempt = node.producer_attempt
        entry.usage.CopyFrom(node.saved)
        return entry if node.cache_key == key else None
    latest = transaction.attempts.find(execution_id, node.id, 0)
    if latest is None:
        return None
    attempt = latest[0]
    spec = AttemptSpec.FromString(attempt.spec)
    if key not in (node.cache_key, spec.cache_key):
        return None
    entry.execution_id, entry.node, entry.attempt = execution_id, node.id, attempt.attempt
    entry.manifest.CopyFrom(spec.manifest)
    entry.usage.CopyFrom(Outcome.FromString(attempt.outcome).usage if attempt.outcome else Usage())
    entry.created_at_us = attempt.ended_at_us
    return entry
