"""Runs attempts as processes of this machine, each in a folder of its own.

The folder is the truth: it holds all that is needed to take an attempt up again, so attempts outlive this process, and
a restarted server adopts those that are alive. Must never start a process for an attempt that has one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import logging
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import IO, NoReturn

from typedflow import errors
from typedflow.dataplane import bundles
from typedflow.pb import attempt_pb2, errors_pb2, propeller_pb2
from typedflow.run_task import processes
from typedflow_propeller import (
    admission,
    attempt_environment,
    attempt_folder,
    attempt_log,
    attempt_process,
    backoff,
    executor,
    executor_id,
    held_attempt,
    lost_attempts,
    machine,
    process_identity,
    template_process,
    watch,
)
from typedflow_propeller.held_attempt import HeldAttempt

_log = logging.getLogger(__name__)
_CLOSE_S = 2.0
_TRIES = 10  # at what the server fails at, where the attempt can fail instead: more than twenty seconds


class _NotAdmitted(Exception):
    """The attempt has ended, or is not to begin: nothing of it is ours."""


class _Taken(Exception):
    """Another executor's runner has the attempt."""


class LocalProcesses:
    """See `executor.Executor`.

    Args:
        home: holds `attempts/`, `bundles/` and `executor-id`.
        service: where outcomes go.
        store_url: the object store that tasks read and write.
        slots: CPUs that attempts share; 0 is all that this process may use.
        shared: what attempts share, in the place of what this machine has.
        log_limit: bytes that are kept of a log; 0 is what the setting says.
        grace_s: how long an attempt has between SIGTERM and SIGKILL when it is stopped.
        template_idle_s: how long a bundle's template stays warm without work.
    """

    def __init__(
        self,
        home: Path,
        service: executor.AttemptService,
        *,
        store_url: str,
        slots: int = 0,
        shared: machine.Machine | None = None,
        log_limit: int = 0,
        grace_s: float = 2.0,
        template_idle_s: float = 60.0,
    ) -> None:
        self._root = home / "attempts"
        self._bundles = home / "bundles"
        self._id_file = home / "executor-id"
        self._id = ""
        self._service = service
        self._machine = shared or machine.here(cpus=slots)
        self._admission = admission.Admission(self._machine)
        self._log_limit = log_limit or machine.log_limit()
        self._watch = watch.Watch(self._log_limit)
        self._environment = dict(os.environ)  # as it was: to read it anew takes longer than to fork
        self._said: set[str] = set()
        self._grace_s = grace_s
        self._launcher = attempt_process.Launcher(store_url, template_idle_s=template_idle_s)
        self._unpacking: dict[str, asyncio.Task[tuple[Path, ...]]] = {}
        self._attempts: dict[held_attempt.Key, HeldAttempt] = {}
        self._drivers: set[asyncio.Task[None]] = set()
        self._lock: IO[str] | None = None

    @property
    def id(self) -> str:
        """See `executor.Executor`."""
        if not self._id:
            self._id = executor_id.lasting(self._id_file)
        return self._id

    async def start(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        """See `executor.Executor.start`."""
        self._take_up(spec, token)

    async def stop(self, spec: attempt_pb2.AttemptSpec, token: str) -> None:
        """See `executor.Executor.stop`."""
        attempt = self._take_up(spec, token)
        if attempt is not None:
            attempt.end("stopped")

    async def inquire(self, inquiry: propeller_pb2.AttemptInquiry) -> None:
        """See `executor.Executor.inquire`."""
        attempt = self._attempts.get(held_attempt.key(inquiry.attempt)) or self._look_for(inquiry)
        if inquiry.stop:
            attempt.end("stopped")

    async def recover(self) -> None:
        """See `executor.Executor.recover`.

        Raises:
            UsageError: another process runs the attempts of this home.
        """
        self._lock = executor_id.locked(self._id_file)
        for folder in attempt_folder.unfinished(self._root):
            spec, record = folder.spec(), folder.record()
            if spec is None or record is None:
                # It had no go-ahead, or a power cut ended it. Whoever drives the execution here starts it again, as the
                # same runner; if that is another propeller, admin asks after it.
                folder.remove()
            else:
                self._drive(held_attempt.adopted(spec, folder, record))

    async def close(self) -> None:
        """See `executor.Executor.close`."""
        for attempt in self._attempts.values():
            attempt.end("interrupted")
        if self._drivers:
            _, late = await asyncio.wait(self._drivers, timeout=self._grace_s + _CLOSE_S)
            for driver in late:  # what is not said now is said when the folders are recovered
                driver.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        for unpacking in self._unpacking.values():
            unpacking.cancel()
        self._watch.close()
        self._launcher.close()
        await self._launcher.ended()
        if self._lock is not None:
            self._lock.close()

    async def read_log(
        self, attempt: attempt_pb2.AttemptId, *, follow: bool, offset: int = 0
    ) -> AsyncGenerator[executor.LogPiece, None]:
        """See `executor.Executor.read_log`."""
        folder = attempt_folder.of(self._root, attempt)
        known = self._attempts.get(held_attempt.key(attempt))
        if known is None and not folder.log.exists():
            what = f"attempt {attempt.attempt} of `{attempt.node}`"
            raise errors.NotFound(f"there is no log of {what} on this machine", where=attempt.execution_id)
        ended = known.ended if known is not None and follow else None
        async with contextlib.aclosing(attempt_log.read(folder.log, ended, offset)) as pieces:
            async for piece in pieces:
                yield piece

    # One attempt, from its start to the end of its folder.

    def _take_up(self, spec: attempt_pb2.AttemptSpec, token: str) -> HeldAttempt | None:
        """Takes the attempt into our care, if it is not there yet; None when it is finished."""
        known = self._attempts.get(held_attempt.key(spec.id))
        if known is not None:
            return known
        folder = attempt_folder.of(self._root, spec.id)
        if folder.is_finished():
            return None
        record = folder.record()
        attempt = (
            held_attempt.adopted(spec, folder, record)
            if record
            else HeldAttempt(spec, folder, self._runner_uid(token), token)
        )
        self._drive(attempt)
        return attempt

    def _look_for(self, inquiry: propeller_pb2.AttemptInquiry) -> HeldAttempt:
        """Takes what is left of an attempt into our care, if only to say that there is nothing."""
        folder = attempt_folder.of(self._root, inquiry.attempt)
        spec, record = folder.spec(), folder.record()
        if spec is not None and record is not None:
            attempt = held_attempt.adopted(spec, folder, record)
        else:
            reference = attempt_pb2.AttemptSpec(id=inquiry.attempt)
            attempt = HeldAttempt(reference, folder, inquiry.runner_uid, inquiry.token, admitted=True)
            attempt.ending = "stopped" if inquiry.stop else "lost"
        self._drive(attempt)
        return attempt

    def _drive(self, attempt: HeldAttempt) -> None:
        self._attempts[held_attempt.key(attempt.spec.id)] = attempt
        driver = asyncio.create_task(self._see_through(attempt))
        self._drivers.add(driver)
        driver.add_done_callback(self._drivers.discard)

    async def _see_through(self, attempt: HeldAttempt) -> None:
        try:
            try:
                await self._finish(attempt, await self._outcome(attempt))
            except _Taken:
                attempt.folder.remove()
                await self._outlast(attempt)
            await asyncio.to_thread(
                attempt.folder.finish, self._log_limit
            )  # removing takes milliseconds in some kernels
        except _NotAdmitted:
            attempt.folder.remove()
        except Exception:  # noqa: BLE001 - one attempt's trouble must not touch the others
            _log.exception("attempt %s is left for the next start of the server", attempt.folder.path)
        finally:
            attempt.ended.set()
            self._attempts.pop(held_attempt.key(attempt.spec.id), None)

    async def _outcome(self, attempt: HeldAttempt) -> attempt_pb2.Outcome:
        """What became of it: of its own accord, or because we ended it."""
        if not attempt.ending:
            attempt.work = asyncio.create_task(self._run(attempt))
            try:
                await asyncio.wait({attempt.work})
            except asyncio.CancelledError:
                attempt.work.cancel()
                raise
            if not attempt.work.cancelled():
                return attempt.work.result()
        node = attempt.spec.id.node
        if attempt.process is not None:
            await self._end_process(attempt, attempt.process)
            quicker = attempt.folder.outcome()
            if quicker is not None:
                return quicker
        elif attempt.admitted:
            # Nothing should be left of it. But whoever says so has to be right.
            await asyncio.to_thread(processes.kill_marked, attempt.runner_uid)
        elif attempt.ending == "interrupted":
            raise _NotAdmitted  # it is started again with the server, or elsewhere
        if attempt.ending == "lost":
            return lost_attempts.forgotten(node)
        if attempt.ending == "interrupted":
            return lost_attempts.interrupted(node)
        if attempt.ending == "out of memory":
            limit = machine.memory_limit(attempt.spec.options.resources)
            return lost_attempts.out_of_memory(node, attempt.used, limit)
        return attempt_pb2.Outcome(stopped=attempt_pb2.Stopped())

    async def _run(self, attempt: HeldAttempt) -> attempt_pb2.Outcome:
        share = self._machine.share(attempt.spec.options.resources)
        process = attempt.process
        at_once = None if process is None else attempt.gpus
        async with self._admission.taken(share, attempt.spec.id.execution_id, at_once=at_once) as gpus:
            attempt.gpus = gpus
            try:
                if process is None:
                    return await self._run_new(attempt)
                with self._watching(attempt, process):
                    await process.ended()
                process.sweep_group()
                return await self._left(attempt, None)
            except asyncio.CancelledError:
                if attempt.ending and attempt.process is not None:  # what it has is free when it has ended
                    await self._end_process(attempt, attempt.process)
                raise

    def _watching(
        self, attempt: HeldAttempt, process: process_identity.Identity
    ) -> contextlib.AbstractContextManager[None]:
        limit = machine.memory_limit(attempt.spec.options.resources)
        return self._watch.on(process.pid, attempt.folder.log, limit, attempt.end_over_memory)

    async def _left(self, attempt: HeldAttempt, status: int | None) -> attempt_pb2.Outcome:
        """What an attempt that has ended has left, or what to say when that is nothing."""
        outcome = attempt.folder.outcome()
        if outcome is not None:
            return outcome
        # It could not see to what it had started: what went out of its group is found by the mark.
        await asyncio.to_thread(processes.kill_marked, attempt.runner_uid)
        record = attempt.folder.record()
        if record is not None and record.interrupted:
            return lost_attempts.interrupted(attempt.spec.id.node)
        return lost_attempts.outcome(status, attempt.spec.id.node)

    async def _run_new(self, attempt: HeldAttempt) -> attempt_pb2.Outcome:
        """Admission and process are made side by side; the task runs when there are both."""
        try:
            attempt.folder.create(attempt.spec)
        except OSError as error:
            return lost_attempts.unstarted(attempt.spec.id.node, error)
        admission = asyncio.create_task(self._admit(attempt))
        process: attempt_process.AttemptProcess | None = None
        try:
            launched = await self._launch(attempt)
            if isinstance(launched, attempt_pb2.Outcome):
                await admission
                return launched
            process = launched  # before anything else can go wrong: it must not wait for ever
            await admission
            record = attempt_folder.Record(
                attempt.runner_uid, attempt.token, process.identity, gpus=attempt.gpus
            )
            try:
                attempt.folder.set_record(record)
            except OSError as error:
                return lost_attempts.unstarted(attempt.spec.id.node, error)
            attempt.process = process.identity
            with self._watching(attempt, process.identity):
                process.go()
                status = await process.exit()
            return await self._left(attempt, status)
        finally:
            if process is not None:
                process.abandon()
            if not admission.done():
                admission.cancel()

    async def _launch(self, attempt: HeldAttempt) -> attempt_process.AttemptProcess | attempt_pb2.Outcome:
        """A process that waits for its go-ahead, or why there is none."""
        spec = attempt.spec
        try:
            environment = attempt_environment.of(spec.options, self._environment)
            roots = await self._roots(spec)
            own = attempt_environment.own(attempt.runner_uid, spec.options, self._machine, attempt.gpus)
            return await self._launcher.launch(
                attempt.folder.path, spec.python.module, roots, environment, own
            )
        except template_process.ImportFailed as failed:
            failed.error.node = spec.id.node
            return attempt_pb2.Outcome(error=failed.error)
        except errors.TypedflowError as error:
            kind = (
                errors_pb2.ERROR_KIND_USER if error.code == "SecretNotFound" else errors_pb2.ERROR_KIND_SYSTEM
            )
            failure = errors_pb2.ExecutionError(
                kind=kind, code=error.code, message=str(error), node=spec.id.node
            )
            return attempt_pb2.Outcome(error=failure)
        except OSError as error:
            return lost_attempts.unstarted(spec.id.node, error)

    async def _roots(self, spec: attempt_pb2.AttemptSpec) -> tuple[Path, ...]:
        """The import roots of the attempt's bundle, which is fetched and unpacked once."""
        digest = spec.python.bundle
        unpacking = self._unpacking.get(digest)
        if unpacking is None or (unpacking.done() and (unpacking.cancelled() or unpacking.exception())):
            unpacking = self._unpacking[digest] = asyncio.create_task(
                self._unpack(digest, spec.project, spec.domain)
            )
        return await asyncio.shield(unpacking)

    async def _unpack(self, digest: str, project: str, domain: str) -> tuple[Path, ...]:
        data = await backoff.until_served(lambda: self._service.bundle(digest, project, domain), _TRIES)
        return await asyncio.to_thread(bundles.unpack, data, digest, self._bundles)

    async def _admit(self, attempt: HeldAttempt) -> None:
        request = attempt_pb2.BeginRequest(
            id=attempt.spec.id,
            token=attempt.token,
            runner_uid=attempt.runner_uid,
            note=self._note(attempt.spec),
            executor_id=self.id,
        )
        try:
            await backoff.until_served(lambda: self._service.begin(request))
        except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
            _log.info("attempt %s is not admitted: %s", attempt.folder.path, error)
            raise (_Taken if error.code == "AttemptTaken" else _NotAdmitted) from None
        attempt.admitted = True

    def _note(self, spec: attempt_pb2.AttemptSpec) -> str:
        """What there is to say of how the task runs here; what it lacks is logged once for each kind of request."""
        shortages = self._machine.shortages(spec.options.resources)
        for shortage in shortages:
            if shortage not in self._said:
                self._said.add(shortage)
                # A GPU is mostly missing where people try things out: the node's note says it.
                level = logging.INFO if shortage == machine.NO_GPU else logging.WARNING
                _log.log(level, "task %s: %s", spec.task, shortage)
        return "; ".join(shortages)

    async def _finish(self, attempt: HeldAttempt, outcome: attempt_pb2.Outcome) -> None:
        gives_nothing = outcome.WhichOneof("result") in ("error", "stopped")
        # That of one that never began may be said at once: an abort of thousands that wait is as short as it can be.
        if not attempt.admitted and not gives_nothing:
            await self._admit(attempt)
        if gives_nothing:
            checkpoint = attempt.folder.checkpoint()
            if checkpoint is not None:
                outcome.checkpoint.CopyFrom(checkpoint)
        request = attempt_pb2.FinishRequest(
            id=attempt.spec.id,
            token=attempt.token,
            runner_uid=attempt.runner_uid,
            outcome=outcome,
        )
        try:
            await backoff.until_served(lambda: self._service.finish(request), _TRIES)
        except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
            if not attempt.admitted:
                raise (_Taken if error.code == "AttemptTaken" else _NotAdmitted) from None
            _log.warning("the outcome of %s is not wanted any more: %s", attempt.folder.path, error)
        except errors.TypedflowError as error:
            refused = lost_attempts.system(
                attempt.spec.id.node, "OutcomeRefused", f"the outcome was refused: {error}"
            )
            request.outcome.CopyFrom(refused)
            await backoff.until_served(lambda: self._service.finish(request))

    async def _outlast(self, attempt: HeldAttempt) -> NoReturn:
        """Waits until the executor that has the attempt has said what became of it, or is gone: then we say so.

        Admin refuses what we say while that executor is there. Ends with _NotAdmitted, for nothing of it ran here.
        """
        for pause in backoff.pauses():
            await attempt_log.passed(attempt.told, pause)
            attempt.told.clear()
            if attempt.ending == "interrupted":
                break
            stopped = attempt_pb2.Outcome(stopped=attempt_pb2.Stopped())
            request = attempt_pb2.FinishRequest(
                id=attempt.spec.id,
                token=attempt.token,
                runner_uid=attempt.runner_uid,
                outcome=stopped if attempt.ending else lost_attempts.gone(attempt.spec.id.node),
            )
            try:
                await backoff.until_served(functools.partial(self._service.finish, request))
                break
            except (errors.StateConflict, errors.NotFound, errors.PermissionDenied) as error:
                if error.code != "AttemptTaken":
                    break
        raise _NotAdmitted

    async def _end_process(self, attempt: HeldAttempt, process: process_identity.Identity) -> None:
        """Ends all that it has started: asked first, unless it has to be at once, and killed after the grace period."""
        if attempt.ending == "interrupted":
            attempt.folder.mark_interrupted()
        # Those of other sessions that outlive a first one which heeds the signal are known from here.
        tree = await asyncio.to_thread(process.tree)
        with contextlib.suppress(TimeoutError):
            if attempt.ending != "out of memory":
                process.signal_group(signal.SIGTERM)
                async with asyncio.timeout(self._grace_s):
                    await process.ended()
        await asyncio.to_thread(process.kill_tree)
        await process.ended()
        process.sweep_group()
        for each in tree:
            each.kill()
        if tree:
            await asyncio.to_thread(processes.kill_marked, attempt.runner_uid)

    def _runner_uid(self, token: str) -> str:
        """The same for an attempt whenever it is started here.

        After a power cut that took the folder, the runner is known to admin already, and may come again, for nothing of
        it can be alive.
        """
        return hashlib.sha256(f"{self.id}/{token}".encode()).hexdigest()[:32]
