"""Nodes that wait and run nothing: gates, and executions that nodes launch."""

import asyncio
from datetime import timedelta

from tests.unit.propeller import worlds
from typedflow import LaunchPlan, approve, literals, sleep, task, workflow
from typedflow.pb import errors_pb2, events_pb2, executions_pb2


@task
def plain(n: int) -> int:
    return n


# Gates


def test_e11_a_sleep_of_days_takes_a_timer_and_nothing_else_also_when_the_driver_changes(tell_virtually):
    @workflow
    def slept(n: int) -> int:
        return plain.after(sleep(timedelta(days=3)))(n=n)

    async def story(world: worlds.World) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        world.drive()
        world.launch()
        await asyncio.sleep(24 * 3600)
        assert world.started == []
        await world.crash()
        world.drive()
        await world.until(lambda: world.started, within=4 * 24 * 3600)
        assert 0 <= loop.time() - start - 3 * 24 * 3600 < 120

    tell_virtually(slept, story)


def test_e11_a_sleep_takes_its_time_and_no_more_though_the_clock_was_a_day_ahead_when_it_began(
    tell_virtually,
):
    @workflow
    def slept(n: int) -> int:
        return plain.after(sleep(timedelta(minutes=5)))(n=n)

    async def story(world: worlds.World) -> None:
        loop = asyncio.get_running_loop()
        day_us = 24 * 3600 * 1_000_000
        start = loop.time()
        world.admin.now += day_us
        world.drive()
        world.launch()
        await world.until(lambda: world.admin.journal)
        world.admin.now -= day_us
        await world.until(lambda: world.started, within=600)
        assert 300 <= loop.time() - start < 361

    tell_virtually(slept, story)


def test_e11_an_approval_that_waits_is_shown_before_anything_else_happens(tell):
    @workflow
    def approved(n: int) -> int:
        return plain(n=approve(n, prompt="go on?", name="ask"))

    async def story(world: worlds.World) -> None:
        world.drive()
        world.launch()
        await world.until(lambda: "ask" in world.admin.nodes)
        assert world.admin.nodes["ask"].phase == executions_pb2.PHASE_WAITING
        assert world.admin.nodes["ask"].waiting.approval.integer == 1
        world.post(signal_received=events_pb2.SignalReceived(node="ask", principal="me", approved=True))
        await world.until(lambda: world.started == [("plain", 1)])

    tell(approved, story)


# Children


@workflow
def child_of(n: int) -> int:
    return plain(n=n)


child_plan = LaunchPlan(child_of, name="child_plan")


@workflow
def parent(n: int) -> int:
    return child_plan(n=n)


def node_of(of) -> str:
    node: str = of.compiled.workflow.nodes[0].id
    return node


def test_a_child_is_launched_once_and_gives_its_outputs(tell):
    async def story(world: worlds.World) -> None:
        node = node_of(parent)
        world.drive()
        world.launch()
        await world.until(lambda: "child_launched" in world.kinds())
        (request,) = world.admin.launched
        assert request.launch_plan.name == parent.compiled.workflow.nodes[0].launch_plan.launch_plan.name
        assert request.inputs.values[0].value.integer == 1
        assert world.admin.nodes[node].child_execution_id == f"child-of-{node}"
        outputs = literals.as_map({"o0": literals.from_int(4)})
        ended = events_pb2.ChildEnded(node=node, execution_id=f"child-of-{node}", outputs=outputs)
        world.post(child_ended=ended)
        await world.running
        assert world.admin.status.outputs.values[0].value.integer == 4

    tell(parent, story)


def test_e3_a_child_whose_launch_was_not_answered_is_launched_again_by_whoever_takes_over(tell):
    async def story(world: worlds.World) -> None:
        world.drive()
        world.monotonic = 6.0
        world.launch()
        await world.until(lambda: world.admin.journal)
        await asyncio.sleep(0.1)
        assert world.admin.launched == []  # half of the lease is over
        await world.crash()
        world.monotonic = 0.0
        world.drive()
        await world.until(lambda: "child_launched" in world.kinds())
        assert len(world.admin.launched) == 1

    tell(parent, story)


def test_e12_an_abort_goes_on_to_the_child(tell):
    async def story(world: worlds.World) -> None:
        node = node_of(parent)
        world.drive()
        world.launch()
        await world.until(lambda: "child_launched" in world.kinds())
        world.post(abort_requested=events_pb2.AbortRequested(principal="me"))
        await world.until(lambda: world.admin.aborted)
        assert world.admin.aborted[0].node == node
        error = errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, code="Aborted")
        ended = events_pb2.ChildEnded(node=node, execution_id=f"child-of-{node}", error=error)
        world.post(child_ended=ended)
        await world.running
        assert world.admin.status.phase == executions_pb2.PHASE_ABORTED

    tell(parent, story)
