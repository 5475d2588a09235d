"""Why a node hit or missed is told in the author's words: what changed, with both values."""

import pytest
from typedflow_admin import explanation

from tests.unit.admin.cache_world import FAILED, World, task
from typedflow import errors, hashing, literal_types, literals
from typedflow.pb import catalog_pb2, executions_pb2, tasks_pb2

HIT, MISS = catalog_pb2.CACHE_STATUS_HIT, catalog_pb2.CACHE_STATUS_MISS


@pytest.fixture
def world(tmp_path):
    made_ = World(tmp_path)
    yield made_
    made_.close()


def x(value: int):
    return literals.as_map({"x": literals.from_int(value)})


def explain(world: World, id_: str, node: str = "a") -> catalog_pb2.ExplainResponse:
    request = catalog_pb2.ExplainRequest(execution_id=id_, node=node)
    return world.run(world.explanations.explain(request))


def entry(world: World, id_: str, inputs=None, **cache) -> None:
    """An entry of the task as it is."""
    world.launch(id_)
    world.make(id_, inputs=inputs, **cache)
    world.now += 1


def missed(world, id_: str = "new", node: str = "a", reason: str = "absent", inputs=None, **cache):
    """What is told of a node that missed, and runs."""
    world.launch(id_)
    world.now += 1
    spec = world.spec(id_, node, inputs=inputs, **cache)
    shown = executions_pb2.NodeExecution(
        id=node, task="m.inc", phase=executions_pb2.PHASE_RUNNING, cache=MISS, cache_reason=reason
    )
    shown.cache_key = spec.cache_key
    world.start(spec, shown)
    return explain(world, id_, node)


def differences(found: catalog_pb2.ExplainResponse) -> list[tuple[str, str, str, str]]:
    return [(each.component, each.name, each.before, each.after) for each in found.differences]


def test_c9_the_first_of_its_task_has_nothing_to_be_compared_with(world):
    found = missed(world)
    assert (found.status, found.reason, found.key) == (MISS, "absent", world.key())
    assert found.manifest == world.spec("new").manifest
    assert not found.HasField("nearest")
    assert differences(found) == []


def test_c9_an_input_that_differs_is_told_with_both_values(world):
    entry(world, "old", x(1))
    found = missed(world, inputs=x(2))
    assert differences(found) == [("input", "x", "1", "2")]
    assert (found.nearest.execution_id, found.nearest.node) == ("old", "a")
    assert not found.nearest.HasField("outputs")


def test_c9_what_changed_of_the_code_is_told_by_name(world):
    world.task = task(code="b3:1", **{"m.inc": "b3:same", "m.scale": "b3:before", "m.gone": "b3:gone"})
    entry(world, "old")
    world.task = task(code="b3:2", **{"m.inc": "b3:same", "m.scale": "b3:after", "m.new": "b3:new"})
    assert differences(missed(world)) == [
        ("code", "m.gone", "b3:gone", ""),
        ("code", "m.new", "", "b3:new"),
        ("code", "m.scale", "b3:before", "b3:after"),
    ]


def test_c9_code_that_is_known_no_more_is_told_by_its_fingerprint(world):
    world.task = task(code="b3:1", **{"m.inc": "b3:before"})
    entry(world, "old")
    world.write(lambda transaction: transaction.objects.forget_executions(["old"]))
    world.task = task(code="b3:2", **{"m.inc": "b3:after"})
    assert differences(missed(world)) == [("code", "", "b3:1", "b3:2")]


def test_c9_an_authors_own_version_is_told(world):
    entry(world, "old", version="1")
    assert differences(missed(world, version="2")) == [("code", "version", "1", "2")]


def test_c9_distributions_are_told_with_their_versions(world):
    def with_versions(environment: str, python: str, **versions: str) -> tasks_pb2.TaskTemplate:
        made_ = task()
        made_.code.environment, made_.code.python = environment, python
        for name, version in versions.items():
            made_.code.distributions.add(name=name, version=version)
        return made_

    world.task = with_versions("b3:1", "3.11", numpy="1.26.4", pandas="2.2.0")
    entry(world, "old")
    world.task = with_versions("b3:2", "3.12", numpy="2.0.1", pandas="2.2.0", scipy="1.14")
    assert differences(missed(world)) == [
        ("environment", "numpy", "1.26.4", "2.0.1"),
        ("environment", "python", "3.11", "3.12"),
        ("environment", "scipy", "", "1.14"),
    ]


def test_c9_types_and_variables_and_the_salt_are_told_most_telling_first(world):
    entry(world, "old", salt="a")
    world.task = task(output=literal_types.FLOAT)
    world.task.options.environment.add(name="MODE", value="fast")
    found = missed(world, inputs=x(9), salt="b")
    assert [(each.component, each.name) for each in found.differences] == [
        ("output type", "o0"),
        ("input", "x"),
        ("variable", "MODE"),
        ("salt", ""),
    ]
    assert differences(found)[2:] == [("variable", "MODE", "", "fast"), ("salt", "", "a", "b")]


def test_c9_the_nearest_is_the_one_with_the_fewest_differences_and_of_those_the_newest(world):
    world.task = task(code="b3:1")
    entry(world, "far", x(1))
    world.task = task()
    entry(world, "near", x(2))
    entry(world, "nearer", x(3))
    world.task = task(code="b3:1")
    entry(world, "newest", x(4))
    world.task = task()
    assert missed(world, inputs=x(9)).nearest.execution_id == "nearer"


