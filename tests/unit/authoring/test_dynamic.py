"""Dynamic tasks: what a body says with real values, checked by the compiler, described as a registration has it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from typedflow import (
    Cache,
    File,
    LaunchPlan,
    Workflow,
    approve,
    conditional,
    current_context,
    dynamic,
    errors,
    hashing,
    literals,
    map_task,
    reference_task,
    run_task,
    sleep,
    task,
    type_engine,
    wait_for_input,
    workflow,
)
from typedflow.authoring import context, serialize, side_outputs
from typedflow.authoring.dynamic import DynamicTask
from typedflow.dataplane import bundles, objects
from typedflow.pb import attempt_pb2, errors_pb2, literals_pb2, tasks_pb2


@dataclass
class Config:
    rate: float
    layers: list[int]


@task
def double(n: int) -> int:
    return 2 * n


@task
def scaled(n: int, by: int) -> int:
    return n * by


@task
def total(values: list[int]) -> int:
    return sum(values)


@task
def rows(df: pd.DataFrame, file: File) -> int:
    return len(df)


@task
def configure(config: Config) -> Config:
    return config


@workflow
def twice(n: int) -> int:
    return double(n=double(n=n))


@workflow
def first_of(values: list[int]) -> int:
    return double(n=values[0])


built = Workflow("built")
built.add_output("o0", built.add_node(double, n=built.add_input("n", int)))
launched = LaunchPlan(twice, name="launched")


@reference_task(name="elsewhere.scale", version="v3")
def scale_elsewhere(n: int) -> int: ...  # type: ignore[empty-body]


@pytest.fixture
def data(tmp_path: Path) -> type_engine.Data:
    return type_engine.Data(objects.open_store(str(tmp_path / "objects")), tmp_path / "work")


Expand = Callable[..., Any]


@pytest.fixture
def expand(data: type_engine.Data) -> Expand:
    """What a dynamic task gives for these inputs, with its tasks described plainly."""

    def expanded(of: DynamicTask[..., Any], **inputs: Any) -> Any:
        made = literals_pb2.LiteralMap()
        for name, value in inputs.items():
            literal = of.signature.parameters[name].converter.to_literal(value, name, data)
            made.values.add(name=name, value=literal)
        side = side_outputs.SideOutputs(data)
        running = context.TaskContext("e", "tune", 2, "", "", data.folder, side)
        return of.expand(made, running, data, lambda each: each.template())

    return expanded


def ids(expanded: Any) -> list[str]:
    assert isinstance(expanded, attempt_pb2.Expanded)
    return [node.id for node in expanded.workflow.nodes]


def test_a_body_runs_with_real_values_and_its_calls_make_nodes(expand: Expand):
    @dynamic
    def tune(n: int, names: list[str]) -> int:
        if n > 1:
            return total(values=[double(n=i) for i in range(n)] + [len(name) for name in names])
        return double(n=n)

    made = expand(tune, n=2, names=["abc"])
    assert ids(made) == ["double", "double-2", "total"]
    assert ids(expand(tune, n=1, names=[])) == ["double"]
    bound = made.workflow.nodes[2].inputs[0].value.list.elements
    assert [each.WhichOneof("value") for each in bound] == ["promise", "promise", "literal"]
    assert bound[2].literal.integer == 3
    assert not made.workflow.interface.inputs
    assert made.workflow.interface.outputs == tune.signature.interface.outputs
    assert sorted(each.id.name.rpartition(".")[2] for each in made.tasks) == ["double", "total"]


def test_everything_that_a_workflow_may_say_it_may_say(expand: Expand):
    @dynamic
    def says(n: int) -> int:
        rate = wait_for_input("rate", int)
        chosen = conditional("size").if_(rate > n).then(double(n=rate)).else_().then(total(values=[n]))
        reviewed = approve(chosen, "review")
        pause = sleep(timedelta(seconds=1), after=[reviewed])
        mapped = map_task(double, concurrency=2)(n=[1, reviewed, n])
        inner = twice(n=chosen)
        other = built(n=inner)
        child = launched(n=other)
        again = says.after(pause)(n=n - 1)
        far = scale_elsewhere(n=child)
        return total.with_overrides(name="end", retries=2)(values=[mapped[0], again, far])

    made = expand(says, n=3)
    assert ids(made) == [
        "rate",
        "size",
        "size.double",
        "size.total",
        "review",
        "sleep",
        "double",
        "twice.double",
        "twice.double-2",
        "built.double",
        "launched",
        "says",
        "scale_elsewhere",
        "end",
    ]
    assert made.workflow.nodes[-1].task.overrides.retry.retries == 2
    # What is registered elsewhere is not described; what is launched is found where it is registered.
    assert sorted(each.id.name.rpartition(".")[2] for each in made.tasks) == ["double", "says", "total"]
    assert [each.dynamic for each in made.tasks if each.id.name.endswith("says")] == [True]


def test_a_body_that_calls_nothing_gives_its_outputs(expand: Expand):
    @dynamic
    def nothing_to_do(n: int) -> tuple[int, list[str]]:
        return n + 1, ["a"]

    made = expand(nothing_to_do, n=1)
    assert isinstance(made, literals_pb2.LiteralMap)
    assert [(each.name, literals.to_json(each.value)) for each in made.values] == [("o0", 2), ("o1", ["a"])]


def test_it_returns_promises_constants_and_containers_of_them(expand: Expand):
    @dynamic
    def mixed(n: int) -> Config:
        return Config(rate=0.5, layers=[n, double(n=n), 3])

    made = expand(mixed, n=1)
    (fields,) = [each.value.record.fields for each in made.workflow.outputs]
    assert [each.name for each in fields] == ["rate", "layers"]
    assert fields[0].value.literal.float == 0.5


def test_any_supported_value_may_be_given_to_what_it_calls(
    expand: Expand, data: type_engine.Data, tmp_path: Path
):
    @dynamic
    def counts(n: int) -> int:
        note = current_context().working_folder / "note.txt"
        note.write_text("made at run time")
        frame = pd.DataFrame({"x": range(n)})
        return rows(df=frame, file=File(note))

    made = expand(counts, n=3)
    frame, file = (each.value.literal for each in made.workflow.nodes[0].inputs)
    assert frame.frame.rows == 3
    assert data.store.read_bytes(file.file.blob) == b"made at run time"


def test_what_is_large_is_an_object_of_the_store(expand: Expand, data: type_engine.Data):
    @dynamic
    def shares(n: int) -> int:
        values = list(range(n))
        return total(values=[total(values=values), first_of(values=values)])

    made = expand(shares, n=1_000_000)
    assert made.ByteSize() < 100_000
    given = made.workflow.nodes[0].inputs[0].value.literal
    assert given.HasField("offloaded")
    assert made.workflow.nodes[1].inputs[0].value.literal.integer == 0  # a part of it is a value of its own


def test_e9_what_a_map_is_over_is_known_of_a_list_that_is_an_object_of_the_store(expand: Expand):
    @dynamic
    def scales(n: int) -> list[int]:
        return map_task(scaled)(n=list(range(n)), by=double(n=n))

    made = expand(scales, n=100_000)
    (node,) = [each for each in made.workflow.nodes if each.HasField("map")]
    assert node.inputs[0].value.literal.HasField("offloaded")
    assert list(node.map.over) == ["n"]


def test_its_context_is_the_running_tasks(expand: Expand):
    seen: list[tuple[str, int]] = []

    @dynamic
    def asks(n: int) -> int:
        running = current_context()
        seen.append((running.node, running.attempt))
        return double(n=n)

    expand(asks, n=1)
    assert seen == [("tune", 2)]


def test_mistakes_in_the_body_are_all_told_with_the_authors_lines(expand: Expand):
    @dynamic
    def wrong(n: int) -> int:
        a = total(values=["a", n])
        b = double(m=n)
        return total(values=[a, b, double(n=0.5)])

    with pytest.raises(errors.CompileError) as caught:
        expand(wrong, n=1)
    assert isinstance(caught.value, errors.NonRecoverable)
    codes = [each.code for each in caught.value.diagnostics]
    assert codes == ["InvalidValue", "ParameterNotBound", "VariableNameNotFound", "InvalidValue"]
    assert caught.value.code == "InvalidValue"
    assert "test_dynamic.py:" in str(caught.value)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (lambda n: double(n=n) + 1, "PromiseUsedAsValue"),
        (lambda n: double(n=n) or n, "PromiseUsedAsValue"),
        (lambda _: "one", "InvalidValue"),
        (lambda _: None, "InvalidValue"),
        (lambda n: conditional("c").if_(n > 1), "BranchHasNoDefault"),
        (lambda n: configure(config=Config(0.5, [n])), "MismatchingTypes"),
        (lambda n: configure(config=Config(0.5, [n])).rat, "FieldNotFound"),
        (lambda n: first_of(values=[n][1:]), "FieldNotFound"),
        (lambda n: launched(m=n), "ParameterNotBound"),
    ],
    ids=["arithmetic", "truth", "constant", "none", "unfinished", "type", "field", "index", "name"],
)
def test_a_mistake_is_a_failure_that_no_retry_helps(expand: Expand, body: Callable[[int], Any], code: str):
    @dynamic
    def wrong(n: int) -> int:
        return body(n)

    with pytest.raises(errors.CompileError) as caught:
        expand(wrong, n=1)
    assert caught.value.code == code
    assert isinstance(caught.value, errors.NonRecoverable)


def test_what_the_body_raises_is_its_own(expand: Expand):
    @dynamic
    def fails(n: int) -> int:
        double(n=n)
        raise OSError("not reachable")

    with pytest.raises(OSError, match="not reachable"):
        expand(fails, n=1)


def test_in_a_workflow_it_is_a_task():
    @dynamic(cache=True, retries=3)
    def tune(n: int) -> int:
        return double(n=n)

    @workflow
    def whole(n: int) -> int:
        return tune.with_overrides(name="tuned")(n=n)

    (node,) = whole.compiled.workflow.nodes
    assert (node.id, node.WhichOneof("target")) == ("tuned", "task")
    (template,) = whole.compiled.tasks
    assert template.dynamic
    assert (template.options.cache.enabled, template.options.retry.retries) == (True, 3)


def test_a_dynamic_task_and_a_plain_one_of_a_name_are_two_things():
    plain, other = tasks_pb2.TaskTemplate(), tasks_pb2.TaskTemplate(dynamic=True)
    assert hashing.of_entity(plain) != hashing.of_entity(other)
    assert hashing.of_content(plain) != hashing.of_content(other)


@pytest.mark.parametrize("form", ["async def", "generator"])
def test_a_body_that_gives_its_values_by_and_by_says_no_graph(form: str):
    async def later(n: int) -> int:
        return n

    def bit_by_bit(n: int) -> int:  # tried
        yield n

    with pytest.raises(errors.DefinitionError, match="dynamic task"):
        dynamic(later if form == "async def" else bit_by_bit)


def test_what_is_no_function_is_told():
    with pytest.raises(errors.DefinitionError, match="@dynamic is given 3"):
        dynamic(3)


MODULE = """
    from typedflow import Cache, dynamic, task, workflow

    FACTOR = 3

    @task(cache=True)
    def scale(n: int) -> int:
        return FACTOR * n

    @dynamic(cache=True)
    def tune(n: int) -> int:
        if n == 0:
            return 7
        return scale(n=scale(n=n))

    @dynamic
    def wrong(n: int) -> int:
        return scale(n="one")

    @dynamic
    def hidden(n: int) -> int:
        @task
        def inside(n: int) -> int:
            return n
        return inside(n=n)

    @dynamic
    def fails(n: int) -> int:
        raise ValueError("as it is")
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dynamic_steps.py").write_text(textwrap.dedent(MODULE), "utf-8")
    return folder / "dynamic_steps.py"


