"""An attempt's folder: all that a restarted server needs to take the attempt up again.

    <home>/attempts/<execution>/<node>-<attempt>/
        spec.pb         what to run; there from the first moment until the outcome is committed
        attempt.json    the runner's uid, its token, its process and its GPUs; there before it gets its go-ahead
        work/           the working folder of the task
        log             what the task wrote; all that stays
        checkpoint.pb   what it has saved for the attempt after it, if it has saved anything
        outcome.pb      what became of it, written by the attempt, whole or not at all

A crash may leave any of them half written: what can't be read was never acted upon, or nothing of it is alive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from google.protobuf import message

from typedflow.pb import attempt_pb2, literals_pb2
from typedflow.run_task import log_file
from typedflow_propeller import process_identity

_RECORD = "attempt.json"
_SPEC = "spec.pb"
_OUTCOME = "outcome.pb"
_CHECKPOINT = "checkpoint.pb"
_WORK = "work"
_LOG = "log"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Record:
    """What `attempt.json` says.

    `interrupted`: the server was stopped, and the attempt with it. `gpus`: those that it has to itself.
    """

    runner_uid: str
    token: str
    process: process_identity.Identity
    interrupted: bool = False
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """The folder of one attempt, whether it is there or not."""

    path: Path

    @property
    def log(self) -> Path:
        """The attempt's log."""
        return self.path / _LOG

    def is_finished(self) -> bool:
        """Whether the attempt's outcome was committed from here."""
        return self.log.exists() and not (self.path / _SPEC).exists()

    def create(self, spec: attempt_pb2.AttemptSpec) -> None:
        """Makes the folder of an attempt of which nothing has run."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / _SPEC).write_bytes(spec.SerializeToString())

    def record(self) -> Record | None:
        """What is recorded; None when no process has had its go-ahead."""
        try:
            data = json.loads((self.path / _RECORD).read_bytes())
            return Record(**data | {"process": process_identity.Identity(**data["process"])})
        except (FileNotFoundError, ValueError):
            return None

    def set_record(self, record: Record) -> None:
        """Records it."""
        (self.path / _RECORD).write_text(json.dumps(asdict(record)), "utf-8")

    def mark_interrupted(self) -> None:
        """Records that the server's stop ended the attempt. On a disk that takes no more it counts as lost instead."""
        record = self.record()
        if record is None:
            return
        # Beside the record, and then in its place: without one, the process that it names would be forgotten.
        marked = self.path / f".{_RECORD}"
        try:
            marked.write_text(json.dumps(asdict(replace(record, interrupted=True))), "utf-8")
            marked.replace(self.path / _RECORD)
        except OSError:
            with contextlib.suppress(OSError):
                marked.unlink(missing_ok=True)

    def spec(self) -> attempt_pb2.AttemptSpec | None:
        """What to run; None when it is not there, or was lost in a power cut."""
        try:
            spec = attempt_pb2.AttemptSpec.FromString((self.path / _SPEC).read_bytes())
        except (FileNotFoundError, message.DecodeError):
            return None
        return spec if spec.HasField("id") else None

    def outcome(self) -> attempt_pb2.Outcome | None:
        """What the attempt left; None when it left nothing."""
        try:
            outcome = attempt_pb2.Outcome.FromString((self.path / _OUTCOME).read_bytes())
        except (FileNotFoundError, message.DecodeError):
            return None
        return outcome if outcome.WhichOneof("result") else None

    def checkpoint(self) -> literals_pb2.Literal | None:
        """What the attempt has saved for the one after it; None when it has saved nothing."""
        try:
            found = literals_pb2.Literal.FromString((self.path / _CHECKPOINT).read_bytes())
        except (FileNotFoundError, message.DecodeError):
            return None
        return found if found.WhichOneof("value") else None

    def finish(self, log_limit: int) -> None:
        """Removes all but the log, and what is too much of that; the spec goes last, so that a crash repeats it."""
        log_file.trim(self.log, log_limit)
        work = self.path / _WORK
        try:
            work.rmdir()  # mostly empty
        except OSError:
            shutil.rmtree(work, ignore_errors=True)
        for name in (_CHECKPOINT, _OUTCOME, _RECORD, _SPEC):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Forgets the attempt: nothing of it has run."""
        # Moved away first: a process that ends without its go-ahead may still open the log, and what is half removed
        # must never look finished.
        removed = self.path.with_name(f".{self.path.name}")
        shutil.rmtree(removed, ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(removed)
        shutil.rmtree(removed, ignore_errors=True)


def of(root: Path, attempt: attempt_pb2.AttemptId) -> AttemptFolder:
    """The folder of an attempt under `root`."""
    name = f"{attempt.node}-{attempt.attempt}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:100]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}-{attempt.attempt}"
    return AttemptFolder(root / attempt.execution_id / name)


def unfinished(root: Path) -> Iterator[AttemptFolder]:
    """Folders of attempts whose outcome is not committed; clears away what was being removed."""
    for execution in sorted(root.iterdir()) if root.is_dir() else ():
        for path in sorted(execution.iterdir()):
            folder = AttemptFolder(path)
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
            elif not folder.is_finished():
                yield folder
