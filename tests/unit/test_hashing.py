"""Digests: the golden vectors, and what a cache key does and does not depend on."""

import json
import math
import random
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from blake3 import blake3
from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from typedflow import errors, hashing, identifiers, literal_types, literals
from typedflow.hashing import canonical
from typedflow.literal_types import FLOAT, INT, STRING
from typedflow.pb.catalog_pb2 import KeyManifest
from typedflow.pb.interface_pb2 import Interface, Variable
from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate
from typedflow.pb.literals_pb2 import File, List, Literal, LiteralMap, Literals, Offloaded, Union
from typedflow.pb.tasks_pb2 import (
    CachePolicy,
    Code,
    EnvironmentVariable,
    PythonTarget,
    ResourceQuantities,
    Resources,
    RetryPolicy,
    SecretReference,
    TaskOptions,
    TaskTemplate,
    Timeouts,
)
from typedflow.pb.types_pb2 import LiteralType
from typedflow.pb.workflows_pb2 import Node, TaskNode, WorkflowTemplate

M = TypeVar("M", bound=Message)
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "hashing.json").read_text(encoding="utf-8"))


def read(kind: type[M], value: dict[str, object]) -> M:
    return json_format.ParseDict(value, kind())


TASK = TaskTemplate(
    id=identifiers.task("pipelines.train", project="p", domain="d", version="v1"),
    interface=Interface(
        inputs=[Variable(name="seed", type=INT), Variable(name="log_level", type=STRING)],
        outputs=[Variable(name="o0", type=FLOAT)],
    ),
    python=PythonTarget(module="pipelines", qualname="train", bundle="b3:bundle"),
    code=Code(fingerprint="b3:code", environment="b3:environment"),
    options=TaskOptions(image="registry/train:latest"),
    description="Trains.",
)
INPUTS = literals.as_map({"seed": literals.from_int(7), "log_level": literals.from_str("info")})


def key(task: TaskTemplate = TASK, options: TaskOptions | None = None, inputs: LiteralMap = INPUTS) -> str:
    return hashing.key(hashing.manifest(task, options or task.options, inputs))


def changed(change: Callable[[TaskTemplate], object], task: TaskTemplate = TASK) -> TaskTemplate:
    made = TaskTemplate()
    made.CopyFrom(task)
    change(made)
    return made


# Golden vectors


def test_the_golden_vectors_are_of_this_format():
    assert GOLDEN["format"] == hashing.FORMAT


@pytest.mark.parametrize("case", GOLDEN["literals"], ids=lambda case: case["name"])
def test_golden_literals(case: dict):
    assert hashing.of_literal(read(Literal, case["literal"])) == case["digest"]


@pytest.mark.parametrize("case", GOLDEN["types"], ids=lambda case: case["name"])
def test_golden_types(case: dict):
    assert hashing.of_type(read(LiteralType, case["type"])) == case["digest"]


@pytest.mark.parametrize("case", GOLDEN["keys"], ids=lambda case: case["name"])
def test_c1_golden_keys(case: dict):
    made = hashing.manifest(
        read(TaskTemplate, case["task"]), read(TaskOptions, case["options"]), read(LiteralMap, case["inputs"])
    )
    assert made == read(KeyManifest, case["manifest"])
    assert hashing.key(made) == case["key"]


@pytest.mark.parametrize("case", GOLDEN["entities"], ids=lambda case: case["name"])
def test_golden_entities(case: dict):
    template = (
        read(TaskTemplate, case["task"]) if "task" in case else read(WorkflowTemplate, case["workflow"])
    )
    assert hashing.of_entity(template) == case["entity"]
    assert hashing.of_content(template) == case["content"]


# Literals


def test_all_nans_are_one_and_the_zeros_are_two():
    odd = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000000123))[0]
    digests = [hashing.of_literal(literals.from_float(v)) for v in (math.nan, odd, 0.0, -0.0)]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3
    lists = [hashing.of_literal(literals.from_list(literals.floats([1.0, v]))) for v in (math.nan, odd)]
    assert lists[0] == lists[1]


