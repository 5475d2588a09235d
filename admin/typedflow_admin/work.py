"""The stream on which propellers work: claims and inbox rows go down, heartbeats, commits and logs come up.

A session is one propeller's stream. It is told of what waits by bells and looks for itself every second. When the
stream breaks, the leases stay until they end, for the propeller may come back; when the propeller says goodbye by
closing its side, they are given up at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar

from typedflow import errors
from typedflow.pb.attempt_pb2 import AttemptId
from typedflow.pb.events_pb2 import Event
from typedflow.pb.propeller_pb2 import (
    COMMIT_STATUS_CONFLICT,
    COMMIT_STATUS_FENCED,
    AttemptInquiry,
    Claim,
    Commit,
    Heartbeat,
    HeartbeatResult,
    Hello,
    InboxRow,
    InboxRows,
    LoadResponse,
    LogChunk,
    LogWish,
    Welcome,
    WorkRequest,
    WorkResponse,
)
from typedflow.pb.workflows_pb2 import Node
from typedflow_admin import store
from typedflow_admin.bells import Bell
from typedflow_admin.commits import Commits
from typedflow_admin.executions import ENDED

T = TypeVar("T")

CLAIMABLE = ""
"""The topic of the work bell that says: there is something to claim. Its other topics are executions."""

_LOOK_AGAIN_SECONDS = 1.0
_GOODBYE_SECONDS = 0.25
_PART_BYTES = 1024 * 1024
_LOG_BYTES = 1024 * 1024  # of a log are under way at once, for each reader
_CLAIMS_AT_ONCE = 100
_MOST_UNREAD = 1000  # messages: who leaves so many gets no more claims and inbox rows until they are read
_MOST_COMMITS = 64  # of one propeller are under way at once
_LONGEST_ID = 128
_PROTOCOL = 1


class Work:
    """Serves propellers, and knows which are connected."""

    def __init__(self, database: store.Store, commits: Commits, work: Bell, lease_ms: int) -> None:
        self.database = database
        self.commits = commits
        self.bell = work
        self.lease_ms = lease_ms
        self._sessions: dict[str, Session] = {}
        self._began_at = time.monotonic()
        self._heard_at: dict[str, float] = {}  # by executor

    async def serve(self, requests: AsyncIterator[WorkRequest]) -> AsyncGenerator[WorkResponse, None]:
        """One propeller's stream, until either side ends it.

        Raises:
            UsageError: the first message is no Hello, or a later one is malformed.
            StateConflict: the propeller speaks another version of the protocol.
        """
        session = Session(self, _hello(await anext(requests, None)))
        held = await self.database.read(lambda transaction: transaction.leases.held(session.propeller_id))
        session.resume(held)
        if before := self._sessions.get(session.propeller_id):
            before.end()  # what it still claimed would reach nobody
        self._sessions[session.propeller_id] = session
        tasks = [asyncio.create_task(session.receive(requests)), asyncio.create_task(session.push())]
        try:
            async for message in session.messages():
                yield message
            if session.said_goodbye:
                # A broken connection looks like a goodbye until the call is cancelled.
                await asyncio.sleep(_GOODBYE_SECONDS)
                # Meanwhile the propeller may be back, and have its leases still.
                if self._sessions.get(session.propeller_id) is session:
                    await self._release(session)
        finally:
            if self._sessions.get(session.propeller_id) is session:
                del self._sessions[session.propeller_id]
            session.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def load(self, execution_id: str) -> AsyncIterator[LoadResponse]:
        """The compiled workflow of an execution without its nodes, then those, then its journal.

        Raises:
            NotFound: there is no such execution.
        """

        def read(transaction: store.Transaction) -> tuple[bytes, list[bytes]] | None:
            found = transaction.executions.find(execution_id)
            workflow = transaction.entities.by_number(found[1].workflow_number) if found else None
            return (workflow.template, transaction.executions.events(execution_id)) if workflow else None

        found = await self.database.read(read)
        if found is None:
            raise errors.NotFound(f"there is no execution `{execution_id}`")
        template, events = found
        first, nodes = await asyncio.to_thread(_without_nodes, template)
        yield first
        for part in _parts(nodes, Node.ByteSize):
            yield LoadResponse(nodes=part)
        for events_part in _parts(events, len):
            yield LoadResponse(events=[Event.FromString(event) for event in events_part])

    async def read_log(self, attempt: AttemptId, holder: str, *, follow: bool) -> AsyncIterator[bytes]:
        """The log of an attempt, from whichever propeller has it; the one that started it is asked first.

        Raises:
            StateConflict: no connected propeller has it.
        """
        reason = "no propeller is connected"
        for session in sorted(self._sessions.values(), key=lambda one: one.propeller_id != holder):
            found = False
            async for chunk in session.read_log(attempt, follow=follow):
                if chunk.error:
                    reason = chunk.error
                    break
                found = True
                if chunk.data:
                    yield chunk.data
                if chunk.last:
                    return
            if found:  # half a log must not look like a whole one
                break
        raise errors.StateConflict(
            f"the log of attempt {attempt.attempt} of node `{attempt.node}` can't be read: {reason}",
            hint="start the propeller that ran it",
            code="LogUnavailable",
        )

    def hear(self, executor_id: str) -> None:
        """The executor is there: something came on its propeller's stream."""
        self._heard_at[executor_id] = time.monotonic()

    def is_gone(self, executor_id: str) -> bool:
        """Whether nothing was heard of the executor for a lease, and there was time to hear of it.

        Of one without an id nothing can be said: it is never gone.
        """
        heard_at = self._heard_at.get(executor_id, self._began_at)
        return bool(executor_id) and (time.monotonic() - heard_at) * 1000 > self.lease_ms

    def inquire(self, executor_id: str, inquiry: AttemptInquiry) -> None:
        """Asks an executor what became of a runner, through every stream of its propeller's.

        Of two one is dead, and nobody knows which; an answer that comes twice changes nothing.
        """
        for session in self._sessions.values():
            session.inquire(executor_id, inquiry)

    def close(self) -> None:
        """Ends all streams; the propellers will look for another server."""
        for session in self._sessions.values():
            session.end()

    async def release_all(self, prefix: str) -> None:
        """Gives up the leases of propellers that can no longer be there: those of this server, before it was killed."""
        await self.database.write(lambda transaction: transaction.leases.release_prefix(prefix))

    async def _release(self, session: Session) -> None:
        if await self.database.write(lambda transaction: transaction.leases.release(session.propeller_id)):
            self.bell.ring(CLAIMABLE)


