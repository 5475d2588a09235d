"""Files that stay where they are: URLs of other systems, and which version of them was meant.

What is outside may change under its URL. A version token, taken from one look at it, tells: the generation or ETag of
an object store, else size and time of change. Must never read the bytes to find out.
"""

from __future__ import annotations

import re
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from blake3 import blake3

from typedflow import errors

if TYPE_CHECKING:
    from typedflow.pb import literals_pb2

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_VERSIONS = ("generation", "VersionId", "ETag", "etag", "Content-MD5")
_TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look at a URL told: its size in bytes, and its version token, empty when it has none."""

    size: int
    token: str


def is_url(text: str) -> bool:
    """Whether it is a URL and not a path."""
    return _URL.match(text) is not None


def look(url: str, where: str) -> Seen:
    """One look at what is behind a URL, for `where` in messages.

    Raises:
        ConversionError: there is nothing, it is a folder, or nothing installed here can read the URL.
    """
    filesystem, path = _filesystem(url, where)
    filesystem.invalidate_cache()
    try:
        info = filesystem.info(path)
    except FileNotFoundError:
        raise errors.ConversionError(f"there is nothing at {url}", where=where) from None
    except Exception as error:
        raise errors.ConversionError(
            f"{url} can't be read: {type(error).__name__}: {error}", where=where
        ) from error
    if info.get("type") == "directory":
        raise errors.ConversionError(f"{url} is a folder", where=where, hint="a File is one file")
    return Seen(int(info.get("size") or 0), _token(info))


def content(seen: Seen, url: str, format: str) -> str:  # noqa: A002 - the field's name
    """The content digest of a file that is only pointed at.

    Without a version token nobody can say whether it is still the same, so the digest is one that nothing else has:
    what depends on the file never hits the cache.
    """
    token = seen.token or f"unknown:{secrets.token_hex(16)}"
    return "b3:" + blake3(f"typedflow:url:1\0{url}\0{token}\0{format}".encode()).hexdigest()


def open_stream(url: str, where: str) -> BinaryIO:
    """The bytes behind a URL, read as they are asked for. Raises ConversionError when they can't be."""
    filesystem, path = _filesystem(url, where)
    try:
        return cast("BinaryIO", filesystem.open(path, "rb"))
    except FileNotFoundError:
        raise errors.ConversionError(f"there is nothing at {url}", where=where) from None


def fetch(literal: literals_pb2.File, destination: Path) -> None:
    """Copies a file that is only pointed at, whole or not at all.

    Raises:
        IntegrityError: it is not the version that was meant any more.
    """
    url = literal.blob.uri
    check_version(literal)
    partial = destination.with_name(f".{secrets.token_hex(8)}")
    try:
        with open_stream(url, url) as source, partial.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1024 * 1024)
        check_version(literal)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)


def check_version(literal: literals_pb2.File) -> None:
    """Raises IntegrityError when what is behind the URL has a version and it is not the one of the literal."""
    url = literal.blob.uri
    seen = look(url, url)
    if seen.token and content(seen, url, literal.format) != literal.content:
        raise errors.IntegrityError(
            "this file has changed since the workflow took note of its version",
            where=url,
            hint="launch again, or write File(url, copy=True) to keep the bytes",
        )


def _filesystem(url: str, where: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]  # it publishes no types

    try:
        filesystem, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise errors.ConversionError(
            f"{url} can't be read here: {error}", where=where, hint="install that package"
        ) from None
    except ValueError as error:
        raise errors.ConversionError(f"{url} can't be read: {error}", where=where) from None
    return filesystem, path


def _token(info: dict[str, Any]) -> str:
    for key in _VERSIONS:
        if info.get(key):
            return f"{key.lower()}:{info[key]}"
    for key in _TIMES:
        if info.get(key) is not None:
            return f"size:{info.get('size')}:{info[key]}"
    return ""