def test_both_infinities_in_a_list_are_no_nan():
    made = literals.from_list(literals.floats([math.inf, -math.inf]))
    swapped = literals.from_list(literals.floats([-math.inf, math.inf]))
    nan = literals.from_list(literals.floats([math.nan, math.nan]))
    assert len({hashing.of_literal(v) for v in (made, swapped, nan)}) == 3


@pytest.mark.parametrize("length", [65_536, 65_537])
def test_a_long_str_inside_another_value_may_be_offloaded(length: int):
    text = literals.from_str("x" * length)
    offloaded = Literal(offloaded=Offloaded(content=hashing.of_literal(text)))
    inside = [
        [
            literals.from_record({"a": v}),
            Literal(union=Union(value=v)),
            literals.from_list(literals.pack([v, v])),
        ]
        for v in (text, offloaded)
    ]
    for whole, replaced in zip(*inside, strict=True):
        same = hashing.of_literal(whole) == hashing.of_literal(replaced)
        assert same == (length > 65_536)


def test_long_bytes_and_decimals_may_be_offloaded_as_a_long_str_may():
    for value in (literals.from_bytes(b"x" * 65_537), Literal(decimal="1" * 65_537)):
        offloaded = Literal(offloaded=Offloaded(content=hashing.of_literal(value)))
        whole, replaced = (literals.from_list(literals.pack([v, v])) for v in (value, offloaded))
        assert hashing.of_literal(whole) == hashing.of_literal(replaced)


def test_the_content_of_a_stream_does_not_depend_on_its_pieces():
    def content(*pieces: List) -> str:
        made = hashing.Elements()
        for piece in pieces:
            made.add(piece)
        return made.digest()

    numbers, more = literals.integers([1, 2]), literals.integers([3])
    loose = List(literals=Literals(values=literals.elements(numbers)))
    whole = content(literals.integers([1, 2, 3]))
    assert whole == content(numbers, more) == content(literals.empty(), loose, more)
    assert whole != content(more, numbers)
    assert content() != hashing.of_literal(literals.from_list(literals.empty()))


def test_none_without_bytes_of_its_own_is_hashed_without_a_value_for_each():
    names = [(name, literals.nones(2**20)) for name in ("a", "b")]
    many = literals.from_list(literals.records(2**20, names))
    few = literals.from_list(literals.records(2, [("a", literals.nones(2)), ("b", literals.nones(2))]))
    tracemalloc.start()
    hashing.of_literal(many)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 128 * 2**20
    loose = List(literals=Literals(values=literals.elements(few.list)))
    assert hashing.of_literal(few) == hashing.of_literal(literals.from_list(loose))


def test_c3_where_a_file_is_does_not_count():
    here, there = (Literal(file=File(content="b3:0")) for _ in range(2))
    there.file.blob.uri = "s3://elsewhere"
    there.file.name = "x.csv"
    assert hashing.of_literal(here) == hashing.of_literal(there)
    there.file.content = "b3:1"
    assert hashing.of_literal(here) != hashing.of_literal(there)


@pytest.mark.parametrize("content", ["", "b3:", "b3:00", "b3:" + "g" * 64, "00" * 32])
def test_what_is_offloaded_under_no_digest_is_refused(content: str):
    with pytest.raises(errors.ConversionError, match="not the digest"):
        hashing.of_literal(Literal(offloaded=Offloaded(content=content)))


def test_a_literal_without_a_value_has_no_digest():
    with pytest.raises(errors.ConversionError, match="without a value"):
        hashing.of_literal(Literal())


def test_the_same_bytes_of_different_kinds_of_things_have_different_digests():
    template = TaskTemplate()
    manifest = KeyManifest()
    digests = [hashing.of_entity(template), hashing.of_content(template), hashing.key(manifest)]
    assert len(set(digests)) == 3


