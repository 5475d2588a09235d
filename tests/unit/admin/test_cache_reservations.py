"""Single flight: of many who would make the same entry one does, whoever fails, is lost or comes back."""

import random
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typedflow_admin import cache_store, reservations

from tests.unit.admin.cache_world import FAILED, World, made, the_output
from typedflow import literals
from typedflow.pb import attempt_pb2, catalog_pb2, executions_pb2, propeller_pb2


@pytest.fixture
def world(tmp_path):
    made_ = World(tmp_path)
    for name in ("x1", "x2", "x3"):
        made_.launch(name)
    yield made_
    made_.close()


def serial(world: World, id_: str, node: str = "a") -> propeller_pb2.CacheAnswer:
    return world.one(id_, node, serialize=True)


def waits_for(answer: propeller_pb2.CacheAnswer) -> tuple[str, str] | None:
    return (answer.holder_execution_id, answer.holder_node) if answer.wait else None


def test_c7_one_makes_it_and_the_others_wait_and_then_hit(world):
    assert waits_for(serial(world, "x1")) is None
    assert waits_for(serial(world, "x2")) == ("x1", "a")
    assert waits_for(serial(world, "x1", "b")) == ("x1", "a")
    assert waits_for(serial(world, "x1")) is None  # whoever asks again is still the one
    world.make("x1", serialize=True)
    assert serial(world, "x2").entry.execution_id == "x1"


def test_c7_of_those_who_ask_together_the_first_makes_it(world):
    answers = world.ask(*(world.question(name, serialize=True) for name in ("x2", "x1", "x3", "x2")))
    assert [waits_for(answer) for answer in answers] == [None, ("x2", "a"), ("x2", "a"), None]


def test_c7_who_does_not_serialize_neither_waits_nor_is_waited_for(world):
    serial(world, "x1")
    assert not world.one("x2").wait
    world.launch("x4")
    assert waits_for(serial(world, "x4")) == ("x1", "a")


@pytest.mark.parametrize(
    "outcome", [FAILED, attempt_pb2.Outcome(stopped=attempt_pb2.Stopped())], ids=["fails", "is stopped"]
)
def test_c7_who_fails_or_is_stopped_lets_go_at_once(world, outcome):
    serial(world, "x1")
    spec = world.spec("x1", serialize=True)
    world.start(spec)
    world.finish(spec, outcome)
    assert waits_for(serial(world, "x2")) is None


def test_c7_who_ends_without_having_begun_lets_go(world):
    """A node that is aborted while it waits for a place has no attempt that could say so."""
    serial(world, "x1")
    lease = world.read(lambda transaction: transaction.leases.find(["x1"]))["x1"]
    node = executions_pb2.NodeExecution(id="a", phase=executions_pb2.PHASE_SKIPPED, cache_key=world.key())
    part = propeller_pb2.ExecutionCommit(
        execution_id="x1", epoch=lease.epoch, expected_version=lease.version, nodes=[node]
    )
    result = world.run(world.commits.commit("me", propeller_pb2.Commit(id=1, executions=[part])))
    assert result.executions[0].status == propeller_pb2.COMMIT_STATUS_OK
    assert waits_for(serial(world, "x2")) is None


def end_of_node(world, id_: str, **node) -> None:
    lease = world.read(lambda transaction: transaction.leases.find([id_]))[id_]
    ended = executions_pb2.NodeExecution(id="a", phase=executions_pb2.PHASE_TIMED_OUT, **node)
    part = propeller_pb2.ExecutionCommit(
        execution_id=id_, epoch=lease.epoch, expected_version=lease.version, nodes=[ended]
    )
    result = world.run(world.commits.commit("me", propeller_pb2.Commit(id=1, executions=[part])))
    assert result.executions[0].status == propeller_pb2.COMMIT_STATUS_OK


def test_c7_who_ends_before_it_had_its_answer_lets_go_of_what_it_does_not_know_that_it_holds(world):
    """Otherwise another node of the execution waits for it for ever."""
    serial(world, "x1")
    end_of_node(world, "x1")  # without a key
    assert waits_for(serial(world, "x1", "b")) is None


def test_c7_who_has_ended_before_it_is_answered_is_no_holder(world):
    end_of_node(world, "x1")
    assert waits_for(serial(world, "x1")) is None
    assert waits_for(serial(world, "x1", "b")) is None


def test_c7_what_other_nodes_hold_stays_theirs_when_one_ends(world):
    serial(world, "x1", "b")
    end_of_node(world, "x1")
    assert waits_for(serial(world, "x2")) == ("x1", "b")


def test_c7_what_ends_holds_nothing(world):
    serial(world, "x1")
    world.end("x1")
    assert waits_for(serial(world, "x2")) is None


def test_c7_who_is_lost_loses_it_and_what_it_still_makes_is_not_published(world):
    serial(world, "x1")
    spec = world.spec("x1", serialize=True)
    world.start(spec)
    world.lapse("x1")
    assert waits_for(serial(world, "x2")) is None
    world.revive("x1")
    assert waits_for(serial(world, "x1", "b")) == ("x2", "a")
    world.finish(spec, made(literals.from_int(1)))
    (_, succeeded) = world.inbox("x1")
    assert (succeeded.cache, succeeded.cache_reason) == (catalog_pb2.CACHE_STATUS_PUT_FAILED, "fenced")
    assert the_output(succeeded).integer == 1  # its own outputs are good
    assert world.entry() is None
    assert waits_for(serial(world, "x3")) == ("x2", "a")  # and it let go of nothing that is another's
    world.make("x2", outputs=literals.from_int(2), serialize=True)
    assert the_output(serial(world, "x3").entry).integer == 2


