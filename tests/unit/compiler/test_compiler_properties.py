"""What holds for every template: valid ones compile to a fixed point, and no message of anybody's raises."""

import random

from google.protobuf.message import DecodeError, Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.compiler import explanations
from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate
from typedflow.pb.tasks_pb2 import TaskTemplate
from typedflow.pb.workflows_pb2 import Condition, Conditions, WorkflowTemplate

INT = literal_types.INT
PAIR = literal_types.record("Pair", {"left": INT, "right": INT})
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


def rich(build, rng: random.Random):
    """A workflow with every kind of node, wired at random; right as it is."""
    made = build()
    tasks_for(made)
    made.workflows["pipeline.part"] = part = part_of(build)
    made.launch_plans["pipeline.plan"] = plan_of(part)
    made.add_input("n", INT)
    made.add_input("flag", literal_types.BOOL)
    made.add_input("table", literal_types.dict_of(INT))
    made.add_input("pairs", literal_types.list_of(PAIR))
    key, inside = made.given("table"), made.given("pairs", 0, "left")
    key.promise.path.add(key="a")
    ints = [made.given("n"), made.value(literals.from_int(3)), key, inside]
    grow(made, rng, ints, rng.randrange(1, 12), "s", None)
    for i in range(rng.randrange(3)):
        error = made.value(literals.from_none())
        error.error.path.add(field="message")
        handler = made.add_node(f"f{i}", {"n": made.given("n"), "why": error}, task="say")
        handler.section.failure.SetInParent()
    made.add_output("o0", INT, rng.choice(ints))
    shuffled = list(made.template.nodes)
    rng.shuffle(shuffled)
    written = [node.SerializeToString() for node in shuffled]
    del made.template.nodes[:]
    for each in written:
        made.template.nodes.add().ParseFromString(each)
    return made


def tasks_for(made):
    made.add_task("add", {"n": INT, "by": (literal_types.FLOAT, literals.from_int(2))}, {"o0": INT})
    made.add_task("say", {"n": INT, "why": literal_types.STRING}, {})
    made.add_task("pair", {"pair": PAIR, "table": literal_types.dict_of(INT)}, {"o0": PAIR})


def part_of(build):
    part = build()
    tasks_for(part)
    part.template.id.name = "pipeline.part"
    part.add_input("n", INT)
    part.add_input("pair", PAIR)
    part.add_node("inner", {"n": part.given("pair", "left")}, task="add")
    choice = part.add_branch("choice", {"o0": INT})
    part.put(part.add_node("more", {"n": part.of("inner")}, task="add"), "choice", 0)
    part.case(choice, part.compare(part.given("n"), "<", part.of("inner")), {"o0": part.of("more")})
    part.case(choice, None, {"o0": part.given("n")})
    part.add_output("o0", INT, part.of("choice"))
    part.add_output("pair", PAIR, part.given("pair"))
    return part.compiled()


def plan_of(workflow):
    template = LaunchPlanTemplate(
        id=identifiers.launch_plan("pipeline.plan"),
        workflow=workflow.workflow.id,
        fixed_inputs=literals.as_map({"n": literals.from_int(1)}),
    )
    made = compiler.compile_launch_plan(template, workflow).value
    assert made is not None
    return made


def grow(made, rng: random.Random, ints, count: int, prefix: str, case) -> None:
    """Adds nodes to a section, whose ints are these; what they give is added to them."""
    for i in range(count):
        node_id = f"{prefix}{i}"
        one = rng.choice(ints)
        pair = made.record(left=rng.choice(ints), right=rng.choice(ints))
        kinds = ("task", "map", "pair", "gate", "launch", "call", "branch", "sleep")
        kind = rng.choice(kinds if len(prefix) < 4 else kinds[:-2])
        match kind:
            case "task":
                node = made.add_node(node_id, {"n": one}, task="add")
                ints.append(made.of(node_id))
            case "map":
                node = made.add_map(node_id, {"n": made.many(one, rng.choice(ints))}, task="add")
                ints.append(made.of(node_id, "o0", rng.choice([0, -1])))
            case "pair":
                bound = {"pair": pair, "table": made.dict(a=one, b=made.value(literals.from_int(1)))}
                node = made.add_node(node_id, bound, task="pair")
                ints.append(made.of(node_id, "o0", "left"))
            case "gate":
                node = made.add_gate(node_id, {"value": one})
                node.gate.approval.type.CopyFrom(INT)
                ints.append(made.of(node_id))
            case "launch":
                node = made.add_launch(node_id, {"pair": pair}, plan="plan")
                ints.append(made.of(node_id))
            case "call":
                node = made.add_call(node_id, {"n": one, "pair": pair}, workflow="part")
                ints += [made.of(node_id), made.of(node_id, "pair", "right")]
            case "branch":
                node = grow_branch(made, rng, ints, node_id)
            case _:
                node = made.add_gate(node_id)
                node.gate.sleep.duration_ms = 5
        if case is not None:
            made.put(node, *case)
        if i and rng.random() < 0.2:
            node.after.append(f"{prefix}{rng.randrange(i)}")