# Keys


def test_c1_a_manifest_has_all_that_counts():
    options = TaskOptions(
        cache=CachePolicy(enabled=True, salt="pepper", ignored_inputs=["log_level"]),
        environment=[EnvironmentVariable(name="B", value="2"), EnvironmentVariable(name="A", value="1")],
    )
    made = hashing.manifest(TASK, options, INPUTS)
    assert (made.format, made.project, made.domain, made.task) == (1, "p", "d", "pipelines.train")
    assert (made.code, made.salt, made.environment) == ("b3:code", "pepper", "b3:environment")
    assert [(v.name, v.value) for v in made.variables] == [("A", "1"), ("B", "2")]
    assert [v.name for v in made.input_types] == ["log_level", "seed"]
    assert [v.name for v in made.output_types] == ["o0"]
    assert [(v.name, v.value) for v in made.inputs] == [("seed", hashing.of_literal(literals.from_int(7)))]


def test_c2_a_version_replaces_code_and_environment():
    options = TaskOptions(cache=CachePolicy(enabled=True, version="2"))
    made = hashing.manifest(TASK, options, INPUTS)
    assert (made.code, made.environment) == ("version:2", "")
    other = changed(lambda t: t.code.CopyFrom(Code(fingerprint="b3:x", environment="b3:y")))
    assert key(other, options) == key(TASK, options)


def test_c2_an_image_that_is_pinned_by_digest_is_the_environment_and_a_tag_is_none():
    pinned = TaskOptions(image="registry/train@sha256:" + "ab" * 32)
    assert hashing.manifest(TASK, pinned, INPUTS).environment == "sha256:" + "ab" * 32
    tagged = TaskOptions(image="registry:5000/train:latest")
    assert hashing.manifest(TASK, tagged, INPUTS).environment == "b3:environment"


def _input(task: TaskTemplate) -> Variable:
    return task.interface.inputs[0]


COUNTING: dict[str, Callable[[TaskTemplate], object]] = {
    "project": lambda t: setattr(t.id, "project", "other"),
    "domain": lambda t: setattr(t.id, "domain", "other"),
    "name": lambda t: setattr(t.id, "name", "other"),
    "code": lambda t: setattr(t.code, "fingerprint", "b3:other"),
    "environment": lambda t: setattr(t.code, "environment", "b3:other"),
    "input type": lambda t: _input(t).type.CopyFrom(literal_types.optional(INT)),
    "type of an ignored input": lambda t: t.interface.inputs[1].type.CopyFrom(INT),
    "output type": lambda t: t.interface.outputs[0].type.CopyFrom(INT),
    "output name": lambda t: setattr(t.interface.outputs[0], "name", "accuracy"),
    "salt": lambda t: setattr(t.options.cache, "salt", "pepper"),
    "cache version": lambda t: setattr(t.options.cache, "version", "1"),
    "environment variable": lambda t: t.options.environment.add(name="A", value="1"),
}
NEVER_COUNTING: dict[str, Callable[[TaskTemplate], object]] = {
    "docstring": lambda t: setattr(t, "description", "Trains well."),
    "input's description": lambda t: setattr(_input(t), "description", "Seeds."),
    "default": lambda t: _input(t).default.CopyFrom(literals.from_int(1)),
    "version": lambda t: setattr(t.id, "version", "v2"),
    "bundle": lambda t: setattr(t.python, "bundle", "b3:other"),
    "position": lambda t: setattr(t.position, "line", 7),
    "resources": lambda t: t.options.resources.CopyFrom(Resources(requests=ResourceQuantities(cpu="4"))),
    "retries": lambda t: t.options.retry.CopyFrom(RetryPolicy(retries=3)),
    "timeouts": lambda t: t.options.timeouts.CopyFrom(Timeouts(run_ms=1)),
    "interruptible": lambda t: setattr(t.options, "interruptible", True),
    "secrets": lambda t: t.options.secrets.append(SecretReference(group="g", key="k")),
    "serialize": lambda t: setattr(t.options.cache, "serialize", True),
    "enabled": lambda t: setattr(t.options.cache, "enabled", True),
    "order of inputs": lambda t: t.interface.inputs.append(t.interface.inputs.pop(0)),
}


