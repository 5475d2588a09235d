"""D1: a way to the store that breaks costs what was under way, and never a wrong byte."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import s3_server
from typedflow import errors
from typedflow.dataplane import bucket_store, digests, multipart, objects, patience, s3

MEBIBYTE = 1024 * 1024
DATA = random.Random(2).randbytes(17 * MEBIBYTE)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with s3_server.running() as port:
        yield port


@pytest.fixture
def way(port, monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", 4 * MEBIBYTE)
    monkeypatch.setattr(multipart, "PART", 5 * MEBIBYTE)
    way = s3_server.Way(port)
    with way.open() as near:
        for name, value in s3_server.environment(near).items():
            monkeypatch.setenv(name, value)
        yield way


class Clock:
    """Time that passes while somebody pauses, and not otherwise."""

    def __init__(self) -> None:
        self.now = 0.0

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def patience(self, total_s: float = 180.0) -> patience.Patience:
        return patience.Patience(total_s, clock=lambda: self.now, pause=self.pause)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def store_of(tmp_path: Path, clock: Clock, total_s: float = 180.0) -> bucket_store.BucketStore:
    bucket = s3.Bucket(s3_server.BUCKET, tmp_path.name, waits=clock.patience(total_s))
    return bucket_store.BucketStore(bucket)


@pytest.fixture
def store(tmp_path, clock, way):
    return store_of(tmp_path, clock)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "file").write_bytes(DATA)
    return tmp_path / "file"


def cut_once_after(count: int):
    """Cuts one connection when so many bytes have gone through."""
    was_cut: list[bool] = []

    def pass_on(before: int, data: bytes) -> bytes:
        if before + len(data) > count and not was_cut:
            was_cut.append(True)
            return b""
        return data

    return pass_on


def changing(at: int, *, times: int):
    """Changes a byte of what goes through, in the first so many passages of so many bytes."""
    changed: list[int] = []

    def pass_on(before: int, data: bytes) -> bytes:
        if before + len(data) > at * (len(changed) + 1) and len(changed) < times and len(data) > 1000:
            changed.append(before)
            return data[:-1] + bytes([data[-1] ^ 1])
        return data

    return pass_on


def test_d1_a_download_that_breaks_off_goes_on_where_it_was(store, way, file, tmp_path):
    blob = store.put_file(file)
    way.answered = 0
    way.down = cut_once_after(9 * MEBIBYTE)
    store.fetch(blob, tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == DATA
    assert way.answered < len(DATA) + 2 * MEBIBYTE
    way.answered = 0
    way.down = cut_once_after(5 * MEBIBYTE)
    with store.open(blob) as stream:
        assert stream.read() == DATA
    assert way.answered < len(DATA) + 2 * MEBIBYTE


def test_d1_an_upload_that_breaks_off_sends_what_is_missing(store, way, file, tmp_path, clock):
    way.up = lambda before, data: b"" if before > 12 * MEBIBYTE else data
    with pytest.raises(errors.StorageError, match="does not answer"):
        store_of(tmp_path, clock, 5.0).put_file(file)
    way.up = lambda _, data: data
    assert list(store.list()) == []
    parts = [store._bucket.parts(key, upload) for key, upload, _ in store._bucket.unfinished("b3/")]
    there = sum(size for _, size in parts[0].values())
    assert there >= MEBIBYTE

    way.sent = 0
    blob = store.put_file(file)
    assert way.sent < len(DATA) - there + MEBIBYTE
    assert store.read_bytes(blob) == DATA
    assert list(store._bucket.unfinished("")) == []


def test_d1_a_part_that_is_not_the_files_is_sent_again(store, file):
    name = f"b3/{digests.of_file(file).digest[3:5]}/{digests.of_file(file).digest[5:]}"
    upload = store._bucket.begin(name)
    store._bucket.put_part(name, upload, 1, b"x" * 5 * MEBIBYTE)
    assert store.read_bytes(store.put_file(file)) == DATA


def test_d1_a_byte_that_is_changed_on_the_way_is_fetched_again(store, way, file, tmp_path):
    blob = store.put_file(file)
    for number, read in enumerate(
        (
            store.read_bytes,
            lambda blob: store.open(blob).read(),
            lambda blob: store.fetch(blob, tmp_path / "out"),
        )
    ):
        way.answered = 0
        way.down = changing(MEBIBYTE, times=1)
        assert read(blob) in (DATA, None), number
    assert (tmp_path / "out").read_bytes() == DATA


def test_d1_bytes_that_are_changed_whenever_they_come_are_an_error_that_names_the_object(
    store, way, file, tmp_path
):
    blob = store.put_file(file)
    way.answered = 0
    way.down = changing(MEBIBYTE, times=1000)
    for read in (
        store.read_bytes,
        lambda blob: store.open(blob).read(),
        lambda blob: store.fetch(blob, tmp_path / "out"),
    ):
        with pytest.raises(errors.IntegrityError, match="not what its name says") as caught:
            read(blob)
        assert caught.value.where == f"s3://{s3_server.BUCKET}/{tmp_path.name}/{blob.uri}"
    assert not (tmp_path / "out").exists()
    way.down = lambda _, data: data
    assert store.read_bytes(blob) == DATA


def test_a_store_that_is_away_for_a_minute_is_waited_for(store, way, clock, tmp_path):
    way.refuses = lambda: clock.now < 60
    blob = store.put_bytes(b"hello")
    assert 60 <= clock.now < 90
    assert way.connections < 40
    clock.now = 0
    assert store_of(tmp_path, clock).read_bytes(blob) == b"hello"
    assert clock.now >= 60


def test_a_store_that_stays_away_is_told(store, way, clock):
    way.refuses = lambda: True
    for use in (
        lambda: store.put_bytes(b"hello"),
        lambda: store.has(digests.of_bytes(b"x")),
        lambda: list(store.list()),
    ):
        clock.now = 0
        with pytest.raises(errors.StorageError, match="does not answer") as caught:
            use()
        assert f"s3://{s3_server.BUCKET}/" in caught.value.where
        assert "AWS_ENDPOINT_URL" in caught.value.hint
        assert 150 < clock.now <= 180


def test_a_server_that_fails_is_asked_again(store, way, clock):
    failed: list[bytes] = []

    def fail(_before: int, data: bytes) -> bytes:
        if len(failed) < 3:
            failed.append(data)
            return b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        return data

    way.down = fail
    assert store.read_bytes(store.put_bytes(b"hello")) == b"hello"
    assert len(failed) == 3
    assert clock.now > 0


def test_a_bucket_that_is_not_there_is_told_at_once(way, clock):
    store = bucket_store.BucketStore(s3.Bucket("no-such-bucket", waits=clock.patience()))
    with pytest.raises(errors.StorageError, match="bucket does not exist") as caught:
        store.put_bytes(b"hello")
    assert "TYPEDFLOW_STORE" in caught.value.hint
    assert clock.now == 0


def test_no_credentials_are_told_at_once(way, clock, monkeypatch, store):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(errors.StorageError, match="credentials") as caught:
        store.put_bytes(b"hello")
    assert "AWS_*" in caught.value.hint
    assert clock.now == 0


def test_a_file_that_is_written_to_while_it_is_sent_is_no_object(store, way, file):
    def write(before: int, data: bytes) -> bytes:
        if before > 8 * MEBIBYTE:
            with file.open("r+b") as target:
                target.write(b"changed")
        return data

    way.up = write
    with pytest.raises(errors.UsageError, match="was changed while it was stored") as caught:
        store.put_file(file)
    assert caught.value.where == str(file)
    assert list(store.list()) == []


def test_d5_what_was_begun_and_never_became_an_object_is_dropped_when_it_is_old(store):
    whole = store.put_bytes(b"whole")
    store._bucket.put("incoming/sent", b"x")
    store.drop_unfinished(60)
    assert len(list(store._bucket.list(""))) == 2
    store._bucket.begin("b3/00/" + "0" * 62)
    store._bucket.begin("incoming/stream")
    assert len(list(store._bucket.unfinished(""))) == 2
    store.drop_unfinished(-5)  # the server's clock is not ours
    assert list(store._bucket.unfinished("")) == []
    assert [each.key for each in store._bucket.list("")] == [whole.uri]


def test_a_stream_of_many_parts_gets_its_name_without_being_sent_again(store, way):
    way.sent = way.answered = 0
    blob = store.put_chunks(DATA[at : at + 100_000] for at in range(0, len(DATA), 100_000))
    assert way.sent < len(DATA) + MEBIBYTE
    assert way.answered < MEBIBYTE
    assert store.read_bytes(blob) == DATA


def test_what_is_copied_in_parts_is_the_same(store, monkeypatch):
    monkeypatch.setattr(s3, "_COPIED_AT_ONCE", 6 * MEBIBYTE)
    blob = store.put_chunks([DATA])
    assert store.read_bytes(blob) == DATA


def test_pages_of_keys_and_parts_are_all_read(store, monkeypatch):
    blobs = [store.put_bytes(bytes([n])) for n in range(5)]
    monkeypatch.setattr(s3, "_PAGE", 2)
    assert {each.digest for each in store.list()} == {blob.digest for blob in blobs}
    store.delete([blob.digest for blob in blobs])
    assert list(store.list()) == []
    upload = store._bucket.begin("key")
    tags = [store._bucket.put_part("key", upload, number, b"x") for number in range(1, 6)]
    assert store._bucket.parts("key", upload) == {number: (tag, 1) for number, tag in enumerate(tags, 1)}


def test_parts_of_very_large_objects_are_larger_so_that_they_are_not_too_many(monkeypatch):
    monkeypatch.undo()
    assert multipart.part_size(10**9) == multipart.PART == 16 * MEBIBYTE
    for size in (10**12, 5 * 10**12):
        length = multipart.part_size(size)
        assert -(-size // length) <= 10_000
        assert length % MEBIBYTE == 0


@pytest.mark.parametrize("url", ["s3://", "s3:///folder", "s3://bucket?x=1"])
def test_what_is_no_buckets_address_is_refused(url):
    with pytest.raises(errors.UsageError, match="not a bucket's address"):
        objects.open_store(url)
