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


class AttemptSpecs:
    """Makes the specs of one execution. `store` has the values that are too large to travel."""

    def __init__(
        self, claim: propeller_pb2.Claim, graph: engine.Graph, state: engine.State, store: objects.ObjectStore
    ) -> None:
        self._claim = claim
        self._graph = graph
        self._state = state
        self._store = store

    def cache_key(self, node: int) -> str:
        """The key under which the node's outputs are cached. Raises what `inputs` raises."""
        return hashing.key(self._manifest(node, self.inputs(node)))

    def inputs(self, node: int) -> literals_pb2.LiteralMap:
        """What the node is given.

        Raises:
            ConversionError: a part of an upstream's output is not there.
            IntegrityError: a value is gone from the store.
        """
        return engine.inputs(
            self._graph, self._state, node, lambda literal: offload.load(literal, self._store)
        )

    def spec(self, node: int, attempt: int) -> attempt_pb2.AttemptSpec:
        """All that the attempt must know; large inputs are offloaded. Raises what `inputs` raises."""
        spec = self.reference(node, attempt)
        spec.inputs.CopyFrom(self.inputs(node))
        offload.offload_all(spec.inputs, self._store, limit=_INLINE_BYTES, small=_SMALL_BYTES)
        spec.manifest.CopyFrom(self._manifest(node, spec.inputs))
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

    def _id(self, node: int, attempt: int) -> attempt_pb2.AttemptId:
        return attempt_pb2.AttemptId(
            execution_id=self._claim.execution_id, node=self._graph.ids[node], attempt=attempt
        )

    def _manifest(self, node: int, inputs: literals_pb2.LiteralMap) -> catalog_pb2.KeyManifest:
        return hashing.manifest(self._graph.tasks[node], self._graph.options[node], inputs)
