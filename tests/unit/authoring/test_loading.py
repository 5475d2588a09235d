"""Authors' files as modules: found, named, imported, and imported anew when they have changed."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from typedflow import errors
from typedflow.authoring import serialize
from typedflow.pb import workflows_pb2

Write = Callable[[str, str], Path]
NUMBERS = itertools.count()


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of the author's."""

    def written(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
        return file

    return written


@pytest.fixture
def name() -> str:
    """A module's name that no other test has."""
    return f"pipeline_{next(NUMBERS)}"


def pipeline(by: int = 2, imports: str = "") -> str:
    return (
        f"from typedflow import task, workflow\n{imports}\n"
        f"@task\ndef scale(n: int, by: int) -> int:\n    return n * by\n"
        f"@workflow\ndef scaled(n: int) -> int:\n    return scale(n=n, by={by})\n"
    )


def names(*paths: Path) -> list[str]:
    collected = serialize.collect(paths)
    return [each.id.name for each in collected.tasks] + [each.id.name for each in collected.workflows]


def factor(template: workflows_pb2.WorkflowTemplate) -> int:
    return template.nodes[0].inputs[1].value.literal.integer


def test_i1_a_folders_files_are_named_under_their_own_import_roots(write: Write, name: str, tmp_path: Path):
    write(f"src/{name}/__init__.py", "")
    write(f"src/{name}/train.py", pipeline())
    write(f"jobs/{name}_nightly.py", pipeline())
    assert names(tmp_path) == [
        f"{name}_nightly.scale",
        f"{name}.train.scale",
        f"{name}_nightly.scaled",
        f"{name}.train.scaled",
    ]


def test_a_file_has_one_name_however_it_is_given(write: Write, name: str, tmp_path: Path):
    file = write(f"{name}/steps.py", pipeline())
    write(f"{name}/__init__.py", "from . import steps")
    expected = [f"{name}.steps.scale", f"{name}.steps.scaled"]
    assert names(file) == names(tmp_path / name) == names(tmp_path) == expected


def test_a_folder_is_read_without_tests_environments_and_links_to_nowhere(
    write: Write, name: str, tmp_path: Path
):
    write(f"{name}.py", pipeline())
    raising = "import typedflow\nraise ValueError('must not be imported')"
    for other in (
        "tests/helpers.py",
        f"test_{name}.py",
        "conftest.py",
        "setup.py",
        ".hidden/x.py",
        "env/lib/x.py",
    ):
        write(other, raising)
    write("env/pyvenv.cfg", "")
    (tmp_path / "gone.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "latin.py").write_bytes("# typed-flow \xe9".encode("latin-1"))
    assert names(tmp_path) == [f"{name}.scale", f"{name}.scaled"]


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path, name: str):
    (tmp_path / f"{name}.py").write_bytes("import typedflow\nx = '\xe9'\n".encode("latin-1"))
    _, (found,) = serialize.check([tmp_path])
    assert found.code == "Load"
    assert "not Python" in found.message


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("@task(cach=True)\ndef f() -> None: ...\n", "did you mean `cache`?"),
        ("LaunchPlan(1, nam='a')\n", "did you mean `name`?"),
        ("reference_task(name='a')\n", "`help(typedflow.reference_task)` says what it takes"),
        ("task(1, 2)\n", "`help(typedflow.task)` says what it takes"),
        ("def mine(): ...\nmine(1)\n", "keep what only a script does under"),
    ],
)
def test_what_is_called_with_arguments_that_it_does_not_take_says_so(
    write: Write, name: str, text: str, hint: str
):
    file = write(f"{name}.py", "from typedflow import LaunchPlan, reference_task, task\n" + text)
    _, (found,) = serialize.check([file])
    assert f"{name}.py raised TypeError" in found.message
    assert hint in found.hint


def test_a_module_beside_the_folder_is_found_by_what_is_a_package(write: Write, name: str, tmp_path: Path):
    write(f"{name}_beside.py", "n = 1\n")
    file = write(f"{name}_inner/{name}.py", f"from {name}_beside import n\n" + pipeline())
    _, (found,) = serialize.check([file])
    assert f"`{name}_beside`, which is beside it" in found.hint
    write(f"{name}_inner/__init__.py", "")
    assert serialize.check([file])[1] == []


def test_two_files_of_one_name_are_told(write: Write, name: str, tmp_path: Path):
    write(f"a/{name}.py", pipeline())
    write(f"b/{name}.py", pipeline())
    with pytest.raises(errors.LoadError, match="that name belongs to"):
        serialize.collect([tmp_path])


def test_a_file_that_changed_is_imported_anew(write: Write, name: str):
    file = write(f"{name}.py", pipeline(by=2))
    first = serialize.collect([file])
    write(f"{name}.py", pipeline(by=3))
    second = serialize.collect([file])
    assert (factor(first.workflows[0]), factor(second.workflows[0])) == (2, 3)
    assert first.bundle.digest != second.bundle.digest
    assert first.tasks[0].code.fingerprint == second.tasks[0].code.fingerprint


