"""What a compiled workflow is: complete, converted, in order; and what is found in one that can't be compiled."""

import pytest

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.pb import workflows_pb2
from typedflow.pb.identifiers_pb2 import ENTITY_KIND_TASK, ENTITY_KIND_WORKFLOW
from typedflow.pb.tasks_pb2 import TaskOptions
from typedflow.pb.types_pb2 import Column, LiteralType
from typedflow.pb.workflows_pb2 import BindingValue, WorkflowTemplate

INT, FLOAT, STRING, NONE = literal_types.INT, literal_types.FLOAT, literal_types.STRING, literal_types.NONE


# What comes out


def test_bindings_come_in_the_order_of_the_interface_with_defaults_filled_in(training):
    training.train.inputs.reverse()
    del training.train.inputs[0]
    train = training.compiled().workflow.nodes[2]
    assert [binding.variable for binding in train.inputs] == ["df", "trees"]
    assert train.inputs[1].value.literal == literals.from_int(100)


def test_a_default_is_converted_to_its_type(build):
    made = build()
    made.add_task("scale", {"by": (FLOAT, literals.from_int(2))}, {})
    made.add_node("scale")
    compiled = made.compiled()
    assert compiled.workflow.nodes[0].inputs[0].value.literal == literals.from_float(2.0)
    assert compiled.tasks[0].interface.inputs[0].default == literals.from_float(2.0)


def test_t5_a_constant_int_becomes_a_float_but_a_promise_of_int_does_not(build):
    made = build()
    made.add_task("count", {}, {"o0": INT})
    made.add_task("scale", {"by": FLOAT}, {})
    made.add_node("scale", {"by": made.value(literals.from_int(2))})
    assert made.compiled().workflow.nodes[0].inputs[0].value.literal == literals.from_float(2.0)
    made.add_node("count")
    made.add_node("other", {"by": made.of("count")}, task="scale")
    assert made.only().code == "MismatchingTypes"


def test_a_constant_for_an_optional_input_names_its_variant(build):
    made = build()
    made.add_task("scale", {"by": literal_types.optional(INT)}, {})
    made.add_node("scale", {"by": made.value(literals.from_int(2))})
    literal = made.compiled().workflow.nodes[0].inputs[0].value.literal
    assert (literal.union.variant, literal.union.value) == (0, literals.from_int(2))


def test_nodes_come_in_topological_order_with_ties_in_the_authors_order(training):
    nodes = list(training.template.nodes)
    for node in nodes:
        node.after.extend([])
    del training.template.nodes[:]
    training.template.nodes.extend([nodes[3], nodes[1], nodes[2], nodes[0]])
    assert [node.id for node in training.compiled().workflow.nodes] == [
        "ingest_raw",
        "ingest",
        "train",
        "evaluate",
    ]


def test_an_order_only_edge_orders_and_is_kept_once(training):
    training.template.nodes[0].after.extend(["ingest_raw", "ingest_raw"])
    nodes = training.compiled().workflow.nodes
    assert [node.id for node in nodes][:2] == ["ingest_raw", "ingest"]
    assert list(nodes[1].after) == ["ingest_raw"]


def test_tasks_are_collected_once_and_sorted_by_name(training):
    training.add_node("again", {"seed": training.given("seed")}, task="ingest")
    training.train.task.task.version = "v0"
    tasks = training.compiled().tasks
    assert [task.id.name for task in tasks] == [
        f"pipeline.{name}" for name in ("evaluate", "ingest", "ingest_raw", "train")
    ]


def test_empty_parts_of_a_reference_are_those_of_the_workflow(training):
    training.train.task.task.version = "v9"
    training.train.task.task.kind = ENTITY_KIND_TASK
    compiled = training.compiled()
    asked = {identifiers.text(each) for each in training.asked}
    assert "default/development/pipeline.ingest@v1" in asked
    assert "default/development/pipeline.train@v9" in asked
    for node in compiled.workflow.nodes:
        assert node.task.task in [task.id for task in compiled.tasks]
    assert compiled.workflow.id.kind == ENTITY_KIND_WORKFLOW


def test_a_workflow_that_is_in_no_project_yet_compiles_too(training):
    training.template.id.project = training.template.id.domain = training.template.id.version = ""
    assert identifiers.text(training.compiled().tasks[0].id) == "pipeline.evaluate"