@pytest.mark.parametrize("change", COUNTING.values(), ids=COUNTING)
def test_c1_what_counts_changes_the_key(change: Callable[[TaskTemplate], object]):
    assert key(changed(change)) != key()


@pytest.mark.parametrize("change", NEVER_COUNTING.values(), ids=NEVER_COUNTING)
def test_c4_what_does_not_count_keeps_the_key(change: Callable[[TaskTemplate], object]):
    assert key(changed(change)) == key()


def test_c1_an_ignored_input_counts_by_its_type_only():
    options = TaskOptions(cache=CachePolicy(enabled=True, ignored_inputs=["log_level"]))
    loud = literals.as_map({"seed": literals.from_int(7), "log_level": literals.from_str("debug")})
    assert key(options=options, inputs=loud) == key(options=options)
    assert key(inputs=loud) != key()


def test_c5_the_order_in_which_inputs_are_bound_does_not_count():
    backwards = LiteralMap(values=reversed(INPUTS.values))
    assert key(inputs=backwards) == key()


def test_a_consumer_of_an_optional_has_one_key_whichever_of_both_its_producer_gives():
    optional = literal_types.optional(INT)
    plain = literals.convert(literals.from_int(7), INT, optional)
    given = literals.convert(literals.constant(literals.from_int(7), optional, ""), optional, optional)
    assert hashing.of_literal(plain) == hashing.of_literal(given)


@pytest.mark.parametrize("ignored", [(), ("log_level",), ("log_level", "seed")])
def test_c1_a_recipe_gives_the_key_of_the_manifest_that_it_gives(ignored):
    options = TaskOptions(
        cache=CachePolicy(ignored_inputs=ignored),
        environment=[EnvironmentVariable(name="MODE", value="fast")],
    )
    recipe = hashing.Recipe(TASK, options)
    for seed in (7, 8):
        inputs = literals.as_map({"seed": literals.from_int(seed), "log_level": literals.from_str("info")})
        digests = {each.name: hashing.of_literal(each.value) for each in inputs.values}
        made = hashing.manifest(TASK, options, inputs)
        assert recipe.manifest(digests) == made
        assert recipe.key(digests) == hashing.key(made)
        assert recipe.key(dict(reversed(digests.items()))) == hashing.key(made)


def test_each_part_of_a_manifest_has_its_place_in_the_key():
    names = ["project", "domain", "task", "code", "salt", "environment"]
    made = [read(KeyManifest, {name: "x"}) for name in names]
    for repeated in ("variables", "input_types", "output_types", "inputs"):
        manifest = KeyManifest()
        getattr(manifest, repeated).add(name="x", value="x")
        made.append(manifest)
    assert len({hashing.key(m) for m in [*made, KeyManifest(), KeyManifest(format=1)]}) == len(made) + 2


# Templates

UNCHANGED = ["docstring", "input's description", "version", "bundle", "position"]


@pytest.mark.parametrize("name", UNCHANGED)
def test_i2_unchanged_leaves_out_what_is_no_part_of_what_an_entity_does(name: str):
    other = changed(NEVER_COUNTING[name])
    assert hashing.of_entity(other) == hashing.of_entity(TASK)
    assert hashing.of_content(other) != hashing.of_content(TASK)


@pytest.mark.parametrize(
    "name", ["default", "resources", "retries", "timeouts", "secrets", "order of inputs"]
)
def test_i1_any_other_change_is_one(name: str):
    other = changed(NEVER_COUNTING[name])
    assert hashing.of_entity(other) != hashing.of_entity(TASK)
    assert hashing.of_content(other) != hashing.of_content(TASK)


