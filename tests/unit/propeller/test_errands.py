"""Work in threads: in order, one at a time, and patient with a store that can't be reached."""

import asyncio
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

import pytest
from typedflow_propeller import errands

from tests.unit.propeller import worlds

T = TypeVar("T")


async def in_place(work: Callable[[], T]) -> T:
    await asyncio.sleep(1)
    return work()


def test_results_come_in_the_order_of_the_work_and_a_failure_is_its_own():
    async def story() -> None:
        under_test = errands.Errands(in_place)
        told: list[int] = []

        def tell(number: int) -> int:
            told.append(number)
            return number

        good = [under_test.do(functools.partial(tell, number)) for number in range(100)]
        bad = under_test.do(lambda: 1 // 0)
        assert await asyncio.gather(*good) == list(range(100))
        assert told == list(range(100))
        with pytest.raises(ZeroDivisionError):
            await bad

    worlds.virtually(story())


def test_one_thread_at_a_time_does_it():
    async def story() -> None:
        under_test = errands.Errands(asyncio.to_thread)
        busy = threading.Lock()

        def work() -> bool:
            alone = busy.acquire(blocking=False)
            busy.release()
            return alone

        assert all(await asyncio.gather(*(under_test.do(work) for _ in range(200))))

    asyncio.run(story())


def test_a_store_that_comes_back_within_a_minute_costs_nothing_but_the_minute():
    async def story() -> None:
        loop = asyncio.get_running_loop()
        under_test = errands.Errands(in_place)
        back = loop.time() + 60

        def work() -> str:
            if loop.time() < back:
                raise OSError("the disk is full")
            return "stored"

        other = under_test.do(lambda: "not waiting")
        stored = under_test.do(work)
        assert await other == "not waiting"
        assert loop.time() < back
        assert await stored == "stored"
        assert loop.time() < back + 10

    worlds.virtually(story())


def test_patience_ends():
    async def story() -> None:
        loop = asyncio.get_running_loop()
        under_test = errands.Errands(in_place)
        start, tries = loop.time(), 0

        def work() -> None:
            nonlocal tries
            tries += 1
            raise OSError("the disk is gone")

        with pytest.raises(OSError, match="gone"):
            await under_test.do(work)
        assert errands.PATIENCE_S <= loop.time() - start < errands.PATIENCE_S + 10
        assert tries < 50

    worlds.virtually(story())


def test_nothing_is_done_after_the_end():
    async def story() -> None:
        under_test = errands.Errands(in_place)
        told: list[str] = []

        def fails() -> None:
            told.append("tried")
            raise OSError("not now")

        under_test.do(fails)
        await asyncio.sleep(1.01)
        under_test.close()
        under_test.do(lambda: told.append("again"))
        await asyncio.sleep(300)
        assert told == ["tried"]

    worlds.virtually(story())
