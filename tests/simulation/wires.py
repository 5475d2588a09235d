"""Streams and calls between a propeller and admin: in order within a stream, otherwise late, cut, and in any order."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import grpc

from typedflow import errors
from typedflow.pb import attempt_pb2, events_pb2, propeller_pb2, workflows_pb2

if TYPE_CHECKING:
    from tests.simulation.admin import Row
    from tests.simulation.world import World

_LOOK_AGAIN_S = 1.0
_GOODBYE_S = 0.25
_MOST_CLAIMS = 100


class Link:
    """A machine's way to admin. While it is cut nothing gets through, and nobody is told."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.cut_until = 0.0

    def is_cut(self) -> bool:
        return self._world.loop.time() < self.cut_until


class Pipe:
    """One direction of a stream: messages arrive in order, each some time after it was sent."""

    def __init__(self, world: "World", link: Link, arrived: Callable[[Any], None], context: Any) -> None:
        self._world = world
        self._link = link
        self._arrived = arrived
        self._context = context
        self._sent: deque[Any] = deque()
        self._last = 0.0
        self.is_broken = False

    def send(self, message: object) -> None:
        if self.is_broken:
            return
        loop = self._world.loop
        # A stream that is cut goes on where it was, as TCP does.
        self._last = max(self._last, loop.time() + self._world.latency(), self._link.cut_until)
        self._sent.append(message)
        loop.call_at(self._last, self._deliver, context=self._context)

    def _deliver(self) -> None:
        if not self.is_broken:
            self._arrived(self._sent.popleft())


class Connection:
    """A propeller's stream, as the propeller sees it: what `AdminClient.work` gives."""

    def __init__(self, world: "World", link: Link) -> None:
        self._world = world
        self._link = link
        loop = world.loop
        self._inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._session: Session | None = None
        self.is_broken = False
        self.process = world.current_process()
        self.down = Pipe(world, link, self._inbox.put_nowait, loop.inside(self.process))
        self.up = Pipe(world, link, self._receive, loop.inside(world.admin.process))
        self.process.when_killed.append(self.break_off)
        world.admin.process.when_killed.append(self.break_off)
        if not world.admin.is_up:
            self.break_off()

    # The propeller's side.

    async def read(self) -> Any:
        if self.is_broken:
            raise _broken()
        message = await self._inbox.get()
        if message is None:
            raise _broken()
        return message

    async def write(self, request: propeller_pb2.WorkRequest) -> None:
        if self.is_broken:
            raise _broken()
        if request.HasField("commit"):
            self._world.passes("commit_sent")
        self.up.send(request)

    async def done_writing(self) -> None:
        self.up.send(None)

    def cancel(self) -> None:
        self.break_off()

    # The world's side.

    def break_off(self) -> None:
        """Neither side gets anything more; admin sees that some time later."""
        if self.is_broken:
            return
        self.is_broken = self.up.is_broken = self.down.is_broken = True
        self._inbox.put_nowait(None)
        if self._session is not None:
            world = self._world
            world.admin.soon(world.chance.random() * world.lease_s, self._session.end)

    def _receive(self, request: propeller_pb2.WorkRequest | None) -> None:
        """In admin's process."""
        if request is not None and request.HasField("hello"):
            self._session = Session(self._world, self, request.hello)
        elif self._session is not None:
            self._session.take(request)


