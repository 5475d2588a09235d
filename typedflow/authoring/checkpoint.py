"""Checkpoints: what an attempt leaves for the attempts after it, however it ends.

An object is stored first and told of afterwards, so an attempt that is killed in between leaves the one before it.
Must never be part of a task's outputs or of its cache key: a task gives the same result with one as without.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from typedflow import errors
from typedflow.pb.literals_pb2 import Blob, Directory, File, Literal
from typedflow.type_engine import directory_tree, files  # noqa: TID253 - itself loaded late

if TYPE_CHECKING:
    from typedflow.type_engine import Data

Keep: TypeAlias = Callable[[Literal], None]
"""Records what is to be handed on if the attempt ends now; returns when that outlives the process."""


class Checkpoint:
    """What this task has saved in an attempt before this one, or earlier in this one.

    `current_context().checkpoint` gives it. The last thing that was saved counts, whole: an attempt that is killed
    while it saves leaves what it had saved before. A task that succeeds leaves none, and retries, timeouts that are
    retried, lost machines and restarts of the server all hand it on.

    Example:
        >>> from typedflow import current_context, task
        >>> @task(retries=3)
        ... def count(to: int) -> int:
        ...     checkpoint = current_context().checkpoint
        ...     done = int(checkpoint.read() or b"0")
        ...     while done < to:
        ...         done += 1
        ...         checkpoint.write(str(done).encode())
        ...     return done
        >>> count(to=3)
        3
    """

    __slots__ = ("_data", "_guard", "_keep", "_latest")

    def __init__(
        self,
        data: Data,
        found: Literal | None,
        keep: Keep,
        guard: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        self._data = data
        self._latest = found
        self._keep = keep
        self._guard = guard

    def write(self, data: bytes) -> None:
        """Saves bytes in the place of what was saved before."""
        content: object = data
        if not isinstance(content, bytes | bytearray | memoryview):
            raise errors.UsageError(
                f"checkpoint.write takes bytes, not {type(content).__name__}",
                hint="encode it: json.dumps(...).encode(), or checkpoint.save(path) for a file or a folder",
            )
        with self._guard():
            self._kept(_of_blob(self._data.put_bytes(bytes(content)), "checkpoint"))

    def read(self) -> bytes | None:
        """What was saved with `write`, or the bytes of the file that was; None when nothing was.

        Raises:
            UsageError: a folder was saved.
        """
        if self._latest is None:
            return None
        if self._latest.WhichOneof("value") != "file":
            raise errors.UsageError("the checkpoint is a folder", hint="use checkpoint.restore(path)")
        try:
            with self._guard():
                return self._data.store.read_bytes(self._latest.file.blob)
        except errors.IntegrityError as error:
            _say_unusable(error)
            return None

    def save(self, path: str | os.PathLike[str]) -> None:
        """Saves a file, or a folder with all that is in it, in the place of what was saved before.

        It is copied, and may be written to again as soon as this returns. What an earlier save has stored already,
        such as the unchanged files of a folder, is not stored again.
        """
        source = Path(path)
        with self._guard():
            self._kept((_directory if source.is_dir() else _file)(self._data, source))

    def restore(self, path: str | os.PathLike[str]) -> bool:
        """Lays what was saved at `path`, whole or not at all; False, and nothing is laid, when nothing was saved.

        A file takes the place of a file, a folder that of an empty folder.

        Raises:
            UsageError: there is a folder at `path` that has something in it.
        """
        if self._latest is None:
            return False
        target = Path(os.path.abspath(path))
        if target.is_dir() and any(target.iterdir()):
            raise errors.UsageError(
                "there is something in this folder already", where=str(path), hint="restore to a new folder"
            )
        try:
            with self._guard():
                self._lay(self._latest, target)
        except errors.IntegrityError as error:
            _say_unusable(error)
            return False
        return True

    def _lay(self, latest: Literal, target: Path) -> None:
        if latest.WhichOneof("value") == "file":
            self._data.fetch(latest.file.blob, target)
            return
        directory_tree.check(latest.directory.entries, "checkpoint")
        target.parent.mkdir(parents=True, exist_ok=True)
        directory_tree.lay(latest.directory.entries, target, self._data)

    def _kept(self, literal: Literal) -> None:
        self._keep(literal)
        self._latest = literal


def _file(data: Data, path: Path) -> Literal:
    return _of_blob(data.put_file(path), path.name)


def _of_blob(blob: Blob, name: str) -> Literal:
    return Literal(file=File(content=files.content(blob.digest, ""), blob=blob, name=name))


def _directory(data: Data, path: Path) -> Literal:
    entries = directory_tree.read(path, "checkpoint", data)
    content = directory_tree.content(entries, "")
    return Literal(directory=Directory(content=content, name=path.name, entries=entries))


def _say_unusable(error: errors.IntegrityError) -> None:
    """A checkpoint that is damaged or gone must not fail every attempt to come: it is as if there were none."""
    sys.stderr.write(f"typedflow: the checkpoint can't be used, the task begins anew: {error}\n")
