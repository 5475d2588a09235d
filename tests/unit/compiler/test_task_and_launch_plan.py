"""Tasks and launch plans on their own."""

import pytest
from google.protobuf import text_format

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.compiler import terms
from typedflow.pb.launch_plans_pb2 import LaunchPlanTemplate
from typedflow.pb.tasks_pb2 import RetryPolicy, TaskOptions, TaskTemplate
from typedflow.pb.types_pb2 import LiteralType

INT, FLOAT = literal_types.INT, literal_types.FLOAT


@pytest.fixture
def task(build):
    return build().add_task("train", {"trees": (FLOAT, literals.from_int(100)), "level": INT}, {"o0": INT})


def only(template: TaskTemplate):
    result = compiler.compile_task(template)
    assert len(result.diagnostics) == 1, result.diagnostics
    assert result.value is None
    return result.diagnostics[0]


# Tasks


def test_a_task_comes_out_in_its_one_form(task):
    task.options.cache.ignored_inputs.extend(["trees", "level", "trees"])
    for name in "BA":
        task.options.environment.add(name=name, value=name)
    made = compiler.compile_task(task).value
    assert made is not None
    assert list(made.options.cache.ignored_inputs) == ["level", "trees"]
    assert [each.name for each in made.options.environment] == ["A", "B"]
    assert made.interface.inputs[0].default == literals.from_float(100.0)
    assert compiler.compile_task(made).value == made


def test_a_default_that_does_not_fit_is_told(task):
    task.interface.inputs[0].default.string = "many"
    found = only(task)
    assert (found.code, found.message) == (
        "InvalidValue",
        "the default of input `trees` of task `train` expects float",
    )
    assert found.workflow == "pipeline.train"


@pytest.mark.parametrize("name", ["", "a b", "a..b", "a/../b", "x" * 256, "a\x1b[31m"])
def test_a_name_that_is_none_is_told(task, name):
    task.id.name = name
    assert only(task).code == "InvalidName"


@pytest.mark.parametrize(("part", "value"), [("project", "Default"), ("domain", "a_b"), ("version", "v 1")])
def test_every_part_of_an_identifier_is_checked(task, part, value):
    setattr(task.id, part, value)
    assert only(task).code == "InvalidName"


def test_an_identifier_of_another_kind_is_told(task):
    task.id.CopyFrom(identifiers.workflow("pipeline.train"))
    assert only(task).code == "IllegalEnumValue"


@pytest.mark.parametrize("name", ["", "1st", "a-b", "a b", "x" * 256])
def test_a_variable_is_a_python_identifier(task, name):
    task.interface.inputs[1].name = name
    assert only(task).code == "InvalidName"


def test_an_output_has_no_default(task):
    task.interface.outputs[0].default.integer = 1
    assert only(task).code == "InvalidValue"


@pytest.mark.parametrize(
    "malformed",
    [
        "simple: SIMPLE_TYPE_UNSPECIFIED",
        "simple: 99",
        "union {}",
        "union { variants { union { variants { simple: SIMPLE_TYPE_INT } } } }",
        "union { variants { simple: SIMPLE_TYPE_INT } variants { simple: SIMPLE_TYPE_INT } }",
        "union { variants { record { name: 'A' } } variants { record { name: 'B' } } }",
        f"union {{ {'variants { simple: SIMPLE_TYPE_INT }' * 65} }}",
        "union { variants {} }",
        "list { element { list { element { simple: 99 } } } }",
        "record { fields { name: 'a' } }",
        "record { fields { type { simple: SIMPLE_TYPE_INT } } }",
        "record { fields { name: 'a' type { file {} } } fields { name: 'a' type { file {} } } }",
        "frame { columns { name: 'a' } columns { name: 'a' } }",
        "file { format: '.csv' }",
        "file { format: 'CSV' }",
    ],
    ids=lambda malformed: malformed[:60],
)
def test_a_type_that_is_malformed_is_told(task, malformed):
    task.interface.outputs[0].type.CopyFrom(text_format.Parse(malformed, LiteralType()))
    assert only(task).code == "UnsupportedType"


@pytest.mark.parametrize(
    ("quantity", "amount"),
    [
        ("500m", "1/2"),
        ("4", "4"),
        ("0.5", "1/2"),
        ("1Ki", "1024"),
        ("1k", "1000"),
        ("16Gi", str(16 * 2**30)),
        ("2e3", "2000"),
        ("1E", str(10**18)),
        ("1Ei", str(2**60)),
    ],
)
def test_quantities_are_those_of_kubernetes(quantity, amount):
    assert str(terms.amount(quantity)) == amount


@pytest.mark.parametrize(
    ("field", "quantity", "hint"),
    [
        ("cpu", "four", ""),
        ("cpu", "-1", ""),
        ("memory", "16GB", "did you mean `16Gi`?"),
        ("memory", "1e999999999", ""),
        ("memory", "٣Gi", ""),
        ("ephemeral_storage", "50 gib", "did you mean `50Gi`?"),
        ("gpu", "0", ""),
        ("gpu", "1.5", ""),
        ("gpu", "500m", ""),
        ("accelerator", "A 100", ""),
    ],
)
def test_what_is_no_quantity_is_told(task, field, quantity, hint):
    setattr(task.options.resources.requests, field, quantity)
    found = only(task)
    assert (found.code, found.given, found.hint) == ("InvalidResource", quantity, hint)