def test_w1_the_same_template_gives_the_same_bytes(build):
    first, second = build.training().compiled(), build.training().compiled()
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


def test_the_template_is_not_changed(training):
    before = training.template.SerializeToString(deterministic=True)
    tasks = {name: task.SerializeToString(deterministic=True) for name, task in training.tasks.items()}
    training.compiled()
    assert training.template.SerializeToString(deterministic=True) == before
    assert {
        name: task.SerializeToString(deterministic=True) for name, task in training.tasks.items()
    } == tasks


def test_an_unspecified_failure_policy_is_to_fail_fast(training):
    assert training.compiled().workflow.failure_policy == workflows_pb2.FAILURE_POLICY_FAIL_FAST


def test_overrides_are_kept_in_their_one_form(training):
    training.train.task.overrides.environment.add(name="B", value="2")
    training.train.task.overrides.environment.add(name="A", value="1")
    overrides = training.compiled().workflow.nodes[2].task.overrides
    assert [variable.name for variable in overrides.environment] == ["A", "B"]


def test_a_list_of_constants_becomes_one_constant(build):
    made = build()
    made.add_task("total", {"values": literal_types.list_of(FLOAT)}, {})
    made.add_node(
        "total", {"values": made.many(made.value(literals.from_int(1)), made.value(literals.from_float(0.5)))}
    )
    value = made.compiled().workflow.nodes[0].inputs[0].value
    assert list(value.literal.list.floats.values) == [1.0, 0.5]


def test_a_list_with_a_promise_is_converted_element_by_element(build):
    made = build()
    made.add_task("half", {}, {"o0": FLOAT})
    made.add_task("total", {"values": literal_types.optional(literal_types.list_of(FLOAT))}, {})
    made.add_node("half")
    made.add_node("total", {"values": made.many(made.of("half"), made.value(literals.from_int(1)))})
    elements = made.compiled().workflow.nodes[1].inputs[0].value.list.elements
    assert elements[0] == made.of("half")
    assert elements[1].literal == literals.from_float(1.0)


def test_a_list_for_a_union_of_lists_takes_the_first_that_fits(build):
    made = build()
    lists = literal_types.union(literal_types.list_of(STRING), literal_types.list_of(FLOAT))
    made.add_task("half", {}, {"o0": FLOAT})
    made.add_task("total", {"values": lists}, {})
    made.add_node("half")
    made.add_node("total", {"values": made.many(made.of("half"), made.value(literals.from_int(1)))})
    assert made.compiled().workflow.nodes[1].inputs[0].value.list.elements[1].literal == literals.from_float(
        1.0
    )


def test_a_promise_may_be_followed_into_a_record_and_a_list(build):
    made = build()
    config = literal_types.record(
        "Config", {"layers": literal_types.list_of(literal_types.record("Layer", {"width": INT}))}
    )
    made.add_input("config", config)
    made.add_task("train", {"width": INT}, {})
    made.add_node("train", {"width": made.given("config", "layers", -1, "width")})
    assert made.compiled().workflow.nodes[0].inputs[0].value == made.given("config", "layers", -1, "width")


# What is found


def test_all_mistakes_come_at_once_in_the_authors_order(training):
    training.add_input("seed", INT)
    del training.template.nodes[3].inputs[0]
    training.train.inputs[1].variable = "tree"
    training.train.inputs[0].value.promise.node = "ingest_raw"
    training.template.outputs[0].value.promise.variable = "acuracy"
    found = training.compile().diagnostics
    assert [(each.code, each.node) for each in found] == [
        ("DuplicateVariable", ""),
        ("MismatchingTypes", "train"),
        ("VariableNameNotFound", "train"),
        ("ParameterNotBound", "evaluate"),
        ("VariableNameNotFound", ""),
    ]


def test_w3_a_mismatch_says_everything_there_is_to_say(training):
    training.train.inputs[0].value.promise.node = "ingest_raw"
    found = training.only()
    assert found.message == "input `df` of task `train` expects dataframe[mean_radius: float, target: int]"
    assert found.expected == "dataframe[mean_radius: float, target: int]"
    assert found.given == "dataframe[mean_radius: float]"
    assert (
        found.label == "upstream `ingest_raw` gives dataframe[mean_radius: float]: column `target` is missing"
    )
    assert found.hint == "`ingest` gives dataframe[mean_radius: float, target: int]"
    assert (found.workflow, found.node) == ("pipeline.training", "train")
    assert (found.position.file, found.position.line, found.position.column) == ("pipeline.py", 5, 13)