def attempt(root: Path, name: str, bundle: str, n: int = 2) -> attempt_pb2.Outcome:
    for known in [each for each in sys.modules if each == "dynamic_steps"]:
        del sys.modules[known]
    spec = attempt_pb2.AttemptSpec(
        id=attempt_pb2.AttemptId(execution_id="e", node="tune", attempt=1),
        python=tasks_pb2.PythonTarget(module="dynamic_steps", qualname=name, bundle=bundle),
        inputs=literals.as_map({"n": literals.from_int(n)}),
        dynamic=True,
    )
    store = objects.open_store(str(root.parent / "objects"))
    (root.parent / "work").mkdir(exist_ok=True)
    return run_task.execute(spec, roots=[root], folder=root.parent / "work", store=store)


def test_c5_what_it_calls_is_described_as_a_registration_has_it(module: Path, tmp_path: Path):
    registered = serialize.collect([module])
    (unpacked,) = bundles.unpack(registered.bundle.data, registered.bundle.digest, tmp_path / "unpacked")
    outcome = attempt(unpacked, "tune", registered.bundle.digest)
    assert outcome.WhichOneof("result") == "expanded", outcome.error
    by_name = {each.id.name: each for each in registered.tasks}
    assert [each.id.name for each in outcome.expanded.tasks] == ["dynamic_steps.scale"]
    assert outcome.expanded.tasks[0] == by_name["dynamic_steps.scale"]
    assert outcome.usage.wall_seconds > 0


