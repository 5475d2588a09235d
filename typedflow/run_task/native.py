"""Native threads, BLAS pools and GPUs: what decides whether a process may be forked, and how that is arranged.

A fork copies only the thread that calls it. Locks that other threads held stay locked for ever in the child, and pools
believe in workers that are gone; a CUDA context does not survive at all. So a template is forked only while it has one
native thread and no GPU open. Two libraries start threads as soon as they are loaded, OpenBLAS (below NumPy and SciPy)
and Arrow's jemalloc; both are told not to by `QUIET`, and `restore` gives the child the BLAS threads that it would
have had.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

BLAS_THREADS = "OPENBLAS_NUM_THREADS"
QUIET = {BLAS_THREADS: "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
"""The environment in which a template is started. Both are read when the libraries are loaded, never after."""

# NumPy's and SciPy's wheels carry builds of OpenBLAS with a prefix and, for 64-bit integers, a suffix.
_SETTERS = [
    f"{prefix}openblas_set_num_threads{suffix}" for prefix in ("", "scipy_") for suffix in ("", "64_", "_64")
]


def unfit_to_fork() -> str:
    """Why this process must not be forked, for people; empty when it may be."""
    if not sys.platform.startswith("linux"):
        return f"processes are not forked on {sys.platform}"
    threads = _thread_names()
    if len(threads) > 1:
        return f"importing the code started threads: {', '.join(sorted(threads[1:]))}"
    if any(_link(entry).startswith("/dev/nvidia") for entry in Path("/proc/self/fd").iterdir()):
        return "importing the code opened a GPU"
    return ""


BlasSetter: TypeAlias = Callable[[int], object]
"""Sets how many threads one OpenBLAS uses; it starts them when they are first needed."""


def blas_setters() -> list[BlasSetter]:
    """Of each OpenBLAS in this process."""
    setters: list[BlasSetter] = []
    for path in sorted(_loaded("openblas")):
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        setters += [getattr(library, name) for name in _SETTERS if hasattr(library, name)]
    return setters


def restore(wanted: Mapping[str, str], setters: Sequence[BlasSetter]) -> None:
    """In a forked child: undoes `QUIET`. `wanted`: what the environment would have held without it."""
    for name in QUIET:
        if name in wanted:
            os.environ[name] = wanted[name]
        else:
            os.environ.pop(name, None)
    count = _blas_threads()
    if count > 1:
        for setter in setters:
            setter(count)


def _blas_threads() -> int:
    """As OpenBLAS chooses: what the environment says, else a thread for each CPU that this process may use."""
    available = len(os.sched_getaffinity(0))
    for name in (BLAS_THREADS, "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(name, "").split(",")[0]
        if value.isdigit() and int(value) > 0:
            return min(int(value), available)
    return available


def _thread_names() -> list[str]:
    names = []
    for task in Path("/proc/self/task").iterdir():
        try:
            names.append((task.name != str(os.getpid()), (task / "comm").read_text().strip()))
        except (FileNotFoundError, ProcessLookupError):  # it has just ended
            continue
    return [name for _, name in sorted(names)]


def _loaded(part: str) -> set[str]:
    """Paths of the shared libraries in this process whose file names have `part` in them."""
    lines = Path("/proc/self/maps").read_text("utf-8", "replace").splitlines()
    paths = {line.split(maxsplit=5)[-1] for line in lines if part in line and ".so" in line}
    return {path for path in paths if part in Path(path).name}


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
