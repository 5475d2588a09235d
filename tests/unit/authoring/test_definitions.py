"""Mistakes in definitions: told on the author's line, or all at once while files are read."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from typedflow import Cache, LaunchPlan, Resources, Retry, errors, task, workflow
from typedflow.authoring import serialize


@task
def double(n: int) -> int:
    return 2 * n


@workflow
def doubled(n: int) -> int:
    return double(n=n)


def test_a_parameter_without_a_type_is_told_on_its_line():
    with pytest.raises(errors.DefinitionError) as caught:

        @task
        def untyped(n, m: int) -> int:
            return n

    assert caught.value.code == "MissingAnnotation"
    assert "`n`" in caught.value.message
    assert (
        caught.value.where.endswith("test_definitions.py:28:1") or "test_definitions.py" in caught.value.where
    )


def test_t3_an_unknown_type_is_an_error_at_definition():
    with pytest.raises(errors.DefinitionError) as caught:

        @task
        def unknown(n: object) -> int:
            return 1

    assert caught.value.code == "UnsupportedType"


def test_a_default_must_fit_its_type():
    with pytest.raises(errors.DefinitionError, match="default of parameter `n`"):

        @task
        def wrong(n: int = "3") -> int:
            return n


@pytest.mark.parametrize(
    "use",
    [
        pytest.param(bool, id="truth"),
        pytest.param(list, id="iteration"),
        pytest.param(len, id="length"),
        pytest.param(lambda p: f"{p}", id="format"),
        pytest.param(lambda p: p + 1, id="arithmetic"),
        pytest.param(lambda p: 1 - p, id="reflected arithmetic"),
        pytest.param(lambda p: 1 < p < 3, id="chained comparison"),
        pytest.param(lambda p: p(), id="call"),
    ],
)
def test_a_promise_used_as_a_value_is_told(use):
    @workflow
    def misuses(n: int) -> int:
        use(double(n=n))
        return double(n=n)

    with pytest.raises(errors.CompileError) as caught:
        misuses(n=1)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "PromiseUsedAsValue"
    assert diagnostic.node == "double"
    assert diagnostic.position.file.endswith("test_definitions.py")


def test_the_position_of_a_wrong_call_is_the_authors_call():
    @task
    def text() -> str:
        return "x"

    @workflow
    def wrong() -> int:
        first = text()
        return double(n=first)

    with pytest.raises(errors.CompileError) as caught:
        wrong()
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "MismatchingTypes"
    line = Path(__file__).read_text().splitlines()[diagnostic.position.line - 1]
    assert line[diagnostic.position.column - 1 :] == "double(n=first)"


def test_every_mistake_of_a_workflow_is_told_at_once():
    @workflow
    def many(n: int) -> int:
        double(m=n)
        double(n="x")
        double()
        return double(n=n)

    with pytest.raises(errors.CompileError) as caught:
        many(n=1)
    codes = [d.code for d in caught.value.diagnostics]
    assert codes.count("ParameterNotBound") == 2
    assert "VariableNameNotFound" in codes
    assert "InvalidValue" in codes


def test_a_sub_workflows_inputs_are_checked():
    @task
    def text() -> str:
        return "x"

    @workflow
    def wrong() -> int:
        return doubled(n=text())

    with pytest.raises(errors.CompileError) as caught:
        wrong()
    assert {d.code for d in caught.value.diagnostics} == {"MismatchingTypes"}
    assert "workflow `doubled`" in caught.value.diagnostics[0].message


def test_a_workflow_that_calls_itself_is_told():
    @workflow
    def endless(n: int) -> int:
        return endless(n=n)

    with pytest.raises(errors.CompileError) as caught:
        endless(n=1)
    assert caught.value.diagnostics[0].code == "CycleDetected"


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: Resources(cpu="much"), "InvalidResource"),
        (lambda: Resources(gpu="A100:0"), "InvalidResource"),
        (lambda: Retry(-1), "InvalidValue"),
        (lambda: Retry(True), "InvalidValue"),
        (lambda: Cache(ignored_inputs="n"), "InvalidValue"),
        (lambda: task(environment={"1X": "y"})(double.function), "InvalidValue"),
        (lambda: double.with_overrides(name="a b"), "InvalidName"),
        (lambda: LaunchPlan(doubled, name="p", fixed_inputs={"m": 1}), "UnknownInput"),
        (lambda: LaunchPlan(doubled, name="p", fixed_inputs={"n": "x"}), "InvalidValue"),
        (
            lambda: LaunchPlan(doubled, name="p", default_inputs={"n": 1}, fixed_inputs={"n": 2}),
            "FixedInputOverridden",
        ),
        (lambda: LaunchPlan(doubled, name="p", max_parallelism=0), "InvalidValue"),
        (lambda: LaunchPlan(doubled, name="p", max_parallelism="3"), "InvalidValue"),
        (lambda: LaunchPlan(doubled, name="p", default_inputs=[1]), "InvalidValue"),
        (lambda: LaunchPlan(doubled, name=3), "InvalidName"),
        (lambda: Retry(1, factor="2"), "InvalidValue"),
        (lambda: Retry(1, factor=float("inf")), "InvalidValue"),
        (lambda: task(environment={1: "a", "B": "c"}), "InvalidValue"),  # type: ignore[dict-item]  # tried
        (lambda: task(environment=["A=1"]), "InvalidValue"),
    ],
    ids=itertools.count(1),
)
def test_an_illegal_option_is_told_where_it_is_written(make, code):
    with pytest.raises(errors.DefinitionError) as caught:
        make()
    assert caught.value.code == code


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "prices.py").write_text(
        '"""Prices."""\n'
        "from typedflow import LaunchPlan, task, workflow\n\n"
        "@task(cache=True)\n"
        "def price(n: int) -> float:\n"
        '    """What n of them cost."""\n'
        "    return n * 1.5\n\n"
        "@workflow\n"
        "def bill(n: int = 2) -> float:\n"
        "    return price(n=n)\n\n"
        'ten = LaunchPlan(bill, name="ten", fixed_inputs={"n": 10})\n'
    )
    return folder


def test_a_file_becomes_templates_and_a_bundle(project: Path):
    collected = serialize.collect([project / "prices.py"])
    assert [t.id.name for t in collected.tasks] == ["prices.price"]
    assert collected.tasks[0].python.bundle == collected.bundle.digest
    assert collected.tasks[0].code.fingerprint.startswith("b3:")
    assert collected.tasks[0].description == "What n of them cost."
    assert [w.id.name for w in collected.workflows] == ["prices.bill"]
    assert [p.id.name for p in collected.launch_plans] == ["prices.ten"]
    assert [name for name, _ in collected.bundle.files] == ["roots/0/prices.py"]


def test_every_mistake_of_a_file_is_told_at_once(tmp_path: Path):
    file = tmp_path / "untidy_pipeline.py"
    file.write_text(
        "from typedflow import task, workflow\n"
        "@task\n"
        "def untyped(n) -> int:\n"
        "    return n\n"
        "@task\n"
        "def text() -> str:\n"
        "    return ''\n"
        "@task\n"
        "def number(n: int) -> int:\n"
        "    return n\n"
        "@workflow\n"
        "def wrong() -> int:\n"
        "    return number(n=text())\n"
    )
    with pytest.raises(errors.CompileError) as caught:
        serialize.collect([file])
    assert [d.code for d in caught.value.diagnostics] == ["MissingAnnotation", "MismatchingTypes"]
    assert [d.position.line for d in caught.value.diagnostics] == [3, 13]


@pytest.mark.parametrize(
    ("name", "text", "match"),
    [
        ("notes.txt", "hello", "not a Python file"),
        ("syntax_error_pipeline.py", "def (", "not Python"),
        ("raising_pipeline.py", "x = 1\nraise ValueError('no')\n", "raised ValueError: no"),
        ("lacking_pipeline.py", "import no_such_library\n", "install what provides `no_such_library`"),
        ("misspelt_pipeline.py", "from typedflow import tsk\n", "correct the name"),
        (
            "conflict.py",
            "from typedflow import errors\nraise errors.NotFound('gone')\n",
            r"conflict.py:2:1: importing.*gone",
        ),
        ("exiting_pipeline.py", "import sys\nsys.exit(3)\n", "raised SystemExit"),
        ("json.py", "from typedflow import task\n", "belongs to"),
        ("two words.py", "", "not a Python name"),
        ("empty_pipeline.py", "", "no task"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_with_its_line(tmp_path: Path, name: str, text: str, match: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(errors.UsageError, match=match):
        serialize.collect([tmp_path / name])


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(errors.LoadError, match="no file or folder"):
        serialize.collect([tmp_path / "gone.py"])
