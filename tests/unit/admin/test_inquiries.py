"""E3: who has an attempt is asked after it when another says that it is lost, or is to be stopped."""

import asyncio

import pytest

from tests.unit.admin.execution_world import World, calls, promise, task, workflow
from tests.unit.admin.test_propeller_protocol import Propeller, begun, end, finished, part, propeller, refused
from typedflow import errors, literals
from typedflow.pb import attempt_pb2, errors_pb2, propeller_pb2

LOST = {"error": errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_SYSTEM, code="WorkerLost")}
STOPPED = {"stopped": attempt_pb2.Stopped()}


# Who is asked what.


@pytest.fixture
def admitted(world: World) -> tuple[attempt_pb2.BeginRequest, attempt_pb2.BeginRequest]:
    """A runner that was admitted, of the executor `there`, and one that was not."""
    inc = task()
    world.register(inc, workflow(calls("a", "m.inc", promise("", "n"))))
    id_ = world.launch(inputs_json='{"n": 1}').id
    world.hold()
    spec = world.spec(id_, "a", inc, {"x": literals.from_int(1)})
    mine = world.begin(spec, executor_id="there")
    other = attempt_pb2.BeginRequest()
    other.CopyFrom(mine)
    other.runner_uid = "other"
    return mine, other


@pytest.mark.parametrize("outcome", [LOST, STOPPED])
def test_an_executor_that_is_there_is_asked_after_its_runner_each_time(world, admitted, outcome):
    mine, other = admitted
    for _ in range(2):
        with pytest.raises(errors.StateConflict) as raised:
            world.finish(other, **outcome)
        assert raised.value.code == "AttemptTaken"
    inquiry = propeller_pb2.AttemptInquiry(
        attempt=mine.id, token=mine.token, runner_uid="runner", stop=outcome is STOPPED
    )
    assert world.executors.asked == [("there", inquiry)] * 2


def test_an_executor_that_is_gone_is_not_asked(world, admitted):
    world.executors.gone.add("there")
    world.finish(admitted[1], **LOST)
    assert world.executors.asked == []
    (failed,) = world.told(admitted[0].id.execution_id, "attempt_failed")
    assert failed.error.code == "WorkerLost"


def test_nobody_is_asked_after_an_attempt_that_has_ended_or_by_whoever_has_not_its_token(world, admitted):
    mine, other = admitted
    stranger = attempt_pb2.BeginRequest()
    stranger.CopyFrom(other)
    stranger.token = "0" * 64
    with pytest.raises(errors.PermissionDenied):
        world.finish(stranger, **LOST)
    world.finish(mine, **STOPPED)
    with pytest.raises(errors.StateConflict):
        world.finish(other, **LOST)
    assert world.executors.asked == []


# Through which streams.


@pytest.fixture
def launched(admin, graph):
    admin.register(graph.task(), graph.workflow(), version="v1")
    return admin.launch().id


async def taken(
    one: Propeller, graph, execution_id: str
) -> tuple[propeller_pb2.Claim, attempt_pb2.BeginRequest]:
    """An execution, and the runner of its attempt, which this propeller's executor sees to."""
    claim = await one.claim(execution_id)
    await one.commit(part(claim, consumed=[1], attempts=[graph.spec(execution_id)]))
    mine = begun(claim)
    mine.executor_id = one.hello.executor_id
    await one.attempts.Begin(mine)
    return claim, mine


async def said(one: Propeller) -> list[propeller_pb2.AttemptInquiry]:
    """What was asked through a stream until now: answers to heartbeats come after it."""
    await one.send(heartbeat=propeller_pb2.Heartbeat())
    found: list[propeller_pb2.AttemptInquiry] = []
    async with asyncio.timeout(20):
        while True:
            message = await one.read()
            if message.HasField("heartbeat"):
                return found
            if message.HasField("inquiry"):
                found.append(message.inquiry)


def test_an_executor_is_asked_through_every_stream_of_its_own_and_no_other(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one, propeller(admin, "two") as two:
            claim, mine = await taken(one, graph, launched)
            async with propeller(admin, "again", executor_id=one.hello.executor_id) as again:
                lost = finished(begun(claim, "uid-2"), **LOST)
                assert (await refused(two.attempts.Finish(lost))).code == "AttemptTaken"
                inquiry = propeller_pb2.AttemptInquiry(attempt=mine.id, token=mine.token, runner_uid="uid-1")
                assert await said(one) == await said(again) == [inquiry]
                assert await said(two) == []
                await again.attempts.Finish(finished(mine, **LOST))
                assert (await refused(two.attempts.Finish(lost))).code == "NotAdmitted"
                assert await said(one) == []
            await one.commit(end(claim, 1))

    asyncio.run(talk())


def test_an_executor_without_a_stream_is_not_asked_and_its_attempt_is_still_taken(admin, graph, launched):
    async def talk() -> None:
        async with propeller(admin, "one") as one:
            await taken(one, graph, launched)
        async with propeller(admin, "two") as two:
            claim = await two.claim(launched)
            lost = finished(begun(claim, "uid-2"), **LOST)
            assert (await refused(two.attempts.Finish(lost))).code == "AttemptTaken"
            assert await said(two) == []
            await two.commit(end(claim, 1))

    asyncio.run(talk())
