"""The habits of the house that no linter knows."""

import ast
import json
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
    "rich", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip


def modules(repository: Path) -> Iterator[Path]:
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            if path.parent.name != "pb":
                yield path


def test_importing_typedflow_loads_no_heavy_module() -> None:
    program = (
        "import json, sys, typedflow; print(json.dumps([name.partition('.')[0] for name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert HEAVY.isdisjoint(json.loads(done.stdout))


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
    with socket.socket() as client, pytest.raises(PermissionError, match="192.0.2.1"):
        client.connect(("192.0.2.1", 9))
