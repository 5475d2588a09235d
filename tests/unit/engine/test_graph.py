"""A graph knows where values come from, in what form, and on what terms each node runs."""

import pytest

from tests.scenarios import transcripts
from typedflow import engine, errors, literal_types, literals
from typedflow.pb import events_pb2, literals_pb2, types_pb2, workflows_pb2

CONFIG = literal_types.record(
    "Config", {"width": literal_types.INT, "layers": literal_types.list_of(literal_types.INT)}
)


def workflow(
    *variables: tuple[str, types_pb2.LiteralType], takes: types_pb2.LiteralType
) -> workflows_pb2.CompiledWorkflow:
    """One node `n` that takes one value `v`; the execution is given `variables`."""
    compiled = workflows_pb2.CompiledWorkflow()
    compiled.workflow.id.name = "w"
    for name, type_ in variables:
        compiled.workflow.interface.inputs.add(name=name, type=type_)
    task = compiled.tasks.add()
    task.id.name = "t"
    task.interface.inputs.add(name="v", type=takes)
    node = compiled.workflow.nodes.add(id="n")
    node.task.task.name = "t"
    node.inputs.add(variable="v")
    return compiled


def value_of(
    compiled: workflows_pb2.CompiledWorkflow, load=None, **inputs: literals_pb2.Literal
) -> literals_pb2.Literal:
    """What `v` is when the execution is given `inputs`."""
    graph = engine.Graph(compiled)
    state = engine.State(graph)
    event = events_pb2.Event(time_us=1)
    event.execution_started.inputs.CopyFrom(literals.as_map(inputs))
    engine.step(graph, state, event)
    bound = engine.inputs(graph, state, 0, load)
    assert [each.name for each in bound.values] == ["v"]
    return bound.values[0].value


def binding(compiled: workflows_pb2.CompiledWorkflow) -> workflows_pb2.BindingValue:
    return compiled.workflow.nodes[0].inputs[0].value


def test_a_constant_is_given_as_the_compiler_made_it():
    compiled = workflow(takes=literal_types.INT)
    binding(compiled).literal.CopyFrom(literals.from_int(3))
    assert value_of(compiled) == literals.from_int(3)


def test_t5_a_promise_of_int_becomes_int_or_none():
    compiled = workflow(("x", literal_types.INT), takes=literal_types.optional(literal_types.INT))
    binding(compiled).promise.variable = "x"
    variant = literals_pb2.Union(variant=0, value=literals.from_int(7))
    assert value_of(compiled, x=literals.from_int(7)) == literals_pb2.Literal(union=variant)


def test_a_path_leads_through_fields_and_elements_from_either_end():
    compiled = workflow(("c", CONFIG), takes=literal_types.INT)
    promise = binding(compiled).promise
    promise.variable = "c"
    promise.path.add(field="layers")
    promise.path.add(index=-1)
    assert value_of(compiled, c=config(5, [1, 2, 3])) == literals.from_int(3)


def test_a_list_of_promises_and_constants_is_packed():
    compiled = workflow(
        ("x", literal_types.INT), ("y", literal_types.INT), takes=literal_types.list_of(literal_types.INT)
    )
    elements = binding(compiled).list.elements
    elements.add().promise.variable = "x"
    elements.add().literal.CopyFrom(literals.from_int(5))
    elements.add().promise.variable = "y"
    value = value_of(compiled, x=literals.from_int(4), y=literals.from_int(6))
    assert value == literals_pb2.Literal(list=literals.pack([literals.from_int(each) for each in (4, 5, 6)]))
    assert list(value.list.integers.values) == [4, 5, 6]


def test_a_list_for_a_union_is_of_the_first_variant_that_takes_its_elements():
    takes = literal_types.union(
        literal_types.NONE,
        literal_types.list_of(literal_types.STRING),
        literal_types.list_of(literal_types.INT),
    )
    compiled = workflow(("x", literal_types.INT), takes=takes)
    binding(compiled).list.elements.add().promise.variable = "x"
    value = value_of(compiled, x=literals.from_int(4))
    assert value.union.variant == 2
    assert list(value.union.value.list.integers.values) == [4]


def test_d2_an_offloaded_value_passes_as_it_is():
    compiled = workflow(("c", CONFIG), takes=CONFIG)
    binding(compiled).promise.variable = "c"
    assert value_of(compiled, c=OFFLOADED) == OFFLOADED


def test_d2_a_part_of_an_offloaded_value_is_taken_from_what_it_stands_for():
    compiled = workflow(("c", CONFIG), takes=literal_types.INT)
    binding(compiled).promise.variable = "c"
    binding(compiled).promise.path.add(field="width")
    assert value_of(compiled, load, c=OFFLOADED) == literals.from_int(9)
    with pytest.raises(errors.ConversionError, match="too large"):
        value_of(compiled, c=OFFLOADED)


def test_options_of_a_node_replace_those_of_its_task_field_by_field():
    compiled = transcripts.compile_lines(["a | retries=2 backoff=5s cache"])
    compiled.workflow.nodes[0].task.overrides.retry.retries = 7
    twin = compiled.workflow.nodes.add(id="b")
    twin.task.CopyFrom(compiled.workflow.nodes[0].task)
    plain = compiled.workflow.nodes.add(id="c")
    plain.task.task.CopyFrom(twin.task.task)
    graph = engine.Graph(compiled)
    assert graph.options[0].retry.retries == 7
    assert graph.options[0].retry.backoff_ms == 0, "a field that is set replaces the task's as a whole"
    assert graph.options[0].cache.enabled
    assert graph.options[0] is graph.options[1], "equal overrides share their options"
    assert graph.options[2].retry.retries == 2


