"""Machines for tests that start services as processes, and authors who talk to a server that many tests share."""

import pytest

from tests.e2e import authors, machines


@pytest.fixture
def machine(tmp_path):
    """A machine for one test."""
    made = machines.Machine(tmp_path)
    yield made
    made.close()


@pytest.fixture
def author(typedflow_server, tmp_path):
    """An author for one test."""
    with authors.of_a_project_of_their_own(typedflow_server, tmp_path) as made:
        yield made
