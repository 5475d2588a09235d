"""D1, E4: objects are whole, named by their content, and checked when they are read."""

import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from typedflow import errors
from typedflow.dataplane import digests, objects
from typedflow.pb.literals_pb2 import Blob


@pytest.fixture
def store(tmp_path):
    return objects.open_store(str(tmp_path / "a store"))


def files_of(store):
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def flip(path, at=0):
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_d1_an_object_is_found_under_its_digest(store):
    blob = store.put_bytes(b"hello")
    name = digests.of_bytes(b"hello").removeprefix("b3:")
    assert blob == Blob(uri=f"b3/{name[:2]}/{name[2:]}", digest=f"b3:{name}", size=5)
    assert files_of(store) == [f"b3/{name[:2]}/{name[2:]}"]
    assert store.read_bytes(blob) == b"hello"
    with store.open(blob) as stream:
        assert stream.read() == b"hello"
    assert store.has(blob.digest)
    assert store.local_path(blob).read_bytes() == b"hello"


def test_bytes_and_a_file_of_them_are_one_object(store, tmp_path):
    (tmp_path / "file").write_bytes(b"hello")
    assert (
        store.put_file(tmp_path / "file")
        == store.put_bytes(b"hello")
        == store.put_file(str(tmp_path / "file"))
    )
    assert len(files_of(store)) == 1


def test_a_stored_object_is_read_only_and_no_link_to_the_authors_file(store, tmp_path):
    source = tmp_path / "file"
    source.write_bytes(b"hello")
    blob = store.put_file(source)
    source.write_bytes(b"later")
    kept = store.local_path(blob)
    assert store.read_bytes(blob) == b"hello"
    assert kept.stat().st_ino != source.stat().st_ino
    assert stat.S_IMODE(kept.stat().st_mode) == 0o444


def test_exists_answers_for_many_at_once(store):
    here = store.put_bytes(b"here")
    gone = store.put_bytes(b"gone")
    store.local_path(gone).unlink()
    assert store.exists([here, gone, here]) == [True, False, True]
    assert store.local_path(gone) is None


def test_fetch_writes_the_whole_file_or_none(store, tmp_path):
    blob = store.put_bytes(b"hello")
    store.fetch(blob, tmp_path / "made" / "file")
    assert (tmp_path / "made" / "file").read_bytes() == b"hello"
    flip(store.local_path(blob))
    with pytest.raises(errors.IntegrityError):
        store.fetch(blob, tmp_path / "made" / "other")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["file"]


@pytest.mark.parametrize("at", [0, 2, 4])
def test_d1_a_flipped_bit_is_an_error_that_names_the_object(store, at):
    blob = store.put_bytes(b"hello")
    flip(store.local_path(blob), at)
    with pytest.raises(errors.IntegrityError, match=blob.digest) as caught:
        store.read_bytes(blob)
    assert caught.value.where == str(store.root / blob.uri)


def test_an_object_that_is_gone_says_so(store):
    blob = store.put_bytes(b"hello")
    store.local_path(blob).unlink()
    with pytest.raises(errors.IntegrityError, match="no longer there") as caught:
        store.read_bytes(blob)
    assert caught.value.code == "ObjectMissing"


def test_d1_a_large_files_chunks_are_kept_beside_it(store, tmp_path, monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", 1000)
    data = os.urandom(2500)
    (tmp_path / "file").write_bytes(data)
    blob = store.put_file(tmp_path / "file")
    assert store.read_bytes(blob) == data
    assert store.chunks(blob.digest) == digests.of_file(tmp_path / "file").chunks
    assert len(store.chunks(blob.digest)) == 3
    assert store.chunks(store.put_bytes(b"small").digest) == ()


def test_e4_a_put_that_fails_leaves_nothing_behind(store, tmp_path, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "file").write_bytes(b"hello")
    monkeypatch.setattr(os, "fsync", full)
    for put, what in ((store.put_file, tmp_path / "file"), (store.put_bytes, b"hello")):
        with pytest.raises(errors.StorageError, match="No space left"):
            put(what)
    assert files_of(store) == []


def test_many_that_put_the_same_object_at_once_all_succeed(store):
    with ThreadPoolExecutor(8) as pool:
        blobs = list(pool.map(store.put_bytes, [b"x" * 100_000] * 32))
    assert {blob.uri for blob in blobs} == {blobs[0].uri}
    assert store.read_bytes(blobs[0]) == b"x" * 100_000
    assert len(files_of(store)) == 1


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "s3://bucket/b3/00/00",
        "b3/00/00",
        "file://elsewhere/b3/00",
        "file:///a/../../etc/passwd",
    ],
)
def test_an_address_outside_the_store_is_refused(store, uri):
    digest = store.put_bytes(b"hello").digest
    for use in (store.read_bytes, store.open, store.local_path, lambda blob: store.exists([blob])):
        with pytest.raises(errors.UsageError):
            use(Blob(uri=uri, digest=digest))


