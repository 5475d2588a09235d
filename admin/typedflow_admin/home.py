"""A server's home: the folder that it has for itself, and where it says how it is reached.

The lock is the operating system's, so that it goes with the process however that ends. `server.json` has the token:
only the owner may read it, and it appears whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from typedflow import errors, settings

_LOCK = "server.lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other servers out of it.

    Raises:
        UsageError: another server has it, or it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unfit(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _in_use(folder, os.pread(descriptor, 32, 0)) from None
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(process_id()).encode(), 0)
        except OSError as error:
            raise _unfit(folder, error) from None
        yield
    finally:
        os.close(descriptor)


def emptied(folder: Path) -> Path:
    """Makes a folder of a home that is locked, and deletes what a server that was killed has left in it.

    Raises:
        UsageError: it can't be made.
    """
    try:
        folder.mkdir(exist_ok=True)
        for left in folder.iterdir():
            left.unlink()
    except OSError as error:
        raise _unfit(folder, error) from None
    return folder


@contextmanager
def announced(folder: Path, info: settings.ServerInfo) -> Iterator[None]:
    """Keeps `server.json` in the folder while the block runs.

    Raises:
        UsageError: it can't be written.
    """
    path = folder / settings.SERVER_FILE
    temporary = folder / f".{settings.SERVER_FILE}.{secrets.token_hex(4)}"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(asdict(info), file, indent=2)
            file.write("\n")
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unfit(path, error) from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def process_id() -> int:
    """This process's id."""
    return os.getpid()


def _unfit(path: Path, error: OSError) -> errors.UsageError:
    return errors.UsageError(
        f"this can't be a server's home: {error.strerror}",
        where=str(path),
        hint="make room there and let this user write to it, or set TYPEDFLOW_HOME to another folder",
        code="HomeUnfit",
    )


def _in_use(folder: Path, holder: bytes) -> errors.UsageError:
    name = f"process {holder.decode()}" if holder.isdigit() else "another process"
    return errors.UsageError(
        f"{name} is a server with this home",
        where=str(folder),
        hint="use that server, stop it, or set TYPEDFLOW_HOME to another folder",
        code="HomeInUse",
    )
