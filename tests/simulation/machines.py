"""A model of what runs attempts: a machine with folders and processes, and the executor of a propeller on it.

The executor goes with its propeller's process, what it started goes on, and the folders last; a reboot ends all
processes, and a machine that is wiped has lost its folders too.
"""

import asyncio
import functools
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from typedflow_propeller import backoff, lost_attempts

from tests.simulation import graphs, virtual_time, wires
from typedflow import errors
from typedflow.pb import attempt_pb2, errors_pb2, propeller_pb2

if TYPE_CHECKING:
    from tests.simulation.world import World

Key = tuple[str, str, int]
_GRACE_S = 2.0
_CLOSE_S = 1.0


class Running:
    """A process that runs an attempt's code, until a time that is set when it starts."""

    def __init__(self, machine: "Machine", folder: "Folder", uid: str) -> None:
        world = machine.world
        self.uid = uid
        self.folder = folder
        self.alive = True
        self.ended = asyncio.Event()
        self._machine = machine
        self.behaviour, seconds = world.behaviour(folder.spec)
        world.monitor.code_starts(folder.spec.id, uid)
        if self.behaviour != "hang":
            world.loop.call_later(seconds, self.end, context=world.loop.inside(machine.process))

    def end(self) -> None:
        """It returns, raises or is killed by something of the machine's."""
        if not self.alive:
            return
        if self.behaviour != "lost" and not self._machine.world.is_disk_full():
            self.folder.outcome = self._outcome()
        self.die()

    def _outcome(self) -> attempt_pb2.Outcome:
        spec = self.folder.spec
        if self.behaviour == "ok" and spec.dynamic:
            workflow = self._machine.world.expand(spec)
            return attempt_pb2.Outcome(expanded=attempt_pb2.Expanded(workflow=workflow))
        if self.behaviour == "ok":
            return attempt_pb2.Outcome(outputs=graphs.compute(spec))
        is_system = self.behaviour == "system"
        return attempt_pb2.Outcome(
            error=errors_pb2.ExecutionError(
                kind=errors_pb2.ERROR_KIND_SYSTEM if is_system else errors_pb2.ERROR_KIND_USER,
                code="StorageError" if is_system else "ValueError",
                message="it broke",
                node=spec.id.node,
                non_recoverable=self.behaviour == "fatal",
            )
        )

    def die(self) -> None:
        if self.alive:
            self.alive = False
            self._machine.world.monitor.code_ends(self.folder.spec.id, self.uid)
            self.ended.set()


@dataclass
class Folder:
    """What lasts of an attempt."""

    spec: attempt_pb2.AttemptSpec
    token: str
    uid: str
    running: Running | None = None
    outcome: attempt_pb2.Outcome | None = None
    interrupted: bool = False
    finished: bool = False


class Machine:
    """See the module."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.executor_id = f"{name}-x"
        self.folders: dict[Key, Folder] = {}
        self.link = wires.Link(world)
        self.process = virtual_time.Process(name)

    def power_off(self, *, wiped: bool, renamed: bool) -> None:
        """Every process ends; `wiped`: the folders are gone too; `renamed`: and so is the executor's id."""
        self.process.kill()
        self.process = virtual_time.Process(self.name)
        for folder in self.folders.values():
            if folder.running is not None:
                folder.running.die()
        if wiped:
            self.folders.clear()
            if renamed:
                self.executor_id += "x"


class _NotAdmitted(Exception):
    """The attempt has ended, or is not to begin: nothing of it is ours."""


class _Taken(Exception):
    """Another executor's runner has the attempt."""


@dataclass(eq=False)
class _Attempt:
    folder: Folder
    admitted: bool = False
    ending: str = ""
    work: "asyncio.Task[attempt_pb2.Outcome] | None" = None
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, why: str) -> None:
        if not self.ending:
            self.ending = why
            self.told.set()
            if self.work is not None:
                self.work.cancel()


