"""A run's way to its catalog: keys, hits, and what is kept of successes.

Never keeps what a mock has had a part in, and never takes what the real task made for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from typedflow import catalog, engine, errors, hashing
from typedflow.authoring.task import Task
from typedflow.engine import stages
from typedflow.local_run.plans import Plan
from typedflow.pb import catalog_pb2, events_pb2, literals_pb2, tasks_pb2


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for a unit: its key, and what it takes to say what that is made of."""

    key: str
    recipe: hashing.Recipe
    digests: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Maker:
    """The attempt that outputs come from."""

    unit: int
    path: str
    attempt: int
    usage: catalog_pb2.Usage
    deck: literals_pb2.Blob


class Cache:
    """The catalog as one run uses it.

    Attributes:
        asked: by unit, what was asked for; it is published when it is made.
        unfinished: dynamic tasks whose outputs come later.
    """

    def __init__(self, plan: Plan, kept: catalog.Catalog, mocks: Mapping[str, Callable[..., Any]]) -> None:
        self._plan = plan
        self._catalog = kept
        self._mocks = mocks
        self.asked: dict[int, _Asked] = {}
        self.unfinished: dict[int, Maker] = {}

    def check(
        self,
        unit: int,
        task: Task[..., Any],
        options: tasks_pb2.TaskOptions,
        inputs: literals_pb2.LiteralMap,
        now_us: int,
    ) -> events_pb2.CacheChecked:
        """What there is for a call of the task, without the node's name."""
        checked = events_pb2.CacheChecked()
        if self._mocks and self._is_mocked(task):
            checked.status, checked.reason = catalog_pb2.CACHE_STATUS_DISABLED, "mocked"
            return checked
        recipe = self._plan.recipe(task, options)
        digests = {
            each.name: hashing.of_literal(each.value)
            for each in inputs.values
            if each.name not in recipe.ignored
        }
        checked.key = key = recipe.key(digests)
        self.asked[unit] = _Asked(key, recipe, digests)
        try:
            result = self._catalog.lookup([key])[0]
        except (OSError, errors.StorageError) as error:  # a disk's trouble: then it is made
            result = catalog_pb2.LookupResult(reason=str(error))
        entry = result.entry
        oldest = now_us - 1000 * options.cache.max_age_ms
        if result.HasField("entry") and options.cache.max_age_ms and entry.created_at_us < oldest:
            result = catalog_pb2.LookupResult(reason=catalog.EXPIRED)
        if not result.HasField("entry"):
            checked.status, checked.reason = catalog_pb2.CACHE_STATUS_MISS, result.reason
            return checked
        checked.status = catalog_pb2.CACHE_STATUS_HIT
        checked.outputs.CopyFrom(entry.outputs)
        checked.saved.CopyFrom(entry.usage)
        checked.producer_execution_id = entry.execution_id
        checked.producer_node = entry.node
        checked.producer_attempt = entry.attempt
        if entry.HasField("deck"):
            checked.deck.CopyFrom(entry.deck)
        return checked

    def publish(
        self, maker: Maker, outputs: literals_pb2.LiteralMap, now_us: int
    ) -> tuple[catalog_pb2.CacheStatus.ValueType, str]:
        """Keeps what an attempt gave; how that went, and why not. What can't be kept fails nothing (C8)."""
        asked = self.asked[maker.unit]
        entry = catalog_pb2.CatalogEntry(
            key=asked.key,
            manifest=asked.recipe.manifest(asked.digests),
            outputs=outputs,
            execution_id="local",
            node=maker.path,
            attempt=maker.attempt,
            usage=maker.usage,
            created_at_us=now_us,
        )
        if maker.deck.digest:
            entry.deck.CopyFrom(maker.deck)
        try:
            self._catalog.publish(entry)
        except (OSError, errors.TypedflowError) as error:
            return catalog_pb2.CACHE_STATUS_PUT_FAILED, str(error)
        return catalog_pb2.CACHE_STATUS_POPULATED, ""

    def publish_finished(self, state: engine.State, now_us: int) -> None:
        """Keeps what dynamic tasks have given since: their outputs are those of the graphs that they gave."""
        for unit in state.take_changed():
            if unit in self.unfinished and state.stages[unit] >= stages.SUCCEEDED:
                maker = self.unfinished.pop(unit)
                outputs = state.outputs[unit]
                if state.stages[unit] == stages.SUCCEEDED and outputs is not None:
                    self.publish(maker, outputs, now_us)

    def _is_mocked(self, task: Task[..., Any]) -> bool:
        """Whether a mock stands in for the task, or for what its code calls."""
        if task.name in self._mocks:
            return True
        code = self._plan.template(task).code
        return any(component.name in self._mocks for component in code.components)
