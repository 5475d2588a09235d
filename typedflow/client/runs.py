"""Executions and their nodes as programs see them: as they were when last asked for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

from google.protobuf import message as messages

from typedflow import errors, literals, type_engine
from typedflow.dataplane import digests
from typedflow.pb import catalog_pb2, executions_pb2, literals_pb2

TERMINAL = frozenset({"SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"})


class Server(Protocol):
    """What a run asks of its connection; `Client` documents each."""

    def run(self, id: str) -> Run: ...  # noqa: A002 - the field's name everywhere

    def nodes(self, execution_id: str) -> Iterator[executions_pb2.NodeExecution]: ...

    def watch(
        self, execution_id: str, *, timeout: float | None = None
    ) -> Iterator[executions_pb2.WatchExecutionResponse]: ...

    def abort(self, execution_id: str, reason: str = "") -> None: ...

    def get_value(
        self, execution_id: str, variable: str, *, node: str = "", digest: str = ""
    ) -> Iterator[bytes]: ...


class Run:
    """An execution: as it was when last asked for; `wait` and `refresh` ask again."""

    def __init__(self, client: Server, message: executions_pb2.Execution) -> None:
        self._client = client
        self.message = message
        self._loaded: dict[str, literals_pb2.Literal] = {}  # large values that have been asked for, by digest

    @property
    def id(self) -> str:
        return self.message.id

    @property
    def phase(self) -> str:
        """QUEUED, RUNNING, SUCCEEDED, FAILED, ABORTED or TIMED_OUT."""
        return phase(self.message.phase)

    @property
    def is_done(self) -> bool:
        return self.phase in TERMINAL

    @property
    def inputs(self) -> SimpleNamespace:
        """By name, as plain Python values; large ones are fetched."""
        return self._values(self.message.inputs)

    @property
    def outputs(self) -> SimpleNamespace:
        """By name, as plain Python values: a record is a namespace, a file or a frame a `RemoteValue`.

        Large values are fetched, once.

        Raises:
            StateConflict: it has not succeeded.
            IntegrityError: a large value's bytes are gone, or are not what was stored.
        """
        if self.phase != "SUCCEEDED":
            raise errors.StateConflict(
                f"execution {self.id} is {self.phase}, so it has no outputs", hint="call wait() first"
            )
        return self._values(self.message.outputs)

    @property
    def error(self) -> str:
        """Why it failed; empty when it did not."""
        error = self.message.error
        return f"{error.node}: {error.message}" if error.node else error.message

    @property
    def nodes(self) -> list[Node]:
        """Its nodes, in the order in which they can run."""
        return [Node(message) for message in self._client.nodes(self.id)]

    def refresh(self) -> Run:
        """Asks for it anew."""
        self.message = self._client.run(self.id).message
        return self

    def wait(
        self,
        timeout: float | None = None,
        *,
        check: bool = True,
        on_change: Callable[[executions_pb2.WatchExecutionResponse], None] | None = None,
    ) -> Run:
        """Waits for its end.

        Args:
            timeout: seconds; None waits as long as it takes.
            check: raise when it ends other than SUCCEEDED.
            on_change: called with every change.

        Raises:
            ExecutionFailed: it failed, was aborted or timed out.
            TimeoutError: it has not ended in time; it goes on.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while not self.is_done:
            for change in self._client.watch(
                self.id, timeout=None if end is None else max(0.0, end - time.monotonic())
            ):
                if change.HasField("execution"):
                    self.message = change.execution
                if on_change is not None:
                    on_change(change)
            if end is not None and time.monotonic() >= end and not self.is_done:
                raise TimeoutError(f"execution {self.id} is {self.phase} after {timeout} s")
        if check and self.phase != "SUCCEEDED":
            raise errors.ExecutionFailed(
                f"execution {self.id} {self.phase}: {self.error}", error=self.message.error
            )
        return self

    def abort(self, reason: str = "") -> None:
        """Asks that it be aborted."""
        self._client.abort(self.id, reason)

    def whole(self, values: literals_pb2.LiteralMap, most: int) -> literals_pb2.LiteralMap:
        """Its inputs or outputs with the large values that are not above `most` bytes; others stay references.

        Raises:
            IntegrityError: a large value's bytes are gone, or are not what was stored.
        """
        result = literals_pb2.LiteralMap()
        for each in values.values:
            large = each.value.HasField("offloaded") and each.value.offloaded.blob.size <= most
            result.values.add(
                name=each.name, value=self._load(each.value, each.name) if large else each.value
            )
        return result

    def _load(self, literal: literals_pb2.Literal, variable: str) -> literals_pb2.Literal:
        """What a literal that is too large to travel with others stands for."""
        blob = literal.offloaded.blob
        loaded = self._loaded.get(blob.digest)
        if loaded is None:
            data = b"".join(self._client.get_value(self.id, variable, digest=blob.digest))
            if digests.of_bytes(data) != blob.digest:
                raise errors.IntegrityError("the bytes that came are not what was stored", where=variable)
            try:
                loaded = literals_pb2.Literal.FromString(data)
            except messages.DecodeError:
                raise errors.IntegrityError("the object is no value", where=variable) from None
            self._loaded[blob.digest] = loaded
        return loaded

    def _values(self, values: literals_pb2.LiteralMap) -> SimpleNamespace:
        return SimpleNamespace(**{each.name: self._value(each.value, each.name) for each in values.values})

    def _value(self, literal: literals_pb2.Literal, variable: str) -> Any:
        match literal.WhichOneof("value"):
            case "offloaded":
                return self._value(self._load(literal, variable), variable)
            case "file" | "frame":
                return RemoteValue(self._client, self.id, variable, literal)
            case "union":
                return self._value(literal.union.value, variable)
            case "record":
                return SimpleNamespace(
                    **{each.name: self._value(each.value, variable) for each in literal.record.fields}
                )
            case "list":
                return [self._value(each, variable) for each in literals.elements(literal.list)]
            case "datetime":
                zoned = type_engine.standard().converter(datetime)
                return zoned.from_literal(literal, variable, type_engine.NO_DATA)
            case "float":
                return literal.float
            case _:
                return literals.to_json(literal)

    def __repr__(self) -> str:
        return f"<execution {self.id} {self.phase}>"


