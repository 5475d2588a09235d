"""Who runs when there is not room for all."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st
from typedflow_propeller import admission, machine

GI = 1 << 30


class Room:
    """A machine's admission, and those who want to run on it."""

    def __init__(self, cpus: int = 2, memory: int = 0, gpus: tuple[str, ...] = ()) -> None:
        self.shared = machine.Machine(cpus, memory, gpus)
        self.admission = admission.Admission(self.shared)
        self.order: list[str] = []
        self.gpus: dict[str, tuple[str, ...]] = {}
        self.leaving: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def enter(self, name: str, cpus: int = 1, memory: int = 0, gpus: int = 0) -> None:
        """`name` is `execution/node`, or one of the execution `e`."""
        self.leaving[name] = asyncio.Event()
        share = machine.Share(cpus, memory, gpus)
        self.tasks[name] = asyncio.create_task(self._hold(name, share))
        await turn()

    async def leave(self, *names: str) -> None:
        for name in names:
            self.leaving[name].set()
        await turn()

    async def _hold(self, name: str, share: machine.Share) -> None:
        async with self.admission.taken(share, name.rpartition("/")[0] or "e") as gpus:
            self.order.append(name)
            self.gpus[name] = gpus
            await self.leaving[name].wait()

    async def end(self) -> None:
        for name in self.leaving:
            self.leaving[name].set()
        async with asyncio.timeout(5):
            await asyncio.gather(*self.tasks.values())
        assert sorted(self.admission._free.gpus) == sorted(self.shared.gpus)
        assert (self.admission._free.cpus, self.admission._free.memory) == (
            self.shared.cpus,
            self.shared.memory,
        )
        assert not self.admission._waiting