def test_a_limit_is_not_below_its_request(task):
    task.options.resources.requests.cpu, task.options.resources.limits.cpu = "1", "999m"
    assert only(task).expected == "at least `1`"
    task.options.resources.limits.cpu = "1000m"
    assert compiler.compile_task(task).value is not None


@pytest.mark.parametrize(
    "options",
    [
        "retry { retries: 1001 }",
        "retry { factor: nan }",
        "retry { factor: -1 }",
        "retry { backoff_ms: 9223372036854775808 }",
        "timeouts { deadline_ms: 9223372036854775808 }",
        "image: 'a b'",
        r"image: 'a\n'",
        r"environment { name: 'A' value: '\000' }",
        "secrets { group: 'hf' env: 'TOKEN' }",
    ],
)
def test_settings_out_of_range_are_told(task, options):
    text_format.Parse(options, task.options)
    assert only(task).code == "InvalidValue"


@pytest.mark.parametrize("name", ["", "A-B", "1A", "A=B"])
def test_an_environment_variable_has_a_legal_name(task, name):
    task.options.environment.add(name=name, value="x")
    assert only(task).code == "InvalidName"


def test_a_secret_and_an_environment_variable_share_no_name(task):
    task.options.environment.add(name="TOKEN", value="x")
    task.options.secrets.add(group="hf", key="token", env="TOKEN")
    assert only(task).code == "ParameterBoundMoreThanOnce"


def test_an_input_that_the_cache_ignores_exists(task):
    task.options.cache.ignored_inputs.append("leve")
    found = only(task)
    assert (found.code, found.hint) == ("VariableNameNotFound", "did you mean `level`?")


def test_overrides_replace_what_they_set_and_keep_the_rest():
    merged = compiler.options(
        TaskOptions(image="a", retry=RetryPolicy(retries=3, backoff_ms=5)),
        TaskOptions(retry=RetryPolicy(retries=0), interruptible=False),
    )
    assert merged == TaskOptions(image="a", retry=RetryPolicy(retries=0), interruptible=False)


# Launch plans


@pytest.fixture
def plan() -> LaunchPlanTemplate:
    return LaunchPlanTemplate(
        id=identifiers.launch_plan("pipeline.nightly", project="default", domain="development", version="v1"),
        workflow=identifiers.workflow("pipeline.training"),
        default_inputs=literals.as_map({"trees": literals.from_int(300)}),
        fixed_inputs=literals.as_map({"seed": literals.from_int(1)}),
    )


def test_l1_fixed_inputs_are_out_of_the_interface_and_defaults_are_in_it(plan, training):
    made = compiler.compile_launch_plan(plan, training.compiled()).value
    assert made is not None
    assert [(each.name, each.default) for each in made.interface.inputs] == [
        ("trees", literals.from_int(300))
    ]
    assert [each.name for each in made.interface.outputs] == ["o0"]
    assert identifiers.text(made.launch_plan.workflow) == "default/development/pipeline.training@v1"
    assert compiler.compile_launch_plan(made.launch_plan, training.compiled()).value == made


def test_inputs_of_a_launch_plan_come_in_the_order_of_the_interface(plan, training):
    plan.default_inputs.values.extend(plan.fixed_inputs.values)
    plan.default_inputs.values.reverse()
    plan.ClearField("fixed_inputs")
    made = compiler.compile_launch_plan(plan, training.compiled()).value
    assert made is not None
    assert [each.name for each in made.launch_plan.default_inputs.values] == ["trees", "seed"]


def test_l1_all_that_is_wrong_with_a_launch_plan_is_told_at_once(plan, training):
    plan.default_inputs.values.add(name="seed", value=literals.from_int(1))
    plan.default_inputs.values.add(name="tres", value=literals.from_int(1))
    plan.default_inputs.values.add(name="trees", value=literals.from_int(1))
    plan.fixed_inputs.values.add(name="sed")
    plan.default_inputs.values[0].value.string = "x"
    result = compiler.compile_launch_plan(plan, training.compiled())
    assert result.value is None
    assert [each.code for each in result.diagnostics] == [
        "InvalidValue",
        "UnknownInput",
        "ParameterBoundMoreThanOnce",
        "UnknownInput",
        "FixedInputOverridden",
    ]


def test_trap_d_the_default_that_does_not_fit_is_what_was_given(plan, training):
    plan.default_inputs.values[0].value.string = "x"
    (found,) = compiler.compile_launch_plan(plan, training.compiled()).diagnostics
    assert (found.expected, found.given) == ("int", '"x" (str)')


def test_a_launch_plan_of_something_else_than_a_workflow_is_told(plan, training):
    plan.workflow.CopyFrom(identifiers.task("pipeline.training"))
    (found,) = compiler.compile_launch_plan(plan, training.compiled()).diagnostics
    assert found.code == "WorkflowReferenceNotFound"