def test_the_hint_may_be_a_task_that_no_node_calls(training):
    training.train.inputs[0].value.promise.node = "ingest_raw"
    training.template.nodes[3].inputs[1].value.promise.node = "ingest_raw"
    del training.template.nodes[0]
    hints = [each.hint for each in training.compile().diagnostics]
    assert hints == ["`ingest` gives dataframe[mean_radius: float, target: int]"] * 2


def test_the_hint_is_never_a_node_that_comes_later(training):
    nodes = list(training.template.nodes)
    del training.template.nodes[:], training.tasks["pipeline.ingest"].interface.outputs[:]
    training.template.nodes.extend(nodes[1:])
    training.add_task("late", {}, {"o0": training.tasks["pipeline.train"].interface.inputs[0].type})
    training.add_node("late")
    training.train.inputs[0].value.promise.node = "ingest_raw"
    training.template.nodes[1].inputs[0].value.promise.node = "ingest_raw"
    assert "late" not in training.compile().diagnostics[0].hint


def test_the_output_of_a_node_with_several_is_named(training):
    training.add_task("report", {"title": STRING}, {})
    training.add_node("report", {"title": training.of("evaluate", "auc")})
    assert training.only().label == "upstream `evaluate.auc` gives float: float is not str"


def test_a_broken_task_is_told_once_and_its_callers_are_still_checked(training):
    training.tasks["pipeline.ingest"].interface.outputs[0].type.frame.columns.add(name="target")
    training.add_node("again", {"sed": training.given("seed")}, task="ingest")
    found = training.compile().diagnostics
    assert [(each.code, each.workflow) for each in found] == [
        ("UnsupportedType", "pipeline.ingest"),
        ("VariableNameNotFound", "pipeline.training"),  # `sed`; that `seed` lacks is the same mistake
    ]


def test_what_a_missing_task_gives_is_not_complained_about(training):
    training.train.task.task.name = "pipeline.gone_for_good"
    assert training.only().code == "TaskReferenceNotFound"


def test_a_node_without_a_task_calls_none(training):
    training.train.ClearField("task")
    assert training.only().message == "node `train` calls no task"


def test_a_reference_to_something_else_than_a_task_leads_nowhere(training):
    training.train.task.task.kind = ENTITY_KIND_WORKFLOW
    assert training.only().code == "TaskReferenceNotFound"


def test_a_binding_to_a_node_of_a_second_name_is_told_with_the_nearest(training):
    training.train.inputs[0].value.promise.node = "ingets"
    found = training.compile().diagnostics
    assert (found[0].code, found[0].node, found[0].hint) == (
        "NodeReferenceNotFound",
        "train",
        "did you mean `ingest`?",
    )
    assert (found[1].code, found[1].label) == ("UnreachableNodes", "what comes before can never end: `train`")


def test_a_missing_node_in_after_is_told(training):
    training.template.nodes[3].after.append("trian")
    assert training.only().message == "node `evaluate` is to run after node `trian`, which there is not"


def test_a_workflow_input_that_there_is_not_is_told(training):
    training.train.inputs[1].value.promise.variable = "tree"
    found = training.only()
    assert (
        found.message == "input `trees` of task `train` is bound to workflow input `tree`, which there is not"
    )
    assert (found.expected, found.hint) == ("`trees`, `seed`", "did you mean `trees`?")


def test_every_separate_cycle_is_told_with_its_way_round(build):
    made = build()
    made.add_task("step", {}, {})
    for node, after in {"a": "c", "b": "a", "c": "b", "x": "y", "y": "x", "z": "z", "behind": "z"}.items():
        made.add_node(node, task="step", after=[after])
    made.add_node("first", task="step")
    found = made.compile().diagnostics
    assert [(each.code, each.given) for each in found if each.code == "CycleDetected"] == [
        ("CycleDetected", "a -> b -> c -> a"),
        ("CycleDetected", "x -> y -> x"),
        ("CycleDetected", "z -> z"),
    ]
    (unreachable,) = [each for each in found if each.code == "UnreachableNodes"]
    assert unreachable.message == "node `behind` can never start"


