"""Whether inbox rows are told as they are written or read from the database, they come in order and none is missing."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
from typedflow_admin import bells, commits, store, work

from typedflow.pb.events_pb2 import Event
from typedflow.pb.propeller_pb2 import Hello, InboxRow

ID = "x1"
EVENT = Event(schema=1)


class Inbox:
    """The rows of one execution; a read sees what there was when it began, and may take a while."""

    def __init__(self) -> None:
        self.rows: list[store.InboxRow] = []
        self.slow = asyncio.Event()
        self.slow.set()

    def write(self) -> InboxRow:
        row = store.InboxRow(ID, len(self.rows) + 1, EVENT.SerializeToString())
        self.rows.append(row)
        return InboxRow(sequence=row.sequence, event=EVENT)

    async def read(self, look: Callable[[SimpleNamespace], list[store.InboxRow]]) -> list[store.InboxRow]:
        seen = list(self.rows)
        await self.slow.wait()
        return look(SimpleNamespace(leases=SimpleNamespace(inbox=lambda _ids: seen)))


def session(inbox: Inbox, bell: bells.Bell) -> work.Session:
    rooms = work.Work(inbox, commits.Commits, bell, 60_000)  # type: ignore[arg-type]
    made = work.Session(rooms, Hello(propeller_id="p", capacity=1, protocol=1))
    made.resume([store.LeaseRow(ID, "p", 1, 0, 0)])
    return made


def sent(of: work.Session) -> list[int]:
    found = []
    while not of._outgoing.empty():
        message = of._outgoing.get_nowait()
        assert message is not None
        found += [row.sequence for row in message.inbox.rows]
    return found


STEPS = st.lists(
    st.sampled_from(["tell", "soon", "bring", "unheard", "read", "read slowly", "be read", "forget"]),
    max_size=30,
)


@given(steps=STEPS)
def test_rows_come_in_order_and_none_is_missing(steps):
    async def story() -> list[int]:
        inbox, bell = Inbox(), bells.Bell()
        holder = session(inbox, bell)
        reading: list[asyncio.Task[None]] = []
        for step in steps:
            match step:
                case "tell" | "soon":
                    holder._take(ID, inbox.write(), soon=step == "soon")
                case "bring":
                    holder._take(ID, None, soon=False)
                case "unheard":
                    inbox.write()
                case "forget":
                    holder._forget_sent(ID)
                case "read slowly":
                    inbox.slow.clear()
                    reading.append(asyncio.create_task(holder._push_inbox([ID], again=False)))
                    await asyncio.sleep(0)
                case "be read":
                    inbox.slow.set()
                    await asyncio.gather(*reading)
                case _:
                    inbox.slow.set()
                    await holder._push_inbox([ID], again=False)
        inbox.slow.set()
        await asyncio.gather(*reading)
        await holder._push_inbox([ID], again=False)
        came = sent(holder)
        assert set(came) == set(range(1, len(inbox.rows) + 1))
        return came

    seen = 0
    for number in asyncio.run(story()):
        assert number <= seen + 1
        seen = max(seen, number)


def test_what_follows_on_what_was_sent_is_told_once_and_not_read():
    async def story() -> None:
        inbox, bell = Inbox(), bells.Bell()
        holder = session(inbox, bell)
        inbox.write()
        await holder._push_inbox([ID], again=False)
        with bell.listen(take=holder._take) as listener:
            bell.tell(ID, inbox.write(), soon=True)
            bell.tell(ID, inbox.write())
            assert await listener.wait(0.1) == set()
        await holder._push_inbox([ID], again=False)
        assert sent(holder) == [1, 2, 3]

    asyncio.run(story())


def test_what_does_not_follow_is_read():
    async def story() -> None:
        inbox, bell = Inbox(), bells.Bell()
        holder = session(inbox, bell)
        with bell.listen(take=holder._take) as listener:
            inbox.write()
            bell.tell(ID, inbox.write())
            assert await listener.wait(20) == {ID}
        assert sent(holder) == []

    asyncio.run(story())


def test_who_does_not_hold_the_execution_is_told_nothing():
    async def story() -> None:
        inbox, bell = Inbox(), bells.Bell()
        holder = session(inbox, bell)
        with bell.listen(take=holder._take) as listener:
            bell.tell("another", inbox.write())
            assert await listener.wait(0) == set()
        assert sent(holder) == []

    asyncio.run(story())
