"""What an object is called, wherever it is kept, and what is said when it is not there or not what it was.

A store's objects are at `b3/<first two hex digits>/<the rest>` below its root, and that is the address that travels: a
store may be moved, or served from elsewhere, and what was noted of its objects stays true. A name is made of a digest
and of nothing else, so that no address leads out of a store.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from urllib.parse import unquote

from typedflow import errors
from typedflow.dataplane import digests
from typedflow.pb.literals_pb2 import Blob

FOLDER = "b3"
CHUNKS_SUFFIX = ".chunks"
"""After an object's name: where the digests of a large object's chunks are, one per line."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def name(digest: str) -> str:
    """The name of an object. Raises UsageError for what is no digest."""
    if not digests.is_digest(digest):
        raise errors.UsageError(f"`{digest}` is not a digest", hint="a digest is `b3:` and 64 hex digits")
    hexadecimal = digest.removeprefix(digests.PREFIX)
    return f"{FOLDER}/{hexadecimal[:2]}/{hexadecimal[2:]}"


def digest_of(given: str) -> str:
    """The digest of the object of this name; empty when it is no object's name."""
    digest = digests.PREFIX + given.removeprefix(f"{FOLDER}/").replace("/", "", 1)
    return digest if digests.is_digest(digest) and given == name(digest) else ""


def blob(digest: str, size: int) -> Blob:
    """What travels of an object."""
    return Blob(uri=name(digest), digest=digest, size=size)


def name_of(blob: Blob, root: str) -> str:
    """The name of a blob's object in the store at `root`.

    The address is the name, or, as earlier releases wrote it, a URL that ends in it: where that store was then does not
    matter.

    Raises:
        UsageError: it is the address of something else.
    """
    wanted = name(blob.digest)
    if blob.uri != wanted and not ("://" in blob.uri and unquote(blob.uri).endswith(f"/{wanted}")):
        raise errors.UsageError(
            "this is not the address of an object of this store",
            where=blob.uri,
            hint=f"the store is at {root}",
        )
    return wanted


def check(where: str, expected: str, found: str) -> None:
    """Raises IntegrityError when an object's bytes are not what its name says."""
    if expected != found:
        raise errors.IntegrityError(
            f"the object is not what its name says: expected {expected}, its bytes are {found}",
            where=where,
            hint="the stored file was changed or damaged: delete it, and what made it is run again",
        )


def gone(where: str) -> errors.IntegrityError:
    """The error of an object that is not there."""
    return errors.IntegrityError(
        "the object is no longer there",
        where=where,
        code="ObjectMissing",
        hint="it was deleted from the store: what made it has to run again",
    )


@contextlib.contextmanager
def refusals(where: str) -> Iterator[None]:
    """Around reads and writes of a store's own: what the operating system refuses there is the store's failure."""
    try:
        yield
    except OSError as error:
        raise refused(error, where) from error


def refused(error: OSError, where: str) -> errors.StorageError:
    """The error of a file system that refuses, with what to do about it."""
    place = where if error.filename is None else os.fsdecode(error.filename)
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno in _FULL:
        hint = "make room on that disk"
    elif error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        hint = "let this user write there, or set TYPEDFLOW_HOME to a folder that it may write to"
    else:
        hint = "see to that disk"
    return errors.StorageError(f"the file system refuses: {reason}", where=place, hint=hint)
