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
    """`name` is `execution/node`, or one of the execution `e`."""
    async with slots.taken(count, name.rpartition("/")[0] or "e"):
        order.append(name)
        await until.wait()


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_e13_within_an_execution_nobody_overtakes_a_large_one():
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


def test_e13_executions_take_turns_so_a_wide_one_does_not_starve_the_next():
    async def story() -> None:
        slots, done = cpu_slots.CpuSlots(1), asyncio.Event()
        order: list[str] = []
        wide = [asyncio.create_task(hold(slots, f"wide/{n}", 1, order, done)) for n in range(5)]
        await turn()
        narrow = [asyncio.create_task(hold(slots, f"narrow/{n}", 1, order, done)) for n in range(2)]
        await turn()
        assert order == ["wide/0"]
        done.set()
        await asyncio.gather(*wide, *narrow)
        assert order == ["wide/0", "wide/1", "narrow/0", "wide/2", "narrow/1", "wide/3", "wide/4"]

    asyncio.run(story())


def test_e13_a_large_one_whose_turn_it_is_waits_for_room_and_no_other_execution_overtakes_it():
    async def story() -> None:
        slots, first, rest = cpu_slots.CpuSlots(2), asyncio.Event(), asyncio.Event()
        order: list[str] = []
        tasks = [asyncio.create_task(hold(slots, "a/0", 1, order, first))]
        await turn()
        tasks += [asyncio.create_task(hold(slots, n, c, order, rest)) for n, c in (("a/1", 2), ("b/0", 1))]
        await turn()
        assert order == ["a/0"]
        first.set()
        await turn()
        assert order == ["a/0", "a/1"]
        rest.set()
        await asyncio.gather(*tasks)

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
        async with slots.taken(1, "e"):
            pass

    asyncio.run(story())


def test_one_that_is_stopped_in_the_moment_of_its_turn_gives_it_back():
    async def story() -> None:
        slots = cpu_slots.CpuSlots(1)
        order: list[str] = []
        async with slots.taken(1, "e"):
            stopped = asyncio.create_task(hold(slots, "stopped", 1, order, asyncio.Event()))
            await turn()
        stopped.cancel()  # the slot is its own by now, but it has not run yet
        async with asyncio.timeout(1), slots.taken(1, "e"):
            assert order == []

    asyncio.run(story())


def test_what_runs_already_takes_its_slots_at_once():
    async def story() -> None:
        slots = cpu_slots.CpuSlots(1)
        async with slots.taken(1, "e", at_once=True), slots.taken(1, "e", at_once=True):
            waiting = asyncio.create_task(hold(slots, "next", 1, [], asyncio.Event()))
            await turn()
            assert not waiting.done()
            waiting.cancel()
        async with asyncio.timeout(1), slots.taken(1, "e"):
            pass

    asyncio.run(story())
