"""Executions and their nodes as programs see them: as they were when last asked for."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any, Protocol

from google.protobuf import message as messages

from typedflow import errors, literals, type_engine
from typedflow.dataplane import digests
from typedflow.pb import catalog_pb2, executions_pb2, interface_pb2, literals_pb2, types_pb2

_UNKNOWN = types_pb2.LiteralType()
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
        self.message: executions_pb2.Execution = message
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
        return self._values(self.message.inputs, self.message.interface.inputs)

    @property
    def outputs(self) -> SimpleNamespace:
        """By name, as plain Python values: a record is a namespace, a file, a frame or an array a `RemoteValue`.

        A directory is a `RemoteDirectory`, a member of an enum its value, what is Sensitive `"***"`. Large values are
        fetched, once.

        Raises:
            StateConflict: it has not succeeded.
            IntegrityError: a large value's bytes are gone, or are not what was stored.
        """
        if self.phase != "SUCCEEDED":
            raise errors.StateConflict(
                f"execution {self.id} is {self.phase}, so it has no outputs", hint="call wait() first"
            )
        return self._values(self.message.outputs, self.message.interface.outputs)

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

    def _values(
        self, values: literals_pb2.LiteralMap, variables: Iterable[interface_pb2.Variable]
    ) -> SimpleNamespace:
        types = {each.name: each.type for each in variables}
        return SimpleNamespace(
            **{
                each.name: self._value(each.value, types.get(each.name, _UNKNOWN), each.name)
                for each in values.values
            }
        )

    def _value(self, literal: literals_pb2.Literal, of: types_pb2.LiteralType, variable: str) -> Any:
        """A value of a type; what is not of it is shown as far as it says itself what it is."""
        if of.HasField("custom"):
            of = of.custom.representation
        match literal.WhichOneof("value"):
            case "offloaded":
                return self._value(self._load(literal, variable), of, variable)
            case "file" | "frame" | "array" | "stream":
                return RemoteValue(self._client, self.id, variable, literal)
            case "directory":
                return RemoteDirectory(self._client, self.id, variable, literal.directory)
            case "union":
                variants = of.union.variants
                variant = literal.union.variant
                chosen = variants[variant] if variant < len(variants) else _UNKNOWN
                return self._value(literal.union.value, chosen, variable)
            case "record":
                return self._record(literal.record, of.record, variable)
            case "dict":
                values = literals.elements(literal.dict.values)
                return {
                    key: self._value(each, of.dict.value, variable)
                    for key, each in zip(literal.dict.keys, values, strict=False)
                }
            case "list":
                element = of.stream.element if of.HasField("stream") else of.list.element
                return [self._value(each, element, variable) for each in literals.elements(literal.list)]
            case _:
                return _scalar(literal, variable)

    def _record(
        self, record: literals_pb2.Record, of: types_pb2.RecordType, variable: str
    ) -> SimpleNamespace | tuple[Any, ...]:
        types = {each.name: each.type for each in of.fields}
        values = {
            each.name: self._value(each.value, types.get(each.name, _UNKNOWN), variable)
            for each in record.fields
        }
        return tuple(values.values()) if of.positional else SimpleNamespace(**values)

    def __repr__(self) -> str:
        return f"<execution {self.id} {self.phase}>"


class Node:
    """One node of an execution, as it was when asked for."""

    def __init__(self, message: executions_pb2.NodeExecution) -> None:
        self.message = message
        self.id: str = message.id
        self.task: str = message.task
        self.phase: str = phase(message.phase)
        self.reason: str = message.reason
        self.note: str = message.note
        self.cache: str = cache_status(message.cache)
        self.cache_reason: str = message.cache_reason
        self.attempts: int = message.attempts

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


class RemoteDirectory:
    """A tree of files that a server has; `files` has each by its path in it."""

    def __init__(
        self, client: Server, execution_id: str, variable: str, directory: literals_pb2.Directory
    ) -> None:
        self._variable = variable
        self._execution_id = execution_id
        self._entries = list(directory.entries)
        self.digest: str = directory.content
        self.files: dict[str, RemoteValue] = {
            each.path: RemoteValue(
                client,
                execution_id,
                variable,
                literals_pb2.Literal(file=literals_pb2.File(blob=each.blob)),
            )
            for each in self._entries
            if each.HasField("blob")
        }

    def save(self, folder: str | Path) -> Path:
        """Writes it to a folder, which is made.

        Raises:
            IntegrityError: fewer or more bytes came than there are, or a path leads out of the folder.
        """
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for entry in self._entries:
            path = PurePosixPath(entry.path)
            if path.is_absolute() or ".." in path.parts:
                raise errors.IntegrityError(f"the path {entry.path!r} leads out of it", where=repr(self))
            place = target / path
            if not entry.HasField("blob"):
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            self.files[entry.path].save(place)
            if entry.executable:
                place.chmod(place.stat().st_mode | 0o111)
        return target

    def __repr__(self) -> str:
        return f"<directory {self._variable} of {self._execution_id}, {len(self.files)} files>"


def _scalar(literal: literals_pb2.Literal, variable: str) -> Any:
    match literal.WhichOneof("value"):
        case "datetime":
            zoned = type_engine.standard().converter(datetime)
            return zoned.from_literal(literal, variable, type_engine.NO_DATA)
        case "float":
            return literal.float
        case "bytes":
            return literal.bytes
        case "date":
            return literals.to_date(literal.date)
        case "duration":
            return literals.to_duration(literal.duration)
        case "decimal":
            return literals.to_decimal(literal.decimal)
        case _:
            return literals.to_json(literal)


def phase(value: executions_pb2.Phase.ValueType) -> str:
    """A phase's name without its prefix."""
    return executions_pb2.Phase.Name(value).removeprefix("PHASE_")


def cache_status(value: catalog_pb2.CacheStatus.ValueType) -> str:
    """A cache status' name without its prefix; empty when nothing is known yet."""
    return catalog_pb2.CacheStatus.Name(value).removeprefix("CACHE_STATUS_") if value else ""
