"""What this machine has for attempts, and what of it an attempt gets: CPUs, memory, GPUs.

What is asked for and not there is never a reason to wait for ever: an attempt gets what there is, and a note says so.

Settings, for machines that attempts are not to have to themselves:

    TYPEDFLOW_GPUS       the GPUs that attempts may use, as `CUDA_VISIBLE_DEVICES` has them: `0,1`; `none` for none
    TYPEDFLOW_MEMORY     memory that attempts may ask for together: `12Gi`
    TYPEDFLOW_LOG_LIMIT  what is kept of an attempt's log: `64Mi`
"""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from typedflow import errors
from typedflow.pb import tasks_pb2
from typedflow.run_task import log_file

VISIBLE = "CUDA_VISIBLE_DEVICES"
NO_GPU = "no GPU here: runs on CPU"

_GPUS = "TYPEDFLOW_GPUS"
_MEMORY = "TYPEDFLOW_MEMORY"
_LOG_LIMIT = "TYPEDFLOW_LOG_LIMIT"
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?(m|[kKMGTPE]i?|)")
_POWERS = "kMGTPE"
_SMALLEST_LOG = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Share:
    """What an attempt takes while it runs: CPUs, bytes of memory, how many GPUs."""

    cpus: int = 1
    memory: int = 0
    gpus: int = 0


@dataclass(frozen=True, slots=True)
class Machine:
    """What attempts have to share: CPUs, bytes of memory (0: it is not known), GPUs by their ids."""

    cpus: int
    memory: int = 0
    gpus: tuple[str, ...] = ()

    def share(self, resources: tasks_pb2.Resources) -> Share:
        """What an attempt of a task that asks for this gets."""
        wanted = asked(resources)
        memory = min(self.memory, wanted.memory) if self.memory else 0
        return Share(min(self.cpus, wanted.cpus), memory, min(len(self.gpus), wanted.gpus))

    def shortages(self, resources: tasks_pb2.Resources) -> list[str]:
        """What is asked for and not here, each in words."""
        wanted = asked(resources)
        said = []
        if wanted.gpus and not self.gpus:
            said.append(NO_GPU)
        elif wanted.gpus > len(self.gpus):
            said.append(f"asks for {wanted.gpus} GPUs, this machine has {len(self.gpus)}")
        if wanted.cpus > self.cpus:
            said.append(f"asks for {wanted.cpus} CPUs, this machine has {self.cpus}")
        if self.memory and wanted.memory > self.memory:
            said.append(f"asks for {shown(wanted.memory)} of memory, this machine has {shown(self.memory)}")
        return said


def here(*, cpus: int = 0, environ: Mapping[str, str] = os.environ) -> Machine:
    """This machine. `cpus`: no more than so many; 0 is all that this process may use.

    Raises:
        UsageError: a setting that can't be read; names the variable.
    """
    memory = _setting(environ, _MEMORY) or _memory()
    return Machine(max(1, cpus or _cpus()), memory, _gpus(environ))


def log_limit(environ: Mapping[str, str] = os.environ) -> int:
    """Bytes that are kept of an attempt's log. Raises UsageError."""
    return max(_SMALLEST_LOG, _setting(environ, _LOG_LIMIT) or log_file.LIMIT)


def asked(resources: tasks_pb2.Resources) -> Share:
    """What a task asks for, wherever it runs: of each its request, or its limit where it has only that."""
    requests, limits = resources.requests, resources.limits
    cpus = math.ceil(quantity(requests.cpu or limits.cpu))
    gpus = requests.gpu or limits.gpu
    return Share(
        max(1, cpus),
        int(quantity(requests.memory or limits.memory)),
        int(gpus) if gpus.isdecimal() else 0,
    )


def memory_limit(resources: tasks_pb2.Resources) -> int:
    """Bytes beyond which an attempt is killed: its limit, or its request where it has only that; 0 is none."""
    return int(quantity(resources.limits.memory or resources.requests.memory))


def quantity(text: str) -> Decimal:
    """A Kubernetes quantity as a number: `500m` is 0.5, `2Ki` 2048; 0 when it is empty or none."""
    found = _QUANTITY.fullmatch(text)
    if found is None:
        return Decimal(0)
    number = Decimal(found[1] + (found[2] or ""))
    suffix = found[3]
    if suffix == "m":
        return number / 1000
    if not suffix:
        return number
    power = _POWERS.index(suffix[0] if suffix[0] != "K" else "k") + 1
    return number * Decimal((1024 if suffix.endswith("i") else 1000) ** power)


def shown(size: int) -> str:
    """Bytes as people write them: `1.5Gi`."""
    for power, unit in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size >= 1024**power:
            return f"{size / 1024**power:.1f}".removesuffix(".0") + unit
    return str(size)


def _setting(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    size = int(quantity(text))
    if text and size <= 0:
        raise errors.UsageError(f"{text!r} is not a size", where=name, hint="write it as in 512Mi or 12Gi")
    return size


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> int:
    """Of this machine or of the container that we are in; 0 where it is not told."""
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    with contextlib.suppress(OSError, ValueError):
        found.append(int(Path("/sys/fs/cgroup/memory.max").read_text("ascii")))
    return min(found, default=0)


def _gpus(environ: Mapping[str, str]) -> tuple[str, ...]:
    """What the setting says, else what this process may see, else what there are devices of."""
    for name in (_GPUS, VISIBLE):
        text = environ.get(name)
        if text is not None:
            ids = [each.strip() for each in text.split(",")]
            return tuple(each for each in ids if each not in ("", "none", "-1", "void", "NoDevFiles"))
    return tuple(str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*")))
