"""The services that are installed beside typedflow, found by entry point: typedflow itself knows none.

The group `typedflow.services` holds `embedded`, an `Embedded`, and one click command for each service, named after it.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, cast

from typedflow import errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from importlib import metadata
    from pathlib import Path

    from typedflow import settings

GROUP = "typedflow.services"
EMBEDDED = "embedded"


class Embedded(Protocol):
    """Starts admin and propeller in this process."""

    def __call__(
        self,
        home: Path,
        *,
        port: int,
        http_port: int,
        ended: Callable[[], None] | None,
        database: str,
        store: str,
        project_parallelism: int,
        gc_grace_hours: int,
    ) -> AbstractContextManager[settings.ServerInfo]:
        """Runs until the context is left. Port 0 is any free one; the last four are as in `settings.Settings`.

        `ended` is called, in some thread, when it ends by itself; leaving the context then raises why.
        """


def embedded(
    home: Path,
    *,
    port: int = 0,
    http_port: int = 0,
    ended: Callable[[], None] | None = None,
    database: str = "",
    store: str = "",
    project_parallelism: int = 0,
    gc_grace_hours: int = 24,
) -> AbstractContextManager[settings.ServerInfo]:
    """Starts the embedded server with its state under `home`; see `Embedded`.

    Raises:
        UsageError: no such service is installed; a port is in use; another server has this home.
    """
    for each in _installed().select(name=EMBEDDED):
        return cast(Embedded, each.load())(
            home,
            port=port,
            http_port=http_port,
            ended=ended,
            database=database,
            store=store,
            project_parallelism=project_parallelism,
            gc_grace_hours=gc_grace_hours,
        )
    raise errors.UsageError(
        "no embedded server is installed", hint="install all of typedflow: pip install typedflow"
    )


def commands() -> dict[str, metadata.EntryPoint]:
    """The entry points of the services' own commands, by name."""
    return {each.name: each for each in _installed() if each.name != EMBEDDED}


def _installed() -> metadata.EntryPoints:
    from importlib import metadata  # noqa: PLC0415 - brings email, zipfile and csv, and most commands need no service

    return metadata.entry_points(group=GROUP)


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """While it is open, SIGINT and SIGTERM set the event that it gives, and do nothing else."""
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
