"""A bucket of S3, or of what speaks its protocol: single requests, each tried again for a while where that may help.

The only module that knows botocore, which comes with s3fs. Credentials, region and endpoint are from where every other
program has them: `AWS_*` variables, `~/.aws`, the machine's role. What is kept in a bucket is not known here.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typedflow import errors
from typedflow.dataplane import patience

if TYPE_CHECKING:
    from typing_extensions import Buffer

CONNECTIONS = 32
_CONNECT_S = 5
_READ_S = 60
_BLOCK = 1024 * 1024
_WAITS = patience.Patience()
_PAGE = 1000
"""Keys and parts in one request, at most."""
_COPIED_AT_ONCE = 5 * 1024**3
"""S3 copies no larger object, and no larger part of one, in one request."""
_AWAY = frozenset({"SlowDown", "Throttling", "RequestTimeout", "OperationAborted"})
"""Besides all that S3 answers with 429 or 5xx."""
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})


class NoSuchUpload(Exception):
    """The upload in parts was completed or given up by somebody else."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A key in a bucket, without the prefix: its bytes, and when it was written, in microseconds since 1970."""

    key: str
    size: int
    at_us: int


class Bucket:
    """The keys below a prefix of a bucket. May be used from several threads.

    Every method raises StorageError when S3 can't be reached for longer than `waits` allows, or refuses.
    """

    def __init__(self, bucket: str, prefix: str = "", *, waits: patience.Patience = _WAITS) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._patience = waits
        self._lock = threading.Lock()
        self._made = None

    def url(self, key: str = "") -> str:
        """Where a key is, for people."""
        return f"s3://{self._bucket}/{self._prefix}{key}"

    # Whole keys

    def size(self, key: str) -> int | None:
        """How many bytes are at a key; None when there is no such key."""
        answer = self._call("head_object", key)
        return None if answer is None else int(answer["ContentLength"])

    def put(self, key: str, data: Buffer) -> None:
        """Writes a key, whole or not at all."""
        self._call("put_object", key, Body=bytes(data))

    def get(self, key: str) -> bytes | None:
        """The bytes of a small key; None when there is no such key."""
        size = self.size(key)
        if size is None:
            return None
        data = bytearray()
        return bytes(data) if self.read(key, 0, size, data.extend) else None

    def read(self, key: str, start: int, length: int, take: Callable[[bytes], object]) -> bool:
        """Gives a part of a key to `take`, block by block, going on from there when a transfer breaks off.

        Returns:
            Whether all of it was there.
        """
        trials = self._patience.begin(self.url(key))
        end = start + length
        while start < end:
            answer = self._call("get_object", key, Range=f"bytes={start}-{end - 1}")
            if answer is None:
                return False
            body = answer["Body"]
            try:
                for block in body.iter_chunks(_BLOCK):
                    take(block[: end - start])
                    start += len(block)
                    trials.progressed()
                if start < end:
                    trials.failed(EOFError("the transfer ended early"))
            except _transfer_errors() as error:
                trials.failed(error)
            finally:
                body.close()
        return True

    def copy(self, source: str, target: str, size: int) -> None:
        """Copies a key inside the bucket; its bytes do not travel."""
        origin = {"Bucket": self._bucket, "Key": self._prefix + source}
        if size <= _COPIED_AT_ONCE:
            self._call("copy_object", target, CopySource=origin)
            return
        upload = self.begin(target)
        tags = []
        for number, start in enumerate(range(0, size, _COPIED_AT_ONCE), 1):
            part = f"bytes={start}-{min(size, start + _COPIED_AT_ONCE) - 1}"
            answer = self._call(
                "upload_part_copy",
                target,
                UploadId=upload,
                PartNumber=number,
                CopySource=origin,
                CopySourceRange=part,
            )
            tags.append(str(answer["CopyPartResult"]["ETag"]))
        self.complete(target, upload, tags)

    def delete(self, keys: Sequence[str]) -> None:
        """Deletes keys; those that are not there are no mistake."""
        for start in range(0, len(keys), _PAGE):
            named = [{"Key": self._prefix + key} for key in keys[start : start + _PAGE]]
            answer = self._call("delete_objects", None, Delete={"Objects": named, "Quiet": True})
            for refused in answer.get("Errors", ()):
                message = f"S3 refuses to delete: {refused.get('Message') or refused.get('Code')}"
                raise errors.StorageError(message, where=f"s3://{self._bucket}/{refused.get('Key')}")

    def list(self, prefix: str) -> Iterator[Listed]:
        """The keys that begin so, a page at a time."""
        token: dict[str, str] = {}
        while True:
            answer = self._call("list_objects_v2", None, Prefix=self._prefix + prefix, MaxKeys=_PAGE, **token)
            for each in answer.get("Contents", ()):
                at_us = int(each["LastModified"].timestamp() * 1_000_000)
                yield Listed(str(each["Key"]).removeprefix(self._prefix), int(each["Size"]), at_us)
            if not answer.get("IsTruncated"):
                return
            token = {"ContinuationToken": answer["NextContinuationToken"]}

    # Uploads in parts

    def begin(self, key: str) -> str:
        """Begins an upload in parts; gives its id."""
        return str(self._call("create_multipart_upload", key)["UploadId"])

    def unfinished(self, prefix: str) -> Iterator[tuple[str, str, int]]:
        """Uploads in parts that were begun of keys that begin so: key, id, and when, in microseconds."""
        token: dict[str, str] = {}
        while True:
            answer = self._call("list_multipart_uploads", None, Prefix=self._prefix + prefix, **token)
            for each in answer.get("Uploads", ()):
                key = str(each["Key"]).removeprefix(self._prefix)
                yield key, str(each["UploadId"]), int(each["Initiated"].timestamp() * 1_000_000)
            if not answer.get("IsTruncated"):
                return
            token = {"KeyMarker": answer["NextKeyMarker"], "UploadIdMarker": answer["NextUploadIdMarker"]}

    def parts(self, key: str, upload: str) -> dict[int, tuple[str, int]]:
        """The parts of an upload that are there, by number: ETag and size. Raises NoSuchUpload."""
        found: dict[int, tuple[str, int]] = {}
        marker = 0
        while True:
            answer = self._call("list_parts", key, UploadId=upload, PartNumberMarker=marker, MaxParts=_PAGE)
            for each in answer.get("Parts", ()):
                found[int(each["PartNumber"])] = (str(each["ETag"]), int(each["Size"]))
            if not answer.get("IsTruncated"):
                return found
            marker = int(answer["NextPartNumberMarker"])

    def put_part(self, key: str, upload: str, number: int, data: Buffer) -> str:
        """Sends a part; gives its ETag. Raises NoSuchUpload."""
        return str(
            self._call("upload_part", key, UploadId=upload, PartNumber=number, Body=bytes(data))["ETag"]
        )

    def complete(self, key: str, upload: str, tags: Sequence[str]) -> None:
        """Makes the key of its parts, in order. Raises NoSuchUpload."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        self._call("complete_multipart_upload", key, UploadId=upload, MultipartUpload={"Parts": parts})

    def give_up(self, key: str, upload: str) -> None:
        """Forgets an upload and its parts."""
        try:
            self._call("abort_multipart_upload", key, UploadId=upload)
        except NoSuchUpload:
            return

    # How

    def _call(self, operation: str, key: str | None, **given: object):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """What S3 answers; None where a key is asked for that is not there."""
        where = self.url(key or "")
        if key is not None:
            given["Key"] = self._prefix + key
        from botocore import exceptions  # noqa: PLC0415 - as above

        trials = self._patience.begin(where)
        while True:
            try:
                return getattr(self._client(where), operation)(Bucket=self._bucket, **given)
            except exceptions.ClientError as error:
                told = error.response.get("Error", {})
                code, status = str(told.get("Code", "")), error.response["ResponseMetadata"]["HTTPStatusCode"]
                if code in _ABSENT:
                    return None
                if code == "NoSuchUpload":
                    raise NoSuchUpload from None
                if status < 500 and status != 429 and code not in _AWAY:
                    raise _refusal(code, told.get("Message") or code or f"HTTP {status}", where) from None
                trials.failed(error)
            except _transfer_errors() as error:
                trials.failed(error)
            except exceptions.BotoCoreError as error:
                raise _refusal("Configuration", str(error), where) from None

    def _client(self, where: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
        """The client of botocore, made when it is first needed: one for all threads."""
        with self._lock:
            if self._made is None:
                self._made = _connect(where)
            return self._made


def _connect(where: str):  # type: ignore[no-untyped-def]  # noqa: ANN202
    import botocore.session  # noqa: PLC0415 - as above
    from botocore import config, exceptions  # noqa: PLC0415

    elsewhere = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    session = botocore.session.get_session()
    try:
        return session.create_client(
            "s3",
            region_name=session.get_config_variable("region") or "us-east-1",
            config=config.Config(
                connect_timeout=_CONNECT_S,
                read_timeout=_READ_S,
                max_pool_connections=CONNECTIONS,
                retries={
                    "total_max_attempts": 1
                },  # Trials sees to that: for longer, and with what was read kept
                request_checksum_calculation="when_required",  # objects are checked by their own digests, and what
                response_checksum_validation="when_required",  # speaks S3's protocol may know none of AWS's newer sums
                s3={"addressing_style": "path" if elsewhere else "auto"},
            ),
        )
    except (exceptions.BotoCoreError, ValueError) as error:
        raise _refusal("Configuration", str(error), where) from None


def _transfer_errors() -> tuple[type[Exception], ...]:
    """What says that nothing is wrong with the request, only with the way there."""
    from botocore import exceptions, parsers  # noqa: PLC0415 - as above

    return (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.IncompleteReadError,
        exceptions.ResponseStreamingError,
        parsers.ResponseParserError,
    )


def _refusal(code: str, message: str, where: str) -> errors.StorageError:
    if code == "NoSuchBucket":
        hint = "create the bucket, or correct TYPEDFLOW_STORE"
    else:
        hint = "see the AWS_* variables, ~/.aws, and what this user or role may do with the bucket"
    return errors.StorageError(f"S3 refuses: {message}", where=where, hint=hint)
