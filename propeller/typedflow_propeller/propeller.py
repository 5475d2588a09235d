"""The propeller: one stream to admin, a reconciler for each execution that it claims, an executor for what they start.

It holds nothing that can't be had again. When the stream breaks it says Hello anew, loads what it held and goes on;
leases that ended meanwhile are found out by heartbeats and fenced commits. Attempts go on through all of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import grpc

from typedflow import errors, rpc
from typedflow.dataplane import objects
from typedflow.pb import events_pb2, propeller_pb2, workflows_pb2
from typedflow_propeller import admin_client, backoff, batches, executor, lease, reconciler

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CAPACITY = 1_000
_PROTOCOL = 1
_COMMIT_BYTES = 8 * 1024 * 1024
_LARGEST_COMMIT = rpc.MAX_MESSAGE_BYTES - 64 * 1024
_QUESTIONS = 64  # an entry may have a MiB of outputs, and an answer has 96 MiB at most
_GOODBYE_S = 1.0
_STEADY_S = 5.0  # a stream that breaks after so long is not in a row with those before it
_ANSWER_S = 60.0
_OUTGOING = 1_000  # messages that wait to be sent; whoever has more waits too


def clock_us() -> int:
    """The time, in microseconds since 1970."""
    return time.time_ns() // 1_000


class Propeller:
    """See the module.

    Args:
        admin: the client whose server hands out executions; whoever made it closes it.
        executor: runs attempts; closed when `run` ends.
        store_url: the object store, for values that are too large to travel.
        id_prefix: what its id begins with; the rest is new for each process.
        now_us: the clock of events, in microseconds since 1970.
    """

    def __init__(
        self,
        admin: admin_client.AdminClient,
        executor: executor.Executor,
        *,
        store_url: str,
        id_prefix: str = "",
        now_us: Callable[[], int] = clock_us,
    ) -> None:
        self.id = f"{id_prefix}{secrets.token_hex(8)}"
        self._admin = admin
        self._executor = executor
        self._store = objects.open_store(store_url)
        self._now_us = now_us

    async def run(self) -> None:
        """Until it is cancelled; then it ends the attempts that it started, and gives up its leases.

        Raises:
            PermissionDenied: admin does not accept the token.
        """
        claims: list[propeller_pb2.Claim] = []
        try:
            await self._executor.recover()
            while True:
                claims = await self._stay_connected(claims)
        finally:
            await self._executor.close()

    async def _stay_connected(self, claims: list[propeller_pb2.Claim]) -> list[propeller_pb2.Claim]:
        """Says Hello again whenever the stream breaks, until one has lasted; gives what is held then.

        A server whose database is away welcomes a propeller and breaks its stream with the first claim: it is no reason
        to come back at once.
        """
        loop = asyncio.get_running_loop()
        for pause in backoff.pauses():
            stream, began = _Stream(self, claims), loop.time()
            try:
                await stream.run()
            except errors.PermissionDenied:
                raise
            except errors.TypedflowError as error:
                _log.warning("the connection to admin is lost, will try again: %s", error)
            claims = stream.held
            if loop.time() - began > _STEADY_S:
                return claims
            await asyncio.sleep(pause)
        raise AssertionError("pauses() does not end")


class _Stream:
    """One `Propeller.Work` stream, and what is held through it."""

    def __init__(self, propeller: Propeller, claims: list[propeller_pb2.Claim]) -> None:
        self.welcomed = False
        self.held = claims
        self.executor = propeller._executor  # noqa: SLF001 - a part of it
        self.store = propeller._store  # noqa: SLF001
        self.now_us = propeller._now_us  # noqa: SLF001
        self.lease = lease.Lease()
        self._id = propeller.id
        self._admin = propeller._admin  # noqa: SLF001
        self._reconcilers: dict[str, tuple[reconciler.Reconciler, asyncio.Task[None]]] = {}
        self._logs: dict[str, asyncio.Task[None]] = {}
        self._inquiries: set[asyncio.Task[None]] = set()
        self._outgoing: asyncio.Queue[propeller_pb2.WorkRequest | None] = asyncio.Queue(_OUTGOING)
        self._commit_id = 0
        self._commits: dict[int, asyncio.Future[Sequence[propeller_pb2.ExecutionCommitResult]]] = {}
        self._committer: batches.Batches[
            propeller_pb2.ExecutionCommit, propeller_pb2.CommitStatus.ValueType
        ] = batches.Batches(self._send_commit, size=lambda commit: commit.ByteSize(), limit=_COMMIT_BYTES)
        self._questions: batches.Batches[propeller_pb2.CacheQuestion, propeller_pb2.CacheAnswer] = (
            batches.Batches(self._admin.check_cache, size=lambda _: 1, limit=_QUESTIONS)
        )

    # What reconcilers ask for: see `doors.Doors`.

    def in_thread(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.to_thread(work)

    async def load(self, execution_id: str) -> tuple[workflows_pb2.CompiledWorkflow, list[events_pb2.Event]]:
        return await self._admin.load(execution_id)

    def check_cache(self, question: propeller_pb2.CacheQuestion) -> asyncio.Future[propeller_pb2.CacheAnswer]:
        return self._questions.put(question)

    def commit(
        self, commit: propeller_pb2.ExecutionCommit
    ) -> asyncio.Future[propeller_pb2.CommitStatus.ValueType]:
        # It would end the stream, and with it the driving of all the others, again and again.
        if (size := commit.ByteSize()) > _LARGEST_COMMIT:
            raise errors.UsageError(
                f"one thing in a commit has {size:,} bytes, and a message takes {_LARGEST_COMMIT:,}",
                where=commit.execution_id,
            )
        return self._committer.put(commit)

    async def launch_child(
        self, request: propeller_pb2.LaunchChildRequest
    ) -> propeller_pb2.LaunchChildResponse:
        return await self._admin.launch_child(request)

    async def abort_child(self, request: propeller_pb2.AbortChildRequest) -> None:
        await self._admin.abort_child(request)

    # The stream.

    async def run(self) -> None:
        """Until the stream breaks. Raises the error that it broke with; when it is cancelled it says goodbye."""
        call = self._admin.work()
        hello = propeller_pb2.Hello(
            propeller_id=self._id, capacity=_CAPACITY, protocol=_PROTOCOL, executor_id=self.executor.id
        )
        self._outgoing.put_nowait(propeller_pb2.WorkRequest(hello=hello))
        beating = asyncio.create_task(self._beat())
        transfers = [asyncio.create_task(self._read(call)), asyncio.create_task(self._write(call))]
        try:
            done, _ = await asyncio.wait([*transfers, beating], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except grpc.aio.AioRpcError as failure:
            raise self._admin.error_from(failure) from None
        except asyncio.CancelledError:
            await self._drop_all([beating])
            await self._outgoing.put(None)  # a transfer that is cancelled would break the stream
            await asyncio.wait(transfers[:1], timeout=_GOODBYE_S)
            raise
        finally:
            await self._drop_all([beating, *transfers])
            call.cancel()

    async def _read(self, call: admin_client.WorkStream) -> None:
        while True:
            response = await call.read()
            if response is grpc.aio.EOF:
                raise errors.ServerUnreachable("admin ended the stream")
            assert isinstance(response, propeller_pb2.WorkResponse)
            self._take(response)

    async def _write(self, call: admin_client.WorkStream) -> None:
        """Sends what goes up. None is the goodbye: our side closes, on which admin gives up our leases and ends."""
        while (request := await self._outgoing.get()) is not None:
            await call.write(request)
        await call.done_writing()
        await asyncio.get_running_loop().create_future()  # the end is for the reader to see

    def _take(self, response: propeller_pb2.WorkResponse) -> None:
        match response.WhichOneof("message"):
            case "welcome":
                self.lease.begin(response.welcome.lease_ms / 1_000)
                self.welcomed = True
                for claim in self.held:
                    self._claim(claim)
            case "claim":
                self._claim(response.claim)
            case "inbox":
                self._deliver(response.inbox)
            case "commit":
                committed = self._commits.pop(response.commit.id, None)
                if committed is not None and not committed.done():
                    committed.set_result(response.commit.executions)
            case "heartbeat":
                self.lease.answered()
                for execution_id in response.heartbeat.lost_execution_ids:
                    self._drop(execution_id)
            case "log":
                self._wish(response.log)
            case "inquiry":
                self._ask(response.inquiry)
            case None:
                _log.info("admin says something that this version does not know")

    async def _beat(self) -> None:
        """Renews the leases, three times in each."""
        await self.lease.begun.wait()
        while True:
            held = [
                propeller_pb2.HeldExecution(execution_id=execution_id, epoch=each.claim.epoch)
                for execution_id, (each, _) in self._reconcilers.items()
            ]
            self.lease.sent()
            heartbeat = propeller_pb2.Heartbeat(executions=held)
            await self._outgoing.put(propeller_pb2.WorkRequest(heartbeat=heartbeat))
            await asyncio.sleep(self.lease.length_s / 3)

    async def _send_commit(
        self, commits: Sequence[propeller_pb2.ExecutionCommit]
    ) -> list[propeller_pb2.CommitStatus.ValueType]:
        self._commit_id += 1
        answer = self._commits[self._commit_id] = asyncio.get_running_loop().create_future()
        request = propeller_pb2.Commit(id=self._commit_id, executions=commits)
        await self._outgoing.put(propeller_pb2.WorkRequest(commit=request))
        try:
            async with asyncio.timeout(_ANSWER_S):
                return [each.status for each in await answer]
        except TimeoutError:
            self._commits.pop(request.id, None)
            raise errors.ServerUnreachable("admin does not answer a commit") from None

    # Executions.

    def _claim(self, claim: propeller_pb2.Claim) -> None:
        self._drop(claim.execution_id)
        driver = reconciler.Reconciler(claim, self)
        task = asyncio.create_task(self._drive(driver))
        self._reconcilers[claim.execution_id] = (driver, task)

    async def _drive(self, driver: reconciler.Reconciler) -> None:
        """An execution that can't be driven is let go: without heartbeats its lease ends, and it is claimed again."""
        execution_id = driver.claim.execution_id
        try:
            await driver.run()
        except Exception:  # noqa: BLE001 - one execution's trouble must not touch the others
            _log.exception("execution %s can't be driven; it is let go", execution_id)
        held = self._reconcilers.get(execution_id)
        if held is not None and held[0] is driver:
            del self._reconcilers[execution_id]

    def _deliver(self, inbox: propeller_pb2.InboxRows) -> None:
        held = self._reconcilers.get(inbox.execution_id)
        if held is not None:
            held[0].deliver(inbox.rows)

    def _drop(self, execution_id: str) -> None:
        held = self._reconcilers.pop(execution_id, None)
        if held is not None:
            held[1].cancel()

    async def _drop_all(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        if self.welcomed:
            self.held = [driver.claim for driver, _ in self._reconcilers.values()]
        driving = [task for _, task in self._reconcilers.values()]
        ending = [*tasks, *driving, *self._logs.values(), *self._inquiries]
        self._committer.close()
        self._questions.close()
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)

    # Attempts of executions that others drive.

    def _ask(self, inquiry: propeller_pb2.AttemptInquiry) -> None:
        asking = asyncio.create_task(self._inquire(inquiry))
        self._inquiries.add(asking)
        asking.add_done_callback(self._inquiries.discard)

    async def _inquire(self, inquiry: propeller_pb2.AttemptInquiry) -> None:
        try:
            await self.executor.inquire(inquiry)
        except Exception:  # noqa: BLE001 - one attempt's trouble must not touch the others; it is asked again
            id_ = inquiry.attempt
            _log.exception(
                "what became of attempt %d of %s/%s is not known", id_.attempt, id_.execution_id, id_.node
            )

    # Logs.

    def _wish(self, wish: propeller_pb2.LogWish) -> None:
        if wish.cancel:
            reading = self._logs.pop(wish.id, None)
            if reading is not None:
                reading.cancel()
        elif wish.id not in self._logs:
            reading = self._logs[wish.id] = asyncio.create_task(self._read_log(wish))
            reading.add_done_callback(lambda _: self._logs.pop(wish.id, None))

    async def _read_log(self, wish: propeller_pb2.LogWish) -> None:
        last = propeller_pb2.LogChunk(wish_id=wish.id, last=True)
        left = wish.limit or sys.maxsize
        log = self.executor.read_log(wish.attempt, follow=wish.follow, offset=wish.offset)
        try:
            async with contextlib.aclosing(log) as pieces:
                async for piece in pieces:
                    chunk = propeller_pb2.LogChunk(wish_id=wish.id, data=piece.data)
                    await self._outgoing.put(propeller_pb2.WorkRequest(log=chunk))
                    left -= len(chunk.data)
                    if left <= 0:
                        last.more, last.next = True, piece.next
                        break
        except errors.TypedflowError as error:
            last.error = str(error)
        except OSError as error:
            last.error = f"the log can't be read: {error.strerror}"
        await self._outgoing.put(propeller_pb2.WorkRequest(log=last))
