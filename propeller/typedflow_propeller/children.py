"""Executions that nodes of an execution launch: seen to until admin has answered, however long nobody can be reached.

Admin makes a child's id from its parent's, so a launch that is repeated is the same launch.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from typedflow import errors
from typedflow.pb import errors_pb2, events_pb2, identifiers_pb2, literals_pb2, propeller_pb2
from typedflow_propeller import backoff, doors, errands

_log = logging.getLogger(__name__)

_FENCED = "Fenced"
"""The code with which admin refuses who holds the execution no longer; a commit will be told the same."""


class Children:
    """Of one execution.

    Args:
        inputs: what a unit is given; called in a thread.
        path: a unit's name.
        happened: is told of `ChildLaunched`, and of `ChildEnded` where it could not be launched. Other ends come
            through the inbox, also of one that was aborted before it was there.
        failed: is told of what must not be, and ends the drive.
    """

    def __init__(
        self,
        claim: propeller_pb2.Claim,
        behind: doors.Doors,
        slow: errands.Errands,
        *,
        inputs: Callable[[int], literals_pb2.LiteralMap],
        path: Callable[[int], str],
        happened: Callable[[events_pb2.Event], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._claim = claim
        self._doors = behind
        self._errands = slow
        self._inputs = inputs
        self._path = path
        self._happened = happened
        self._failed = failed
        self._latest: dict[int, asyncio.Task[None]] = {}

    def launch(self, unit: int, launch_plan: identifiers_pb2.Identifier) -> None:
        """Launches the unit's execution."""
        self._next(unit, self._launch(unit, launch_plan))

    def stop(self, unit: int, reason: str) -> None:
        """Asks for its end, once its launch has been answered: admin must not hear of the abort first."""
        self._next(unit, self._stop(unit, reason, self._latest.get(unit)))

    def close(self) -> None:
        """Sees to nothing more; what was launched goes on."""
        for task in self._latest.values():
            task.cancel()

    def _next(self, unit: int, work: Coroutine[object, object, None]) -> None:
        task = self._latest[unit] = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(lambda _: self._done(unit, task))

    def _done(self, unit: int, task: asyncio.Task[None]) -> None:
        if self._latest.get(unit) is task:
            del self._latest[unit]
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed(error)

    async def _launch(self, unit: int, launch_plan: identifiers_pb2.Identifier) -> None:
        path = self._path(unit)
        try:
            inputs = await self._errands.do(lambda: self._inputs(unit))
            request = propeller_pb2.LaunchChildRequest(
                execution_id=self._claim.execution_id,
                epoch=self._claim.epoch,
                node=path,
                launch_plan=launch_plan,
                inputs=inputs,
            )
            launched = await backoff.until_reached(
                lambda: self._doors.launch_child(request), spread_by=self._spread(path)
            )
        except errors.ConversionError as error:
            self._ended(path, errors_pb2.ERROR_KIND_USER, error.code, f"inputs.{error}")
        except errors.TypedflowError as error:
            if error.code == _FENCED:
                _log.info("the child of `%s` is not ours to launch: %s", path, error)
                return
            ours = isinstance(error, errors.ServerFailed | errors.IntegrityError)
            kind = errors_pb2.ERROR_KIND_SYSTEM if ours else errors_pb2.ERROR_KIND_USER
            self._ended(path, kind, error.code, f"it could not be launched: {error}")
        except OSError as error:
            message = f"an input could not be stored or fetched: {error}"
            self._ended(path, errors_pb2.ERROR_KIND_SYSTEM, "StorageError", message)
        else:
            child = events_pb2.ChildLaunched(node=path, execution_id=launched.execution_id)
            self._happened(events_pb2.Event(child_launched=child))

    async def _stop(self, unit: int, reason: str, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        path = self._path(unit)
        request = propeller_pb2.AbortChildRequest(
            execution_id=self._claim.execution_id, epoch=self._claim.epoch, node=path, reason=reason
        )
        try:
            await backoff.until_reached(
                lambda: self._doors.abort_child(request), spread_by=self._spread(path)
            )
        except errors.StateConflict as error:
            _log.info("the child of `%s` is not ours to abort: %s", path, error)

    def _spread(self, path: str) -> str:
        return f"{self._claim.execution_id}/{path}"

    def _ended(self, path: str, kind: errors_pb2.ErrorKind.ValueType, code: str, message: str) -> None:
        _log.info("execution %s: `%s` has no child: %s", self._claim.execution_id, path, message)
        error = errors_pb2.ExecutionError(kind=kind, code=code, message=message, node=path)
        self._happened(events_pb2.Event(child_ended=events_pb2.ChildEnded(node=path, error=error)))
