"""Machines for tests that start services as processes, and authors who talk to a server that many tests share."""

import importlib
import itertools
import sys
import textwrap

import pytest

from tests.e2e import machines
from typedflow import Client

_numbers = itertools.count(1)


@pytest.fixture
def machine(tmp_path):
    """A machine for one test."""
    made = machines.Machine(tmp_path)
    yield made
    made.close()


class Author:
    """Somebody with a project of their own on the shared server: nothing that others cached is found."""

    def __init__(self, client, folder):
        self.client = client
        self.folder = folder
        self.modules = []

    def write(self, name, text):
        """Writes a file of theirs, new or again; its next import reads it anew, as a new process would."""
        path = self.folder / f"{name}.py"
        path.write_text(textwrap.dedent(text), "utf-8")
        self.modules.append(name)
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return path

    def register(self, name, text, **options):
        """Writes a file and registers it."""
        return self.client.register(self.write(name, text), **options)

    def run(self, name, /, **inputs):
        """Launches and waits for the end, whatever that is."""
        return self.client.launch(name, inputs=inputs).wait(machines.PATIENCE_S, check=False)

    def outputs(self, name, /, **inputs):
        """Launches and gives the outputs."""
        return self.client.launch(name, inputs=inputs).wait(machines.PATIENCE_S).outputs

    def log(self, run, node, **options):
        """What a node's attempt wrote."""
        return b"".join(self.client.logs(run.id, node, **options))


@pytest.fixture
def author(typedflow_server, tmp_path, monkeypatch):
    """An author with a folder and a project for one test."""
    monkeypatch.setattr(
        sys, "dont_write_bytecode", True
    )  # files change within the second that bytecode is trusted for
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.syspath_prepend(tmp_path)
    server = typedflow_server
    token = dict(server._metadata)["authorization"].removeprefix("Bearer ")
    with Client(server.address, token=token, project=f"author-{next(_numbers)}") as client:
        made = Author(client, tmp_path)
        yield made
    for name in made.modules:
        sys.modules.pop(name, None)