class Node:
    """One node of an execution, as it was when asked for."""

    def __init__(self, message: executions_pb2.NodeExecution) -> None:
        self.message = message
        self.id = message.id
        self.task = message.task
        self.phase = phase(message.phase)
        self.reason = message.reason
        self.note = message.note
        self.cache = cache_status(message.cache)
        self.cache_reason = message.cache_reason
        self.attempts = message.attempts

    def __repr__(self) -> str:
        return f"<node {self.id} {self.phase} {self.cache}>"


class RemoteValue:
    """The bytes of a file or a frame that a server has."""

    def __init__(
        self, client: Server, execution_id: str, variable: str, literal: literals_pb2.Literal
    ) -> None:
        self._client = client
        self._execution_id = execution_id
        self._variable = variable
        kind = literal.WhichOneof("value") or "file"
        self._literal = getattr(literal, kind)
        self.kind = kind
        self.digest: str = self._literal.blob.digest
        self.size: int = self._literal.blob.size

    def chunks(self) -> Iterator[bytes]:
        """Its bytes, piece by piece."""
        return self._client.get_value(self._execution_id, self._variable, digest=self.digest)

    def read_bytes(self) -> bytes:
        """All its bytes."""
        return b"".join(self.chunks())

    def save(self, path: str | Path) -> Path:
        """Writes it to a file, which is as it was until all of it has arrived.

        Raises:
            IntegrityError: fewer or more bytes came than there are.
            ServerUnreachable: the server went away meanwhile.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{secrets.token_hex(8)}")
        try:
            with partial.open("xb") as file:
                for chunk in self.chunks():
                    file.write(chunk)
                came = file.tell()
            if came != self.size:
                raise errors.IntegrityError(f"{came} bytes came, not {self.size}", where=repr(self))
            return partial.replace(target)
        finally:
            partial.unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<{self.kind} {self._variable} of {self._execution_id}, {self.size} bytes>"


def phase(value: executions_pb2.Phase.ValueType) -> str:
    """A phase's name without its prefix."""
    return executions_pb2.Phase.Name(value).removeprefix("PHASE_")


def cache_status(value: catalog_pb2.CacheStatus.ValueType) -> str:
    """A cache status' name without its prefix; empty when nothing is known yet."""
    return catalog_pb2.CacheStatus.Name(value).removeprefix("CACHE_STATUS_") if value else ""
