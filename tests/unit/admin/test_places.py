"""E13: caps that are wider than an execution are never exceeded, and everybody comes to his turn."""

import hypothesis
import pytest
from hypothesis import strategies
from typedflow_admin import place_store, places

from tests.unit.admin import execution_world
from tests.unit.admin.execution_world import calls, promise, task, workflow
from typedflow import errors, identifiers, literals
from typedflow.pb import errors_pb2, executions_pb2, launch_plans_pb2, propeller_pb2

QUEUES = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(["m.a", "m.b"]),  # launch plan
        strategies.integers(0, 4),  # granted
        strategies.integers(0, 5),  # waiting
    ),
    max_size=8,
)
PLAN_LIMITS = {"m.a": 3, "m.b": 0}


def queue(number: int, plan: str, granted: int, waiting: int) -> place_store.QueueRow:
    return place_store.QueueRow(f"x{number}", number, "p", "d", plan, PLAN_LIMITS[plan], granted, waiting)


@hypothesis.given(rows=QUEUES, free=strategies.integers(0, 12))
def test_e13_no_more_places_are_given_than_there_are_and_none_is_kept_back(rows, free):
    queues = [queue(number, *row) for number, row in enumerate(rows)]
    used: dict[tuple[str, str, str], int] = {}
    for each in queues:
        used[each.plan] = used.get(each.plan, 0) + each.granted
    counts = places.allot(queues, used, free)
    by_plan = dict(used)
    for each in queues:
        given = counts.get(each.execution_id, 0)
        assert 0 <= given <= each.waiting
        by_plan[each.plan] = by_plan.get(each.plan, 0) + given
    assert sum(counts.values()) <= free
    for plan, count in by_plan.items():
        assert not PLAN_LIMITS[plan[2]] or count <= max(PLAN_LIMITS[plan[2]], used[plan])
    # What is left free is so because nobody who waits may have it.
    if sum(counts.values()) < free:
        for each in queues:
            full = each.plan_parallelism and by_plan[each.plan] >= each.plan_parallelism
            assert full or counts.get(each.execution_id, 0) == each.waiting


@hypothesis.given(rows=QUEUES, free=strategies.integers(0, 12))
def test_e13_whoever_has_fewer_places_comes_first(rows, free):
    queues = [queue(number, "m.b", granted, waiting) for number, (_, granted, waiting) in enumerate(rows)]
    counts = places.allot(queues, {}, free)
    after = {each.execution_id: each.granted + counts.get(each.execution_id, 0) for each in queues}
    for one in queues:
        if counts.get(one.execution_id, 0) == one.waiting:
            continue
        for other in queues:
            if counts.get(other.execution_id, 0):
                assert after[other.execution_id] <= after[one.execution_id] + 1


@pytest.fixture
def world(tmp_path):
    made = execution_world.World(tmp_path, project_parallelism=2)
    made.register(
        task(),
        workflow(calls("a", "m.inc", promise("", "n")), name="m.wf"),
        launch_plans_pb2.LaunchPlanTemplate(
            id=identifiers.launch_plan("m.one"), workflow=identifiers.workflow("m.wf"), max_parallelism=1
        ),
    )
    yield made
    made.close()


def launched(world: execution_world.World, plan: str = "m.wf") -> str:
    id_ = world.launch(plan, inputs_json='{"n": 1}').id
    world.hold()
    return id_


def ask(world: execution_world.World, execution_id: str, *nodes: str) -> None:
    world.commit(execution_id, places=[propeller_pb2.PlaceRequest(node=node, attempt=1) for node in nodes])


def granted(world: execution_world.World, *execution_ids: str) -> list[list[str]]:
    return [[each.node for each in world.told(id_, "place_granted")] for id_ in execution_ids]


def test_e13_an_execution_under_a_cap_is_told_so(world, tmp_path):
    capped = launched(world)
    assert world.told(capped, "execution_started")[0].capped
    (tmp_path / "free").mkdir()
    free = execution_world.World(tmp_path / "free")
    free.register(task(), workflow(calls("a", "m.inc", promise("", "n"))))
    assert not free.told(launched(free), "execution_started")[0].capped
    free.close()


