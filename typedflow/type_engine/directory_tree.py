"""A folder's tree as a flat list of entries: read from a folder, laid into one, digested, and checked.

A hostile list is refused before anything is written. A file that changes while it is read is an error and no mixture
of two. Must never follow a link out of the folder.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

from blake3 import blake3

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.pb.literals_pb2 import Blob, DirectoryEntry
from typedflow.type_engine import conversion
from typedflow.type_engine.data import Data

MOST_ENTRIES = 200_000
"""How many files and empty folders a directory may have; its list travels whole."""

State: TypeAlias = dict[str, tuple[int, int, int]]
"""By path inside: when a file was changed, its size, and its mode."""

_LONGEST_PART = 255  # bytes, as file systems have it
_MODE = 0o100
_IMPLIED = object()


class _Found(NamedTuple):
    inside: str
    path: Path
    status: os.stat_result | None
    """None: an empty folder."""


def read(root: Path, where: str, data: Data | None) -> list[DirectoryEntry]:
    """All that is in a folder, sorted by path. With `data` the files are published, else only hashed.

    Raises:
        ConversionError: there is no folder, or something in it can't travel; names the path.
    """
    found = list(_walk(root, where))
    found.sort(key=lambda each: each.inside)
    kept = [each for each in found if each.status is not None]
    blobs = iter(_blobs([each.path for each in kept], data))
    entries = []
    for each in found:
        entry = DirectoryEntry(path=each.inside)
        if each.status is not None:
            try:
                entry.blob.CopyFrom(next(blobs))
                unchanged = _told(each.path.stat()) == _told(each.status)
            except OSError as error:
                raise _refused(each.path, f"can't be read: {error.strerror}", where) from None
            if not unchanged:
                hint = "wait for whoever writes to it before the task returns"
                raise _refused(each.path, "was changed while it was read", where, hint)
            entry.executable = bool(each.status.st_mode & _MODE)
        entries.append(entry)
    return entries


def _blobs(paths: Sequence[Path], data: Data | None) -> Iterator[Blob]:
    if data is not None:
        yield from data.put_files(paths)
        return
    for path in paths:
        told = digests.of_file(path)
        yield Blob(digest=told.digest, size=told.size)


def state(root: Path) -> State:
    """What tells that a folder was written to: compare it with that of another time."""
    try:
        return {
            each.inside: _told(each.status) if each.status is not None else (0, 0, 0)
            for each in _walk(root, str(root))
        }
    except errors.ConversionError:
        return {"": (0, 0, 0)}  # what can't travel was put into it, or it is gone


def _told(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_mtime_ns, status.st_size, status.st_mode


def _walk(root: Path, where: str) -> Iterator[_Found]:
    """Files and empty folders, links followed as long as they stay inside."""
    if not root.is_dir():
        reason = "is a file" if root.exists() else "does not exist"
        hint = "use File" if root.exists() else ""
        if not root.exists() and not root.is_absolute():
            hint = f"the task made it in another place than {Path.cwd()}?"
        raise errors.ConversionError(f"there is no folder {root}: it {reason}", where=where, hint=hint)
    real = os.path.realpath(root)
    todo: list[tuple[str, Path, tuple[str, ...]]] = [("", root, (real,))]
    count = 0
    while todo:
        prefix, folder, above = todo.pop()
        try:
            with os.scandir(folder) as scanned:
                children = list(scanned)
        except OSError as error:
            raise _refused(folder, f"can't be read: {error.strerror}", where) from None
        count += len(children) or 1
        if count > MOST_ENTRIES:
            hint = "pack it into one file (tar, Parquet, WebDataset) and use File"
            message = f"{root} has more than {MOST_ENTRIES:,} files and folders"
            raise errors.ConversionError(message, where=where, hint=hint)
        if not children and prefix:
            yield _Found(prefix.removesuffix("/"), folder, None)
        for child in children:
            path = Path(child.path)
            status = _status(child, path, real, where)
            inside = prefix + _name(child.name, path, where)
            if not stat.S_ISDIR(status.st_mode):
                yield _Found(inside, path, status)
                continue
            target = os.path.realpath(path)
            if target in above:
                raise _refused(path, "is a link to a folder that it is in", where, "take the link out")
            todo.append((inside + "/", path, (*above, target)))


def _status(child: os.DirEntry[str], path: Path, real: str, where: str) -> os.stat_result:
    """What a child is, or what it points at. Raises ConversionError for what can't travel."""
    try:
        if child.is_symlink():
            target = os.path.realpath(path)
            if not os.path.exists(target):  # noqa: PTH110 - it is a string
                raise _refused(path, "is a link to what does not exist", where, "take the link out")
            if os.path.commonpath([target, real]) != real:
                hint = "put a copy of it in place of the link"
                raise _refused(path, f"is a link that leads out of the folder, to {target}", where, hint)
        status = child.stat()
    except OSError as error:
        raise _refused(path, f"can't be read: {error.strerror}", where) from None
    if not stat.S_ISDIR(status.st_mode) and not stat.S_ISREG(status.st_mode):
        raise _refused(path, "is neither a file nor a folder", where, "take it out")
    return status


