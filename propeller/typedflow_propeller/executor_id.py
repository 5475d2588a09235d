"""Which executor this is: an id that lasts as long as its home, of which one process at a time has the lock."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

from typedflow import errors


def lasting(path: Path) -> str:
    """What the file says; something new when there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError), path.open("x", encoding="ascii") as file:
        file.write(secrets.token_hex(16))
        file.flush()
        os.fsync(file.fileno())
    return path.read_text("ascii")


def locked(path: Path) -> IO[str]:
    """The file, locked until it is closed or this process ends.

    Raises:
        UsageError: another process has it.
    """
    lasting(path)
    file = path.open(encoding="ascii")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise errors.UsageError(
            "another process runs the attempts of this home",
            where=str(path.parent),
            code="HomeInUse",
            hint="give this one a home of its own with --home",
        ) from None
    return file
