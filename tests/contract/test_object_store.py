"""D1, E4, D5: what every object store promises, tried with a folder and with S3's protocol over a socket."""

import os
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import s3_server
from typedflow import errors
from typedflow.dataplane import digests, multipart, objects, s3
from typedflow.pb.literals_pb2 import Blob

MEBIBYTE = 1024 * 1024
LARGE = random.Random(1).randbytes(12 * MEBIBYTE + 12345)


@pytest.fixture(scope="session")
def s3_port() -> Iterator[int]:
    with s3_server.running() as port:
        yield port


@dataclass
class Kept:
    """A store, and the bytes in it as somebody else may reach them: by name."""

    store: objects.ObjectStore
    write: Callable[[str, bytes], object]
    read: Callable[[str], bytes | None]
    names: Callable[[], list[str]]


@pytest.fixture(params=["folder", "s3"])
def kept(request, tmp_path, monkeypatch) -> Kept:
    # Of more chunks and parts than one, without more bytes than a test may take.
    monkeypatch.setattr(digests, "CHUNK_SIZE", 4 * MEBIBYTE)
    monkeypatch.setattr(multipart, "PART", 5 * MEBIBYTE)
    if request.param == "folder":
        root = tmp_path / "a store"

        def write(name: str, data: bytes) -> None:
            (root / name).chmod(0o644)
            (root / name).write_bytes(data)

        def names() -> list[str]:
            return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]

        return Kept(objects.open_store(str(root)), write, lambda name: (root / name).read_bytes(), names)
    for name, value in s3_server.environment(request.getfixturevalue("s3_port")).items():
        monkeypatch.setenv(name, value)
    prefix = tmp_path.name + "/a store"
    bucket = s3.Bucket(s3_server.BUCKET, prefix)
    return Kept(
        objects.open_store(f"s3://{s3_server.BUCKET}/{prefix}"),
        bucket.put,
        bucket.get,
        lambda: [each.key for each in bucket.list("")],
    )


