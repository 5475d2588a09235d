"""What the suites of executors have in common."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.contract.worlds import World


@pytest.fixture
def world(tmp_path: Path) -> Callable[[Callable[[World], Awaitable[None]]], None]:
    """Runs a story in a world of its own."""

    def tell(story: Callable[[World], Awaitable[None]]) -> None:
        async def whole() -> None:
            world = World(tmp_path)
            try:
                await story(world)
            finally:
                world.admin.reachable = True
                await world.executor.close()
                for each in world.executors:
                    await each._launcher.ended()

        asyncio.run(whole())

    return tell
