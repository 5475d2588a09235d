"""The examples in public docstrings run, and say what comes out."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "authoring.branch",
    "authoring.builder",
    "authoring.container",
    "authoring.context",
    "authoring.dynamic",
    "authoring.failure",
    "authoring.gate",
    "authoring.launch_plan",
    "authoring.mapping",
    "authoring.options",
    "authoring.reference",
    "authoring.schedule",
    "authoring.task",
    "authoring.workflow",
    "catalog",
    "local_run.told",
    "testing",
    "type_engine.marks",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name: str):
    module = importlib.import_module(f"typedflow.{name}")
    scope = {**vars(module), "__name__": "__main__"}
    results = doctest.testmod(module, extraglobs=scope)
    assert results.attempted > 0
    assert results.failed == 0
