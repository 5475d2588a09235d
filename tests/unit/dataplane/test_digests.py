"""D1: the digest of bytes and files."""

import io
import random

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from typedflow.dataplane import digests

CHUNK = 1000


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(digests, "CHUNK_SIZE", CHUNK)


def test_a_digest_is_the_blake3_of_the_bytes():
    assert digests.of_bytes(b"abc") == "b3:" + blake3(b"abc").hexdigest()
    assert digests.of_bytes(b"") == "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"


def test_d1_chunks_are_of_64_mib():
    assert digests.CHUNK_SIZE == 64 * 1024 * 1024


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK])
def test_d1_up_to_a_chunk_there_is_no_list(size, tmp_path, small_chunks):
    (tmp_path / "file").write_bytes(b"x" * size)
    assert digests.of_file(tmp_path / "file") == digests.FileDigest(
        "b3:" + blake3(b"x" * size).hexdigest(), size
    )


@pytest.mark.parametrize("size", [CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7])
def test_d1_above_a_chunk_the_digest_is_that_of_the_chunks_digests(size, tmp_path, small_chunks):
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    chunks = tuple("b3:" + blake3(data[at : at + CHUNK]).hexdigest() for at in range(0, size, CHUNK))
    expected = "b3:" + blake3("".join(f"{chunk}\n" for chunk in chunks).encode()).hexdigest()
    assert digests.of_file(tmp_path / "file") == digests.FileDigest(expected, size, chunks)
    assert digests.of_bytes(data) == expected


@given(parts=st.lists(st.binary(max_size=40), max_size=20))
def test_how_bytes_come_does_not_matter(parts):
    hasher = digests.Hasher()
    for part in parts:
        hasher.update(part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(digests, "CHUNK_SIZE", 16)
        in_parts, sink = digests.Hasher(), io.BytesIO()
        for part in parts:
            in_parts.update(part)
        data = b"".join(parts)
        assert in_parts.finish().digest == digests.of_bytes(data)
        assert digests.of_stream(io.BytesIO(data), sink) == in_parts.finish()
        assert sink.getvalue() == data
    assert hasher.finish().digest == digests.of_bytes(data)


@pytest.mark.parametrize(
    "text", ["", "b3:", "b3:" + "0" * 63, "b3:" + "G" * 64, "b3:" + "../" * 21 + "0", "sha:" + "0" * 64]
)
def test_what_is_no_digest_is_told(text):
    assert not digests.is_digest(text)
    assert digests.is_digest(digests.of_bytes(b""))