def test_a_reference_without_version_is_to_the_workflows_own():
    compiled = transcripts.compile_lines(["a"])
    for part in ("project", "domain", "version"):
        setattr(compiled.workflow.id, part, part)
        setattr(compiled.tasks[0].id, part, part)
    other = compiled.tasks.add()
    other.CopyFrom(compiled.tasks[0])
    other.id.version = "other"
    graph = engine.Graph(compiled)
    called = graph.tasks[0]
    assert called is not None
    assert called.id.version == "version"


def config(width: int, layers: list[int]) -> literals_pb2.Literal:
    literal = literals_pb2.Literal()
    literal.record.fields.add(name="width", value=literals.from_int(width))
    packed = literals.pack([literals.from_int(each) for each in layers])
    literal.record.fields.add(name="layers", value=literals_pb2.Literal(list=packed))
    return literal


OFFLOADED = literals_pb2.Literal(
    offloaded=literals_pb2.Offloaded(content="b3:00", blob=literals_pb2.Blob(size=5))
)


def load(literal: literals_pb2.Literal) -> literals_pb2.Literal:
    assert literal == OFFLOADED
    return config(9, [])


def test_a_dict_of_promises_and_constants_keeps_its_order_and_converts_its_values():
    optional = literal_types.optional(literal_types.INT)
    compiled = workflow(("x", literal_types.INT), takes=literal_types.dict_of(optional))
    made = binding(compiled).dict
    made.keys.extend(["b", "a"])
    made.values.add().literal.union.value.none.SetInParent()
    made.values[0].literal.union.variant = 1
    made.values.add().promise.variable = "x"
    value = value_of(compiled, x=literals.from_int(7))
    assert list(value.dict.keys) == ["b", "a"]
    assert literals.to_json(value, compiled.tasks[0].interface.inputs[0].type) == {"b": None, "a": 7}


def test_a_record_of_promises_has_its_fields_in_the_types_order_and_may_lack_what_has_a_default():
    point = literal_types.record("P", dict.fromkeys("xyz", literal_types.INT), defaults=["z"])
    compiled = workflow(("n", literal_types.INT), takes=point)
    made = binding(compiled).record
    made.fields.add(name="y").value.literal.integer = 2
    made.fields.add(name="x").value.promise.variable = "n"
    value = value_of(compiled, n=literals.from_int(1))
    assert [(each.name, each.value.integer) for each in value.record.fields] == [("x", 1), ("y", 2)]


def test_a_tuple_and_containers_in_containers_are_put_together():
    takes = literal_types.tuple_of(literal_types.list_of(literal_types.dict_of(literal_types.INT)))
    compiled = workflow(("n", literal_types.INT), takes=takes)
    inner = binding(compiled).record.fields.add(name="0").value.list.elements.add().dict
    inner.keys.append("a")
    inner.values.add().promise.variable = "n"
    value = value_of(compiled, n=literals.from_int(1))
    assert literals.to_json(value, takes) == [[{"a": 1}]]


@pytest.mark.parametrize(("kind", "variant"), [("dict", 1), ("record", 2)])
def test_a_container_for_a_union_is_of_the_first_variant_that_takes_its_promises(kind, variant):
    takes = literal_types.union(
        literal_types.dict_of(literal_types.STRING),
        literal_types.dict_of(literal_types.INT),
        literal_types.record("P", {"x": literal_types.INT}),
    )
    compiled = workflow(("n", literal_types.INT), takes=takes)
    if kind == "dict":
        binding(compiled).dict.keys.append("x")
        binding(compiled).dict.values.add().promise.variable = "n"
    else:
        binding(compiled).record.fields.add(name="x").value.promise.variable = "n"
    value = value_of(compiled, n=literals.from_int(1))
    assert value.union.variant == variant
    assert literals.to_json(value.union.value, takes.union.variants[variant]) == {"x": 1}


def test_a_path_leads_through_keys_and_into_tuples():
    table = literal_types.dict_of(literal_types.tuple_of(literal_types.STRING, literal_types.INT))
    compiled = workflow(("table", table), takes=literal_types.INT)
    promise = binding(compiled).promise
    promise.variable = "table"
    promise.path.add(key="a")
    promise.path.add(index=-1)
    pair = literals.from_tuple([literals.from_str("x"), literals.from_int(7)])
    assert value_of(compiled, table=literals.from_dict({"a": pair})) == literals.from_int(7)


def test_a_key_that_is_not_there_is_told_with_the_variable():
    compiled = workflow(("table", literal_types.dict_of(literal_types.INT)), takes=literal_types.INT)
    binding(compiled).promise.variable = "table"
    binding(compiled).promise.path.add(key="b")
    graph = engine.Graph(compiled)
    assert graph.fragile[0]
    state = engine.State(graph)
    event = events_pb2.Event(time_us=1)
    given = literals.as_map({"table": literals.from_dict({"a": literals.from_int(1)})})
    event.execution_started.inputs.CopyFrom(given)
    engine.step(graph, state, event)
    with pytest.raises(errors.ConversionError, match="b"):
        engine.inputs(graph, state, 0)


def test_a_called_workflow_that_no_compiler_leaves_in_is_refused():
    compiled = workflow(takes=literal_types.INT)
    compiled.workflow.nodes[0].workflow.SetInParent()
    with pytest.raises(ValueError, match="node `n`"):
        engine.Graph(compiled)


def test_programs_in_images_are_refused():
    compiled = workflow(takes=literal_types.INT)
    engine.check_runnable(compiled)
    compiled.tasks[0].container.image = "registry/tool:1"
    with pytest.raises(errors.Unimplemented, match="task `t` of workflow `w` runs an image") as caught:
        engine.check_runnable(compiled)
    assert (caught.value.code, caught.value.where) == ("Unimplemented", "w")
