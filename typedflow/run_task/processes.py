"""Processes as Linux tells of them: who descends from whom, how much memory they hold, and how all of a tree is ended.

An attempt's process is made the one to whom orphans below it fall (`adopt_orphans`), so whatever it starts, in other
groups and sessions too, is below it in the tree for as long as it lives. Elsewhere than on Linux there is no such tree,
and process groups are all there is. Must never signal a process that is not in the tree that was meant.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import signal
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

MARK = "TYPEDFLOW_ATTEMPT"
"""The environment variable by which processes are known that an attempt started, wherever they went."""

_PR_SET_CHILD_SUBREAPER = 36
_HAS_PROC = os.path.exists("/proc/self/stat")  # noqa: PTH110 - before anything is loaded
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ROUNDS = 100
_PAUSE_S = 0.005


class Process(NamedTuple):
    """One process. `resident`: bytes of memory, with what it shares with others."""

    parent: int
    session: int
    start: str
    resident: int


def adopt_orphans() -> None:
    """From here on, processes below this one whose parents end become its children."""
    if sys.platform.startswith("linux"):
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@functools.cache
def _libc() -> ctypes.CDLL:
    """Of a template, which its children have from it."""
    return ctypes.CDLL(None)


def running() -> dict[int, Process]:
    """All processes of this machine that this one may see, but for zombies."""
    found = {}
    for name in os.listdir("/proc") if _HAS_PROC else ():  # noqa: PTH208 - as text, and thousands of them
        if name.isdecimal():
            process = _read(name)
            if process is not None:
                found[int(name)] = process
    return found


def below(pid: int, processes: Mapping[int, Process]) -> list[int]:
    """The process, if it runs, all that descend from it, and all of its session."""
    children: dict[int, list[int]] = {}
    for each, process in processes.items():
        children.setdefault(process.parent, []).append(each)
    todo = [each for each, process in processes.items() if pid in (each, process.session)]
    found = []
    seen = set(todo)
    while todo:
        each = todo.pop()
        found.append(each)
        new = [child for child in children.get(each, ()) if child not in seen]
        seen.update(new)
        todo += new
    return found


def memory(pids: Iterable[int]) -> int:
    """Bytes that the processes hold together, what they share counted once; the page cache of files is not theirs."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/smaps_rollup", "rb") as lines:  # noqa: PTH123
            for line in lines:
                if line.startswith((b"Pss_Anon:", b"Pss_Shmem:", b"SwapPss:")):
                    total += int(line.split()[1]) * 1024
    return total


def kill_tree(pid: int) -> None:
    """Kills a process and all below it. Each is stopped first, so that none starts another meanwhile."""
    stopped: set[int] = set()
    for _ in range(_ROUNDS):
        new = [each for each in below(pid, running()) if each not in stopped]
        if not new:
            break
        _signal(new, signal.SIGSTOP)
        stopped.update(new)
    _signal(stopped - {pid}, signal.SIGKILL)
    _signal((pid,), signal.SIGKILL)


def kill_below() -> None:
    """Kills all that this process has started and that still runs, and waits until it is gone."""
    if not _has_children():
        return
    own = os.getpid()
    for _ in range(_ROUNDS):
        left = [pid for pid in below(own, running()) if pid != own]
        _signal(left, signal.SIGKILL)
        if not _reaped():
            return
        time.sleep(_PAUSE_S)  # noqa: TID251 - what was killed has no event for who isn't its parent


def kill_marked(mark: str) -> None:
    """Kills the processes that have this mark in their environment."""
    wanted = f"{MARK}={mark}".encode()
    for pid in running():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            if wanted in file.read().split(b"\0"):
                _signal((pid,), signal.SIGKILL)


def children(pid: int, besides: Collection[int]) -> list[int]:
    """The direct children of a process, without those that are known."""
    return [each for each, process in running().items() if process.parent == pid and each not in besides]


def _read(pid: str) -> Process | None:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - thousands of them
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    if fields[0] in b"ZX":
        return None
    return Process(int(fields[1]), int(fields[3]), fields[19].decode(), int(fields[21]) * _PAGE)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _has_children() -> bool:
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _reaped() -> bool:
    """Reaps who has ended; whether there are children still."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True