def test_a_list_for_what_is_no_list_is_told(training):
    training.train.inputs[1].value.CopyFrom(training.many(training.given("trees")))
    found = training.only()
    assert (found.code, found.expected, found.label) == ("MismatchingTypes", "int", "a list is given")


def test_the_element_of_a_list_that_does_not_fit_is_named(training):
    training.add_task(
        "merge",
        {"frames": literal_types.list_of(training.tasks["pipeline.train"].interface.inputs[0].type)},
        {},
    )
    training.add_node("merge", {"frames": training.many(training.of("ingest"), training.of("ingest_raw"))})
    assert training.only().message.startswith(
        "element [1] of input `frames` of task `merge` expects dataframe["
    )


def test_a_value_deep_in_a_constant_is_named(build):
    made = build()
    config = literal_types.record("Config", {"layers": literal_types.list_of(INT)})
    layers = literals.from_list(literals.pack([literals.from_int(1), literals.from_str("x")]))
    made.add_task("train", {"config": config}, {})
    made.add_node("train", {"config": made.value(literals.from_record({"layers": layers}))})
    found = made.only()
    assert (found.code, found.label) == ("InvalidValue", 'at `.layers[1]`: expected int, got "x" (str)')


def test_what_may_be_none_has_no_fields(build):
    made = build()
    made.add_input("config", literal_types.optional(literal_types.record("Config", {"rate": FLOAT})))
    made.add_task("train", {"rate": FLOAT}, {})
    made.add_node("train", {"rate": made.given("config", "rate")})
    found = made.only()
    assert (found.code, found.given) == ("FieldNotFound", "Config | None")
    assert "task" in found.hint


def test_an_index_into_what_is_no_list_and_an_empty_step_lead_nowhere(training):
    training.train.inputs[1].value.promise.path.add(index=0)
    assert training.only().code == "FieldNotFound"
    del training.train.inputs[1].value.promise.path[:]
    training.train.inputs[1].value.promise.path.add()
    assert training.only().code == "FieldNotFound"


def test_a_binding_without_a_value_is_told(training):
    training.train.inputs[1].ClearField("value")
    found = training.only()
    assert (found.code, found.message) == (
        "ParameterNotBound",
        "input `trees` of task `train` is bound to nothing",
    )


def test_trap_a_a_union_without_none_is_not_optional(build):
    made = build()
    made.add_task("train", {"either": literal_types.union(literal_types.list_of(INT), STRING)}, {})
    made.add_node("train")
    assert made.only().code == "ParameterNotBound"


def test_trap_a_an_optional_input_without_a_default_must_be_given(build):
    made = build()
    made.add_task("train", {"either": literal_types.optional(STRING)}, {})
    made.add_node("train")
    assert made.only().code == "ParameterNotBound"


def test_trap_c_the_second_node_of_an_id_is_told_and_checked(training):
    training.add_node("train", {"df": training.of("ingest_raw")})
    assert [each.code for each in training.compile().diagnostics] == ["DuplicateNodeId", "MismatchingTypes"]


def test_an_output_that_nothing_is_bound_to_is_told(training):
    del training.template.outputs[0]
    assert training.only().message == "the result of workflow `training` is not given"


def test_wrong_terms_of_a_node_are_told_where_the_node_is(training):
    training.train.task.overrides.cache.ignored_inputs.append("log_level")
    training.train.task.overrides.resources.requests.gpu = "half"
    found = training.compile().diagnostics
    assert [(each.code, each.node) for each in found] == [
        ("InvalidResource", "train"),
        ("VariableNameNotFound", "train"),
    ]


# What anybody may send


def test_w4_a_chain_of_ten_thousand_nodes_in_any_order_compiles(build):
    made = build()
    made.add_task("step", {"n": INT}, {"o0": INT})
    for i in reversed(range(1, 10_000)):
        made.add_node(f"n{i}", {"n": made.of(f"n{i - 1}")}, task="step")
    made.add_node("n0", {"n": made.value(literals.from_int(1))}, task="step")
    assert [node.id for node in made.compiled().workflow.nodes] == [f"n{i}" for i in range(10_000)]
    made.template.nodes[-1].inputs[0].value.CopyFrom(made.of("n9999"))
    found = made.only()
    assert found.code == "CycleDetected"
    assert found.given == "n9999 -> n0 -> n1 -> n2 -> n3 -> n4 -> n5 -> n6 -> n7 -> n8 -> ... -> n9999"


