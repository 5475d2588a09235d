"""The examples in public docstrings run, and say what comes out."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "authoring.context",
    "authoring.launch_plan",
    "authoring.options",
    "authoring.task",
    "authoring.workflow",
    "catalog",
    "local_run",
    "testing",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str):
    module = importlib.import_module(f"typedflow.{name}")
    scope = {**vars(module), "__name__": "__main__"}
    results = doctest.testmod(module, extraglobs=scope)
    assert results.attempted > 0
    assert results.failed == 0
