"""A PostgreSQL server of the tests' own: Debian's packages, a fresh cluster in a folder, a free port of this machine.

It is started when a test first asks for it, and ends with the tests. Must never touch a server that somebody else runs.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = (
    "PostgreSQL's programs are not here: `apt-get install postgresql` (only the packages; no server is used)"
)
_USER = "postgres"
_QUICK = ("-c fsync=off", "-c shared_buffers=32MB", "-c autovacuum=off")


class Server:
    """A running server. `crash` and `start` are for tests of what depends on it."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self.port = port

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Makes an empty database; gives its address."""
        import psycopg

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self) -> None:
        """Starts it and waits until it answers."""
        options = [f"-p {self.port}", "-c listen_addresses=127.0.0.1", "-c unix_socket_directories=", *_QUICK]
        self._control("start", "-w", "-l", str(self._folder / "log"), "-o", " ".join(options))

    def crash(self) -> None:
        """Kills it as a power cut would: all of its processes end at once, and nothing is written."""
        self._control("stop", "-m", "immediate")

    def _control(self, *words: str) -> None:
        run(self._programs / "pg_ctl", "-D", str(self._folder / "data"), *words)


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block runs.

    Raises:
        FileNotFoundError: its programs are not on this machine.
    """
    programs = programs_folder()
    if programs is None:
        raise FileNotFoundError(MISSING)
    folder = Path(tempfile.mkdtemp(prefix="typedflow-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _USER)
        data = str(folder / "data")
        run(programs / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync")
        server = Server(programs, folder, free_port())
        server.start()
        try:
            yield server
        finally:
            server.crash()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def programs_folder() -> Path | None:
    """Where `initdb` and `postgres` are, the newest release of those that Debian keeps beside each other."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    if found:
        return found[-1].parent
    somewhere = shutil.which("initdb")
    return Path(somewhere).parent if somewhere else None


def free_port() -> int:
    """A port that nobody has just now."""
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def run(program: Path, *words: str) -> None:
    """Runs one of its programs, which refuse to run as root."""
    user = _USER if os.geteuid() == 0 else None
    subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL, cwd="/", user=user, group=user)