class Session:
    """One propeller's stream."""

    def __init__(self, work: Work, hello: Hello) -> None:
        self.propeller_id = hello.propeller_id
        self._executor_id = hello.executor_id
        self._capacity = hello.capacity
        self._work = work
        self._held: dict[str, int] = {}
        self._sent: dict[str, int] = {}
        self._told: dict[
            str, list[InboxRow]
        ] = {}  # to be sent with what comes next, if nobody reads them before
        self._logs: dict[str, asyncio.Queue[LogChunk]] = {}
        self._outgoing: asyncio.Queue[WorkResponse | None] = asyncio.Queue()
        self.said_goodbye = False
        self._heard_at = time.monotonic()
        work.hear(self._executor_id)
        self._failure: Exception | None = None
        self._commits: set[asyncio.Task[None]] = set()
        self._send(WorkResponse(welcome=Welcome(lease_ms=work.lease_ms)))

    def resume(self, leases: Iterable[store.LeaseRow]) -> None:
        """Goes on with the leases that the propeller had before its stream broke."""
        self._held = {lease.execution_id: lease.epoch for lease in leases}

    async def messages(self) -> AsyncIterator[WorkResponse]:
        """What goes down, until the propeller has closed its side; raises what went wrong."""
        while (message := await self._outgoing.get()) is not None:
            yield message
        if self._failure is not None:
            raise self._failure

    def end(self) -> None:
        """Ends the stream."""
        self._outgoing.put_nowait(None)

    def close(self) -> None:
        """Ends the logs that somebody reads, and waits for nothing."""
        for queue in self._logs.values():
            queue.put_nowait(LogChunk(last=True, error="the propeller went away"))
        for task in self._commits:
            task.cancel()

    async def receive(self, requests: AsyncIterator[WorkRequest]) -> None:
        """Takes what comes up until there is no more."""
        try:
            async for request in requests:
                self._heard_at = time.monotonic()
                self._work.hear(self._executor_id)
                match request.WhichOneof("message"):
                    case "heartbeat":
                        await self._heartbeat(request.heartbeat)
                    case "commit":
                        # The next commits are read meanwhile, so that they are written together.
                        if len(self._commits) >= _MOST_COMMITS:
                            await asyncio.wait(self._commits, return_when=asyncio.FIRST_COMPLETED)
                        task = asyncio.create_task(self._commit(request.commit))
                        self._commits.add(task)
                        task.add_done_callback(self._commits.discard)
                    case "log":
                        if queue := self._logs.get(request.log.wish_id):
                            queue.put_nowait(request.log)
                    case _:
                        raise errors.UsageError("a message that makes no sense here", code="InvalidRequest")
            await asyncio.gather(*self._commits)
            self.said_goodbye = True
        except Exception as error:  # noqa: BLE001 - it ends the stream, where it is translated
            self._failure = error
        self._outgoing.put_nowait(None)

    async def push(self) -> None:
        """Sends claims and inbox rows as they come; all that is not consumed again every second."""
        loop = asyncio.get_running_loop()
        with self._work.bell.listen(take=self._take) as listener:
            try:
                look_again, topics = 0.0, {CLAIMABLE}
                while True:
                    everything = loop.time() >= look_again
                    if everything:
                        look_again = loop.time() + _LOOK_AGAIN_SECONDS
                    claimed = await self._claim() if everything or CLAIMABLE in topics else set()
                    wanted = set(self._held) if everything else (topics | claimed) & self._held.keys()
                    await self._push_inbox(wanted, again=everything)
                    topics = await listener.wait(max(look_again - loop.time(), 0))
            except Exception as error:  # noqa: BLE001 - it ends the stream, where it is translated
                self._failure = error
                self._outgoing.put_nowait(None)

    def inquire(self, executor_id: str, inquiry: AttemptInquiry) -> None:
        """Asks the propeller's executor what became of a runner, if it is this one. What is not read is not asked."""
        if executor_id and executor_id == self._executor_id and not self._unread():
            self._send(WorkResponse(inquiry=inquiry))

    async def read_log(self, attempt: AttemptId, *, follow: bool) -> AsyncIterator[LogChunk]:
        """Asks the propeller for a log; its chunks as they come, the last of them marked.

        It is asked for part by part, each once the reader has taken the one before.
        """
        offset, ended = 0, False
        while not ended:
            async with contextlib.aclosing(self._read_part(attempt, follow=follow, offset=offset)) as part:
                async for chunk in part:
                    offset += len(chunk.data)
                    if chunk.more:
                        offset = chunk.next or offset  # of a propeller that says so
                        break
                    ended = chunk.last
                    yield chunk

    async def _read_part(
        self, attempt: AttemptId, *, follow: bool, offset: int
    ) -> AsyncGenerator[LogChunk, None]:
        wish = LogWish(
            id=secrets.token_hex(8), attempt=attempt, follow=follow, offset=offset, limit=_LOG_BYTES
        )
        chunks = self._logs[wish.id] = asyncio.Queue()
        self._send(WorkResponse(log=wish))
        ended = False
        try:
            while not ended:
                chunk = await chunks.get()
                ended = chunk.last
                yield chunk
        finally:
            del self._logs[wish.id]
            if not ended:
                self._send(WorkResponse(log=LogWish(id=wish.id, attempt=attempt, cancel=True)))

    def _unread(self) -> bool:
        return self._outgoing.qsize() > _MOST_UNREAD

    def _send(self, message: WorkResponse) -> None:
        self._outgoing.put_nowait(message)

    async def _claim(self) -> set[str]:
        """Claims as much as there is room for; gives what it got."""
        room = min(self._capacity - len(self._held), _CLAIMS_AT_ONCE)
        # A connection may be dead for minutes before anybody notices: who is silent gets nothing more.
        silent = (time.monotonic() - self._heard_at) * 1000 > self._work.lease_ms
        if room <= 0 or self.said_goodbye or silent or self._unread():
            return set()
        holder, lease_ms = self.propeller_id, self._work.lease_ms
        claims = await self._work.database.write(
            lambda transaction: transaction.leases.claim(holder, room, lease_ms)
        )
        for claim in claims:
            self._held[claim.execution_id] = claim.epoch
            self._forget_sent(claim.execution_id)
            message = Claim(
                execution_id=claim.execution_id,
                epoch=claim.epoch,
                version=claim.version,
                attempt_secret=claim.secret,
                project=claim.project,
                domain=claim.domain,
            )
            self._send(WorkResponse(claim=message))
        if len(claims) == _CLAIMS_AT_ONCE:
            self._work.bell.ring(CLAIMABLE)
        return {claim.execution_id for claim in claims}

    async def _push_inbox(self, wanted: Iterable[str], *, again: bool) -> None:
        """Sends what waits for these executions: all of it, or only what was not sent yet."""
        ids = sorted(wanted)
        if not ids or self._unread():
            return
        rows = await self._work.database.read(lambda transaction: transaction.leases.inbox(ids))
        found: dict[str, list[InboxRow]] = {}
        for row in rows:
            if row.execution_id in self._held and (
                again or row.sequence > self._sent.get(row.execution_id, 0)
            ):
                message = InboxRow(sequence=row.sequence, event=Event.FromString(row.event))
                found.setdefault(row.execution_id, []).append(message)
                self._sent[row.execution_id] = max(row.sequence, self._sent.get(row.execution_id, 0))
        for execution_id, messages in found.items():
            self._send_rows(execution_id, messages)

    def _take(self, execution_id: str, row: InboxRow | None, *, soon: bool) -> bool:
        """See `bells.Take`. What follows on what was sent need not be read."""
        if execution_id not in self._held:
            return True
        if self._unread():
            return False
        sent = self._sent.get(execution_id, 0)
        rows = [each for each in self._told.pop(execution_id, ()) if each.sequence > sent]
        if row is not None:
            rows.append(row)
        if any(each.sequence != number for number, each in enumerate(rows, sent + 1)):
            return False
        if soon:
            self._told[execution_id] = rows
        elif rows:
            self._sent[execution_id] = rows[-1].sequence
            self._send_rows(execution_id, rows)
        return True

    def _send_rows(self, execution_id: str, rows: Iterable[InboxRow]) -> None:
        for part in _parts(rows, InboxRow.ByteSize):
            self._send(WorkResponse(inbox=InboxRows(execution_id=execution_id, rows=part)))

    def _forget_sent(self, execution_id: str) -> None:
        self._sent.pop(execution_id, None)
        self._told.pop(execution_id, None)

    async def _heartbeat(self, heartbeat: Heartbeat) -> None:
        held = [(one.execution_id, one.epoch) for one in heartbeat.executions]
        holder, lease_ms = self.propeller_id, self._work.lease_ms
        lost = await self._work.database.write(
            lambda transaction: transaction.leases.renew(holder, held, lease_ms)
        )
        for execution_id in lost:
            self._drop(execution_id)
        self._send(WorkResponse(heartbeat=HeartbeatResult(lost_execution_ids=lost)))

    async def _commit(self, commit: Commit) -> None:
        try:
            result = await self._work.commits.commit(self.propeller_id, commit)
        except Exception as error:  # noqa: BLE001 - it ends the stream, where it is translated
            self._failure = error
            self._outgoing.put_nowait(None)
            return
        self._send(WorkResponse(commit=result))
        for part, answer in zip(commit.executions, result.executions, strict=True):
            if answer.status == COMMIT_STATUS_CONFLICT:
                self._forget_sent(part.execution_id)
                self._work.bell.ring(part.execution_id)
            elif answer.status == COMMIT_STATUS_FENCED or part.status.phase in ENDED:
                self._drop(part.execution_id, part.epoch)

    def _drop(self, execution_id: str, epoch: int = 0) -> None:
        """Forgets an execution, which makes room for another; a claim newer than `epoch` stays."""
        if epoch and self._held.get(execution_id, 0) > epoch:
            return
        self._forget_sent(execution_id)
        full = len(self._held) >= self._capacity
        if self._held.pop(execution_id, None) is not None and full:
            self._work.bell.ring(CLAIMABLE)