async def turn() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def told(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def test_e13_executions_take_turns_so_a_wide_one_does_not_starve_the_next():
    async def story() -> None:
        room = Room(cpus=1)
        for n in range(5):
            await room.enter(f"wide/{n}")
        for n in range(2):
            await room.enter(f"narrow/{n}")
        assert room.order == ["wide/0"]
        await room.end()
        assert room.order == ["wide/0", "wide/1", "narrow/0", "wide/2", "narrow/1", "wide/3", "wide/4"]

    told(story)


def test_what_fits_goes_before_what_does_not_yet():
    async def story() -> None:
        room = Room(cpus=2)
        await room.enter("first")
        await room.enter("large", cpus=2)
        await room.enter("small")
        assert room.order == ["first", "small"]
        await room.leave("first")
        assert room.order == ["first", "small"]
        await room.end()
        assert room.order == ["first", "small", "large"]

    told(story)


def test_e13_a_large_one_is_overtaken_only_so_often():
    async def story() -> None:
        room = Room(cpus=2)
        await room.enter("a/0")
        await room.enter("large/0", cpus=2)
        for n in range(1, 40):
            await room.enter(f"a/{n}")
            await room.leave(f"a/{n - 1}")  # there are always two that want to run
        await room.end()
        assert room.order.index("large/0") <= admission.MOST_OVERTAKEN + 2

    told(story)


def test_what_is_kept_for_one_that_waits_for_a_gpu_leaves_the_rest_to_others():
    async def story() -> None:
        room = Room(cpus=4, gpus=("0",))
        await room.enter("holder", gpus=1)
        await room.enter("wants", cpus=2, gpus=1)
        for n in range(30):
            await room.enter(f"plain/{n}")
            await room.leave(f"plain/{n}")
        assert room.order[-1] == "plain/29"  # although `wants` was overtaken long ago
        await room.enter("wide", cpus=2)
        assert room.order[-1] == "plain/29"  # it would take what is kept
        await room.leave("holder")
        assert room.order[-2:] == ["wants", "wide"] or room.order[-1] == "wants"
        await room.end()

    told(story)


def test_a_gpu_is_one_attempts_alone():
    async def story() -> None:
        room = Room(cpus=4, gpus=("0", "GPU-7", "2"))
        await room.enter("one", gpus=1)
        await room.enter("two", gpus=2)
        await room.enter("none")
        await room.enter("more", gpus=1)
        assert room.gpus == {"one": ("0",), "two": ("GPU-7", "2"), "none": ()}
        await room.leave("two")
        assert room.gpus["more"] == ("GPU-7",)
        await room.end()

    told(story)


def test_memory_that_is_asked_for_together_is_never_more_than_there_is():
    async def story() -> None:
        room = Room(cpus=8, memory=4 * GI)
        await room.enter("a", memory=3 * GI)
        await room.enter("b", memory=2 * GI)
        await room.enter("c", memory=GI)
        assert room.order == ["a", "c"]
        await room.leave("a")
        assert room.order == ["a", "c", "b"]
        await room.end()

    told(story)


def test_one_that_is_stopped_while_it_waits_gives_its_turn_away():
    async def story() -> None:
        room = Room(cpus=1)
        for name in ("first", "stopped", "last"):
            await room.enter(name)
        room.tasks.pop("stopped").cancel()
        await room.leave("first")
        assert room.order == ["first", "last"]
        await room.end()

    told(story)


def test_one_for_whom_room_is_kept_gives_it_up_when_it_is_stopped():
    async def story() -> None:
        room = Room(cpus=2)
        await room.enter("a")
        await room.enter("large", cpus=2)
        for n in range(admission.MOST_OVERTAKEN):
            await room.enter(f"b{n}")
            await room.leave(f"b{n}")
        await room.enter("late")
        assert "late" not in room.order
        room.tasks.pop("large").cancel()
        await turn()
        assert "late" in room.order
        await room.end()

    told(story)


def test_one_that_is_stopped_in_the_moment_of_its_turn_gives_it_back():
    async def story() -> None:
        room = Room(cpus=1)
        await room.enter("first")
        await room.enter("stopped")
        room.leaving["first"].set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        room.tasks.pop("stopped").cancel()  # it has its share by now, or gets it in a moment
        await room.enter("last")
        assert room.order[-1] == "last"
        await room.end()

    told(story)


def test_what_runs_already_takes_its_share_at_once():
    async def story() -> None:
        room = Room(cpus=1, gpus=("0", "1"))
        share = machine.Share(1, 0, 1)
        async with (
            room.admission.taken(share, "e", at_once=("1",)),
            room.admission.taken(share, "e", at_once=()),
        ):
            await room.enter("next", gpus=1)
            assert room.order == []
        await turn()
        assert room.gpus == {"next": ("0",)}
        await room.end()

    told(story)


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 4), st.integers(0, 2), st.booleans()
        ),
        max_size=30,
    )
)
def test_e13_whoever_comes_and_goes_all_run_in_the_end_and_never_share_what_is_not_there(wishes):
    async def story() -> None:
        room = Room(cpus=4, memory=4, gpus=("0", "1"))
        inside: list[tuple[int, int, tuple[str, ...]]] = []

        async def come(execution: str, cpus: int, memory: int, gpus: int) -> None:
            async with room.admission.taken(machine.Share(cpus, memory, gpus), execution) as got:
                inside.append((cpus, memory, got))
                assert len(got) == gpus
                held = [gpu for _, _, each in inside for gpu in each]
                assert len(held) == len(set(held))
                assert sum(each[0] for each in inside) <= 4
                assert sum(each[1] for each in inside) <= 4
                try:
                    await turn()
                finally:
                    inside.remove((cpus, memory, got))

        tasks = []
        for execution, cpus, memory, gpus, is_stopped in wishes:
            task = asyncio.create_task(come(execution, cpus, memory, gpus))
            if is_stopped:
                await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait({task})
                if not task.cancelled():
                    task.result()
            else:
                tasks.append(task)
        async with asyncio.timeout(5):
            await asyncio.gather(*tasks)
        assert inside == []
        await room.end()

    told(story)
