"""One attempt, from its spec to its outcome.

Must never let anything of the user's escape: what a task raises, returns or asks to exit with is an outcome.
"""

from __future__ import annotations

import contextlib
import resource
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from typedflow import literals, type_engine
from typedflow.authoring import call, context
from typedflow.dataplane import objects, offload
from typedflow.pb import attempt_pb2, catalog_pb2, literals_pb2
from typedflow.run_task import code, failures


def execute(
    spec: attempt_pb2.AttemptSpec, *, roots: Sequence[Path], folder: Path, store: objects.ObjectStore
) -> attempt_pb2.Outcome:
    """Runs the attempt in this process and says what became of it. Never raises for anything that the task does.

    Args:
        spec: what to run, and on what.
        roots: the import roots of the unpacked code bundle; they go to the front of `sys.path`.
        folder: the attempt's own, where fetched files are laid.
        store: where offloaded values, files and frames are.
    """
    clock = _Clock()
    try:
        outputs = _run(spec, roots, type_engine.Data(store=store, folder=folder))
        return attempt_pb2.Outcome(outputs=outputs, usage=clock.usage())
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, SystemExit too
        failure = failures.of(error, roots)
        failure.node = spec.id.node
        return attempt_pb2.Outcome(error=failure, usage=clock.usage())


def _run(
    spec: attempt_pb2.AttemptSpec, roots: Sequence[Path], data: type_engine.Data
) -> literals_pb2.LiteralMap:
    code.enter(roots)
    task = code.find_task(spec.python)
    with _storage():
        inputs = literals.as_map(
            {each.name: offload.load(each.value, data.store) for each in spec.inputs.values}
        )
    running = context.TaskContext(
        execution_id=spec.id.execution_id,
        node=spec.id.node,
        attempt=spec.id.attempt,
        project=spec.project,
        domain=spec.domain,
        working_folder=data.folder,
    )
    outputs = call.run(task, inputs, running, data, converting=_storage)
    with _storage():
        offload.offload_all(outputs, data.store)
    return outputs


@contextlib.contextmanager
def _storage() -> Iterator[None]:
    """Around conversions: what the operating system refuses there is the platform's failure, not the task's."""
    try:
        yield
    except OSError as error:
        raise failures.StorageError(f"a value could not be stored or fetched: {error}") from error


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