def test_c7_who_is_lost_publishes_when_nobody_took_its_place(world):
    serial(world, "x1")
    spec = world.spec("x1", serialize=True)
    world.start(spec)
    world.lapse("x1")
    world.finish(spec, made())
    assert world.entry() is not None


def test_c7_who_is_lost_publishes_nothing_over_what_was_made_since(world):
    serial(world, "x1")
    spec = world.spec("x1", serialize=True)
    world.start(spec)
    world.now += 1
    world.lapse("x1")
    serial(world, "x2")
    world.make("x2", outputs=literals.from_int(2), serialize=True)
    world.finish(spec, made(literals.from_int(1)))
    assert world.inbox("x1")[1].cache_reason == "fenced"
    assert the_output(serial(world, "x3").entry).integer == 2


def test_c7_who_sees_an_entry_come_while_it_asks_waits_for_nobody_and_hits(world):
    """The entry is published after the question was looked up and before a holder is made."""
    row = cache_store.ReservationRow(world.key(), "x2", "a")
    world.make("x1")
    assert world.write(lambda transaction: reservations.ask(transaction, [row], {})) == {row: ("", "")}
    number = world.entry().number
    assert world.write(lambda transaction: reservations.ask(transaction, [row], {row.key: number})) == {
        row: None
    }


def test_c7_a_fence_is_greater_than_all_before_it(world):
    fences = []
    for name in ("x1", "x2", "x3"):
        serial(world, name)
        held = world.read(lambda transaction: transaction.reservations.find([world.key()]))
        fences.append(held[world.key()].fence)
        world.lapse(name)
    assert fences == sorted(set(fences))


def test_c7_whose_execution_has_ended_is_no_holder(world):
    world.end("x1")
    assert not serial(world, "x1").wait
    assert waits_for(serial(world, "x2")) is None


# What each of many may do next, whatever the others did: ask, begin, succeed, fail, be lost, come back.
MOVES = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["ask", "succeed", "fail", "lapse", "revive"])), max_size=40
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=MOVES)
def test_c7_at_most_one_is_the_holder_and_only_it_publishes(tmp_path_factory, moves):
    world = World(tmp_path_factory.mktemp("model"))
    names = [f"x{number}" for number in range(4)]
    for name in names:
        world.launch(name)
    driven, running, attempts = set(names), {}, dict.fromkeys(names, 0)
    holder, entry = None, None
    try:
        for number, move in moves:
            world.now += 1
            name = names[number]
            if move == "ask" and name not in running:
                answer = serial(world, name)
                if entry is not None:
                    assert answer.entry.execution_id == entry
                elif holder is not None and holder != name and holder in driven:
                    assert waits_for(answer) == (holder, "a")
                else:
                    assert waits_for(answer) is None
                    attempts[name] += 1
                    running[name] = world.spec(name, attempt=attempts[name], serialize=True)
                    world.start(running[name])
                    holder = name
            elif move == "succeed" and name in running:
                spec = running.pop(name)
                world.finish(spec, made())
                said = world.inbox(name)[-1]
                lives = holder in driven
                allowed = (lives and holder == name) or (not lives and entry is None)
                assert said.cache == (
                    catalog_pb2.CACHE_STATUS_POPULATED if allowed else catalog_pb2.CACHE_STATUS_PUT_FAILED
                )
                entry = name if allowed else entry
                holder = None if holder == name else holder
            elif move == "fail" and name in running:
                world.finish(running.pop(name), FAILED)
                holder = None if holder == name else holder
            elif move == "lapse" and name in driven:
                world.lapse(name)
                driven.discard(name)
            elif move == "revive":
                world.revive(name)
                driven.add(name)
    finally:
        world.close()


def test_c7_of_many_threads_one_at_a_time_makes_the_entry(tmp_path):
    """Real transactions that race: holders that fail, that are lost, and at last one that succeeds."""
    world = World(tmp_path)
    names = [f"x{number}" for number in range(6)]
    for name in names:
        world.launch(name)
    key, lock, making, most, published = world.key(), threading.Lock(), [], [], []
    chance = random.Random(7)
    fates = {name: [chance.choice(["fail", "fail", "succeed"]) for _ in range(20)] for name in names}

    def drive(name: str) -> None:
        for number, fate in enumerate(fates[name], 1):
            answer = serial(world, name)
            if answer.HasField("entry"):
                return
            if answer.wait:
                continue
            with lock:
                making.append(name)
                most.append(len(making))
            spec = world.spec(name, attempt=number, serialize=True)
            world.start(spec)
            with lock:
                making.remove(name)
            world.finish(spec, made() if fate == "succeed" else FAILED)
            if fate == "succeed":
                published.append(name)
                return

    threads = [threading.Thread(target=drive, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(published) <= 1
    if published:
        row = world.entry(key)
        assert row is not None
        assert catalog_pb2.CatalogEntry.FromString(row.entry).execution_id == published[0]
    world.close()
