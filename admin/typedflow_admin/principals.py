"""Who is calling: set once for each call by the guard in front of it, read where a change is recorded."""

from __future__ import annotations

import getpass
import os
from contextvars import ContextVar

_principal: ContextVar[str] = ContextVar("typedflow_principal")


def current() -> str:
    """The caller. There is always one: a call without is a mistake in the guard, and fails."""
    return _principal.get()


def set_current(principal: str) -> None:
    """Sets the caller of the current call."""
    _principal.set(principal)


def local() -> str:
    """The one principal until there are several: the user who runs the server."""
    try:
        return f"local:{getpass.getuser()}"
    except (KeyError, OSError):  # no such user and no variable that tells, as in a container
        return f"local:{os.getuid()}"