def grow_branch(made, rng: random.Random, ints, node_id: str):
    node = made.add_branch(node_id, {"o0": INT})
    place = len(made.template.nodes) - 1
    count = rng.randrange(1, 4)
    for case in range(count + 1):
        within = list(ints)
        node = made.template.nodes[place]
        last = case == count
        condition = (
            None if last else made.compare(rng.choice(ints), rng.choice(["<", "==", ">="]), rng.choice(ints))
        )
        if condition is not None and rng.random() < 0.5:
            flag = Condition(value=made.given("flag"))
            condition = Condition(any=Conditions(conditions=[condition, Condition(negated=flag)]))
        if rng.random() < 0.2:
            made.case(node, condition, fail="no")
            continue
        added = made.case(node, condition)
        grow(made, rng, within, rng.randrange(3), f"{node_id}.c{case}x", (node_id, case))
        added.outputs.bindings.add(variable="o0", value=rng.choice(within))
    ints.append(made.of(node_id))
    return made.template.nodes[place]


def waits_for(node):
    """What a node waits for before it starts; a conditional, before it is decided."""
    yield from node.after
    values = [binding.value for binding in node.inputs]
    conditions = [case.condition for case in node.branch.cases] if node.HasField("branch") else []
    while values or conditions:
        if conditions:
            condition = conditions.pop()
            conditions += [*condition.all.conditions, *condition.any.conditions]
            conditions += [condition.negated] * condition.HasField("negated")
            values += [condition.comparison.left, condition.comparison.right, condition.value]
        else:
            value = values.pop()
            values += [
                *value.list.elements,
                *value.dict.values,
                *(each.value for each in value.record.fields),
            ]
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


@MANY
@given(seed=st.integers(0, 2**32))
def test_every_workflow_of_all_kinds_compiles_into_an_order_in_which_it_can_run(build, seed):
    made = rich(build, random.Random(seed))
    compiled = made.compiled()
    nodes = compiled.workflow.nodes
    by_id = {node.id: node for node in nodes}
    members: dict[str, list[str]] = {}
    for node in nodes:
        if node.section.HasField("branch"):
            members.setdefault(node.section.branch.node, []).append(node.id)
    place = {node.id: i for i, node in enumerate(nodes)}
    for node in nodes:
        before = set(waits_for(node))
        for upstream in before:
            # After it, and when it is a conditional, after all that is in its cases.
            assert all(place[node.id] > place[each] for each in (upstream, *members.get(upstream, [])))
        if node.section.HasField("branch"):
            assert place[node.id] > place[node.section.branch.node]
        assert not node.HasField("workflow")
    failure = [by_id[node.id].section.HasField("failure") for node in nodes]
    assert failure == sorted(failure)


@MANY
@given(seed=st.integers(0, 2**32))
def test_what_was_compiled_of_all_kinds_compiles_to_itself(build, seed):
    made = rich(build, random.Random(seed))
    once = made.compiled()
    again = build()
    again.template = once.workflow
    again.tasks = {task.id.name: task for task in once.tasks}
    again.launch_plans = {plan.launch_plan.id.name: plan for plan in once.launch_plans}
    assert again.compiled().SerializeToString(deterministic=True) == once.SerializeToString(
        deterministic=True
    )


@MANY
@given(seed=st.integers(0, 2**32), changes=st.integers(0, 6))
def test_the_order_of_writing_changes_no_mistake(build, seed, changes):
    """Other than which node a cycle is told at, and what is told of those behind it."""
    rng = random.Random(seed)
    made = rich(build, rng)
    for _ in range(changes):
        damage(made.template, rng)
    if len({node.id for node in made.template.nodes}) < len(made.template.nodes):
        return  # which of two nodes is meant by one id is the first
    first = made.compile().diagnostics
    written = [node.SerializeToString() for node in made.template.nodes]
    rng.shuffle(written)
    del made.template.nodes[:]
    for each in written:
        made.template.nodes.add().ParseFromString(each)
    ordering = {"CycleDetected", "UnreachableNodes", "NoEntryNodeFound"}

    def told_of(found):
        return sorted((each.code, each.node, each.message) for each in found if each.code not in ordering)

    again = made.compile().diagnostics
    assert told_of(again) == told_of(first)
    assert {each.code for each in again} == {each.code for each in first}


@MANY
@given(seed=st.integers(0, 2**32), changes=st.integers(1, 12))
def test_no_damage_to_a_template_of_all_kinds_raises(build, seed, changes):
    rng = random.Random(seed)
    made = rich(build, rng)
    whole = [made.template, *made.tasks.values(), *made.launch_plans.values()]
    for _ in range(changes):
        damage(rng.choice(whole), rng)
    told(made.compile())


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
