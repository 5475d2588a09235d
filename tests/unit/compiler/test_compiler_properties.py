"""What holds for every template: valid ones compile to a fixed point, and no message of anybody's raises."""

import random

from google.protobuf.message import DecodeError, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from typedflow import compiler, literal_types, literals
from typedflow.compiler import explanations
from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import WorkflowTemplate

CODES = {each.code for each in explanations.EXPLANATIONS}
WIDE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

MANY = settings(WIDE, max_examples=200)

TYPES = st.recursive(
    st.sampled_from(
        [literal_types.INT, literal_types.FLOAT, literal_types.STRING, literal_types.file("csv")]
    ),
    lambda inner: (
        st.builds(literal_types.list_of, inner)
        | st.builds(literal_types.optional, inner)
        | st.builds(lambda a, b: literal_types.record("R", {"a": a, "b": b}), inner, inner)
    ),
    max_leaves=4,
)


@st.composite
def valid(draw, build):
    """A workflow whose nodes each take what earlier ones give, in any order of writing."""
    made = build()
    types = draw(st.lists(TYPES, min_size=1, max_size=4))
    for i, type_ in enumerate(types):
        defaults = (literal_types.FLOAT, literals.from_int(i))
        made.add_task(
            f"t{i}", {"one": type_, "many": literal_types.list_of(type_), "by": defaults}, {"o0": type_}
        )
        made.add_input(f"in{i}", type_)
    gives = {i: [made.given(f"in{i}")] for i in range(len(types))}
    count = draw(st.integers(1, 12))
    for node in range(count):
        task = draw(st.integers(0, len(types) - 1))
        pick = st.sampled_from(gives[task])
        bindings = {"one": draw(pick), "many": made.many(*draw(st.lists(pick, max_size=3)))}
        if draw(st.booleans()):
            bindings["by"] = made.value(literals.from_int(draw(st.integers(-5, 5))))
        after = draw(st.lists(st.sampled_from([f"n{i}" for i in range(node)]), max_size=2)) if node else []
        made.add_node(f"n{node}", bindings, task=f"t{task}", after=after)
        gives[task].append(made.of(f"n{node}"))
    order = draw(st.permutations(range(count)))
    nodes = [made.template.nodes[i] for i in order]
    written = [node.SerializeToString() for node in nodes]
    del made.template.nodes[:]
    for each in written:
        made.template.nodes.add().ParseFromString(each)
    made.add_output("o0", types[0], draw(st.sampled_from(gives[0])))
    return made


def waits_for(node):
    yield from node.after
    for binding in node.inputs:
        values = [binding.value]
        while values:
            value = values.pop()
            values.extend(value.list.elements)
            if value.HasField("promise") and value.promise.node:
                yield value.promise.node


@WIDE
@given(data=st.data())
def test_every_valid_workflow_compiles_into_topological_order(build, data):
    made = data.draw(valid(build))
    nodes = made.compiled().workflow.nodes
    assert sorted(node.id for node in nodes) == sorted(node.id for node in made.template.nodes)
    seen: set[str] = set()
    for node in nodes:
        assert seen.issuperset(waits_for(node))
        seen.add(node.id)
        assert [binding.variable for binding in node.inputs] == ["one", "many", "by"]
        assert node.inputs[2].value.literal.WhichOneof("value") == "float"


@WIDE
@given(data=st.data())
def test_what_was_compiled_compiles_to_itself(build, data):
    made = data.draw(valid(build))
    once = made.compiled()
    again = build()
    again.template = once.workflow
    again.tasks = {task.id.name: task for task in once.tasks}
    assert again.compiled().SerializeToString(deterministic=True) == once.SerializeToString(
        deterministic=True
    )


def places(message: Message):
    """Every message in a message, itself first."""
    todo = [message]
    while todo:
        current = todo.pop()
        yield current
        for field, value in current.ListFields():
            if field.message_type is not None:
                todo.extend(value if field.is_repeated else [value])


def damage(message: Message, rng: random.Random) -> None:
    """One random change: something cleared, doubled, left out, put somewhere else, or given another value."""
    place = rng.choice([each for each in places(message) if each.DESCRIPTOR.fields])
    field = rng.choice(place.DESCRIPTOR.fields)
    change = rng.randrange(4)
    if change == 0:
        place.ClearField(field.name)
    elif field.is_repeated:
        values = getattr(place, field.name)
        if field.message_type is None:
            values.extend([value(field, rng)] * 2)
        elif change == 1 and values:
            values.add().CopyFrom(rng.choice(values))
        elif change == 2 and values:
            del values[rng.randrange(len(values))]
        else:
            values.add()
    elif field.message_type is not None:
        same = [
            each
            for each in places(message)
            if each.DESCRIPTOR is field.message_type and not contains(each, place)
        ]
        getattr(place, field.name).SetInParent()
        if same:
            getattr(place, field.name).CopyFrom(rng.choice(same))
    else:
        setattr(place, field.name, value(field, rng))


def contains(outer: Message, inner: Message) -> bool:
    return any(each is inner for each in places(outer))


def value(field, rng: random.Random):
    if field.type == field.TYPE_BYTES:
        return rng.choice([b"", b"n0", b"\xff" * 20])
    if field.cpp_type == field.CPPTYPE_STRING:
        texts = ["", "n0", "n1", "o0", "one", "in0", "pipeline.t0", "a b", "\0\x1b[31m", "x" * 300]
        return rng.choice(texts)
    if field.cpp_type == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if field.cpp_type in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice([0.0, -1.0, float("nan"), float("inf"), 1e300])
    if field.cpp_type in (field.CPPTYPE_UINT32, field.CPPTYPE_ENUM, field.CPPTYPE_INT32):
        return rng.choice([0, 1, 2, 99, 2**31 - 1])
    signed = field.cpp_type == field.CPPTYPE_INT64
    return rng.choice([0, 1, -1 if signed else 5, 2**40, 2**63 - 1, -(2**63) if signed else 2**64 - 1])


def told(result: compiler.Result) -> None:
    """A value or diagnostics, and these of known codes."""
    assert (result.value is None) == bool(result.diagnostics)
    assert {each.code for each in result.diagnostics} <= CODES
    if result.value is not None:
        result.value.SerializeToString(deterministic=True)


@MANY
@given(data=st.data(), seed=st.integers(0, 2**32), changes=st.integers(1, 12))
def test_no_damage_to_a_template_or_its_tasks_raises(build, data, seed, changes):
    rng = random.Random(seed)
    made = data.draw(valid(build))
    compiled = made.compiled()
    for _ in range(changes):
        damage(rng.choice([made.template, *made.tasks.values()]), rng)
    told(made.compile())
    for task in made.tasks.values():
        told(compiler.compile_task(task))
    plan = LaunchPlanTemplate(default_inputs=literals.as_map({"in0": literals.from_int(1)}))
    for _ in range(changes):
        damage(plan, rng)
    told(compiler.compile_launch_plan(plan, compiled))


@MANY
@given(data=st.data(), seed=st.integers(0, 2**32))
def test_no_bytes_that_parse_raise(build, data, seed):
    rng = random.Random(seed)
    made = data.draw(valid(build))
    for kind, message in ((WorkflowTemplate, made.template), (TaskTemplate, next(iter(made.tasks.values())))):
        raw = bytearray(message.SerializeToString())
        for _ in range(rng.randrange(1, 6)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        try:
            parsed = kind.FromString(bytes(raw))
        except DecodeError:
            continue
        if isinstance(parsed, WorkflowTemplate):
            made.template = parsed
            told(made.compile())
        else:
            told(compiler.compile_task(parsed))
