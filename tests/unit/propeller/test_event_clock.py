"""The time of events: the machine's, and never behind the journal."""

import asyncio

from typedflow_propeller import event_clock

from tests.unit.propeller import worlds

HOUR_US = 3_600_000_000


def told(story) -> None:
    async def whole() -> None:
        loop = asyncio.get_running_loop()
        ahead = [0]
        clock = event_clock.EventClock(lambda: HOUR_US + int(loop.time() * 1e6) + ahead[0])
        await story(clock, ahead)

    worlds.virtually(whole())


def test_events_have_the_machines_time():
    async def story(clock: event_clock.EventClock, ahead: list[int]) -> None:
        first = clock.now_us()
        clock.happened(first)
        await asyncio.sleep(5)
        assert clock.now_us() - first == 5_000_000
        ahead[0] = HOUR_US  # it is set right
        assert clock.now_us() - first == HOUR_US + 5_000_000

    told(story)


def test_a_clock_that_was_ahead_for_a_while_costs_nobody_that_time():
    async def story(clock: event_clock.EventClock, ahead: list[int]) -> None:
        ahead[0] = HOUR_US
        latest = clock.now_us()
        clock.happened(latest)
        ahead[0] = 0
        await asyncio.sleep(5)
        assert clock.now_us() - latest == 5_000_000
        clock.happened(clock.now_us())
        await asyncio.sleep(HOUR_US / 1e6)
        assert clock.now_us() - latest == HOUR_US + 5_000_000

    told(story)


def test_a_look_at_a_clock_that_is_ahead_changes_nothing_while_nothing_happens():
    async def story(clock: event_clock.EventClock, ahead: list[int]) -> None:
        clock.happened(clock.now_us())
        ahead[0] = HOUR_US
        wrong = clock.now_us()
        ahead[0] = 0
        assert clock.now_us() == wrong - HOUR_US

    told(story)


def test_an_execution_of_a_machine_whose_clock_was_ahead_goes_on_from_its_journal():
    async def story(clock: event_clock.EventClock, ahead: list[int]) -> None:
        latest = clock.now_us() + HOUR_US
        clock.happened(latest)
        await asyncio.sleep(1)
        assert clock.now_us() - latest == 1_000_000

    told(story)
