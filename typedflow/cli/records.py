"""Executions, nodes and entities as plain JSON values: the stable form that programs read."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from typedflow import interface, literal_types, literals
from typedflow.pb import errors_pb2, identifiers_pb2

if TYPE_CHECKING:
    from typedflow.pb.errors_pb2 import ExecutionError
    from typedflow.pb.executions_pb2 import Execution, NodeExecution
    from typedflow.pb.interface_pb2 import Variable
    from typedflow.pb.literals_pb2 import LiteralMap
    from typedflow.pb.registry_pb2 import EntitySummary

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def execution(message: Execution, nodes: Iterable[NodeExecution] | None = None) -> dict[str, object]:
    """An execution; with its nodes where they are given."""
    from typedflow import client

    variables = message.interface
    record: dict[str, object] = {
        "id": message.id,
        "project": message.project,
        "domain": message.domain,
        "launch_plan": {"name": message.launch_plan.name, "version": message.launch_plan.version},
        "phase": client.phase(message.phase),
        "inputs": values(message.inputs, variables.inputs),
        "outputs": values(message.outputs, variables.outputs) if message.HasField("outputs") else None,
        "error": error(message.error) if message.HasField("error") else None,
        "started_at": time(message.started_at_us),
        "ended_at": time(message.ended_at_us),
    }
    if message.parent_execution_id:
        record["parent"] = {"execution": message.parent_execution_id, "node": message.parent_node}
    if message.recovered_from:
        record["recovered_from"] = message.recovered_from
    elif message.relaunched_from:
        record["relaunched_from"] = message.relaunched_from
    if nodes is not None:
        record["nodes"] = [node(each) for each in nodes]
    return record


def origin(message: Execution) -> dict[str, str]:
    """What an execution comes from, for people; empty when somebody launched it with inputs of their own."""
    if message.parent_execution_id:
        return {"launched by node": f"{message.parent_node} of {message.parent_execution_id}"}
    if message.recovered_from:
        return {"recovers": message.recovered_from}
    return {"relaunches": message.relaunched_from} if message.relaunched_from else {}


def node(message: NodeExecution) -> dict[str, object]:
    """A node of an execution; what the cache did for it is told once that is final."""
    from typedflow import client

    return {
        "id": message.id,
        "task": message.task,
        "phase": client.phase(message.phase),
        "reason": message.reason or message.note or None,
        "cache": (message.ended_at_us and client.cache_status(message.cache)) or None,
        "cache_reason": (message.ended_at_us and message.cache_reason) or None,
        "attempts": message.attempts,
        "started_at": time(message.started_at_us),
        "ended_at": time(message.ended_at_us),
        "error": error(message.error) if message.HasField("error") else None,
        **_parts(message),
    }


def _parts(message: NodeExecution) -> dict[str, object]:
    """What only nodes of some kinds have: of a map the counts of its slots, the execution that was launched."""
    made: dict[str, object] = {}
    if message.HasField("slots"):
        counts = message.slots
        made["slots"] = {
            name: getattr(counts, name)
            for name in ("total", "succeeded", "failed", "skipped", "running", "hits")
        }
    if message.parent:
        made["parent"] = message.parent
    if message.child_execution_id:
        made["execution"] = message.child_execution_id
    if message.HasField("waiting"):
        made["waiting_for"] = waiting(message)
    return made


def waiting(message: NodeExecution) -> str:
    """What a gate waits for, in a few words."""
    match message.waiting.WhichOneof("until"):
        case "signal":
            wanted = f"a value: {literal_types.text(message.waiting.signal)}"
        case "approval":
            wanted = "an approval"
        case _:
            return f"until {local_time(message.waiting.time_us)}"
    return f"{wanted} ({message.waiting.prompt})" if message.waiting.prompt else wanted


def entity(message: EntitySummary) -> dict[str, object]:
    """A version of a task, a workflow or a launch plan; of a launch plan, whether it is the active one."""
    record: dict[str, object] = {
        "name": message.id.name,
        "version": message.id.version,
        "project": message.id.project,
        "domain": message.id.domain,
        "signature": message.signature,
        "description": message.description or None,
        "created_at": time(message.created_at_us),
    }
    if message.id.kind == identifiers_pb2.ENTITY_KIND_LAUNCH_PLAN:
        record["active"] = message.active
        record["active_version"] = message.active_version or None
    return record


def error(message: ExecutionError) -> dict[str, object]:
    """Why something failed."""
    return {
        "code": message.code,
        "kind": errors_pb2.ErrorKind.Name(message.kind).removeprefix("ERROR_KIND_"),
        "message": message.message,
        "node": message.node or None,
    }


def values(given: LiteralMap, variables: Iterable[Variable]) -> dict[str, object]:
    """Values by name, plain, as their types have them; of one whose type is not known nothing is shown."""
    types = {each.name: each.type for each in variables}
    shown = interface.redacted(given, variables)
    return {each.name: literals.to_json(each.value, types.get(each.name)) for each in shown.values}


def time(us: int) -> str | None:
    """RFC 3339 in UTC; None when it has not been yet."""
    if not us:
        return None
    return (_EPOCH + timedelta(microseconds=us)).isoformat().replace("+00:00", "Z")


def local_time(us: int) -> str:
    """For people: in their own time zone, to the second."""
    if not us:
        return ""
    return (_EPOCH + timedelta(microseconds=us)).astimezone().strftime("%Y-%m-%d %H:%M:%S")
