"""Disks that can be filled: a small one of its own for a machine's home, or a limit on what its processes may write.

`WAYS` has those that work here. A file system of its own needs the right to mount one; the limit works everywhere, and
says `File too large` where a disk says `No space left on device`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e import machines

_SIZE = 48 << 20
_BLOCK = bytes(1 << 16)


class Mounted:
    """A file system of its own at the machine's home."""

    says = "No space left on device"

    def __init__(self, machine: machines.Machine) -> None:
        self._home = machine.home
        self._ballast = machine.home / "ballast"

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """While the block runs."""
        self._home.mkdir(exist_ok=True)
        mount(self._home)
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", self._home], check=True)

    def fill(self) -> None:
        """Leaves no byte."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(_BLOCK):
                pass

    def free(self) -> None:
        """There is room again."""
        self._ballast.unlink()


class Limited:
    """No file grows: a limit on all processes that run on the machine, and on those that they start."""

    says = "File too large"

    def __init__(self, machine: machines.Machine) -> None:
        self._machine = machine

    @contextlib.contextmanager
    def there(self) -> Iterator[None]:
        """See `Mounted`."""
        yield

    def fill(self, part: str = "", size: int = 0) -> None:
        """See `Mounted`.

        Args:
            part: is in the command lines of those that it concerns.
            size: how large a file of theirs may get.
        """
        self._limit(size, part)

    def free(self) -> None:
        """See `Mounted`."""
        self._limit(resource.RLIM_INFINITY, "")

    def _limit(self, size: int, part: str) -> None:
        done: set[int] = set()
        while new := set(self._machine.processes(part)) - done:  # those that were started meanwhile
            for pid in new:
                with contextlib.suppress(ProcessLookupError):
                    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            done |= new


def mount(folder: Path) -> None:
    """Puts a small file system at a folder."""
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={_SIZE},mode=700", "tmpfs", folder],
        check=True,
        capture_output=True,
    )


@functools.cache
def can_mount() -> bool:
    """Whether this process may mount file systems."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            mount(Path(folder))
        except (OSError, subprocess.CalledProcessError):
            return False
        subprocess.run(["umount", folder], check=True)
    return True


WAYS = [Limited, *([Mounted] if can_mount() else [])]
