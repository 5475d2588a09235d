"""What is said between a propeller, its attempts and the control plane, spoken by hand."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

import grpc
import pytest
from typedflow_admin import attempts

from typedflow import errors, literal_types, literals, rpc
from typedflow.pb import (
    attempt_pb2,
    attempt_pb2_grpc,
    catalog_pb2,
    data_pb2,
    errors_pb2,
    events_pb2,
    executions_pb2,
    literals_pb2,
    propeller_pb2,
    propeller_pb2_grpc,
)

OK = propeller_pb2.COMMIT_STATUS_OK
CONFLICT = propeller_pb2.COMMIT_STATUS_CONFLICT
FENCED = propeller_pb2.COMMIT_STATUS_FENCED


class Propeller:
    """One stream, driven by a test."""

    def __init__(
        self, channel: grpc.aio.Channel, token: str, name: str, capacity: int, executor_id: str = ""
    ) -> None:
        self.metadata = (("authorization", f"Bearer {token}"),)
        self.stub = propeller_pb2_grpc.PropellerStub(channel)
        self.attempts = attempt_pb2_grpc.AttemptStub(channel)
        self.call = self.stub.Work(metadata=self.metadata)
        self.hello = propeller_pb2.Hello(
            propeller_id=name, capacity=capacity, protocol=1, executor_id=executor_id or f"{name}-executor"
        )
        self.seen: list[propeller_pb2.WorkResponse] = []

    async def send(self, **message: object) -> None:
        await self.call.write(propeller_pb2.WorkRequest(**message))  # type: ignore[arg-type]

    async def read(self) -> propeller_pb2.WorkResponse:
        """The next message, whatever it is; not the stream's end."""
        message = await self.call.read()
        assert isinstance(message, propeller_pb2.WorkResponse)
        return message

    async def next(self, kind: str, about: str = "") -> propeller_pb2.WorkResponse:
        """The next message of this kind, about this execution if one is named."""
        async with asyncio.timeout(20):
            while True:
                message = await self.read()
                body = getattr(message, kind)
                if message.WhichOneof("message") == kind and about in (getattr(body, "execution_id", ""), ""):
                    return message

    async def claim(self, execution_id: str) -> propeller_pb2.Claim:
        return (await self.next("claim", execution_id)).claim

    async def commit(self, *parts: propeller_pb2.ExecutionCommit) -> list[int]:
        await self.send(commit=propeller_pb2.Commit(id=7, executions=parts))
        return [part.status for part in (await self.next("commit")).commit.executions]

    async def load(self, execution_id: str) -> list[propeller_pb2.LoadResponse]:
        request = propeller_pb2.LoadRequest(execution_id=execution_id)
        return [part async for part in self.stub.Load(request, metadata=self.metadata)]


@contextlib.asynccontextmanager
async def propeller(
    admin, name: str, capacity: int = 1000, executor_id: str = ""
) -> AsyncIterator[Propeller]:
    """Says hello, and goodbye at the end."""
    async with grpc.aio.insecure_channel(admin.info.grpc) as channel:
        made = Propeller(channel, admin.info.token, f"{admin.project}-{name}", capacity, executor_id)
        await made.send(hello=made.hello)
        assert (await made.next("welcome")).welcome.lease_ms > 0
        yield made
        await made.call.done_writing()
        async with asyncio.timeout(20):
            while await made.call.read() is not grpc.aio.EOF:
                pass


def part(claim: propeller_pb2.Claim, version: int = 0, **changes: object) -> propeller_pb2.ExecutionCommit:
    if "events" not in changes:
        changes["events"] = [events_pb2.Event(schema=1, execution_started=events_pb2.ExecutionStarted())]
    return propeller_pb2.ExecutionCommit(
        execution_id=claim.execution_id,
        epoch=claim.epoch,
        expected_version=version,
        **changes,  # type: ignore[arg-type]
    )