def test_e13_a_project_has_so_many_places_and_takes_turns(world):
    one, two = launched(world), launched(world)
    ask(world, one, "a", "b", "c")
    assert granted(world, one) == [["a", "b"]]
    ask(world, two, "a", "b")
    assert granted(world, two) == [[]]
    # The execution that has fewer comes first, though the other asked earlier.
    world.commit(one, nodes=[executions_pb2.NodeExecution(id="a", phase=executions_pb2.PHASE_SUCCEEDED)])
    assert granted(world, one, two) == [[], ["a"]]
    world.end(two)
    assert granted(world, one) == [["c"]]


def test_e13_a_launch_plan_has_so_many_places_over_all_of_its_executions(world):
    one, two, other = launched(world, "m.one"), launched(world, "m.one"), launched(world)
    ask(world, one, "a")
    ask(world, two, "a")
    ask(world, other, "a")
    assert granted(world, one, two, other) == [["a"], [], ["a"]]
    world.end(one)
    assert granted(world, two) == [["a"]]


def test_e13_an_outcome_gives_the_place_back_in_its_transaction(world):
    one, two = launched(world), launched(world)
    ask(world, one, "a", "b")
    ask(world, two, "a")
    begun = world.begin(world.spec(one, "a", task(), {"x": literals.from_int(1)}))
    assert granted(world, two) == [[]]
    world.finish(begun, error=errors_pb2.ExecutionError(code="E"))
    assert granted(world, two) == [["a"]]


def test_e13_asking_twice_is_asking_once(world):
    one, two = launched(world), launched(world)
    ask(world, one, "a")
    ask(world, one, "a", "b")
    ask(world, two, "a")
    assert granted(world, two) == [[]]
    found = world.read(lambda transaction: transaction.places.queues([one, two]))
    assert [(found[id_].granted, found[id_].waiting) for id_ in (one, two)] == [(2, 0), (0, 1)]


def test_e13_an_attempt_that_ends_without_a_runner_gives_its_place_back(world):
    one = launched(world)
    ask(world, one, "a", "b", "c")
    world.commit(one, nodes=[executions_pb2.NodeExecution(id="b", phase=executions_pb2.PHASE_ABORTED)])
    assert granted(world, one) == [["c"]]


def test_a_place_that_there_can_not_be_is_refused(world):
    one = launched(world)
    with pytest.raises(errors.UsageError, match="a place is asked for"):
        world.commit(one, places=[propeller_pb2.PlaceRequest(node="a")])


EXECUTIONS = 4
STEPS = strategies.lists(
    strategies.tuples(
        strategies.integers(0, EXECUTIONS - 1),
        strategies.sampled_from(["ask", "ask", "finish", "end"]),
    ),
    max_size=15,
)


@hypothesis.settings(
    max_examples=8, deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(steps=STEPS)
def test_e13_whatever_happens_caps_hold_and_everybody_is_served_in_the_end(world, steps):
    ids = [launched(world, "m.one" if number % 2 else "m.wf") for number in range(EXECUTIONS)]
    has: dict[str, set[str]] = {id_: set() for id_ in ids}

    def look() -> None:
        """Notes who was told of a place, before a commit takes that; the caps hold at every moment."""
        for id_ in has:
            has[id_] |= {each.node for each in world.told(id_, "place_granted")}
        found = world.read(lambda transaction: transaction.places.queues(ids))
        assert {id_: row.granted for id_, row in found.items()} == {id_: len(has[id_]) for id_ in has}
        assert sum(map(len, has.values())) <= 2
        assert sum(row.granted for row in found.values() if row.launch_plan == "m.one") <= 1

    def finish(id_: str) -> None:
        if has[id_]:
            node = has[id_].pop()
            ended = executions_pb2.NodeExecution(id=node, phase=executions_pb2.PHASE_SUCCEEDED)
            world.commit(id_, nodes=[ended])
            look()

    for number, (chosen, what) in enumerate(steps):
        id_ = ids[chosen]
        if id_ not in has:
            continue
        if what == "ask":
            ask(world, id_, f"n{number}")
        elif what == "finish":
            finish(id_)
        else:
            world.end(id_)
            del has[id_]
        look()
    # Whoever still waits comes to his turn as the others finish.
    for _ in steps:
        for id_ in has:
            finish(id_)
    rows = world.read(lambda transaction: transaction.places.queues(ids))
    assert sum(row.granted + row.waiting for row in rows.values()) == 0
    for id_ in has:
        world.end(id_)