def test_what_is_no_digest_names_no_file(store):
    with pytest.raises(errors.UsageError, match="is not a digest"):
        store.read_bytes(Blob(uri="file:///etc/passwd", digest="b3:../../../etc/passwd"))
    with pytest.raises(errors.UsageError, match="is not a digest"):
        store.has("../../x")


def test_a_file_that_is_not_there_is_the_users_mistake(store, tmp_path):
    with pytest.raises(errors.UsageError, match="No such file") as caught:
        store.put_file(tmp_path / "nothing")
    assert caught.value.where == str(tmp_path / "nothing")
    with pytest.raises(errors.UsageError, match="directory"):
        store.put_file(tmp_path)


def test_a_store_is_opened_by_its_address(tmp_path):
    plain = objects.open_store(str(tmp_path / "s p"))
    by_address = objects.open_store(f"file://{tmp_path}/s%20p")
    assert by_address.read_bytes(plain.put_bytes(b"x")) == b"x"


def test_a_scheme_that_is_not_supported_is_refused_with_what_is():
    with pytest.raises(errors.UsageError, match="`ftp://`") as caught:
        objects.open_store("ftp://host/folder")
    assert "file:///" in caught.value.hint
    with pytest.raises(errors.UsageError, match="`gs://`") as caught:
        objects.open_store("gs://bucket/folder")
    assert "AWS_ENDPOINT_URL" in caught.value.hint


def test_d1_bytes_that_come_bit_by_bit_are_the_same_object(store):
    whole = bytes(range(256)) * 300_000  # of more than one chunk
    parts = [memoryview(whole)[at : at + 999_983] for at in range(0, len(whole), 999_983)]
    blob = store.put_chunks(parts)
    assert store.read_bytes(blob) == whole
    assert store.chunks(blob.digest)
    names = files_of(store)
    assert store.put_chunks(iter(parts)) == store.put_bytes(whole) == blob
    assert files_of(store) == names
    assert store.put_chunks([]) == store.put_bytes(b"")


def test_e4_nothing_is_kept_of_what_breaks_off(store):
    def broken():
        yield b"begin"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        store.put_chunks(broken())
    assert files_of(store) == []


def test_d5_a_store_lists_its_objects_and_deletes_them(store, monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", 1000)
    small, large = store.put_bytes(b"small"), store.put_bytes(b"large" * 500)
    (store.root / "b3" / "stray").write_bytes(b"")
    assert {(each.digest, each.size) for each in store.list()} == {(small.digest, 5), (large.digest, 2500)}
    store.delete([large.digest, digests.of_bytes(b"never there")])
    assert [each.digest for each in store.list()] == [small.digest]
    assert store.exists([small, large]) == [True, False]
    assert [name for name in files_of(store) if name.endswith(".chunks")] == []


def test_an_empty_store_lists_nothing(store):
    assert list(store.list()) == []


def test_d5_what_a_killed_writer_left_is_dropped_when_it_is_old(store):
    store.put_bytes(b"whole")
    left = store.root / ".incoming" / "left"
    left.write_bytes(b"ha")
    store.drop_unfinished(60)
    assert left.exists()
    store.drop_unfinished(0)
    assert not left.exists()
    assert len(list(store.list())) == 1
