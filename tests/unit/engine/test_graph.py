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
    assert graph.tasks[0].id.version == "version"


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
