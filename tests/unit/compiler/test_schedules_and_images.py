"""Schedules of launch plans, and tasks that are programs in an image."""

import datetime as dt

import pytest

from typedflow import compiler, identifiers, literal_types, literals
from typedflow.pb.launch_plans_pb2 import CronSchedule, LaunchPlanTemplate, RateSchedule, Schedule

INT, STRING, DATETIME = literal_types.INT, literal_types.STRING, literal_types.DATETIME
WHEN = literals.from_datetime(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


@pytest.fixture
def workflow(build):
    """training(n: int = 1, at: datetime)"""
    made = build()
    made.add_task("use", {}, {})
    made.add_node("use")
    made.add_input("n", INT, literals.from_int(1))
    made.add_input("at", literal_types.optional(DATETIME))
    return made.compiled()


def mistakes(workflow, schedule: Schedule, **parts):
    template = LaunchPlanTemplate(
        id=identifiers.launch_plan("pipeline.nightly"),
        workflow=identifiers.workflow("pipeline.training"),
        schedule=schedule,
        **parts,
    )
    result = compiler.compile_launch_plan(template, workflow)
    assert result.value is None or result.value.launch_plan.schedule == schedule
    return list(result.diagnostics)


def cron(expression: str, zone: str = "") -> Schedule:
    return Schedule(cron=CronSchedule(expression=expression, timezone=zone), kickoff_time_input="at")


@pytest.mark.parametrize(
    "expression", ["0 2 * * *", "*/5 9-17 * * MON-FRI", "0 0 1,15 JAN *", "0 0 29 2 *", "0 0 L * *"]
)
def test_a_legal_expression_is_taken(workflow, expression):
    assert mistakes(workflow, cron(expression, "Europe/Berlin")) == []


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("", "it has 0 fields, not 5"),
        ("0 2 * *", "it has 4 fields, not 5"),
        ("0 0 2 * * *", "it has 6 fields, not 5"),
        ("0 25 * * *", "`25` is no hour"),
        ("0 2 * * MOON", "`MOON` is no day of week"),
        ("0 0 31 2 *", "there is no such day in the months that it names"),
        ("*/0 * * * *", "`*/0` is no minute"),
        ("0 0 L/2 * 5#", "`5#` is no day of week"),
        ("٣ 2 * * *", "it has characters other than ASCII"),
        ("@daily", "it has 1 field, not 5"),
        ("1," * 2_000 + "1 * * * *", "it has more than 1,000 characters"),
    ],
)
def test_an_expression_that_is_not_legal_is_told_by_field(workflow, expression, said):
    (found,) = mistakes(workflow, cron(expression))
    assert (found.code, found.message.partition("legal: ")[2]) == ("InvalidSchedule", said)


@pytest.mark.parametrize(
    "zone", ["Europe/Berln", "Europe", "../etc/passwd", "/etc/localtime", "\0", "x" * 10_000]
)
def test_a_time_zone_that_there_is_not_is_told(workflow, zone):
    (found,) = mistakes(workflow, cron("0 2 * * *", zone))
    assert found.code == "InvalidSchedule"
    assert found.hint == ("did you mean `Europe/Berlin`?" if zone == "Europe/Berln" else found.hint)


@pytest.mark.parametrize(("period", "legal"), [(0, False), (999, False), (1_000, True), (2**64 - 1, False)])
def test_a_period_has_a_range(workflow, period, legal):
    schedule = Schedule(rate=RateSchedule(period_ms=period), kickoff_time_input="at")
    assert [each.code for each in mistakes(workflow, schedule)] == ([] if legal else ["InvalidSchedule"])


def test_a_schedule_that_says_nothing_is_told(workflow):
    assert [each.code for each in mistakes(workflow, Schedule(kickoff_time_input="at"))] == [
        "InvalidSchedule"
    ]


def test_a_scheduled_plan_has_all_inputs(workflow):
    (found,) = mistakes(workflow, Schedule(rate=RateSchedule(period_ms=1_000)))
    assert (found.code, found.given) == ("InvalidSchedule", "`at`")
    given = literals.as_map({"at": literals.from_none()})
    assert mistakes(workflow, Schedule(rate=RateSchedule(period_ms=1_000)), default_inputs=given) == []


def test_the_time_of_the_tick_goes_to_a_free_datetime(workflow):
    schedule = cron("0 2 * * *")
    fixed = literals.as_map({"at": WHEN})
    (found,) = mistakes(workflow, schedule, fixed_inputs=fixed)
    assert found.hint == "take it out of `fixed_inputs`"
    schedule.kickoff_time_input = "n"
    found = mistakes(workflow, schedule, fixed_inputs=fixed)[0]
    assert (found.expected, found.given) == ("datetime", "int")
    schedule.kickoff_time_input = "att"
    found = mistakes(workflow, schedule, default_inputs=fixed)[0]
    assert found.hint == "did you mean `at`?"


# Images


@pytest.fixture
def align(build):
    task = build().add_task(
        "align", {"reads": literal_types.file(), "seed": INT}, {"bam": literal_types.file()}
    )
    task.container.image = "registry/align:1.2"
    task.container.arguments.extend(["--in={{inputs.reads}}", "{{outputs.bam}}", "{{seed}} {x} {{", "}}"])
    return task


def found_in(task):
    return [(each.code, each.given) for each in compiler.compile_task(task).diagnostics]


def test_a_program_in_an_image_is_a_task(align):
    assert compiler.compile_task(align).value == align


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("{{inputs.read}}", "read"),
        ("{{outputs.reads}}", "reads"),
        ("{{inputs.}}", ""),
        ("a{{inputs.x}}b", "x"),
    ],
)
def test_a_placeholder_of_what_there_is_not_is_told(align, argument, given):
    align.container.command.append(argument)
    assert found_in(align) == [("VariableNameNotFound", given)]


def test_a_placeholder_nearly_right_is_told_with_the_right_one(align):
    align.container.arguments.append("{{inputs.read}}")
    assert compiler.compile_task(align).diagnostics[0].hint == "did you mean `reads`?"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", "a b"),
        ("input_folder", "inputs"),
        ("output_folder", "/"),
        ("input_folder", "/var/../etc"),
        ("input_folder", "/var/outputs/in"),
        ("output_folder", "/var/inputs"),
    ],
)
def test_images_and_folders_are_legal(align, field, value):
    setattr(align.container, field, value)
    assert found_in(align)[0][0] == "InvalidValue"


def test_an_argument_with_nul_is_told(align):
    align.container.arguments.append("a\0b")
    assert found_in(align) == [("InvalidValue", "a\0b")]


def test_a_program_in_an_image_says_no_graph(align):
    align.dynamic = True
    (found,) = compiler.compile_task(align).diagnostics
    assert found.code == "InvalidValue"
    assert "dynamic and runs an image" in found.message
