"""The services that are installed beside typedflow, found by entry point: typedflow itself knows none.

The group `typedflow.services` holds `embedded`: a callable `(home: Path, *, port: int, http_port: int)` that is a context
manager and gives the running server's `ServerInfo`; and one click command for each service, named after it.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast

from typedflow import errors, settings

GROUP = "typedflow.services"


class Embedded(Protocol):
    """Starts admin and propeller in this process."""

    def __call__(
        self, home: Path, *, port: int, http_port: int
    ) -> AbstractContextManager[settings.ServerInfo]:
        """Runs until the context is left. Port 0 is any free one."""


def embedded(home: Path, *, port: int = 0, http_port: int = 0) -> AbstractContextManager[settings.ServerInfo]:
    """Starts the embedded server with its state under `home`.

    Raises:
        UsageError: no such service is installed; a port is in use.
        StateConflict: another server has this home.
    """
    found = metadata.entry_points(group=GROUP, name="embedded")
    for each in found:
        return cast(Embedded, each.load())(home, port=port, http_port=http_port)
    raise errors.UsageError(
        "no embedded server is installed", hint="install typedflow with its services: pip install typedflow"
    )
