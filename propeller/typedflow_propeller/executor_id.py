"""Which executor this is: an id that lasts as long as its home, of which one process at a time has the lock."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO

from typedflow import errors


def lasting(path: Path) -> str:
    """What the file says; something new when there is none.

    Raises:
        UsageError: it can't be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        return path.read_text("ascii")
    except OSError as error:
        raise errors.UsageError(
            f"this can't be an executor's home: {error.strerror}",
            where=str(path.parent),
            hint="make room there and let this user write to it, or give another with --home",
            code="HomeUnfit",
        ) from None


def _make(path: Path) -> None:
    # It appears whole: half an id would be another executor's when the rest of it is written.
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with new.open("x", encoding="ascii") as file:
            file.write(secrets.token_hex(16))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(new)
        except FileExistsError:
            pass
        except OSError:  # a file system without such links
            new.replace(path)
    finally:
        new.unlink(missing_ok=True)


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
