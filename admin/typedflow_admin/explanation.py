"""Why the cache had something, or had not: what of a key differs from that of the nearest entry.

Every attempt keeps what its key is made of, so two of them can be laid side by side. What differs is told in the
author's words where these are known: the functions that changed, the versions of distributions, the values of inputs.
Nothing of what is Sensitive is told, not even its digest.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from typedflow import errors, literal_types, literals
from typedflow.pb.attempt_pb2 import AttemptSpec
from typedflow.pb.catalog_pb2 import (
    CACHE_STATUS_HIT,
    CatalogEntry,
    ExplainRequest,
    ExplainResponse,
    KeyDifference,
    KeyManifest,
    KeyPart,
)
from typedflow.pb.executions_pb2 import NODE_KIND_MAP, NodeExecution
from typedflow.pb.interface_pb2 import Interface
from typedflow.pb.literals_pb2 import Literal, LiteralMap
from typedflow.pb.tasks_pb2 import Code
from typedflow_admin import catalog, compiled_nodes, references, store
from typedflow_admin.cache_store import CatalogRow

_NEWEST = 100
"""So many entries of a task are compared."""
_LONGEST_VALUE = 200
# The key is the same: what is told is why its entry was not used.
_SAME_KEY = frozenset({catalog.STALE, catalog.EXPIRED, catalog.FENCED, "overwrite", "recovered"})
_ONE_VERSION = "version:"


@dataclass(frozen=True, slots=True)
class Side:
    """A key's manifest, and what else is known of what it is made of."""

    manifest: KeyManifest
    inputs: LiteralMap = field(default_factory=LiteralMap)
    interface: Interface = field(default_factory=Interface)
    task_code: Code | None = None


@dataclass(frozen=True, slots=True)
class _Made:
    """Rows about an attempt, read in a transaction and taken apart elsewhere."""

    spec: bytes = b""
    graphs: Mapping[str, bytes] = field(default_factory=dict)


class Explanations:
    """Explains keys."""

    def __init__(self, database: store.Store) -> None:
        self._database = database

    async def explain(self, request: ExplainRequest) -> ExplainResponse:
        """Why a node hit or missed.

        Raises:
            NotFound: there is no such execution, or no such node.
            StateConflict: nothing was asked of the cache for it: it has not got there yet, or runs no task.
        """
        node, own, row, made = await self._database.read(lambda transaction: _read(transaction, request))
        return await asyncio.to_thread(_response, request, node, own, row, made)

    async def reasons(self, sides: Sequence[Side]) -> list[str]:
        """For each key that there is no entry of: why not, as a clause for people."""

        def read(transaction: store.Transaction) -> list[tuple[CatalogRow | None, _Made]]:
            rows = [_nearest(transaction, side.manifest) for side in sides]
            return [(row, _maker(transaction, _entry(row)) if row else _Made()) for row in rows]

        found = await self._database.read(read)
        return await asyncio.to_thread(
            lambda: [
                summary(differences(_side(row, made), side) if row else None)
                for side, (row, made) in zip(sides, found, strict=True)
            ]
        )


def differences(before: Side, after: Side) -> list[KeyDifference]:
    """What differs between two keys, most telling first."""
    old, new = before.manifest, after.manifest
    sensitive = _sensitive(before.interface) | _sensitive(after.interface)
    found = [*_code(before, after), *_environment(before, after)]
    found += _parts("input type", old.input_types, new.input_types)
    found += _parts("output type", old.output_types, new.output_types)
    for each in _parts("input", old.inputs, new.inputs):
        if each.name in sensitive:
            each.before = each.after = ""
        else:
            each.before = _value(before, each.name) or each.before
            each.after = _value(after, each.name) or each.after
        found.append(each)
    found += _parts("variable", old.variables, new.variables)
    if old.salt != new.salt:
        found.append(KeyDifference(component="salt", before=old.salt, after=new.salt))
    if old.format != new.format:
        found.append(KeyDifference(component="format", before=str(old.format), after=str(new.format)))
    return found


def summary(found: Sequence[KeyDifference] | None) -> str:
    """The differences in a clause: `the code of prep.scale changed, input lr 0.1 -> 0.2`; None: there is no entry."""
    if found is None:
        return "it has not run before"
    if not found:
        return "its result is not there any more"
    clauses = list(dict.fromkeys(map(_clause, found)))
    return clauses[0] if len(clauses) == 1 else f"{clauses[0]}, and {len(clauses) - 1} more differ"


def _clause(one: KeyDifference) -> str:
    match one.component:
        case "code":
            return f"the code of {one.name} changed" if one.name else "its code changed"
        case "environment":
            named = f"{one.name} " if one.name else "its environment "
            return (
                f"{named}{one.before or 'none'} -> {one.after or 'none'}" if one.name else f"{named}changed"
            )
        case "input" if one.before and one.after and "b3:" not in one.before + one.after:
            return f"input {one.name} {one.before} -> {one.after}"
        case "salt":
            return "its salt changed"
        case "format":
            return "keys are made in another way"
        case component:
            return f"{component} {one.name} differs"


