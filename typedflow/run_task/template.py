"""The warm template process: it has the author's modules imported and forks one child per attempt.

It imports and forks, and does nothing else: no gRPC, no database, no thread, or a fork would copy half of them. It
talks with the executor over a Unix socket of whole messages (JSON, with the end of the go-ahead pipe beside it):

    -> {"id": 7, "folder": "/.../train-1", "module": "pipeline", "own": {..}}  fork a child, with variables of its own
    <- {"id": 7, "pid": 4711, "start": "8324432"}                     it waits for its go-ahead
    <- {"id": 7, "exit": 0}                                           it has ended and is reaped; -9: by signal 9
    <- {"id": 7, "unfit": "..."}                                      this process must not be forked; the last message
    <- {"id": 7, "failed": {"code": .., "message": .., "traceback": ..}}   the import raised; the last message

When the socket closes, children go on; it ends with the last of them, and until then does for them what the executor
would: it ends what they leave running, and keeps their logs from filling the disk.

What a child has started and left falls to this process when the child dies before it could see to that itself (while
it lives, it falls to the child). So who is a child of this process and was not forked by it is nobody's any more.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from typedflow.run_task import child, code, failures, log_file, native, processes, warm

_LARGEST_MESSAGE = 64 * 1024
_NOT_OURS = ("grpc", "sqlalchemy")
_ALONE_MS = 1000
"""How often logs are looked at while no executor does."""


@dataclass(slots=True)
class _Child:
    """A process to be reaped. `folder`: of the attempt that it is; None of what an attempt has left."""

    pid: int
    request: int = 0
    folder: Path | None = None
    trimmed: int = 0


@dataclass(slots=True)
class Template:
    """One bundle's template. `wanted`: what the environment would have held without `native.QUIET`."""

    control: socket.socket
    roots: Sequence[Path]
    store_url: str
    wanted: dict[str, str]
    children: dict[int, _Child] = field(default_factory=dict)  # by their pidfd
    imported: set[str] = field(default_factory=set)
    blas: list[native.BlasSetter] = field(default_factory=list)

    def serve(self) -> None:
        """Until the socket closes or a module can't be imported here."""
        loaded = [name for name in _NOT_OURS if name in sys.modules]
        assert not loaded, f"a template must not load {loaded}"
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code.enter(self.roots)
        processes.adopt_orphans()
        listens = True
        while listens or self.children:
            poll = select.poll()  # no descriptor of its own that a child would inherit
            for descriptor in (*self.children, *((self.control.fileno(),) if listens else ())):
                poll.register(descriptor, select.POLLIN)
            for descriptor, _ in poll.poll(None if listens else _ALONE_MS):
                if descriptor in self.children:
                    self._reap(descriptor)
                elif not self._answer():
                    listens = False
                    self.control.close()
            if not listens:
                self._trim_logs()

    def _answer(self) -> bool:
        """Does what the next message asks for; whether to go on."""
        data, descriptors, _, _ = socket.recv_fds(self.control, _LARGEST_MESSAGE, 1)
        if not data:
            return False
        request = json.loads(data)
        folder = Path(request["folder"])
        go = descriptors[0]
        try:
            obstacle = self._import(request["module"], folder)
            if obstacle:
                self._tell(id=request["id"], **obstacle)
                return False
            self._fork(request["id"], request["own"], folder, go)
            return True
        finally:
            os.close(go)

    def _import(self, module: str, folder: Path) -> dict[str, object]:
        """Imports the module; what it prints goes to the log of the attempt that needs it first."""
        if module in self.imported:
            return {}
        child.log_to(folder / child.LOG)
        try:
            importlib.import_module(module)
            warm.up(self.store_url)
        except BaseException as error:  # noqa: BLE001 - the author's module may raise anything
            traceback.print_exc()
            failure = failures.of(error, self.roots)
            # One message holds it: the shortened ends of a very long text.
            texts = {
                "code": failure.code,
                "message": failure.message[:8192],
                "traceback": failure.traceback[-16384:],
            }
            return {"failed": texts}
        finally:
            child.log_to(Path(os.devnull))
        unfit = native.unfit_to_fork()
        if unfit:
            return {"unfit": unfit}
        self.imported.add(module)
        self.blas = native.blas_setters()
        gc.collect()
        gc.freeze()  # the child's collector leaves these pages alone, so they stay shared
        return {}

    def _fork(self, number: int, own: Mapping[str, str], folder: Path, go: int) -> None:
        pid = os.fork()
        if pid == 0:
            self._become_attempt(folder, own, go)
        self.children[os.pidfd_open(pid)] = _Child(pid, number, folder)
        self._tell(id=number, pid=pid, start=start_time(pid))

    def _become_attempt(self, folder: Path, own: Mapping[str, str], go: int) -> None:
        """Never returns: whatever happens here ends the child."""
        status = child.FAILED
        try:
            self.control.close()
            for descriptor in self.children:
                os.close(descriptor)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            child.set_apart(folder)
            native.restore(self.wanted, self.blas)
            os.environ.update(own)
            _reseed()
            if child.may_go(go):
                child.run(folder, self.roots, self.store_url)
            status = 0
        except BaseException:  # noqa: BLE001 - a child must never return into the template's loop
            traceback.print_exc()
        finally:
            child.flush()
            os._exit(status)

    def _reap(self, descriptor: int) -> None:
        """Ends what the child left running, in its process group while its pid still keeps the group's number taken."""
        ended = self.children.pop(descriptor)
        os.close(descriptor)
        if ended.folder is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(ended.pid, signal.SIGKILL)
        _, status = os.waitpid(ended.pid, 0)
        if status != 0:  # else it has seen to that itself
            self._end_strangers()
        if ended.folder is not None:
            self._tell(id=ended.request, exit=os.waitstatus_to_exitcode(status))

    def _end_strangers(self) -> None:
        """Kills what fell to this process; their own children fall to it in turn when they are reaped."""
        known = {each.pid for each in self.children.values()}
        for pid in processes.children(os.getpid(), known):
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                os.kill(pid, signal.SIGKILL)
                self.children[descriptor] = _Child(pid)

    def _trim_logs(self) -> None:
        for each in self.children.values():
            if each.folder is not None:
                each.trimmed = log_file.trim(each.folder / child.LOG, log_file.LIMIT, each.trimmed)

    def _tell(self, **message: object) -> None:
        with contextlib.suppress(OSError):  # the executor has gone; the loop sees it, or has seen it
            self.control.send(json.dumps(message).encode())


def start_time(pid: int) -> str:
    """When a process started, in ticks since boot, as `/proc` tells it. Raises FileNotFoundError when there is none."""
    with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - for every attempt
        return stat.read().rpartition(b")")[2].split()[19].decode()


def _reseed() -> None:
    """Children must not draw the same numbers as one another."""
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()
