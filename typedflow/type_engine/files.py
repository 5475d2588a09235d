"""Files: `File`, what a task returns to publish one and receives to read one.

A received file is private to its task: bytes are copied out of the store when it is first used, and checked on the way.
Must never hand out the store's own file, nor trust a name that came from elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, get_args
from urllib.parse import unquote, urlsplit

from blake3 import blake3

from typedflow import errors, literal_types
from typedflow.dataplane import digests
from typedflow.pb import literals_pb2
from typedflow.type_engine import conversion, outside
from typedflow.type_engine.data import Data
from typedflow.type_engine.registry import Marker

if TYPE_CHECKING:
    from typedflow.type_engine.registry import TypeEngine

_FORMAT = re.compile(r"[a-z0-9][a-z0-9_+-]*(\.[a-z0-9_+-]+)*")
_LONGEST_NAME = 200  # bytes; most file systems take 255


@dataclass(frozen=True, slots=True)
class Format(Marker):
    """A file's format, as in `Annotated[File, Format("csv")]`: lower case, without a dot before it.

    Raises:
        DefinitionError: it is written in another way.
    """

    name: str

    def __post_init__(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not _FORMAT.fullmatch(name):
            hint = 'write it in lower case and without a dot before it, as in Format("csv")'
            raise errors.DefinitionError(f"{self.name!r} is not a format", hint=hint, code="InvalidName")


@dataclass(slots=True)
class _Received:
    """Where a received file came from, and its private copy once there is one."""

    literal: literals_pb2.File
    data: Data
    copy: Path | None = None
    state: tuple[int, int] = (0, 0)


class File:
    """A file that travels between tasks.

    Made by a task or a caller, it names what is to be published: `File("model.joblib")`, or a URL, `File("s3://...")`.
    A path's bytes are published and hashed. A URL is only pointed at: it is keyed by itself and its version
    (generation, ETag, or size and time of change), and one without a version never hits the cache.
    `File(url, copy=True)` fetches the bytes and publishes them.

    Received by a task, it is a path: `open(f)`, `str(f)` and `f.path` give a local, private copy, which is fetched when
    first asked for and may be written to. `f.stream()` reads without fetching all. Returning it passes it on; when the
    task has written to its copy, that is published.

        @task
        def train(table: File) -> File:
            model = fit(pandas.read_csv(table))
            joblib.dump(model, "model.joblib")
            return File("model.joblib")
    """

    __slots__ = ("_received", "_source", "copy")

    def __init__(self, source: str | os.PathLike[str], *, copy: bool = False) -> None:
        text: object = os.fspath(source) if hasattr(source, "__fspath__") else source
        if not isinstance(text, str) or not text:
            message = f"File takes a path or a URL, not {conversion.shown(source)}"
            raise errors.ConversionError(message, hint='as in File("model.joblib")')
        self._source = text
        self._received: _Received | None = None
        self.copy: bool = copy

    @property
    def path(self) -> Path:
        """Where it is on this machine; a received file is fetched first when it was not yet.

        Raises:
            IntegrityError: it is gone, or is not what it was.
            UsageError: it is a URL that no task has received yet.
        """
        received = self._received
        if received is None:
            if outside.is_url(self._source):
                raise errors.UsageError(
                    "a URL has no local path before a task receives it", where=self._source
                )
            return Path(self._source)
        if received.copy is None:
            path = _fetch(received)
            received.state = _state(path)
            received.copy = path
        return received.copy

    @property
    def name(self) -> str:
        """The base name, `model.joblib`."""
        return self._received.literal.name if self._received else base_name(self._source)

    @property
    def format(self) -> str:
        """The declared format of a received file, `csv`; empty when there is none."""
        return self._received.literal.format if self._received else ""

    @property
    def size(self) -> int:
        """Bytes. Of a received file, as it was received."""
        if self._received:
            return self._received.literal.blob.size
        return (
            outside.look(self._source, "").size if outside.is_url(self._source) else self.path.stat().st_size
        )

    @property
    def digest(self) -> str:
        """`b3:` and the hexadecimal digest of its bytes; empty for a URL that is only pointed at."""
        if self._received:
            return self._received.literal.blob.digest
        return "" if outside.is_url(self._source) else digests.of_file(self.path).digest

    def stream(self) -> BinaryIO:
        """Its bytes from the beginning, read as they are asked for and not checked. The caller closes the stream."""
        received = self._received
        if received is not None and received.copy is None:
            blob = received.literal.blob
            if blob.digest:
                return received.data.open(blob)
            outside.check_version(received.literal)
            return outside.open_stream(blob.uri, blob.uri)
        if received is None and outside.is_url(self._source):
            return outside.open_stream(self._source, self._source)
        return self.path.open("rb")

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return self._source if self._received is None else str(self.path)

    def __repr__(self) -> str:
        return f"File({self.name if self._received else self._source!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def _identity(self) -> tuple[str, str]:
        return ("received", self._received.literal.content) if self._received else ("made", self._source)


def received(literal: literals_pb2.File, data: Data) -> File:
    """What a task receives for the literal of a file."""
    message = literals_pb2.File()
    message.CopyFrom(literal)
    message.name = base_name(message.name or message.blob.uri)
    file = File(message.name)
    file._received = _Received(message, data)  # noqa: SLF001 - it is made here
    return file


def file_converter(annotation: Any, _engine: TypeEngine) -> conversion.Converter:
    """The converter of `File` or `Annotated[File, Format("csv")]`."""
    return FileConverter(declared_format(annotation))


def declared_format(annotation: Any) -> str:
    """The format that an annotation declares; empty where it declares none. Raises DefinitionError for several."""
    formats = [each.name for each in get_args(annotation) if isinstance(each, Format)]
    if len(formats) > 1:
        raise errors.DefinitionError(
            f"a file has one format, not {' and '.join(formats)}", code="UnsupportedType"
        )
    return formats[0] if formats else ""


class FileConverter(conversion.Converter):
    """Files, of one format where there is one. What a task makes has the format that its annotation declares."""

    def __init__(self, declared: str) -> None:
        self._format = declared
        self.type = literal_types.file(declared)

    def to_literal(self, value: Any, path: str, data: Data) -> literals_pb2.Literal:
        if not isinstance(value, File):
            hint = "write File(...) around it" if isinstance(value, (str, os.PathLike)) else ""
            raise conversion.misfit(path, self.type, value, hint=hint)
        data.require(path, "a File")
        if value._received is not None:  # noqa: SLF001 - the class and its converter are one thing
            message = self._pass_on(value._received, value, path, data)  # noqa: SLF001
        elif outside.is_url(value._source):  # noqa: SLF001
            message = self._import_url(value, path, data) if value.copy else self._point_at(value, path)
        else:
            message = self._publish(Path(value._source), value.name, path, data)  # noqa: SLF001
        return literals_pb2.Literal(file=message)

    def from_literal(self, literal: literals_pb2.Literal, path: str, data: Data) -> File:
        if literal.WhichOneof("value") != "file":
            raise conversion.mismatch(path, self.type, literal)
        self._check_format(literal.file.format, path)
        check_content(literal.file, path)
        return received(literal.file, data)

    def is_exact(self, value: Any) -> bool:
        return isinstance(value, File) and value.format in ("", self._format)

    def _publish(self, source: Path, name: str, path: str, data: Data, format: str = "") -> literals_pb2.File:  # noqa: A002
        if source.is_dir():
            raise errors.ConversionError(
                f"{source} is a folder", where=path, hint="a File is one file: use Directory"
            )
        if not source.is_file():
            hint = (
                f"the task wrote it to another place than {Path.cwd()}?" if not source.is_absolute() else ""
            )
            raise errors.ConversionError(f"there is no file {source}", where=path, hint=hint)
        format = format or self._format  # noqa: A001
        blob = data.put_file(source)
        return literals_pb2.File(content=content(blob.digest, format), blob=blob, format=format, name=name)

    def _pass_on(self, received: _Received, value: File, path: str, data: Data) -> literals_pb2.File:
        literal = received.literal
        self._check_format(literal.format, path)
        if received.copy is not None and (
            not received.copy.is_file() or _state(received.copy) != received.state
        ):
            return self._publish(received.copy, value.name, path, data, literal.format)
        return literal

    def _point_at(self, value: File, path: str) -> literals_pb2.File:
        url = str(value)
        seen = outside.look(url, path)
        content = outside.content(seen, url, self._format)
        blob = literals_pb2.Blob(uri=url, size=seen.size)
        return literals_pb2.File(content=content, blob=blob, format=self._format, name=value.name)

    def _import_url(self, value: File, path: str, data: Data) -> literals_pb2.File:
        folder = data.new_folder()
        try:
            with outside.open_stream(str(value), path) as source, (folder / value.name).open("xb") as sink:
                shutil.copyfileobj(source, sink, 1024 * 1024)
            return self._publish(folder / value.name, value.name, path, data)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _check_format(self, given: str, path: str) -> None:
        if self._format not in ("", given):
            message = f"expected {literal_types.text(self.type)}, got {literal_types.text(literal_types.file(given))}"
            raise errors.ConversionError(
                message, where=path, hint="read it, and write a new file in that format"
            )


def _fetch(received: _Received) -> Path:
    destination = received.data.new_folder() / received.literal.name
    if received.literal.blob.digest:
        received.data.fetch(received.literal.blob, destination)
    else:
        outside.fetch(received.literal, destination)
    return destination


def content(digest: str, format: str) -> str:  # noqa: A002
    """The content digest of a file whose bytes have the digest."""
    return "b3:" + blake3(f"typedflow:file:1\0{digest}\0{format}".encode()).hexdigest()


def check_content(file: literals_pb2.File, path: str) -> None:
    """Raises IntegrityError where a file that the store has is said to mean other bytes than its own.

    Whoever launches says what an input means. A result must never be kept under the key of other bytes.
    """
    if file.blob.digest and file.content != content(file.blob.digest, file.format):
        raise errors.IntegrityError("the file's bytes are not what its content digest says", where=path)


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def base_name(source: str) -> str:
    """The base name of a path or URL, safe to make a file of wherever it came from."""
    path = unquote(urlsplit(source).path) if outside.is_url(source) else source
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1].replace("\0", "")
    if name in ("", ".", ".."):
        return "file"
    encoded = name.encode("utf-8", "replace")
    return name if len(encoded) <= _LONGEST_NAME else encoded[-_LONGEST_NAME:].decode("utf-8", "ignore")
