"""What is said to an execution's holder: an event without a time, which the holder sets when it takes it."""

from __future__ import annotations

from typedflow import errors
from typedflow.pb.events_pb2 import Event
from typedflow.pb.propeller_pb2 import InboxRow
from typedflow_admin import store

_SCHEMA = 1
MAX_REMARK = 4096
"""The most characters of what somebody says to an execution, which its journal keeps."""


def event(**kind: object) -> bytes:
    """An event of a kind, as in `event(abort_requested=AbortRequested(...))`."""
    return Event(schema=_SCHEMA, **kind).SerializeToString()  # type: ignore[arg-type]


def post(transaction: store.Transaction, execution_id: str, **kind: object) -> InboxRow | None:
    """Puts an event of a kind into the inbox; None: the execution has ended, and takes no news."""
    made = Event(schema=_SCHEMA, **kind)  # type: ignore[arg-type]
    sequence = transaction.leases.post(execution_id, made.SerializeToString())
    return InboxRow(sequence=sequence, event=made) if sequence else None


def check_remark(text: str, where: str, what: str) -> None:
    """Refuses a remark that is too long for a journal.

    Raises:
        UsageError: it is; `what` is how the message calls it.
    """
    if len(text) > MAX_REMARK:
        raise errors.UsageError(
            f"{what} has at most {MAX_REMARK:,} characters", where=where, code="InvalidRequest"
        )