def test_i2_a_default_that_is_packed_differently_is_no_change():
    packed, loose = literals.from_list(literals.integers([1])), Literal()
    loose.list.literals.values.append(literals.from_int(1))
    one = changed(lambda t: _input(t).default.CopyFrom(packed))
    other = changed(lambda t: _input(t).default.CopyFrom(loose))
    assert hashing.of_entity(one) == hashing.of_entity(other)


def test_i2_a_reference_to_the_own_version_says_the_same_spelled_out_or_left_empty():
    def calling(own: str, called: str) -> WorkflowTemplate:
        node = Node(id="train", task=TaskNode(task=identifiers.task("train", version=called)))
        return WorkflowTemplate(id=identifiers.workflow("training", version=own), nodes=[node])

    same = [calling("v1", ""), calling("v1", "v1"), calling("v2", ""), calling("v2", "v2")]
    assert len({hashing.of_entity(w) for w in same}) == 1
    assert hashing.of_entity(calling("v2", "v1")) != hashing.of_entity(same[0])


def laid_out(message: Message) -> tuple:
    """As docs/hashing.md says it."""
    return tuple(
        (
            field.number,
            *(
                laid_out(v) if isinstance(v, Message) else v
                for v in (value if field.is_repeated else [value])
            ),
        )
        for field, value in message.ListFields()
    )


def any_message(kind: type[Message], draw: random.Random, depth: int = 0) -> Message:
    made = kind()
    for field in made.DESCRIPTOR.fields:
        if draw.random() < (0.3 if depth < 3 else 0.8):
            continue
        count = draw.choice([0, 1, 2, 70]) if field.is_repeated and depth < 2 else 1
        if field.message_type is not None:
            if depth < 6:
                inside = GetMessageClass(field.message_type)  # type: ignore[arg-type]  # of either implementation
                inner = [any_message(inside, draw, depth + 1) for _ in range(count)]
                made.MergeFrom(kind(**{field.name: inner if field.is_repeated else inner[0]}))
            continue
        values = {
            field.CPPTYPE_STRING: b"\xff\0"
            if field.type == field.TYPE_BYTES
            else draw.choice(["", "a", "ß" * 300]),
            field.CPPTYPE_BOOL: True,
            field.CPPTYPE_DOUBLE: draw.choice([0.5, -0.0, math.nan]),
            field.CPPTYPE_UINT64: 2**64 - 1,
            field.CPPTYPE_INT64: -(2**63),
        }
        value = values.get(field.cpp_type, 1)
        made.MergeFrom(kind(**{field.name: [value] * count if field.is_repeated else value}))
    return made


@pytest.mark.parametrize("kind", [TaskTemplate, WorkflowTemplate, LaunchPlanTemplate])
def test_i1_the_content_of_any_template_is_laid_out_as_documented(kind: type[Message]):
    for seed in range(20):
        template = any_message(kind, random.Random(seed))
        assert hashing.of_content(template) == canonical.digest(canonical.CONTENT, laid_out(template))


def test_c4_the_age_of_results_that_are_used_is_no_part_of_the_key():
    plain, aged = TaskOptions(), TaskOptions()
    plain.cache.enabled = aged.cache.enabled = True
    aged.cache.max_age_ms = 1000
    task = TaskTemplate()
    made = [hashing.key(hashing.manifest(task, each, LiteralMap())) for each in (plain, aged)]
    assert made[0] == made[1]


def test_c3_what_an_author_says_of_a_value_has_bytes_of_its_own():
    made = blake3(b"typedflow.said.1\0" + "grün".encode()).hexdigest()
    assert hashing.of_said("grün") == f"b3:{made}"
    assert hashing.of_literal(Literal(integer=3, content=hashing.of_said("x"))) == hashing.of_said("x")
    assert hashing.of_value(Literal(integer=3, content=hashing.of_said("x"))) == hashing.of_literal(
        Literal(integer=3)
    )
