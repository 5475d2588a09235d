"""Stories of one execution, told over a world of its own."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.unit.propeller import worlds

Story = Callable[[worlds.World], Awaitable[None]]


@pytest.fixture
def tell(tmp_path):
    """Runs a story of a workflow's execution."""

    def run(of: object, story: Story) -> None:
        asyncio.run(_whole(worlds.World(of, str(tmp_path)), story))

    return run


@pytest.fixture
def tell_virtually(tmp_path):
    """The same where all waiting takes no time: the clock of events is the loop's, and nothing has threads."""

    def run(of: object, story: Story) -> None:
        async def whole() -> None:
            world = worlds.World(of, str(tmp_path))
            world.admin.in_place_of_threads = True
            world.admin.follows_the_loop = True
            await _whole(world, story)

        worlds.virtually(whole())

    return run


async def _whole(world: worlds.World, story: Story) -> None:
    try:
        await story(world)
    finally:
        await world.crash()