def test_c9_what_it_made_itself_explains_nothing(world):
    entry(world, "old", x(1))
    world.launch("new")
    world.make("new", inputs=x(2))
    world.now += 1
    entry(world, "later", x(2))
    world.show("new", id="a", task="m.inc", cache=catalog_pb2.CACHE_STATUS_POPULATED, cache_key=world.key())
    assert explain(world, "new").nearest.execution_id == "old"


def test_c9_of_what_is_sensitive_only_that_it_differs_is_told(world):
    secret = literal_types.sensitive(literal_types.INT)
    world.task.interface.inputs[0].type.CopyFrom(secret)
    entry(world, "old", x(41_414_141))
    found = missed(world, inputs=x(42_424_242))
    assert differences(found) == [("input", "x", "", "")]
    said = str(found)
    for number in (41_414_141, 42_424_242):
        assert str(number) not in said
        assert hashing.of_literal(literals.from_int(number)) not in said


def test_c9_what_is_large_is_told_by_its_digest(world):
    world.task.interface.inputs[0].type.CopyFrom(literal_types.STRING)
    one, two = (literals.as_map({"x": literals.from_str(letter * 5000)}) for letter in "ab")
    entry(world, "old", one)
    (found,) = missed(world, inputs=two).differences
    assert found.before.startswith("b3:")
    assert found.before != found.after


def test_c9_a_hit_says_who_made_it(world):
    world.launch("old")
    spec = world.make("old", usage=catalog_pb2.Usage(wall_seconds=3))
    world.launch("new")
    world.show(
        "new", id="a", task="m.inc", cache=HIT, cache_key=spec.cache_key, producer_execution_id="old",
        producer_node="a", producer_attempt=1, phase=executions_pb2.PHASE_SUCCEEDED,
    )  # fmt: skip
    found = explain(world, "new")
    assert (found.status, found.manifest, found.key) == (HIT, spec.manifest, spec.cache_key)
    assert (found.nearest.execution_id, found.nearest.usage.wall_seconds) == ("old", 3)
    assert differences(found) == []
    world.write(lambda transaction: transaction.catalog.remove([spec.cache_key]))
    assert explain(world, "new").nearest.execution_id == "old"


@pytest.mark.parametrize("reason", ["stale", "expired", "overwrite", "fenced"])
def test_c9_an_entry_of_the_same_key_that_was_not_used_is_named(world, reason):
    entry(world, "old")
    found = missed(world, reason=reason)
    assert (found.reason, found.nearest.execution_id) == (reason, "old")
    assert differences(found) == []


def test_c9_a_task_that_is_not_cached_is_compared_all_the_same(world):
    entry(world, "old", x(1))
    world.launch("new")
    spec = world.spec("new", inputs=x(2))
    spec.options.cache.enabled = False
    world.now += 1
    world.start(
        spec, executions_pb2.NodeExecution(id="a", task="m.inc", cache=catalog_pb2.CACHE_STATUS_DISABLED)
    )
    found = explain(world, "new")
    assert (found.status, found.key) == (catalog_pb2.CACHE_STATUS_DISABLED, spec.cache_key)
    assert differences(found) == [("input", "x", "1", "2")]


def test_c9_a_slot_has_a_key_of_its_own(world):
    world.task = task(code="b3:1", **{"m.inc": "b3:before"})
    entry(world, "old")
    world.task = task(code="b3:2", **{"m.inc": "b3:after"})
    assert differences(missed(world, node="each[3]")) == [("code", "m.inc", "b3:before", "b3:after")]
    world.show("new", id="each", kind=executions_pb2.NODE_KIND_MAP, task="m.inc")
    with pytest.raises(errors.StateConflict) as refused:
        explain(world, "new", "each")
    assert "each[0]" in refused.value.hint


def test_c9_what_was_not_asked_yet_has_nothing_to_explain(world):
    world.launch("new")
    for node in ("a", "b"):
        with pytest.raises(errors.StateConflict) as refused:
            explain(world, "new", node)
        assert refused.value.code == "NotAsked"
    with pytest.raises(errors.NotFound):
        explain(world, "new", "nobody")
    with pytest.raises(errors.NotFound):
        explain(world, "nothing")


def test_c9_a_node_that_failed_is_explained_too(world):
    entry(world, "old", x(1))
    world.launch("new")
    world.now += 1
    spec = world.spec("new", inputs=x(2))
    world.start(spec)
    world.finish(spec, FAILED)
    assert differences(explain(world, "new")) == [("input", "x", "1", "2")]


# For forecasts


def reasons(world: World, *inputs) -> list[str]:
    sides = []
    for each in inputs:
        spec = world.spec("plan", inputs=each)
        sides.append(explanation.Side(spec.manifest, each, world.task.interface, world.task.code))
    return world.run(world.explanations.reasons(sides))


def test_c9_a_forecast_says_in_a_clause_why_something_will_run(world):
    assert reasons(world, x(1)) == ["it has not run before"]
    world.task = task(code="b3:1", **{"m.inc": "b3:before"})
    entry(world, "old", x(1))
    assert reasons(world, x(2), x(1)) == ["input x 1 -> 2", "its result is not there any more"]
    world.task = task(code="b3:2", **{"m.inc": "b3:after"})
    assert reasons(world, x(1), x(2)) == [
        "the code of m.inc changed",
        "the code of m.inc changed, and 1 more differ",
    ]
