"""Directories: `Directory`, what a task returns to publish a folder and receives to read one.

A received directory is private to its task: files are copied out of the store when they are first used, one by one or
all at once, and checked on the way. Must never lay a file outside the folder that it makes, whatever a literal says.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from typedflow import errors, literal_types, spelling
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, directory_tree, files, outside  # noqa: TID253 - itself loaded late
from typedflow.type_engine.data import Data
from typedflow.type_engine.files import File  # noqa: TID253 - as above

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine


@dataclass(frozen=True, slots=True)
class DirectoryFile:
    """What is known of a directory's file without fetching it: its path inside, bytes, digest, executable bit."""

    path: str
    size: int
    digest: str
    executable: bool


@dataclass(slots=True)
class _Received:
    """Where a received directory came from, and its private copies once there are any."""

    literal: literals_pb2.Directory
    data: Data
    copy: Path | None = None
    state: directory_tree.State = field(default_factory=dict)
    opened: dict[str, File] = field(default_factory=dict)


class Directory:
    """A folder that travels between tasks, with all that is in it.

    Made by a task or a caller, it names what is to be published: `Directory("checkpoints")`. Its files, their
    executable bits and its empty folders are; a symbolic link inside it counts as what it points at.

    Received by a task, it is a path: `os.listdir(d)`, `str(d)` and `d.path` give a local, private copy, which is
    fetched when first asked for and may be written to. `d.files()` says what there is without fetching anything,
    `d["a/b.csv"]` is one file as a `File`, `d.open("a/b.csv")` its bytes, and neither fetches any other. Returning it
    passes it on; when the task has written to its copy, that is published.

        @task
        def train(images: Directory) -> Directory:
            for path in images:
                learn(images[path])
            torch.save(model, "checkpoints/last.pt")
            return Directory("checkpoints")
    """

    __slots__ = ("_received", "_source")

    def __init__(self, source: str | os.PathLike[str]) -> None:
        text: object = os.fspath(source) if hasattr(source, "__fspath__") else source
        if not isinstance(text, str) or not text:
            message = f"Directory takes a path, not {conversion.shown(source)}"
            raise errors.ConversionError(message, hint='as in Directory("checkpoints")')
        if outside.is_url(text):
            hint = "give its files as File(url), or download it into a folder first"
            raise errors.ConversionError("a Directory is a folder of this machine", where=text, hint=hint)
        self._source = text
        self._received: _Received | None = None

    @property
    def path(self) -> Path:
        """Where it is on this machine; a received directory is fetched whole first when it was not yet.

        Raises:
            IntegrityError: a file is gone, or is not what it was.
        """
        received = self._received
        if received is None:
            return Path(self._source)
        if received.copy is None:
            copy = received.data.new_folder() / received.literal.name
            directory_tree.lay(received.literal.entries, copy, received.data)
            received.state = directory_tree.state(copy)
            received.copy = copy
        return received.copy

    @property
    def name(self) -> str:
        """The base name, `checkpoints`."""
        return (
            self._received.literal.name if self._received else files.base_name(os.path.abspath(self._source))
        )

    @property
    def format(self) -> str:
        """The declared format of a received directory's files, `csv`; empty when there is none."""
        return self._received.literal.format if self._received else ""

    @property
    def size(self) -> int:
        """Bytes of all files. Of a received directory, as it was received."""
        return sum(file.size for file in self.files())

    @property
    def digest(self) -> str:
        """`b3:` and the hexadecimal digest of its tree: of paths, executable bits and the digests of the files."""
        return directory_tree.digest(self._entries())

    def files(self) -> tuple[DirectoryFile, ...]:
        """All files in it by path, without fetching any. Of a received directory, as it was received."""
        return tuple(
            DirectoryFile(each.path, each.blob.size, each.blob.digest, each.executable)
            for each in self._entries()
            if each.HasField("blob")
        )

    def open(self, path: str | os.PathLike[str]) -> BinaryIO:
        """The bytes of one file, which is fetched and checked first. The caller closes the stream.

        Raises:
            FileNotFoundError: there is no such file in it.
        """
        return self[path].path.open("rb")

    def __getitem__(self, path: str | os.PathLike[str]) -> File:
        """One file by its path inside, `a/b.csv`; it is fetched when it is used. Raises FileNotFoundError."""
        wanted = Path(path).as_posix()
        received = self._received
        if received is None or received.copy is not None:
            here = self.path / wanted
            if Path(wanted).is_absolute() or ".." in Path(wanted).parts or not here.is_file():
                raise self._has_no(wanted, directory_tree.state(self.path) if self.path.is_dir() else ())
            return File(here)
        if wanted not in received.opened:
            entry = next(
                (e for e in received.literal.entries if e.path == wanted and e.HasField("blob")), None
            )
            if entry is None:
                raise self._has_no(wanted, self)
            literal = literals_pb2.File(
                content=files.content(entry.blob.digest, received.literal.format),
                blob=entry.blob,
                format=received.literal.format,
                name=wanted,
            )
            received.opened[wanted] = files.received(literal, received.data)
        return received.opened[wanted]

    def __iter__(self) -> Iterator[str]:
        """The paths of its files, in order."""
        return iter([file.path for file in self.files()])

    def __len__(self) -> int:
        """How many files are in it."""
        return len(self.files())

    def __bool__(self) -> bool:
        return True  # an empty one is one

    def __contains__(self, path: object) -> bool:
        return isinstance(path, (str, os.PathLike)) and Path(path).as_posix() in set(self)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self._source if self._received is None else str(self.path)

    def __repr__(self) -> str:
        return f"Directory({self.name if self._received else self._source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Directory) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str]:
        return ("received", self._received.literal.content) if self._received else ("made", self._source)

    def _entries(self) -> Sequence[literals_pb2.DirectoryEntry]:
        if self._received is not None:
            return self._received.literal.entries
        return directory_tree.read(Path(self._source), self._source, None)

    def _has_no(self, path: str, known: Any) -> FileNotFoundError:
        near = spelling.nearest(path, list(known))
        message = f"there is no such file in {self!r}" + (f", did you mean {near!r}?" if near else "")
        return FileNotFoundError(errno.ENOENT, message, path)