def test_an_attempt_whose_body_calls_nothing_has_outputs(module: Path):
    outcome = attempt(module.parent, "tune", "b3:0", n=0)
    assert outcome.WhichOneof("result") == "outputs"
    assert outcome.outputs.values[0].value.integer == 7


@pytest.mark.parametrize(
    ("name", "code", "words", "final"),
    [
        ("wrong", "InvalidValue", "dynamic_steps.py:18:", True),
        ("hidden", "InvalidName", "can't be imported", True),
        ("fails", "ValueError", "as it is", False),
        ("scale", "Load", "plain one here", False),
    ],
)
def test_what_goes_wrong_in_a_body_is_a_failure_of_the_users(
    module: Path, name: str, code: str, words: str, final: bool
):
    error = attempt(module.parent, name, "b3:0").error
    assert error.kind == errors_pb2.ERROR_KIND_USER
    assert error.code == code or (name == "scale" and words in error.message)
    assert words in error.message
    assert error.non_recoverable == final


def test_registering_takes_what_a_module_has(module: Path):
    registered = serialize.collect([module])
    found = {each.id.name.rpartition(".")[2]: each.dynamic for each in registered.tasks}
    assert found == {"scale": False, "tune": True, "wrong": True, "hidden": True, "fails": True}
    components = {
        each.name for t in registered.tasks if t.id.name.endswith("tune") for each in t.code.components
    }
    assert "dynamic_steps.scale" in components  # what it calls decides what it gives


def test_cache_options_are_those_of_a_task():
    @dynamic(cache=Cache(version="2"))
    def tune(n: int) -> int:
        return double(n=n)

    assert tune.template().options.cache.version == "2"