def _read(
    transaction: store.Transaction, request: ExplainRequest
) -> tuple[NodeExecution, _Made, CatalogRow | None, _Made]:
    """The node with its attempt, and the nearest entry with that of its own."""
    found = transaction.executions.find(request.execution_id)
    if found is None:
        raise errors.NotFound(f"there is no execution `{request.execution_id}`")
    row = transaction.executions.node(request.execution_id, request.node)
    if row is None:
        raise errors.NotFound(
            f"execution `{request.execution_id}` has no node `{request.node}`", where="node"
        )
    node = NodeExecution.FromString(row.state)
    latest = transaction.attempts.find(request.execution_id, request.node, 0)
    of_key = transaction.catalog.find([node.cache_key]).get(node.cache_key) if node.cache_key else None
    if latest is not None:
        graphs = compiled_nodes.graphs(transaction, found[1], request.node)
        own = _Made(latest[0].spec, graphs)
    elif node.cache == CACHE_STATUS_HIT:
        own = _maker(transaction, _producer(node))
    else:
        raise _not_asked(node)
    if node.cache == CACHE_STATUS_HIT:
        return node, own, of_key, _Made()
    manifest = AttemptSpec.FromString(own.spec).manifest
    is_own = of_key is not None and _is_made_by(of_key, request)
    if node.cache_reason in _SAME_KEY:
        return node, own, None if is_own else of_key, _Made()
    begun = latest[0].begun_at_us if latest is not None else 0
    nearest = _nearest(transaction, manifest, of_key.number if is_own and of_key else 0, begun)
    return node, own, nearest, _maker(transaction, _entry(nearest)) if nearest else _Made()


def _not_asked(node: NodeExecution) -> errors.StateConflict:
    if node.kind == NODE_KIND_MAP:
        return errors.StateConflict(
            f"node `{node.id}` is a map: each of its slots has a key of its own",
            hint=f"ask for one, as in `{node.id}[0]`",
            code="NotAsked",
        )
    what = (
        "runs no task"
        if not node.task
        else "has not started yet"
        if not node.ended_at_us
        else "never started"
    )
    return errors.StateConflict(f"node `{node.id}` {what}: there is no key to explain", code="NotAsked")


def _is_made_by(row: CatalogRow, request: ExplainRequest) -> bool:
    entry = _entry(row)
    return (entry.execution_id, entry.node) == (request.execution_id, request.node)


def _nearest(
    transaction: store.Transaction, manifest: KeyManifest, without: int = 0, before_us: int = 0
) -> CatalogRow | None:
    """The entry of the same task with the fewest differences; of those the newest."""
    rows = transaction.catalog.near(manifest.project, manifest.domain, manifest.task, _NEWEST)
    ranked = [
        (_distance(KeyManifest.FromString(row.manifest), manifest), -row.number)
        for row in rows
        if row.number != without and not (before_us and row.created_at_us >= before_us)
    ]
    return transaction.catalog.by_number(-min(ranked)[1]) if ranked else None


def _distance(old: KeyManifest, new: KeyManifest) -> int:
    """How many components differ."""
    single = (
        (old.code, new.code),
        (old.environment, new.environment),
        (old.salt, new.salt),
        (old.format, new.format),
    )
    parts = (
        (old.input_types, new.input_types),
        (old.output_types, new.output_types),
        (old.inputs, new.inputs),
        (old.variables, new.variables),
    )
    return sum(was != now for was, now in single) + sum(len(list(_parts("", *both))) for both in parts)


def _maker(transaction: store.Transaction, entry: CatalogEntry) -> _Made:
    """The attempt that made an entry, as far as it is still known."""
    attempt = (
        transaction.attempts.find(entry.execution_id, entry.node, entry.attempt) if entry.attempt else None
    )
    found = transaction.executions.find(entry.execution_id)
    if attempt is None or found is None:
        return _Made()
    return _Made(attempt[0].spec, compiled_nodes.graphs(transaction, found[1], entry.node))


def _producer(node: NodeExecution) -> CatalogEntry:
    """What is known of the entry that was used, from the node that used it."""
    return CatalogEntry(
        key=node.cache_key,
        execution_id=node.producer_execution_id,
        node=node.producer_node,
        attempt=node.producer_attempt,
        usage=node.saved,
    )


def _entry(row: CatalogRow) -> CatalogEntry:
    return CatalogEntry.FromString(row.entry)


