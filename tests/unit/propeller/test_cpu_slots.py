"""Who runs when there is not room for all."""

import asyncio

import pytest
from typedflow_propeller import cpu_slots

from typedflow.pb import tasks_pb2


@pytest.mark.parametrize(
    ("quantity", "wanted"),
    [("", 1), ("1", 1), ("500m", 1), ("1500m", 2), ("2", 2), ("2.5", 3), ("64", 4), ("lots", 1)],
)
def test_an_attempt_takes_a_slot_for_each_cpu_and_never_more_than_there_are(quantity, wanted):
    options = tasks_pb2.TaskOptions(
        resources=tasks_pb2.Resources(requests=tasks_pb2.ResourceQuantities(cpu=quantity))
    )
    assert cpu_slots.CpuSlots(4).wanted(options) == wanted


async def hold(
    slots: cpu_slots.CpuSlots, name: str, count: int, order: list[str], until: asyncio.Event
) -> None:
    async with slots.taken(count):
        order.append(name)
        await until.wait()


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_e13_first_come_first_served_and_nobody_overtakes_a_large_one():
    async def story() -> None:
        slots, first, rest = cpu_slots.CpuSlots(2), asyncio.Event(), asyncio.Event()
        order: list[str] = []
        tasks = [asyncio.create_task(hold(slots, "first", 1, order, first))]
        await turn()
        tasks += [
            asyncio.create_task(hold(slots, n, c, order, rest)) for n, c in (("large", 2), ("small", 1))
        ]
        await turn()
        assert order == ["first"]
        first.set()
        await turn()
        assert order == ["first", "large"]
        rest.set()
        await asyncio.gather(*tasks)
        assert order == ["first", "large", "small"]

    asyncio.run(story())


def test_one_that_is_stopped_while_it_waits_gives_its_turn_away():
    async def story() -> None:
        slots, first, rest = cpu_slots.CpuSlots(1), asyncio.Event(), asyncio.Event()
        order: list[str] = []
        holding = asyncio.create_task(hold(slots, "first", 1, order, first))
        await turn()
        stopped = asyncio.create_task(hold(slots, "stopped", 1, order, rest))
        last = asyncio.create_task(hold(slots, "last", 1, order, rest))
        await turn()
        stopped.cancel()
        first.set()
        await turn()
        assert order == ["first", "last"]
        rest.set()
        await asyncio.gather(holding, last)
        async with slots.taken(1):
            pass

    asyncio.run(story())


def test_one_that_is_stopped_in_the_moment_of_its_turn_gives_it_back():
    async def story() -> None:
        slots = cpu_slots.CpuSlots(1)
        order: list[str] = []
        async with slots.taken(1):
            stopped = asyncio.create_task(hold(slots, "stopped", 1, order, asyncio.Event()))
            await turn()
        stopped.cancel()  # the slot is its own by now, but it has not run yet
        async with asyncio.timeout(1), slots.taken(1):
            assert order == []

    asyncio.run(story())


def test_what_runs_already_takes_its_slots_at_once():
    async def story() -> None:
        slots = cpu_slots.CpuSlots(1)
        async with slots.taken(1, at_once=True), slots.taken(1, at_once=True):
            waiting = asyncio.create_task(hold(slots, "next", 1, [], asyncio.Event()))
            await turn()
            assert not waiting.done()
            waiting.cancel()
        async with asyncio.timeout(1), slots.taken(1):
            pass

    asyncio.run(story())