@pytest.fixture
def launched(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    return admin.launch().id


def end(claim: propeller_pb2.Claim, version: int) -> propeller_pb2.ExecutionCommit:
    status = propeller_pb2.ExecutionStatus(phase=executions_pb2.PHASE_ABORTED, ended_at_us=5)
    return part(claim, version, status=status)


def test_e3_a_claim_brings_the_inbox_and_a_commit_moves_the_journal_on(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            assert (claim.epoch, claim.version, claim.project) == (1, 0, admin.project)
            rows = (await one.next("inbox", launched)).inbox.rows
            assert [row.event.WhichOneof("kind") for row in rows] == ["execution_started"]
            assert rows[0].event.execution_started.inputs == graph.ints(n=3)
            running = executions_pb2.NodeExecution(id="a", task="m.inc", phase=executions_pb2.PHASE_RUNNING)
            assert await one.commit(part(claim, consumed=[1], nodes=[running])) == [OK]
            loaded = await one.load(launched)
            assert not loaded[0].workflow.workflow.nodes
            assert [node.id for message in loaded for node in message.nodes] == ["a", "b"]
            assert [event.WhichOneof("kind") for message in loaded for event in message.events] == [
                "execution_started"
            ]
            nodes = admin.executions.ListNodes(executions_pb2.ListNodesRequest(execution_id=launched)).nodes
            assert [node.phase for node in nodes] == [
                executions_pb2.PHASE_RUNNING,
                executions_pb2.PHASE_QUEUED,
            ]
            assert await one.commit(end(claim, 1)) == [OK]

    asyncio.run(talk())
    ended = admin.executions.GetExecution(executions_pb2.GetExecutionRequest(execution_id=launched)).execution
    assert ended.phase == executions_pb2.PHASE_ABORTED


def test_e3_each_part_of_a_commit_succeeds_or_fails_alone(admin, launched):
    other = admin.launch().id

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claims = {claim.execution_id: claim for claim in [await one.claim(""), await one.claim("")]}
            mine, second = claims[launched], claims[other]
            stale = propeller_pb2.Claim(execution_id=other, epoch=second.epoch + 1)
            assert await one.commit(part(mine, 3), part(stale), part(second)) == [CONFLICT, FENCED, OK]
            assert await one.commit(part(second), part(mine), part(mine, 1)) == [CONFLICT, OK, OK]
            assert sum(len(message.events) for message in await one.load(launched)) == 2
            assert await one.commit(end(mine, 2), part(mine, 3), end(second, 1)) == [OK, FENCED, OK]

    asyncio.run(talk())


def test_e3_a_conflict_brings_the_inbox_again(admin, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.next("inbox", launched)
            assert await one.commit(part(claim, 4)) == [CONFLICT]
            assert (await one.next("inbox", launched)).inbox.rows[0].sequence == 1
            assert await one.commit(end(claim, 0)) == [OK]

    asyncio.run(talk())


def test_p5_a_goodbye_gives_up_the_leases_at_once(admin, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            assert (await one.claim(launched)).epoch == 1
        async with propeller(admin, "two") as two:
            claim = await two.claim(launched)
            assert claim.epoch == 2
            await two.commit(end(claim, 0))

    asyncio.run(talk())


def test_p5_a_propeller_that_comes_back_has_its_leases_still(admin, launched):
    async def talk() -> None:
        async with grpc.aio.insecure_channel(admin.info.grpc) as channel:
            broken = Propeller(channel, admin.info.token, f"{admin.project}-one", 10)
            await broken.send(hello=broken.hello)
            claim = await broken.claim(launched)
            broken.call.cancel()
        async with propeller(admin, "one") as back:
            held = propeller_pb2.HeldExecution(execution_id=launched, epoch=claim.epoch)
            await back.send(heartbeat=propeller_pb2.Heartbeat(executions=[held]))
            assert list((await back.next("heartbeat")).heartbeat.lost_execution_ids) == []
            assert await back.commit(part(claim)) == [OK]
            await back.commit(end(claim, 1))

    asyncio.run(talk())


def test_p5_a_goodbye_takes_nothing_from_a_propeller_that_is_back_already(admin, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            async with propeller(admin, "two") as two, propeller(admin, "one") as back:
                await one.call.done_writing()
                async with asyncio.timeout(20):
                    while await one.call.read() is not grpc.aio.EOF:
                        pass
                held = propeller_pb2.HeldExecution(execution_id=launched, epoch=claim.epoch)
                await back.send(heartbeat=propeller_pb2.Heartbeat(executions=[held]))
                assert list((await back.next("heartbeat")).heartbeat.lost_execution_ids) == []
                await back.commit(end(claim, 0))
                await two.send(heartbeat=propeller_pb2.Heartbeat())

    asyncio.run(talk())


def test_w4_an_inbox_that_is_long_comes_in_parts_and_in_order(admin, launched):
    reason = "r" * 4096
    for _ in range(300):
        admin.executions.AbortExecution(
            executions_pb2.AbortExecutionRequest(execution_id=launched, reason=reason)
        )

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            seen: list[int] = []
            while len(seen) < 301:
                inbox = (await one.next("inbox", launched)).inbox
                assert inbox.ByteSize() < 1024 * 1024 + 1024
                seen += [row.sequence for row in inbox.rows]
            assert seen == list(range(1, 302))
            await one.commit(end(claim, 0))

    asyncio.run(talk())


class TestShortLeases:
    """With leases that end while a test looks on."""

    @pytest.fixture
    def options(self, options):
        return dataclasses.replace(options, lease_ms=300)

    def test_e3_a_propeller_that_falls_silent_loses_its_executions_to_one_that_speaks(self, admin, launched):
        async def beat(speaking: Propeller) -> None:
            while True:
                await speaking.send(heartbeat=propeller_pb2.Heartbeat())
                await asyncio.sleep(0.05)

        async def talk() -> None:
            async with propeller(admin, "silent") as silent, propeller(admin, "speaking") as speaking:
                beating = asyncio.create_task(beat(speaking))
                # Whoever is given it first, the one that never names it in a heartbeat has no claim to it for long.
                claim = await speaking.claim(launched)
                while claim.epoch < 3:
                    claim = await speaking.claim(launched)
                assert await silent.commit(part(claim)) == [FENCED]
                beating.cancel()

        asyncio.run(talk())


def test_a_propeller_holds_no_more_than_it_has_room_for(admin, launched):
    other = admin.launch().id

    async def talk() -> None:
        async with propeller(admin, "one", capacity=1) as one:
            claim = await one.claim("")
            assert claim.execution_id == launched
            await one.commit(end(claim, 0))
            claim = await one.claim("")
            assert claim.execution_id == other
            await one.commit(end(claim, 0))

    asyncio.run(talk())


def test_a_heartbeat_names_what_is_lost(admin, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            held = [
                propeller_pb2.HeldExecution(execution_id=launched, epoch=epoch) for epoch in (claim.epoch, 99)
            ]
            await one.send(heartbeat=propeller_pb2.Heartbeat(executions=held[:1]))
            assert list((await one.next("heartbeat")).heartbeat.lost_execution_ids) == []
            await one.send(heartbeat=propeller_pb2.Heartbeat(executions=held[1:]))
            assert list((await one.next("heartbeat")).heartbeat.lost_execution_ids) == [launched]
            await one.commit(end(claim, 0))

    asyncio.run(talk())


def test_e12_an_abort_says_who_and_why(admin, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.next("inbox", launched)
            await one.commit(part(claim, consumed=[1]))
            await asyncio.to_thread(
                admin.executions.AbortExecution,
                executions_pb2.AbortExecutionRequest(execution_id=launched, reason="enough"),
            )
            rows = (await one.next("inbox", launched)).inbox.rows
            abort = rows[0].event.abort_requested
            asked = executions_pb2.GetExecutionRequest(execution_id=launched)
            launcher = admin.executions.GetExecution(asked).execution.principal
            assert (abort.reason, abort.principal) == ("enough", launcher)
            await one.commit(end(claim, 1))

    asyncio.run(talk())
    ended = admin.executions.AbortExecution(
        executions_pb2.AbortExecutionRequest(execution_id=launched)
    ).execution
    assert ended.phase == executions_pb2.PHASE_ABORTED


def begun(claim: propeller_pb2.Claim, uid: str = "uid-1", node: str = "a") -> attempt_pb2.BeginRequest:
    id_ = attempt_pb2.AttemptId(execution_id=claim.execution_id, node=node, attempt=1)
    token = attempts.token(claim.attempt_secret, id_)
    return attempt_pb2.BeginRequest(id=id_, token=token, runner_uid=uid, note="here")


def finished(begin: attempt_pb2.BeginRequest, **outcome: object) -> attempt_pb2.FinishRequest:
    return attempt_pb2.FinishRequest(
        id=begin.id,
        token=begin.token,
        runner_uid=begin.runner_uid,
        outcome=attempt_pb2.Outcome(**outcome),  # type: ignore[arg-type]
    )


async def refused(call) -> errors.TypedflowError:
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await call
    return rpc.error_from(failure.value)


def test_e3_one_runner_is_admitted_to_an_attempt(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            begin = begun(claim)
            assert isinstance(await refused(one.attempts.Begin(begin)), errors.PermissionDenied)
            spec = graph.spec(launched)
            await one.commit(part(claim, consumed=[1], attempts=[spec]))
            assert (await one.attempts.Begin(begin)).spec == spec
            rows = (await one.next("inbox", launched)).inbox.rows
            started = rows[-1].event.attempt_started
            assert (started.node, started.attempt, started.note) == ("a", 1, "here")
            assert (await one.attempts.Begin(begin)).spec == spec
            assert isinstance(await refused(one.attempts.Begin(begun(claim, "uid-2"))), errors.StateConflict)
            wrong = begun(claim)
            for wrong.token in ("0" * 64, "", "\N{GRINNING FACE}"):
                assert isinstance(await refused(one.attempts.Begin(wrong)), errors.PermissionDenied)
            await one.commit(end(claim, 1))
            assert isinstance(await refused(one.attempts.Begin(begun(claim, "uid-2"))), errors.StateConflict)

    asyncio.run(talk())


def test_e3_an_attempt_is_not_given_up_while_its_executor_is_there(admin, graph, launched):
    lost = errors_pb2.ExecutionError(code="WorkerLost")
    outputs = literals.as_map({"o0": literals.from_int(4)})

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]))
            mine, other = begun(claim), begun(claim, "uid-2")
            mine.executor_id = one.hello.executor_id
            await one.attempts.Begin(mine)
            for call in (one.attempts.Begin(other), one.attempts.Finish(finished(other, error=lost))):
                assert (await refused(call)).code == "AttemptTaken"
            await one.attempts.Finish(finished(mine, outputs=outputs))
            assert (await refused(one.attempts.Begin(other))).code == "AttemptEnded"
            for outcome in ({"error": lost}, {"outputs": outputs}):
                assert (await refused(one.attempts.Finish(finished(other, **outcome)))).code == "NotAdmitted"

    asyncio.run(talk())


def test_e4_an_outcome_counts_once_with_its_cache_entry(admin, graph, launched):
    outputs = literals.as_map({"o0": literals.from_int(4)})
    usage = catalog_pb2.Usage(wall_seconds=2.5)

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]))
            begin = begun(claim)
            early = await refused(one.attempts.Finish(finished(begin, outputs=outputs)))
            assert isinstance(early, errors.StateConflict)
            await one.attempts.Begin(begin)
            for unfit in (
                {},
                {"o0": literals.from_str("4")},
                {"o0": literals.from_none()},
                {"o1": literals.from_int(4)},
            ):
                error = await refused(one.attempts.Finish(finished(begin, outputs=literals.as_map(unfit))))
                assert isinstance(error, errors.UsageError)
                assert error.where == "outcome.outputs"
            for _ in range(2):
                await one.attempts.Finish(finished(begin, outputs=outputs, usage=usage))
            late = errors_pb2.ExecutionError(code="Late")
            await one.attempts.Finish(finished(begin, error=late))
            async with asyncio.timeout(20):
                while len(rows := (await one.next("inbox", launched)).inbox.rows) < 2:
                    pass
            assert [row.event.WhichOneof("kind") for row in rows] == ["attempt_started", "attempt_succeeded"]
            succeeded = rows[1].event.attempt_succeeded
            assert (succeeded.outputs, succeeded.cache) == (outputs, catalog_pb2.CACHE_STATUS_POPULATED)
            assert isinstance(await refused(one.attempts.Begin(begin)), errors.StateConflict)
            await one.commit(end(claim, 1))

    asyncio.run(talk())
    key = f"b3:{launched}-a"
    results = admin.catalog.Lookup(catalog_pb2.LookupRequest(keys=["b3:absent", key])).results
    assert [result.reason for result in results] == ["absent", ""]
    entry = results[1].entry
    assert (entry.execution_id, entry.node, entry.outputs, entry.usage) == (launched, "a", outputs, usage)
    listed = admin.catalog.ListEntries(catalog_pb2.ListEntriesRequest(task="m.inc", page_size=1))
    assert listed.entries[0].key == key
    assert not listed.entries[0].HasField("outputs")


def test_c8_only_a_success_is_cached(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]))
            # Nobody was admitted: whoever has the token may say that it failed.
            await one.attempts.Finish(
                finished(begun(claim), error=errors_pb2.ExecutionError(code="WorkerLost"))
            )
            rows = (await one.next("inbox", launched)).inbox.rows
            assert rows[-1].event.attempt_failed.error.code == "WorkerLost"
            await one.commit(end(claim, 1))

    asyncio.run(talk())
    results = admin.catalog.Lookup(catalog_pb2.LookupRequest(keys=[f"b3:{launched}-a"])).results
    assert [result.reason for result in results] == ["absent"]