def _name(name: str, path: Path, where: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _refused(path, "has a name that is no text", where, "give it another name") from None
    if "\\" in name:
        raise _refused(path, "has a backslash in its name", where, "give it another name")
    return name


def _refused(path: Path, reason: str, where: str, hint: str = "") -> errors.ConversionError:
    return errors.ConversionError(f"{str(path)!r} {reason}", where=where, hint=hint)


# What it is


def digest(entries: Sequence[DirectoryEntry]) -> str:
    """The digest of a tree: of its paths, and of the bytes and executable bits of its files."""
    hasher = blake3(b"typedflow:tree:1\0")
    for entry in entries:
        kind = b"f" if not entry.executable else b"x"
        told = entry.blob.digest.encode() if entry.HasField("blob") else b""
        path = entry.path.encode()
        hasher.update((kind if told else b"d") + struct.pack("<QQ", len(path), len(told)) + path + told)
    return "b3:" + hasher.hexdigest()


def content(entries: Sequence[DirectoryEntry], format: str) -> str:  # noqa: A002 - the field's name
    """The content digest of a directory."""
    return "b3:" + blake3(f"typedflow:directory:1\0{digest(entries)}\0{format}".encode()).hexdigest()


def check(entries: Sequence[DirectoryEntry], where: str) -> None:
    """Raises ConversionError where laying the entries could write anywhere but below one folder, each at its place."""
    kinds: dict[str, object] = {}
    for entry in entries:
        parts = entry.path.split("/")
        if "\\" in entry.path or "\0" in entry.path or any(not _is_plain(part) for part in parts):
            raise _hostile(entry.path, "is no path inside a directory", where)
        for end in range(1, len(parts)):
            if kinds.setdefault("/".join(parts[:end]), _IMPLIED) is not _IMPLIED:
                raise _hostile(
                    entry.path, f"is inside {'/'.join(parts[:end])!r}, which is no folder of files", where
                )
        if entry.path in kinds:
            raise _hostile(entry.path, "is there twice", where)
        kinds[entry.path] = entry
        if entry.HasField("blob") and not digests.is_digest(entry.blob.digest):
            raise _hostile(entry.path, "has no digest", where)


def _is_plain(part: str) -> bool:
    return part not in ("", ".", "..") and len(part.encode()) <= _LONGEST_PART


def _hostile(path: str, reason: str, where: str) -> errors.ConversionError:
    message = f"the directory's entry {conversion.shown(path)} {reason}"
    return errors.ConversionError(message, where=where, hint="it was not made by typedflow")


# Laying it out


def lay(entries: Sequence[DirectoryEntry], root: Path, data: Data) -> None:
    """Writes checked entries into a new folder, whole or not at all. Raises IntegrityError."""
    partial = root.with_name(f".{root.name[: _LONGEST_PART - 10]}.partial")
    partial.mkdir()
    folders = {
        partial / entry.path if not entry.HasField("blob") else (partial / entry.path).parent
        for entry in entries
    }
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    kept = [entry for entry in entries if entry.HasField("blob")]
    try:
        data.fetch_all([(entry.blob, partial / entry.path) for entry in kept])
        for entry in kept:
            (partial / entry.path).chmod(0o755 if entry.executable else 0o644)
        partial.replace(root)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
