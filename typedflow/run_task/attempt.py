"""One attempt, from its spec to its outcome.

Must never let anything of the user's escape: what a task raises, returns or asks to exit with is an outcome.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from typedflow import errors, type_engine
from typedflow.authoring import call, context, side_outputs
from typedflow.authoring.task import Task
from typedflow.dataplane import objects, offload
from typedflow.pb import attempt_pb2, catalog_pb2, literals_pb2
from typedflow.run_task import code, failures


def execute(
    spec: attempt_pb2.AttemptSpec,
    *,
    roots: Sequence[Path],
    folder: Path,
    store: objects.ObjectStore,
    keep: Callable[[literals_pb2.Literal], None] = lambda _: None,
) -> attempt_pb2.Outcome:
    """Runs the attempt in this process and says what became of it. Never raises for anything that the task does.

    Args:
        spec: what to run, and on what.
        roots: the import roots of the unpacked code bundle; they go to the front of `sys.path`.
        folder: the attempt's own, where fetched files are laid.
        store: where offloaded values, files and frames are.
        keep: records a checkpoint, so that it outlives this process.
    """
    clock = _Clock()
    data = type_engine.Data(store=store, folder=folder)
    found = spec.checkpoint if spec.HasField("checkpoint") else None
    side = side_outputs.SideOutputs(data, found, keep, _storage)
    try:
        outcome = _run(spec, roots, data, side)
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too
        failure = failures.of(error, roots)
        failure.node = spec.id.node
        outcome = attempt_pb2.Outcome(error=failure)
    outcome.usage.CopyFrom(clock.usage())
    _add_report(outcome, spec, side, store)
    return outcome


def _add_report(
    outcome: attempt_pb2.Outcome,
    spec: attempt_pb2.AttemptSpec,
    side: side_outputs.SideOutputs,
    store: objects.ObjectStore,
) -> None:
    """Stores what the task has written of a report; a report that can't be stored fails no task."""
    try:
        page = side.page(f"{spec.id.node}, attempt {spec.id.attempt}")
        if page:
            outcome.deck.CopyFrom(store.put_bytes(page))
    except Exception as error:  # noqa: BLE001 - whatever a store may raise
        sys.stderr.write(f"typedflow: the report could not be stored: {error}\n")


def _run(
    spec: attempt_pb2.AttemptSpec,
    roots: Sequence[Path],
    data: type_engine.Data,
    side: side_outputs.SideOutputs,
) -> attempt_pb2.Outcome:
    code.enter(roots)
    task = code.find_task(spec.python)
    with _storage():
        inputs = offload.load_inputs(spec.inputs, spec.interface.inputs, data.store)
    running = context.TaskContext(
        execution_id=spec.id.execution_id,
        node=spec.id.node,
        attempt=spec.id.attempt,
        project=spec.project,
        domain=spec.domain,
        working_folder=data.folder,
        side_outputs=side,
    )
    if spec.dynamic:
        made = _expand(spec, task, inputs, running, data, roots)
        if isinstance(made, attempt_pb2.Expanded):
            return attempt_pb2.Outcome(expanded=made)
        outputs = made
    else:
        outputs = call.run(task, inputs, running, data, converting=_storage)
    with _storage():
        offload.offload_all(outputs, data.store)
    return attempt_pb2.Outcome(outputs=outputs)


def _expand(  # type: ignore[explicit-any]  # a task of any arguments
    spec: attempt_pb2.AttemptSpec,
    task: Task[..., object],
    inputs: literals_pb2.LiteralMap,
    running: context.TaskContext,
    data: type_engine.Data,
    roots: Sequence[Path],
) -> attempt_pb2.Expanded | literals_pb2.LiteralMap:
    """What a dynamic task says is to be done; its outputs, where that is nothing."""
    from typedflow.authoring import dynamic, serialize  # noqa: PLC0415 - most attempts need no compiler

    if not isinstance(task, dynamic.DynamicTask):
        raise errors.LoadError(
            f"task `{task.short_name}` is registered as a dynamic one, and is a plain one here",
            hint="register the code again",
        )
    describe = serialize.AtRunTime(roots, spec.python.bundle)
    return task.expand(inputs, running, data, describe, _storage)


@contextlib.contextmanager
def _storage() -> Iterator[None]:
    """Around conversions: what the operating system refuses there is the platform's failure, not the task's."""
    try:
        yield
    except OSError as error:
        raise errors.StorageError(f"a value could not be stored or fetched: {error}") from error


class _Clock:
    """What this process and its children have used since it was made."""

    def __init__(self) -> None:
        self._wall = time.monotonic()
        self._cpu = _cpu_seconds()

    def usage(self) -> catalog_pb2.Usage:
        return catalog_pb2.Usage(
            wall_seconds=time.monotonic() - self._wall, cpu_seconds=_cpu_seconds() - self._cpu
        )


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)