def test_d2_an_output_that_is_too_large_to_travel_inline_is_refused(admin, graph, launched):
    large = literals.from_list(literals.integers([2**62] * 200_000))

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            spec = graph.spec(launched)
            spec.interface.outputs[0].type.CopyFrom(literal_types.list_of(literal_types.INT))
            await one.commit(part(claim, consumed=[1], attempts=[spec]))
            begin = begun(claim)
            await one.attempts.Begin(begin)
            outputs = literals.as_map({"o0": large})
            error = await refused(one.attempts.Finish(finished(begin, outputs=outputs)))
            assert "travels by reference" in str(error)

    asyncio.run(talk())


def test_c6_an_entry_whose_bytes_are_gone_is_stale(admin, graph, launched):
    kept, gone, foreign = [
        admin.data.PutValue(iter([data_pb2.PutValueRequest(project="p", data=data)])).blob
        for data in (b"kept", b"gone", b"other")
    ]
    (admin.home / "objects" / gone.uri).unlink()
    foreign.uri = "s3://elsewhere/object"

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            blobs = {"a": kept, "b": gone, "c": foreign}
            specs = [graph.spec(launched, node) for node in blobs]
            for spec in specs:
                spec.interface.outputs[0].type.CopyFrom(literal_types.file())
            await one.commit(part(claim, consumed=[1], attempts=specs))
            for node, blob in blobs.items():
                begin = begun(claim, node=node)
                await one.attempts.Begin(begin)
                value = literals_pb2.Literal(file=literals_pb2.File(blob=blob))
                await one.attempts.Finish(finished(begin, outputs=literals.as_map({"o0": value})))
            await one.commit(end(claim, 1))

    asyncio.run(talk())
    keys = [f"b3:{launched}-{node}" for node in "abc"]
    results = admin.catalog.Lookup(catalog_pb2.LookupRequest(keys=keys)).results
    assert [result.reason for result in results] == ["", "stale", "stale"]
    assert results[0].entry.outputs.values[0].value.file.blob == kept