def directory_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `Directory` or `Annotated[Directory, Format("csv")]`."""
    return DirectoryConverter(files.declared_format(annotation))


class DirectoryConverter(conversion.Converter):
    """Folders, of files of one format where there is one. What a task makes has the format that is declared."""

    def __init__(self, declared: str) -> None:
        self._format = declared
        self.type = literal_types.directory(declared)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not isinstance(value, Directory):
            is_path = isinstance(value, (str, os.PathLike)) and not isinstance(value, File)
            raise conversion.misfit(
                path, self.type, value, hint="write Directory(...) around it" if is_path else ""
            )
        data.require(path, "a Directory")
        received = value._received  # noqa: SLF001 - the class and its converter are one thing
        if received is None:
            return self._publish(value.path, value.name, path, data, self._format)
        literal = received.literal
        self._check_format(literal.format, path)
        if received.copy is not None and directory_tree.state(received.copy) != received.state:
            return self._publish(received.copy, value.name, path, data, literal.format or self._format)
        return literals_pb2.Literal(directory=literal)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> Directory:
        if literal.WhichOneof("value") != "directory":
            raise conversion.mismatch(path, self.type, literal)
        self._check_format(literal.directory.format, path)
        directory_tree.check(literal.directory.entries, path)
        made = literals_pb2.Directory()
        made.CopyFrom(literal.directory)
        made.name = files.base_name(made.name or "directory")
        if made.content != directory_tree.content(made.entries, made.format):
            message = "what is listed of the directory is not what its digest says"
            raise errors.IntegrityError(message, where=path)
        directory = Directory(made.name)
        directory._received = _Received(made, data)  # noqa: SLF001
        return directory

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, Directory) and value.format in ("", self._format)

    def _publish(self, source: Path, name: str, path: str, data: Data, format: str) -> literals_pb2.Literal:  # noqa: A002
        entries = directory_tree.read(source, path, data)
        made = literals_pb2.Directory(
            content=directory_tree.content(entries, format), format=format, name=name, entries=entries
        )
        return literals_pb2.Literal(directory=made)

    def _check_format(self, given: str, path: str) -> None:
        if self._format not in ("", given):
            got = literal_types.text(literal_types.directory(given))
            message = f"expected {literal_types.text(self.type)}, got {got}"
            hint = "read it, and write a new folder of files in that format"
            raise errors.ConversionError(message, where=path, hint=hint)