def _without_nodes(template: bytes) -> tuple[LoadResponse, list[Node]]:
    """A compiled workflow without its nodes, and those."""
    first = LoadResponse()
    first.workflow.MergeFromString(template)
    nodes = list(first.workflow.workflow.nodes)
    first.workflow.workflow.ClearField("nodes")
    return first, nodes


def _hello(request: WorkRequest | None) -> Hello:
    if request is None or not 0 < len(request.hello.propeller_id) <= _LONGEST_ID:
        raise errors.UsageError(
            f"the first message is no Hello with a propeller_id of 1 to {_LONGEST_ID} characters",
            where="hello.propeller_id",
            code="InvalidRequest",
        )
    if request.hello.protocol != _PROTOCOL:
        raise errors.StateConflict(
            f"the propeller speaks version {request.hello.protocol} of the protocol, and this server {_PROTOCOL}",
            where="hello.protocol",
            hint="run the same release of typedflow on both sides",
            code="ProtocolMismatch",
        )
    if len(request.hello.executor_id) > _LONGEST_ID:
        raise errors.UsageError(
            f"an executor's id has at most {_LONGEST_ID} characters",
            where="hello.executor_id",
            code="InvalidRequest",
        )
    return request.hello


def _parts(items: Iterable[T], size_of: Callable[[T], int]) -> Iterator[list[T]]:
    """The items in parts of at most 1 MiB, or of one item."""
    part: list[T] = []
    size = 0
    for item in items:
        if part and size + size_of(item) > _PART_BYTES:
            yield part
            part, size = [], 0
        part.append(item)
        size += size_of(item)
    if part:
        yield part
