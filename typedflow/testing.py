"""A pytest plugin for authors of workflows, and what else their tests need.

    def test_training_uses_the_model(typedflow_cache):
        with mock_task(train, returns=File("tests/data/model.joblib")):
            assert training(trees=10).accuracy > 0.9

Installed with typedflow, so the fixtures are there without an import. It loads nothing of typedflow until one is used.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from typedflow.authoring.called import Called
    from typedflow.catalog import Catalog, MemoryCatalog
    from typedflow.client import Client

R = TypeVar("R")


@contextlib.contextmanager
def local(
    *, signals: Mapping[str, object] | None = None, cache: Catalog | str | os.PathLike[str] | None = None
) -> Iterator[None]:
    """While it is open, direct calls use this cache, and their gates are given these signals.

    Args:
        signals: by the names of gates: the value that `wait_for_input` waits for, True or False for `approve`. A gate
            of a dynamic task, or of a workflow that is launched, is named under its node: `tune.review`.
        cache: a catalog, or the folder of one that lasts and that other processes share; without one direct calls look
            nothing up and keep nothing.

    Raises:
        UsageError: the signals are no mapping of names to values.

    Example:
        >>> from typedflow import approve, task, workflow
        >>> @task
        ... def train(n: int) -> float:
        ...     return n / 2
        >>> @workflow
        ... def reviewed(n: int) -> float:
        ...     return approve(train(n=n), "review")
        >>> with local(signals={"review": True}):
        ...     reviewed(n=3)
        1.5
    """
    from typedflow import local_run

    with local_run.local(signals=signals, cache=cache):
        yield


@contextlib.contextmanager
def mock_task(task: Called[..., R], *, returns: R) -> Iterator[None]:
    """While it is open, direct calls take this value for what the task gives, checked as its own would be.

    A launch plan may be mocked in the same way, also one that is registered elsewhere: then nothing is launched.

    Example:
        >>> from typedflow import task, workflow
        >>> @task
        ... def slow(n: int) -> int:
        ...     raise NotImplementedError
        >>> @workflow
        ... def uses_slow(n: int) -> int:
        ...     return slow(n=n)
        >>> with mock_task(slow, returns=3):
        ...     uses_slow(n=1)
        3
    """
    from typedflow import local_run

    with local_run.mocked(task, lambda **_: returns):
        yield


@pytest.fixture
def typedflow_cache() -> Iterator[MemoryCatalog]:
    """An empty cache that direct calls of workflows use during the test."""
    from typedflow import catalog

    cache = catalog.MemoryCatalog()
    with local(cache=cache):
        yield cache


@pytest.fixture(scope="session")
def typedflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of an embedded server that lives as long as the test session."""
    from typedflow import client, services

    home = tmp_path_factory.mktemp("typedflow-home")
    with services.embedded(home) as server, client.Client(server.grpc, token=server.token) as connected:
        yield connected
