"""Bells wake, and silence is only a delay."""

import asyncio

from typedflow_admin.bells import Bell


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
