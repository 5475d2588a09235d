"""Which process: pids are used again, so a process is known by its pid, its start and the boot of the machine.

Must never signal a process that is not the one that was meant.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from typedflow.run_task import processes

_POLL_S = 0.1
_HAS_PROC = Path("/proc/self/stat").exists()


@dataclass(frozen=True, slots=True)
class Identity:
    """A process of this machine, alive or not."""

    pid: int
    start: str
    boot: str

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self.boot == boot_id() and start_of(self.pid) == self.start

    def signal_group(self, number: signal.Signals) -> None:
        """Signals the process group that it leads, if it is alive."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def sweep_group(self) -> None:
        """Kills what it left in its process group when it ended.

        While the group has members its number is not given to another process, so when no process has it, they are its.
        """
        if self.boot == boot_id() and not start_of(self.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def kill(self) -> None:
        """Kills this one process."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal.SIGKILL)

    def tree(self) -> list[Identity]:
        """It and all that it has started, if it is alive and the system tells."""
        if not self.is_alive():
            return []
        running = processes.running()
        return [Identity(pid, running[pid].start, self.boot) for pid in processes.below(self.pid, running)]

    def kill_tree(self) -> None:
        """Kills it and all that it has started, if it is alive."""
        if self.is_alive():
            processes.kill_tree(self.pid)
            self.signal_group(signal.SIGKILL)  # where there is no tree to be seen

    async def ended(self) -> None:
        """Returns once it runs no longer."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        except (AttributeError, OSError):  # neither macOS nor every sandbox has them
            while self.is_alive():  # noqa: ASYNC110 - where there is no descriptor of a process there is no event
                await asyncio.sleep(_POLL_S)
            return
        loop = asyncio.get_running_loop()
        exited = asyncio.Event()
        loop.add_reader(descriptor, exited.set)
        try:
            if self.is_alive():  # asked after the descriptor was opened: it is of this process
                await exited.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)


def of(pid: int) -> Identity:
    """The process that has this pid now."""
    return Identity(pid, start_of(pid), boot_id())


def start_of(pid: int) -> str:
    """When the process with this pid started, as a text to compare; empty when none runs."""
    if _HAS_PROC:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    state, _, start = _told_by("ps", "-o", "stat=,lstart=", "-p", str(pid)).partition(" ")
    return "" if state.startswith("Z") else start.strip()


@functools.cache
def boot_id() -> str:
    """Another text after each start of the machine."""
    if _HAS_PROC:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return _told_by("sysctl", "-n", "kern.boottime")


def _told_by(*command: str) -> str:
    """What a command of the system prints."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
