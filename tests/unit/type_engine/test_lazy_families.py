"""What an annotation loads: its own family and library, and no other."""

import subprocess
import sys

import pytest

LIBRARIES = {"numpy", "pandas", "pandera", "polars", "pyarrow", "torch"}
FAMILIES = {
    f"typedflow.type_engine.{name}"
    for name in ("arrays", "columns", "directories", "directory_tree", "files", "frames", "streams")
}


def loaded(program: str) -> set[str]:
    """What is imported by a program that has typedflow's converters at hand."""
    begin = "import sys\nfrom typedflow import type_engine\nengine = type_engine.standard()\n"
    whole = f"{begin}{program}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("program", "libraries", "families"),
    [
        ("engine.converter(list[int])", set(), set()),
        ("from typedflow import Columns\nColumns(a=int, b='timestamp[us]')", set(), {"columns"}),
        (
            "from typedflow import Directory\nengine.converter(Directory)",
            set(),
            {"directories", "directory_tree", "files"},
        ),
        ("from collections.abc import Iterator\nengine.converter(Iterator[int])", set(), {"streams"}),
        ("import numpy\nengine.converter(numpy.ndarray)", {"numpy"}, {"arrays"}),
    ],
    ids=["a list", "columns", "a directory", "a stream", "an array"],
)
def test_an_annotation_loads_its_own_family_and_library_only(
    program: str, libraries: set[str], families: set[str]
) -> None:
    modules = loaded(program)
    assert modules & LIBRARIES == libraries
    assert modules & FAMILIES == {f"typedflow.type_engine.{name}" for name in families}


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_a_type_of_frames_loads_no_other_library(library: str) -> None:
    name = f"{library}.{'Table' if library == 'pyarrow' else 'DataFrame'}"
    alone = loaded(f"import {library}")
    typed = loaded(
        f"import {library}\nfrom typing import Annotated\nfrom typedflow import Columns\n"
        f"engine.converter(Annotated[{name}, Columns(a=int)])\nengine.converter({name} | None).is_exact(5)"
    )
    assert typed & LIBRARIES == alone & LIBRARIES
    assert "typedflow.type_engine.frames" in typed