def test_what_changed_files_are_imported_by_is_imported_anew(write: Write, name: str):
    write(f"{name}_settings.py", "FACTOR = 2\n")
    file = write(
        f"{name}.py", pipeline(imports=f"from {name}_settings import FACTOR").replace("by=2", "by=FACTOR")
    )
    first = serialize.collect([file])
    write(f"{name}_settings.py", "FACTOR = 3\n")
    second = serialize.collect([file])
    assert (factor(first.workflows[0]), factor(second.workflows[0])) == (2, 3)


def test_a_module_that_the_author_imported_and_then_edited_is_imported_anew(
    write: Write, name: str, monkeypatch: pytest.MonkeyPatch
):
    file = write(f"{name}.py", pipeline(by=2))
    monkeypatch.syspath_prepend(file.parent)
    assert importlib.import_module(name).scaled(n=1) == 2
    write(f"{name}.py", pipeline(by=3))
    assert factor(serialize.collect([file]).workflows[0]) == 3


def test_what_has_not_changed_stays_as_it_is(write: Write, name: str):
    file = write(f"{name}.py", pipeline())
    serialize.collect([file])
    module = sys.modules[name]
    serialize.collect([file])
    assert sys.modules[name] is module


def test_a_change_that_cannot_be_imported_leaves_what_was_there(write: Write, name: str):
    file = write(f"{name}.py", pipeline())
    serialize.collect([file])
    module = sys.modules[name]
    write(f"{name}.py", "import typedflow\nraise ValueError('half done')\n")
    with pytest.raises(errors.LoadError, match="half done"):
        serialize.collect([file])
    assert sys.modules[name] is module
    write(f"{name}.py", pipeline(by=5))
    assert factor(serialize.collect([file]).workflows[0]) == 5


def test_another_projects_module_of_the_same_name_gives_way(write: Write, name: str):
    imports = f"from {name}_settings import FACTOR"
    for project, value in (("one", 2), ("two", 3)):
        write(f"{project}/{name}_settings.py", f"FACTOR = {value}\n")
        file = write(f"{project}/{name}.py", pipeline(imports=imports).replace("by=2", "by=FACTOR"))
        collected = serialize.collect([file])
        assert factor(collected.workflows[0]) == value
        assert len(collected.bundle.files) == 2


def mistakes(file: Path) -> list[tuple[str, str]]:
    _, found = serialize.check([file])
    return [(each.code, each.message) for each in found]


def test_an_exception_in_a_workflows_body_is_a_mistake_among_others(write: Write, name: str):
    file = write(
        f"{name}.py",
        pipeline()
        + "@workflow\ndef raises(n: int) -> int:\n    return undefined(n=n)\n"
        + "@workflow\ndef wrong(n: int) -> int:\n    return scale(n='x', by=2)\n",
    )
    assert [code for code, _ in mistakes(file)] == ["WorkflowBodyRaised", "InvalidValue"]


def test_what_calls_a_broken_task_is_not_told_again(write: Write, name: str):
    file = write(
        f"{name}.py",
        "from typedflow import task, workflow\n"
        "@task\ndef untyped(n) -> int:\n    return n\n"
        "@workflow\ndef inner(n: int) -> int:\n    return untyped(n=n)\n"
        "@workflow\ndef outer(n: int) -> int:\n    return inner(n=n)\n",
    )
    assert [code for code, _ in mistakes(file)] == ["MissingAnnotation"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("def plain(n: int) -> int:\n    return n\nrenamed = task(plain)\n", id="renamed"),
        pytest.param("again = task(cache=True)(scale.function)\n", id="made twice"),
        pytest.param("@task\ndef first(n: int) -> int:\n    return n\nkept = first\ndel first", id="deleted"),
    ],
)
def test_a_task_that_an_attempt_could_not_find_is_told(write: Write, name: str, text: str):
    ((code, message),) = mistakes(write(f"{name}.py", pipeline() + text))
    assert code == "InvalidName"
    assert "can't be imported" in message


def test_a_task_under_a_second_name_is_one_task(write: Write, name: str):
    write(f"{name}_steps.py", pipeline())
    file = write(
        f"{name}.py",
        f"from typedflow import workflow\nfrom {name}_steps import scale as stretch\n"
        "twice = stretch\npatient = stretch.with_overrides(retries=3)\n"
        "@workflow\ndef both(n: int) -> int:\n    return twice(n=patient(n=n, by=2), by=3)\n",
    )
    assert mistakes(file) == []
    assert names(file) == [f"{name}_steps.scale", f"{name}.both"]


def test_a_decorated_task_belongs_to_the_module_that_it_is_written_in(write: Write, name: str):
    write(
        f"{name}_decorators.py",
        "import functools\n"
        "def passed_on(function):\n"
        "    @functools.wraps(function)\n"
        "    def inner(*args, **kwargs):\n"
        "        return function(*args, **kwargs)\n"
        "    return inner\n",
    )
    text = pipeline(imports=f"from {name}_decorators import passed_on").replace(
        "@task\n", "@task\n@passed_on\n"
    )
    file = write(f"{name}.py", text)
    collected = serialize.collect([file])
    assert [each.id.name for each in collected.tasks] == [f"{name}.scale"]
    assert collected.tasks[0].position.file == f"{name}.py"
    assert (
        collected.tasks[0].position.line == text.splitlines().index("def scale(n: int, by: int) -> int:") + 1
    )
