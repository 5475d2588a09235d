"""Every code: there is a template that has it, it says what was agreed, it is in the documentation."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.cli import render_diagnostics
from typedflow.compiler import diagnostics, explanations
from typedflow.pb.diagnostics_pb2 import Diagnostic
from typedflow.pb.launch_plans_pb2 import CronSchedule, LaunchPlanTemplate, Schedule
from typedflow.pb.types_pb2 import LiteralType

CODES = [each.code for each in explanations.EXPLANATIONS]
RENDERED = Path(__file__).parent / "rendered"

INT, FLOAT, STRING, BOOL = literal_types.INT, literal_types.FLOAT, literal_types.STRING, literal_types.BOOL
CONFIG = literal_types.record("Config", {"learning_rate": FLOAT, "layers": literal_types.list_of(INT)})


def nested(depth: int, inner: LiteralType = INT) -> LiteralType:
    """A list of lists, so many levels deep; without limits that `list_of` may have."""
    result = LiteralType()
    current = result
    for _ in range(depth):
        current = current.list.element
    current.CopyFrom(inner)
    return result


def ambiguous_union_binding(build):
    made = build.training()
    optional = literal_types.list_of(literal_types.optional(INT))
    either = literal_types.list_of(literal_types.union(INT, STRING))
    made.add_task("merge", {"values": literal_types.union(optional, either)}, {})
    made.add_node("merge", {"values": build.many(build.given("seed"), build.value(literals.from_str("x")))})
    return made


def cycle_detected(build):
    made = build.training()
    made.template.nodes[0].after.append("evaluate")
    return made


def duplicate_node_id(build):
    made = build.training()
    made.add_node("train", {"df": build.of("ingest")}, at=(5, 13))
    return made


def duplicate_variable(build):
    made = build.training()
    made.add_input("seed", INT)
    return made


def field_not_found(build):
    made = build.training()
    made.add_input("config", CONFIG)
    made.add_task("tune", {"rate": FLOAT}, {})
    made.add_node("tune", {"rate": build.given("config", "learning_rat")})
    return made


def graph_too_large(build):
    made = build()
    made.add_task("ingest", {}, {})
    made.add_node("ingest")
    made.template.nodes.extend([made.template.nodes[0]] * 100_000)
    return made


def incompatible_union_binding(build):
    made = build.training()
    lists = literal_types.union(literal_types.list_of(STRING), literal_types.list_of(BOOL))
    made.add_task("merge", {"values": lists}, {})
    made.add_node("merge", {"values": build.many(build.given("seed"), build.value(literals.from_str("x")))})
    return made


def invalid_name(build):
    made = build.training()
    made.add_node("my node", {"df": build.of("ingest")}, task="train", at=(5, 13))
    return made


def invalid_resource(build):
    made = build.training()
    made.train.task.overrides.resources.requests.memory = "16 GB"
    return made


def invalid_value(build):
    made = build.training()
    made.train.inputs[1].value.literal.string = "many"
    return made


def mismatching_types(build):
    made = build.training()
    made.train.inputs[0].value.promise.node = "ingest_raw"
    return made


def missing_annotation(build):
    made = build.training()
    made.template.interface.inputs[1].ClearField("type")
    made.template.interface.inputs[1].ClearField("default")
    return made


def missing_target(build):
    made = build.training()
    made.tasks["pipeline.train"].ClearField("python")
    return made


def nesting_too_deep(build):
    made = build.training()
    made.add_input("deep", nested(25))
    return made


def no_nodes_found(build):
    made = build()
    made.add_input("seed", INT)
    made.add_output("o0", INT, build.given("seed"))
    return made


def node_reference_not_found(build):
    made = build.training()
    made.template.nodes[3].inputs[1].value.promise.node = "ingset"
    return made


def parameter_bound_more_than_once(build):
    made = build.training()
    made.train.inputs.add(variable="df", value=build.of("ingest"))
    return made


def parameter_not_bound(build):
    made = build.training()
    del made.train.inputs[0]
    return made


def task_reference_not_found(build):
    made = build.training()
    made.train.task.task.name = "pipeline.trian"
    return made


def too_many_mistakes(build):
    made = build()
    made.add_task("ingest", {"seed": INT}, {})
    for i in range(1_001):
        made.add_node(f"n{i}", task="ingest")
    return made


def unreachable_nodes(build):
    made = build.training()
    made.template.nodes[0].after.append("ingest_raw")
    made.template.nodes[1].after.append("ingest")
    made.add_node("alone", task="ingest")
    made.template.nodes[-1].inputs.add(variable="seed", value=build.given("seed"))
    return made


def unsupported_type(build):
    made = build.training()
    variants = [STRING, INT, STRING]
    type_ = LiteralType()
    type_.union.variants.extend(variants)
    made.add_input("either", type_)
    return made


def variable_name_not_found(build):
    made = build.training()
    made.train.inputs[1].variable = "tree"
    return made


# Branches, maps, gates, launched plans


def big_or_small(build):
    """A conditional on `trees`: a case of its own node, and one of a constant."""
    made = build.training()
    made.add_task("grow", {"n": INT}, {"o0": INT})
    made.add_task("report", {"n": INT}, {})
    size = made.add_branch("size", {"o0": INT})
    size.position.file, size.position.line, size.position.column = "pipeline.py", 10, 12
    many = made.compare(build.given("trees"), ">", build.value(literals.from_int(10)))
    made.case(size, many, {"o0": build.of("big")})
    made.case(size, None, {"o0": build.value(literals.from_int(0))})
    made.put(made.add_node("big", {"n": build.given("trees")}, task="grow", at=(10, 54)), "size", 0)
    made.add_node("report", {"n": build.of("size")}, at=(11, 5))
    return made, size


def ambiguous_map_input(build):
    made = build.training()
    made.add_task("count", {"items": literal_types.union(literal_types.list_of(INT), INT)}, {"o0": INT})
    made.add_input("rows", literal_types.list_of(INT))
    made.add_map("count", {"items": build.given("rows")})
    return made


def branch_has_no_condition(build):
    made, size = big_or_small(build)
    size.branch.cases[0].ClearField("condition")
    return made


def branch_has_no_default(build):
    made, size = big_or_small(build)
    del size.branch.cases[1]
    return made


def condition_type_mismatch(build):
    made, size = big_or_small(build)
    comparison = size.branch.cases[0].condition.comparison
    comparison.right.literal.CopyFrom(literals.from_str("10"))
    return made


def gate_has_no_type(build):
    made = build.training()
    made.add_gate("label").gate.signal.prompt = "which label?"
    return made


def illegal_enum_value(build):
    made = build.training()
    made.add_task("paint", {"color": literal_types.choice("red", "green")}, {})
    made.add_node("paint", {"color": build.value(literals.from_str("gren"))}, at=(12, 5))
    return made


def launch_plan_reference_not_found(build):
    made = build.training()
    made.know_plan("nightly", {}, {})
    made.add_launch("again", plan="nigthly")
    return made


def map_input_not_list(build):
    made = build.training()
    made.add_task("score", {"n": INT}, {"o0": FLOAT})
    made.add_map("score", {"n": build.given("trees")}, over=["n"])
    return made


def map_lengths_differ(build):
    made = build.training()
    made.add_task("add", {"a": INT, "b": INT}, {"o0": INT})
    one, other = (literals.from_list(literals.integers(range(count))) for count in (3, 2))
    made.add_map("add", {"a": build.value(one), "b": build.value(other)})
    return made


def mismatching_branch_outputs(build):
    made, _ = big_or_small(build)
    made.tasks["pipeline.grow"].interface.outputs[0].type.CopyFrom(STRING)
    return made


def missing_image(build):
    made = build.training()
    made.tasks["pipeline.train"].container.command.append("train")
    return made


def no_entry_node_found(build):
    made = build.training()
    made.template.nodes[0].after.append("ingest_raw")
    made.template.nodes[1].after.append("ingest")
    made.template.nodes[2].after.append("ingest")
    return made


def node_out_of_scope(build):
    made, _ = big_or_small(build)
    made.template.nodes[-1].inputs[0].value.CopyFrom(build.of("big"))
    return made


# Launch plans, and what only an author's process finds


def plan(build, **parts) -> tuple[Diagnostic, ...]:
    template = LaunchPlanTemplate(
        id=identifiers.launch_plan("pipeline.nightly"),
        workflow=identifiers.workflow("pipeline.training"),
        **parts,
    )
    return compiler.compile_launch_plan(template, build.training().compiled()).diagnostics


def fixed_input_overridden(build):
    trees = literals.as_map({"trees": literals.from_int(7)})
    return plan(build, default_inputs=trees, fixed_inputs=trees)


def invalid_schedule(build):
    return plan(build, schedule=Schedule(cron=CronSchedule(expression="0 25 * * *", timezone="Europe/Berln")))


def unknown_input(build):
    return plan(build, default_inputs=literals.as_map({"tres": literals.from_int(1)}))


def workflow_reference_not_found(build):
    made = build.training()
    made.workflows["pipeline.prepare"] = made.compiled()
    made.add_call("prep", workflow="prepar")
    return made


def promise_used_as_value(build):
    made = diagnostics.make(
        diagnostics.PROMISE_USED_AS_VALUE,
        "the result of `ingest_raw` is used as a number, but no task has run yet",
        workflow="pipeline.training",
        position=build.training().train.position,
        hint="compute with it in a task",
    )
    return (made,)


def workflow_body_raised(build):
    made = diagnostics.make(
        diagnostics.WORKFLOW_BODY_RAISED,
        "the body of workflow `training` raised ValueError: unknown region",
        workflow="pipeline.training",
        position=build.training().train.position,
        hint="it runs before any task does: keep what wires, and put the rest in tasks",
    )
    return (made,)


BROKEN = (
    ambiguous_map_input,
    ambiguous_union_binding,
    branch_has_no_condition,
    branch_has_no_default,
    condition_type_mismatch,
    cycle_detected,
    duplicate_node_id,
    duplicate_variable,
    field_not_found,
    fixed_input_overridden,
    gate_has_no_type,
    graph_too_large,
    illegal_enum_value,
    incompatible_union_binding,
    invalid_name,
    invalid_resource,
    invalid_schedule,
    invalid_value,
    launch_plan_reference_not_found,
    map_input_not_list,
    map_lengths_differ,
    mismatching_branch_outputs,
    mismatching_types,
    missing_annotation,
    missing_image,
    missing_target,
    nesting_too_deep,
    no_entry_node_found,
    no_nodes_found,
    node_out_of_scope,
    node_reference_not_found,
    parameter_bound_more_than_once,
    parameter_not_bound,
    promise_used_as_value,
    task_reference_not_found,
    too_many_mistakes,
    unknown_input,
    unreachable_nodes,
    unsupported_type,
    variable_name_not_found,
    workflow_body_raised,
    workflow_reference_not_found,
)
"""Each gives the mistakes of a raw template, or the template; it is named as its code."""


@pytest.fixture
def broken(build):
    """By code, what gives the mistakes of a template, among them one of that code."""

    def found(make):
        made = make(build)
        return made if isinstance(made, tuple) else made.compile().diagnostics

    code = {make: "".join(word.capitalize() for word in make.__name__.split("_")) for make in BROKEN}
    return {code[make]: lambda make=make: found(make) for make in BROKEN}


def test_codes_are_explained_once_in_alphabetical_order():
    constants = {
        value for name, value in vars(diagnostics).items() if name.isupper() and isinstance(value, str)
    }
    assert sorted(constants) == sorted(CODES)
    assert len(set(CODES)) == len(CODES)
    assert [code.lower() for code in CODES] == sorted(code.lower() for code in CODES)


@pytest.mark.parametrize("code", CODES)
def test_w2_a_broken_template_gets_the_code(code, broken):
    found = broken[code]()
    assert code in [each.code for each in found]
    assert all(each.message and each.workflow for each in found)


@pytest.mark.parametrize("code", CODES)
def test_a_diagnostic_reads_as_it_was_agreed(code, broken, source):
    shown = render_diagnostics.text(broken[code]()[-5:], read_source={"pipeline.py": source}.get)
    snapshot = RENDERED / f"{code}.txt"
    if os.environ.get("UPDATE_SNAPSHOTS"):
        snapshot.write_text(shown, "utf-8")
    assert shown == snapshot.read_text("utf-8")


def test_every_snapshot_is_of_a_code():
    assert {path.stem for path in RENDERED.iterdir()} == set(CODES)


def test_the_documentation_of_errors_is_current(repository):
    script = repository / "scripts" / "generate_errors_doc.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_same_mistake_from_two_templates_is_told_once(broken):
    found = broken["MissingTarget"]()
    assert diagnostics.unique([*found, *found]) == found
