"""What is asked of the cache, when, and how often."""

import asyncio
import itertools
from datetime import timedelta

from tests.unit.propeller import worlds
from typedflow import Cache, Timeout, task, workflow
from typedflow.pb import catalog_pb2, events_pb2, executions_pb2


@task(cache=Cache(version="1"))
def cached(n: int) -> int:
    return n


@workflow
def hits(n: int) -> int:
    for _ in range(50):
        n = cached(n=n)
    return n


def test_a_chain_of_hits_is_a_commit_or_two(tell):
    async def story(world: worlds.World) -> None:
        world.admin.has = True
        world.drive()
        world.launch()
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED
        assert world.admin.asked == 50
        assert len(world.admin.journal) == 51
        assert len(world.admin.commits) <= 3
        assert world.admin.nodes["cached-50"].producer_execution_id == "before"

    tell(hits, story)


def test_c11_overwritten_nodes_are_not_looked_up(tell):
    async def story(world: worlds.World) -> None:
        world.admin.has = True
        world.drive()
        world.launch(overwrite_cache=["*"])
        await world.until(lambda: world.started == [("cached", 1)])
        assert world.admin.asked == 0
        await world.until(lambda: "cached" in world.admin.nodes)
        assert world.admin.nodes["cached"].cache_reason == "overwrite"

    tell(hits, story)


def test_a_catalog_that_does_not_answer_is_asked_again(tell):
    async def story(world: worlds.World) -> None:
        world.admin.failing_lookups = 2
        world.drive()
        world.launch()
        await world.until(lambda: world.started == [("cached", 1)])
        assert world.admin.asked == 3

    tell(hits, story)


def test_small_values_take_no_thread(tell, monkeypatch):
    async def story(world: worlds.World) -> None:
        def no_thread(work: object) -> None:
            raise AssertionError("a thread")

        monkeypatch.setattr(world.admin, "in_thread", no_thread)
        world.admin.has = True
        world.drive()
        world.launch()
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_SUCCEEDED

    tell(hits, story)


def test_a_question_says_all_that_the_answer_depends_on(tell):
    @task(cache=Cache(version="1", serialize=True, max_age=timedelta(minutes=1)))
    def shared(n: int) -> int:
        return n

    @workflow
    def one(n: int) -> int:
        return shared(n=n)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(recover_from="before")
        await world.until(lambda: world.started)
        (question,) = world.admin.questions
        assert (question.execution_id, question.node, question.recover_from) == ("e", "shared", "before")
        assert (question.cached, question.serialize, question.max_age_ms) == (True, True, 60_000)
        assert question.key == world.admin.attempts["shared", 1].cache_key

    tell(one, story)


def test_e12_what_is_not_cached_is_looked_for_in_the_recovered_execution_only(tell):
    @task
    def plain(n: int) -> int:
        return n

    @workflow
    def one(n: int) -> int:
        return plain(n=n)

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(recover_from="before")
        await world.until(lambda: world.started)
        assert [(each.cached, each.recover_from) for each in world.admin.questions] == [(False, "before")]
        checked = next(e.cache_checked for e in world.admin.journal if e.HasField("cache_checked"))
        assert checked.status == catalog_pb2.CACHE_STATUS_DISABLED

    tell(one, story)


def test_e12_what_is_to_run_again_is_not_looked_for(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch(recover_from="before", rerun=["cached"])
        await world.until(lambda: world.started == [("cached", 1)])
        world.succeed("cached")
        await world.until(lambda: len(world.started) == 2)
        asked = [(each.node, each.cached, each.recover_from) for each in world.admin.questions]
        assert asked == [("cached-2", True, "before")]

    tell(hits, story)


def test_c7_who_waits_for_another_asks_again_and_again_with_growing_pauses(tell_virtually):
    async def story(world: worlds.World) -> None:
        world.admin.waits = 12
        world.drive()
        world.launch()
        await world.until(lambda: world.started == [("cached", 1)], within=60)
        pauses = [round(later - sooner, 3) for sooner, later in itertools.pairwise(world.admin.asked_at)]
        assert len(pauses) == 12
        assert 0.1 <= pauses[0] <= 0.3
        assert max(pauses) <= 2.2
        assert pauses[-1] >= 1.8
        assert len(world.admin.commits) == 2  # nothing is written while it waits

    tell_virtually(hits, story)


def test_those_who_wait_are_asked_about_at_the_same_moments(tell_virtually):
    @workflow
    def wide(n: int) -> None:
        for _ in range(20):
            cached(n=n)

    async def story(world: worlds.World) -> None:
        world.admin.waits = 20 * 5
        world.drive()
        world.launch()
        await world.until(lambda: len(world.started) == 20, within=60)
        assert len({round(at, 6) for at in world.admin.asked_at}) == 6

    tell_virtually(wide, story)


def test_nobody_asks_for_a_node_that_has_ended(tell_virtually):
    async def story(world: worlds.World) -> None:
        world.admin.waits = 1_000_000
        world.drive()
        world.launch()
        await asyncio.sleep(10)
        world.post(abort_requested=events_pb2.AbortRequested(principal="me"))
        await world.running
        asked = world.admin.asked
        await asyncio.sleep(10)
        assert world.admin.asked == asked

    tell_virtually(hits, story)


def test_a_node_that_has_ended_while_others_go_on_is_not_asked_about(tell_virtually):
    @task(cache=Cache(version="1"), timeout=Timeout(deadline=timedelta(seconds=5)))
    def awaited(n: int) -> int:
        return n

    @task
    def plain(n: int) -> int:
        return n

    @workflow(failure_policy="fail_after_running")
    def both(n: int) -> tuple[int, int]:
        return awaited(n=n), plain(n=n)

    async def story(world: worlds.World) -> None:
        world.admin.waits = 1_000_000
        world.drive()
        world.launch()
        await asyncio.sleep(10)
        asked = world.admin.asked
        assert world.admin.nodes["awaited"].phase == executions_pb2.PHASE_TIMED_OUT
        await asyncio.sleep(10)
        assert world.admin.asked == asked

    tell_virtually(both, story)