def test_logs_come_through_the_propeller_that_has_them(admin, graph, launched):
    request = executions_pb2.ReadLogsRequest(execution_id=launched, node="a", follow=True)

    async def talk() -> list[executions_pb2.ReadLogsResponse]:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]))
            reading = asyncio.create_task(asyncio.to_thread(lambda: list(admin.executions.ReadLogs(request))))
            wish = (await one.next("log")).log
            assert (wish.attempt.node, wish.attempt.attempt, wish.follow) == ("a", 1, True)
            for data, last in ((b"one\n", False), (b"two\n", True)):
                await one.send(log=propeller_pb2.LogChunk(wish_id=wish.id, data=data, last=last))
            found = await reading
            await one.commit(end(claim, 1))
            return found

    found = asyncio.run(talk())
    assert b"".join(part.data for part in found) == b"one\ntwo\n"
    assert found[0].attempt == 1


def test_a_log_is_asked_for_in_parts_and_a_half_is_not_taken_for_the_whole(admin, graph, launched):
    request = executions_pb2.ReadLogsRequest(execution_id=launched, node="a", follow=True)
    read: list[bytes] = []

    def drain() -> None:
        read.extend(response.data for response in admin.executions.ReadLogs(request))

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]))
            reading = asyncio.create_task(asyncio.to_thread(drain))
            first = (await one.next("log")).log
            assert (first.offset, first.limit > 0) == (0, True)
            await one.send(log=propeller_pb2.LogChunk(wish_id=first.id, data=b"one"))
            await one.send(log=propeller_pb2.LogChunk(wish_id=first.id, last=True, more=True))
            second = (await one.next("log")).log
            assert (second.offset, second.limit, second.follow) == (3, first.limit, True)
            await one.send(log=propeller_pb2.LogChunk(wish_id=second.id, data=b"two"))
            await one.send(log=propeller_pb2.LogChunk(wish_id=second.id, last=True, error="the disk is gone"))
            with pytest.raises(grpc.RpcError) as failure:
                await reading
            assert rpc.error_from(failure.value).code == "LogUnavailable"
            assert "the disk is gone" in str(rpc.error_from(failure.value))
            await one.commit(end(claim, 1))

    asyncio.run(talk())
    assert b"".join(read) == b"onetwo"