class Session:
    """A propeller's stream, as admin sees it."""

    def __init__(self, world: "World", connection: Connection, hello: propeller_pb2.Hello) -> None:
        self._world = world
        self._admin = world.admin
        self.connection = connection
        self.propeller_id = hello.propeller_id
        self._executor_id = hello.executor_id
        self._heard_at = world.loop.time()
        self._held = {
            row.id: row.epoch for row in self._admin.rows.values() if row.holder == self.propeller_id
        }
        self._sent: dict[str, int] = {}
        self._latest: dict[str, Sequence[propeller_pb2.InboxRow]] = {}
        self._read: deque[tuple[str, Sequence[propeller_pb2.InboxRow]]] = deque()
        self._pushed_at = 0.0
        self._pushing: set[str] = set()
        self._claiming = False
        self._leaving = False
        before = self._admin.sessions.get(self.propeller_id)
        if before is not None:
            before.connection.break_off()
        self._admin.sessions[self.propeller_id] = self
        self._admin.hear(self._executor_id)
        self._send(welcome=propeller_pb2.Welcome(lease_ms=round(world.lease_s * 1_000)))
        self._look_again()

    @property
    def _is_current(self) -> bool:
        return self._admin.sessions.get(self.propeller_id) is self

    def end(self) -> None:
        if self._is_current:
            del self._admin.sessions[self.propeller_id]

    def take(self, request: propeller_pb2.WorkRequest | None) -> None:
        """What came up."""
        if request is None:
            self._leaving = True
            self._admin.soon(_GOODBYE_S, self._say_goodbye)
            return
        self._heard_at = self._world.loop.time()
        self._admin.hear(self._executor_id)
        delay = self._world.store_delay()
        if request.HasField("heartbeat"):
            self._admin.soon(delay, self._renew, request.heartbeat)
        elif request.HasField("commit"):
            self._admin.soon(delay, self._commit, request.commit)

    def push_soon(self, execution_id: str) -> None:
        if execution_id not in self._pushing:
            self._pushing.add(execution_id)
            self._admin.soon(self._world.store_delay(), self._push, execution_id, False)

    def inquire(self, executor_id: str, inquiry: propeller_pb2.AttemptInquiry) -> None:
        if executor_id == self._executor_id:
            self._send(inquiry=inquiry)

    def claim_soon(self) -> None:
        if not self._claiming:
            self._claiming = True
            self._admin.soon(self._world.store_delay(), self._claim)

    def repeat(self) -> None:
        """Sends what was sent last once more, consumed or not, and all that waits."""
        for execution_id in list(self._held):
            if execution_id in self._latest:
                self._send_rows(execution_id, self._latest[execution_id])
            self._push(execution_id, True)

    def _send(self, **message: Any) -> None:
        self.connection.down.send(propeller_pb2.WorkResponse(**message))

    def _look_again(self) -> None:
        if not self._is_current:
            return
        self._claim()
        for execution_id in list(self._held):
            self._push(execution_id, True)
        self._admin.soon(_LOOK_AGAIN_S, self._look_again)

    def _claim(self) -> None:
        self._claiming = False
        silent = self._world.loop.time() - self._heard_at > self._world.lease_s
        if silent or self._leaving or not self._is_current or self._world.is_store_full():
            return
        for row in self._admin.claim(self.propeller_id, _MOST_CLAIMS):
            self._held[row.id] = row.epoch
            self._sent.pop(row.id, None)
            claim = propeller_pb2.Claim(
                execution_id=row.id,
                epoch=row.epoch,
                version=len(row.journal),
                attempt_secret=self._world.secret,
                project="p",
                domain="d",
            )
            self._send(claim=claim)
            self._push(row.id, True)

    def _push(self, execution_id: str, again: bool) -> None:
        self._pushing.discard(execution_id)
        row: Row = self._admin.rows[execution_id]
        if execution_id not in self._held or not row.inbox:
            return
        begin = 0 if again else self._sent.get(execution_id, 0)
        rows = [
            propeller_pb2.InboxRow(sequence=sequence, event=events_pb2.Event.FromString(event))
            for sequence, event in row.inbox.items()
            if sequence > begin
        ]
        if rows:
            self._sent[execution_id] = rows[-1].sequence
            # What was read is sent a little later: a commit may have consumed it meanwhile, and have been answered.
            # One is read and sent after the other, so they stay in order.
            now = self._world.loop.time()
            self._pushed_at = max(self._pushed_at, now + self._world.store_delay())
            self._read.append((execution_id, rows))
            self._admin.soon(self._pushed_at - now, lambda: self._send_rows(*self._read.popleft()))

    def _send_rows(self, execution_id: str, rows: Sequence[propeller_pb2.InboxRow]) -> None:
        self._latest[execution_id] = rows
        self._send(inbox=propeller_pb2.InboxRows(execution_id=execution_id, rows=rows))

    def _renew(self, heartbeat: propeller_pb2.Heartbeat) -> None:
        if self._world.is_store_full():
            self.connection.break_off()
            return
        lost = self._admin.renew(self.propeller_id, heartbeat.executions)
        for execution_id in lost:
            self._drop(execution_id)
        self._send(heartbeat=propeller_pb2.HeartbeatResult(lost_execution_ids=lost))

    def _commit(self, commit: propeller_pb2.Commit) -> None:
        if self._world.is_store_full():
            self.connection.break_off()
            return
        results = []
        for part in commit.executions:
            status = self._admin.apply(self, part)
            results.append(propeller_pb2.ExecutionCommitResult(execution_id=part.execution_id, status=status))
        self._world.passes("commit_applied", self.connection.process)
        self._send(commit=propeller_pb2.CommitResult(id=commit.id, executions=results))
        for part, result in zip(commit.executions, results, strict=True):
            row = self._admin.rows[part.execution_id]
            if result.status == propeller_pb2.COMMIT_STATUS_CONFLICT:
                self._sent.pop(part.execution_id, None)
                self.push_soon(part.execution_id)
            is_over = result.status == propeller_pb2.COMMIT_STATUS_FENCED or row.ended
            if is_over and self._held.get(part.execution_id, 0) <= part.epoch:
                self._drop(part.execution_id)

    def _drop(self, execution_id: str) -> None:
        self._held.pop(execution_id, None)
        self._sent.pop(execution_id, None)

    def _say_goodbye(self) -> None:
        if self._is_current:
            self._admin.release(self.propeller_id)
            self.end()


class AdminClient:
    """Stands where the propeller's client of admin stands."""

    def __init__(self, world: "World", link: Link) -> None:
        self._world = world
        self._link = link

    def work(self) -> Any:
        return Connection(self._world, self._link)

    def error_from(self, failure: grpc.aio.AioRpcError) -> Exception:
        return errors.ServerUnreachable(str(failure.details()))

    async def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        return await self._call(lambda: self._world.admin.load(execution_id))  # type: ignore[no-any-return]

    async def check_cache(
        self, questions: Sequence[propeller_pb2.CacheQuestion]
    ) -> list[propeller_pb2.CacheAnswer]:
        return await self._call(lambda: self._world.admin.cache.check(questions))  # type: ignore[no-any-return]

    async def launch_child(
        self, request: propeller_pb2.LaunchChildRequest
    ) -> propeller_pb2.LaunchChildResponse:
        return await self._call(lambda: self._world.admin.children.launch(request))  # type: ignore[no-any-return]

    async def abort_child(self, request: propeller_pb2.AbortChildRequest) -> None:
        await self._call(lambda: self._world.admin.children.abort(request))

    async def begin(self, request: attempt_pb2.BeginRequest) -> attempt_pb2.BeginResponse:
        return await self._call(lambda: self._world.admin.begin(request))  # type: ignore[no-any-return]

    async def finish(self, request: attempt_pb2.FinishRequest) -> None:
        await self._call(lambda: self._world.admin.finish(request))

    def _call(self, do: Callable[[], Any]) -> Any:
        return self._world.admin.call(self._link, do)


def _broken() -> grpc.aio.AioRpcError:
    nothing = grpc.aio.Metadata()
    return grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, nothing, nothing, "the stream broke")
