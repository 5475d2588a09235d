"""What the cache says to nodes that are ready: each answer is one that a node may rely on."""

import itertools

import pytest

from tests.unit.admin.cache_world import FAILED, FILE, World, file_of, made, task, the_output
from typedflow import errors, hashing, literal_types, literals
from typedflow.dataplane import offload
from typedflow.pb import catalog_pb2, executions_pb2, literals_pb2, propeller_pb2


@pytest.fixture
def world(tmp_path):
    made_ = World(tmp_path)
    made_.launch("x1")
    yield made_
    made_.close()


def test_what_nobody_made_is_absent(world):
    assert world.one("x1") == propeller_pb2.CacheAnswer(reason="absent")


def test_a_hit_has_the_outputs_and_says_who_made_them(world):
    usage = catalog_pb2.Usage(wall_seconds=2, cpu_seconds=3, gpu_seconds=4)
    spec = world.make("x1", usage=usage)
    answer = world.one("x1", "b")
    assert the_output(answer.entry).integer == 2
    assert (answer.entry.execution_id, answer.entry.node, answer.entry.attempt) == ("x1", "a", 1)
    assert (answer.entry.usage, answer.entry.manifest) == (usage, spec.manifest)
    assert not answer.recovered


def test_a_node_that_is_not_cached_is_not_given_what_the_cache_has(world):
    world.make("x1")
    question = world.question("x1", "b")
    question.cached = False
    assert world.ask(question)[0].reason == "absent"


def test_c8_none_is_a_result_as_any(world):
    world.task = task(output=literal_types.NONE)
    world.make("x1", outputs=literals.from_none())
    assert the_output(world.one("x1", "b").entry).HasField("none")


def test_c8_a_failure_is_no_result(world):
    spec = world.spec("x1")
    world.start(spec)
    world.finish(spec, FAILED)
    assert world.one("x1", "b").reason == "absent"


def test_a_result_that_is_too_old_is_expired_for_whoever_says_so(world):
    world.make("x1")
    world.now += 5_000_000
    assert world.one("x1", "b", max_age_ms=4_999).reason == "expired"
    assert world.one("x1", "b", max_age_ms=5_000).HasField("entry")
    assert world.one("x1", "b").HasField("entry")


def where(world, value: literals_pb2.Literal, of) -> literals_pb2.Literal:
    """Makes a result of this value."""
    world.task = task(output=of)
    world.make("x1", outputs=value)
    return value


def stream(world, *chunks: literals_pb2.List) -> literals_pb2.Literal:
    written = [chunk.SerializeToString() for chunk in chunks]
    blob = world.objects.put_bytes(b"".join(len(one).to_bytes(8, "little") + one for one in written))
    return literals_pb2.Literal(stream=literals_pb2.Stream(content=blob.digest, blob=blob, length=9))


def in_a_file(world, inner):
    return where(world, file_of(inner), FILE), FILE


def in_a_list(world, inner):
    of = literal_types.list_of(FILE)
    return where(world, literals.from_list(literals.pack([file_of(inner)])), of), of


def in_a_record_of_an_offloaded_list(world, inner):
    of = literal_types.list_of(FILE)
    whole = literals.from_list(literals.pack([file_of(inner)] * 3))
    return where(world, offload.offload(whole, world.objects, limit=0), of), of


def in_a_late_chunk_of_a_stream(world, inner):
    of = literal_types.stream_of(literal_types.optional(FILE))
    plain = literals_pb2.List(integers=literals_pb2.Integers(values=range(1000)))
    value = stream(world, plain, plain, literals.pack([file_of(inner)]), plain)
    return where(world, value, of), of


@pytest.mark.parametrize(
    "place", [in_a_file, in_a_list, in_a_record_of_an_offloaded_list, in_a_late_chunk_of_a_stream]
)
def test_c6_a_result_that_points_at_what_is_gone_is_stale_and_is_made_anew(world, place):
    inner = world.objects.put_bytes(b"inner")
    value, _ = place(world, inner)
    assert world.one("x1", "b").HasField("entry")
    world.objects.delete([inner.digest])
    assert world.one("x1", "b") == propeller_pb2.CacheAnswer(reason="stale")
    assert world.run(world.catalog.lookup([world.key()]))[0].reason == "stale"
    world.objects.put_bytes(b"inner")
    world.make("x1", "b", outputs=value)
    assert world.one("x1", "a").entry.node == "b"


