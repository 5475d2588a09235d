"""A PostgreSQL server of the tests' own: Debian's packages, a fresh cluster in a folder, a free port of this machine.

It is started when a test first asks for it, and ends with the tests. Must never touch a server that somebody else runs.
"""

from __future__ import annotations

import getpass
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MISSING = "PostgreSQL's programs are not here: `apt-get install postgresql` (only the packages; no server is used)"
# It refuses to run as root.
_USER = "postgres"
_QUICK = {"fsync": "off", "shared_buffers": "32MB", "max_wal_size": "256MB", "autovacuum": "off"}


class Server:
    """A running server. `crash` and `start` are for tests of what depends on it."""

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self._programs = programs
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = port

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://tester@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Makes an empty database; gives its address."""
        import psycopg  # noqa: PLC0415 - needed by these tests only

        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url(name)

    def start(self, *, durable: bool = False) -> None:
        """Starts it and waits until it answers."""
        options = [
            part for name, value in _QUICK.items() if not durable or name != "fsync" for part in ("-c", f"{name}={value}")
        ]
        listen = ["-p", str(self.port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        log = (self._folder / "log").open("ab")
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._folder / "data", *listen, *options],
            stdout=log,
            stderr=log,
            cwd="/",
            **_as_user(),
        )
        log.close()
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self._folder / "log").read_text()[-2000:])
            time.sleep(0.02)

    def crash(self) -> None:
        """Kills it as a power cut would."""
        if self._process is not None:
            self._process.send_signal(3)  # SIGQUIT: all of its processes end at once, and nothing is written
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        import psycopg  # noqa: PLC0415 - needed by these tests only

        try:
            with psycopg.connect(self.url(), connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def running(*, durable: bool = False) -> Iterator[Server]:
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
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **_as_user(),
        )
        server = Server(programs, folder, free_port())
        server.start(durable=durable)
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


def _as_user() -> dict[str, object]:
    return {"user": _USER, "group": _USER, "extra_groups": []} if getpass.getuser() == "root" else {}