def test_an_empty_template_is_told_what_it_lacks():
    class Nothing:
        def task(self, _id):
            return None

        def task_names(self):
            return []

        workflow = launch_plan = task
        workflow_names = launch_plan_names = task_names

    codes = [each.code for each in compiler.compile_workflow(WorkflowTemplate(), Nothing()).diagnostics]
    assert codes == ["InvalidName", "NoNodesFound"]


@pytest.mark.parametrize("depth", [24, 25, 2_000])
def test_t1_a_type_is_nested_to_24_levels(build, depth):
    made = build()
    type_ = LiteralType()
    innermost = type_
    for _ in range(depth):
        innermost = innermost.list.element
    innermost.CopyFrom(INT)
    made.add_task("train", {"deep": (type_, literals.from_list(literals.pack([])))}, {})
    made.add_node("train")
    if depth == 24:
        made.compiled()
    else:
        assert made.only().code == "NestingTooDeep"


def test_lists_of_bindings_are_nested_to_24_levels(build):
    made = build()
    made.add_input("n", INT)
    made.add_task("train", {"deep": literal_types.list_of(INT)}, {})
    value = BindingValue()
    innermost = value
    for _ in range(500):
        innermost = innermost.list.elements.add()
    innermost.CopyFrom(made.given("n"))
    made.add_node("train", {"deep": value})
    assert set(made.codes()) <= {"NestingTooDeep", "MismatchingTypes"}
    made.template.nodes[0].inputs[0].variable = "unknown"
    assert "NestingTooDeep" in made.codes()


def test_a_constant_is_nested_no_deeper_than_a_type(build):
    made = build()
    value = BindingValue()
    innermost = value.literal
    for _ in range(500):
        innermost = innermost.list.literals.values.add()
    made.add_task("train", {"deep": literal_types.list_of(INT)}, {})
    made.add_node("train", {"deep": value})
    assert made.only().code == "NestingTooDeep"
    many = BindingValue()
    many.list.elements.add().CopyFrom(value)
    made.template.nodes[0].inputs[0].value.CopyFrom(many)
    assert made.only().code == "NestingTooDeep"


def test_a_list_that_claims_more_elements_than_it_has_is_refused(build):
    made = build()
    made.add_task("train", {"values": literal_types.list_of(literal_types.optional(INT))}, {})
    node = made.add_node("train", {"values": made.value(literals.from_list(literals.pack([])))})
    literal = node.inputs[0].value.literal
    for too_many in (2_000_000, 2**63):
        literal.list.nones = too_many
        assert "contradicts itself" in made.only().label
    literal.list.lists.lengths.extend([2**63, 2**63])
    assert made.only().code == "InvalidValue"
    literal.list.records.length = 7
    literal.list.records.columns.add(name="a").values.integers.values.append(1)
    assert made.only().code == "InvalidValue"


def test_defaults_that_are_filled_in_are_bounded_together(build):
    made = build()
    made.add_task("train", {"text": (STRING, literals.from_str("x" * 1_000_000))}, {})
    for i in range(100):
        made.add_node(f"n{i}", task="train")
    found = made.only()
    assert (found.code, found.expected, found.given) == ("GraphTooLarge", "at most 64 MiB", "95 MiB")


def test_mistakes_are_bounded(build):
    made = build()
    made.add_task("train", {"n": INT}, {})
    for i in range(1_500):
        made.add_node(f"n{i}", task="train")
    found = made.compile().diagnostics
    assert len(found) == 1_001
    assert found[-1].message == "only the first 1,000 mistakes are listed"


def test_texts_are_bounded(build):
    made = build()
    frame = literal_types.frame([Column(name="c" * 100_000, dtype="int64")])
    made.add_task("give", {}, {"o0": INT})
    made.add_task("take", {"df": frame}, {}, TaskOptions(image="i" * 100_000))
    made.add_node("n" * 100_000, task="give")
    made.add_node("take", {"df": made.of("n" * 100_000)})
    assert sum(each.ByteSize() for each in made.compile().diagnostics) < 50_000
