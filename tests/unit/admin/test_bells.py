"""Bells wake, and silence is only a delay."""

import asyncio

from typedflow_admin.bells import Bell

from typedflow.pb.propeller_pb2 import InboxRow


def test_a_ring_before_the_wait_is_heard():
    async def talk() -> None:
        bell = Bell()
        with bell.listen("a") as one, bell.listen() as every:
            bell.ring("a")
            bell.ring("b")
            assert await one.wait(20) == {"a"}
            assert await every.wait(20) == {"a", "b"}
            assert await one.wait(0) == set()
        bell.ring("a")
        assert await one.wait(0) == set()

    asyncio.run(talk())


def test_a_wait_ends_with_the_ring():
    async def talk() -> None:
        bell = Bell()
        with bell.listen("a") as one:
            asyncio.get_running_loop().call_soon(bell.ring, "a")
            assert await one.wait(20) == {"a"}

    asyncio.run(talk())


def test_a_ring_that_may_wait_comes_soon_and_not_again_after_one_that_may_not():
    async def talk() -> None:
        bell = Bell()
        with bell.listen("a") as one:
            bell.ring_soon("a")
            assert await one.wait(0) == set()
            assert await one.wait(20) == {"a"}
            bell.ring_soon("a")
            bell.ring("a")
            assert await one.wait(20) == {"a"}
            assert await one.wait(0.1) == set()

    asyncio.run(talk())


class Taker:
    """Takes what is told, or does not."""

    def __init__(self, *, takes: bool) -> None:
        self.takes = takes
        self.told: list[int] = []
        self.brought = asyncio.Event()

    def take(self, execution_id: str, row: InboxRow | None, *, soon: bool) -> bool:
        assert execution_id == "a"
        if row is not None:
            self.told.append(row.sequence)
        elif not soon:
            self.brought.set()
        return self.takes


def test_who_takes_what_a_ring_brings_need_not_read():
    async def talk() -> None:
        bell, taker = Bell(), Taker(takes=True)
        with bell.listen(take=taker.take) as one:
            bell.tell("a", InboxRow(sequence=7))
            assert taker.told == [7]
            assert await one.wait(0.1) == set()

    asyncio.run(talk())


def test_who_can_not_take_it_reads_at_once_or_soon():
    async def talk() -> None:
        bell, taker = Bell(), Taker(takes=False)
        with bell.listen(take=taker.take) as one, bell.listen("a") as other:
            bell.tell("a", InboxRow(sequence=7))
            assert await one.wait(0) == await other.wait(0) == {"a"}
            bell.tell("a", InboxRow(sequence=8), soon=True)
            assert await one.wait(0) == set()
            assert await one.wait(20) == await other.wait(20) == {"a"}

    asyncio.run(talk())


def test_what_was_taken_to_be_told_soon_is_told_by_itself():
    async def talk() -> None:
        bell, taker = Bell(), Taker(takes=True)
        with bell.listen(take=taker.take) as one:
            bell.tell("a", InboxRow(sequence=7), soon=True)
            assert not taker.brought.is_set()
            async with asyncio.timeout(20):
                await taker.brought.wait()
            assert await one.wait(0) == set()

    asyncio.run(talk())
