"""What every test stands on: nothing of the user's environment, no network beyond this machine, no deadlines.

Must never hold fixtures that one room only needs; they belong beside its tests.
"""

import ipaddress
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests import postgres

# A shared machine is slow at times, which says nothing about the code; a failure prints what repeats it.
hypothesis.settings.register_profile("typedflow", deadline=None, print_blob=True)
hypothesis.settings.load_profile("typedflow")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: some tests wait for servers most of their time."""
    return len(os.sched_getaffinity(0)) + 1 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1) + 1


def pytest_configure(config: pytest.Config) -> None:
    """Takes the user's settings out of the environment, before any test module is imported."""
    for name in [name for name in os.environ if name.startswith("TYPEDFLOW_")]:
        del os.environ[name]
    home = tempfile.TemporaryDirectory(prefix="typedflow-tests-")
    config.add_cleanup(home.cleanup)
    os.environ["TYPEDFLOW_HOME"] = home.name
    os.environ["NO_COLOR"] = "1"
    sys.addaudithook(refuse_other_machines)


def refuse_other_machines(event: str, arguments: tuple[object, ...]) -> None:
    """Makes a test that reaches for another machine fail where it does so."""
    if event != "socket.connect":
        return
    address = arguments[1]
    host = address[0] if isinstance(address, tuple) else None  # a Unix socket's address is a path
    if isinstance(host, str) and host != "localhost" and not ipaddress.ip_address(host).is_loopback:
        raise PermissionError(f"a test connects to {host}: tests reach this machine only")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the clone, for tests that read what is beside the packages."""
    return Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A PostgreSQL server for tests that are marked `postgres`."""
    if postgres.programs_folder() is None:
        pytest.skip(postgres.MISSING)
    with postgres.running() as server:
        yield server