class Executor:
    """As `typedflow_propeller.executor.Executor`; lives in its propeller's process."""

    def __init__(self, machine: Machine, client: wires.AdminClient) -> None:
        self._machine = machine
        self._world = machine.world
        self._client = client
        self._attempts: dict[Key, _Attempt] = {}
        self._drivers: dict[asyncio.Task[None], None] = {}

    @property
    def id(self) -> str:
        return self._machine.executor_id

    async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        self._world.passes("started")
        self._take_up(spec, token)

    async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        self._world.passes("stopped")
        attempt = self._take_up(spec, token)
        if attempt is not None:
            attempt.end("stopped")

    async def inquire(self, inquiry: propeller_pb2.AttemptInquiry) -> None:
        self._world.passes("asked")
        id_ = inquiry.attempt
        key = (id_.execution_id, id_.node, id_.attempt)
        attempt = self._attempts.get(key)
        if attempt is None:
            folder = self._machine.folders.get(key)
            if folder is not None and folder.running is not None:
                attempt = _Attempt(folder, admitted=True)
            else:
                spec = attempt_pb2.AttemptSpec(id=id_)
                attempt = _Attempt(Folder(spec, inquiry.token, inquiry.runner_uid), admitted=True)
                attempt.ending = "stopped" if inquiry.stop else "lost"
            self._drive(key, attempt)
        if inquiry.stop:
            attempt.end("stopped")

    async def recover(self) -> None:
        for key, folder in list(self._machine.folders.items()):
            if folder.finished:
                continue
            if folder.running is None:
                del self._machine.folders[key]  # it had no go-ahead
            else:
                self._drive(key, _Attempt(folder, admitted=True))

    async def close(self) -> None:
        for attempt in self._attempts.values():
            attempt.end("interrupted")
        if self._drivers:
            _, late = await asyncio.wait(self._drivers, timeout=_GRACE_S + _CLOSE_S)
            for driver in late:
                driver.cancel()

    def _take_up(self, spec: attempt_pb2.AttemptSpec, token: str) -> _Attempt | None:
        key = (spec.id.execution_id, spec.id.node, spec.id.attempt)
        known = self._attempts.get(key)
        if known is not None:
            return known
        folder = self._machine.folders.get(key)
        if folder is not None and folder.finished:
            return None
        if folder is None or folder.running is None:
            uid = hashlib.sha256(f"{self.id}/{token}".encode()).hexdigest()[:32]
            attempt = _Attempt(Folder(spec, token, uid))
        else:
            attempt = _Attempt(folder, admitted=True)
        self._drive(key, attempt)
        return attempt

    def _drive(self, key: Key, attempt: _Attempt) -> None:
        self._attempts[key] = attempt
        driver = asyncio.create_task(self._see_through(key, attempt))
        self._drivers[driver] = None
        driver.add_done_callback(lambda _: self._drivers.pop(driver, None))

    async def _see_through(self, key: Key, attempt: _Attempt) -> None:
        folders = self._machine.folders
        try:
            try:
                await self._finish(attempt, await self._outcome(key, attempt))
            except _Taken:
                folders.pop(key, None)
                await self._outlast(attempt)
            attempt.folder.finished = True
            folders[key] = attempt.folder
        except _NotAdmitted:
            folders.pop(key, None)
        finally:
            self._attempts.pop(key, None)

    async def _outcome(self, key: Key, attempt: _Attempt) -> attempt_pb2.Outcome:
        folder, node = attempt.folder, attempt.folder.spec.id.node
        if not attempt.ending:
            attempt.work = asyncio.create_task(self._run(key, attempt))
            await asyncio.wait({attempt.work})
            if not attempt.work.cancelled():
                return attempt.work.result()
        if attempt.ending == "interrupted":
            if folder.running is None and not attempt.admitted:
                raise _NotAdmitted
            folder.interrupted = True
        if folder.running is not None:
            # Asked first, killed after the grace period; it may return meanwhile.
            if folder.running.alive:
                await asyncio.sleep(self._world.chance.random() * _GRACE_S)
            folder.running.die()
            if folder.outcome is not None:
                return folder.outcome
        if attempt.ending == "lost":
            return lost_attempts.forgotten(node)
        if attempt.ending == "interrupted":
            return lost_attempts.interrupted(node)
        return attempt_pb2.Outcome(stopped=attempt_pb2.Stopped())

    async def _run(self, key: Key, attempt: _Attempt) -> attempt_pb2.Outcome:
        folder = attempt.folder
        if folder.running is None:
            await asyncio.sleep(self._world.latency())
            self._machine.folders[key] = folder
            await self._admit(attempt)
            self._world.passes("admitted")
            await asyncio.sleep(self._world.latency())
            folder.running = Running(self._machine, folder, folder.uid)
        await folder.running.ended.wait()
        if folder.outcome is not None:
            return folder.outcome
        if folder.interrupted:
            return lost_attempts.interrupted(folder.spec.id.node)
        return lost_attempts.outcome(None, folder.spec.id.node)

    async def _admit(self, attempt: _Attempt) -> None:
        folder = attempt.folder
        request = attempt_pb2.BeginRequest(
            id=folder.spec.id, token=folder.token, runner_uid=folder.uid, executor_id=self.id
        )
        try:
            await backoff.until_reached(lambda: self._client.begin(request))
        except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
            raise (_Taken if error.code == "AttemptTaken" else _NotAdmitted) from None
        attempt.admitted = True

    async def _finish(self, attempt: _Attempt, outcome: attempt_pb2.Outcome) -> None:
        if not attempt.admitted and outcome.HasField("outputs"):
            await self._admit(attempt)
        folder = attempt.folder
        request = attempt_pb2.FinishRequest(
            id=folder.spec.id, token=folder.token, runner_uid=folder.uid, outcome=outcome
        )
        try:
            await backoff.until_reached(lambda: self._client.finish(request))
        except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
            if not attempt.admitted:
                raise (_Taken if error.code == "AttemptTaken" else _NotAdmitted) from None
            # It is not wanted any more.

    async def _outlast(self, attempt: _Attempt) -> NoReturn:
        """Waits until the executor that has the attempt has said what became of it, or is gone: then we say so."""
        folder = attempt.folder
        for pause in backoff.pauses():
            try:
                async with asyncio.timeout(pause):
                    await attempt.told.wait()
            except TimeoutError:
                pass
            attempt.told.clear()
            if attempt.ending == "interrupted":
                break
            stopped = attempt_pb2.Outcome(stopped=attempt_pb2.Stopped())
            request = attempt_pb2.FinishRequest(
                id=folder.spec.id,
                token=folder.token,
                runner_uid=folder.uid,
                outcome=stopped if attempt.ending == "stopped" else lost_attempts.gone(folder.spec.id.node),
            )
            try:
                await backoff.until_reached(functools.partial(self._client.finish, request))
                break
            except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
                if error.code != "AttemptTaken":
                    break
        raise _NotAdmitted
