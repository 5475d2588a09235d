"""What goes together in one call."""

import asyncio
from collections.abc import Sequence

import pytest
from typedflow_propeller import batches


class Calls:
    """Doubles numbers, one call at a time, and notes what came together."""

    def __init__(self) -> None:
        self.seen: list[list[int]] = []
        self.go = asyncio.Event()

    async def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.seen.append(list(numbers))
        await self.go.wait()
        if 13 in numbers:
            raise ValueError("unlucky")
        return [2 * number for number in numbers]


def test_what_comes_during_a_call_goes_with_the_next():
    async def story() -> None:
        calls = Calls()
        made = batches.Batches(calls, size=lambda _: 1, limit=3)
        first = made.put(1)
        await asyncio.sleep(0.001)
        rest = [made.put(number) for number in range(2, 7)]
        calls.go.set()
        assert await asyncio.gather(first, *rest) == [2, 4, 6, 8, 10, 12]
        assert calls.seen == [[1], [2, 3, 4], [5, 6]]

    asyncio.run(story())


def test_an_item_heavier_than_the_limit_goes_alone():
    async def story() -> None:
        calls = Calls()
        calls.go.set()
        made = batches.Batches(calls, size=lambda number: number, limit=10)
        assert await asyncio.gather(*map(made.put, (1, 50, 2))) == [2, 100, 4]
        assert calls.seen == [[1], [50], [2]]

    asyncio.run(story())


def test_a_failed_call_fails_its_items_only():
    async def story() -> None:
        calls = Calls()
        calls.go.set()
        made = batches.Batches(calls, size=lambda _: 1, limit=1)
        unlucky, fine = made.put(13), made.put(4)
        with pytest.raises(ValueError, match="unlucky"):
            await unlucky
        assert await fine == 8

    asyncio.run(story())


def test_nobody_waits_for_a_batch_that_is_closed():
    async def story() -> None:
        calls = Calls()
        made = batches.Batches(calls, size=lambda _: 1, limit=1)
        under_way, waiting = made.put(1), made.put(2)
        await asyncio.sleep(0.001)
        made.close()
        done = await asyncio.wait_for(asyncio.gather(under_way, waiting, return_exceptions=True), 1)
        assert all(isinstance(each, asyncio.CancelledError) for each in done)

    asyncio.run(story())
