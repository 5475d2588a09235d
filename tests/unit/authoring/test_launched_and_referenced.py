"""Launch plans that are called, what is registered elsewhere, programs in images: written, and called here."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from typedflow import (
    ContainerTask,
    Cron,
    FixedRate,
    LaunchPlan,
    Secret,
    errors,
    reference_launch_plan,
    reference_task,
    reference_workflow,
    task,
    workflow,
)
from typedflow.authoring import serialize
from typedflow.authoring.workflow import WorkflowFunction
from typedflow.testing import mock_task


class Pair(NamedTuple):
    low: int
    high: int


@task
def scale(n: int, by: int) -> int:
    return n * by


@task
def split(n: int) -> Pair:
    return Pair(n, n + 1)


@workflow
def scaled(n: int, by: int = 2) -> int:
    return scale(n=n, by=by)


@workflow
def halves(n: int) -> Pair:
    return split(n=n)


tenfold = LaunchPlan(scaled, name="tenfold", fixed_inputs={"by": 10})
default = LaunchPlan(scaled, name="default", default_inputs={"n": 4}, max_parallelism=3)
halved = LaunchPlan(halves, name="halved")


@reference_task(name="shared.scale", version="v3", project="shared", domain="production")
def elsewhere(n: int, by: int = 3) -> int: ...  # type: ignore[empty-body]


@reference_workflow(name="shared.prepare", version="v3")
def prepare(n: int) -> Pair: ...  # type: ignore[empty-body]


@reference_launch_plan(name="shared.nightly", version="v3")
def nightly(n: int, day: str = "today") -> int: ...  # type: ignore[empty-body]


tool = ContainerTask(
    "tool",
    image="registry/tool:1",
    command=["sh", "-c"],
    arguments=["tool {{inputs.n}} > {{outputs.m}}"],
    inputs={"n": int},
    outputs={"m": int},
    retries=2,
    secrets=[Secret("hub", "token")],
)
twins = ContainerTask("twins", image="registry/tool:1", inputs={"n": int}, outputs={"a": int, "b": str})


def mistakes(of: WorkflowFunction[..., Any]) -> list[tuple[str, str]]:
    with pytest.raises(errors.CompileError) as caught:
        of.compiled  # noqa: B018 - compiles
    return [(each.code, each.message) for each in caught.value.diagnostics]


def test_a_launch_plan_that_is_called_in_a_body_is_a_node():
    @workflow
    def launches(n: int) -> int:
        first = tenfold(n=n)
        low, _ = halved.after(first)(n=first)
        return default.with_overrides(name="last")(by=low)

    nodes = list(launches.compiled.workflow.nodes)
    assert [(each.id, each.WhichOneof("target")) for each in nodes] == [
        ("tenfold", "launch_plan"),
        ("halved", "launch_plan"),
        ("last", "launch_plan"),
    ]
    assert list(nodes[1].after) == ["tenfold"]
    assert nodes[2].launch_plan.launch_plan.name.endswith("test_launched_and_referenced.default")
    assert [each.variable for each in nodes[2].inputs] == ["n", "by"]
    assert nodes[2].inputs[0].value.literal.integer == 4


def test_what_a_launch_plan_fixes_is_no_input_of_a_call():
    @workflow
    def broken(n: int) -> int:
        return tenfold(n=n, by=3)

    assert [code for code, _ in mistakes(broken)] == ["FixedInputOverridden"]


def test_a_launch_plan_that_is_called_directly_runs_with_its_inputs():
    assert tenfold(n=3) == 30
    assert default() == 8
    assert default(5, by=3) == 15
    assert halved(n=1) == Pair(1, 2)
    with pytest.raises(errors.ConversionError, match="no input `by`"):
        tenfold(n=3, by=4)
    with pytest.raises(errors.ConversionError, match="`n` is missing"):
        tenfold()


def test_l3_a_schedule_is_on_the_wire():
    @workflow
    def timed(n: int = 1) -> int:
        return scale(n=n, by=1)

    daily = LaunchPlan(timed, name="daily", schedule=Cron("0 2 * * *", timezone="Europe/Berlin"))
    often = LaunchPlan(timed, name="often", schedule=FixedRate(timedelta(minutes=5), kickoff_time_input="at"))
    assert daily.template().schedule.cron.timezone == "Europe/Berlin"
    assert often.template().schedule.rate.period_ms == 300_000
    assert often.template().schedule.kickoff_time_input == "at"
    assert not tenfold.template().HasField("schedule")


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: LaunchPlan(scaled, name="p", schedule="0 2 * * *"), "InvalidSchedule"),
        (lambda: Cron(5), "InvalidSchedule"),
        (lambda: FixedRate(timedelta(0)), "InvalidSchedule"),
        (lambda: FixedRate(60), "InvalidValue"),
        (lambda: LaunchPlan(prepare, name="p"), "Definition"),
        (lambda: ContainerTask("t", image="i", inputs={"n": object}), "UnsupportedType"),
        (lambda: ContainerTask("t", image="i", outputs={"class": int}), "InvalidName"),
        (lambda: ContainerTask("t", image="i", command="sh"), "InvalidValue"),
        (lambda: ContainerTask("t", image=3), "InvalidValue"),
        (lambda: reference_task(name="two words", version="v1"), "InvalidName"),
        (lambda: reference_task(name="a", version=""), "InvalidName"),
        (lambda: reference_task(name="a", version="v1")(3), "Definition"),
        (lambda: reference_workflow(name="a", version="v1")(lambda n: n), "MissingAnnotation"),
    ],
    ids=itertools.count(1),
)
def test_an_illegal_definition_is_told_where_it_is_written(make: Any, code: str):
    with pytest.raises(errors.DefinitionError, match=r"test_launched_and_referenced\.py") as caught:
        make()
    assert caught.value.code == code


def test_references_are_wired_against_their_stubs():
    @workflow
    def uses(n: int) -> int:
        low, high = prepare(n=n)
        return nightly(n=elsewhere(n=low, by=high))

    @workflow
    def misuses(n: int) -> int:
        prepare(m=n)
        return nightly(n=elsewhere(n="x"), day=n)

    nodes = {each.id: each for each in uses.compiled.workflow.nodes}
    assert nodes["prepare"].workflow.workflow.version == "v3"
    assert nodes["elsewhere"].task.task.project == "shared"
    assert nodes["nightly"].launch_plan.launch_plan.name == "shared.nightly"
    assert sorted(code for code, _ in mistakes(misuses)) == [
        "InvalidValue",
        "MismatchingTypes",
        "ParameterNotBound",
        "VariableNameNotFound",
    ]


def test_two_stubs_that_say_the_same_are_one_task_and_others_are_told():
    @reference_task(name="shared.scale", version="v3", project="shared", domain="production")
    def again(n: int, by: int = 3) -> int: ...  # type: ignore[empty-body]

    @reference_task(name="shared.scale", version="v3", project="shared", domain="production")
    def other(n: int) -> int: ...  # type: ignore[empty-body]

    @workflow
    def same(n: int) -> int:
        return again(n=elsewhere(n=n))

    @workflow
    def differing(n: int) -> int:
        return other(n=elsewhere(n=n))

    assert [each.id for each in same.compiled.workflow.nodes] == ["elsewhere", "again"]
    assert ("InvalidName", "there is another task that is called `shared.scale`") in mistakes(differing)


@pytest.mark.parametrize(
    "use", [elsewhere, prepare, nightly, tool], ids=["task", "workflow", "plan", "container"]
)
def test_what_cannot_run_here_says_so(use: Any):
    with pytest.raises(errors.UsageError, match="so it can't run here") as caught:
        use(n=3)
    assert caught.value.code == "NotHere"
    assert caught.value.hint


def test_what_cannot_run_here_runs_as_it_is_mocked():
    @workflow
    def uses(n: int) -> int:
        return scale(n=elsewhere(n=n), by=2)

    @workflow
    def of_image(n: int) -> int:
        return scale(n=tool(n=n), by=3)

    with pytest.raises(errors.UsageError, match="needs a container runtime"):
        of_image(n=1)
    with pytest.raises(errors.UsageError, match="registered elsewhere") as caught:
        uses(n=1)
    assert "in node `elsewhere`" in caught.value.__notes__[0]
    with mock_task(elsewhere, returns=5), mock_task(tool, returns=7):
        assert uses(n=1) == 10
        assert elsewhere(n=1) == 5
        assert tool(n=1) == 7
        assert of_image(n=1) == 21


def test_a_container_task_is_a_template_of_its_own():
    @workflow
    def uses(n: int) -> str:
        made = twins(n=tool(n=n))
        return made.b

    template = uses.compiled.tasks[0]
    assert template.container.image == "registry/tool:1"
    assert list(template.container.arguments) == ["tool {{inputs.n}} > {{outputs.m}}"]
    assert template.options.retry.retries == 2
    assert template.options.secrets[0].env == "HUB_TOKEN"
    assert uses.compiled.workflow.outputs[0].value.promise.variable == "b"


def test_what_a_file_defines_and_calls_is_registered_and_what_it_refers_to_is_not(tmp_path: Path):
    (tmp_path / "referring_pipeline.py").write_text(
        "from typedflow import *\n\n"
        "@reference_task(name='a.b', version='v1')\n"
        "def elsewhere(n: int) -> int: ...\n\n"
        "tool = ContainerTask('tool', image='i:1', inputs={'n': int}, outputs={'m': int})\n"
        "spare = ContainerTask('spare', image='i:1')\n\n"
        "@task\ndef double(n: int) -> int:\n    return 2 * n\n\n"
        "def built():\n"
        "    inner = Workflow('inner')\n"
        "    inner.add_output('m', inner.add_node(double, n=inner.add_input('n', int)))\n"
        "    return inner\n\n"
        "outer = Workflow('outer')\n"
        "outer.add_output('m', outer.add_node(built(), n=outer.add_node(tool, n=outer.add_input('n', int))))\n\n"
        "@workflow\ndef launched(n: int = 1) -> int:\n    return elsewhere(n=n)\n\n"
        "def plan():\n    return LaunchPlan(launched, name='plan')\n\n"
        "@workflow\ndef launches(n: int) -> int:\n    return plan()()\n"
    )
    made = serialize.collect([tmp_path / "referring_pipeline.py"])
    assert sorted(each.id.name.partition(".")[2] for each in made.tasks) == ["double", "spare", "tool"]
    assert sorted(each.id.name.partition(".")[2] for each in made.workflows) == [
        "inner",
        "launched",
        "launches",
        "outer",
    ]
    assert [each.id.name for each in made.launch_plans] == ["referring_pipeline.plan"]
    container = next(each for each in made.tasks if each.id.name.endswith("tool"))
    assert container.code.fingerprint.startswith("b3:")


def test_a_mistaken_launch_plan_that_is_called_is_told_once(tmp_path: Path):
    (tmp_path / "mistaken_plan.py").write_text(
        "from typedflow import *\n\n@task\ndef double(n: int) -> int:\n    return 2 * n\n\n"
        "@workflow\ndef doubled(n: int) -> int:\n    return double(n=n)\n\n"
        "plan = LaunchPlan(doubled, name='plan', default_inputs={'m': 1})\n\n"
        "@workflow\ndef launches(n: int) -> int:\n    return plan(n=n)\n"
    )
    _, mistakes = serialize.check([tmp_path / "mistaken_plan.py"])
    assert [(each.code, each.position.line) for each in mistakes] == [("UnknownInput", 11)]
