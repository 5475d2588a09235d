"""How often a propeller says Hello to an admin that welcomes it and can do nothing for it."""

import asyncio
import itertools
from types import SimpleNamespace

import grpc
import pytest
from typedflow_propeller import propeller

from tests.unit.propeller import worlds
from typedflow.pb import propeller_pb2


class Call:
    """A stream that ends some seconds after the welcome, as admin's does while its database is away."""

    def __init__(self, seconds: float) -> None:
        self._answers = iter([(0.0, _WELCOME), (seconds, grpc.aio.EOF)])

    async def read(self):
        seconds, answer = next(self._answers)
        await asyncio.sleep(seconds)
        return answer

    async def write(self, request):
        assert request.WhichOneof("message")

    async def done_writing(self):
        pass

    def cancel(self):
        pass


_WELCOME = propeller_pb2.WorkResponse(welcome=propeller_pb2.Welcome(lease_ms=60_000))


def hellos(folder, *lasted):
    """When it said Hello, to streams that last for so many seconds."""
    said = []
    streams = iter(lasted)

    async def nothing():
        return

    async def story() -> None:
        loop = asyncio.get_running_loop()
        enough = asyncio.Event()

        def work():
            said.append(loop.time())
            seconds = next(streams, None)
            if seconds is None:
                enough.set()
            return Call(3600 if seconds is None else seconds)

        admin = SimpleNamespace(work=work, check_cache=None, error_from=None)
        executor = SimpleNamespace(id="x", recover=nothing, close=nothing)
        driving = propeller.Propeller(admin, executor, store_url=str(folder))  # type: ignore[arg-type]
        running = asyncio.create_task(driving.run())
        await enough.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    worlds.virtually(story())
    return said


def test_a_propeller_whose_streams_break_at_once_comes_back_later_and_later(tmp_path):
    said = hellos(tmp_path, *[0.0] * 10)
    pauses = [after - before for before, after in itertools.pairwise(said)]
    expected = [min(0.05 * 2**tries, 5.0) for tries in range(10)]
    for pause, longest in zip(pauses, expected, strict=True):
        assert longest / 2 <= pause <= longest + 0.001


def test_a_propeller_whose_stream_has_lasted_comes_back_at_once(tmp_path):
    said = hellos(tmp_path, *[0.0] * 10, 100.0, 0.0)
    *_, broken, after, last = said
    assert after - broken == pytest.approx(100)  # no pause, as those that broke before are over
    assert last - after <= 0.051