def test_logs_that_nobody_has_are_said_to_be_unavailable(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(launched)
            await one.commit(part(claim, consumed=[1], attempts=[graph.spec(launched)]), end(claim, 1))

    asyncio.run(talk())
    with pytest.raises(grpc.RpcError) as failure:
        list(admin.executions.ReadLogs(executions_pb2.ReadLogsRequest(execution_id=launched, node="a")))
    assert rpc.error_from(failure.value).code == "LogUnavailable"


def test_a_watch_sees_every_node_and_ends_with_the_execution(admin, launched):
    async def talk() -> list[executions_pb2.WatchExecutionResponse]:
        async with propeller(admin, "one") as one:
            request = executions_pb2.WatchExecutionRequest(execution_id=launched)
            watch = admin.executions.WatchExecution(request)
            first = await asyncio.to_thread(next, watch)
            claim = await one.claim(launched)
            node = executions_pb2.NodeExecution(id="b", phase=executions_pb2.PHASE_SKIPPED)
            await one.commit(part(claim, nodes=[node]))
            await one.commit(end(claim, 1))
            return [first, *await asyncio.to_thread(list, watch)]

    seen = asyncio.run(talk())
    changed = [(node.id, node.phase) for message in seen[1:] for node in message.nodes]
    assert changed == [("b", executions_pb2.PHASE_SKIPPED)]
    assert seen[-1].execution.phase == executions_pb2.PHASE_ABORTED
    # Only a change of a node is no change of the execution.
    assert [message.execution.revision for message in seen if message.HasField("execution")] == [1, 3]


def test_w4_large_nodes_are_listed_and_watched_in_many_messages(admin, graph, launched):
    nodes = [f"n{number:02}" for number in range(20)]
    admin.register(graph.workflow("m.large", nodes), version="v1")
    id_ = admin.launch("m.large").id
    outputs = literals.as_map({"o0": literals.from_str("x" * 900_000)})

    async def talk() -> None:
        async with propeller(admin, "one") as one:
            claim = await one.claim(id_)
            for start in range(0, 20, 10):
                changed = [
                    executions_pb2.NodeExecution(id=node, outputs=outputs)
                    for node in nodes[start : start + 10]
                ]
                assert await one.commit(part(claim, start // 10, nodes=changed)) == [OK]
            await one.commit(end(claim, 2))

    asyncio.run(talk())
    seen = list(admin.executions.WatchExecution(executions_pb2.WatchExecutionRequest(execution_id=id_)))
    assert [node.id for message in seen for node in message.nodes] == nodes
    assert [message.HasField("execution") for message in seen] == [False] * (len(seen) - 1) + [True]
    assert max(message.ByteSize() for message in seen) < 5 * 1024 * 1024
    request = executions_pb2.ListNodesRequest(execution_id=id_)
    listed: list[str] = []
    while not listed or request.page_token:
        page = admin.executions.ListNodes(request)
        assert page.ByteSize() < 5 * 1024 * 1024
        listed += [node.id for node in page.nodes]
        request.page_token = page.next_page_token
    assert listed == nodes


@pytest.mark.parametrize(
    "first",
    [
        propeller_pb2.WorkRequest(heartbeat=propeller_pb2.Heartbeat()),
        propeller_pb2.WorkRequest(hello=propeller_pb2.Hello()),
        propeller_pb2.WorkRequest(hello=propeller_pb2.Hello(propeller_id="x" * 200)),
    ],
    ids=["heartbeat", "hello-without-id", "long-id"],
)
def test_s5_a_stream_begins_with_a_hello(admin, first):
    call = admin.propeller.Work(iter([first]))
    with pytest.raises(grpc.RpcError) as failure:
        next(call)
    assert isinstance(rpc.error_from(failure.value), errors.UsageError)


def test_a_propeller_of_another_protocol_is_told_so(admin):
    hello = propeller_pb2.Hello(propeller_id="new", protocol=2)
    call = admin.propeller.Work(iter([propeller_pb2.WorkRequest(hello=hello)]))
    with pytest.raises(grpc.RpcError) as failure:
        next(call)
    assert failure.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert rpc.error_from(failure.value).code == "ProtocolMismatch"


@pytest.mark.parametrize(
    "changes",
    [
        {"events": [events_pb2.Event()]},
        {"consumed": [1, 2**64 - 1]},
        {"status": propeller_pb2.ExecutionStatus(phase=executions_pb2.PHASE_SKIPPED)},
        {"status": propeller_pb2.ExecutionStatus(phase=99)},  # type: ignore[arg-type]
        {"attempts": [attempt_pb2.AttemptSpec()]},
    ],
    ids=["event", "consumed", "phase-of-nodes", "no-phase", "attempt"],
)
def test_s5_a_malformed_commit_ends_the_stream(admin, launched, changes):
    async def talk() -> errors.TypedflowError:
        async with grpc.aio.insecure_channel(admin.info.grpc) as channel:
            one = Propeller(channel, admin.info.token, f"{admin.project}-one", 10)
            await one.send(hello=one.hello)
            claim = await one.claim(launched)
            await one.send(commit=propeller_pb2.Commit(executions=[part(claim, **changes)]))
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await one.next("commit")
            return rpc.error_from(failure.value)

    assert isinstance(asyncio.run(talk()), errors.UsageError)
