"""Timers by the clock that events are told by."""

import asyncio

from typedflow_propeller import timers

from tests.unit.propeller import worlds
from typedflow.pb import events_pb2

MINUTE_US = 60_000_000


class Clock:
    """Goes with the loop's, and can be set."""

    def __init__(self) -> None:
        self.ahead_us = 0

    def now_us(self) -> int:
        return int(asyncio.get_running_loop().time() * 1e6) + self.ahead_us


def named(node: str) -> events_pb2.Event:
    return events_pb2.Event(timer_fired=events_pb2.TimerFired(node=node))


def fired(story) -> list[tuple[str, int]]:
    """What fires, and after how many seconds of the loop."""
    told: list[tuple[str, int]] = []

    async def whole() -> None:
        clock, loop = Clock(), asyncio.get_running_loop()
        start = loop.time()
        under_test = timers.Timers(
            clock.now_us, lambda e: told.append((e.timer_fired.node, round(loop.time() - start)))
        )
        await story(clock, under_test)
        under_test.close()

    worlds.virtually(whole())
    return told


def test_timers_fire_in_their_order_whatever_the_order_in_which_they_were_set():
    async def story(clock: Clock, under_test: timers.Timers) -> None:
        now = clock.now_us()
        for node, seconds in ("late", 30), ("soon", 10), ("soon too", 10), ("past", -5):
            under_test.set(named(node), now + seconds * 1_000_000)
        await asyncio.sleep(40)

    assert fired(story) == [("past", 0), ("soon", 10), ("soon too", 10), ("late", 30)]


def test_a_timer_that_is_set_before_the_next_one_is_not_late():
    async def story(clock: Clock, under_test: timers.Timers) -> None:
        now = clock.now_us()
        under_test.set(named("far"), now + 50_000_000)
        under_test.set(named("near"), now + 2_000_000)
        await asyncio.sleep(60)

    assert fired(story) == [("near", 2), ("far", 50)]


def test_a_clock_that_is_set_forward_is_noticed_within_a_minute():
    async def story(clock: Clock, under_test: timers.Timers) -> None:
        under_test.set(named("tomorrow"), clock.now_us() + 24 * 60 * MINUTE_US)
        await asyncio.sleep(90)
        clock.ahead_us = 24 * 60 * MINUTE_US
        await asyncio.sleep(60)

    assert fired(story) == [("tomorrow", 120)]


def test_a_clock_that_is_set_back_lets_no_timer_fire_too_early():
    async def story(clock: Clock, under_test: timers.Timers) -> None:
        under_test.set(named("soon"), clock.now_us() + 10_000_000)
        clock.ahead_us = -2 * MINUTE_US
        await asyncio.sleep(300)

    assert fired(story) == [("soon", 130)]


def test_nothing_fires_after_the_end():
    async def story(clock: Clock, under_test: timers.Timers) -> None:
        under_test.set(named("soon"), clock.now_us() + 1_000_000)
        under_test.close()
        await asyncio.sleep(10)

    assert fired(story) == []
