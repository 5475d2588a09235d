"""The process of one attempt: how it is set apart from what started it, and how it leaves its outcome.

The process is the attempt's alone: its own session and process group, its log on stdout and stderr, its own working
folder. It lives on when whatever started it dies, so the outcome is a file, written whole or not at all, and so is each
checkpoint as soon as it is saved: whatever kills the process then, the next attempt has it. User code does
not run before the go-ahead has come through the pipe; when the pipe closes without it, the process ends and has done
nothing.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from typedflow.dataplane import objects
from typedflow.pb import attempt_pb2
from typedflow.run_task import attempt, processes

GO = b"g"
"""What comes through the pipe."""

FAILED = 70
"""The exit status of a process that could not even write its outcome."""

OUTCOME = "outcome.pb"
CHECKPOINT = "checkpoint.pb"
SPEC = "spec.pb"
LOG = "log"
WORK = "work"


def set_apart(folder: Path) -> None:
    """Makes this process the attempt's own: session, log, working folder."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    processes.adopt_orphans()
    log_to(folder / LOG)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    (folder / WORK).mkdir(exist_ok=True)
    os.chdir(folder / WORK)


def log_to(path: Path) -> None:
    """From here on stdout and stderr are appended to the file, line by line, those of C code and of children too."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure") and not _is_set(stream):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def _is_set(stream: TextIO) -> bool:
    """Whether it is one that a template has handed down as it should be."""
    return bool(stream.line_buffering) and (stream.encoding, stream.errors) == ("utf-8", "backslashreplace")


def flush() -> None:
    """Writes out what is buffered; a closed or broken stream of the user's is not our failure."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue


def may_go(pipe: int) -> bool:
    """Waits for the go-ahead; False when it will not come."""
    try:
        return os.read(pipe, 1) == GO
    finally:
        os.close(pipe)


def run(folder: Path, roots: Sequence[Path], store_url: str) -> None:
    """Runs the attempt whose spec is in the folder, and leaves its outcome there."""
    own = os.getpid()
    spec = attempt_pb2.AttemptSpec.FromString((folder / SPEC).read_bytes())
    outcome = attempt.execute(
        spec,
        roots=roots,
        folder=folder / WORK,
        store=objects.open_store(store_url),
        keep=lambda checkpoint: _leave(folder, CHECKPOINT, checkpoint.SerializeToString()),
    )
    flush()
    if os.getpid() != own:
        os._exit(0)  # the body has forked, and this is the copy: what it came to is nobody's
    _leave(folder, OUTCOME, outcome.SerializeToString())
    processes.kill_below()


def _leave(folder: Path, name: str, content: bytes) -> None:
    """A file of the attempt's folder, whole or not at all; of two at once, the later one."""
    temporary = folder / f".{threading.get_ident()}-{name}"
    temporary.write_bytes(content)
    temporary.replace(folder / name)
