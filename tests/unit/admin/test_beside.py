"""A propeller in the server's process hears the same as one that is elsewhere."""

import asyncio

import pytest
import typedflow_propeller
from typedflow_admin import beside, server

from typedflow import errors
from typedflow.pb import attempt_pb2, propeller_pb2

ATTEMPT = attempt_pb2.AttemptId(execution_id="none", node="n", attempt=1)


def too_many(client: typedflow_propeller.AdminClient):
    return client.check_cache([propeller_pb2.CacheQuestion()] * 1_001)


def unknown_attempt(client: typedflow_propeller.AdminClient):
    return client.begin(attempt_pb2.BeginRequest(id=ATTEMPT, token="x", runner_uid="u"))


def no_runner(client: typedflow_propeller.AdminClient):
    return client.begin(attempt_pb2.BeginRequest(id=ATTEMPT, token="x"))


def no_outcome(client: typedflow_propeller.AdminClient):
    return client.finish(attempt_pb2.FinishRequest(id=ATTEMPT, token="x", runner_uid="u"))


@pytest.mark.parametrize("call", [too_many, unknown_attempt, no_runner, no_outcome])
def test_what_is_refused_is_refused_alike(options, call):
    async def story() -> list[errors.TypedflowError]:
        async with server._running(options) as (rooms, info):
            clients = [
                typedflow_propeller.AdminClient(info.grpc, info.token),
                beside.Beside(rooms, info.grpc, info.token),
            ]
            raised = []
            for client in clients:
                with pytest.raises(errors.TypedflowError) as error:
                    await call(client)
                raised.append(error.value)
                await client.close()
            return raised

    afar, near = asyncio.run(story())
    assert type(afar) is type(near)
    assert (afar.message, afar.where, afar.hint, afar.code) == (
        near.message,
        near.where,
        near.hint,
        near.code,
    )


def test_a_question_is_answered_alike(options):
    async def story() -> list[list[propeller_pb2.CacheAnswer]]:
        question = propeller_pb2.CacheQuestion(execution_id="e", node="n", key="b3:" + "0" * 64, cached=True)
        async with server._running(options) as (rooms, info):
            afar = typedflow_propeller.AdminClient(info.grpc, info.token)
            near = beside.Beside(rooms, info.grpc, info.token)
            answers = [await afar.check_cache([question]), await near.check_cache([question])]
            await afar.close()
            await near.close()
            return answers

    afar, near = asyncio.run(story())
    assert afar == near == [propeller_pb2.CacheAnswer(reason="absent")]


def test_a_defect_has_an_incident_and_no_traceback(options, monkeypatch, caplog):
    async def story() -> None:
        async with server._running(options) as (rooms, info):
            near = beside.Beside(rooms, info.grpc, info.token)

            async def answer(questions: object) -> None:
                raise ZeroDivisionError("a defect")

            monkeypatch.setattr(rooms.cache_answers, "answer", answer)
            with pytest.raises(errors.ServerFailed, match="incident") as failure:
                await near.check_cache([])
            assert "a defect" not in str(failure.value)
            await near.close()

    asyncio.run(story())
    assert "incident" in caplog.text
