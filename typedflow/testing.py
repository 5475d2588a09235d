"""A pytest plugin for authors of workflows, and what else their tests need.

    def test_training_uses_the_model(typedflow_cache):
        with mock_task(train, returns=File("tests/data/model.joblib")):
            assert training(trees=10).accuracy > 0.9

Installed with typedflow, so the fixtures are there without an import. It loads nothing of typedflow until one is used.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from typedflow.authoring.task import Task
    from typedflow.catalog import Catalog, MemoryCatalog
    from typedflow.client import Client

R = TypeVar("R")


@contextlib.contextmanager
def local(*, cache: Catalog | None = None) -> Iterator[None]:
    """While it is open, direct calls of workflows use this cache; without one they use none.

    Example:
        >>> from typedflow.catalog import MemoryCatalog
        >>> with local(cache=MemoryCatalog()):
        ...     pass
    """
    from typedflow import local_run

    with local_run.local(cache=cache):
        yield


@contextlib.contextmanager
def mock_task(task: Task[..., R], *, returns: R) -> Iterator[None]:
    """While it is open, direct calls take this value for what the task gives, checked as its own would be.

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
