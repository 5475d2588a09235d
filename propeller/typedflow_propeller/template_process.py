"""The executor's end of a template process: asks it for children, and hears of their ends.

See `typedflow.run_task.template` for the other end and for what goes over the socket.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from typedflow.pb import errors_pb2
from typedflow.run_task import native
from typedflow_propeller import process_identity

_LARGEST_MESSAGE = 64 * 1024
_END_S = 2.0


class UnfitToFork(Exception):
    """The code can't be forked safely; run it in a fresh interpreter."""


class TemplateLost(Exception):
    """The template process died or could not be started."""


class ImportFailed(Exception):
    """The author's module raised when it was imported."""

    def __init__(self, error: errors_pb2.ExecutionError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(frozen=True, slots=True)
class Child:
    """A forked process that waits for its go-ahead.

    Attributes:
        exit: its exit status, -N for signal N; None when nobody knows it.
    """

    identity: process_identity.Identity
    exit: asyncio.Future[int | None]


class TemplateProcess:
    """A running template. Must be made and used in one event loop."""

    def __init__(self, roots: Sequence[Path], store_url: str, environment: Mapping[str, str]) -> None:
        self.lost = False
        self._ending: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._next = 0
        self._forks: dict[int, asyncio.Future[Child]] = {}
        self._exits: dict[int, asyncio.Future[int | None]] = {}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            wanted = {name: environment[name] for name in native.QUIET if name in environment}
            self._process = subprocess.Popen(
                [
                    sys.executable, "-P", "-m", "typedflow.run_task", "template", f"--control={theirs.fileno()}",
                    *(f"--root={root}" for root in roots), f"--store={store_url}", f"--wanted={json.dumps(wanted)}",
                ],
                env={**environment, **native.QUIET},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        ours.setblocking(False)
        self._control = ours
        self._loop.add_reader(ours, self._read)

    @property
    def is_idle(self) -> bool:
        """Whether it has no child, and none is being made."""
        return not self._forks and not self._exits

    @property
    def has_ended(self) -> bool:
        """Whether it is closed and its process is gone."""
        return self._ending is not None and self._ending.done()

    async def fork(self, folder: Path, module: str, own: Mapping[str, str], go: int) -> Child:
        """A child for the attempt in `folder`.

        Args:
            own: environment variables that this child has and others do not.
            go: the end of a pipe that the child reads its go-ahead from.

        Raises:
            UnfitToFork, ImportFailed, TemplateLost: there is no child.
        """
        if self.lost:
            raise TemplateLost
        self._next += 1
        request = self._next
        forked: asyncio.Future[Child] = self._loop.create_future()
        self._forks[request] = forked
        wish = {"id": request, "folder": str(folder), "module": module, "own": dict(own)}
        try:
            socket.send_fds(self._control, [json.dumps(wish).encode()], [go])
            return await forked
        except OSError:
            raise TemplateLost from None
        finally:
            self._forks.pop(request, None)

    def close(self) -> None:
        """Takes no more children; it ends with those that it has."""
        if not self.lost:
            self._lose()

    async def ended(self) -> None:
        """Returns once it has ended, which it does soon when it has no children and is closed."""
        if self._ending is not None:
            await asyncio.wait({self._ending}, timeout=_END_S)
            if not self._ending.done():
                self._process.kill()
                await self._ending

    def _read(self) -> None:
        try:
            data = self._control.recv(_LARGEST_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take(json.loads(data))
        else:
            self._lose()

    def _take(self, told: dict[str, object]) -> None:
        request = int(str(told["id"]))
        if "exit" in told:
            exited = self._exits.pop(request, None)
            if exited is not None and not exited.done():
                exited.set_result(int(str(told["exit"])))
            return
        if "pid" in told:
            identity = process_identity.Identity(
                int(str(told["pid"])), str(told["start"]), process_identity.boot_id()
            )
            exited = self._exits[request] = self._loop.create_future()
            forked = self._forks.get(request)
            if forked is not None and not forked.done():
                forked.set_result(Child(identity, exited))
            return  # else whoever asked was stopped and has closed the pipe: the child ends by itself
        forked = self._forks.get(request)
        if forked is None or forked.done():
            return
        if "unfit" in told:
            forked.set_exception(UnfitToFork(str(told["unfit"])))
        else:
            failed = told["failed"]
            assert isinstance(failed, dict)
            forked.set_exception(
                ImportFailed(errors_pb2.ExecutionError(kind=errors_pb2.ERROR_KIND_USER, **failed))
            )

    def _lose(self) -> None:
        self.lost = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for forked in self._forks.values():
            if not forked.done():
                forked.set_exception(TemplateLost())
        for exited in self._exits.values():
            if not exited.done():
                exited.set_result(None)
        self._exits.clear()
        # It ends by itself when it reads the closed socket, or with its last child: it has more to see to than we know.
        self._ending = self._loop.create_task(self._reap())

    async def _reap(self) -> None:
        """Leaves no zombie."""
        await process_identity.of(self._process.pid).ended()
        self._process.wait()


def spawn(
    folder: Path, roots: Sequence[Path], store_url: str, environment: Mapping[str, str], go: int
) -> subprocess.Popen[bytes]:
    """A fresh interpreter for one attempt, where forking is not possible or not safe."""
    log = os.open(folder / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        return subprocess.Popen(
            [
                sys.executable, "-P", "-m", "typedflow.run_task", "run", f"--go={go}",
                *(f"--root={root}" for root in roots), f"--store={store_url}", f"--folder={folder}",
            ],
            env=dict(environment),
            pass_fds=(go,),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )  # fmt: skip
    finally:
        os.close(log)