@pytest.fixture
def large_file(tmp_path: Path) -> Path:
    (tmp_path / "large").write_bytes(LARGE)
    return tmp_path / "large"


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("data", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_d1_an_object_is_one_however_it_comes_and_however_it_is_read(kept, tmp_path, data):
    (tmp_path / "file").write_bytes(data)
    parts = [memoryview(data)[at : at + 999_983] for at in range(0, len(data), 999_983)]

    blob = kept.store.put_chunks(iter(parts))
    names = kept.names()
    again = (
        kept.store.put_file(tmp_path / "file"),
        kept.store.put_bytes(data),
        kept.store.put_written(lambda file: file.writelines(parts)),
    )

    hexadecimal = digests.of_bytes(data).removeprefix("b3:")
    assert blob == Blob(
        uri=f"b3/{hexadecimal[:2]}/{hexadecimal[2:]}", digest=f"b3:{hexadecimal}", size=len(data)
    )
    assert set(names) == {blob.uri, *([f"{blob.uri}.chunks"] if len(data) > digests.CHUNK_SIZE else [])}
    assert [each == blob for each in again] == [True] * 3
    assert kept.names() == names
    assert kept.store.has(blob.digest)
    assert kept.store.exists([blob, blob]) == [True, True]
    assert kept.store.read_bytes(blob) == data
    kept.store.fetch(blob, tmp_path / "made" / "fetched")
    assert (tmp_path / "made" / "fetched").read_bytes() == data
    with kept.store.open(blob) as stream:
        assert stream.read() == data


def test_d1_a_file_is_sent_whole(kept, large_file, tmp_path):
    blob = kept.store.put_file(large_file)
    assert kept.read(blob.uri) == LARGE
    kept.store.fetch(blob, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == LARGE


def test_d1_a_part_is_read_without_the_rest(kept):
    blob = kept.store.put_bytes(LARGE)
    kept.write(blob.uri, flipped(LARGE, len(LARGE) - 1))  # the last chunk is damaged, and not looked at
    with kept.store.open(blob) as stream:
        stream.seek(5 * MEBIBYTE)
        assert stream.read(100) == LARGE[5 * MEBIBYTE : 5 * MEBIBYTE + 100]
        assert stream.seek(-10, os.SEEK_END) == len(LARGE) - 10
        with pytest.raises(errors.IntegrityError, match="not what its name says"):
            stream.read()


@pytest.mark.parametrize("at", [0, 6 * MEBIBYTE, len(LARGE) - 1])
def test_d1_a_flipped_bit_is_an_error_that_names_the_object(kept, tmp_path, at):
    blob = kept.store.put_bytes(LARGE)

    def streamed() -> bytes:
        with kept.store.open(blob) as stream:
            return bytes(stream.read())

    for read in (
        lambda: kept.store.read_bytes(blob),
        lambda: kept.store.fetch(blob, tmp_path / "out"),
        streamed,
    ):
        kept.store.put_bytes(LARGE)
        kept.write(blob.uri, flipped(LARGE, at))
        with pytest.raises(errors.IntegrityError, match="not what its name says") as caught:
            read()
        assert caught.value.where.endswith(blob.uri)
    assert not (tmp_path / "out").exists()


def test_d1_a_list_of_chunks_that_is_damaged_or_gone_is_made_again(kept):
    blob = kept.store.put_bytes(LARGE)
    name = f"{blob.uri}.chunks"
    listed = kept.read(name)
    assert listed is not None
    for damaged in (flipped(listed, 10), listed.splitlines(keepends=True)[0], b"\xff"):
        kept.write(name, damaged)
        with kept.store.open(blob) as stream:
            assert stream.read() == LARGE
        assert kept.read(name) == listed
    kept.write(name, b"")
    kept.write(blob.uri, flipped(LARGE, 10))
    with pytest.raises(errors.IntegrityError, match="not what its name says"):
        kept.store.open(blob)


def test_an_object_that_is_gone_says_so(kept, tmp_path):
    blob = Blob(uri="", digest=digests.of_bytes(b"never"), size=5)
    blob.uri = f"b3/{blob.digest[3:5]}/{blob.digest[5:]}"
    assert kept.store.exists([blob, kept.store.put_bytes(b"here")]) == [False, True]
    assert kept.store.local_path(blob) is None
    for use in (
        kept.store.read_bytes,
        kept.store.open,
        lambda blob: kept.store.fetch(blob, tmp_path / "out"),
    ):
        with pytest.raises(errors.IntegrityError, match="no longer there") as caught:
            use(blob)
        assert caught.value.code == "ObjectMissing"
        assert caught.value.where.endswith(blob.uri)
    assert not (tmp_path / "out").exists()


def test_d5_a_store_lists_its_objects_and_deletes_them(kept):
    assert list(kept.store.list()) == []
    small, large = kept.store.put_bytes(b"small"), kept.store.put_bytes(LARGE)
    assert {(each.digest, each.size) for each in kept.store.list()} == {
        (b.digest, b.size) for b in (small, large)
    }
    assert all(each.at_us > 1_700_000_000_000_000 for each in kept.store.list())
    kept.store.delete([large.digest, digests.of_bytes(b"never there")])
    assert [each.digest for each in kept.store.list()] == [small.digest]
    assert kept.store.exists([small, large]) == [True, False]
    assert kept.names() == [small.uri]
    kept.store.delete([])


def test_many_that_put_the_same_object_at_once_all_succeed(kept, large_file):
    with ThreadPoolExecutor(4) as pool:
        blobs = list(pool.map(kept.store.put_file, [large_file] * 6))
    assert {blob.uri for blob in blobs} == {blobs[0].uri}
    assert kept.store.read_bytes(blobs[0]) == LARGE
    assert sorted(kept.names()) == [blobs[0].uri, f"{blobs[0].uri}.chunks"]


@pytest.mark.parametrize("size", [5, 7 * MEBIBYTE])
def test_e4_nothing_is_kept_of_what_breaks_off(kept, size):
    def broken() -> Iterator[bytes]:
        yield LARGE[:size]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        kept.store.put_chunks(broken())
    assert kept.names() == []


def test_a_file_that_is_not_there_is_the_users_mistake(kept, tmp_path):
    for path in (tmp_path / "nothing", tmp_path):
        with pytest.raises(errors.UsageError, match="can't read the file") as caught:
            kept.store.put_file(path)
        assert caught.value.where == str(path)


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "s3://bucket/b3/00/00",
        "b3/00/00",
        "file://elsewhere/b3/00",
        "/a/../../etc/passwd",
        "",
    ],
)
def test_an_address_outside_the_store_is_refused(kept, uri):
    digest = kept.store.put_bytes(b"hello").digest
    for use in (
        kept.store.read_bytes,
        kept.store.open,
        kept.store.local_path,
        lambda blob: kept.store.exists([blob]),
    ):
        with pytest.raises(errors.UsageError):
            use(Blob(uri=uri, digest=digest))
    with pytest.raises(errors.UsageError, match="is not a digest"):
        kept.store.read_bytes(Blob(uri="b3/..", digest="b3:../../../etc/passwd"))


def test_an_address_that_an_earlier_release_wrote_is_good_wherever_its_store_was(kept):
    blob = kept.store.put_bytes(b"hello")
    for root in ("file:///home/me/.typedflow/objects", "file:///a%20home/objects", "s3://elsewhere/prefix"):
        blob.uri = f"{root}/b3/{blob.digest[3:5]}/{blob.digest[5:]}"
        assert kept.store.read_bytes(blob) == b"hello"
        assert kept.store.exists([blob]) == [True]
