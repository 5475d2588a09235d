"""An attempt's folder: all that a restarted server needs to take the attempt up again.

    <home>/attempts/<execution>/<node>-<attempt>/
        attempt.json    runner uid, token, and the process once there is one; there until the outcome is committed
        spec.pb         what to run
        work/           the working folder of the task
        log             what the task wrote; all that stays
        outcome.pb      what became of it, written by the attempt, whole or not at all

The folder appears whole, by a rename: one without `attempt.json` belongs to an attempt that is finished.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from google.protobuf import message

from typedflow.pb import attempt_pb2
from typedflow_propeller import process_identity

_RECORD = "attempt.json"
_SPEC = "spec.pb"
_OUTCOME = "outcome.pb"
_WORK = "work"
_LOG = "log"
_LONGEST_NAME = 200


@dataclass(frozen=True, slots=True)
class Record:
    """What `attempt.json` says. `interrupted`: the server was stopped, and the attempt with it."""

    runner_uid: str
    token: str
    process: process_identity.Identity | None = None
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class AttemptFolder:
    """The folder of one attempt, whether it is there or not."""

    path: Path

    @property
    def log(self) -> Path:
        """The attempt's log."""
        return self.path / _LOG

    def exists(self) -> bool:
        """Whether the attempt was ever taken up here."""
        return self.path.is_dir()

    def create(self, spec: attempt_pb2.AttemptSpec, record: Record) -> None:
        """Makes the folder, whole or not at all. It must not be there."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.parent / f".{secrets.token_hex(8)}"
        temporary.mkdir(mode=0o700)
        (temporary / _SPEC).write_bytes(spec.SerializeToString())
        (temporary / _LOG).touch(mode=0o600)
        (temporary / _RECORD).write_text(json.dumps(asdict(record)), "utf-8")
        temporary.rename(self.path)

    def record(self) -> Record | None:
        """What is recorded; None when the attempt is finished, or was never here."""
        try:
            data = json.loads((self.path / _RECORD).read_bytes())
        except FileNotFoundError:
            return None
        process = data.pop("process")
        return Record(**data, process=process and process_identity.Identity(**process))

    def set_record(self, record: Record) -> None:
        """Replaces what is recorded."""
        temporary = self.path / f".{_RECORD}"
        temporary.write_text(json.dumps(asdict(record)), "utf-8")
        temporary.replace(self.path / _RECORD)

    def mark_interrupted(self) -> None:
        """Records that the server's stop ended the attempt."""
        record = self.record()
        if record is not None:
            self.set_record(replace(record, interrupted=True))

    def spec(self) -> attempt_pb2.AttemptSpec:
        """What to run."""
        return attempt_pb2.AttemptSpec.FromString((self.path / _SPEC).read_bytes())

    def outcome(self) -> attempt_pb2.Outcome | None:
        """What the attempt left; None when it left nothing."""
        try:
            outcome = attempt_pb2.Outcome.FromString((self.path / _OUTCOME).read_bytes())
        except (FileNotFoundError, message.DecodeError):
            return None
        return outcome if outcome.WhichOneof("result") else None

    def write_log(self, text: str) -> None:
        """Adds a line of ours to the log."""
        with self.log.open("a", encoding="utf-8") as log:
            log.write(f"typedflow: {text}\n")

    def finish(self) -> None:
        """Removes all but the log; the record goes last, so that a crash in between repeats it."""
        work = self.path / _WORK
        try:
            work.rmdir()  # mostly empty
        except OSError:
            shutil.rmtree(work, ignore_errors=True)
        for name in (_SPEC, _OUTCOME, _RECORD):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Forgets the attempt: nothing of it has run."""
        with contextlib.suppress(FileNotFoundError):
            (self.path / _RECORD).rename(self.path / f".{_RECORD}")  # never a folder that looks finished
        shutil.rmtree(self.path, ignore_errors=True)


def of(root: Path, attempt: attempt_pb2.AttemptId) -> AttemptFolder:
    """The folder of an attempt under `root`."""
    name = f"{attempt.node}-{attempt.attempt}"
    if len(name) > _LONGEST_NAME:
        name = f"{name[:100]}~{hashlib.sha256(name.encode()).hexdigest()[:32]}-{attempt.attempt}"
    return AttemptFolder(root / attempt.execution_id / name)


def unfinished(root: Path) -> Iterator[AttemptFolder]:
    """Folders of attempts that are not finished; clears away what a crash left half made."""
    for execution in sorted(root.iterdir()) if root.is_dir() else ():
        for path in sorted(execution.iterdir()):
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)
            elif (path / _RECORD).exists():
                yield AttemptFolder(path)
