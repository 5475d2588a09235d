"""A machine of its own for a test: a home, authors' files, and services as processes, none of which outlives it."""

from __future__ import annotations

import collections
import contextlib
import os
import secrets
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

from typedflow import Client, settings

PATIENCE_S = 60.0
"""How long to wait for what takes a moment: a loaded machine is slow, which is not what the tests are about."""

_MARK = "E2E_MACHINE"
_TYPEDFLOW = [
    sys.executable,
    "-c",
    # A test run in the background has SIGINT ignored, as its children then do: here it is as in a shell.
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\nfrom typedflow import cli; cli.main()",
]


def until(condition: Callable[[], object], what: str) -> None:
    """Waits until the condition holds; fails with `what` after PATIENCE_S."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"waited {PATIENCE_S:.0f} s in vain: {what}"
        threading.Event().wait(0.01)


class Service:
    """A command of typedflow that runs until it is ended."""

    def __init__(self, arguments: list[str], environment: dict[str, str], output: Path) -> None:
        self._output = output
        with output.open("wb") as file:
            self.process = subprocess.Popen(
                arguments,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                cwd=output.parent,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it wrote so far."""
        return self._output.read_text("utf-8", "replace")

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        """SIGKILL, to this process alone: what it started goes on."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Asks it to end, as a supervisor does; gives its exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE_S)


class Machine:
    """See the module. What is started here inherits a mark in its environment, by which it is found again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self._code = folder / "code"
        self._code.mkdir()
        self._mark = f"{_MARK}={secrets.token_hex(8)}"
        self._services: list[Service] = []

    def close(self) -> None:
        """Kills all that runs here."""

        def swept() -> bool:
            for pid in self.processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not self.processes()

        until(swept, "processes that do not die")
        for service in self._services:
            service.process.wait()

    # Services.

    def start(self, *arguments: str, python: str = "", **variables: str) -> Service:
        """`typedflow ARGUMENTS` on this home, or a Python program."""
        name, _, value = self._mark.partition("=")
        environment = {**os.environ, **variables, name: value, "TYPEDFLOW_HOME": str(self.home)}
        command = [sys.executable, "-c", python] if python else [*_TYPEDFLOW, *arguments]
        service = Service(command, environment, self.folder / f"output-{len(self._services)}")
        self._services.append(service)
        return service

    def up(self) -> Service:
        """`typedflow up`, once it can be called."""
        return self.announced(self.start("up", "--port", "0", "--http-port", "0"))

    def announced(self, service: Service) -> Service:
        """A server, once it has said how it is reached."""

        def is_there() -> bool:
            assert service.is_running, service.output
            info = settings.server_json(self.home)
            return info is not None and info.pid == service.process.pid

        until(is_there, "the server says how it is reached")
        return service

    @property
    def info(self) -> settings.ServerInfo:
        """What the server says of itself."""
        info = settings.server_json(self.home)
        assert info is not None
        return info

    def client(self) -> Client:
        """A connection to the server that is up."""
        return Client(self.info.grpc, token=self.info.token)

    # Processes.

    def processes(self, part: str = "") -> list[int]:
        """Those that run here, zombies left out, whose command line has `part` in it."""
        mark = self._mark.encode()
        found = []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                is_ours = mark in (folder / "environ").read_bytes().split(b"\0")
                if is_ours and part in (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode():
                    found.append(int(folder.name))
            except OSError:  # it has just ended
                continue
        return found

    # Authors' files, and what their tasks note.

    def write(self, name: str, text: str) -> Path:
        """An author's file."""
        path = self._code / f"{name}.py"
        path.write_text(textwrap.dedent(text), "utf-8")
        return path

    @property
    def notes(self) -> list[str]:
        """The lines that tasks wrote to `notes` in the machine's folder, in order."""
        try:
            return (self.folder / "notes").read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []

    def runs(self) -> dict[str, int]:
        """How often each task ran: notes begin with its name."""
        return dict(collections.Counter(line.split()[0] for line in self.notes))

    def pid(self, name: str) -> int:
        """The process of a task's latest run, once it has noted it."""
        until(lambda: name in self.runs(), f"`{name}` runs")
        return int([line for line in self.notes if line.split()[0] == name][-1].split()[1])

    def open_gate(self, name: str) -> None:
        """Lets go on the task that waits for this."""
        (self.folder / f"{name}.go").touch()
