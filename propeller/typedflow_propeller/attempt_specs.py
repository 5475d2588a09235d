"""What is told of a unit, made from an execution's state: an attempt's spec, a question to the cache, a child's inputs.

What is the same for all attempts of a node, and for all slots of a map, is made once: a key of a slot costs what its
own element does.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from typedflow import engine, errors, hashing
from typedflow.dataplane import objects, offload
from typedflow.pb import attempt_pb2, events_pb2, literals_pb2, propeller_pb2, tasks_pb2

# A spec is in the database, in messages and in the attempt's folder; a value that many nodes are given is stored once.
_INLINE_BYTES = 64 * 1024
_SMALL_BYTES = 4 * 1024


class TakesLong(Exception):
    """What was asked for needs the store, or the hash of a large value: not on an event loop."""


@dataclass(frozen=True, slots=True)
class _Terms:
    """What all attempts have in common that call one task with the same options."""

    task: tasks_pb2.TaskTemplate
    options: tasks_pb2.TaskOptions
    spec: attempt_pb2.AttemptSpec  # without what comes from inputs
    recipe: hashing.Recipe


@dataclass(frozen=True, slots=True)
class _Call:
    """What all attempts of one node have in common, and those of all slots of a map."""

    terms: _Terms
    # Of a map, the inputs of which each slot gets an element; the others are the same for all.
    over: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Shared:
    """Inputs that are the same for all slots of a map: their digests, and what stands for those that are large."""

    digests: Mapping[str, str]
    stored: Mapping[str, literals_pb2.Literal]


_NOTHING_SHARED = _Shared({}, {})


class AttemptSpecs:
    """Makes the specs of one execution. `store` has the values that are too large to travel.

    With `at_once`, what is asked for is given without I/O and in no time, or TakesLong is raised: then it is to be
    asked for again in a thread.
    """

    def __init__(
        self, claim: propeller_pb2.Claim, graph: engine.Graph, state: engine.State, store: objects.ObjectStore
    ) -> None:
        self.recover_from = ""  # the execution that this one recovers
        self._claim = claim
        self._graph = graph
        self._state = state
        self._store = store
        self._terms: dict[tuple[int, int], _Terms] = {}
        self._calls: dict[tuple[engine.Graph, int], _Call] = {}
        self._shared: dict[int, _Shared] = {}  # by the map's unit

    def inputs(self, unit: int) -> literals_pb2.LiteralMap:
        """What the unit is given, with what is too large to travel offloaded; for a thread.

        Raises:
            ConversionError: a part of an upstream's output is not there.
            IntegrityError: a value is gone from the store.
            OSError: the store can't be read or written.
        """
        given = engine.inputs(self._graph, self._state, unit, self._load)
        offload.offload_all(given, self._store)
        return given

    def resolve(self, unit: int) -> events_pb2.NodeResolved:
        """What follows from values that are stored elsewhere; for a thread. Raises IntegrityError and OSError."""
        resolved = engine.resolve(self._graph, self._state, unit, self._load)
        if resolved.HasField("outputs"):
            offload.offload_all(resolved.outputs, self._store)
        return resolved

    def question(self, unit: int, *, at_once: bool = False) -> propeller_pb2.CacheQuestion:
        """What to ask the cache. Raises what `spec` raises."""
        call = self._call(unit)
        _, digests = self._given(unit, call, at_once=at_once)
        cache = call.terms.options.cache
        return propeller_pb2.CacheQuestion(
            execution_id=self._claim.execution_id,
            node=self._state.path(unit),
            key=call.terms.recipe.key(digests),
            cached=cache.enabled,
            serialize=cache.serialize,
            max_age_ms=cache.max_age_ms,
            recover_from=self.recover_from,
        )

    def spec(self, unit: int, attempt: int, *, at_once: bool = False) -> attempt_pb2.AttemptSpec:
        """All that the attempt must know; large inputs are offloaded. Raises what `inputs` raises, and TakesLong."""
        call = self._call(unit)
        given, digests = self._given(unit, call, at_once=at_once)
        if not at_once:
            offload.offload_all(given, self._store, limit=_INLINE_BYTES, small=_SMALL_BYTES)
        spec = self.reference(unit, attempt)
        spec.inputs.CopyFrom(given)
        spec.manifest.CopyFrom(call.terms.recipe.manifest(digests))
        spec.cache_key = call.terms.recipe.key(digests)
        checkpoint = engine.checkpoint(self._graph, self._state, unit)
        if checkpoint is not None:
            spec.checkpoint.CopyFrom(checkpoint)
        return spec

    def reference(self, unit: int, attempt: int) -> attempt_pb2.AttemptSpec:
        """The spec without what comes from inputs: enough to stop the attempt."""
        spec = attempt_pb2.AttemptSpec()
        spec.CopyFrom(self._call(unit).terms.spec)
        spec.id.node = self._state.path(unit)
        spec.id.attempt = attempt
        return spec

    def token(self, unit: int, attempt: int) -> str:
        """What shows admin that a runner is this attempt's."""
        text = f"{self._claim.execution_id}/{self._state.path(unit)}/{attempt}"
        return hmac.digest(self._claim.attempt_secret, text.encode(), hashlib.sha256).hex()

    def _given(
        self, unit: int, call: _Call, *, at_once: bool
    ) -> tuple[literals_pb2.LiteralMap, Mapping[str, str]]:
        """What the unit is given, and the digests of it by name."""
        load = _refuse if at_once else self._load
        given = engine.inputs(self._graph, self._state, unit, load)
        shared = self._shared_by_slots(unit, call, given, at_once=at_once)
        for each in given.values if shared.stored else ():
            if each.name in shared.stored:
                each.value.CopyFrom(shared.stored[each.name])
        if at_once and given.ByteSize() > _INLINE_BYTES:
            raise TakesLong
        digests = dict(shared.digests)
        for each in given.values:
            if each.name not in digests and each.name not in call.terms.recipe.ignored:
                digests[each.name] = hashing.of_literal(each.value)
        return given, digests

    def _shared_by_slots(
        self, unit: int, call: _Call, given: literals_pb2.LiteralMap, *, at_once: bool
    ) -> _Shared:
        if self._state.slot(unit) < 0:
            return _NOTHING_SHARED
        whole = self._state.parent(unit)
        shared = self._shared.get(whole)
        if shared is None:
            constant = literals_pb2.LiteralMap(values=(v for v in given.values if v.name not in call.over))
            if at_once and constant.ByteSize() > _INLINE_BYTES:
                raise TakesLong
            counted = (v for v in constant.values if v.name not in call.terms.recipe.ignored)
            digests = {each.name: hashing.of_literal(each.value) for each in counted}
            if not at_once:
                offload.offload_all(constant, self._store, limit=_INLINE_BYTES, small=_SMALL_BYTES)
            stored = {each.name: each.value for each in constant.values if each.value.HasField("offloaded")}
            shared = self._shared[whole] = _Shared(digests, stored)
        return shared

    def _call(self, unit: int) -> _Call:
        """Of a slot: its map's, which is the same for all of them."""
        place = self._state.place(unit)
        call = self._calls.get(place)
        if call is None:
            call = self._calls[place] = self._new_call(unit, place)
        return call

    def _new_call(self, unit: int, place: tuple[engine.Graph, int]) -> _Call:
        task = engine.task(self._graph, self._state, unit)
        if task is None:
            raise errors.TypedflowError(f"no task is called by `{self._state.path(unit)}`")
        options = engine.options(self._graph, self._state, unit)
        # A graph has a task once, and equal options once; both live as long as it does.
        key = (id(task), id(options))
        terms = self._terms.get(key)
        if terms is None:
            spec = attempt_pb2.AttemptSpec(
                id=attempt_pb2.AttemptId(execution_id=self._claim.execution_id),
                task=task.id.name,
                python=task.python,
                interface=task.interface,
                options=options,
                project=self._claim.project,
                domain=self._claim.domain,
                dynamic=task.dynamic,
            )
            terms = self._terms[key] = _Terms(task, options, spec, hashing.Recipe(task, options))
        graph, number = place
        return _Call(terms, frozenset(graph.maps[number].over) if number in graph.maps else frozenset())

    def _load(self, literal: literals_pb2.Literal) -> literals_pb2.Literal:
        return offload.load(literal, self._store)


def _refuse(literal: literals_pb2.Literal) -> literals_pb2.Literal:  # noqa: ARG001 - in the place of one that loads it
    raise TakesLong