def _response(
    request: ExplainRequest, node: NodeExecution, own: _Made, row: CatalogRow | None, made: _Made
) -> ExplainResponse:
    is_hit = node.cache == CACHE_STATUS_HIT
    entry = catalog.listed(row) if row is not None else None
    if is_hit:
        entry = _used(node, entry)
    after = _taken_apart(own, entry.node if is_hit and entry else request.node, entry)
    response = ExplainResponse(status=node.cache, reason=node.cache_reason, manifest=after.manifest)
    response.key = node.cache_key or AttemptSpec.FromString(own.spec).cache_key
    if entry is not None:
        before = _taken_apart(made, entry.node, entry)
        if not is_hit and node.cache_reason not in _SAME_KEY:
            response.differences.extend(differences(before, after))
        _hide(entry.manifest, _sensitive(before.interface) | _sensitive(after.interface))
        response.nearest.CopyFrom(entry)
    _hide(response.manifest, _sensitive(after.interface))
    return response


def _used(node: NodeExecution, entry: CatalogEntry | None) -> CatalogEntry:
    """The entry that was used: that of its key, unless another has taken its place or it was evicted."""
    producer = _producer(node)
    is_same = entry is not None and (entry.execution_id, entry.node, entry.attempt) == (
        producer.execution_id,
        producer.node,
        producer.attempt,
    )
    return entry if entry is not None and is_same else producer


def _side(row: CatalogRow, made: _Made) -> Side:
    entry = _entry(row)
    return _taken_apart(made, entry.node, entry)


def _taken_apart(made: _Made, path: str, entry: CatalogEntry | None) -> Side:
    """An attempt and its task's code; of one that is gone, what the entry says."""
    if not made.spec:
        return Side(entry.manifest if entry is not None else KeyManifest())
    spec = AttemptSpec.FromString(made.spec)
    located = compiled_nodes.locate(made.graphs, path)
    task = located.task() if located is not None else None
    return Side(spec.manifest, spec.inputs, spec.interface, task.code if task is not None else None)


def _code(before: Side, after: Side) -> Iterator[KeyDifference]:
    old, new = before.manifest.code, after.manifest.code
    if old == new:
        return
    found: list[KeyDifference] = []
    if old.startswith(_ONE_VERSION) or new.startswith(_ONE_VERSION):
        versions = (
            code.removeprefix(_ONE_VERSION) if code.startswith(_ONE_VERSION) else "" for code in (old, new)
        )
        was, now = versions
        found.append(KeyDifference(component="code", name="version", before=was, after=now))
    elif _is_code_of(before, old) and _is_code_of(after, new):
        found += _named(
            "code", *({one.name: one.digest for one in side.components} for side in _codes(before, after))
        )
    yield from found or [KeyDifference(component="code", before=old, after=new)]


def _environment(before: Side, after: Side) -> Iterator[KeyDifference]:
    old, new = before.manifest.environment, after.manifest.environment
    if old == new:
        return
    found: list[KeyDifference] = []
    if before.task_code is not None and after.task_code is not None:
        was, now = (
            {"python": code.python} | {one.name: one.version for one in code.distributions}
            for code in _codes(before, after)
        )
        # Otherwise it is an image, or a version that stands for it.
        if before.task_code.environment == old and after.task_code.environment == new:
            found += _named("environment", was, now)
    yield from found or [KeyDifference(component="environment", before=old, after=new)]


def _is_code_of(side: Side, fingerprint: str) -> bool:
    return side.task_code is not None and side.task_code.fingerprint == fingerprint


def _codes(*sides: Side) -> Iterator[Code]:
    return (side.task_code for side in sides if side.task_code is not None)


def _parts(component: str, old: Iterable[KeyPart], new: Iterable[KeyPart]) -> Iterator[KeyDifference]:
    return _named(component, *({part.name: part.value for part in parts} for parts in (old, new)))


def _named(component: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[KeyDifference]:
    for name in sorted({*old, *new}):
        was, now = old.get(name, ""), new.get(name, "")
        if was != now or (name in old) != (name in new):
            yield KeyDifference(component=component, name=name, before=was, after=now)


def _sensitive(of: Interface) -> frozenset[str]:
    return frozenset(each.name for each in of.inputs if literal_types.has_sensitive(each.type))


def _hide(manifest: KeyManifest, names: frozenset[str]) -> None:
    for part in manifest.inputs:
        if part.name in names:
            part.value = ""


def _value(side: Side, name: str) -> str:
    """A small plain value as JSON; of others nothing."""
    literal = literals.get(side.inputs, name)
    of = next((each.type for each in side.interface.inputs if each.name == name), None)
    if literal is None or of is None or literal.ByteSize() > _LONGEST_VALUE or _points(literal):
        return ""
    text = json.dumps(literals.to_json(literal, of), ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else ""


def _points(literal: Literal) -> bool:
    return any(True for _ in itertools.islice(references.of(literal), 1))
