"""The object store: bytes named by their content.

`ObjectStore` is the seam, and `open_store` gives the one at an address. An object is written once under its final name,
whole or not at all, and is checked against its digest when it is read. A store never trusts a name and never changes an
object.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import unquote, urlsplit

from typedflow import errors
from typedflow.dataplane.folders import FolderStore as FolderStore  # noqa: PLC0414 - the store that is always there
from typedflow.dataplane.stored import Stored as Stored  # noqa: PLC0414 - what a store lists
from typedflow.pb.literals_pb2 import Blob

if TYPE_CHECKING:
    from typing_extensions import Buffer

_OTHERS = {
    "gs": "it speaks S3's protocol too: use s3://, AWS_ENDPOINT_URL=https://storage.googleapis.com and HMAC keys",
    "az": "put an S3 gateway before it, and use s3:// with AWS_ENDPOINT_URL",
}


class ObjectStore(Protocol):
    """Keeps bytes under the name of their content. Every method may be called from several threads.

    Every method raises StorageError where the store can't be reached, is full or refuses, after it has tried for a
    while where that may help. Those that read raise IntegrityError for an object that is gone or is not what its digest
    says. Those that take a blob raise UsageError for one whose address is not of this store.
    """

    @property
    def is_local(self) -> bool:
        """Whether objects are files of this machine: `local_path` gives them."""
        ...

    def put_bytes(self, data: bytes) -> Blob:
        """Keeps `data`; does nothing if the store already has it."""
        ...

    def put_file(self, path: str | os.PathLike[str]) -> Blob:
        """Keeps a copy of the file's bytes as they are now; memory does not grow with the file.

        Raises:
            UsageError: it can't be read, or is written to meanwhile.
        """
        ...

    def put_chunks(self, chunks: Iterable[Buffer]) -> Blob:
        """Keeps bytes that come one after another, nothing when taking the next of them raises."""
        ...

    def put_written(self, write: Callable[[BinaryIO], object]) -> Blob:
        """Keeps what `write` writes to the file that it is given, in one pass; nothing when it raises."""
        ...

    def has(self, digest: str) -> bool:
        """Whether the store has the object with this digest."""
        ...

    def exists(self, blobs: Sequence[Blob]) -> list[bool]:
        """Whether each of the blobs can be read, asked for in one batch."""
        ...

    def open(self, blob: Blob) -> BinaryIO:
        """The object's bytes as a stream that can be sought in; each 64 MiB chunk is checked before it is given out."""
        ...

    def read_bytes(self, blob: Blob) -> bytes:
        """The object's bytes, checked against its digest."""
        ...

    def fetch(self, blob: Blob, destination: str | os.PathLike[str]) -> None:
        """Writes the object to a file, whole and checked against its digest, or not at all."""
        ...

    def local_path(self, blob: Blob) -> Path | None:
        """A read-only file of this machine that holds the object, unchecked; None where the store has no such files."""
        ...

    def checked_path(self, blob: Blob) -> Path | None:
        """Likewise, checked against its digest."""
        ...

    def list(self) -> Iterator[Stored]:
        """Every object, in no order, as it is found: memory does not grow with the store."""
        ...

    def delete(self, digests: Sequence[str]) -> None:
        """Removes objects, in one batch; one that is not there is no mistake."""
        ...

    def drop_unfinished(self, older_than_s: float) -> None:
        """Removes what was begun that long ago and never became an object: its writer is gone."""
        ...


def open_store(url: str) -> ObjectStore:
    """The store at `url`: `file:///folder`, a plain path, or `s3://bucket/prefix`.

    Nothing is looked at yet: a folder is made when something is first put there, and S3 is first asked then.

    Raises:
        UsageError: for a scheme that is not supported, or S3 where the extra `s3` is not installed.
    """
    scheme = urlsplit(url).scheme if "://" in url else ""
    match scheme:
        case "":
            return FolderStore(Path(url).expanduser())
        case "file":
            return FolderStore(_path_of(url))
        case "s3":
            from typedflow.dataplane import bucket_store  # noqa: PLC0415 - most processes use no S3

            return bucket_store.open_bucket(url)
        case _:
            raise errors.UsageError(
                f"there is no object store for `{scheme}://`",
                where=url,
                hint=_OTHERS.get(
                    scheme, "use s3://bucket/prefix, file:///an/absolute/folder, or a plain path"
                ),
                code="UnsupportedStore",
            )


def _path_of(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise errors.UsageError(
            "this is not a local folder's address", where=uri, hint="write it as file:///an/absolute/folder"
        )
    return Path(unquote(parts.path))
