"""The habits of the house that no linter knows."""

import ast
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ("typedflow", "admin/typedflow_admin", "propeller/typedflow_propeller")
VAGUE = {"base", "common", "core", "helper", "helpers", "impl", "manager", "misc", "util", "utils"}
HEAVY = {
    "alembic", "fsspec", "grpc", "kubernetes", "marshmallow", "numpy", "pandas", "pandera", "polars", "pyarrow",
    "rich", "sqlalchemy", "starlette", "uvicorn", "yaml",
}  # fmt: skip


def modules(repository: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            if path.parent.name != "pb":
                yield path


DEFINITION = """
from typedflow import task, workflow

@task(cache=True)
def double(n: int) -> int:
    return 2 * n

@workflow
def quadruple(n: int) -> int:
    return double(n=double(n=n))
"""
NOT_TO_DEFINE = {
    "asyncio", "difflib", "email", "importlib.metadata", "json", "logging", "secrets", "shutil", "socket", "tempfile",
    "typedflow.compiler.compile", "typedflow.dataplane", "typedflow.engine", "typedflow.hashing", "typedflow.local_run",
    "typedflow.type_engine.files", "typedflow.type_engine.frames", "zoneinfo",
}  # fmt: skip


def test_importing_typedflow_loads_no_heavy_module() -> None:
    assert HEAVY.isdisjoint(loaded_by("import typedflow"))


def test_importing_typedflow_loads_nothing_else_of_it() -> None:
    assert {name for name in loaded_by("import typedflow") if name.startswith("typedflow.")} == set()


def test_a_definition_loads_nothing_that_only_compiling_running_files_or_frames_need() -> None:
    loaded = loaded_by(DEFINITION)
    assert "typedflow.authoring.workflow" in loaded
    assert loaded & (HEAVY | NOT_TO_DEFINE) == set()


@pytest.mark.parametrize(
    ("arguments", "unwanted"),
    [
        ("--help", {"asyncio", "google.protobuf", "json", "typedflow.authoring"}),
        ("version", {"asyncio", "google.protobuf", "importlib.metadata", "json", "typedflow.authoring"}),
        ("propeller --help", {"asyncio", "google.protobuf"}),
        ("admin serve --help", {"asyncio", "google.protobuf"}),
        ("check steps.py", {"asyncio", "importlib.metadata", "typedflow.dataplane", "typedflow.engine"}),
    ],
)
def test_a_command_loads_only_what_it_is_about(arguments: str, unwanted: set[str], tmp_path: Path) -> None:
    (tmp_path / "steps.py").write_text(DEFINITION, "utf-8")
    program = f"import sys; from typedflow import cli; sys.argv[1:] = {arguments.split()}; cli.main()"
    assert loaded_by(program, tmp_path) & (HEAVY | unwanted) == set()


def loaded_by(program: str, folder: Path | None = None) -> set[str]:
    """What a program has imported when it ends well, beside what an interpreter starts with."""
    telling = "import atexit, sys; start = set(sys.modules)\n"
    telling += "atexit.register(lambda: print(*sorted(set(sys.modules) - start), file=sys.stderr))\n"
    done = subprocess.run(
        [sys.executable, "-c", telling + program], capture_output=True, text=True, check=True, cwd=folder
    )
    return set(done.stderr.split())


def test_every_public_name_of_typedflow_is_there() -> None:
    import typedflow

    missing = [name for name in getattr(typedflow, "__all__", ()) if not hasattr(typedflow, name)]
    assert missing == []


def test_a_module_is_named_for_what_it_holds(repository: Path) -> None:
    vague = [str(path) for path in modules(repository) if path.stem.strip("_") in VAGUE]
    assert vague == []


def test_a_module_fits_in_500_lines(repository: Path) -> None:
    long = {str(path): count for path in modules(repository) if (count := line_count(path)) > 500}
    assert long == {}


def line_count(path: Path) -> int:
    return len(path.read_text("utf-8").splitlines())


def test_of_a_hundred_functions_ninety_nine_are_under_70_lines(repository: Path) -> None:
    lengths = sorted(length for path in modules(repository) for length in function_lengths(path))
    if not lengths:
        pytest.fail("no functions found: the folders of the packages have moved")
    assert lengths[int(len(lengths) * 0.99)] < 70


def function_lengths(path: Path) -> list[int]:
    tree = ast.parse(path.read_text("utf-8"))
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return [(function.end_lineno or function.lineno) - function.lineno + 1 for function in functions]


def test_a_test_that_reaches_for_another_machine_fails() -> None:
    with socket.socket() as client, pytest.raises(PermissionError, match=r"192.0.2.1"):
        client.connect(("192.0.2.1", 9))