def test_c6_a_file_outside_of_the_store_is_not_asked_for(world):
    world.task = task(output=FILE)
    outside = literals_pb2.File(content="b3:version", blob=literals_pb2.Blob(uri="s3://bucket/key"))
    world.make("x1", outputs=literals_pb2.Literal(file=outside))
    assert world.one("x1", "b").HasField("entry")


def test_c6_one_question_asks_the_store_once_for_all(world, monkeypatch):
    world.task = task(output=FILE)
    for number in range(5):
        blob = world.objects.put_bytes(f"object {number}".encode())
        inputs = literals.as_map({"x": literals.from_int(number)})
        world.launch(f"y{number}")
        world.make(f"y{number}", inputs=inputs, outputs=file_of(blob))
    keys = [world.key(inputs=literals.as_map({"x": literals.from_int(n)})) for n in range(5)]
    asked = []
    real = world.objects.exists

    def counted(blobs):
        asked.append(len(blobs))
        return real(blobs)

    monkeypatch.setattr(world.objects, "exists", counted)
    answers = world.ask(*(world.question("x1", f"n{n}", key) for n, key in enumerate(keys)))
    assert [answer.HasField("entry") for answer in answers] == [True] * 5
    assert asked == [5]


def test_a_thousand_questions_are_the_most(world):
    with pytest.raises(errors.UsageError, match="1,000"):
        world.ask(*itertools.repeat(world.question("x1"), 1001))


# Recovered executions


def recovered(world: World, **node) -> propeller_pb2.CacheAnswer:
    """What is there for the same node of an execution that recovers one with such a node."""
    given = {"phase": executions_pb2.PHASE_SUCCEEDED, "outputs": made().outputs} | node
    world.show("x1", id="a", task="m.inc", **given)
    world.end("x1", executions_pb2.PHASE_FAILED)
    world.launch("x2", recovered_from="x1")
    question = world.question("x2", recover_from="x1")
    question.cached = False
    return world.ask(question)[0]


def test_e12_a_node_that_succeeded_is_recovered_though_it_is_not_cached(world):
    spec = world.spec("x1")
    spec.options.cache.enabled = False
    world.start(spec)
    world.finish(spec, made(usage=catalog_pb2.Usage(cpu_seconds=7)))
    answer = recovered(world)
    assert answer.recovered
    assert the_output(answer.entry).integer == 2
    assert (answer.entry.execution_id, answer.entry.node, answer.entry.usage.cpu_seconds) == ("x1", "a", 7)


def test_e12_what_a_hit_gave_is_recovered_from_who_made_it(world):
    answer = recovered(
        world,
        cache=catalog_pb2.CACHE_STATUS_HIT,
        cache_key=world.key(),
        producer_execution_id="x0",
        producer_node="n",
        producer_attempt=3,
    )
    assert (answer.recovered, answer.entry.execution_id, answer.entry.node) == (True, "x0", "n")


def test_e12_a_node_that_failed_is_not_recovered(world):
    world.make("x1", inputs=literals.as_map({"x": literals.from_int(1)}))
    assert recovered(world, phase=executions_pb2.PHASE_FAILED).reason == "absent"


def test_e12_a_node_whose_key_is_another_is_not_recovered(world):
    world.make("x1", inputs=literals.as_map({"x": literals.from_int(5)}))
    assert recovered(world, cache_key="b3:another").reason == "absent"


def test_e12_what_is_recovered_is_asked_for_before_the_cache(world):
    world.make("x1")
    world.show("x1", id="a", phase=executions_pb2.PHASE_SUCCEEDED, outputs=made().outputs)
    world.launch("x2")
    world.make("x2", outputs=literals.from_int(99))
    answer = world.one("x2", recover_from="x1")
    assert (answer.recovered, the_output(answer.entry).integer) == (True, 2)


def test_e12_when_what_is_recovered_is_gone_the_cache_is_asked(world):
    blob = world.objects.put_bytes(b"gone")
    world.task = task(output=FILE)
    world.make("x1", outputs=file_of(blob))
    outputs = literals.as_map({"o0": file_of(blob)})
    world.show("x1", id="a", phase=executions_pb2.PHASE_SUCCEEDED, outputs=outputs)
    kept = world.objects.put_bytes(b"kept")
    world.launch("x2")
    world.make("x2", outputs=file_of(kept))
    world.objects.delete([blob.digest])
    answer = world.one("x2", recover_from="x1")
    assert (answer.recovered, answer.entry.execution_id) == (False, "x2")


def test_c5_a_key_has_the_types_of_the_outputs_in_it(world):
    before = world.key()
    world.task = task(output=literal_types.FLOAT)
    assert world.key() != before
    assert hashing.key(world.spec("x1").manifest) == world.key()
