"""Trying again while admin can't be reached: pauses that grow, with jitter, so that many do not come back at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from typedflow import errors

T = TypeVar("T")

_FIRST_S = 0.05
_LONGEST_S = 5.0


def pauses() -> Iterator[float]:
    """Seconds to wait before each next try, without end."""
    longest = _FIRST_S
    while True:
        yield random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, keeps no secret
        longest = min(longest * 2, _LONGEST_S)


async def until_reached(call: Callable[[], Awaitable[T]]) -> T:
    """The call's result; tried again for as long as nobody answers. Other errors pass."""
    for pause in pauses():
        try:
            return await call()
        except errors.ServerUnreachable:
            await asyncio.sleep(pause)
    raise AssertionError("pauses() does not end")
