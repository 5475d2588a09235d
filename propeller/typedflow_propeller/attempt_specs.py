"""What an attempt is told, made from an execution's state: inputs, options, the cache key and what it is made of."""

from __future__ import annotations

import hashlib
import hmac

from typedflow import engine, hashing
from typedflow.dataplane import objects, offload
from typedflow.pb import attempt_pb2, catalog_pb2, literals_pb2, propeller_pb2

# A spec is in the database, in messages and in the attempt's folder; a value that many nodes are given is stored once.
_INLINE_BYTES = 64 * 1024
_SMALL_BYTES = 4 * 1024


class TakesLong(Exception):
    """What was asked for needs the store, or the hash of a large value: not on an event loop."""


class AttemptSpecs:
    """Makes the specs of one execution. `store` has the values that are too large to travel.

    With `at_once`, what is asked for is given without I/O and in no time, or TakesLong is raised: then it is to be
    asked for again in a thread.
    """

    def __init__(
        self, claim: propeller_pb2.Claim, graph: engine.Graph, state: engine.State, store: objects.ObjectStore
    ) -> None:
        self._claim = claim
        self._graph = graph
        self._state = state
        self._store = store

    def cache_key(self, node: int, *, at_once: bool = False) -> str:
        """The key under which the node's outputs are cached. Raises what `inputs` raises."""
        return hashing.key(self._manifest(node, self.inputs(node, at_once=at_once)))

    def inputs(self, node: int, *, at_once: bool = False) -> literals_pb2.LiteralMap:
        """What the node is given.

        Raises:
            ConversionError: a part of an upstream's output is not there.
            IntegrityError: a value is gone from the store.
            OSError: the store can't be read.
            TakesLong: see the class.
        """
        given = engine.inputs(self._graph, self._state, node, _refuse if at_once else self._load)
        if at_once and given.ByteSize() > _INLINE_BYTES:
            raise TakesLong
        return given

    def spec(self, node: int, attempt: int, *, at_once: bool = False) -> attempt_pb2.AttemptSpec:
        """All that the attempt must know; large inputs are offloaded. Raises what `inputs` raises."""
        inputs = self.inputs(node, at_once=at_once)
        if not at_once:
            offload.offload_all(inputs, self._store, limit=_INLINE_BYTES, small=_SMALL_BYTES)
        spec = self.reference(node, attempt)
        spec.inputs.CopyFrom(inputs)
        spec.manifest.CopyFrom(self._manifest(node, inputs))
        spec.cache_key = hashing.key(spec.manifest)
        return spec

    def reference(self, node: int, attempt: int) -> attempt_pb2.AttemptSpec:
        """The spec without what comes from inputs: enough to stop the attempt."""
        task = self._graph.tasks[node]
        return attempt_pb2.AttemptSpec(
            id=self._id(node, attempt),
            task=task.id.name,
            python=task.python,
            interface=task.interface,
            options=self._graph.options[node],
            project=self._claim.project,
            domain=self._claim.domain,
        )

    def token(self, node: int, attempt: int) -> str:
        """What shows admin that a runner is this attempt's."""
        text = f"{self._claim.execution_id}/{self._graph.ids[node]}/{attempt}"
        return hmac.new(self._claim.attempt_secret, text.encode(), hashlib.sha256).hexdigest()

    def _load(self, literal: literals_pb2.Literal) -> literals_pb2.Literal:
        return offload.load(literal, self._store)

    def _id(self, node: int, attempt: int) -> attempt_pb2.AttemptId:
        return attempt_pb2.AttemptId(
            execution_id=self._claim.execution_id, node=self._graph.ids[node], attempt=attempt
        )

    def _manifest(self, node: int, inputs: literals_pb2.LiteralMap) -> catalog_pb2.KeyManifest:
        return hashing.manifest(self._graph.tasks[node], self._graph.options[node], inputs)


def _refuse(literal: literals_pb2.Literal) -> literals_pb2.Literal:  # noqa: ARG001 - in the place of one that loads it
    raise TakesLong
