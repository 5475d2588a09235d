"""Authors who write files, register them and launch what is in them, on a server that many tests share."""

import contextlib
import importlib
import itertools
import sys
import textwrap

from tests.e2e import machines
from typedflow import Client

_numbers = itertools.count(1)


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


@contextlib.contextmanager
def of_a_project_of_their_own(shared, folder):
    """Somebody who finds nothing that others cached, and whose modules and paths go with them.

    Args:
        shared: a client of the server.
        folder: where their files are.
    """
    before = sys.dont_write_bytecode, sys.path
    sys.dont_write_bytecode = True  # files change within the second that bytecode is trusted for
    sys.path = [str(folder), *sys.path]
    token = dict(shared._metadata)["authorization"].removeprefix("Bearer ")
    try:
        with Client(shared.address, token=token, project=f"author-{next(_numbers)}") as client:
            made = Author(client, folder)
            yield made
            for name in made.modules:
                sys.modules.pop(name, None)
    finally:
        sys.dont_write_bytecode, sys.path = before
