"""Trying again while something can't be reached: pauses that grow, spread so that many do not come back at once."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from typedflow import errors

T = TypeVar("T")

_log = logging.getLogger(__name__)

_FIRST_S = 0.05
_LONGEST_S = 5.0
_DOUBLINGS = 10


def pause(tries: int) -> float:
    """Seconds to wait after so many tries that failed before the last: without chance, for what is alone."""
    return min(_FIRST_S * 2.0 ** min(tries, _DOUBLINGS), _LONGEST_S)


def pauses(spread_by: str = "") -> Iterator[float]:
    """Seconds to wait before each next try, without end.

    Args:
        spread_by: what the pauses depend on and nothing else does; empty: chance.
    """
    chance = random.Random(spread_by or None)  # noqa: S311 - spreads load, keeps no secret
    tries = 0
    while True:
        longest = pause(tries)
        yield chance.uniform(longest / 2, longest)
        tries += 1


async def until_served(call: Callable[[], Awaitable[T]], tries: int = sys.maxsize) -> T:
    """As `until_reached`; tried again, so many times at most, when the server fails at it too, for that may pass."""
    waits: Iterator[float] | None = None
    while True:
        try:
            return await until_reached(call)
        except errors.ServerFailed as failure:
            tries -= 1
            if not tries:
                raise
            _log.warning("the server failed, and is asked again: %s", failure)
            waits = waits or pauses()
            await asyncio.sleep(next(waits))


async def until_reached(call: Callable[[], Awaitable[T]], spread_by: str = "") -> T:
    """The call's result; tried again for as long as nobody answers. Other errors pass."""
    waits: Iterator[float] | None = None  # mostly somebody answers
    while True:
        try:
            return await call()
        except errors.ServerUnreachable:
            waits = waits or pauses(spread_by)
            await asyncio.sleep(next(waits))
